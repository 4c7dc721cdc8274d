//! Whatever threads and tasks of the writer share state through, in one place: `tests/interleavings` compiles the same
//! code with other primitives of these names, and tries the orders in which threads may come.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
pub(crate) use std::thread;

pub(crate) use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded as channel};
pub(crate) use tokio::runtime::Handle;
pub(crate) use tokio::sync::{
    Mutex as AsyncMutex, OnceCell, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot, watch,
};
pub(crate) use tokio::task::{JoinHandle, spawn};

mod care;

pub(crate) use care::Care;

/// Whether this is done: always, but where it is left out to see that it is missed.
#[inline(always)]
pub(crate) const fn kept(_care: Care) -> bool {
    true
}
