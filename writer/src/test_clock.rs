//! A clock for tests in which time passes only while everybody waits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::environment::Clock;

/// Turns that others get before the clock believes that all of them wait.
const IDLE_TURNS: usize = 200;

#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<Time>>);

#[derive(Default)]
struct Time {
    elapsed: Duration,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    /// Sleeps begun so far, so that the clock notices when something happens.
    begun: u64,
}

impl TestClock {
    /// A clock on the current (single-threaded) runtime.
    pub(crate) fn start() -> Self {
        let time = Arc::new(Mutex::new(Time::default()));
        tokio::spawn(pass(Arc::downgrade(&time)));
        Self(time)
    }

    fn sleeper(&self, duration: Duration) -> Sleep {
        let mut time = lock(&self.0);
        time.begun += 1;
        Sleep { time: self.0.clone(), at: time.elapsed + duration, number: time.begun }
    }
}

fn lock(time: &Mutex<Time>) -> MutexGuard<'_, Time> {
    time.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves on to the next sleeper whenever nobody begins to sleep for some turns.
async fn pass(time: Weak<Mutex<Time>>) {
    let mut begun = 0;
    let mut idle = 0;
    while let Some(time) = time.upgrade() {
        {
            let mut time = lock(&time);
            idle = if time.begun == begun { idle + 1 } else { 0 };
            begun = time.begun;
            if idle == IDLE_TURNS {
                idle = 0;
                if let Some(((at, _), waker)) = time.sleepers.pop_first() {
                    time.elapsed = at;
                    waker.wake();
                }
            }
        }
        drop(time);
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> i64 {
        lock(&self.0).elapsed.as_millis() as i64
    }

    fn elapsed(&self) -> Duration {
        lock(&self.0).elapsed
    }

    async fn sleep(&self, duration: Duration) {
        self.sleeper(duration).await;
    }
}

struct Sleep {
    time: Arc<Mutex<Time>>,
    at: Duration,
    number: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = lock(&self.time);
        if time.elapsed >= self.at {
            return Poll::Ready(());
        }
        time.sleepers.insert((self.at, self.number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.time).sleepers.remove(&(self.at, self.number));
    }
}
