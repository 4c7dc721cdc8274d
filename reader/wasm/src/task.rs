//! A call under way: a future that is polled by hand.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use klstore_reader::{Item, ItemList, KeyList, KeyMetadata, KeyspaceList, KeyspaceMetadata, ReaderError, Timeline};

use crate::host::Host;
use crate::mailbox::Mailbox;

/// What a call can come to.
#[derive(Debug)]
pub enum Outcome {
    /// A page.
    Page(ItemList),
    /// Items that were added.
    Items(Vec<Item>),
    /// What is known of a keyspace.
    Keyspace(KeyspaceMetadata),
    /// What is known of a key.
    Key(Option<KeyMetadata>),
    /// Keyspaces.
    Keyspaces(KeyspaceList),
    /// Keys.
    Keys(KeyList),
    /// A time line.
    Timeline(Option<Timeline>),
}

type Running = Pin<Box<dyn Future<Output = Result<Outcome, ReaderError>>>>;

/// A call under way, and its mailbox.
pub(crate) struct Task {
    running: Option<Running>,
    host: Host,
    pub(crate) mailbox: Mailbox,
}

impl Task {
    pub(crate) fn new(host: &Host, call: impl Future<Output = Result<Outcome, ReaderError>> + 'static) -> Self {
        Self { running: Some(Box::pin(call)), host: host.clone(), mailbox: Mailbox::default() }
    }

    /// Goes on as far as possible; `None` while errands are under way. Not to be polled after it is through.
    pub(crate) fn poll(&mut self, now: SystemTime) -> Option<Result<Outcome, ReaderError>> {
        let running = self.running.as_mut()?;
        self.host.enter(&self.mailbox, now);
        // Whoever completes an errand polls: nobody has to be woken.
        let polled = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(outcome) => {
                self.running = None;
                Some(outcome)
            }
            Poll::Pending => None,
        }
    }
}

/// JavaScript's clock: milliseconds since 1970.
pub(crate) fn time(milliseconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds.max(0.0) as u64)
}
