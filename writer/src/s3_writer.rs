//! The writer that appends to S3 at once.

mod trim;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{self, Either};
use futures::{StreamExt, stream};
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::{
    AppendOutcome, Appended as PlannedAppend, Compaction, Plan, Session, SessionOptions, SweepReport, split,
    sweep_commits, sweep_objects, validate,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::{CorruptObject, FormatError, Insertion, S3StoreConfig};

use crate::background::{Background, run_collection, run_compaction};
use crate::builder::S3StoreWriterBuilder;
use crate::driver::{Driver, Underway};
use crate::error::WriterError;
use crate::in_doubt::{AppendUnderway, Room};
use crate::keyspace::{CreatedKeyspace, Keyspaces};
use crate::receipt::{AppendReceipt, Appended};
use crate::sessions::{Lease, Sessions};
use crate::statistics::WriterStatistics;
use crate::writer::{DutyReport, StoreWriter};

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

/// One commit's worth of an append.
enum CommitAppend {
    New(Vec<Insertion>),
    /// It was sent already, and nobody knows what came of it.
    InDoubt(AppendUnderway),
}

/// When a compaction is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// While there are appends: once it is worth its requests.
    AfterAppend,
    /// Also where it would free what was trimmed.
    AfterTrim,
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

    /// Compacts the list now: merges its small commits, publishes the index and collects what it replaces.
    /// `false`: there was nothing to compact.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::Contended`] where other writers kept coming in between.
    pub async fn compact(&self, keyspace: &str, key: &str) -> Result<bool, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        let mut missing = None;
        for _ in 0..MAX_ROUNDS {
            let session = self.session(&mut lease).await?;
            let prepared = session.has_prepared();
            lease.state.session = Some(session);
            if !prepared && !self.prepare(&mut lease, &mut missing).await? {
                return Ok(false);
            }
            if self.publish(&mut lease).await? {
                return Ok(true);
            }
        }
        Err(WriterError::Contended { list: lease.list().to_string() })
    }

    /// Frees what a crash left of the list: commits, segments and index pages that nothing refers to.
    ///
    /// Safe at any time, beside any number of writers and other sweeps.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; objects that cannot be read are in the report and stay.
    pub async fn sweep(&self, keyspace: &str, key: &str) -> Result<SweepReport, WriterError> {
        let list = self.list(keyspace, key).await?;
        let commits = self.run(&list, sweep_commits(list.clone())).await?;
        let objects = self.run(&list, sweep_objects(list.clone())).await?;
        Ok(SweepReport {
            stubbed: commits.stubbed + objects.stubbed,
            deleted: commits.deleted + objects.deleted,
            freed_bytes: commits.freed_bytes + objects.freed_bytes,
            unreadable: commits.unreadable.into_iter().chain(objects.unreadable).collect(),
        })
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
            self.publish(&mut lease).await
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

    /// Appends, commit by commit. What is in doubt at the end of a failure is kept where the caller can come back to
    /// it, by its idempotency key.
    async fn append(
        &self,
        keyspace: &str,
        key: &str,
        mut insertions: Vec<Insertion>,
        idempotency_key: Option<u128>,
    ) -> Result<Appended, WriterError> {
        let list = self.list(keyspace, key).await?;
        let now = self.shared.driver.clock.now();
        validate(&insertions, now, self.shared.max_future_skew_millis)?;
        let mut lease = self.shared.sessions.lease(&list).await;
        let mut commits = Vec::new();
        // What somebody else left in doubt is given up: its caller can only begin anew (PROTOCOL rule 1).
        if let Some(in_doubt) = lease.state.in_doubt.take()
            && let Some((count, underway)) = in_doubt.resume(idempotency_key, insertions.len())
        {
            insertions.drain(..count);
            commits.push((count, CommitAppend::InDoubt(underway)));
        }
        commits.extend(split(insertions).into_iter().map(|commit| (commit.len(), CommitAppend::New(commit))));
        let mut appended = Appended::default();
        let mut insertions_done = 0;
        for (count, commit) in commits {
            match self.append_commit(&mut lease, commit, count, now, idempotency_key).await {
                Ok(part) => {
                    appended.conflict_count += part.conflicts;
                    appended.add(part.offsets, part.duplicates);
                }
                Err(cause) if insertions_done == 0 => return Err(cause),
                Err(cause) => {
                    let (list, cause) = (list.to_string(), Box::new(cause));
                    return Err(WriterError::PartlyAppended { list, insertions_done, appended, cause });
                }
            }
            insertions_done += count;
        }
        Ok(appended)
    }

    /// Appends one commit's worth, of `count` insertions.
    async fn append_commit(
        &self,
        lease: &mut Lease,
        mut commit: CommitAppend,
        count: usize,
        now: i64,
        idempotency_key: Option<u128>,
    ) -> Result<PlannedAppend, WriterError> {
        let list = lease.list().clone();
        let mut missing = None;
        let driver = &self.shared.driver;
        for _ in 0..MAX_ROUNDS {
            let mut underway = match commit {
                CommitAppend::New(insertions) => {
                    let session = self.session(lease).await?;
                    Underway::new(session.append(insertions, now))
                }
                CommitAppend::InDoubt(underway) => underway,
            };
            let (session, outcome) = match driver.go_on(&mut underway, driver.policy.deadline).await {
                Ok(outcome) => outcome?,
                Err(given_up) => {
                    if let Some(idempotency_key) = idempotency_key.filter(|_| given_up.uncertain) {
                        lease.state.in_doubt = self.shared.in_doubt.keep(&list, idempotency_key, count, underway);
                    }
                    return Err(WriterError::given_up(&list.to_string(), given_up));
                }
            };
            lease.state.session = Some(session);
            match outcome {
                AppendOutcome::Appended(appended) => {
                    let appended_count = appended.offsets.end - appended.offsets.start;
                    let duplicates = count as u64 - appended_count;
                    driver.counters.appended.add(appended_count);
                    driver.counters.duplicates.add(duplicates);
                    driver.counters.conflicts.add(appended.conflicts);
                    driver.counters.trimmed.add(appended.trimmed);
                    lease.state.last_append = driver.clock.elapsed();
                    self.start_background_work(lease, Due::AfterAppend);
                    return Ok(PlannedAppend { duplicates, ..appended });
                }
                AppendOutcome::AwaitsCompaction { insertions: refused } => {
                    commit = CommitAppend::New(refused);
                    self.prepare(lease, &mut missing).await?;
                }
            }
        }
        Err(WriterError::Contended { list: list.to_string() })
    }

    /// Collects what the last commit replaced, and compacts where that is due. Waits for neither.
    fn start_background_work(&self, lease: &mut Lease, due: Due) {
        let list = lease.list().clone();
        let state = &mut *lease.state;
        let Some(session) = &mut state.session else { return };
        if let Some(garbage) = session.take_garbage() {
            self.shared.background.collect(list.to_string(), garbage);
        }
        let paused = self.shared.driver.clock.elapsed() < state.compact_not_before;
        let due = session.compaction_due() || (due == Due::AfterTrim && session.trim_left_space());
        if state.compaction.is_none() && !paused && !session.has_prepared() && due {
            let plan = session.compact(self.shared.driver.random.next());
            state.compaction = Some(self.shared.background.compact(list.to_string(), plan));
        }
    }

    /// Waits for the compaction under way, if there is one, and hands what it prepared to the session.
    async fn accept_compaction(&self, lease: &mut Lease) {
        let Some(compaction) = &mut lease.state.compaction else { return };
        let outcome = compaction.outcome().await;
        lease.state.compaction = None;
        match outcome {
            Ok(Compaction::Prepared(prepared)) => {
                if let Some(session) = &mut lease.state.session
                    && !session.accept(prepared)
                {
                    tracing::debug!(list = %lease.list(), "threw a prepared index away: the list has moved on");
                }
            }
            Ok(Compaction::NothingToDo) => {}
            Ok(Compaction::GaveUp { .. }) | Err(_) => self.pause_compaction(lease),
        }
    }

    fn pause_compaction(&self, lease: &mut Lease) {
        let now = self.shared.driver.clock.elapsed();
        lease.state.compact_not_before = now.saturating_add(self.shared.pauses.retry_compaction);
    }

    /// Prepares an index now, by the compaction under way or by one of its own. `false`: there is nothing to cover.
    ///
    /// Where the list has moved on, the session is dropped, so that the next one loads anew. `missing` is the object
    /// that showed it in the round before: if the newest commit that was loaded since still refers to it, it is lost.
    async fn prepare(&self, lease: &mut Lease, missing: &mut Option<String>) -> Result<bool, WriterError> {
        let limit = self.shared.driver.policy.deadline;
        if lease.state.compaction.is_some() {
            let deadline = self.shared.driver.clock.sleep(limit);
            let list = lease.list().to_string();
            let accepted = std::pin::pin!(self.accept_compaction(lease));
            if let Either::Right(_) = future::select(accepted, deadline).await {
                return Err(WriterError::Unavailable {
                    target: list,
                    reason: "its compaction, which must come first, takes too long".into(),
                    may_have_appended: false,
                });
            }
        }
        let list = lease.list().to_string();
        let Some(session) = &mut lease.state.session else { return Ok(true) };
        if session.has_prepared() {
            return Ok(true);
        }
        let plan = session.compact(self.shared.driver.random.next());
        match run_compaction(&self.shared.driver, &list, plan, limit).await? {
            Compaction::Prepared(prepared) => {
                session.accept(prepared);
                Ok(true)
            }
            Compaction::GaveUp { object } => {
                lease.state.session = None;
                if missing.as_ref() == Some(&object) {
                    let reason = "it is missing, empty or another object, though the newest commit refers to it";
                    return Err(CorruptObject { object, reason }.into());
                }
                *missing = Some(object);
                Ok(true)
            }
            Compaction::NothingToDo => Ok(false),
        }
    }

    /// Publishes the session's prepared index and collects what it replaces; `false` where none is prepared (any
    /// more).
    async fn publish(&self, lease: &mut Lease) -> Result<bool, WriterError> {
        let prepared = |session: &mut Session| session.has_prepared();
        let Some(session) = lease.state.session.take_if(prepared) else { return Ok(false) };
        let list = lease.list().clone();
        let (mut session, published) = self.run(&list, session.publish()).await?;
        let garbage = session.take_garbage();
        lease.state.session = Some(session);
        if let Some(garbage) = garbage {
            run_collection(&self.shared.driver, &list.to_string(), garbage).await;
        }
        Ok(published)
    }

    /// What a duty cycle does for one list.
    async fn duty(&self, list: ListName) -> Result<DutyReport, WriterError> {
        let mut report = DutyReport::default();
        let (shared, pauses) = (&self.shared, &self.shared.pauses);
        let Some(mut lease) = shared.sessions.try_lease(&list) else { return Ok(report) };
        let now = shared.driver.clock.elapsed();
        let idle = now.saturating_sub(lease.state.last_append);
        let retained = now.saturating_sub(lease.state.last_retention);
        if !shared.options.retention.is_unlimited()
            && lease.state.session.is_some()
            && idle.min(retained) >= pauses.compact_idle
        {
            report.trimmed_count += self.retain(&mut lease).await?.trimmed_count;
        }
        let state = &mut *lease.state;
        let Some(session) = &state.session else { return Ok(report) };
        if state.compaction.is_none()
            && !session.has_prepared()
            && idle >= pauses.compact_idle
            && now >= state.compact_not_before
            && (session.idle_compaction_due() || session.trim_left_space())
        {
            let compaction = shared.background.compact(list.to_string(), session.compact(shared.driver.random.next()));
            let finished = compaction.finished();
            state.compaction = Some(compaction);
            // An append may come while it runs: the key is free meanwhile.
            drop(lease);
            finished.await;
            report.compacted_count += 1;
            match shared.sessions.try_lease(&list) {
                Some(again) => lease = again,
                None => return Ok(report),
            }
        }
        if lease.state.compaction.as_ref().is_some_and(|compaction| compaction.is_finished()) {
            self.accept_compaction(&mut lease).await;
        }
        let idle = shared.driver.clock.elapsed().saturating_sub(lease.state.last_append);
        if idle >= pauses.publish && self.publish(&mut lease).await? {
            report.published_count += 1;
        }
        Ok(report)
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
        let appended = self.append(keyspace, key, insertions, None).await?;
        Ok(AppendReceipt::durable_now(appended))
    }

    async fn append_list_idempotent(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
        idempotency_key: u128,
    ) -> Result<AppendReceipt, WriterError> {
        let appended = self.append(keyspace, key, insertions, Some(idempotency_key)).await?;
        Ok(AppendReceipt::durable_now(appended))
    }

    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        ListName::new(&self.shared.prefix, keyspace, key)?;
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
