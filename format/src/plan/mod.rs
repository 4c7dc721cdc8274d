//! Plans: pure code that asks for requests and is fed the answers.
//!
//! A plan is written as an `async` block that only ever waits for [`Port::send`]: the compiler makes the state
//! machine out of it, and [`Plan::step`] turns it by hand. No runtime, waker or thread takes part, so a plan runs
//! the same under tokio, in a browser and in a test that delays, drops and repeats requests one by one.

mod append;
mod batch;
mod carry;
mod collect;
mod compact;
mod duplicates;
pub mod follow;
#[cfg(test)]
mod follow_tests;
mod index_draft;
pub mod keys;
#[cfg(test)]
mod keys_tests;
mod ledger;
mod live;
mod load;
pub mod metadata;
mod pages;
pub mod read;
mod recent;
mod retention;
mod session;
mod sweep;
#[cfg(test)]
pub(crate) mod test_store;
pub mod timeline;
#[cfg(test)]
mod timeline_tests;
mod trim;
mod verify;

pub use append::{AppendOutcome, Appended};
pub use batch::{InvalidInsertion, insertion_size, split, validate};
pub use collect::{Garbage, collect};
pub use compact::{Compaction, Prepared};
pub use load::{Fetch, Snapshot};
pub use retention::Retention;
#[cfg(feature = "mutants")]
pub use session::abandoned;
pub use session::{Session, SessionOptions};
pub use sweep::{SweepReport, sweep_commits, sweep_objects, without_writes};
pub use trim::{TrimOutcome, TrimTo, Trimmed};
pub use verify::{Damage, DamageKind, Orphan, VerifyProgress, VerifyReport, verify};

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// A request to the store. Names are full object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// ListObjectsV2.
    List {
        /// Names start with it.
        prefix: String,
        /// Only names after this one.
        start_after: Option<String>,
        /// At most so many names (and common prefixes).
        max_keys: u32,
        /// Group names by `/` after the prefix.
        delimiter: bool,
    },
    /// GET of an object or a part of it.
    Get {
        /// The object.
        name: String,
        /// Which bytes; the whole object where `None`.
        range: Option<ByteRange>,
        /// How the answer may be cached.
        cache: Cache,
    },
    /// PUT.
    Put {
        /// The object.
        name: String,
        /// Its bytes.
        body: Bytes,
        /// What must hold, and how caches may keep it.
        kind: PutKind,
    },
    /// DELETE of up to 1,000 objects.
    Delete {
        /// The objects.
        names: Vec<String>,
    },
}

/// Bytes `start..end` of an object; those beyond its end do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// One after the last byte.
    pub end: u64,
    /// What lies between the range and here, behind its end or before its start, will probably be asked for next: a
    /// transport that caches may fetch it along.
    pub read_ahead: u64,
}

impl ByteRange {
    /// Exactly `start..end`.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end, read_ahead: end }
    }
}

/// How an answer may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// The name is never used for other bytes (segments and index pages).
    Immutable,
    /// The object may be replaced or deleted and re-created: answers are kept under this ETag at most.
    Etag,
    /// Past all caches.
    Reload,
}

/// What kind of object a PUT writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutKind {
    /// A name that must not exist yet: `If-None-Match: *`.
    Create,
    /// An immutable object under a name that is used once.
    Immutable,
    /// The 0-byte object that replaces a collected commit.
    Stub,
}

/// What the store said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a LIST.
    Listed(Listing),
    /// To a GET: the bytes.
    Got(Object),
    /// To a GET: 404, or a range beyond the end of the object (416).
    Missing,
    /// To a PUT or DELETE: done.
    Done {
        /// The ETag of the object that was PUT, where the store tells it.
        etag: Option<String>,
    },
    /// To a conditional PUT: 412.
    Exists,
    /// To a PUT: no definite answer (time-out, 5xx, 409). It may have taken effect, or may do so at any later time.
    Unknown,
}

/// A LIST's answer, in order of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The objects.
    pub objects: Vec<Listed>,
    /// With a delimiter: what names have in common, up to and with the `/`.
    pub common_prefixes: Vec<String>,
    /// Whether more names follow.
    pub truncated: bool,
}

/// One object in a LIST's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its full name.
    pub name: String,
    /// Its ETag without quotes or weakness; empty where the store shows none.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
}

/// A GET's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bytes from the range's start on; fewer than asked for only at the end of the object.
    pub body: Bytes,
    /// ETag without quotes or weakness, where the store shows it.
    pub etag: Option<String>,
    /// Bytes of the whole object, where the answer tells.
    pub size: Option<u64>,
}

/// What a plan wants next.
#[derive(Debug)]
pub enum Step<T> {
    /// Send these, at once or one after the other, and step with their answers in this order.
    Send(Vec<Request>),
    /// The plan is through.
    Done(T),
}

/// A plan in progress. Dropping it abandons it; requests already sent may still take effect.
pub struct Plan<T> {
    state: Pin<Box<dyn Future<Output = T> + Send>>,
    port: Port,
}

impl<T> std::fmt::Debug for Plan<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Plan")
    }
}

impl<T> Plan<T> {
    /// A plan out of an `async` block that waits for nothing but its port.
    pub fn new<F>(body: impl FnOnce(Port) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let port = Port::default();
        Self { state: Box::pin(body(port.clone())), port }
    }

    /// Goes on with the answers to the requests of the step before (none for the first step).
    ///
    /// After [`Step::Done`] a plan must not be stepped again.
    pub fn step(&mut self, answers: Vec<Answer>) -> Step<T> {
        self.port.fill(answers);
        match self.state.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Step::Done(output),
            Poll::Pending => Step::Send(self.port.requests()),
        }
    }
}

/// Where a plan's code hands its requests out and gets the answers.
#[derive(Debug, Clone, Default)]
pub struct Port(Arc<Mutex<Mailbox>>);

#[derive(Debug, Default)]
struct Mailbox {
    requests: Vec<Request>,
    answers: Option<Vec<Answer>>,
}

impl Port {
    /// Sends requests that do not depend on each other; the answers come in the same order.
    pub async fn send(&self, requests: Vec<Request>) -> Vec<Answer> {
        if requests.is_empty() {
            return Vec::new();
        }
        let count = requests.len();
        self.with(|mailbox| {
            mailbox.requests = requests;
            mailbox.answers = None;
        });
        std::future::poll_fn(|_| match self.with(|mailbox| mailbox.answers.take()) {
            Some(mut answers) => {
                answers.resize(count, Answer::Unknown);
                Poll::Ready(answers)
            }
            None => Poll::Pending,
        })
        .await
    }

    /// Sends one request.
    pub async fn send_one(&self, request: Request) -> Answer {
        self.send(vec![request]).await.pop().unwrap_or(Answer::Unknown)
    }

    fn fill(&self, answers: Vec<Answer>) {
        self.with(|mailbox| mailbox.answers = Some(answers));
    }

    fn requests(&self) -> Vec<Request> {
        self.with(|mailbox| std::mem::take(&mut mailbox.requests))
    }

    fn with<R>(&self, body: impl FnOnce(&mut Mailbox) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_shows_nothing_of_what_it_does() {
        assert_eq!(format!("{:?}", Plan::new(|_| async { "secret" })), "Plan");
    }
}
