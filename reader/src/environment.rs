//! Time and chance, which the reader never takes for itself.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::maybe_send::{MaybeSend, MaybeSync};

/// The clock, the timer and the random numbers that the reader works with.
///
/// The clock signs requests, the timer bounds and spaces them, the random numbers spread retries. Tests pass their
/// own to make all three repeatable.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Environment: MaybeSend + MaybeSync {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// Waits for `duration`.
    async fn sleep(&self, duration: Duration);

    /// A number that differs from call to call; need not be secret.
    fn random(&self) -> u64;
}

/// The operating system's clock and random numbers, and tokio's timer.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeEnvironment;

#[cfg(not(target_arch = "wasm32"))]
#[async_trait]
impl Environment for NativeEnvironment {
    #[allow(clippy::disallowed_methods, reason = "the edge where the native clock is read")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}
