//! Faults on demand: what a test makes the server do instead of its duty.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;

use crate::request::RequestInfo;

/// What happens to one request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: it is served.
    #[default]
    None,
    /// Wait, then go on with the other fault.
    Delay(Duration, Box<Fault>),
    /// Wait until the gate is opened, then serve it. A client that gives up meanwhile takes its request back.
    Hold(Gate),
    /// Never answer, and do nothing.
    Hang,
    /// Close the connection, and do nothing.
    Drop,
    /// Answer this error, and do nothing.
    Refuse(Refusal),
    /// Do it, then close the connection: the answer is lost.
    LoseAnswer,
    /// Do it, then answer this error.
    FailAfter(Refusal),
    /// Answer this error now, and do it when the gate is opened, whatever became of the client.
    Late(Refusal, Gate),
    /// Answer 200 with an error as the body, and do nothing, as S3 may after it has begun to answer.
    ErrorBody(Refusal),
    /// Serve it, but close the connection after at most so many bytes of the body.
    Truncate(u64),
    /// Serve it, but with this byte of the body inverted, counted from its start and around its end.
    Corrupt(u64),
    /// Serve it as a store that knows no preconditions.
    IgnorePreconditions,
    /// Serve it without an ETag: neither as a header nor exposed to browsers.
    HideETag,
    /// Serve a LIST with at most so many keys a page.
    ShortList(usize),
    /// Serve a LIST with the keys of each page in reverse, as a store that does not sort might.
    ReverseList,
    /// Answer a `DeleteObjects` with an error for each key that ends with this, and keep that object.
    KeepKeys(String),
}

impl Fault {
    /// S3's answer to too many requests.
    pub const SLOW_DOWN: Self =
        Self::Refuse(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown", retry_after: None });

    /// Answer an error with S3's code for it, and do nothing.
    pub fn refuse(status: StatusCode, code: &'static str) -> Self {
        Self::Refuse(Refusal::new(status, code))
    }
}

/// An error answer: HTTP's status and S3's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP's status.
    pub status: StatusCode,
    /// S3's error code, such as `InternalError`.
    pub code: &'static str,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// S3's answer to a failure of its own.
    pub const INTERNAL_ERROR: Self =
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalError", retry_after: None };

    /// An error without `Retry-After`.
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, retry_after: None }
    }
}

/// What a test holds requests back with. Clones are one gate.
///
/// ```
/// # use klstore_s3_server::{Fault, Gate, Refusal, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().bucket("photos").start().await?;
/// let gate = Gate::new();
/// server.faults().next(|_| true, Fault::Late(Refusal::INTERNAL_ERROR, gate.clone()));
/// // ... a PUT is answered 500, and nothing is stored ...
/// gate.open();
/// // ... now it is stored: `gate.wait_passed(1).await` returns when it is.
/// # server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    state: Arc<watch::Sender<GateState>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
    passed: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(GateState::default())) }
    }

    /// Lets all through, those that wait and those to come.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Waits until so many requests have come to the gate.
    pub async fn wait_arrived(&self, requests: usize) {
        self.wait(|state| state.arrived >= requests).await;
    }

    /// Waits until so many requests that were held have been carried out.
    pub async fn wait_passed(&self, requests: usize) {
        self.wait(|state| state.passed >= requests).await;
    }

    pub(crate) async fn pass(&self) {
        self.state.send_modify(|state| state.arrived += 1);
        self.wait(|state| state.open).await;
    }

    pub(crate) fn passed(&self) {
        self.state.send_modify(|state| state.passed += 1);
    }

    async fn wait(&self, condition: impl Fn(&GateState) -> bool) {
        // The sender is in `self`, so the channel is not closed.
        let _ = self.state.subscribe().wait_for(condition).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

type Hook = dyn Fn(&RequestInfo) -> Fault + Send + Sync;
type Predicate = dyn Fn(&RequestInfo) -> bool + Send + Sync;

/// The faults of a running server. It has none until a test sets them.
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<RwLock<FaultState>>,
}

#[derive(Default)]
struct FaultState {
    hook: Option<Arc<Hook>>,
    next: Vec<(Arc<Predicate>, Fault)>,
}

impl Faults {
    /// Asks `hook` about every request that `next` says nothing about. It replaces the hook before it.
    pub fn set(&self, hook: impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static) {
        self.write().hook = Some(Arc::new(hook));
    }

    /// Applies `fault` to the next request for which `predicate` holds, and to that one only.
    pub fn next(&self, predicate: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static, fault: Fault) {
        self.write().next.push((Arc::new(predicate), fault));
    }

    /// Forgets the hook and what `next` was told.
    pub fn clear(&self) {
        *self.write() = FaultState::default();
    }

    pub(crate) fn decide(&self, request: &RequestInfo) -> Fault {
        let (quiet, hook) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            (state.next.is_empty(), state.hook.clone())
        };
        if !quiet {
            let next = &mut self.write().next;
            if let Some(position) = next.iter().position(|(predicate, _)| predicate(request)) {
                return next.remove(position).1;
            }
        }
        hook.map_or(Fault::None, |hook| hook(request))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, FaultState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Faults").field("hook", &state.hook.is_some()).field("next", &state.next.len()).finish()
    }
}
