//! Lanes on threads of their own: messages through crossbeam, appends on tokio.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::engine::{Engine, Message, make, unknown};
use super::key_buffer::ListKey;
use super::lane::Attempt;
use crate::error::WriterError;
use crate::receipt::Appended;
use crate::sync::{AtomicBool, Care, Handle, Ordering, Receiver, RecvTimeoutError, Sender, kept, oneshot};
use crate::writer::StoreWriter;

/// How often the inner writer has its duty cycle.
const DUTY_INTERVAL: Duration = Duration::from_secs(5);
/// Messages that are taken in before appends are started.
const MESSAGES_AT_ONCE: usize = 1_024;

pub(super) struct LaneThread<W: ?Sized> {
    pub(super) engine: Engine,
    pub(super) writer: Arc<W>,
    pub(super) sender: Sender<Message>,
    pub(super) receiver: Receiver<Message>,
    pub(super) runtime: Handle,
    /// Whether this lane looks after the inner writer's duties.
    pub(super) has_duty: bool,
}

impl<W: StoreWriter + ?Sized + 'static> LaneThread<W> {
    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let duty_runs = Arc::new(AtomicBool::new(false));
        let mut next_duty = self.engine.now() + DUTY_INTERVAL;
        loop {
            let wait = if self.engine.is_empty() { DUTY_INTERVAL } else { self.engine.until_check() };
            match self.receiver.recv_timeout(wait) {
                Ok(Message::Stop { stopped }) => return self.stop(stopped),
                Ok(message) => self.engine.receive(message),
                // The lane holds a sender itself, so the queue is never disconnected.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            for message in self.receiver.try_iter().take(MESSAGES_AT_ONCE) {
                if let Message::Stop { stopped } = message {
                    return self.stop(stopped);
                }
                self.engine.receive(message);
            }
            for attempt in self.engine.work(false) {
                self.start(attempt);
            }
            if self.has_duty && self.engine.now() >= next_duty {
                next_duty = self.engine.now() + DUTY_INTERVAL;
                self.start_duty(&duty_runs);
            }
        }
    }

    /// Tells whoever waits for it.
    fn stop(&self, stopped: Option<oneshot::Sender<()>>) {
        self.engine.stop();
        drop(stopped);
    }

    fn start(&self, attempt: Attempt) {
        let report = Report { list: attempt.list.clone(), number: attempt.number, sender: Some(self.sender.clone()) };
        let writer = self.writer.clone();
        self.runtime.spawn(async move { report.send(make(writer, attempt).await) });
    }

    fn start_duty(&self, runs: &Arc<AtomicBool>) {
        if runs.swap(true, Ordering::AcqRel) && kept(Care::OneDutyCycle) {
            return;
        }
        let (writer, runs) = (self.writer.clone(), runs.clone());
        self.runtime.spawn(async move {
            let cycle = std::panic::AssertUnwindSafe(writer.duty_cycle()).catch_unwind().await;
            if let Ok(Err(error)) = cycle {
                tracing::warn!(%error, "a duty of the inner writer failed; tried again later");
            }
            runs.store(false, Ordering::Release);
        });
    }
}

/// Tells the lane how an append ended, even where its task was dropped with the runtime.
struct Report {
    list: Arc<ListKey>,
    number: u64,
    sender: Option<Sender<Message>>,
}

impl Report {
    fn send(mut self, outcome: Result<Appended, WriterError>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Result<Appended, WriterError>) {
        if let Some(sender) = self.sender.take() {
            // A lane that has stopped does not want to know.
            drop(sender.send(Message::Finished { number: self.number, outcome }));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.tell(Err(unknown(&self.list, "the runtime that it ran on was stopped")));
        }
    }
}
