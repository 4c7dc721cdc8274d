//! Runs plans against a store: sends their requests, waits between attempts, gives up at the deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{self, Either};
use futures::stream;
use klstore_format::limits::MAX_IN_FLIGHT;
use klstore_format::names::is_segment_name;
use klstore_format::plan::{Answer, Plan, PutKind, Request, Step};
use klstore_format::rules::{self, Rule};

use crate::environment::{Clock, RandomSource};
use crate::statistics::Counters;
use crate::store::{ObjectStore, RetryPolicy, StoreError};
use crate::sync::{AtomicU64, Mutex, Ordering, PoisonError};

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

/// A plan in progress. One that was given up may be taken up again, from the requests that it waits for.
pub(crate) struct Underway<T> {
    plan: Plan<T>,
    /// Sent, but not all answered.
    requests: Option<Vec<Request>>,
    progress: Mutex<Progress>,
    /// How many of its requests have been answered.
    answered: Arc<AtomicU64>,
}

impl<T> Underway<T> {
    pub(crate) fn new(plan: Plan<T>) -> Self {
        Self { plan, requests: None, progress: Mutex::default(), answered: Arc::default() }
    }

    /// Whether a conditional PUT may have taken effect, or may still do so.
    pub(crate) fn is_uncertain(&self) -> bool {
        with(&self.progress, |progress| progress.uncertain)
    }

    /// Bytes of the bodies that wait to be sent again.
    pub(crate) fn body_bytes(&self) -> usize {
        let body_bytes = |request: &Request| if let Request::Put { body, .. } = request { body.len() } else { 0 };
        self.requests.iter().flatten().map(body_bytes).sum()
    }
}

impl Driver {
    /// Runs a plan for at most `limit`. Giving up drops the plan and the session in it (PROTOCOL rule 1).
    pub(crate) async fn run<T>(&self, plan: Plan<T>, limit: Duration) -> Result<T, DriveError> {
        self.go_on(&mut Underway::new(plan), limit).await
    }

    /// Runs a plan of any length: given up once no request of it was answered for `limit` (looked at as often).
    pub(crate) async fn run_long<T>(&self, plan: Plan<T>, limit: Duration) -> Result<T, DriveError> {
        let underway = &mut Underway::new(plan);
        let answered = underway.answered.clone();
        let stuck = async {
            let mut before = 0;
            loop {
                self.clock.sleep(limit).await;
                let now = answered.load(Ordering::Relaxed);
                if std::mem::replace(&mut before, now) == now {
                    break;
                }
            }
        };
        self.go_on_until(underway, stuck, limit).await
    }

    /// The same, but it is the caller's to drop the plan, or to go on with it: it repeats what got no answer.
    pub(crate) async fn go_on<T>(&self, underway: &mut Underway<T>, limit: Duration) -> Result<T, DriveError> {
        self.go_on_until(underway, self.clock.sleep(limit), limit).await
    }

    async fn go_on_until<T>(
        &self,
        underway: &mut Underway<T>,
        end: impl Future<Output = ()>,
        limit: Duration,
    ) -> Result<T, DriveError> {
        let outcome = {
            let steps = std::pin::pin!(self.run_steps(underway));
            let end = std::pin::pin!(end);
            match future::select(steps, end).await {
                Either::Left((outcome, _)) => Some(outcome),
                Either::Right(_) => None,
            }
        };
        let error = match outcome {
            Some(Ok(output)) => return Ok(output),
            Some(Err(error)) => error,
            None => with(&underway.progress, |progress| progress.last_error.take()).unwrap_or_else(|| {
                let reason = format!("no answer within {} ms", limit.as_millis());
                StoreError::Unavailable { action: "the operation", object: String::new(), reason }
            }),
        };
        Err(DriveError { error, uncertain: underway.is_uncertain() })
    }

    async fn run_steps<T>(&self, underway: &mut Underway<T>) -> Result<T, StoreError> {
        let Underway { plan, requests, progress, answered } = underway;
        let progress = &*progress;
        let mut answers = Vec::new();
        // Plans repeat a PUT without an answer themselves, for they must not send anything else meanwhile (rule 1).
        let mut unanswered_puts = 0;
        loop {
            if requests.is_none() {
                match plan.step(answers) {
                    Step::Done(output) => return Ok(output),
                    Step::Send(wanted) => *requests = Some(wanted),
                }
            }
            if unanswered_puts > 0 {
                self.counters.retries.add(1);
                self.back_off(unanswered_puts).await;
            }
            let wanted = requests.clone().unwrap_or_default();
            let mut sent =
                stream::iter(wanted.into_iter().map(|request| self.send(request, progress))).buffered(MAX_IN_FLIGHT);
            answers = Vec::new();
            while let Some(answer) = sent.next().await {
                answers.push(answer?);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            drop(sent);
            *requests = None;
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
                Err(error) if !is_commit && !rules::kept(Rule::WriterRetries) => return Err(error),
                Err(_) if !is_repeated(&request) => return Ok(Answer::Unknown),
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

/// Rule 8: a segment or index page is sent until it is answered with success.
fn is_repeated(request: &Request) -> bool {
    let Request::Put { name, kind: PutKind::Immutable, .. } = request else { return true };
    rules::kept(if is_segment_name(name) { Rule::SegmentsBeforePublish } else { Rule::IndexBeforePublish })
}

fn with<R>(progress: &Mutex<Progress>, body: impl FnOnce(&mut Progress) -> R) -> R {
    body(&mut progress.lock().unwrap_or_else(PoisonError::into_inner))
}
