//! One thread's share of the keys: what is collected, when it is sent, and what becomes of it. No I/O, no clock.
//!
//! Whoever owns a lane tells it what happened and at what time, then asks for appends to start and for what came of
//! earlier ones.

mod flushes;
mod places;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use klstore_format::Insertion;

use super::key_buffer::{Acknowledged, BatchThresholds, Discarded, KeyBuffer, ListKey, Place};
use crate::environment::RandomSource;
use crate::error::WriterError;
use crate::receipt::Appended;
use flushes::{End, Flushes};
use places::Places;

pub(super) use places::Slot;

/// By what a lane decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneOptions {
    pub(super) thresholds: BatchThresholds,
    pub(super) flush_interval: Duration,
    pub(super) max_in_flight: usize,
    pub(super) retry_delays: RetryDelays,
    /// A flush ends when nothing that it covers has become durable for so long.
    pub(super) flush_deadline: Duration,
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

/// What came of calls: `R` is a receipt, `F` a flush, `D` a discard.
pub(super) enum Outcome<R, F, D> {
    Receipt(R, Result<Appended, WriterError>),
    Flush(F, Result<(), WriterError>),
    Discard(D, Vec<Insertion>),
    /// What has left the memory.
    Released {
        list: Arc<ListKey>,
        bytes: u64,
        items: u64,
    },
    /// A key fails, or is likely to: what it has in memory, and what somebody has to put right, where that is known.
    Suspect {
        list: Arc<ListKey>,
        bytes: u64,
        to_be_put_right: Option<Arc<WriterError>>,
    },
    /// It works again, or is forgotten.
    Sound {
        list: Arc<ListKey>,
    },
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

pub(super) struct Lane<R, F, D> {
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
    suspect_ready: VecDeque<u64>,
    /// Due, and in doubt with their keyspace alone.
    doubted_ready: VecDeque<u64>,
    suspect_has_turn: bool,
    doubted_has_turn: bool,
    places: Places,
    /// Every key by its oldest call.
    ages: BTreeSet<(Duration, u64)>,
    flushes: Flushes<F>,
    /// Discards that wait for the append under way, by key: up to which insertion.
    discards: HashMap<u64, Vec<(u64, D)>>,
    outcomes: Vec<Outcome<R, F, D>>,
    state: LaneState,
}

impl<R, F, D> Lane<R, F, D> {
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
            suspect_ready: VecDeque::new(),
            doubted_ready: VecDeque::new(),
            suspect_has_turn: false,
            doubted_has_turn: false,
            places: Places::new(options.max_in_flight),
            ages: BTreeSet::new(),
            flushes: Flushes::default(),
            discards: HashMap::new(),
            outcomes: Vec::new(),
            state: LaneState::default(),
        }
    }

    /// Takes an append in. There is at least one insertion.
    pub(super) fn append(
        &mut self,
        now: Duration,
        list: impl Into<Arc<ListKey>>,
        insertions: Vec<Insertion>,
        receipt: R,
    ) {
        let list = list.into();
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

    /// Ends `waiter` when all that has been taken for the key is durable, an attempt of it has failed, or nothing has
    /// become durable for the flush deadline.
    pub(super) fn flush_key(&mut self, now: Duration, list: &ListKey, waiter: F) {
        let numbers = self.numbers.get(list).copied().into_iter().collect();
        self.flush(now, numbers, waiter);
    }

    /// The same for all keys; each comes to its end before the first failure is told.
    pub(super) fn flush_all(&mut self, now: Duration, waiter: F) {
        self.flush(now, self.keys.keys().copied().collect(), waiter);
    }

    /// Ends `waiter` when each key that is due or under way has ended an attempt, or as a flush does.
    pub(super) fn attempt_due(&mut self, now: Duration, waiter: F) {
        let due = |place: Place| matches!(place, Place::Ready | Place::SuspectReady | Place::InFlight(_));
        self.await_attempts(now, due, waiter);
    }

    /// The same for those under way alone.
    pub(super) fn end_attempts(&mut self, now: Duration, waiter: F) {
        self.await_attempts(now, |place| matches!(place, Place::InFlight(_)), waiter);
    }

    /// Gives up what is in memory of the key now, once the append that may be under way has ended.
    pub(super) fn discard(&mut self, list: &ListKey, waiter: D) {
        let key = self.numbers.get(list).and_then(|number| Some((*number, self.keys.get(number)?)));
        let Some((number, key)) = key else { return self.outcomes.push(Outcome::Discard(waiter, Vec::new())) };
        let under_way = matches!(key.place, Place::InFlight(_));
        self.discards.entry(number).or_default().push((key.taken(), waiter));
        if !under_way {
            self.carry_out_discards(number);
        }
    }

    /// Time has passed: looks which batches have become old enough, which waits are over, and what takes too long.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some((since, number)) = self.collecting.first().copied()
            && now.saturating_sub(since) >= self.options.flush_interval
        {
            self.make_ready(number);
        }
        while let Some((until, number)) = self.backing_off.first().copied()
            && until <= now
        {
            self.make_suspect_ready(number);
        }
        let keys = &self.keys;
        let was_suspect = |number| match keys.get(&number).map(|key| key.place) {
            Some(Place::InFlight(slot)) => slot.was_suspect(),
            _ => false,
        };
        let slow: Vec<u64> = std::iter::from_fn(|| self.places.next_slow(now, was_suspect)).collect();
        slow.into_iter().for_each(|number| self.suspect(now, number));
        self.probe(now);
        self.expire_flushes(now);
    }

    /// The next append to start, if one is due and may be under way beside the others. While callers wait for memory
    /// (`memory_is_short`), batches are sent before they are due, the oldest first.
    ///
    /// Suspect keys, which have failed or are likely to, use at most half of the places and take turns with the others:
    /// neither holds up the other.
    pub(super) fn next_attempt(&mut self, now: Duration, memory_is_short: bool) -> Option<Attempt> {
        let (number, suspect) = self.next_key(now, memory_is_short)?;
        let key = self.keys.get_mut(&number)?;
        key.place = Place::InFlight(self.places.begin(now, number, suspect));
        let (insertions, idempotency_key) = key.batch(&self.options.thresholds, || self.random.next());
        self.state.appends += 1;
        self.state.retries += u64::from(key.failures > 0);
        Some(Attempt { number, list: key.list.clone(), insertions, idempotency_key })
    }

    /// An attempt has ended.
    pub(super) fn finished(&mut self, now: Duration, number: u64, outcome: Result<Appended, WriterError>) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::InFlight(slot) = key.place {
            self.places.end(number, slot);
        }
        match outcome {
            Ok(appended) => {
                let list = key.list.clone();
                self.trust(&list.keyspace);
                self.acknowledge(now, number, usize::MAX, &appended);
                self.go_on(number);
            }
            Err(WriterError::PartlyAppended { insertions_done, appended, cause, .. }) => {
                self.acknowledge(now, number, insertions_done, &appended);
                // The whole batch, in spite of an error: there is nothing to be tried again.
                if self.keys.get(&number).is_some_and(KeyBuffer::is_empty) {
                    self.go_on(number);
                } else {
                    self.fail(now, number, *cause);
                }
            }
            Err(error) => self.fail(now, number, error),
        }
        self.carry_out_discards(number);
    }

    /// What has come of earlier calls since this was last asked.
    pub(super) fn take_outcomes(&mut self) -> Vec<Outcome<R, F, D>> {
        std::mem::take(&mut self.outcomes)
    }

    pub(super) fn state(&self) -> LaneState {
        LaneState {
            batches: self.keys.len() as u64,
            in_flight: self.places.in_flight() as u64,
            oldest: self.ages.first().map(|(at, _)| *at),
            ..self.state
        }
    }

    /// Whether nothing is in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the key whose turn it is out of its queue; whether it is a suspect.
    fn next_key(&mut self, now: Duration, memory_is_short: bool) -> Option<(u64, bool)> {
        loop {
            let suspects_wait = !self.suspect_ready.is_empty() || !self.doubted_ready.is_empty();
            let suspect_may = suspects_wait && self.places.is_free_for_suspect();
            let others_wait = !self.ready.is_empty() || (memory_is_short && !self.collecting.is_empty());
            let other_may = others_wait && self.places.is_free_for_sound();
            if suspect_may && (self.suspect_has_turn || !other_may) {
                self.suspect_has_turn = false;
                return self.next_suspect().map(|number| (number, true));
            }
            if !other_may {
                return None;
            }
            let number = match self.ready.pop_front() {
                Some(number) => number,
                None => self.collecting.pop_first()?.1,
            };
            let Some(key) = self.keys.get_mut(&number) else { continue };
            if !self.places.is_suspect(now, &key.list.keyspace) {
                self.places.probe(now, &key.list.keyspace);
                self.suspect_has_turn = true;
                return Some((number, false));
            }
            key.place = Place::SuspectReady;
            self.doubted_ready.push_back(number);
            self.suspect(now, number);
        }
    }

    fn next_suspect(&mut self) -> Option<u64> {
        self.doubted_has_turn = !self.doubted_has_turn;
        let (first, second) = match self.doubted_has_turn {
            true => (&mut self.doubted_ready, &mut self.suspect_ready),
            false => (&mut self.suspect_ready, &mut self.doubted_ready),
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    /// Lets one key whose keyspace is in doubt be tried like any other, where it is time for that.
    fn probe(&mut self, now: Duration) {
        let keyspace = |number: &u64| self.keys.get(number).map(|key| key.list.keyspace.as_str());
        let may = |number: &u64| keyspace(number).is_some_and(|keyspace| !self.places.is_suspect(now, keyspace));
        if let Some(place) = self.doubted_ready.iter().position(may)
            && let Some(number) = self.doubted_ready.remove(place)
        {
            self.end_doubt(number);
        }
    }

    /// An append to a key of the keyspace has succeeded.
    fn trust(&mut self, keyspace: &str) {
        if !self.places.trust(keyspace) {
            return;
        }
        let of_it = |number: &u64| self.keys.get(number).is_some_and(|key| key.list.keyspace == keyspace);
        let (trusted, others): (Vec<u64>, _) = std::mem::take(&mut self.doubted_ready).into_iter().partition(of_it);
        self.doubted_ready = others.into();
        trusted.into_iter().for_each(|number| self.end_doubt(number));
    }

    fn end_doubt(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        key.place = Place::Ready;
        self.ready.push_back(number);
        if std::mem::take(&mut key.suspect) {
            self.outcomes.push(Outcome::Sound { list: key.list.clone() });
        }
    }

    /// What comes of the key is in doubt, and so of its keyspace.
    fn suspect(&mut self, now: Duration, number: u64) {
        let Some(key) = self.keys.get(&number) else { return };
        self.places.doubt(now, &key.list.keyspace);
        self.suspect_alone(number);
    }

    /// The same of the key alone.
    fn suspect_alone(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        key.suspect = true;
        let to_be_put_right = key.failure.clone().filter(|error| !error.is_transient());
        self.outcomes.push(Outcome::Suspect { list: key.list.clone(), bytes: key.bytes(), to_be_put_right });
    }

    fn begin_key(&mut self, now: Duration, list: Arc<ListKey>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(list.clone(), number);
        self.keys.insert(number, KeyBuffer::new(list, now));
        self.collecting.insert((now, number));
        self.ages.insert((now, number));
        number
    }

    fn flush(&mut self, now: Duration, numbers: Vec<u64>, waiter: F) {
        if numbers.is_empty() {
            self.outcomes.push(Outcome::Flush(waiter, Ok(())));
            return;
        }
        let flush = self.flushes.begin(now, numbers.len(), waiter);
        for number in numbers {
            let Some(key) = self.keys.get_mut(&number) else { continue };
            key.add_barrier(flush);
            match key.place {
                Place::Collecting(_) => self.make_ready(number),
                Place::BackingOff(_) => self.make_suspect_ready(number),
                Place::Ready | Place::SuspectReady | Place::InFlight(_) => {}
            }
        }
    }

    fn await_attempts(&mut self, now: Duration, which: impl Fn(Place) -> bool, waiter: F) {
        let mut keys: Vec<&mut KeyBuffer<R>> = self.keys.values_mut().filter(|key| which(key.place)).collect();
        if keys.is_empty() {
            self.outcomes.push(Outcome::Flush(waiter, Ok(())));
            return;
        }
        let flush = self.flushes.begin(now, keys.len(), waiter);
        keys.iter_mut().for_each(|key| key.add_attempt_barrier(flush));
    }

    fn make_ready(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::Collecting(since) = key.place {
            self.collecting.remove(&(since, number));
            key.place = Place::Ready;
            self.ready.push_back(number);
        }
    }

    fn make_suspect_ready(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        if let Place::BackingOff(until) = key.place {
            self.backing_off.remove(&(until, number));
            key.place = Place::SuspectReady;
            self.suspect_ready.push_back(number);
        }
    }

    fn acknowledge(&mut self, now: Duration, number: u64, count: usize, appended: &Appended) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        let (len, oldest) = (key.len(), key.oldest());
        self.flushes.moved(now, key.barriers());
        let Acknowledged { receipts, bytes } = key.acknowledge(count, appended);
        let reached = key.reached_barriers();
        self.state.appended_items += appended.appended_count;
        self.state.duplicates += appended.duplicate_count;
        self.state.conflicts += appended.conflict_count;
        let (list, items) = (key.list.clone(), (len - key.len()) as u64);
        self.outcomes.push(Outcome::Released { list, bytes, items });
        self.outcomes.extend(receipts.into_iter().map(|(receipt, outcome)| Outcome::Receipt(receipt, outcome)));
        self.age(number, oldest);
        reached.into_iter().for_each(|barrier| self.end_barrier(barrier, End::Reached));
    }

    /// Some of the key has left the memory: its oldest call was `before`.
    fn age(&mut self, number: u64, before: Option<Duration>) {
        let oldest = self.keys.get(&number).and_then(KeyBuffer::oldest);
        if let Some(before) = before.filter(|_| oldest != before) {
            self.ages.remove(&(before, number));
            self.ages.extend(oldest.map(|at| (at, number)));
        }
    }

    fn carry_out_discards(&mut self, number: u64) {
        for (until, waiter) in self.discards.remove(&number).into_iter().flatten() {
            let insertions = self.carry_out_discard(number, until);
            self.outcomes.push(Outcome::Discard(waiter, insertions));
        }
    }

    fn carry_out_discard(&mut self, number: u64, until: u64) -> Vec<Insertion> {
        let Some(key) = self.keys.get_mut(&number).filter(|key| key.is_behind(until)) else { return Vec::new() };
        match key.place {
            Place::Collecting(since) => drop(self.collecting.remove(&(since, number))),
            Place::BackingOff(until) => drop(self.backing_off.remove(&(until, number))),
            Place::Ready => self.ready.retain(|other| *other != number),
            Place::SuspectReady => {
                self.suspect_ready.retain(|other| *other != number);
                self.doubted_ready.retain(|other| *other != number);
            }
            Place::InFlight(_) => {}
        }
        let (oldest, list) = (key.oldest(), key.list.clone());
        let Discarded { insertions, receipts, bytes } = key.discard(until);
        let barriers = key.take_barriers();
        let discarded = || WriterError::Discarded { list: list.to_string() };
        self.outcomes.extend(receipts.into_iter().map(|receipt| Outcome::Receipt(receipt, Err(discarded()))));
        barriers.into_iter().for_each(|barrier| self.end_barrier(barrier, End::Discarded(discarded())));
        self.outcomes.push(Outcome::Released { list, bytes, items: insertions.len() as u64 });
        self.age(number, oldest);
        self.go_on(number);
        insertions
    }

    /// A batch has left the memory: the key collects the next one, or is forgotten.
    fn go_on(&mut self, number: u64) {
        let Some(key) = self.keys.get_mut(&number) else { return };
        self.state.failing_keys -= u64::from(key.failures > 0);
        key.failures = 0;
        key.failure = None;
        if std::mem::take(&mut key.suspect) {
            self.outcomes.push(Outcome::Sound { list: key.list.clone() });
        }
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
        // The store has answered: its other lists go on.
        let of_the_list = matches!(error, WriterError::TooManySources { .. });
        let (list, cause, item_count) = (key.list.clone(), Arc::new(error), key.len() as u64);
        key.failure = Some(cause.clone());
        let barriers = key.take_barriers();
        if !transient {
            let still_buffered = || {
                let (list, cause) = (list.to_string(), cause.clone());
                Err(WriterError::StillBuffered { list, item_count, key_count: 1, cause })
            };
            let told = key.take_receipts().into_iter();
            self.outcomes.extend(told.map(|receipt| Outcome::Receipt(receipt, still_buffered())));
        }
        if of_the_list {
            self.suspect_alone(number);
        } else {
            self.suspect(now, number);
        }
        barriers.into_iter().for_each(|barrier| self.end_barrier(barrier, End::Left(number)));
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
