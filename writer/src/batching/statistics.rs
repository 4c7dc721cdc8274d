//! What a batching writer holds and has done: as a snapshot, and through the `metrics` facade.

use std::time::Duration;

use super::budget::Usage;
use super::lane::LaneState;
use crate::sync::{AtomicBool, Mutex, Ordering, PoisonError};

/// What a batching writer holds now, and what it has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchingStatistics {
    /// Bytes in memory that are not durable yet, counted against `max_buffered_bytes`: values, names, and an estimate
    /// of what each item takes beside its value.
    pub buffered_bytes: u64,
    /// The most that ever were.
    pub peak_buffered_bytes: u64,
    /// Items in memory that are not durable yet.
    pub buffered_item_count: u64,
    /// Keys with such items: each has one batch.
    pub batch_count: u64,
    /// How long the oldest of those items has waited, in milliseconds.
    pub oldest_age_millis: Option<u64>,
    /// Keys whose latest attempt failed.
    pub failing_key_count: u64,
    /// Appends under way to the inner writer.
    pub in_flight_count: u64,
    /// Appends sent to the inner writer, repeated ones included. From `S3StoreWriter` each is one PUT, besides those
    /// of its retries, conflicts and compactions.
    pub put_count: u64,
    /// Appends that were sent again because they had failed.
    pub retry_count: u64,
    /// Items appended.
    pub appended_count: u64,
    /// Items dropped as duplicates by their nonces.
    pub duplicate_count: u64,
    /// Commits that another writer came before.
    pub conflict_count: u64,
}

/// A lane's state for others to look at.
#[derive(Debug, Default)]
pub(super) struct LaneGauge {
    state: Mutex<LaneState>,
    stopped: AtomicBool,
}

impl LaneGauge {
    pub(super) fn set(&self, state: LaneState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Nothing comes after this.
    pub(super) fn stop(&self, state: LaneState) {
        self.set(state);
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether the lane was stopped when nothing was in memory any longer.
    pub(super) fn is_stopped_empty(&self) -> bool {
        self.stopped.load(Ordering::Acquire) && self.state().batches == 0
    }

    pub(super) fn state(&self) -> LaneState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BatchingStatistics {
    pub(super) fn of(usage: Usage, lanes: impl Iterator<Item = LaneState>, now: Duration) -> Self {
        let start = Self {
            buffered_bytes: usage.bytes,
            peak_buffered_bytes: usage.peak_bytes,
            buffered_item_count: usage.items,
            ..Self::default()
        };
        lanes.fold(start, |sum, lane| Self {
            batch_count: sum.batch_count + lane.batches,
            oldest_age_millis: sum.oldest_age_millis.max(lane.oldest.map(|oldest| age_millis(oldest, now))),
            failing_key_count: sum.failing_key_count + lane.failing_keys,
            in_flight_count: sum.in_flight_count + lane.in_flight,
            put_count: sum.put_count + lane.appends,
            retry_count: sum.retry_count + lane.retries,
            appended_count: sum.appended_count + lane.appended_items,
            duplicate_count: sum.duplicate_count + lane.duplicates,
            conflict_count: sum.conflict_count + lane.conflicts,
            ..sum
        })
    }
}

fn age_millis(oldest: Duration, now: Duration) -> u64 {
    u64::try_from(now.saturating_sub(oldest).as_millis()).unwrap_or(u64::MAX)
}

/// Tells the recorder that the process has installed, if any. Each lane is a label; the bytes are the whole writer's.
pub(super) fn record(lane: usize, state: &LaneState, usage: Usage, now: Duration) {
    let label = [("lane", lane.to_string())];
    let age = state.oldest.map_or(Duration::ZERO, |oldest| now.saturating_sub(oldest));
    metrics::gauge!("klstore_batching_buffered_bytes").set(usage.bytes as f64);
    metrics::gauge!("klstore_batching_buffered_items").set(usage.items as f64);
    metrics::gauge!("klstore_batching_batches", &label).set(state.batches as f64);
    metrics::gauge!("klstore_batching_oldest_age_seconds", &label).set(age.as_secs_f64());
    metrics::gauge!("klstore_batching_failing_keys", &label).set(state.failing_keys as f64);
    metrics::gauge!("klstore_batching_in_flight", &label).set(state.in_flight as f64);
    metrics::counter!("klstore_batching_puts_total", &label).absolute(state.appends);
    metrics::counter!("klstore_batching_retries_total", &label).absolute(state.retries);
    metrics::counter!("klstore_batching_appended_items_total", &label).absolute(state.appended_items);
    metrics::counter!("klstore_batching_duplicates_total", &label).absolute(state.duplicates);
    metrics::counter!("klstore_batching_conflicts_total", &label).absolute(state.conflicts);
}
