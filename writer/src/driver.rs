//! Runs plans against a store: sends their requests, waits between attempts, gives up at the deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{self, Either};
use futures::stream;
use klstore_format::limits::MAX_IN_FLIGHT;
use klstore_format::plan::{Answer, Plan, PutKind, Request, Step};

use crate::environment::{Clock, RandomSource};
use crate::statistics::Counters;
use crate::store::{ObjectStore, RetryPolicy, StoreError};

/// All that a plan needs to be carried out.
pub(crate) struct Driver {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) policy: RetryPolicy,
    pub(crate) counters: Counters,
}

/// Why a plan was not carried out to its end.
#[derive(Debug)]
pub(crate) struct DriveError {
    /// The error that ended it; at the deadline the last transient one.
    pub(crate) error: StoreError,
    /// Whether a conditional PUT may have taken effect, or may still do so.
    pub(crate) uncertain: bool,
}

/// What is remembered of a plan in progress for the day it is given up.
#[derive(Default)]
struct Progress {
    last_error: Option<StoreError>,
    uncertain: bool,
}

impl Driver {
    /// Runs a plan for at most `limit`. Giving up drops the plan and the session in it (PROTOCOL rule 1).
    pub(crate) async fn run<T>(&self, plan: Plan<T>, limit: Duration) -> Result<T, DriveError> {
        let progress = Mutex::new(Progress::default());
        let steps = std::pin::pin!(self.run_steps(plan, &progress));
        let deadline = self.clock.sleep(limit);
        let outcome = match future::select(steps, deadline).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(with(&progress, |progress| progress.last_error.take()).unwrap_or_else(|| {
                let reason = format!("no answer within {} ms", limit.as_millis());
                StoreError::Unavailable { action: "the operation", object: String::new(), reason }
            })),
        };
        outcome.map_err(|error| DriveError { error, uncertain: with(&progress, |progress| progress.uncertain) })
    }

    async fn run_steps<T>(&self, mut plan: Plan<T>, progress: &Mutex<Progress>) -> Result<T, StoreError> {
        let mut answers = Vec::new();
        // Plans repeat a PUT without an answer themselves, for they must not send anything else meanwhile (rule 1).
        let mut unanswered_puts = 0;
        loop {
            let requests = match plan.step(answers) {
                Step::Done(output) => return Ok(output),
                Step::Send(requests) => requests,
            };
            if unanswered_puts > 0 {
                self.counters.retries.add(1);
                self.back_off(unanswered_puts).await;
            }
            let mut sent =
                stream::iter(requests.into_iter().map(|request| self.send(request, progress))).buffered(MAX_IN_FLIGHT);
            answers = Vec::new();
            while let Some(answer) = sent.next().await {
                answers.push(answer?);
            }
            let unanswered = answers.iter().any(|answer| matches!(answer, Answer::Unknown));
            unanswered_puts = if unanswered { unanswered_puts + 1 } else { 0 };
        }
    }

    /// Sends one request until it has an answer; a conditional PUT once.
    async fn send(&self, request: Request, progress: &Mutex<Progress>) -> Result<Answer, StoreError> {
        let is_commit = matches!(request, Request::Put { kind: PutKind::Create, .. });
        let mut failures = 0;
        loop {
            self.counters.count_request(&request);
            // From here on the PUT may take effect, whatever becomes of this future.
            let before = with(progress, |progress| {
                let before = progress.uncertain;
                progress.uncertain |= is_commit;
                before
            });
            match self.store.execute(request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.is_transient() => {
                    with(progress, |progress| progress.uncertain = before);
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(%error, "the store gave no definite answer");
                    with(progress, |progress| progress.last_error = Some(error));
                }
            }
            if is_commit {
                return Ok(Answer::Unknown);
            }
            failures += 1;
            self.counters.retries.add(1);
            self.back_off(failures).await;
        }
    }

    /// Waits before attempt number `failures + 1`.
    pub(crate) async fn back_off(&self, failures: u32) {
        let doubled = self.policy.base_delay.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let longest = doubled.min(self.policy.max_delay);
        // The low 16 random bits, as a part of a half.
        let part = (self.random.next() & 0xFFFF) as u32;
        let taken_off = longest / 2 * part / 0x1_0000;
        self.clock.sleep(longest.saturating_sub(taken_off)).await;
    }
}

fn with<R>(progress: &Mutex<Progress>, body: impl FnOnce(&mut Progress) -> R) -> R {
    body(&mut progress.lock().unwrap_or_else(PoisonError::into_inner))
}
