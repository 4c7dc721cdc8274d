//! A lane with what surrounds it: messages in, receipts and appends out. Driven by a thread or by the caller.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use klstore_format::Insertion;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::budget::{Budget, Share};
use super::key_buffer::ListKey;
use super::lane::{Attempt, Lane, Outcome};
use super::statistics::{LaneGauge, record};
use crate::environment::Clock;
use crate::error::WriterError;
use crate::receipt::Appended;
use crate::writer::StoreWriter;

pub(super) type ReceiptSender = oneshot::Sender<Result<Appended, WriterError>>;
pub(super) type FlushSender = oneshot::Sender<Result<(), WriterError>>;

/// What a lane is told.
pub(super) enum Message {
    Append {
        list: ListKey,
        insertions: Vec<Insertion>,
        receipt: ReceiptSender,
        /// Its place in the queue, free once the message has been taken out.
        place: Option<OwnedSemaphorePermit>,
    },
    FlushKey {
        list: ListKey,
        flush: FlushSender,
    },
    FlushAll {
        flush: FlushSender,
    },
    /// An append to the inner writer has ended.
    Finished {
        number: u64,
        outcome: Result<Appended, WriterError>,
    },
    /// A caller waits for memory: look what can be sent.
    MemoryIsShort,
    /// Nothing more comes: end, with whatever is in memory. The sender is dropped at the end.
    Stop {
        stopped: Option<oneshot::Sender<()>>,
    },
}

pub(super) struct Engine {
    lane: Lane<ReceiptSender, FlushSender>,
    number: usize,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    gauge: Arc<LaneGauge>,
    check_interval: Duration,
    next_check: Duration,
    /// The latest failure of an attempt, for [`Self::take_failure`].
    failure: Option<WriterError>,
}

/// What an engine shares with the writer that it belongs to.
pub(super) struct EngineParts {
    pub(super) lane: Lane<ReceiptSender, FlushSender>,
    pub(super) number: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: Arc<Budget>,
    pub(super) gauge: Arc<LaneGauge>,
    pub(super) check_interval: Duration,
}

impl Engine {
    pub(super) fn new(parts: EngineParts) -> Self {
        let EngineParts { lane, number, clock, budget, gauge, check_interval } = parts;
        Self { lane, number, clock, budget, gauge, check_interval, next_check: Duration::ZERO, failure: None }
    }

    /// Takes a message in; `Stop` is for the one who drives.
    pub(super) fn receive(&mut self, message: Message) {
        let now = self.clock.elapsed();
        match message {
            Message::Append { list, insertions, receipt, place } => {
                drop(place);
                self.lane.append(now, list, insertions, receipt);
            }
            Message::FlushKey { list, flush } => self.lane.flush_key(&list, flush),
            Message::FlushAll { flush } => self.lane.flush_all(flush),
            Message::Finished { number, outcome } => self.lane.finished(now, number, outcome),
            Message::MemoryIsShort | Message::Stop { .. } => {}
        }
    }

    /// Looks at the clock every check interval (or now, where `at_once`), tells callers what has come of their calls,
    /// and says which appends to start.
    pub(super) fn work(&mut self, at_once: bool) -> Vec<Attempt> {
        let now = self.clock.elapsed();
        let checks = at_once || now >= self.next_check;
        if checks {
            self.next_check = now.saturating_add(self.check_interval);
            self.lane.tick(now);
        }
        self.deliver();
        let memory_is_short = self.budget.is_short();
        let attempts = std::iter::from_fn(|| self.lane.next_attempt(memory_is_short)).collect();
        let state = self.lane.state();
        self.gauge.set(state);
        if checks {
            record(self.number, &state, self.budget.usage(), now);
        }
        attempts
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Until the next check.
    pub(super) fn until_check(&self) -> Duration {
        self.next_check.saturating_sub(self.clock.elapsed())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lane.is_empty()
    }

    /// What stopped an attempt since this was last asked.
    pub(super) fn take_failure(&mut self) -> Option<WriterError> {
        self.failure.take()
    }

    fn deliver(&mut self) {
        for outcome in self.lane.take_outcomes() {
            match outcome {
                // Nobody has to wait for a receipt or a flush.
                Outcome::Receipt(receipt, outcome) => drop(receipt.send(outcome)),
                Outcome::Flush(flush, outcome) => drop(flush.send(outcome)),
                Outcome::Released { bytes, items } => self.budget.release(Share { bytes, items }),
                Outcome::AttemptFailed(error) => drop(self.failure.get_or_insert(error)),
            }
        }
    }
}

/// Makes one attempt. A panic of the inner writer is an error like any other.
pub(super) async fn make<W: StoreWriter + ?Sized>(writer: Arc<W>, attempt: Attempt) -> Result<Appended, WriterError> {
    let Attempt { list, insertions, idempotency_key, .. } = attempt;
    let append =
        async { writer.append_list_idempotent(&list.keyspace, &list.key, insertions, idempotency_key).await?.await };
    AssertUnwindSafe(append).catch_unwind().await.unwrap_or_else(|_| Err(unknown(&list, "the inner writer panicked")))
}

pub(super) fn unknown(list: &ListKey, reason: &str) -> WriterError {
    WriterError::Unavailable { target: list.to_string(), reason: reason.to_owned(), may_have_appended: true }
}
