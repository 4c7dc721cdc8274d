//! A session: what one writer instance knows of one list between its requests (PROTOCOL rule 1).
//!
//! A plan that sends a commit takes the session by value and gives it back with the outcome. Whoever abandons such a
//! plan (deadline, dropped future, crash) has no session left, so the next append opens a fresh one: rule 1 is kept
//! by ownership.

use std::sync::Arc;

use super::Plan;
use super::carry::Carry;
use super::collect::Garbage;
use super::compact::Prepared;
use super::load::{Fetch, Snapshot, load};
use super::recent::Recent;
use super::retention::Retention;
use crate::config::S3StoreConfig;
use crate::error::FormatError;
use crate::limits::{DEFAULT_CARRY_BYTES, MAX_TABLE_ENTRIES, WORTHWHILE_COMMITS};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::block::BlockOptions;
use crate::wire::commit::{CommitHeader, IndexReference};
use crate::wire::compression::Codec;
use crate::wire::head::HeadPage;
use crate::wire::identity::SessionId;
use crate::wire::leaf::LeafPage;
use crate::wire::sources::Sources;

/// How many small commits are worth a compaction when the list has gone idle: three PUTs are then shared by as many
/// appends (DESIGN names no number; below it an idle list would cost more than it was written with).
const IDLE_COMMITS: u64 = 16;

/// How a session writes.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    /// How own blocks and segments are cut and compressed.
    pub block: BlockOptions,
    /// Plain bytes of items that a commit repeats from before its own; 0 for none.
    pub carry_bytes: usize,
    /// Plain bytes of acknowledged items that are kept so that a compaction need not GET them.
    pub recent_bytes: usize,
    /// A commit or segment of at least so many items is complete.
    pub compact_items_threshold: u64,
    /// A commit or segment of at least so many value bytes is complete.
    pub compact_size_threshold: u64,
    /// So many small commits force a partial segment.
    pub compact_objects_threshold: u64,
    /// What an append lets stand of what came before it.
    pub retention: Retention,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            block: BlockOptions::default(),
            carry_bytes: DEFAULT_CARRY_BYTES,
            // As much as fills a complete segment by its size: less, and compactions GET what was just written.
            recent_bytes: 1 << 20,
            compact_items_threshold: 1_000,
            compact_size_threshold: 1 << 20,
            compact_objects_threshold: 100,
            retention: Retention::default(),
        }
    }
}

impl From<&S3StoreConfig> for SessionOptions {
    fn from(config: &S3StoreConfig) -> Self {
        let default = Self::default();
        Self {
            block: BlockOptions { codec: config.codec, ..default.block },
            carry_bytes: config.carry_bytes,
            compact_items_threshold: config.compact_items_threshold,
            compact_size_threshold: config.compact_size_threshold,
            compact_objects_threshold: config.compact_objects_threshold,
            retention: Retention::from(config),
            ..default
        }
    }
}

impl SessionOptions {
    /// How small commits are compressed, which the next compaction merges, and what they repeat.
    pub(crate) fn small_codec(&self) -> Codec {
        match self.block.codec {
            Codec::None => Codec::None,
            Codec::Lz4 | Codec::Zstd => Codec::Lz4,
        }
    }

    /// Whether a run of so many items and value bytes is complete: written once and not merged again.
    pub(crate) fn is_complete(&self, items: u64, value_bytes: u64) -> bool {
        items >= self.compact_items_threshold || value_bytes >= self.compact_size_threshold
    }
}

/// One writer instance's state of one list.
#[derive(Debug)]
#[cfg_attr(feature = "mutants", derive(Clone))]
pub struct Session {
    pub(super) list: ListName,
    pub(super) id: SessionId,
    pub(super) options: Arc<SessionOptions>,
    pub(super) next_put_id: u64,
    /// S: the commit that this session builds on; `None` where the list is empty.
    pub(super) newest: Option<Arc<CommitHeader>>,
    /// Counts the Loads, so that it is known whether S is younger than a call.
    pub(super) loads: u64,
    pub(super) carry: Carry,
    pub(super) recent: Recent,
    pub(super) prepared: Option<Prepared>,
    pub(super) garbage: Option<Garbage>,
    /// The head page that the newest commit refers to, where this session wrote or read it.
    pub(super) head_page: Option<Arc<HeadPage>>,
    /// The full leaf that a trim has last looked into: the one that the list begins in.
    pub(super) first_leaf: Option<Arc<LeafPage>>,
}

impl Session {
    /// Loads the list and begins a session. `id` is random and used once.
    ///
    /// # Errors
    /// Objects that are corrupt, of a newer version or another list's, and a list that never holds still.
    pub fn open(list: ListName, id: SessionId, options: Arc<SessionOptions>) -> Plan<Result<Self, FormatError>> {
        Plan::new(|port| async move {
            #[cfg(feature = "mutants")]
            if let Some(session) = abandoned::of(&options) {
                return Ok(session);
            }
            let mut session = Self {
                list,
                id,
                options,
                next_put_id: 0,
                newest: None,
                loads: 0,
                carry: Carry::default(),
                recent: Recent::default(),
                prepared: None,
                garbage: None,
                head_page: None,
                first_leaf: None,
            };
            let snapshot = load(&port, &session.list, Fetch::Small).await?;
            session.move_to(snapshot);
            Ok(session)
        })
    }

    /// S := what a Load found (rules 3, 5 and 8: carry rebuilt, prepared index thrown away where C has moved).
    pub(super) fn move_to(&mut self, snapshot: Option<Snapshot>) {
        self.loads += 1;
        if rules::kept(Rule::CarryFollowsChain) {
            self.carry = snapshot
                .as_ref()
                .map(|snapshot| Carry::of_snapshot(snapshot, self.options.carry_bytes))
                .unwrap_or_default();
        }
        self.newest = snapshot.map(|snapshot| snapshot.header);
        let covered = self.covered();
        if rules::kept(Rule::DiscardPrepared) {
            self.prepared.take_if(|prepared| Some(prepared.base_covered) != covered);
        }
    }

    /// Offset of the next item.
    pub fn next_offset(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.next_offset())
    }

    /// The lowest nonce that is still taken.
    pub fn next_nonce(&self) -> u128 {
        self.newest.as_ref().map_or(0, |newest| newest.next_nonce())
    }

    /// How far each source has been appended.
    pub fn sources(&self) -> Arc<Sources> {
        self.newest.as_ref().map_or_else(Arc::default, |newest| newest.sources.clone())
    }

    /// S, the commit that the session builds on; `None` where the list is empty.
    pub fn newest(&self) -> Option<&CommitHeader> {
        self.newest.as_deref()
    }

    /// The list that this is a session of.
    pub fn list(&self) -> &ListName {
        &self.list
    }

    /// Whether a compaction is worth its requests now.
    ///
    /// Complete commits fill the table too: as many of them as force a partial segment are published to the index.
    pub fn compaction_due(&self) -> bool {
        let small = self.small_commits();
        let fills = self.options.is_complete(small.items, small.value_bytes);
        let enough = WORTHWHILE_COMMITS.min(self.options.compact_objects_threshold);
        (fills && small.commits >= enough)
            || small.commits + small.complete >= self.options.compact_objects_threshold
            || small.table >= MAX_TABLE_ENTRIES
    }

    /// Whether a compaction is worth its requests once the list has been idle for a while.
    pub fn idle_compaction_due(&self) -> bool {
        self.small_commits().commits >= IDLE_COMMITS.min(self.options.compact_objects_threshold)
    }

    fn small_commits(&self) -> SmallCommits {
        let mut sums = SmallCommits::default();
        let Some(newest) = &self.newest else { return sums };
        sums.table = newest.table.len();
        // Metadata-only commits never start a compaction (rule 8), or an idle list would not come to rest.
        for entry in newest.table.iter().filter(|entry| entry.run.count > 0) {
            if entry.commit.complete {
                sums.complete += 1;
            } else {
                sums.commits += 1;
                sums.items = sums.items.saturating_add(entry.run.count);
                sums.value_bytes = sums.value_bytes.saturating_add(entry.run.value_bytes);
            }
        }
        sums
    }

    /// Whether an index is prepared and waits for a commit that publishes it.
    pub fn has_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    /// Takes what a compaction of this session prepared; the next commit publishes it. `false`: it was thrown away,
    /// because another one was published since (rule 8).
    pub fn accept(&mut self, prepared: Prepared) -> bool {
        let stale = Some(prepared.base_covered) != self.covered();
        if (prepared.session != self.id || stale) && rules::kept(Rule::DiscardPrepared) {
            return false;
        }
        #[cfg(feature = "mutants")]
        {
            if !rules::kept(Rule::CollectAfterAcknowledge) {
                self.garbage = Some(prepared.garbage.clone());
            }
            if !rules::kept(Rule::DropAfterAcknowledge) {
                self.garbage = Some(prepared.garbage.without_commits(&self.list));
            }
        }
        self.prepared = Some(prepared);
        true
    }

    /// What the last acknowledged publication has replaced (rule 9); collect it in the background.
    pub fn take_garbage(&mut self) -> Option<Garbage> {
        self.garbage.take()
    }

    /// Bytes that carry, recent items and the newest commit's table hold.
    pub fn memory_bytes(&self) -> usize {
        let table = self.newest.as_ref().map_or(0, |newest| size_of_val(newest.table.as_slice()));
        self.carry.memory_bytes() + self.recent.memory_bytes() + table
    }

    /// Gives the memory back: the next commit has no carry, the next compaction reads what it merges.
    pub fn shed_memory(&mut self) {
        self.carry = Carry::empty_at(self.next_offset());
        self.recent = Recent::default();
    }

    pub(super) fn covered(&self) -> Option<u64> {
        self.newest.as_ref().map(|newest| newest.covered)
    }

    pub(super) fn index(&self) -> Option<IndexReference> {
        self.newest.as_ref().and_then(|newest| newest.index)
    }
}

/// What a writer would still have that breaks rule 1: tests show what comes of it.
#[cfg(feature = "mutants")]
pub mod abandoned {
    use super::{Session, SessionId, SessionOptions};
    use crate::rules::{self, Rule};
    use std::cell::RefCell;
    use std::sync::Arc;

    thread_local! {
        static LAST: RefCell<Option<Session>> = const { RefCell::new(None) };
        /// Of some writers the session whose PUT was last sent; a writer is known by its options.
        static OF_WRITERS: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
    }

    /// Writers that are remembered.
    const MAX_WRITERS: usize = 8;

    pub(in crate::plan) fn remember(session: &Session) {
        LAST.set(Some(session.clone()));
        if rules::kept(Rule::FreshSession) {
            return;
        }
        OF_WRITERS.with_borrow_mut(|sessions| {
            sessions.retain(|other| !Arc::ptr_eq(&other.options, &session.options));
            if sessions.len() == MAX_WRITERS {
                sessions.remove(0);
            }
            sessions.push(session.clone());
        });
    }

    /// What a writer that breaks rule 1 goes on with instead of a fresh session.
    pub(super) fn of(options: &Arc<SessionOptions>) -> Option<Session> {
        if rules::kept(Rule::FreshSession) {
            return None;
        }
        OF_WRITERS
            .with_borrow(|sessions| sessions.iter().find(|session| Arc::ptr_eq(&session.options, options)).cloned())
    }

    /// The session whose PUT was last sent on this thread, as if it were kept after the PUT is given up.
    pub fn session() -> Option<Session> {
        LAST.take()
    }

    impl Session {
        /// The same state under another session id.
        #[must_use]
        pub fn renamed(mut self, id: SessionId) -> Self {
            self.id = id;
            self
        }
    }
}

#[derive(Default)]
struct SmallCommits {
    table: usize,
    complete: u64,
    commits: u64,
    items: u64,
    value_bytes: u64,
}

#[cfg(test)]
pub(super) mod test_writer;
#[cfg(test)]
mod tests;
