//! What the writer's threads and tasks share state through, under shuttle's scheduler: the same names as in the writer's
//! own module `sync`.
//!
//! Tokio's primitives never block, so they are tokio's here too; what shuttle does not see of them is when others may
//! come in between, so it is asked before each.

mod channel;
mod tasks;

pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub use shuttle::sync::{Mutex, MutexGuard, PoisonError, RwLock};
pub use shuttle::thread;
pub use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, watch};

pub use care::Care;
pub use channel::{Receiver, RecvTimeoutError, Sender, channel};
pub use shuttle::future::{JoinHandle, spawn};
pub use tasks::{AsyncMutex, Handle, OnceCell, Semaphore, oneshot, others_may_come};

#[path = "../../../writer/src/sync/care.rs"]
mod care;

thread_local! {
    static OFF: std::cell::Cell<Option<Care>> = const { std::cell::Cell::new(None) };
}

/// Whether this is done.
pub fn kept(care: Care) -> bool {
    OFF.get() != Some(care)
}

/// Runs `body` with one precaution left out on this thread.
pub fn without<T>(care: Care, body: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            OFF.set(None);
        }
    }
    let _restore = Restore;
    OFF.set(Some(care));
    body()
}
