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

/// JavaScript's clock, timer and random numbers: pages, workers and edge functions.
#[cfg(target_arch = "wasm32")]
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserEnvironment;

#[cfg(target_arch = "wasm32")]
#[async_trait(?Send)]
impl Environment for BrowserEnvironment {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(js_sys::Date::now() as u64)
    }

    async fn sleep(&self, duration: Duration) {
        // A longer timeout would overflow to none at all.
        let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).min(i32::MAX as u32);
        gloo_timers::future::TimeoutFuture::new(millis).await;
    }

    fn random(&self) -> u64 {
        (js_sys::Math::random() * (1_u64 << 53) as f64) as u64
    }
}
