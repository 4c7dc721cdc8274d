//! The writer that appends to S3 at once.

mod append;
mod compaction;
mod position;
mod trim;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::{Plan, Session, SessionOptions, SweepReport, sweep_commits, sweep_objects, validate};
use klstore_format::wire::identity::SessionId;
use klstore_format::{FormatError, Insertion, S3StoreConfig};

use crate::background::Background;
use crate::builder::S3StoreWriterBuilder;
use crate::driver::Driver;
use crate::error::WriterError;
use crate::in_doubt::{Place, Room};
use crate::keyspace::{CreatedKeyspace, Keyspaces};
use crate::receipt::AppendReceipt;
use crate::sessions::{Lease, Sessions};
use crate::statistics::WriterStatistics;
use crate::writer::{DutyReport, StoreWriter};

pub use position::ListPosition;
pub use trim::Trimmed;

/// How often an append or compaction starts over because the list moved under it, before it says so.
const MAX_ROUNDS: u32 = 8;
/// Lists that a duty cycle or a close works on at once.
const DUTIES_AT_ONCE: usize = 8;

/// Appends to lists on S3; each append is one conditional PUT and durable when it returns.
///
/// Clones share everything. One writer at a time should append to a key: several are safe, but each change of hands
/// costs two more requests. It must be used inside a tokio runtime; [`blocking`](crate::blocking) brings its own.
///
/// ```
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
/// let writer = S3StoreWriter::new(config).await?;
/// writer.create_keyspace("flights").await?;
/// let departure = Insertion::new("departed").with_nonce(1).with_timestamp(1_357_034_400_000);
/// let appended = writer.append_list("flights", "N14228", vec![departure]).await?.await?;
/// assert_eq!(appended.first_offset, Some(0));
/// writer.close().await?;
/// # server.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct S3StoreWriter {
    shared: Arc<Shared>,
}

/// What the clones of a writer share.
pub(crate) struct Shared {
    pub(crate) driver: Arc<Driver>,
    pub(crate) background: Background,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) keyspaces: Keyspaces,
    pub(crate) in_doubt: Room,
    pub(crate) prefix: Prefix,
    pub(crate) options: Arc<SessionOptions>,
    pub(crate) max_future_skew_millis: Option<u64>,
    pub(crate) pauses: Pauses,
}

/// After how long without appends a duty cycle does what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// An idle list's small commits are compacted.
    pub(crate) compact_idle: Duration,
    /// A prepared index is published by a commit of its own.
    pub(crate) publish: Duration,
    /// A compaction that failed is tried again.
    pub(crate) retry_compaction: Duration,
}

impl S3StoreWriter {
    /// A writer with the settings of `config`. Nothing is sent yet: the first append or creation checks that the
    /// store is safe to write to.
    ///
    /// # Errors
    ///
    /// [`WriterError::Configuration`] and [`WriterError::InvalidName`] for settings that cannot work.
    pub async fn new(config: S3StoreConfig) -> Result<Self, WriterError> {
        Self::builder(config).build().await
    }

    /// The same with another store, clock or limits.
    pub fn builder(config: S3StoreConfig) -> S3StoreWriterBuilder {
        S3StoreWriterBuilder::new(config)
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// What this writer has done so far.
    pub fn statistics(&self) -> WriterStatistics {
        let (keys, bytes) = self.shared.sessions.usage();
        WriterStatistics {
            cached_key_count: keys as u64,
            cached_bytes: bytes as u64,
            background_count: self.shared.background.active() as u64,
            ..self.shared.driver.counters.snapshot()
        }
    }

    /// Frees what a crash left of the list: commits, segments and index pages that nothing refers to.
    ///
    /// Safe at any time, beside any number of writers and other sweeps.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::Unavailable`] where the store answered nothing for as long as
    /// the retry policy's deadline; [`WriterError::PartlySwept`] where that came after the commits were freed. Objects
    /// that cannot be read are in the report and stay.
    pub async fn sweep(&self, keyspace: &str, key: &str) -> Result<SweepReport, WriterError> {
        let list = self.list(keyspace, key).await?;
        let commits = self.run_long(&list, sweep_commits(list.clone())).await?;
        let objects = match self.run_long(&list, sweep_objects(list.clone())).await {
            Ok(objects) => objects,
            Err(cause) if commits == SweepReport::default() => return Err(cause),
            Err(cause) => {
                let (list, cause) = (list.to_string(), Box::new(cause));
                return Err(WriterError::PartlySwept { list, freed: commits, cause });
            }
        };
        let mut freed = commits;
        freed.add(objects);
        Ok(freed)
    }

    /// Drops what is in memory of the lists whose keyspace and key match, but for those that are in use just now, and
    /// says of how many. An append loads such a list again.
    ///
    /// For lists that another instance appends to from now on. What was in doubt of them is dropped too, as if it had
    /// never been made again, and of a compaction under way the objects that it has written stay for a sweep. A batching
    /// writer's lists are forgotten in its [`inner`](crate::BatchingStoreWriter::inner) writer, once flushed.
    pub fn forget(&self, matches: impl Fn(&str, &str) -> bool) -> usize {
        let sessions = &self.shared.sessions;
        let matching = sessions.lists().into_iter().filter(|list| matches(list.keyspace(), list.key()));
        matching.filter(|list| sessions.forget(list)).count()
    }

    /// Ends well: waits for compactions under way, publishes what they prepared and waits until it is collected.
    ///
    /// Without it nothing is lost; unfinished compactions leave objects for a sweep.
    ///
    /// # Errors
    ///
    /// The first of all lists, after each had its turn.
    pub async fn close(&self) -> Result<(), WriterError> {
        let ends = stream::iter(self.shared.sessions.lists()).map(|list| async move {
            let Some(mut lease) = self.shared.sessions.lease_cached(&list).await else { return Ok(false) };
            self.accept_compaction(&mut lease).await;
            let published = self.publish(&mut lease).await?;
            // That compaction may have begun before the trim.
            let left = lease.state.session.as_ref().is_some_and(Session::trim_left_space);
            if lease.state.trim_waits && left && self.prepare(&mut lease, &mut None).await? {
                return self.publish(&mut lease).await;
            }
            Ok(published)
        });
        let ends: Vec<Result<bool, WriterError>> = ends.buffer_unordered(DUTIES_AT_ONCE).collect().await;
        self.shared.background.idle().await;
        ends.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// The list of that name, in a keyspace that exists.
    async fn list(&self, keyspace: &str, key: &str) -> Result<ListName, WriterError> {
        let list = ListName::new(&self.shared.prefix, keyspace, key)?;
        self.shared.keyspaces.ensure(&self.shared.driver, keyspace).await?;
        Ok(list)
    }

    async fn lease(&self, keyspace: &str, key: &str) -> Result<Lease, WriterError> {
        let list = self.list(keyspace, key).await?;
        Ok(self.shared.sessions.lease(&list).await)
    }

    async fn run<T>(&self, list: &ListName, plan: Plan<Result<T, FormatError>>) -> Result<T, WriterError> {
        let driver = &self.shared.driver;
        match driver.run(plan, driver.policy.deadline).await {
            Ok(outcome) => Ok(outcome?),
            Err(given_up) => Err(WriterError::given_up(&list.to_string(), given_up)),
        }
    }

    /// The same for a plan whose length goes by that of the list.
    async fn run_long<T>(&self, list: &ListName, plan: Plan<Result<T, FormatError>>) -> Result<T, WriterError> {
        let driver = &self.shared.driver;
        match driver.run_long(plan, driver.policy.deadline).await {
            Ok(outcome) => Ok(outcome?),
            Err(given_up) => Err(WriterError::given_up(&list.to_string(), given_up)),
        }
    }

    /// Takes the key's session, or opens one. Whoever does not put it back has abandoned it (PROTOCOL rule 1).
    async fn session(&self, lease: &mut Lease) -> Result<Session, WriterError> {
        if lease.state.session.is_some() && lease.state.compaction.as_ref().is_some_and(|task| task.is_finished()) {
            self.accept_compaction(lease).await;
        }
        if let Some(session) = lease.state.session.take() {
            return Ok(session);
        }
        lease.state.compaction = None;
        let id = SessionId(self.shared.driver.random.next());
        let list = lease.list().clone();
        self.run(&list, Session::open(list.clone(), id, self.shared.options.clone())).await
    }
}

#[async_trait]
impl StoreWriter for S3StoreWriter {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        let driver = &self.shared.driver;
        self.shared.keyspaces.create(driver, keyspace, driver.clock.now()).await
    }

    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        let appended = self.append(keyspace, key, insertions, Place::End { idempotency_key: None }).await?;
        Ok(AppendReceipt::durable_now(appended))
    }

    async fn append_list_idempotent(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
        idempotency_key: u128,
    ) -> Result<AppendReceipt, WriterError> {
        let place = Place::End { idempotency_key: Some(idempotency_key) };
        let appended = self.append(keyspace, key, insertions, place).await?;
        Ok(AppendReceipt::durable_now(appended))
    }

    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        ListName::check(keyspace, key)?;
        let now = self.shared.driver.clock.now();
        Ok(validate(insertions, now, self.shared.max_future_skew_millis)?)
    }

    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        let list = ListName::new(&self.shared.prefix, keyspace, key)?;
        // Appends are durable when they return; those under way hold the lease.
        let Some(lease) = self.shared.sessions.lease_cached(&list).await else { return Ok(()) };
        let compaction = lease.state.compaction.as_ref().map(|compaction| compaction.finished());
        drop(lease);
        if let Some(finished) = compaction {
            finished.await;
        }
        Ok(())
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        self.shared.background.idle().await;
        Ok(())
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        let duties = stream::iter(self.shared.sessions.lists()).map(|list| self.duty(list));
        let reports: Vec<_> = duties.buffer_unordered(DUTIES_AT_ONCE).collect().await;
        let mut total = DutyReport::default();
        for report in reports {
            let report = report?;
            total.compacted_count += report.compacted_count;
            total.published_count += report.published_count;
            total.trimmed_count += report.trimmed_count;
        }
        Ok(total)
    }
}

impl std::fmt::Debug for S3StoreWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3StoreWriter").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let unfinished = self.background.active();
        if unfinished > 0 {
            tracing::warn!(
                unfinished,
                "dropped a writer with background work under way; a sweep finds what it leaves (close it to avoid that)"
            );
        }
    }
}

#[cfg(test)]
mod tests;
