//! Time that a scenario has in its hands: it stands still, so that whatever waits must be woken, or it passes while
//! somebody waits.

use std::cell::Cell;
use std::time::Duration;

use async_trait::async_trait;
use shuttle::rand::Rng;

use crate::environment::Clock;

/// Nobody sleeps so long but to give something up, which no scenario is about.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(3_600);
/// Turns that others have at most while somebody sleeps.
const TURNS: u32 = 12;

thread_local! {
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static PASSES: Cell<bool> = const { Cell::new(false) };
}

/// To be called at the beginning of each execution.
pub(crate) fn begin(passes: bool) {
    ELAPSED.set(Duration::ZERO);
    PASSES.set(passes);
}

/// Whether waits end by themselves.
pub(crate) fn passes() -> bool {
    PASSES.get()
}

/// A wait of this length is over.
pub(crate) fn pass(duration: Duration) {
    ELAPSED.set(ELAPSED.get() + duration);
}

/// The clock that the writer goes by.
pub(crate) struct Stepwise;

#[async_trait]
impl Clock for Stepwise {
    fn now(&self) -> i64 {
        ELAPSED.get().as_millis() as i64
    }

    fn elapsed(&self) -> Duration {
        ELAPSED.get()
    }

    async fn sleep(&self, duration: Duration) {
        if !passes() || duration >= FOR_EVER {
            return std::future::pending().await;
        }
        for _ in 0..shuttle::rand::thread_rng().gen_range(1..=TURNS) {
            shuttle::future::yield_now().await;
        }
        pass(duration);
    }
}
