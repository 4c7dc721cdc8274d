//! Appending, commit by commit.

use klstore_format::Insertion;
use klstore_format::plan::{AppendOutcome, Appended as PlannedAppend, split, validate};

use super::compaction::Due;
use super::{MAX_ROUNDS, S3StoreWriter};
use crate::driver::Underway;
use crate::error::WriterError;
use crate::in_doubt::AppendUnderway;
use crate::receipt::Appended;
use crate::sessions::Lease;

/// One commit's worth of an append.
enum CommitAppend {
    New(Vec<Insertion>),
    /// It was sent already, and nobody knows what came of it.
    InDoubt(AppendUnderway),
}

impl S3StoreWriter {
    /// Appends, commit by commit. What is in doubt at the end of a failure is kept where the caller can come back to
    /// it, by its idempotency key.
    pub(super) async fn append(
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
}
