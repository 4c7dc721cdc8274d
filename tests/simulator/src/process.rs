//! The programs of a run: each of their starts, and what they wait for.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::network::Reply;
use crate::universe::{Sim, State, Wait, What};

/// One start of a process: what it does ends when it ends.
#[derive(Clone)]
pub struct Process {
    /// Where it runs.
    pub sim: Arc<Sim>,
    /// Its number.
    pub index: usize,
    incarnation: u64,
}

impl Process {
    pub(crate) fn of(sim: &Arc<Sim>, index: usize, incarnation: u64) -> Self {
        Self { sim: sim.clone(), index, incarnation }
    }

    /// Whether it is still there.
    pub(crate) fn lives(&self, state: &State) -> bool {
        state.processes[self.index].incarnation == self.incarnation
    }

    /// Its number among all starts, to kill it by.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Waits until it is gone.
    pub async fn death(&self) {
        future::poll_fn(|context| {
            let mut state = self.sim.lock();
            if !self.lives(&state) {
                return Poll::Ready(());
            }
            state.processes[self.index].mourner = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits so many microseconds.
    pub async fn sleep_micros(&self, micros: u64) {
        let waiting = {
            let mut state = self.sim.lock();
            let waiting = self.wait(&mut state);
            let at = state.now.saturating_add(micros);
            state.schedule(at, What::Wake { wait: waiting.number, reply: None });
            waiting
        };
        waiting.await;
    }

    /// The same by the clock of the programs under test.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.sleep_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).await;
    }

    /// Something to wait for; of a process that is gone, for ever.
    pub(crate) fn wait(&self, state: &mut State) -> Waiting {
        state.numbered += 1;
        let number = state.numbered;
        if self.lives(state) {
            let wait = Wait {
                process: self.index,
                incarnation: self.incarnation,
                tells_length: false,
                arrived: None,
                waker: None,
            };
            state.waits.insert(number, wait);
        }
        Waiting { sim: self.sim.clone(), number }
    }
}

/// Ends when its event reaches the process.
pub(crate) struct Waiting {
    sim: Arc<Sim>,
    pub(crate) number: u64,
}

impl Future for Waiting {
    type Output = Option<Reply>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.sim.lock();
        let Some(wait) = state.waits.get_mut(&self.number) else { return Poll::Pending };
        match wait.arrived.take() {
            Some(reply) => {
                state.waits.remove(&self.number);
                Poll::Ready(reply)
            }
            None => {
                wait.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.sim.lock().waits.remove(&self.number);
    }
}
