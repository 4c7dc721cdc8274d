//! Time and randomness, as arguments: a simulator brings its own.

use std::time::Duration;

use async_trait::async_trait;

/// The clock that the writer goes by.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970: the timestamp of items without one.
    fn now(&self) -> i64;
    /// Time since any fixed moment; it never goes back. Deadlines and idle times are measured by it.
    fn elapsed(&self) -> Duration;
    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// Where session and object ids and the jitter of waits come from.
pub trait RandomSource: Send + Sync + 'static {
    /// A number that nobody has drawn before or will again.
    fn next(&self) -> u128;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the edge where the machine's clock enters")]
    fn now(&self) -> i64 {
        let since_epoch = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => since_epoch(after),
            Err(before) => -since_epoch(before.duration()),
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Random numbers seeded by the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn next(&self) -> u128 {
        rand::random()
    }
}
