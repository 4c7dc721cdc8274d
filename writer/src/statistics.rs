//! What a writer has done so far.

use klstore_format::plan::Request;

use crate::sync::{AtomicU64, Ordering};

/// Counters of one writer since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterStatistics {
    /// PUT requests sent, repeated ones included.
    pub put_count: u64,
    /// GET requests sent.
    pub get_count: u64,
    /// LIST requests sent.
    pub list_count: u64,
    /// DELETE requests sent; one may name up to 1,000 objects.
    pub delete_count: u64,
    /// Bytes of the bodies that were PUT.
    pub put_bytes: u64,
    /// Requests that were sent again because the first answer was none or asked for it.
    pub retry_count: u64,
    /// Items appended.
    pub appended_count: u64,
    /// Items dropped as duplicates by their nonces.
    pub duplicate_count: u64,
    /// Items taken away by trims, deletions and the retention.
    pub trimmed_count: u64,
    /// Commits that another writer came before.
    pub conflict_count: u64,
    /// Compactions that prepared an index.
    pub compaction_count: u64,
    /// Compactions that failed or gave up; each is tried again later.
    pub failed_compaction_count: u64,
    /// Objects that publications replaced and that were deleted or became stubs.
    pub collected_count: u64,
    /// Collections that failed; a sweep finds what they left.
    pub failed_collection_count: u64,
    /// Keys in the cache now.
    pub cached_key_count: u64,
    /// Bytes that their carries and recent items hold now.
    pub cached_bytes: u64,
    /// Compactions and collections under way now.
    pub background_count: u64,
}

/// The same while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    puts: Counter,
    gets: Counter,
    lists: Counter,
    deletes: Counter,
    put_bytes: Counter,
    pub(crate) retries: Counter,
    pub(crate) appended: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) trimmed: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) compactions: Counter,
    pub(crate) failed_compactions: Counter,
    pub(crate) collected: Counter,
    pub(crate) failed_collections: Counter,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn count_request(&self, request: &Request) {
        let counter = match request {
            Request::List { .. } => &self.lists,
            Request::Get { .. } => &self.gets,
            Request::Put { body, .. } => {
                self.put_bytes.add(body.len() as u64);
                &self.puts
            }
            Request::Delete { .. } => &self.deletes,
        };
        counter.add(1);
    }

    pub(crate) fn snapshot(&self) -> WriterStatistics {
        WriterStatistics {
            put_count: self.puts.value(),
            get_count: self.gets.value(),
            list_count: self.lists.value(),
            delete_count: self.deletes.value(),
            put_bytes: self.put_bytes.value(),
            retry_count: self.retries.value(),
            appended_count: self.appended.value(),
            duplicate_count: self.duplicates.value(),
            trimmed_count: self.trimmed.value(),
            conflict_count: self.conflicts.value(),
            compaction_count: self.compactions.value(),
            failed_compaction_count: self.failed_compactions.value(),
            collected_count: self.collected.value(),
            failed_collection_count: self.failed_collections.value(),
            ..WriterStatistics::default()
        }
    }
}
