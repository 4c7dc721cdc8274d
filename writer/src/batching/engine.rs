//! A lane with what surrounds it: messages in, receipts and appends out. Driven by a thread or by the caller.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use klstore_format::Insertion;

use super::budget::{Budget, Share};
use super::key_buffer::ListKey;
use super::lane::{Attempt, Lane, Outcome};
use super::statistics::{LaneGauge, record};
use crate::environment::Clock;
use crate::error::WriterError;
use crate::receipt::Appended;
use crate::sync::{Care, OwnedSemaphorePermit, kept, oneshot};
use crate::writer::StoreWriter;

pub(super) type ReceiptSender = oneshot::Sender<Result<Appended, WriterError>>;
pub(super) type FlushSender = oneshot::Sender<Result<(), WriterError>>;
pub(super) type DiscardSender = oneshot::Sender<Vec<Insertion>>;
pub(super) type LaneOfSenders = Lane<ReceiptSender, FlushSender, DiscardSender>;

/// What a lane is told.
pub(super) enum Message {
    Append {
        list: Arc<ListKey>,
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
    Discard {
        list: ListKey,
        discard: DiscardSender,
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
    lane: LaneOfSenders,
    number: usize,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    gauge: Arc<LaneGauge>,
    check_interval: Duration,
    next_check: Duration,
}

/// What an engine shares with the writer that it belongs to.
pub(super) struct EngineParts {
    pub(super) lane: LaneOfSenders,
    pub(super) number: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: Arc<Budget>,
    pub(super) gauge: Arc<LaneGauge>,
    pub(super) check_interval: Duration,
}

impl Engine {
    pub(super) fn new(parts: EngineParts) -> Self {
        let EngineParts { lane, number, clock, budget, gauge, check_interval } = parts;
        Self { lane, number, clock, budget, gauge, check_interval, next_check: Duration::ZERO }
    }

    /// Takes a message in; `Stop` is for the one who drives.
    pub(super) fn receive(&mut self, message: Message) {
        let now = self.clock.elapsed();
        match message {
            Message::Append { list, insertions, receipt, place } => {
                drop(place);
                self.lane.append(now, list, insertions, receipt);
            }
            Message::FlushKey { list, flush } => self.lane.flush_key(now, &list, flush),
            Message::FlushAll { flush } => self.lane.flush_all(now, flush),
            Message::Discard { list, discard } => self.lane.discard(&list, discard),
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
        let attempts = std::iter::from_fn(|| self.lane.next_attempt(now, memory_is_short)).collect();
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

    /// Ends `flush` when each key that is due now has ended an attempt, or takes too long.
    pub(super) fn attempt_due(&mut self, flush: FlushSender) {
        let now = self.clock.elapsed();
        self.lane.tick(now);
        self.lane.attempt_due(now, flush);
    }

    /// The same for those under way, without starting others.
    pub(super) fn end_attempts(&mut self, flush: FlushSender) {
        self.lane.end_attempts(self.clock.elapsed(), flush);
        self.deliver();
    }

    /// Time has passed, and nothing is to be started.
    pub(super) fn tick(&mut self) {
        self.lane.tick(self.clock.elapsed());
        self.deliver();
    }

    /// The lane ends: what is in memory now is given up.
    pub(super) fn stop(&self) {
        self.gauge.stop(self.lane.state());
    }

    fn deliver(&mut self) {
        let outcomes = self.lane.take_outcomes();
        if !outcomes.is_empty() && kept(Care::CountedBeforeTold) {
            self.gauge.set(self.lane.state());
        }
        for outcome in outcomes {
            match outcome {
                // Nobody has to wait for what comes of a call.
                Outcome::Receipt(receipt, outcome) => drop(receipt.send(outcome)),
                Outcome::Flush(flush, outcome) => drop(flush.send(outcome)),
                Outcome::Discard(discard, insertions) => drop(discard.send(insertions)),
                Outcome::Released { list, bytes, items } => self.budget.release(&list, Share { bytes, items }),
                Outcome::Suspect { list, bytes, to_be_put_right } => self.budget.fails(list, bytes, to_be_put_right),
                Outcome::Sound { list } => self.budget.works(&list),
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
