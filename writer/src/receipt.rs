//! What an append did, and the promise of it.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;

use crate::error::WriterError;

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Offset of the first appended item; `None` where all were duplicates.
    pub first_offset: Option<u64>,
    /// Items appended.
    pub appended_count: u64,
    /// Items dropped because they are in the list already, by their nonce or else by their place in their source.
    pub duplicate_count: u64,
    /// Which insertions of the call those were: runs of positions, counted from 0, in ascending order. A writer that
    /// knows only how many leaves it empty.
    pub duplicates: Vec<Range<u64>>,
    /// The offsets of the appended items. One range unless the batch took several commits and another writer's
    /// came in between.
    pub ranges: Vec<Range<u64>>,
    /// Commits of other writers that came first. Appends that shared a commit all count those before it.
    pub conflict_count: u64,
}

impl Appended {
    /// Adds what was appended after the rest.
    pub(crate) fn add(&mut self, offsets: Range<u64>) {
        if offsets.is_empty() {
            return;
        }
        self.first_offset.get_or_insert(offsets.start);
        self.appended_count += offsets.end - offsets.start;
        match self.ranges.last_mut() {
            Some(last) if last.end == offsets.start => last.end = offsets.end,
            _ => self.ranges.push(offsets),
        }
    }

    /// Adds insertions that were dropped, behind those that were dropped before.
    pub(crate) fn add_duplicates(&mut self, positions: Range<u64>) {
        self.duplicate_count += positions.end - positions.start;
        match self.duplicates.last_mut() {
            Some(last) if last.end == positions.start => last.end = positions.end,
            _ => self.duplicates.push(positions),
        }
    }
}

/// The promise of an [`Appended`]: a future that resolves when the items are durable.
///
/// From [`S3StoreWriter`](crate::S3StoreWriter) it is resolved at once; a writer that collects appends into batches
/// hands it out earlier.
///
/// ```
/// use klstore_writer::{AppendReceipt, Appended};
/// # futures::executor::block_on(async {
/// let appended = Appended { first_offset: Some(3), appended_count: 1, ranges: vec![3..4], ..Appended::default() };
/// let receipt = AppendReceipt::durable_now(appended.clone());
/// assert_eq!(receipt.await?, appended);
/// # Ok::<(), klstore_writer::WriterError>(()) }).unwrap();
/// ```
#[must_use = "an append is certain only once its receipt resolves"]
pub struct AppendReceipt(State);

enum State {
    Now(Option<Appended>),
    Later(BoxFuture<'static, Result<Appended, WriterError>>),
}

impl AppendReceipt {
    /// A receipt for items that are durable already.
    pub fn durable_now(appended: Appended) -> Self {
        Self(State::Now(Some(appended)))
    }

    /// A receipt that resolves when `outcome` does.
    pub fn durable_later(outcome: impl Future<Output = Result<Appended, WriterError>> + Send + 'static) -> Self {
        Self(State::Later(Box::pin(outcome)))
    }

    /// What was appended, if that is known already.
    pub fn appended(&self) -> Option<&Appended> {
        match &self.0 {
            State::Now(appended) => appended.as_ref(),
            State::Later(_) => None,
        }
    }
}

impl Future for AppendReceipt {
    type Output = Result<Appended, WriterError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            // Polled again after it was ready, a receipt has nothing more to say.
            State::Now(appended) => appended.take().map_or(Poll::Pending, |appended| Poll::Ready(Ok(appended))),
            State::Later(outcome) => outcome.as_mut().poll(context),
        }
    }
}

impl std::fmt::Debug for AppendReceipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("AppendReceipt").field(&self.appended()).finish()
    }
}
