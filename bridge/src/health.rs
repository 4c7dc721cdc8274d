//! Whether the bridge is alive and has its place in the group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the poll thread says of itself, for others to look at. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    polls: AtomicU64,
    assigned: AtomicBool,
    waiting_millis: AtomicU64,
}

impl Health {
    pub(crate) fn polled(&self, assigned: bool, waiting: Duration) {
        self.0.assigned.store(assigned, Ordering::Relaxed);
        let millis = u64::try_from(waiting.as_millis()).unwrap_or(u64::MAX);
        self.0.waiting_millis.store(millis, Ordering::Relaxed);
        self.0.polls.fetch_add(1, Ordering::Release);
    }

    /// How often the poll thread has gone round: it stands still only during a drain or a rebalance.
    pub fn poll_count(&self) -> u64 {
        self.0.polls.load(Ordering::Acquire)
    }

    /// Whether the group has given the instance its partitions, be they none.
    pub fn is_assigned(&self) -> bool {
        self.0.assigned.load(Ordering::Relaxed)
    }

    /// How long the oldest record that is not durable has waited.
    pub fn waiting(&self) -> Duration {
        Duration::from_millis(self.0.waiting_millis.load(Ordering::Relaxed))
    }
}
