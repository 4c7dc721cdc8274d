//! Appending, commit by commit.

use klstore_format::Insertion;
use klstore_format::plan::{AppendOutcome, Appended as PlannedAppend, split, validate};

use super::compaction::Due;
use super::{MAX_ROUNDS, S3StoreWriter};
use crate::driver::Underway;
use crate::error::WriterError;
use crate::in_doubt::{AppendUnderway, Identity, Place};
use crate::receipt::Appended;
use crate::sessions::Lease;

/// One commit's worth of an append.
struct CommitAppend {
    insertion_count: usize,
    /// Kept with it where it ends in doubt.
    identity: Option<Identity>,
    attempt: Attempt,
}

enum Attempt {
    New(Vec<Insertion>),
    /// It was sent already, and nobody knows what came of it.
    InDoubt(AppendUnderway),
}

impl S3StoreWriter {
    /// Appends where the list ends at `expected_next_offset`, and only there: otherwise nothing is appended. So what
    /// copies a list and is started again appends nothing twice, not even items without nonces.
    ///
    /// Items with nonces that are taken are dropped here too. The items of one call appear at one moment, up to the size
    /// of which [`append_list`](crate::StoreWriter::append_list) tells; a larger batch goes on commit by commit, each of them
    /// behind the one before.
    ///
    /// When it fails with its outcome in doubt and is made again, with the same insertions at the same offset, it goes
    /// on where it stopped, as long as this writer remembers it (see
    /// [`append_list_idempotent`](crate::StoreWriter::append_list_idempotent)). After that, what took effect of it shows as
    /// [`WriterError::UnexpectedEnd`].
    ///
    /// ```
    /// # use klstore_writer::{S3StoreConfig, S3StoreWriter, StoreWriter};
    /// use klstore_writer::{Insertion, WriterError};
    /// # use klstore_s3_server::{Credential, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bucket("my-bucket").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
    /// # let mut config = S3StoreConfig::new("my-bucket");
    /// # (config.endpoint, config.path_style) = (Some(server.endpoint()), true);
    /// # (config.access_key, config.secret_key) = (Some("AKEXAMPLE".into()), Some("secret".into()));
    /// # let writer = S3StoreWriter::new(config).await?;
    /// # writer.create_keyspace("flights").await?;
    /// writer.append_list_at("flights", "N14228", 0, vec![Insertion::new("departed")]).await?;
    /// let again = writer.append_list_at("flights", "N14228", 0, vec![Insertion::new("departed")]).await;
    /// assert!(matches!(again, Err(WriterError::UnexpectedEnd { expected: 0, next_offset: 1, .. })));
    /// # writer.close().await?;
    /// # server.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriterError::UnexpectedEnd`] where the list ends elsewhere, and nothing of the call was appended;
    /// [`WriterError::PartlyAppended`] where that, or another failure, came after the first commits of a large batch;
    /// otherwise those of `append_list`.
    pub async fn append_list_at(
        &self,
        keyspace: &str,
        key: &str,
        expected_next_offset: u64,
        insertions: Vec<Insertion>,
    ) -> Result<Appended, WriterError> {
        self.append(keyspace, key, insertions, Place::Offset(expected_next_offset)).await
    }

    /// Appends, commit by commit. What is in doubt at the end of a failure is kept where the caller can come back to
    /// it.
    pub(super) async fn append(
        &self,
        keyspace: &str,
        key: &str,
        mut insertions: Vec<Insertion>,
        mut place: Place,
    ) -> Result<Appended, WriterError> {
        let list = self.list(keyspace, key).await?;
        let now = self.shared.driver.clock.now();
        validate(&insertions, now, self.shared.max_future_skew_millis)?;
        let mut lease = self.shared.sessions.lease(&list).await;
        let mut commits = Vec::new();
        // What somebody else left in doubt is given up: its caller can only begin anew (PROTOCOL rule 1).
        if let Some(in_doubt) = lease.state.in_doubt.take()
            && let Some((count, underway)) = in_doubt.resume(place, &insertions)
        {
            let rest = insertions.split_off(count);
            commits.push((insertions, Some(underway)));
            insertions = rest;
        }
        commits.extend(split(insertions).into_iter().map(|commit| (commit, None)));
        if commits.is_empty() && matches!(place, Place::Offset(_)) {
            // Of nothing, too, it is told whether the list ends there.
            commits.push((Vec::new(), None));
        }
        let mut appended = Appended::default();
        let mut insertions_done = 0;
        for (insertions, in_doubt) in commits {
            let insertion_count = insertions.len();
            let identity = place.identity(&insertions);
            let attempt = in_doubt.map_or(Attempt::New(insertions), Attempt::InDoubt);
            let commit = CommitAppend { insertion_count, identity, attempt };
            match self.append_commit(&mut lease, commit, place, now).await {
                Ok(part) => {
                    if let Place::Offset(expected) = &mut place {
                        *expected = part.offsets.end;
                    }
                    appended.conflict_count += part.conflicts;
                    appended.add(part.offsets);
                    let before = insertions_done as u64;
                    for run in part.duplicates {
                        appended.add_duplicates(before + run.start..before + run.end);
                    }
                }
                Err(cause) if insertions_done == 0 => return Err(cause),
                Err(cause) => {
                    let (list, appended, cause) = (list.to_string(), Box::new(appended), Box::new(cause));
                    return Err(WriterError::PartlyAppended { list, insertions_done, appended, cause });
                }
            }
            insertions_done += insertion_count;
        }
        Ok(appended)
    }

    async fn append_commit(
        &self,
        lease: &mut Lease,
        commit: CommitAppend,
        place: Place,
        now: i64,
    ) -> Result<PlannedAppend, WriterError> {
        let CommitAppend { insertion_count, identity, mut attempt } = commit;
        let list = lease.list().clone();
        let mut missing = None;
        let driver = &self.shared.driver;
        for _ in 0..MAX_ROUNDS {
            let mut underway = match attempt {
                Attempt::New(insertions) => {
                    let session = self.session(lease).await?;
                    Underway::new(match place {
                        Place::End { .. } => session.append(insertions, now),
                        Place::Offset(expected) => session.append_at(insertions, now, expected),
                    })
                }
                Attempt::InDoubt(underway) => underway,
            };
            let (session, outcome) = match driver.go_on(&mut underway, driver.policy.deadline).await {
                Ok(outcome) => outcome?,
                Err(given_up) => {
                    if let Some(identity) = identity.filter(|_| given_up.uncertain) {
                        lease.state.in_doubt = self.shared.in_doubt.keep(&list, identity, insertion_count, underway);
                    }
                    return Err(WriterError::given_up(&list.to_string(), given_up));
                }
            };
            lease.state.session = Some(session);
            match outcome {
                AppendOutcome::Appended(appended) => {
                    let appended_count = appended.offsets.end - appended.offsets.start;
                    driver.counters.appended.add(appended_count);
                    driver.counters.duplicates.add(appended.duplicate_count());
                    driver.counters.conflicts.add(appended.conflicts);
                    driver.counters.trimmed.add(appended.trimmed);
                    lease.state.last_append = driver.clock.elapsed();
                    self.start_background_work(lease, Due::AfterAppend);
                    return Ok(appended);
                }
                AppendOutcome::AwaitsCompaction { insertions: refused } => {
                    attempt = Attempt::New(refused);
                    self.prepare(lease, &mut missing).await?;
                }
                AppendOutcome::EndsElsewhere { next_offset } => {
                    let expected = if let Place::Offset(expected) = place { expected } else { next_offset };
                    return Err(WriterError::UnexpectedEnd { list: list.to_string(), expected, next_offset });
                }
            }
        }
        Err(WriterError::Contended { list: list.to_string() })
    }
}
