//! Every trim and every retention of some small lists: where they begin then, their sums, what is read for it, and
//! whether there is space to free.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::ops::Range;
use std::sync::Arc;

use super::super::test_store::TestStore;
use super::super::{Answer, Request};
use super::*;
use crate::item::{Insertion, Item};
use crate::plan::read::test_list::{Layout, list_name};
use crate::plan::{AppendOutcome, Compaction, Retention, SessionOptions};
use crate::wire::commit::{CommitHeader, Totals};
use crate::wire::head::HeadPage;
use crate::wire::identity::{ObjectId, SessionId};
use crate::wire::leaf::LeafPage;

/// A list, and how its items are spread over objects.
struct List {
    store: TestStore,
    items: Vec<Item>,
    start: u64,
    /// The items of each segment and commit that has some, but for the newest commit.
    parts: Vec<Range<u64>>,
    newest: Range<u64>,
    /// Those of the commits that the index does not cover.
    table: Range<u64>,
    /// Those of each full leaf.
    leaves: Vec<Range<u64>>,
    has_index: bool,
}

impl List {
    fn of(layout: Layout) -> Self {
        let value = |offset: u64| vec![0; offset as usize % 3 + 1];
        let timestamp = |offset: u64| offset as i64 * 10 + if offset % 4 == 1 { 25 } else { 0 };
        let item = |offset| Item { offset, timestamp: timestamp(offset), nonce: None, value: value(offset).into() };
        let items: Vec<Item> = (0..14).map(item).collect();
        let mut store = TestStore::default();
        let start = layout.write(&mut store, &items);
        let hash = list_name().hash();
        let seq = layout.indexed.len() + layout.commits.len() - 1;
        let newest = CommitHeader::decode(&store.objects[&list_name().commit(seq as u64)], &hash).unwrap();
        let range = |run: &Run| run.first..run.end();
        let (mut parts, mut leaves) = (Vec::new(), Vec::new());
        if let Some(index) = newest.index {
            let page = |id: ObjectId| store.objects[&list_name().index_page(id)].clone();
            let head = HeadPage::decode(&page(index.id), &hash, index.id).unwrap();
            for leaf in &head.leaves {
                let page = LeafPage::decode(&page(leaf.id), &hash, leaf.id).unwrap();
                parts.extend(page.entries.iter().map(|entry| range(&entry.run)));
                leaves.push(range(&leaf.run));
            }
            parts.extend(head.open.iter().map(|entry| range(&entry.run)));
        }
        let table = newest.table.first().map_or(newest.run.first, |entry| entry.run.first)..newest.run.end();
        parts.extend(newest.table.iter().map(|entry| range(&entry.run)).filter(|part| !part.is_empty()));
        let has_index = newest.index.is_some();
        Self { store, items, start, parts, newest: range(&newest.run), table, leaves, has_index }
    }

    fn end(&self) -> u64 {
        self.items.len() as u64
    }

    /// Every object that has items, the newest commit too.
    fn all_parts(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        self.parts.iter().chain([&self.newest]).filter(|part| !part.is_empty())
    }

    fn value_bytes(&self, part: &Range<u64>) -> u64 {
        self.items[part.start as usize..part.end as usize].iter().map(|item| item.value.len() as u64).sum()
    }

    /// The sums over every object that has an item at `start` or later.
    fn totals_from(&self, start: u64) -> Totals {
        let mut totals = Totals::EMPTY;
        for part in self.all_parts().filter(|part| part.end > start) {
            let items = &self.items[part.start as usize..part.end as usize];
            totals.value_bytes += self.value_bytes(part);
            totals.min_timestamp = items.iter().map(|item| item.timestamp).fold(totals.min_timestamp, i64::min);
            totals.max_timestamp = items.iter().map(|item| item.timestamp).fold(totals.max_timestamp, i64::max);
        }
        totals
    }

    /// Where the list begins by a retention at the time `now`.
    fn retained_from(&self, retention: Retention, now: i64) -> u64 {
        let mut start = self.start;
        if let Some(items) = retention.max_items {
            start = start.max(self.end().saturating_sub(items));
        }
        let mut bytes_after = 0;
        for part in self.all_parts().rev() {
            let too_many = retention.max_bytes.is_some_and(|bytes| bytes_after >= bytes);
            let highest = self.items[..part.end as usize].iter().map(|item| item.timestamp).max().unwrap();
            let too_old = retention.max_age_millis.is_some_and(|age| highest < now.saturating_sub_unsigned(age));
            if too_many || too_old {
                start = start.max(part.end);
            }
            bytes_after += self.value_bytes(part);
        }
        start
    }

    /// Whether `start` is in the middle of a leaf.
    fn is_within(leaf: &Range<u64>, start: u64) -> bool {
        leaf.start < start && start < leaf.end
    }
}

/// Lists with and without an index, leaves, a table, commits without items, and an earlier trim that a compaction has
/// followed or not.
fn lists() -> Vec<List> {
    let indexed = [(2, false), (1, true), (3, false), (1, false), (2, true)];
    let commits = [(2, 0), (0, 0), (2, 0), (1, 0)];
    let of = |indexed: &[(usize, bool)], leaf_entries, dropped, commits: &[(usize, usize)], start| {
        let (indexed, commits) = (indexed.to_vec(), commits.to_vec());
        List::of(Layout { indexed, leaf_entries, dropped, commits, start, block_bytes: 100, generation: 0 })
    };
    vec![
        of(&[], 0, 0, &commits, 0),
        of(&[], 0, 0, &commits, 3),
        of(&indexed, 0, 0, &commits, 0),
        of(&indexed, 2, 0, &commits, 0),
        of(&indexed, 1, 0, &commits, 0),
        of(&indexed, 2, 0, &commits, 2),
        of(&indexed, 2, 0, &commits, 4),
        of(&indexed, 2, 2, &commits, 4),
        of(&indexed, 2, 2, &commits, 3),
        of(&indexed, 2, 5, &[(0, 0), (5, 0)], 9),
        of(&indexed, 2, 0, &[(5, 0)], 0),
        of(&indexed, 2, 0, &commits, 14),
    ]
}

fn open(store: &mut TestStore, retention: Retention) -> Session {
    let options = SessionOptions { retention, ..SessionOptions::default() };
    let session = store.run(Session::open(list_name(), SessionId(77), Arc::new(options))).unwrap();
    store.forget();
    session
}

fn trimmed(outcome: Result<(Session, TrimOutcome), FormatError>) -> (Session, Trimmed) {
    match outcome {
        Ok((session, TrimOutcome::Trimmed(trimmed))) => (session, trimmed),
        other => panic!("{other:?}"),
    }
}

/// How many index pages were read since the last [`TestStore::forget`].
fn pages_read(store: &TestStore) -> usize {
    let pages = list_name().index_pages();
    store
        .requests
        .iter()
        .filter(|request| matches!(request, Request::Get { name, .. } if name.starts_with(&pages)))
        .count()
}

/// Looks at what a session says of the list after a trim to `start`.
fn check_trimmed(list: &List, session: &Session, trimmed: Trimmed, start: u64) {
    assert_eq!(trimmed, Trimmed { start, items: start - list.start, conflicts: 0 });
    let newest = session.newest().unwrap();
    assert_eq!((newest.start, newest.next_offset()), (start, list.end()));
    let followed = start != list.start;
    if followed {
        assert_eq!(newest.totals, list.totals_from(start), "from {start}");
    }
    let mut compacted = list.parts.iter().chain(followed.then_some(&list.newest));
    let left_space = compacted.any(|part| !part.is_empty() && part.end <= start);
    assert_eq!(session.trim_left_space(), left_space, "from {start}");
}

#[test]
fn a_trim_begins_where_it_is_to_and_reads_one_leaf_at_most() {
    for (number, list) in lists().iter().enumerate() {
        for to in 0..list.end() + 3 {
            let mut store = list.store.clone();
            let session = open(&mut store, Retention::default());
            let below = |part: &Range<u64>| list.table.contains(&part.start) && part.end <= list.start;
            assert_eq!(session.trim_left_space(), list.parts.iter().any(below), "no page is in memory");
            let (session, trimmed) = trimmed(store.run(session.trim(TrimTo::Offset(to))));
            let start = to.min(list.end()).max(list.start);
            check_trimmed(list, &session, trimmed, start);

            // The one that the list begins in, for the sums or because it tells whether there is space to free.
            let moves = start > list.start;
            let within = |leaf: &Range<u64>| List::is_within(leaf, start);
            let leaf = if moves { list.leaves.iter().any(within) } else { list.leaves.first().is_some_and(within) };
            assert_eq!(pages_read(&store), usize::from(list.has_index) + usize::from(leaf), "list {number} to {to}");
            // Another session's PUT is followed by a Load; that there is nothing to trim beyond the end, too.
            let counts = store.counts();
            assert_eq!((counts.puts, counts.lists), (usize::from(moves), usize::from(moves || to > list.end())));
        }
    }
}

#[test]
fn a_session_trims_again_and_again_and_reads_each_page_once() {
    let list = &lists()[3];
    assert_eq!(list.leaves, [0..3, 3..7]);
    let mut store = list.store.clone();
    let mut session = open(&mut store, Retention::default());
    for (to, pages) in [(1, 2), (2, 2), (3, 2), (4, 3), (6, 3), (8, 3)] {
        session = trimmed(store.run(session.trim(TrimTo::Offset(to)))).0;
        let newest = session.newest().unwrap();
        assert_eq!((newest.start, newest.totals), (to, list.totals_from(to)));
        assert_eq!(pages_read(&store), pages, "to {to}");
    }
    // Another session's index is read anew.
    let mut other = store.run(Session::open(list_name(), SessionId(78), Arc::default())).unwrap();
    let Ok(Compaction::Prepared(prepared)) = store.run(other.compact(9)) else { panic!("nothing to compact") };
    assert!(other.accept(prepared));
    assert!(store.run(other.publish()).unwrap().1);
    store.forget();
    let (session, trimmed) = trimmed(store.run(session.trim(TrimTo::Offset(10))));
    assert_eq!(trimmed, Trimmed { start: 10, items: 2, conflicts: 1 });
    assert_eq!(session.newest().unwrap().totals, list.totals_from(9), "all after it are one segment now");
    assert!(session.trim_left_space());
    assert_eq!(pages_read(&store), 1);
}

#[test]
fn retention_takes_whole_commits_and_segments_and_reads_one_leaf_at_most() {
    let of = |max_items, max_bytes, max_age_millis| Retention { max_age_millis, max_items, max_bytes };
    let items = (0..16).map(|items| of(Some(items), None, None));
    let bytes = (0..30).map(|bytes| of(None, Some(bytes), None));
    let ages = (0..31).map(|age| of(None, None, Some(age * 5)));
    let alone = items.chain(bytes).chain(ages).chain([Retention::default()]).map(|retention| (retention, 2));
    // Each limit may look into another leaf.
    let together = (0..10).map(|some| (of(Some(15 - some), Some(some * 3), Some(some * 15)), 4));
    let retentions: Vec<(Retention, usize)> = alone.chain(together).collect();
    const NOW: i64 = 150;
    for (number, list) in lists().iter().enumerate() {
        for &(retention, pages) in &retentions {
            let mut store = list.store.clone();
            let session = open(&mut store, retention);
            let (session, trimmed) = trimmed(store.run(session.retain(NOW)));
            check_trimmed(list, &session, trimmed, list.retained_from(retention, NOW));
            assert!(pages_read(&store) <= pages, "list {number}, {retention:?}: {}", pages_read(&store));
        }
    }
}

#[test]
fn an_append_that_takes_away_what_the_index_covers_does_not_read_it() {
    let list = &lists()[3];
    let index_end = list.table.start;
    let append = |max_items| {
        let mut store = list.store.clone();
        let session = open(&mut store, Retention { max_items: Some(max_items), ..Retention::default() });
        let appended = store.run(session.append(vec![Insertion::new("x")], 150)).unwrap();
        let (session, AppendOutcome::Appended(appended)) = appended else { panic!("{appended:?}") };
        let newest = session.newest().unwrap();
        let mut totals = list.totals_from(newest.start);
        totals.add(&newest.run);
        assert_eq!(newest.totals, totals);
        assert_eq!(appended.trimmed, newest.start);
        (newest.start, pages_read(&store))
    };
    let kept = list.end() + 1 - index_end;
    assert_eq!(append(kept), (index_end, 0));
    assert_eq!(append(kept - 1), (index_end + 1, 0));
    assert_eq!(append(kept + 1), (index_end - 1, 1));
}

#[test]
fn an_index_page_that_stays_away_is_named_after_another_look() {
    let list = &lists()[3];
    let mut store = list.store.clone();
    let session = open(&mut store, Retention::default());
    let pages = list_name().index_pages();
    store.objects.retain(|name, _| !name.starts_with(&pages));
    let outcome = store.run(session.trim(TrimTo::Offset(1))).map(drop);
    let Err(FormatError::Corrupt(corrupt)) = outcome else { panic!("{outcome:?}") };
    assert!(corrupt.object.starts_with(&pages), "{corrupt}");
    assert_eq!((store.counts().lists, store.counts().puts), (1, 0));
}

#[test]
fn a_list_whose_index_page_is_never_there_in_time_is_given_up_on() {
    let mut store = lists()[3].store.clone();
    let session = open(&mut store, Retention::default());
    let mut other = Some(store.run(Session::open(list_name(), SessionId(78), Arc::default())).unwrap());
    let mut looks = 0;
    let outcome = store.run_with(session.trim(TrimTo::Offset(1)), |store, request| match request {
        Request::Get { name, .. } if name.starts_with(&list_name().index_pages()) => Answer::Missing,
        Request::List { .. } => {
            looks += 1;
            // Another newest commit each time: the page may have been replaced.
            let append = other.take().unwrap().append(vec![Insertion::new("x")], 150);
            other = Some(store.run(append).unwrap().0);
            store.answer(request)
        }
        _ => store.answer(request),
    });
    let Err(FormatError::Contended { attempts, .. }) = outcome.map(drop) else { panic!("no end of it") };
    assert_eq!((attempts, looks), (MAX_RESTARTS, MAX_RESTARTS));
}
