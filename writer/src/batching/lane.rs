//! One thread's share of the keys: what is collected, when it is sent, and what becomes of it. No I/O, no clock.
//!
//! Whoever owns a lane tells it what happened and at what time, then asks for appends to start and for what came of
//! earlier ones.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use klstore_format::Insertion;

use super::key_buffer::{Acknowledged, BatchThresholds, KeyBuffer, ListKey, Place};
use crate::environment::RandomSource;
use crate::error::WriterError;
use crate::receipt::Appended;

/// By what a lane decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneOptions {
    pub(super) thresholds: BatchThresholds,
    pub(super) flush_interval: Duration,
    pub(super) max_in_flight: usize,
    pub(super) retry_delays: RetryDelays,
}

/// The waits between the attempts of a batch that fails; a random part of up to a half is taken off.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryDelays {
    /// After the first transient failure; it doubles.
    pub(super) base: Duration,
    /// The longest, and the wait after an error that somebody has to put right.
    pub(super) max: Duration,
}

/// One attempt to append a batch.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The key's number, for [`Lane::finished`].
    pub(super) number: u64,
    pub(super) list: Arc<ListKey>,
    pub(super) insertions: Vec<Insertion>,
    /// The same for all attempts of a batch.
    pub(super) idempotency_key: u128,
}

/// What came of calls: `R` is a receipt, `F` a flush.
pub(super) enum Outcome<R, F> {
    Receipt(R, Result<Appended, WriterError>),
    Flush(F, Result<(), WriterError>),
    /// What has left the memory.
    Released {
        bytes: u64,
        items: u64,
    },
    /// An attempt failed; its items are still in memory.
    AttemptFailed(WriterError),
}

/// What a lane holds now, and how often it did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LaneState {
    pub(super) batches: u64,
    pub(super) failing_keys: u64,
    pub(super) in_flight: u64,
    /// When the oldest call that is not durable came.
    pub(super) oldest: Option<Duration>,
    pub(super) appends: u64,
    pub(super) retries: u64,
    pub(super) appended_items: u64,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
}

pub(super) struct Lane<R, F> {
    options: LaneOptions,
    random: Arc<dyn RandomSource>,
    numbers: HashMap<Arc<ListKey>, u64>,
    keys: HashMap<u64, KeyBuffer<R>>,
    next_number: u64,
    /// Keys that collect, in the order in which they become old enough.
    collecting: BTreeSet<(Duration, u64)>,
    ready: VecDeque<u64>,
    /// Keys that failed, in the order in which their waits end.
    backing_off: BTreeSet<(Duration, u64)>,
    retry_ready: VecDeque<u64>,
    in_flight: usize,
    retries_in_flight: usize,
    retry_has_turn: bool,
    /// Every key by its oldest call.
    ages: BTreeSet<(Duration, u64)>,
    flushes: HashMap<u64, Flush<F>>,
    next_flush: u64,
    outcomes: Vec<Outcome<R, F>>,
    state: LaneState,
}

struct Flush<F> {
    waiter: F,
    /// Keys that have not come to an end yet.
    keys: usize,
    error: Option<WriterError>,
}

impl<R, F> Lane<R, F> {
    pub(super) fn new(options: LaneOptions, random: Arc<dyn RandomSource>) -> Self {
        Self {
            options,
            random,
            numbers: HashMap::new(),
            keys: HashMap::new(),
            next_number: 0,
            collecting: BTreeSet::new(),
            ready: VecDeque::new(),
            backing_off: BTreeSet::new(),
            retry_ready: VecDeque::new(),
            in_flight: 0,
            retries_in_flight: 0,
            retry_has_turn: false,
            ages: BTreeSet::new(),
            flushes: HashMap::new(),
            next_flush: 0,
            outcomes: Vec::new(),
            state: LaneState::default(),
        }
    }

    /// Takes an append in. There is at least one insertion.
    pub(super) fn append(&mut self, now: Duration, list: ListKey, insertions: Vec<Insertion>, receipt: R) {
        let number = match self.numbers.get(&list) {
            Some(number) => *number,
            None => self.begin_key(now, list),
        };
        let Some(key) = self.keys.get_mut(&number) else { return };
        key.push(now, insertions, receipt);
        if matches!(key.place, Place::Collecting(_)) && key.is_due(&self.options.thresholds) {
            self.make_ready(number);
        }
    }

    /// Ends `waiter` when all that has been taken for the key is durable, or an attempt of it has failed.
    pub(super) fn flush_key(&mut self, list: &ListKey, waiter: F) {
        let numbers = self.numbers.get(list).copied().into_iter().collect();
        self.flush(numbers, waiter);
    }

    /// The same for all keys; each comes to its end before the first failure is told.
    pub(super) fn flush_all(&mut self, waiter: F) {
        self.flush(self.keys.keys().copied().collect(), waiter);
    }

    /// Time has passed: looks which batches have become old enough and which waits are over.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((since, number)) = self.collecting.first().copied()
            && now.saturating_sub(since) >= self.options.flush_interval
        {
            self.make_ready(number);
        }
        while let Some((until, number)) = self.backing_off.first().copied()
            && until <= now
        {
            self.make_retry_ready(number);
        }
    }

    /// The next append to start, if one is due and may be under way beside the others. While callers wait for memory
    /// (`memory_is_short`), batches are sent before they are due, the oldest first.
    ///
    /// Keys that have failed use at most half of the places, and take turns with the others: neither holds up the
    /// other.
    pub(super) fn next_attempt(&mut self, memory_is_short: bool) -> Option<Attempt> {
        if self.in_flight >= self.options.max_in_flight {
            return None;
        }
        let (number, retry) = self.next_key(memory_is_short)?;
        let key = self.keys.get_mut(&number)?;
        key.place = Place::InFlight { retry };
        let (insertions, idempotency_key) = key.batch(&self.options.thresholds, || self.random.next());
        self.in_flight += 1;
        self.retries_in_flight += usize::from(retry);
        self.state.appends += 1;
        self.state.retries += u64::from(retry);
        Some(Attempt { number, list: key.list.clone(), insertions, idempotency_key })
    }

    /// An attempt has ended.
    pub(super) fn finished(&mut self, now: Duration, number: u64, outcome: Result<Appended, WriterError>) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::InFlight { retry } = key.place {
            self.in_flight -= 1;
            self.retries_in_flight -= usize::from(retry);
        }
        match outcome {
            Ok(appended) => {
                self.acknowledge(number, usize::MAX, &appended);
                self.go_on(number);
            }
            Err(WriterError::PartlyAppended { insertions_done, appended, cause, .. }) => {
                self.acknowledge(number, insertions_done, &appended);
                // The whole batch, in spite of an error: there is nothing to be tried again.
                if self.keys.get(&number).is_some_and(KeyBuffer::is_empty) {
                    return self.go_on(number);
                }
                self.fail(now, number, *cause);
            }
            Err(error) => self.fail(now, number, error),
        }
    }

    /// What has come of earlier calls since this was last asked.
    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome<R, F>> {
        std::mem::take(&mut self.outcomes)
    }

    pub(super) fn state(&self) -> LaneState {
        LaneState {
            batches: self.keys.len() as u64,
            in_flight: self.in_flight as u64,
            oldest: self.ages.first().map(|(at, _)| *at),
            ..self.state
        }
    }

    /// Whether nothing is in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the key whose turn it is out of its queue; whether it is one that has failed.
    fn next_key(&mut self, memory_is_short: bool) -> Option<(u64, bool)> {
        let most_retries = (self.options.max_in_flight / 2).max(1);
        let retry_waits = !self.retry_ready.is_empty() && self.retries_in_flight < most_retries;
        if retry_waits && (self.retry_has_turn || self.ready.is_empty()) {
            self.retry_has_turn = false;
            return self.retry_ready.pop_front().map(|number| (number, true));
        }
        self.retry_has_turn = true;
        let number = match self.ready.pop_front() {
            None if memory_is_short => self.collecting.pop_first()?.1,
            number => number?,
        };
        Some((number, false))
    }

    fn begin_key(&mut self, now: Duration, list: ListKey) -> u64 {
        let (number, list) = (self.next_number, Arc::new(list));
        self.next_number += 1;
        self.numbers.insert(list.clone(), number);
        self.keys.insert(number, KeyBuffer::new(list, now));
        self.collecting.insert((now, number));
        self.ages.insert((now, number));
        number
    }

    fn flush(&mut self, numbers: Vec<u64>, waiter: F) {
        if numbers.is_empty() {
            self.outcomes.push(Outcome::Flush(waiter, Ok(())));
            return;
        }
        let flush = self.next_flush;
        self.next_flush += 1;
        self.flushes.insert(flush, Flush { waiter, keys: numbers.len(), error: None });
        for number in numbers {
            let Some(key) = self.keys.get_mut(&number) else { continue };
            key.add_barrier(flush);
            match key.place {
                Place::Collecting(_) => self.make_ready(number),
                Place::BackingOff(_) => self.make_retry_ready(number),
                Place::Ready | Place::RetryReady | Place::InFlight { .. } => {}
            }
        }
    }

    fn make_ready(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::Collecting(since) = key.place {
            self.collecting.remove(&(since, number));
            key.place = Place::Ready;
            self.ready.push_back(number);
        }
    }

    fn make_retry_ready(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::BackingOff(until) = key.place {
            self.backing_off.remove(&(until, number));
            key.place = Place::RetryReady;
            self.retry_ready.push_back(number);
        }
    }

    fn acknowledge(&mut self, number: u64, count: usize, appended: &Appended) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        let (len, oldest) = (key.len(), key.oldest());
        let Acknowledged { receipts, bytes } = key.acknowledge(count, appended);
        let reached = key.reached_barriers();
        self.state.appended_items += appended.appended_count;
        self.state.duplicates += appended.duplicate_count;
        self.state.conflicts += appended.conflict_count;
        if key.oldest() != oldest {
            self.ages.extend(key.oldest().map(|at| (at, number)));
            if let Some(oldest) = oldest {
                self.ages.remove(&(oldest, number));
            }
        }
        self.outcomes.push(Outcome::Released { bytes, items: (len - key.len()) as u64 });
        self.outcomes.extend(receipts.into_iter().map(|(receipt, outcome)| Outcome::Receipt(receipt, outcome)));
        reached.into_iter().for_each(|flush| self.end_barrier(flush, None));
    }

    /// A batch is durable: the key collects the next one, or is forgotten.
    fn go_on(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        self.state.failing_keys -= u64::from(key.failures > 0);
        key.failures = 0;
        let Some(since) = key.oldest() else {
            self.numbers.remove(&key.list);
            self.keys.remove(&number);
            return;
        };
        key.place = Place::Collecting(since);
        self.collecting.insert((since, number));
        if key.is_due(&self.options.thresholds) {
            self.make_ready(number);
        }
    }

    /// An attempt has failed: everything stays, flushes end, and receipts too where somebody has to put it right.
    fn fail(&mut self, now: Duration, number: u64, error: WriterError) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        let transient = error.is_transient();
        if self.state.failing_keys == 0 {
            tracing::warn!(list = %key.list, %error, "an append failed; it stays in memory and is tried again");
        } else {
            tracing::debug!(list = %key.list, %error, failures = key.failures + 1, "an append failed again or elsewhere");
        }
        self.state.failing_keys += u64::from(key.failures == 0);
        key.failures = key.failures.saturating_add(1);
        let delay = self.options.retry_delays.after(key.failures, transient, self.random.as_ref());
        let until = now.saturating_add(delay);
        key.place = Place::BackingOff(until);
        self.backing_off.insert((until, number));
        let (list, cause) = (key.list.clone(), Arc::new(error));
        let still_buffered = || WriterError::StillBuffered { list: list.to_string(), cause: cause.clone() };
        let barriers = key.take_barriers();
        if !transient {
            let told = key.take_receipts().into_iter();
            self.outcomes.extend(told.map(|receipt| Outcome::Receipt(receipt, Err(still_buffered()))));
        }
        barriers.into_iter().for_each(|flush| self.end_barrier(flush, Some(still_buffered())));
        self.outcomes.push(Outcome::AttemptFailed(still_buffered()));
    }

    fn end_barrier(&mut self, number: u64, error: Option<WriterError>) {
        let Some(flush) = self.flushes.get_mut(&number) else { return };
        flush.keys -= 1;
        flush.error = flush.error.take().or(error);
        if flush.keys == 0
            && let Some(flush) = self.flushes.remove(&number)
        {
            self.outcomes.push(Outcome::Flush(flush.waiter, flush.error.map_or(Ok(()), Err)));
        }
    }
}

impl RetryDelays {
    fn after(&self, failures: u32, transient: bool, random: &dyn RandomSource) -> Duration {
        let doubled = self.base.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let longest = if transient { doubled.min(self.max) } else { self.max };
        // The low 16 random bits, as a part of a half.
        let part = (random.next() & 0xFFFF) as u32;
        longest.saturating_sub(longest / 2 * part / 0x1_0000)
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
