//! What users store and read: items, filters, pages and what is known of a keyspace or key.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::source::{Source, SourceOffset};

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    /// Position in the list: dense, from 0.
    pub offset: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z; need not be sorted.
    pub timestamp: i64,
    /// The caller's number for exactly-once appends, where the item has one. Strictly increasing in a list.
    pub nonce: Option<u128>,
    /// The bytes that were appended.
    pub value: Bytes,
}

/// An item to append.
///
/// ```
/// use klstore_format::Insertion;
/// let insertion = Insertion::new("departed").with_nonce(7).with_timestamp(1_357_034_400_000);
/// assert_eq!(insertion.nonce, Some(7));
/// ```
///
/// The record of a partition, which a list that several partitions feed takes exactly once:
///
/// ```
/// use klstore_format::{Insertion, Source};
/// let insertion = Insertion::new("departed").with_source_offset(Source::new("inbound", 3)?, 41);
/// assert_eq!(insertion.source_offset.map(|record| record.offset), Some(41));
/// # Ok::<(), klstore_format::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Insertion {
    /// The bytes to append, at most 16 MiB.
    pub value: Bytes,
    /// With a nonce the item is appended exactly once: an item whose nonce is below the list's next nonce is dropped
    /// as a duplicate. 2^128-1 is refused.
    pub nonce: Option<u128>,
    /// Milliseconds since 1970; the writer's clock where it is `None`.
    pub timestamp: Option<i64>,
    /// With its place in a source the item is appended exactly once, too, whatever other sources feed the list: one
    /// below the source's next offset is dropped as a duplicate. Where it has a nonce as well, the nonce alone decides,
    /// and the list only notes how far it has been fed from the source.
    pub source_offset: Option<SourceOffset>,
}

impl Insertion {
    /// An insertion of `value` without nonce, at the writer's time.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    /// The same with a nonce.
    #[must_use]
    pub fn with_nonce(mut self, nonce: u128) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The same as the record of a source.
    #[must_use]
    pub fn with_source_offset(mut self, source: Source, offset: u64) -> Self {
        self.source_offset = Some(SourceOffset { source, offset });
        self
    }

    /// The same with a timestamp in milliseconds since 1970.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// The order in which a list is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum IterationOrder {
    /// From the first item to the last.
    #[default]
    Forwards,
    /// From the last item to the first.
    Backwards,
}

/// Where a page starts. A position, not a condition on what follows it; of several fields the strictest counts
/// (forwards the furthest, backwards the nearest to the beginning).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemFilter {
    /// Inclusive in both orders. Beyond the end: forwards nothing, backwards the last item.
    pub start_offset: Option<u64>,
    /// Forwards the first item at or after this time; backwards the item before the first one after it.
    pub start_timestamp: Option<i64>,
    /// As `start_timestamp`, by nonce. Items without a nonce never match.
    pub start_nonce: Option<u128>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemList {
    /// The keyspace that was read.
    pub keyspace: String,
    /// The key that was read.
    pub key: String,
    /// The items, in the order asked for.
    pub items: Vec<Item>,
    /// Pass it to the next call to read on; `None` at the end of the list.
    pub continuation: Option<String>,
    /// What the page took.
    pub stats: ListStats,
}

/// What a read took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListStats {
    /// LIST requests sent.
    pub list_operation_count: u64,
    /// GET requests sent.
    pub read_operation_count: u64,
    /// Bytes of object data received.
    pub read_size_total: u64,
    /// Continuations whose object was gone, so that the page was found again by offset.
    pub continuation_miss_count: u64,
    /// Requests that were answered from the cache.
    pub cache_hit_count: u64,
    /// Items that a continuation would have shown but that have been trimmed since.
    pub trimmed_item_count: u64,
}

/// What is known of a keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceMetadata {
    /// Its name.
    pub keyspace: String,
    /// When it was created, in milliseconds since 1970 (its creator's clock).
    pub created_timestamp: i64,
    /// Version of the object layout.
    pub format_version: u32,
}

/// What is known of a key, from its newest commit alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMetadata {
    /// The keyspace.
    pub keyspace: String,
    /// The key.
    pub key: String,
    /// Offset of the next item to be appended.
    pub next_offset: u64,
    /// The lowest nonce that the list still takes.
    pub next_nonce: u128,
    /// Offset of the first live item (raised by a trim).
    pub first_offset: u64,
    /// Live items.
    pub item_count: u64,
    /// Bytes of the live items' values.
    pub value_bytes: u64,
    /// Lowest timestamp of the live items.
    pub min_timestamp: Option<i64>,
    /// Highest timestamp of the live items.
    pub max_timestamp: Option<i64>,
}
