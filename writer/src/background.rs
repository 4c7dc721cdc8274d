//! Work beside the appends: compactions and collections, a bounded number at once.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use klstore_format::FormatError;
use klstore_format::plan::{Compaction, Garbage, Plan, collect};

use crate::driver::{DriveError, Driver};
use crate::error::WriterError;
use crate::sync::{JoinHandle, Semaphore, spawn, watch};

/// Counts the work under way and bounds it.
pub(crate) struct Background {
    driver: Arc<Driver>,
    active: Arc<watch::Sender<Active>>,
    compactions: Arc<Semaphore>,
    collections: Arc<Semaphore>,
}

/// The work under way, numbered as it began.
#[derive(Default)]
struct Active {
    begun: u64,
    running: BTreeSet<u64>,
}

/// How a compaction ended.
pub(crate) type CompactionOutcome = Result<Compaction, WriterError>;

/// A compaction under way. Dropping it stops it: its session is gone, so nothing could publish what it prepares.
pub(crate) struct RunningCompaction {
    task: JoinHandle<CompactionOutcome>,
    finished: watch::Receiver<bool>,
}

impl RunningCompaction {
    /// Whether [`Self::outcome`] has something to say at once.
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end. Called once more after that it says that the task was stopped.
    pub(crate) async fn outcome(&mut self) -> CompactionOutcome {
        (&mut self.task).await.unwrap_or_else(|stopped| {
            let reason = format!("the compaction was stopped: {stopped}");
            Err(WriterError::Unavailable { target: "compaction".into(), reason, may_have_appended: false })
        })
    }

    /// A future of the end that holds nothing of this.
    pub(crate) fn finished(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut finished = self.finished.clone();
        // An error means that the sender is gone, and so the task.
        async move { drop(finished.wait_for(|finished| *finished).await) }
    }
}

impl Drop for RunningCompaction {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Background {
    pub(crate) fn new(driver: Arc<Driver>, compactions: usize, collections: usize) -> Self {
        Self {
            driver,
            active: Arc::default(),
            compactions: Arc::new(Semaphore::new(compactions.max(1))),
            collections: Arc::new(Semaphore::new(collections.max(1))),
        }
    }

    /// Starts a compaction of `list`.
    pub(crate) fn compact(&self, list: String, plan: Plan<Result<Compaction, FormatError>>) -> RunningCompaction {
        let (ended, finished) = watch::channel(false);
        let work = Work::begin(&self.active);
        let (driver, permits) = (self.driver.clone(), self.compactions.clone());
        let task = spawn(async move {
            let _work = work;
            let _ended = SetOnDrop(ended);
            // The semaphore is never closed; without a permit the work is merely not bounded.
            let _permit = permits.acquire().await.ok();
            run_compaction(&driver, &list, plan, driver.policy.background_deadline).await
        });
        RunningCompaction { task, finished }
    }

    /// Starts the collection of what a publication of `list` replaced.
    pub(crate) fn collect(&self, list: String, garbage: Garbage) {
        let work = Work::begin(&self.active);
        let (driver, permits) = (self.driver.clone(), self.collections.clone());
        spawn(async move {
            let _work = work;
            let _permit = permits.acquire().await.ok();
            let objects = objects_of(&garbage);
            let ended = driver.run(collect(garbage), driver.policy.background_deadline).await;
            collected(&driver, &list, objects, ended);
        });
    }

    /// Pieces of work under way.
    pub(crate) fn active(&self) -> usize {
        self.active.borrow().running.len()
    }

    /// Waits until the work has ended that is under way now: on a busy writer some other always is.
    pub(crate) async fn idle(&self) {
        let begun = self.active.borrow().begun;
        let ended = |active: &Active| active.running.first().is_none_or(|first| *first >= begun);
        // The sender lives as long as `self`.
        let _ = self.active.subscribe().wait_for(ended).await;
    }
}

/// Carries a compaction out and counts how it ended.
pub(crate) async fn run_compaction(
    driver: &Driver,
    list: &str,
    plan: Plan<Result<Compaction, FormatError>>,
    limit: std::time::Duration,
) -> CompactionOutcome {
    let outcome = match driver.run(plan, limit).await {
        Ok(outcome) => outcome.map_err(WriterError::from),
        Err(given_up) => Err(WriterError::given_up(list, given_up)),
    };
    match &outcome {
        Ok(Compaction::Prepared(_)) => driver.counters.compactions.add(1),
        Ok(Compaction::NothingToDo) => {}
        Ok(Compaction::GaveUp { object }) => {
            driver.counters.failed_compactions.add(1);
            tracing::info!(list, object, "gave up a compaction: the object is gone or another one; tried again later");
        }
        Err(error) => {
            driver.counters.failed_compactions.add(1);
            tracing::warn!(list, %error, "a compaction failed; tried again later");
        }
    }
    outcome
}

/// Collects while a caller waits: given up once the store has answered nothing for the caller's deadline.
pub(crate) async fn run_collection(driver: &Driver, list: &str, garbage: Garbage) {
    let objects = objects_of(&garbage);
    let ended = driver.run_long(collect(garbage), driver.policy.deadline).await;
    collected(driver, list, objects, ended);
}

fn objects_of(garbage: &Garbage) -> usize {
    garbage.stubs().len() + garbage.deletes().len()
}

/// Counts how a collection ended. Rule 9: what is lost here is found by a sweep.
fn collected(driver: &Driver, list: &str, objects: usize, ended: Result<(), DriveError>) {
    match ended {
        Ok(()) => driver.counters.collected.add(objects as u64),
        Err(given_up) => {
            driver.counters.failed_collections.add(1);
            tracing::warn!(list, objects, error = %given_up.error, "a collection failed; a sweep finds what it left");
        }
    }
}

/// Counted as active while it lives.
struct Work {
    number: u64,
    active: Arc<watch::Sender<Active>>,
}

impl Work {
    fn begin(active: &Arc<watch::Sender<Active>>) -> Self {
        let mut number = 0;
        active.send_modify(|active| {
            number = active.begun;
            active.begun += 1;
            active.running.insert(number);
        });
        Self { number, active: active.clone() }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.active.send_modify(|active| {
            active.running.remove(&self.number);
        });
    }
}

struct SetOnDrop(watch::Sender<bool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::environment::{SystemClock, SystemRandom};
    use crate::memory_store::MemoryStore;
    use crate::statistics::Counters;
    use crate::store::RetryPolicy;

    #[test]
    fn idle_waits_for_what_was_under_way_when_it_was_called() {
        let driver = Arc::new(Driver {
            store: Arc::new(MemoryStore::default()),
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            policy: RetryPolicy::default(),
            counters: Counters::default(),
        });
        let background = Background::new(driver, 1, 1);
        assert_eq!(background.idle().now_or_never(), Some(()));
        let first = Work::begin(&background.active);
        let mut idle = std::pin::pin!(background.idle());
        assert_eq!(idle.as_mut().now_or_never(), None);
        let second = Work::begin(&background.active);
        drop(first);
        assert_eq!((idle.now_or_never(), background.active()), (Some(()), 1));
        assert_eq!(background.idle().now_or_never(), None);
        drop(second);
        assert_eq!(background.idle().now_or_never(), Some(()));
    }
}
