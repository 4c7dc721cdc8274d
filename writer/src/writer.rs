//! What every writer can do.

use async_trait::async_trait;
use klstore_format::Insertion;
use klstore_format::names::{KeyName, KeyspaceName};
use klstore_format::plan::validate;

use crate::error::WriterError;
use crate::keyspace::CreatedKeyspace;
use crate::receipt::AppendReceipt;

/// Appends to lists. [`S3StoreWriter`](crate::S3StoreWriter) writes each append at once.
///
/// Dropping a call's future gives the call up: an append may then have happened or not. With nonces it is simply
/// made again.
#[async_trait]
pub trait StoreWriter: Send + Sync {
    /// Creates a keyspace.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceAlreadyExists`]; [`WriterError::InvalidName`]; [`WriterError::UnsafeStore`].
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError>;

    /// Appends to the list `key` of `keyspace`, which is created where it does not exist.
    ///
    /// Every item with a nonce below the list's next nonce is dropped as a duplicate. The items of one call keep
    /// their order; up to 16 MiB of them (and 262,144 items) appear at one moment, a larger batch commit by commit. An
    /// item without timestamp gets the writer's time.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::InvalidName`] and [`WriterError::InvalidInsertion`], before
    /// anything is sent; [`WriterError::PartlyAppended`] where the first commits of a large batch were written.
    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError>;

    /// Appends as [`append_list`](Self::append_list). Where an append failed with its outcome in doubt and is made
    /// again, with the same insertions and idempotency key, it goes on where it stopped: without nonces, too, the
    /// items are then in the list once. Of a batch that was
    /// [`PartlyAppended`](WriterError::PartlyAppended), the insertions that were not done are made again.
    ///
    /// As said here it only appends. [`S3StoreWriter`](crate::S3StoreWriter) keeps the commit in doubt in memory,
    /// where those of all keys fit into as much as its carries may take, until somebody else appends to the key.
    ///
    /// # Errors
    ///
    /// As those of [`append_list`](Self::append_list).
    async fn append_list_idempotent(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
        idempotency_key: u128,
    ) -> Result<AppendReceipt, WriterError> {
        let _ = idempotency_key;
        self.append_list(keyspace, key, insertions).await
    }

    /// Checks names and insertions as [`append_list`](Self::append_list) does before anything is sent.
    ///
    /// # Errors
    ///
    /// [`WriterError::InvalidName`] and [`WriterError::InvalidInsertion`].
    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        KeyspaceName::new(keyspace)?;
        KeyName::new(key)?;
        Ok(validate(insertions, i64::MAX, None)?)
    }

    /// Waits until what was appended to the key before this call is durable and its compaction has ended.
    ///
    /// # Errors
    ///
    /// What stopped an append whose receipt is still open.
    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError>;

    /// The same for all keys.
    ///
    /// # Errors
    ///
    /// The first that stopped an append whose receipt is still open.
    async fn flush_all(&self) -> Result<(), WriterError>;

    /// Does what is due: compacts lists that have gone idle, publishes what found no append to ride on. To be called
    /// every few seconds, by one caller.
    ///
    /// # Errors
    ///
    /// The first of all lists, after each had its turn; what failed is tried again by a later call.
    async fn duty_cycle(&self) -> Result<DutyReport, WriterError>;
}

/// What a duty cycle did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DutyReport {
    /// Idle lists whose compaction was prepared.
    pub compacted_count: u64,
    /// Indexes published by a commit of their own.
    pub published_count: u64,
    /// Items of idle lists that went by the retention.
    pub trimmed_count: u64,
}
