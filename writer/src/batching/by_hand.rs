//! A lane without a thread: whoever calls drives it.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{self, BoxFuture, Either};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::engine::{Engine, Message, make};
use crate::environment::Clock;
use crate::error::WriterError;
use crate::sync::{Mutex, PoisonError, Receiver, oneshot};
use crate::writer::StoreWriter;

/// Any number of calls may drive it at once, and each may stop at any moment: the lock is held only while one of them
/// is polled. Only the last that was polled is woken by an append; the others look again every check interval.
pub(super) struct HandDriven<W: ?Sized> {
    writer: Arc<W>,
    receiver: Receiver<Message>,
    clock: Arc<dyn Clock>,
    check_interval: Duration,
    work: Mutex<Work>,
}

struct Work {
    engine: Engine,
    /// They live here and not in a caller's future: a call that is dropped takes none along.
    appends: FuturesUnordered<BoxFuture<'static, Message>>,
}

impl<W: StoreWriter + ?Sized + 'static> HandDriven<W> {
    pub(super) fn new(
        engine: Engine,
        writer: Arc<W>,
        receiver: Receiver<Message>,
        clock: Arc<dyn Clock>,
        check_interval: Duration,
    ) -> Self {
        let work = Mutex::new(Work { engine, appends: FuturesUnordered::new() });
        Self { writer, receiver, clock, check_interval, work }
    }

    /// Sends what is due and waits for it: an attempt of each key, whatever comes of it, and of those that it led to.
    pub(super) async fn cycle(&self) -> Result<(), WriterError> {
        let (attempted, ended) = oneshot::channel();
        self.tell(|engine| engine.attempt_due(attempted));
        let first = self.drive(ended, true).await.unwrap_or(Ok(()));
        let (attempted, ended) = oneshot::channel();
        self.tell(|engine| engine.end_attempts(attempted));
        first.and(self.drive(ended, false).await.unwrap_or(Ok(())))
    }

    /// Waits for something that this lane's work brings about.
    pub(super) async fn drive_until<T>(&self, wanted: impl Future<Output = T>) -> T {
        self.drive(wanted, true).await
    }

    async fn drive<T>(&self, wanted: impl Future<Output = T>, starts: bool) -> T {
        let drive = async {
            loop {
                let moved = future::poll_fn(|context| self.poll_work(starts, context));
                let check = std::pin::pin!(self.clock.sleep(self.check_interval));
                future::select(moved, check).await;
            }
        };
        match future::select(std::pin::pin!(wanted), std::pin::pin!(drive)).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => never,
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Engine)) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        self.receiver.try_iter().for_each(|message| work.engine.receive(message));
        what(&mut work.engine);
    }

    /// Starts what is due, where this call `starts` appends, and takes in one that has ended.
    fn poll_work(&self, starts: bool, context: &mut Context<'_>) -> Poll<()> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        self.receiver.try_iter().for_each(|message| work.engine.receive(message));
        self.start(&mut work, starts);
        let finished = match work.appends.poll_next_unpin(context) {
            Poll::Ready(Some(finished)) => finished,
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        work.engine.receive(finished);
        // What came of it is told at once: nobody may come back to do it.
        self.start(&mut work, starts);
        Poll::Ready(())
    }

    fn start(&self, work: &mut Work, starts: bool) {
        if !starts {
            return work.engine.tick();
        }
        for attempt in work.engine.work(true) {
            let (writer, number) = (self.writer.clone(), attempt.number);
            let append = async move { Message::Finished { number, outcome: make(writer, attempt).await } };
            work.appends.push(append.boxed());
        }
    }
}
