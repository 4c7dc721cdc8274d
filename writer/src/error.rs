//! What can go wrong, by what the caller should do about it.

use std::sync::Arc;

use klstore_credentials::CredentialsError;
use klstore_format::config::ConfigError;
use klstore_format::plan::{InvalidInsertion, SweepReport};
use klstore_format::{CorruptObject, FormatError, NameError};
use thiserror::Error;

use crate::driver::DriveError;
use crate::receipt::Appended;
use crate::store::StoreError;

/// Why a writer could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriterError {
    /// Create the keyspace first.
    #[error("keyspace `{keyspace}` does not exist: create it first, or check bucket and prefix")]
    KeyspaceNotFound {
        /// Its name.
        keyspace: String,
    },
    /// Use the keyspace that exists, or another name.
    #[error("keyspace `{keyspace}` already exists: use it as it is, or choose another name")]
    KeyspaceAlreadyExists {
        /// Its name.
        keyspace: String,
    },
    /// Fix the name of keyspace or key.
    #[error(transparent)]
    InvalidName(#[from] NameError),
    /// Fix the item; nothing of the batch was appended.
    #[error(transparent)]
    InvalidInsertion(#[from] InvalidInsertion),
    /// Fix the settings.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Say where the credentials are.
    #[error(transparent)]
    Credentials(CredentialsError),
    /// Fix credentials, permissions, region, bucket or clock, as the message says.
    #[error(transparent)]
    Store(StoreError),
    /// Use another store: this one cannot keep two writers apart.
    #[error(
        "the store is not safe to write to: {reason}. klstore needs `PUT` with `If-None-Match: *` to refuse a name \
         that exists (412); use a store or server version that does"
    )]
    UnsafeStore {
        /// What the probe saw.
        reason: String,
    },
    /// Try again: the store did not answer in time.
    #[error("the store was not available for `{target}`: {reason}. {}", if *.may_have_appended {
        "What was under way may have taken effect all the same: append it again with its nonces, which drops \
         duplicates, or read the list's end first"
    } else {
        "Nothing was written: try again"
    })]
    Unavailable {
        /// Keyspace and key, or the keyspace.
        target: String,
        /// The last thing that went wrong.
        reason: String,
        /// Whether the commit under way may have taken effect, or may yet.
        may_have_appended: bool,
    },
    /// Trim again: the store did not answer in time.
    #[error(
        "the store was not available while `{target}` was trimmed: {reason}. It may have been trimmed all the same, or \
         may yet be: trim it again, which does no harm"
    )]
    MayHaveTrimmed {
        /// Keyspace and key.
        target: String,
        /// The last thing that went wrong.
        reason: String,
    },
    /// Read the list's end, and decide anew what to append there: another writer came in between.
    #[error(
        "nothing was appended to `{list}`: its next offset is {next_offset}, not {expected} as expected: another writer \
         has appended, or an earlier attempt that was given up took effect after all"
    )]
    UnexpectedEnd {
        /// Keyspace and key.
        list: String,
        /// Where the append was to go.
        expected: u64,
        /// The list's next offset.
        next_offset: u64,
    },
    /// Try again later: other writers kept changing the list.
    #[error(
        "list `{list}` kept changing under this writer: let one writer at a time append to a key. \
             What was under way may have been appended: append it again with its nonces, which drops duplicates"
    )]
    Contended {
        /// Keyspace and key.
        list: String,
    },
    /// Report it: an object is damaged or foreign. Nothing was written on top of it.
    #[error(transparent)]
    Corrupt(#[from] CorruptObject),
    /// Give the list fewer sources: as many as this append would bring are more than a commit has room for.
    #[error(
        "nothing of this append is in `{list}`: it would then be fed from {sources} sources, and {limit} (fewer with \
         long names) is the most: use a list for each partition, or feed it from fewer"
    )]
    TooManySources {
        /// Keyspace and key.
        list: String,
        /// How many there would be.
        sources: usize,
        /// The limit.
        limit: usize,
    },
    /// Upgrade, or use a better store, as the message says.
    #[error(transparent)]
    Format(FormatError),
    /// Go on with the rest of the batch, from insertion number `insertions_done`, once the cause is dealt with.
    #[error(
        "of the batch for `{list}` the first {insertions_done} insertions are done ({} appended, {} duplicates), \
         the rest is not: {cause}", .appended.appended_count, .appended.duplicate_count
    )]
    PartlyAppended {
        /// Keyspace and key.
        list: String,
        /// Insertions from the start of the batch that are in the list for certain.
        insertions_done: usize,
        /// What those did.
        appended: Box<Appended>,
        /// What stopped the rest.
        #[source]
        cause: Box<WriterError>,
    },
    /// Sweep again, once the cause is dealt with: it goes on where it stopped.
    #[error("the sweep of `{list}` freed at least {} bytes of commits, and then failed: {cause}", .freed.freed_bytes)]
    PartlySwept {
        /// Keyspace and key.
        list: String,
        /// What was freed of commits, at least: of segments and index pages some may be gone too.
        freed: SweepReport,
        /// What stopped the rest.
        #[source]
        cause: Box<WriterError>,
    },
    /// Put right what the cause says, then flush to know when the items are durable. Do not append them again: they
    /// are still in memory and go on being tried.
    #[error("{} not durable yet; in memory, and tried again: {cause}", buffered(list, *.item_count, *.key_count))]
    StillBuffered {
        /// Keyspace and key; of several, one that has failed.
        list: String,
        /// Items in memory that are not durable, of all keys concerned.
        item_count: u64,
        /// The keys that they are of.
        key_count: u64,
        /// What stopped the latest attempt.
        #[source]
        cause: Arc<WriterError>,
    },
    /// Put right what the cause says and append again, or give up what is in memory of the key
    /// ([`discard_key`](crate::BatchingStoreWriter::discard_key)). Other keys are still taken.
    #[error(
        "nothing of this append to `{list}` was taken: its batch fails, and keys that fail already hold half of \
         max_buffered_bytes. Put right what stops it, or discard the key: {cause}"
    )]
    FailingKeysFull {
        /// Keyspace and key.
        list: String,
        /// What stopped the key's latest attempt.
        #[source]
        cause: Arc<WriterError>,
    },
    /// The caller of [`discard_key`](crate::BatchingStoreWriter::discard_key) has the items now.
    #[error(
        "what was appended to `{list}` was discarded before it was known to be durable: whoever discarded it was given \
         it back. A part may be in the list"
    )]
    Discarded {
        /// Keyspace and key.
        list: String,
    },
    /// Use a new writer: this one has been closed, and nothing of the call was taken.
    #[error("the batching writer is closed: nothing of this append was taken; use a new writer")]
    Closed,
    /// Append the items again, in a new writer: this one was dropped while it still held them.
    #[error(
        "the batching writer was dropped before what was appended to `{list}` was durable; a part may be in the list. \
         Append it again with its nonces, which drops duplicates (and call close before dropping a writer)"
    )]
    DroppedUnflushed {
        /// Keyspace and key.
        list: String,
    },
    /// Report it: the writer inside a batching writer does not keep to what `StoreWriter` says. The items are durable,
    /// but not known at which offsets.
    #[error(
        "the items for `{list}` are durable, but the inner writer's receipt does not fit them: where they are is not known"
    )]
    UnexpectedReceipt {
        /// Keyspace and key.
        list: String,
    },
    /// Call the blocking writer from a thread without an async runtime, or use the async one.
    #[error(
        "the blocking writer was called inside an async runtime, where it would stop other tasks: use S3StoreWriter there"
    )]
    BlockingInsideRuntime,
    /// The writer's threads could not be started, or there is no tokio runtime for its I/O.
    #[error("the writer has no runtime or threads to work on: {reason}")]
    NoRuntime {
        /// The operating system's or the runtime's words.
        reason: String,
    },
}

impl WriterError {
    /// What was appended before the error: nothing, but for a batch that took several commits.
    pub fn appended(&self) -> Option<&Appended> {
        match self {
            Self::PartlyAppended { appended, .. } => Some(appended),
            _ => None,
        }
    }

    /// The error itself; of what was cut short or is still in memory, what stopped it.
    pub fn cause(&self) -> &WriterError {
        match self {
            Self::PartlyAppended { cause, .. } | Self::PartlySwept { cause, .. } => cause,
            Self::StillBuffered { cause, .. } | Self::FailingKeysFull { cause, .. } => cause.cause(),
            other => other,
        }
    }

    /// Whether the same call may succeed later without anything being fixed.
    pub fn is_transient(&self) -> bool {
        matches!(self.cause(), Self::Unavailable { .. } | Self::MayHaveTrimmed { .. } | Self::Contended { .. })
    }

    /// The error of a plan for `target` that was given up.
    pub(crate) fn given_up(target: &str, given_up: DriveError) -> Self {
        match given_up.error {
            error @ StoreError::Unavailable { .. } => Self::Unavailable {
                target: target.to_owned(),
                reason: error.to_string(),
                may_have_appended: given_up.uncertain,
            },
            error => Self::Store(error),
        }
    }
}

/// `3 items of 2 keys are`, with one of the keys.
fn buffered(list: &str, items: u64, keys: u64) -> String {
    let (noun, verb) = if items == 1 { ("item", "is") } else { ("items", "are") };
    if keys == 1 {
        format!("{items} {noun} for `{list}` {verb}")
    } else {
        format!("{items} {noun} for {keys} keys, `{list}` among them, {verb}")
    }
}

impl From<CredentialsError> for WriterError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::Configuration(error) => Self::Configuration(error),
            other => Self::Credentials(other),
        }
    }
}

impl From<FormatError> for WriterError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Name(error) => Self::InvalidName(error),
            FormatError::Corrupt(error) => Self::Corrupt(error),
            FormatError::KeyspaceNotFound { keyspace } => Self::KeyspaceNotFound { keyspace },
            FormatError::Contended { list, .. } => Self::Contended { list },
            FormatError::TooManySources { list, sources, limit } => Self::TooManySources { list, sources, limit },
            other => Self::Format(other),
        }
    }
}
