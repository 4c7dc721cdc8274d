//! What every writer can do.

use async_trait::async_trait;
use klstore_format::Insertion;

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
    /// their order; up to 16 MiB of them appear at one moment, a larger batch commit by commit. An item without
    /// timestamp gets the writer's time.
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
