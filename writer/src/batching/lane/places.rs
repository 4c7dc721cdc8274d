//! Which appends may be under way beside each other: keys that fail, or hang, must not hold up those that work.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// An append that has been under way so long is suspect: its place is not one of those for keys that work.
pub(in super::super) const SLOW_AFTER: Duration = Duration::from_secs(3);

/// How often a key of a keyspace in doubt, of which nothing is known, is tried as if there were none.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The place of an append under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Slot {
    started: Duration,
    /// From the start.
    suspect: bool,
}

/// Suspects have half of the places at most, where that is known at their start. Those found out later keep theirs;
/// the keys that work then have the other half all the same, so that up to twice as many appends are under way.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    in_flight: usize,
    suspects: usize,
    /// Under way and not slow yet, by their start.
    young: BTreeSet<(Duration, u64)>,
    /// Keyspaces of which the latest that was seen is a failure or a slow append: keys of theirs that nothing is known
    /// of are suspect. Since when, or the latest that was tried all the same.
    doubted: HashMap<String, Duration>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        let (young, doubted) = Default::default();
        Self { limit, in_flight: 0, suspects: 0, young, doubted }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn is_free_for_suspect(&self) -> bool {
        self.in_flight < self.limit && self.suspects < (self.limit / 2).max(1)
    }

    pub(super) fn is_free_for_sound(&self) -> bool {
        let sound = self.in_flight - self.suspects;
        let slow = self.in_flight - self.young.len();
        let their_half = (self.limit - self.limit / 2).max(1);
        self.in_flight < self.limit || (slow > 0 && sound < their_half && self.in_flight < 2 * self.limit)
    }

    pub(super) fn begin(&mut self, now: Duration, number: u64, suspect: bool) -> Slot {
        self.in_flight += 1;
        self.suspects += usize::from(suspect);
        self.young.insert((now, number));
        Slot { started: now, suspect }
    }

    pub(super) fn end(&mut self, number: u64, slot: Slot) {
        self.in_flight -= 1;
        let slow = !self.young.remove(&(slot.started, number));
        self.suspects -= usize::from(slow || slot.suspect);
    }

    /// The next append that has become slow.
    pub(super) fn next_slow(&mut self, now: Duration, was_suspect: impl FnOnce(u64) -> bool) -> Option<u64> {
        let (started, number) = *self.young.first()?;
        if now.saturating_sub(started) < SLOW_AFTER {
            return None;
        }
        self.young.pop_first();
        self.suspects += usize::from(!was_suspect(number));
        Some(number)
    }

    pub(super) fn doubt(&mut self, now: Duration, keyspace: &str) {
        if !self.doubted.contains_key(keyspace) {
            self.doubted.insert(keyspace.to_owned(), now);
        }
    }

    /// An append has succeeded; whether that ends a doubt.
    pub(super) fn trust(&mut self, keyspace: &str) -> bool {
        self.doubted.remove(keyspace).is_some()
    }

    /// Whether a key of the keyspace of which nothing is known is a suspect: not, now and then, to see how it goes.
    pub(super) fn is_suspect(&self, now: Duration, keyspace: &str) -> bool {
        self.doubted.get(keyspace).is_some_and(|since| now.saturating_sub(*since) < PROBE_INTERVAL)
    }

    /// Such a key is sent.
    pub(super) fn probe(&mut self, now: Duration, keyspace: &str) {
        if let Some(since) = self.doubted.get_mut(keyspace) {
            *since = now;
        }
    }
}

impl Slot {
    pub(super) fn was_suspect(self) -> bool {
        self.suspect
    }
}
