//! A lane without a thread: whoever calls drives it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use futures::future::{self, BoxFuture, Either};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::Mutex;

use super::engine::{Engine, Message, make};
use crate::environment::Clock;
use crate::error::WriterError;
use crate::writer::StoreWriter;

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

    /// Sends what is due, and what becomes due by that, until nothing is under way.
    pub(super) async fn cycle(&self) -> Result<(), WriterError> {
        let mut work = self.work.lock().await;
        // What failed in between was told to whoever waited for it.
        drop(work.engine.take_failure());
        while self.step(&mut work).await {}
        work.engine.take_failure().map_or(Ok(()), Err)
    }

    /// Waits for something that this lane's work brings about.
    pub(super) async fn drive_until<T>(&self, wanted: impl Future<Output = T>) -> T {
        let drive = async {
            loop {
                let moved = self.step(&mut *self.work.lock().await).await;
                if !moved {
                    self.clock.sleep(self.check_interval).await;
                }
            }
        };
        match future::select(std::pin::pin!(wanted), std::pin::pin!(drive)).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => never,
        }
    }

    /// Starts what is due and waits until one append has ended; `false` where none is under way.
    async fn step(&self, work: &mut Work) -> bool {
        self.receiver.try_iter().for_each(|message| work.engine.receive(message));
        self.start(work);
        let Some(finished) = work.appends.next().await else { return false };
        work.engine.receive(finished);
        // What came of it is told at once: nobody may come back to do it.
        self.start(work);
        true
    }

    fn start(&self, work: &mut Work) {
        for attempt in work.engine.work(true) {
            let (writer, number) = (self.writer.clone(), attempt.number);
            let append = async move { Message::Finished { number, outcome: make(writer, attempt).await } };
            work.appends.push(append.boxed());
        }
    }
}
