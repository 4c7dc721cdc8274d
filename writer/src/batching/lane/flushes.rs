//! Who waits for keys to become durable, and what they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Lane, Outcome};
use crate::batching::key_buffer::{Barrier, KeyBuffer};
use crate::error::WriterError;

/// The flushes under way, by their numbers.
pub(super) struct Flushes<F> {
    under_way: BTreeMap<u64, Flush<F>>,
    next: u64,
}

struct Flush<F> {
    waiter: F,
    /// Keys that have not come to an end yet.
    keys: usize,
    /// When it began, or something that it covers became durable.
    moved: Duration,
    /// Keys that failed, and how far they should have come.
    left: Vec<(u64, u64)>,
    discarded: Option<WriterError>,
}

/// How a flush's wait for a key ends.
pub(super) enum End {
    Reached,
    /// Its attempt failed, or took too long.
    Left(u64),
    Discarded(WriterError),
}

impl<F> Default for Flushes<F> {
    fn default() -> Self {
        Self { under_way: BTreeMap::new(), next: 0 }
    }
}

impl<F> Flushes<F> {
    pub(super) fn begin(&mut self, now: Duration, keys: usize, waiter: F) -> u64 {
        let number = self.next;
        self.next += 1;
        self.under_way.insert(number, Flush { waiter, keys, moved: now, left: Vec::new(), discarded: None });
        number
    }

    /// Something that these wait for became durable.
    pub(super) fn moved(&mut self, now: Duration, barriers: &[Barrier]) {
        for barrier in barriers {
            if let Some(flush) = self.under_way.get_mut(&barrier.flush) {
                flush.moved = now;
            }
        }
    }
}

impl<R, F, D> Lane<R, F, D> {
    /// Ends flushes of which nothing has become durable for as long as `flush_deadline`.
    pub(super) fn expire_flushes(&mut self, now: Duration) {
        let deadline = self.options.flush_deadline;
        let late = |flush: &Flush<F>| now.saturating_sub(flush.moved) >= deadline;
        let late: Vec<u64> =
            self.flushes.under_way.iter().filter(|(_, flush)| late(flush)).map(|(number, _)| *number).collect();
        for flush in late {
            let waits = self.keys.iter_mut().filter_map(|(number, key)| Some((*number, key.take_barrier(flush)?)));
            for (number, barrier) in waits.collect::<Vec<_>>() {
                self.end_barrier(barrier, End::Left(number));
            }
        }
    }

    pub(super) fn end_barrier(&mut self, barrier: Barrier, end: End) {
        let Some(flush) = self.flushes.under_way.get_mut(&barrier.flush) else { return };
        flush.keys -= 1;
        match end {
            End::Reached => {}
            End::Left(number) => flush.left.push((number, barrier.until)),
            End::Discarded(error) => flush.discarded = Some(error),
        }
        if flush.keys == 0
            && let Some(flush) = self.flushes.under_way.remove(&barrier.flush)
        {
            let left = self.still_buffered(&flush.left).or(flush.discarded);
            self.outcomes.push(Outcome::Flush(flush.waiter, left.map_or(Ok(()), Err)));
        }
    }

    /// What is still in memory of these keys: some may have become durable since they failed.
    fn still_buffered(&self, left: &[(u64, u64)]) -> Option<WriterError> {
        let behind = || {
            let keys = left.iter().filter_map(|(number, until)| Some((self.keys.get(number)?, *until)));
            keys.filter(|(key, until)| key.is_behind(*until)).map(|(key, _)| key)
        };
        let to_be_put_right = |key: &&KeyBuffer<R>| key.failure.as_ref().is_some_and(|error| !error.is_transient());
        let named = behind().find(to_be_put_right).or_else(|| behind().find(|key| key.failure.is_some()));
        let key = named.or_else(|| behind().next())?;
        let list = key.list.to_string();
        let cause = key.failure.clone().unwrap_or_else(|| {
            let reason = format!("nothing became durable for {:?}", self.options.flush_deadline);
            Arc::new(WriterError::Unavailable { target: list.clone(), reason, may_have_appended: true })
        });
        let item_count = behind().map(|key| key.len() as u64).sum();
        Some(WriterError::StillBuffered { list, item_count, key_count: behind().count() as u64, cause })
    }
}
