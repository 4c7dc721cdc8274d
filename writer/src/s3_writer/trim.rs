//! Trim, deletion and retention.

use klstore_format::FormatError;
use klstore_format::names::ListName;
use klstore_format::plan::{Plan, Session, TrimOutcome, TrimTo};

use super::compaction::Due;
use super::{MAX_ROUNDS, S3StoreWriter};
use crate::error::WriterError;
use crate::sessions::Lease;

/// What a trim did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Offset of the first item that is left, as far as this writer knows; the list's next offset where none is, 0 where
    /// the list never had any.
    pub start: u64,
    /// Items that went with this call.
    pub trimmed_count: u64,
}

impl S3StoreWriter {
    /// Trims the list: what lies before an offset, or before the position of a timestamp, is gone for readers at once.
    /// Offsets and nonces go on where they were.
    ///
    /// The space is freed by a compaction that this starts; [`close`](Self::close) and
    /// [`duty_cycle`](crate::StoreWriter::duty_cycle) complete it. Trimming an unknown list does nothing.
    ///
    /// ```
    /// # use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter};
    /// use klstore_writer::{TrimTo, Trimmed};
    /// # use klstore_s3_server::{Credential, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bucket("my-bucket").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
    /// # let mut config = S3StoreConfig::new("my-bucket");
    /// # (config.endpoint, config.path_style) = (Some(server.endpoint()), true);
    /// # (config.access_key, config.secret_key) = (Some("AKEXAMPLE".into()), Some("secret".into()));
    /// # let writer = S3StoreWriter::new(config).await?;
    /// # writer.create_keyspace("flights").await?;
    /// # let departures = vec![Insertion::new("departed").with_timestamp(5), Insertion::new("again").with_timestamp(9)];
    /// # writer.append_list("flights", "N14228", departures).await?.await?;
    /// let trimmed = writer.trim("flights", "N14228", TrimTo::Timestamp(7)).await?;
    /// assert_eq!(trimmed, Trimmed { start: 1, trimmed_count: 1 });
    /// # writer.close().await?;
    /// # server.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::MayHaveTrimmed`] where the store did not answer in time.
    pub async fn trim(&self, keyspace: &str, key: &str, to: TrimTo) -> Result<Trimmed, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        self.raise_start(&mut lease, |session| session.trim(to)).await
    }

    /// Takes away every item that the list has when this takes effect. The list stays, without items: it is still among
    /// the keys, and an append goes on at the next offset and nonce.
    ///
    /// # Errors
    ///
    /// As for [`trim`](Self::trim).
    pub async fn delete_key(&self, keyspace: &str, key: &str) -> Result<Trimmed, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        self.raise_start(&mut lease, Session::delete).await
    }

    /// Trims the list now to what the configured retention allows. Without one it does nothing.
    ///
    /// Appends do so themselves, and a duty cycle for the lists that this writer has in memory; this is for any other
    /// list, as after a restart. The space is freed as by [`trim`](Self::trim).
    ///
    /// # Errors
    ///
    /// As for [`trim`](Self::trim).
    pub async fn apply_retention(&self, keyspace: &str, key: &str) -> Result<Trimmed, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        self.retain(&mut lease).await
    }

    /// Trims a list to what the retention allows.
    pub(super) async fn retain(&self, lease: &mut Lease) -> Result<Trimmed, WriterError> {
        let now = self.shared.driver.clock.now();
        lease.state.last_retention = self.shared.driver.clock.elapsed();
        self.raise_start(lease, |session| session.retain(now)).await
    }

    async fn raise_start(
        &self,
        lease: &mut Lease,
        plan: impl Fn(Session) -> Plan<Result<(Session, TrimOutcome), FormatError>>,
    ) -> Result<Trimmed, WriterError> {
        let list = lease.list().clone();
        let mut missing = None;
        for _ in 0..MAX_ROUNDS {
            let session = self.session(lease).await?;
            let (session, outcome) = self.run(&list, plan(session)).await.map_err(|error| uncertain(&list, error))?;
            lease.state.session = Some(session);
            match outcome {
                TrimOutcome::Trimmed(trimmed) => {
                    let counters = &self.shared.driver.counters;
                    counters.trimmed.add(trimmed.items);
                    counters.conflicts.add(trimmed.conflicts);
                    self.start_background_work(lease, Due::AfterTrim);
                    return Ok(Trimmed { start: trimmed.start, trimmed_count: trimmed.items });
                }
                TrimOutcome::AwaitsCompaction => drop(self.prepare(lease, &mut missing).await?),
            }
        }
        Err(WriterError::Contended { list: list.to_string() })
    }
}

/// What may have happened is a trim, not an append.
fn uncertain(list: &ListName, error: WriterError) -> WriterError {
    match error {
        WriterError::Unavailable { reason, may_have_appended: true, .. } => {
            WriterError::MayHaveTrimmed { target: list.to_string(), reason }
        }
        other => other,
    }
}
