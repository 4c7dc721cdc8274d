//! How many requests a load takes: the formula. No I/O here.
//!
//! It follows the writer: a commit an append, and a compaction whenever enough small commits stand in the newest one's
//! table. It is exact for lists that one writer fills from their beginning and whose compactions keep up with the
//! appends; `cli/tests/all/cost.rs` compares it with a server's counts.

use klstore_format::S3StoreConfig;
use klstore_format::limits::{
    MAX_LEAF_ENTRIES, MAX_MERGED_PARTIALS, MAX_TABLE_ENTRIES, SEGMENT_VALUE_BYTES, WORTHWHILE_COMMITS,
};
use klstore_format::plan::SessionOptions;
use klstore_format::plan::follow::POLLS_PER_LOAD;
use klstore_format::wire::block::MAX_ITEM_OVERHEAD;

/// Appends that are all alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub items_per_append: u64,
    pub item_bytes: u64,
    pub keys: u64,
    pub compact_items: u64,
    pub compact_bytes: u64,
    pub compact_objects: u64,
    pub carry_bytes: u64,
    /// Of a list's newest items, what the writer remembers for its compaction.
    pub recent_bytes: u64,
    /// Of all lists' items and carries.
    pub memory_bytes: u64,
}

/// What one compaction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// Appends from one compaction to the next.
    pub appends: u64,
    /// PUTs of segments; complete commits are not rewritten.
    pub segments: u64,
    /// GETs of commits: those that the writer does not remember, and the header of each complete one.
    pub reads: u64,
    /// Every so many compactions partial segments are merged to a complete one; 0: never.
    pub merge_every: u64,
    /// Whether commits are complete in themselves.
    pub complete: bool,
}

/// Requests by what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Requests {
    pub put: f64,
    pub list: f64,
    pub get: f64,
    pub delete: f64,
}

impl std::ops::Add for Requests {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            put: self.put + other.put,
            list: self.list + other.list,
            get: self.get + other.get,
            delete: self.delete + other.delete,
        }
    }
}

impl Requests {
    pub fn times(self, factor: f64) -> Self {
        Self { put: self.put * factor, list: self.list * factor, get: self.get * factor, delete: self.delete * factor }
    }
}

impl Shape {
    pub fn new(config: &S3StoreConfig, items_per_append: u64, item_bytes: u64, keys: u64) -> Self {
        Self {
            items_per_append,
            item_bytes,
            keys,
            compact_items: config.compact_items_threshold,
            compact_bytes: config.compact_size_threshold,
            compact_objects: config.compact_objects_threshold,
            carry_bytes: config.carry_bytes as u64,
            recent_bytes: SessionOptions::from(config).recent_bytes as u64,
            memory_bytes: config.carry_budget_bytes as u64,
        }
    }

    pub fn append_bytes(&self) -> u64 {
        self.items_per_append.saturating_mul(self.item_bytes)
    }

    fn is_complete(&self, appends: u64) -> bool {
        self.items_per_append.saturating_mul(appends) >= self.compact_items
            || self.append_bytes().saturating_mul(appends) >= self.compact_bytes
    }

    /// How many appends make something complete.
    fn appends_to_complete(&self) -> u64 {
        let by_items = self.compact_items.div_ceil(self.items_per_append.max(1));
        let by_bytes = self.compact_bytes.div_ceil(self.append_bytes().max(1));
        by_items.min(by_bytes).max(1)
    }

    pub fn cycle(&self) -> Cycle {
        let most = self.compact_objects.min(MAX_TABLE_ENTRIES as u64).max(1);
        if self.is_complete(1) {
            return Cycle { appends: most, segments: 0, reads: most, merge_every: 0, complete: true };
        }
        let worthwhile = WORTHWHILE_COMMITS.min(self.compact_objects).max(1);
        let appends = self.appends_to_complete().max(worthwhile).min(most);
        let commits_a_segment = SEGMENT_VALUE_BYTES.div_ceil(self.append_bytes().max(1));
        let merge_every = match self.is_complete(appends) {
            true => 0,
            false => self.appends_to_complete().div_ceil(appends),
        };
        Cycle {
            appends,
            segments: appends.div_ceil(commits_a_segment),
            reads: appends - self.remembered(appends),
            merge_every: if merge_every > MAX_MERGED_PARTIALS as u64 + 1 { 0 } else { merge_every },
            complete: false,
        }
    }

    /// Of so many commits, those whose items the writer has in memory when it compacts them.
    fn remembered(&self, appends: u64) -> u64 {
        let commit = self.plain_bytes(self.items_per_append).max(1);
        let bytes = (appends * commit).min(self.recent_bytes).saturating_add(self.carry_bytes);
        if bytes.saturating_mul(self.keys) > self.memory_bytes {
            return 0;
        }
        let room = self.recent_bytes / commit;
        if room + 1 >= appends { appends } else { room }
    }

    /// What so many items take in memory, and in a carry.
    fn plain_bytes(&self, items: u64) -> u64 {
        items.saturating_mul(self.item_bytes + MAX_ITEM_OVERHEAD as u64)
    }

    /// So many appends to one new list, by a writer that has opened the keyspace before.
    pub fn appended(&self, appends: u64) -> Requests {
        if appends == 0 {
            return Requests::default();
        }
        let cycle = self.cycle();
        let compactions = (appends - 1) / cycle.appends;
        // The next commit publishes what a compaction has prepared, and what it replaces is collected.
        let published = appends.saturating_sub(2) / cycle.appends;
        let merges = compactions.checked_div(cycle.merge_every).unwrap_or(0);
        let entries = match (cycle.complete, cycle.merge_every) {
            (true, _) => compactions * cycle.appends,
            (false, 0) => compactions * cycle.segments,
            (false, every) => merges + compactions % every,
        };
        let leaves = entries.saturating_sub(1) / MAX_LEAF_ENTRIES as u64;
        // The first commit of a writer keeps its name: an empty object replaces it, unless the index refers to it.
        let stubs = u64::from(published > 0 && !cycle.complete);
        // Of complete commits nothing is deleted but the index page before.
        let deletions = if cycle.complete { published.saturating_sub(1) } else { published };
        let put = appends + compactions * (cycle.segments + 1) + leaves + stubs;
        let get = compactions * cycle.reads + merges * cycle.merge_every.saturating_sub(1) + FIRST_APPEND.1;
        Requests { put: put as f64, list: FIRST_APPEND.0 as f64, get: get as f64, delete: deletions as f64 }
    }

    /// A page at the end of a list, of a reader that knows nothing yet; at most.
    pub fn newest_page(&self, items: u64) -> Requests {
        let more = items.saturating_sub(self.items_per_append);
        let carried = self.plain_bytes(more) <= self.carry_bytes;
        let commits = match more == 0 || (carried && !self.cycle().complete) {
            true => 0,
            // Beyond the table, one head page and then segments.
            false => more.div_ceil(self.items_per_append.max(1)).min(self.cycle().appends + 1 + items / 1_000),
        };
        Requests { list: 1.0, get: 1.0 + commits as f64, ..Requests::default() }
    }
}

/// LISTs and GETs of the first append to a new list: it looks for a commit before, and takes over after.
const FIRST_APPEND: (u64, u64) = (2, 1);

/// A page anywhere else, in a list of up to 1,000 segments; at most.
pub const PAGE_ELSEWHERE: Requests = Requests { put: 0.0, list: 1.0, get: 3.0, delete: 0.0 };

/// The polls of a follower that finds so many appends. A poll that finds nothing is a GET, and every 16th in a row a
/// LIST; one that finds a commit looks for the next, and another one follows at once. Where several came since the poll
/// before, they are read like a page.
pub fn polls(count: f64, appends: f64) -> Requests {
    let every = f64::from(POLLS_PER_LOAD);
    if appends <= 0.0 {
        return Requests { list: count / every, get: count - count / every, ..Requests::default() };
    }
    let between = count / appends;
    if between < 1.0 {
        return Requests { list: count, get: count * (FOUND_GETS + READ_GETS), ..Requests::default() };
    }
    let list = appends * (between / every).floor();
    Requests { list, get: count - list + appends * FOUND_GETS, ..Requests::default() }
}

/// GETs that a poll takes for a commit that it finds, beside the first: the next name at once, and again with the next
/// poll, which comes without a pause.
const FOUND_GETS: f64 = 2.0;
/// GETs of the newest page, where more than one commit came.
const READ_GETS: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(items: u64, bytes: u64) -> Shape {
        Shape::new(&S3StoreConfig::default(), items, bytes, 1)
    }

    #[test]
    fn compactions_come_as_the_thresholds_say() {
        let appends = |items, bytes| shape(items, bytes).cycle().appends;
        // 100 objects; 1,000 items; 1 MiB; never less than 32 commits.
        assert_eq!((appends(1, 100), appends(20, 100), appends(1, 20_000), appends(100, 100)), (100, 50, 53, 32));
        let complete = shape(1_000, 100).cycle();
        assert_eq!(complete, Cycle { appends: 100, segments: 0, reads: 100, merge_every: 0, complete: true });
        let large = shape(10, 100_000).cycle();
        assert_eq!((large.appends, large.segments, large.reads), (32, 4, 31));
    }

    #[test]
    fn partial_segments_are_merged_once_they_fill_one() {
        let single = shape(1, 100);
        assert_eq!(single.cycle().merge_every, 10);
        let before = single.appended(1_000);
        assert_eq!((before.put, before.get, before.delete), (1_000.0 + 18.0 + 1.0, 1.0, 9.0));
        let merged = single.appended(1_002);
        assert_eq!((merged.put, merged.get, merged.delete), (1_002.0 + 20.0 + 1.0, 10.0, 10.0));
    }

    #[test]
    fn many_keys_do_not_fit_into_memory() {
        let keys = |keys| Shape { keys, ..shape(1, 100) }.cycle().reads;
        assert_eq!((keys(1), keys(100), keys(100_000)), (0, 0, 100));
    }

    #[test]
    fn a_page_within_the_carry_is_one_get() {
        let page = |items_per_append, items| shape(items_per_append, 100).newest_page(items).get;
        assert_eq!((page(1, 20), page(100, 100), page(100, 250), page(1, 1_000)), (1.0, 1.0, 1.0, 103.0));
    }
}
