//! Collects appends into batches: one commit for many calls.

mod attribution;
mod budget;
mod builder;
mod by_hand;
mod config;
mod engine;
mod key_buffer;
mod lane;
mod statistics;
mod threads;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use klstore_format::Insertion;

use crate::environment::Clock;
use crate::error::WriterError;
use crate::keyspace::CreatedKeyspace;
use crate::receipt::AppendReceipt;
use crate::sync::{Care, PoisonError, RwLock, Semaphore, Sender, kept, oneshot};
use crate::writer::{DutyReport, StoreWriter};
use budget::{Budget, Share};
use by_hand::HandDriven;
use engine::{FlushSender, Message};
use key_buffer::{ListKey, charge};
use statistics::LaneGauge;

pub use builder::BatchingStoreWriterBuilder;
pub use config::BatchingStoreWriterConfig;
pub use statistics::BatchingStatistics;

/// Collects what is appended to each key, and appends it to another writer as batches. Clones share everything.
///
/// `append_list` returns as soon as the items are in memory; its receipt resolves when they are durable, with the
/// offsets and duplicates of that call alone. Callers may ignore it and use `flush_key`, `flush_all` or
/// [`close`](Self::close). The calls for one key stay in their order, and so do their items; each call's items appear
/// at one moment, as with the inner writer.
///
/// # Memory
///
/// Everything that is not durable counts against `max_buffered_bytes`. Where that is used up, or the queue is full,
/// `append_list` waits, without blocking its thread. Dropping its future while it waits takes nothing in; once it has
/// returned, everything is. While callers wait for memory, batches are sent before they are due.
///
/// Encoded commits under way are beside that ([`max_puts_in_flight`](BatchingStoreWriterConfig::max_puts_in_flight)),
/// and so is what the inner writer keeps.
///
/// # Failures
///
/// A batch that fails stays in memory, keeps its place before what came later for its key, and is tried again with a
/// growing wait, for ever. Other keys go on, in memory and with the store:
/// - Keys that fail use at most half of `max_puts_in_flight`, and so do the other keys of a keyspace whose latest append
///   failed or takes more than 3 s. What hangs is no reason not to send others.
/// - Once keys that fail hold half of `max_buffered_bytes`, `append_list` to them waits until they hold less. Where
///   somebody has to put the cause right it says [`WriterError::FailingKeysFull`] at once instead, and takes nothing.
///   What they had before they failed may be more; the last eighth is then taken by other keys alone.
/// - [`discard_key`](Self::discard_key) gives up what is in memory of a key for good.
///
/// Who hears of it:
/// - `flush_key`, `flush_all`, `close` and `duty_cycle` return the error of the attempt that they waited for, as
///   [`WriterError::StillBuffered`] with how much of how many keys is left; a flush starts it at once where the key was
///   waiting to be tried again. They return too when nothing that they wait for has become durable for 60 s
///   ([`flush_deadline`](BatchingStoreWriterBuilder::flush_deadline)), so within about that in an outage.
/// - Receipts wait through what may pass by itself. What somebody has to put right (permissions, a missing keyspace, a
///   damaged list) resolves the open receipts of that key with [`WriterError::StillBuffered`]. Such a receipt is
///   neither durable nor lost: do not append its items again, flush the key to know when they are durable.
/// - A flush ends when the items are durable. It does not wait for the inner writer's compactions, for which that has a
///   flush and a close of its own.
/// - Names and insertions are checked by `append_list` before anything is taken in.
///
/// # Exactly once
///
/// With nonces always, across crashes and restarts too. Without, as long as the process lives: attempts of a batch
/// share an idempotency key, so [`S3StoreWriter`](crate::S3StoreWriter) sends a commit in doubt again as it was. Not
/// where more is in doubt than its carry budget (the same again) has room for, or where the list was found damaged or
/// contended just after the commit was sent; then items without nonces may be in the list twice, never missing.
///
/// # Without threads
///
/// With `writer_thread_count` 0 nothing happens between calls: `duty_cycle` makes an attempt of each key that is due and
/// waits for it, flushes do so for what they cover, and an `append_list` that waits for memory works meanwhile. Any of
/// them may be called while another is under way.
///
/// ```
/// use klstore_writer::{BatchingStoreWriter, BatchingStoreWriterConfig};
/// use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter};
/// # use klstore_s3_server::{Credential, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().bucket("my-bucket").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
/// let mut config = S3StoreConfig::new("my-bucket");
/// # (config.endpoint, config.path_style) = (Some(server.endpoint()), true);
/// # (config.access_key, config.secret_key) = (Some("AKEXAMPLE".into()), Some("secret".into()));
/// config.object_prefix = "production/".into();
/// let writer = BatchingStoreWriter::new(S3StoreWriter::new(config).await?, BatchingStoreWriterConfig::default())?;
/// writer.create_keyspace("rooms").await?;
/// let first = writer.append_list("rooms", "lobby", vec![Insertion::new("hello").with_nonce(1)]).await?;
/// let second = writer.append_list("rooms", "lobby", vec![Insertion::new("who is there?").with_nonce(2)]).await?;
/// writer.flush_key("rooms", "lobby").await?;
/// assert_eq!((first.await?.first_offset, second.await?.first_offset), (Some(0), Some(1)));
/// assert_eq!(writer.statistics().put_count, 1);
/// writer.close().await?;
/// # server.shutdown().await;
/// # Ok(()) }
/// ```
pub struct BatchingStoreWriter<W: StoreWriter + 'static> {
    shared: Arc<Shared<W>>,
}

struct Shared<W: StoreWriter + 'static> {
    writer: Arc<W>,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    lanes: Vec<LaneHandle>,
    /// The only lane, where there are no threads.
    by_hand: Option<HandDriven<W>>,
    open: RwLock<bool>,
}

struct LaneHandle {
    sender: Sender<Message>,
    /// Places in its queue, where they are bounded.
    places: Option<Arc<Semaphore>>,
    gauge: Arc<LaneGauge>,
}

impl<W: StoreWriter + 'static> BatchingStoreWriter<W> {
    /// A batching writer around `writer`. Its I/O runs on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`WriterError::Configuration`] for numbers that cannot work, and [`WriterError::NoRuntime`].
    pub fn new(writer: W, config: BatchingStoreWriterConfig) -> Result<Self, WriterError> {
        Self::builder(writer, config).build()
    }

    /// The same with another clock, runtime or pace of retries.
    pub fn builder(writer: W, config: BatchingStoreWriterConfig) -> BatchingStoreWriterBuilder<W> {
        BatchingStoreWriterBuilder::new(writer, config)
    }

    /// The writer inside.
    pub fn inner(&self) -> &W {
        &self.shared.writer
    }

    /// What is in memory now, and what has been done so far.
    pub fn statistics(&self) -> BatchingStatistics {
        let lanes = self.shared.lanes.iter().map(|lane| lane.gauge.state());
        BatchingStatistics::of(self.shared.budget.usage(), lanes, self.shared.clock.elapsed())
    }

    /// Ends well: takes no more appends (those that wait are told [`WriterError::Closed`]), makes everything durable and
    /// stops the threads. The inner writer stays open.
    ///
    /// # Errors
    ///
    /// [`WriterError::StillBuffered`], as of a flush, so in an outage after about the flush deadline. What is left then
    /// stays in memory and goes on being tried: close again, [discard](Self::discard_key) what can never be appended, or
    /// drop the writer to give everything up. [`WriterError::Discarded`] where some of it was discarded meanwhile: close
    /// again.
    pub async fn close(&self) -> Result<(), WriterError> {
        // Once this is written, nobody is between looking at it and handing an append over.
        *self.shared.open.write().unwrap_or_else(PoisonError::into_inner) = false;
        self.shared.budget.close();
        self.shared.lanes.iter().filter_map(|lane| lane.places.as_ref()).for_each(|places| places.close());
        self.flush_all().await?;
        for lane in &self.shared.lanes {
            let (stopped, ended) = oneshot::channel();
            if lane.sender.send(Message::Stop { stopped: Some(stopped) }).is_ok() && self.shared.by_hand.is_none() {
                // An error is the end as well: the thread has dropped the other side.
                drop(ended.await);
            }
        }
        Ok(())
    }

    /// Gives up what is in memory of a key, and hands it back: in order, with timestamps. For a key that can never be
    /// appended to, so that it takes no memory and [`close`](Self::close) succeeds. Waits for the append under way, if
    /// there is one, and leaves what is appended meanwhile.
    ///
    /// Receipts and flushes of what is discarded end with [`WriterError::Discarded`]. An attempt that failed with its
    /// outcome in doubt may have put a part into the list; with nonces, appending all again is safe.
    ///
    /// # Errors
    ///
    /// [`WriterError::InvalidName`].
    pub async fn discard_key(&self, keyspace: &str, key: &str) -> Result<Vec<Insertion>, WriterError> {
        self.shared.writer.check(keyspace, key, &[])?;
        let list = ListKey { keyspace: keyspace.to_owned(), key: key.to_owned() };
        let lane = self.shared.lane(&list);
        let (discard, discarded) = oneshot::channel();
        if lane.sender.send(Message::Discard { list, discard }).is_err() {
            return Ok(Vec::new());
        }
        // A lane that has stopped after a close has nothing left.
        Ok(self.shared.drive_until(discarded).await.unwrap_or_default())
    }
}

#[async_trait]
impl<W: StoreWriter + 'static> StoreWriter for BatchingStoreWriter<W> {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.shared.writer.create_keyspace(keyspace).await
    }

    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        mut insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        let shared = &self.shared;
        if !*shared.open.read().unwrap_or_else(PoisonError::into_inner) {
            return Err(WriterError::Closed);
        }
        shared.writer.check(keyspace, key, &insertions)?;
        if insertions.is_empty() {
            return Ok(AppendReceipt::durable_now(Default::default()));
        }
        let now = shared.clock.now();
        for insertion in &mut insertions {
            insertion.timestamp = insertion.timestamp.or(Some(now));
        }
        let list = Arc::new(ListKey { keyspace: keyspace.to_owned(), key: key.to_owned() });
        let lane = shared.lane(&list);

        let share = Share { bytes: charge(&list, &insertions), items: insertions.len() as u64 };
        let grant = match shared.budget.try_take(&list, share) {
            Some(grant) => grant?,
            None => {
                let waiting = shared.budget.queue(&list, share);
                if kept(Care::LanesHear) {
                    shared.lanes.iter().for_each(|lane| drop(lane.sender.send(Message::MemoryIsShort)));
                }
                shared.drive_until(waiting).await.map_err(|_| WriterError::Closed)??
            }
        };
        let place = match lane.places.clone() {
            Some(places) => Some(shared.drive_until(places.acquire_owned()).await.map_err(|_| WriterError::Closed)?),
            None => None,
        };

        let (receipt, outcome) = oneshot::channel();
        {
            let open = shared.open.read().unwrap_or_else(PoisonError::into_inner);
            let (is_open, _until_sent) = (*open, kept(Care::OpenUntilSent).then_some(open));
            let message = Message::Append { list: list.clone(), insertions, receipt, place };
            if !is_open || lane.sender.send(message).is_err() {
                return Err(WriterError::Closed);
            }
            grant.keep();
        }
        Ok(AppendReceipt::durable_later(async move {
            outcome.await.unwrap_or_else(|_| Err(WriterError::DroppedUnflushed { list: list.to_string() }))
        }))
    }

    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        self.shared.writer.check(keyspace, key, &[])?;
        let list = ListKey { keyspace: keyspace.to_owned(), key: key.to_owned() };
        let lane = self.shared.lane(&list);
        self.shared.flush(lane, |flush| Message::FlushKey { list, flush }).await
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        let shared = &self.shared;
        let flushes = shared.lanes.iter().map(|lane| shared.flush(lane, |flush| Message::FlushAll { flush }));
        futures::future::join_all(flushes).await.into_iter().reduce(together).unwrap_or(Ok(()))
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        let sent = match &self.shared.by_hand {
            Some(by_hand) => by_hand.cycle().await,
            None => Ok(()),
        };
        let report = self.shared.writer.duty_cycle().await?;
        sent.map(|()| report)
    }

    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        self.shared.writer.check(keyspace, key, insertions)
    }
}

impl<W: StoreWriter + 'static> Shared<W> {
    /// A key is always handled by the same lane.
    fn lane(&self, list: &ListKey) -> &LaneHandle {
        let mut hasher = DefaultHasher::new();
        list.hash(&mut hasher);
        // There is at least one lane.
        &self.lanes[(hasher.finish() % self.lanes.len() as u64) as usize]
    }

    /// Waits for something that a lane's work brings about.
    async fn drive_until<T>(&self, wanted: impl Future<Output = T>) -> T {
        match &self.by_hand {
            Some(by_hand) => by_hand.drive_until(wanted).await,
            None => wanted.await,
        }
    }

    async fn flush(&self, lane: &LaneHandle, message: impl FnOnce(FlushSender) -> Message) -> Result<(), WriterError> {
        let (flush, flushed) = oneshot::channel();
        if lane.sender.send(message(flush)).is_ok()
            && let Ok(outcome) = self.drive_until(flushed).await
        {
            return outcome;
        }
        // The lane has stopped. What the budget counts may be an append that is about to hear that the writer is closed.
        let nothing_left = lane.gauge.is_stopped_empty() || self.budget.usage().items == 0;
        if nothing_left { Ok(()) } else { Err(WriterError::DroppedUnflushed { list: "some lists".to_owned() }) }
    }
}

/// What two lanes' flushes say together: one error for all that is left.
fn together(one: Result<(), WriterError>, other: Result<(), WriterError>) -> Result<(), WriterError> {
    use WriterError::StillBuffered;
    match (one, other) {
        (
            Err(StillBuffered { list, item_count, key_count, cause }),
            Err(StillBuffered { list: other_list, item_count: other_items, key_count: other_keys, cause: other_cause }),
        ) => {
            let other_is_named = cause.is_transient() && !other_cause.is_transient();
            let (list, cause) = if other_is_named { (other_list, other_cause) } else { (list, cause) };
            let (item_count, key_count) = (item_count + other_items, key_count + other_keys);
            Err(StillBuffered { list, item_count, key_count, cause })
        }
        (Err(still_buffered @ StillBuffered { .. }), _) | (_, Err(still_buffered @ StillBuffered { .. })) => {
            Err(still_buffered)
        }
        (one, other) => one.and(other),
    }
}

impl<W: StoreWriter + 'static> Drop for Shared<W> {
    fn drop(&mut self) {
        let left = self.budget.usage();
        if left.items > 0 {
            let batches: u64 = self.lanes.iter().map(|lane| lane.gauge.state().batches).sum();
            tracing::warn!(
                items = left.items,
                bytes = left.bytes,
                batches,
                "dropped a batching writer with items that are not durable: they are given up (close it to avoid that)"
            );
        }
        self.lanes.iter().for_each(|lane| drop(lane.sender.send(Message::Stop { stopped: None })));
    }
}

impl<W: StoreWriter + 'static> Clone for BatchingStoreWriter<W> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<W: StoreWriter + 'static> std::fmt::Debug for BatchingStoreWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BatchingStoreWriter").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod tests;
