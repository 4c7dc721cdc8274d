use super::*;
use crate::plan::Plan;
use crate::plan::SessionOptions;
use crate::plan::read::test_list::{Layout, list_name};
use crate::plan::session::test_writer::{Writer, values};
use crate::plan::test_store::{Counts, TestStore};
use crate::wire::identity::{ObjectId, SessionId};

fn draft(open: Vec<IndexEntry>, ledger_pages: Vec<LedgerReference>, handovers: Vec<Handover>) -> IndexDraft {
    let before = Run::empty(0, i64::MIN, 0);
    let (leaves, dropped) = (Vec::new(), Garbage::default());
    IndexDraft { old: None, before, leaves, open, ledger_pages, handovers, dropped }
}

/// So many segments of one item each, of which the last `partials` are not complete.
fn segments(count: usize, partials: usize) -> Vec<IndexEntry> {
    let entry = |number: usize| {
        let id = ObjectId { x: 1, id: number as u128 };
        let source = Source::Segment { id, complete: number + partials < count };
        let run = Run { count: 1, ..Run::empty(number as u64, 0, 0) };
        IndexEntry { source, run, header_length: 50, length: 100, blocks: Vec::new() }
    };
    (0..count).map(entry).collect()
}

fn write(store: &mut TestStore, mut draft: IndexDraft) -> Arc<HeadPage> {
    let plan = Plan::new(|port| async move {
        let mut ids = ObjectIds { x: 9, next: 1 };
        draft.write(&port, &list_name(), &mut ids).await.map(|written| written.page)
    });
    store.run(plan).unwrap_or_else(|_| panic!("the index was not written"))
}

/// How many entries the leaf has, if one is written, and how many stay in the head page.
fn check_leaf(count: usize, partials: usize, leaf: Option<u32>, open: usize) {
    let mut store = TestStore::default();
    let page = write(&mut store, draft(segments(count, partials), Vec::new(), Vec::new()));
    let leaves: Vec<u32> = page.leaves.iter().map(|leaf| leaf.entries).collect();
    assert_eq!((leaves, page.open.len()), (leaf.into_iter().collect(), open), "{count}, {partials} partial");
    assert_eq!(page.open.first().map(|entry| entry.run.first), Some((count - open) as u64));
    assert_eq!(store.objects.len(), 1 + page.leaves.len());
}

#[test]
fn beyond_1024_entries_the_oldest_go_to_a_leaf_and_partial_segments_stay() {
    check_leaf(1_023, 0, None, 1_023);
    check_leaf(1_024, 0, None, 1_024);
    check_leaf(1_025, 0, Some(1_024), 1);
    check_leaf(1_300, 0, Some(1_024), 276);
    check_leaf(1_025, 10, Some(1_015), 10);
    check_leaf(1_300, 10, Some(1_024), 276);
    check_leaf(1_025, 512, Some(513), 512);
    check_leaf(1_025, 1_025, Some(513), 512);
}

#[test]
fn partial_segments_at_the_end_are_merged_as_far_as_they_fit_into_memory() {
    let check = |draft: &IndexDraft, limit, expected| assert_eq!(draft.trailing_partials(limit).len(), expected);
    let mut draft = draft(segments(9, 4), Vec::new(), Vec::new());
    check(&draft, 64, 4);
    check(&draft, 3, 3);
    draft.open[6].run.count = MAX_COMMIT_ITEMS as u64 - 1;
    check(&draft, 64, 4);
    draft.open[6].run.count = MAX_COMMIT_ITEMS as u64;
    check(&draft, 64, 2);
}

fn handovers(seqs: std::ops::Range<u64>) -> Vec<Handover> {
    seqs.map(|seq| Handover { seq, session: SessionId(u128::from(seq)) }).collect()
}

/// Handovers in each ledger page and in the head page, where one page with `paged` of them was there and `inline` follow.
fn check_ledger(paged: u64, inline: u64, expected: &[u32], left: usize) {
    let (list, mut store) = (list_name(), TestStore::default());
    let page = LedgerPage { list: list.hash(), id: ObjectId { x: 1, id: 1 }, handovers: handovers(0..paged) };
    let body = page.encode().unwrap();
    let reference = LedgerReference { id: page.id, length: body.len() as u64, first_seq: 0, count: paged as u32 };
    store.objects.insert(list.index_page(page.id), body);
    let head = write(&mut store, draft(Vec::new(), vec![reference], handovers(paged..paged + inline)));
    let counts: Vec<u32> = head.ledger_pages.iter().map(|page| page.count).collect();
    assert_eq!((counts.as_slice(), head.handovers.len()), (expected, left), "{paged} and {inline}");
    // What the pages say is what is in them, and none is missing.
    let mut all = Vec::new();
    for page in &head.ledger_pages {
        let body = &store.objects[&list.index_page(page.id)];
        let read = LedgerPage::decode(body, &list.hash(), page.id).unwrap();
        assert_eq!((page.length, page.first_seq), (body.len() as u64, read.handovers[0].seq));
        all.extend(read.handovers);
    }
    all.extend(&head.handovers);
    assert_eq!(all, handovers(0..paged + inline));
}

#[test]
fn beyond_64_handovers_they_go_to_the_last_ledger_page_as_long_as_it_has_room() {
    check_ledger(100, 63, &[100], 63);
    check_ledger(100, 64, &[100], 64);
    check_ledger(100, 65, &[165], 0);
    check_ledger(70, 250, &[320], 0);
    check_ledger(8_127, 65, &[8_192], 0);
    check_ledger(8_128, 65, &[8_128, 65], 0);
}

#[test]
fn a_list_of_many_sessions_keeps_all_of_its_handovers() {
    let mut writer = Writer::new(SessionOptions { carry_bytes: 0, ..SessionOptions::default() });
    // The newest commit is not covered yet.
    let mut publish = |sessions: usize| {
        for _ in 0..sessions {
            writer.reopen();
            writer.append(values(1, 5));
        }
        let (head, garbage) = writer.publish();
        writer.check_list();
        let pages: Vec<_> = head.ledger_pages.iter().map(|page| (page.first_seq, page.count)).collect();
        let replaced = garbage.deletes().iter().filter(|name| name.starts_with(&list_name().index_pages())).count();
        (pages, head.handovers.len(), replaced)
    };
    assert_eq!(publish(65), (vec![], 64, 0));
    assert_eq!(publish(1), (vec![(0, 65)], 0, 1));
    assert_eq!(publish(40), (vec![(0, 65)], 40, 1));
    assert_eq!(publish(30), (vec![(0, 135)], 0, 2));
}

/// A list of eight segments of 5 items, the first six in leaves of two, and a few items behind them.
fn layout() -> Layout {
    Layout {
        indexed: vec![(5, false); 8],
        leaf_entries: 2,
        dropped: 0,
        commits: vec![(3, 0), (2, 0)],
        start: 0,
        block_bytes: 1_000,
        generation: 0,
    }
}

/// The leaves and the begins of the entries after them, once the list is trimmed and compacted; the GETs and PUTs that
/// takes, and how many pages and segments it leaves over.
fn check_leaves(start: u64, leaves: &[[u64; 2]], open: &[u64], (gets, puts): (usize, usize), left_over: usize) {
    let item = |offset| crate::item::Item { offset, timestamp: 5, nonce: None, value: "x".into() };
    let mut store = TestStore::default();
    layout().write(&mut store, &(0..45).map(item).collect::<Vec<_>>());
    let mut writer = Writer::of(store, SessionOptions { compact_items_threshold: 1_000, ..SessionOptions::default() });
    writer.trim(start);
    writer.append(values(1, 5));
    writer.reopen();
    writer.store.forget();
    let prepared = writer.prepare();
    assert_eq!(writer.store.counts(), Counts { gets, puts, ..Counts::default() }, "{start}");
    let runs: Vec<_> = prepared.head_page.leaves.iter().map(|leaf| [leaf.run.first, leaf.run.end()]).collect();
    assert_eq!(runs, leaves, "{start}");
    let firsts: Vec<u64> = prepared.head_page.open.iter().map(|entry| entry.run.first).collect();
    assert_eq!(firsts, open, "{start}");
    assert!(writer.session.as_mut().unwrap().accept(prepared));
    writer.append(values(1, 5));
    writer.check_list();
    let garbage = writer.session.as_mut().unwrap().take_garbage().unwrap();
    let is_commit = |name: &&String| list_name().parse_commit(name).is_some();
    assert_eq!(garbage.deletes().iter().filter(|name| !is_commit(name)).count(), left_over, "{start}: {garbage:?}");
}

#[test]
fn leaves_are_dropped_whole_and_the_one_that_the_list_begins_in_is_written_anew() {
    // The head page and two commits; a segment of their items, and the new head page.
    check_leaves(0, &[[0, 10], [10, 20], [20, 30]], &[30, 35, 40], (3, 2), 1);
    check_leaves(4, &[[0, 10], [10, 20], [20, 30]], &[30, 35, 40], (4, 2), 1);
    check_leaves(5, &[[5, 10], [10, 20], [20, 30]], &[30, 35, 40], (4, 3), 3);
    // The segments below a leaf that goes are known from it alone; one that the list begins with is not read.
    check_leaves(10, &[[10, 20], [20, 30]], &[30, 35, 40], (4, 2), 4);
    check_leaves(14, &[[10, 20], [20, 30]], &[30, 35, 40], (5, 2), 4);
    check_leaves(15, &[[15, 20], [20, 30]], &[30, 35, 40], (5, 3), 6);
    check_leaves(30, &[], &[30, 35, 40], (6, 2), 10);
    check_leaves(36, &[], &[35, 40], (6, 2), 11);
    check_leaves(43, &[], &[43], (5, 2), 12);
    check_leaves(45, &[], &[], (4, 1), 12);
}
