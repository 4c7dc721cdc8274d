//! What a session remembers of its own commits, in memory of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;

use crate::item::Item;
use crate::wire::block::plain_size;
use crate::wire::commit::{CommitHeader, TableEntry};
use crate::wire::identity::SessionId;

/// Items of this session's own acknowledged commits, so that a compaction need not GET them.
#[derive(Debug, Default, Clone)]
pub(super) struct Recent {
    commits: BTreeMap<u64, RecentCommit>,
    plain_bytes: usize,
}

#[derive(Debug, Clone)]
struct RecentCommit {
    put_id: u64,
    plain_bytes: usize,
    items: Arc<[Item]>,
}

impl Recent {
    /// About how much memory it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.plain_bytes
    }

    /// Keeps the items of a small commit as long as they fit.
    pub(super) fn insert(&mut self, header: &CommitHeader, items: Vec<Item>, limit: usize) {
        if header.commit.complete || items.is_empty() {
            return;
        }
        let plain_bytes: usize = items.iter().map(plain_size).sum();
        if self.plain_bytes + plain_bytes > limit {
            return;
        }
        self.plain_bytes += plain_bytes;
        let commit = RecentCommit { put_id: header.commit.put_id, plain_bytes, items: items.into() };
        self.commits.insert(header.commit.seq, commit);
    }

    /// The items of this very commit.
    pub(super) fn items(&self, session: SessionId, entry: &TableEntry) -> Option<Arc<[Item]>> {
        let commit = self.commits.get(&entry.commit.seq)?;
        let same = entry.commit.session == session && entry.commit.put_id == commit.put_id;
        (same && commit.items.len() as u64 == entry.run.count).then(|| commit.items.clone())
    }

    /// Forgets what an index covers.
    pub(super) fn forget_below(&mut self, covered: u64) {
        let kept = self.commits.split_off(&covered);
        for commit in std::mem::replace(&mut self.commits, kept).into_values() {
            self.plain_bytes -= commit.plain_bytes;
        }
    }
}

/// The last items that take at most `budget` bytes.
pub(super) fn last_within(mut items: Vec<Item>, budget: usize) -> Vec<Item> {
    let mut bytes = 0_usize;
    let before = items.iter().rposition(|item| {
        bytes = bytes.saturating_add(plain_size(item));
        bytes > budget
    });
    match before {
        Some(before) => items.split_off(before + 1),
        None => items,
    }
}

/// The same items in memory that nothing else shares: a value may be a slice of a buffer of the caller's with thousands
/// of others, which would stay as long as this one is remembered.
pub(super) fn detached(mut items: Vec<Item>) -> Vec<Item> {
    let mut values = BytesMut::with_capacity(items.iter().map(|item| item.value.len()).sum());
    for item in &mut items {
        values.extend_from_slice(&item.value);
        item.value = values.split().freeze();
    }
    items
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::plan::session::test_writer::first_in_table;
    use crate::wire::identity::CommitIdentity;
    use crate::wire::run::Run;

    struct Buffer(Arc<AtomicBool>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            b"first|second"
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn item(offset: u64, value: Bytes) -> Item {
        Item { offset, timestamp: 0, nonce: None, value }
    }

    #[test]
    fn what_is_remembered_keeps_no_buffer_of_the_caller() {
        let dropped = Arc::new(AtomicBool::new(false));
        let buffer = Bytes::from_owner(Buffer(dropped.clone()));
        let items = vec![item(0, buffer.slice(..5)), item(1, buffer.slice(6..))];
        drop(buffer);
        let kept = detached(items);
        assert!(dropped.load(Ordering::Relaxed));
        assert_eq!(kept, [item(0, "first".into()), item(1, "second".into())]);
    }

    #[test]
    fn the_last_items_are_kept() {
        let items =
            |offsets: std::ops::Range<u64>| offsets.map(|offset| item(offset, "12345".into())).collect::<Vec<_>>();
        let size = plain_size(&item(0, "12345".into()));
        assert_eq!(last_within(items(0..4), usize::MAX), items(0..4));
        assert_eq!(last_within(items(0..4), 4 * size), items(0..4));
        assert_eq!(last_within(items(0..4), 3 * size - 1), items(2..4));
        assert_eq!(last_within(items(0..4), 0), []);
    }

    /// The header of a small commit of one session, with one item.
    fn header(seq: u64) -> CommitHeader {
        let session = SessionId(7);
        let mut run = Run::empty(seq, 0, 0);
        run.push(&item(seq, "12345".into()));
        first_in_table(CommitIdentity { seq, session, put_id: 10 + seq, handover: false, complete: false }, run)
    }

    /// A memory of the commits 0, 1 and 2, of which `limit` bytes may be kept.
    fn recent(limit: usize) -> Recent {
        let mut recent = Recent::default();
        (0..3).for_each(|seq| recent.insert(&header(seq), vec![item(seq, "12345".into())], limit));
        recent
    }

    fn remembered(recent: &Recent) -> Vec<bool> {
        let items = |seq| recent.items(SessionId(7), &header(seq).as_table_entry());
        (0..3).map(|seq| items(seq).inspect(|items| assert_eq!(items[0].offset, seq)).is_some()).collect()
    }

    #[test]
    fn small_commits_are_remembered_as_long_as_they_fit() {
        let size = plain_size(&item(0, "12345".into()));
        for (limit, count) in [(0, 0), (size - 1, 0), (size, 1), (3 * size - 1, 2), (3 * size, 3), (usize::MAX, 3)] {
            let recent = recent(limit);
            assert_eq!(remembered(&recent), [count > 0, count > 1, count > 2], "{limit}");
            assert_eq!(recent.memory_bytes(), count * size);
        }
        let mut recent = Recent::default();
        let mut complete = header(0);
        complete.commit.complete = true;
        recent.insert(&complete, vec![item(0, "12345".into())], usize::MAX);
        assert_eq!((remembered(&recent), recent.memory_bytes()), (vec![false; 3], 0));
    }

    #[test]
    fn what_the_index_covers_is_forgotten() {
        let size = plain_size(&item(0, "12345".into()));
        let mut recent = recent(3 * size);
        recent.forget_below(2);
        assert_eq!((remembered(&recent), recent.memory_bytes()), (vec![false, false, true], size));
        // There is room again.
        recent.insert(&header(0), vec![item(0, "12345".into())], 2 * size);
        assert_eq!(remembered(&recent), [true, false, true]);
    }

    #[test]
    fn only_the_items_of_the_very_commit_are_given() {
        let recent = recent(usize::MAX);
        let entry = header(1).as_table_entry();
        let given = |session, entry: TableEntry| recent.items(session, &entry).is_some();
        assert!(given(SessionId(7), entry));
        assert!(!given(SessionId(8), entry));
        let commit = |commit| TableEntry { commit, ..entry };
        assert!(!given(SessionId(7), commit(CommitIdentity { session: SessionId(8), ..entry.commit })));
        assert!(!given(SessionId(7), commit(CommitIdentity { put_id: 12, ..entry.commit })));
        assert!(!given(SessionId(7), TableEntry { run: Run { count: 2, ..entry.run }, ..entry }));
    }
}
