//! Which GETs a round has: to the byte, and no more of them than one round may have.

use std::sync::Arc;

use super::*;
use crate::limits::MAX_PAGE_VALUE_BYTES;
use crate::plan::read::read_page;
use crate::plan::read::test_list::{asked, commit_header, header, list_name, segment_header};
use crate::plan::read::tests::{from, layout, page, plain, request};
use crate::plan::test_store::TestStore;
use crate::plan::{Plan, Port, Step};
use crate::wire::block::BlockOptions;
use crate::wire::commit::encode_commit;
use crate::wire::head::HeadPage;
use crate::wire::identity::{ObjectId, SessionId};
use crate::wire::run::Run;

const FORWARDS: IterationOrder = IterationOrder::Forwards;
const BACKWARDS: IterationOrder = IterationOrder::Backwards;

/// Reads one page of a list and says what was asked for once its newest commit was there, all of it.
fn asked_for(store: &mut TestStore, order: IterationOrder, start: u64, size: u64) -> Vec<String> {
    store.forget();
    let read = page(store, order, size, from(start));
    assert_eq!((read.items[0].offset, read.items.len() as u64), (start, size), "{order:?}");
    let asked = asked(store);
    assert_eq!(asked[0], "list");
    assert!(asked[1].starts_with("commit "));
    asked[2..].to_vec()
}

/// Requests of each step of a plan.
fn rounds<T>(store: &mut TestStore, mut plan: Plan<T>) -> Vec<usize> {
    let (mut rounds, mut answers) = (Vec::new(), Vec::new());
    while let Step::Send(requests) = plan.step(std::mem::take(&mut answers)) {
        rounds.push(requests.len());
        answers = requests.iter().map(|request| store.answer(request)).collect();
    }
    rounds
}

#[test]
fn objects_that_a_page_needs_are_asked_for_at_once_but_six_at_most() {
    let mut store = TestStore::default();
    layout(vec![(100, false); 10], vec![(10, 0)]).write(&mut store, &plain(1_010, 10));
    for (order, start) in [(FORWARDS, 0), (BACKWARDS, 999)] {
        let mut rounds = |size| rounds(&mut store, read_page(request(order, size, from(start), None)));
        // LIST, newest commit, head page; then segments.
        assert_eq!(rounds(1), [1, 1, 1, 1], "{order:?}");
        assert_eq!(rounds(250), [1, 1, 1, 3], "{order:?}");
        assert_eq!(rounds(600), [1, 1, 1, 6], "{order:?}");
        assert_eq!(rounds(1_000), [1, 1, 1, 6, 4], "{order:?}");
    }
}

#[test]
fn blocks_next_to_each_other_are_one_range() {
    let mut store = TestStore::default();
    layout(vec![(2_000, false), (2_000, true)], vec![(10, 0)]).write(&mut store, &plain(4_010, 100));
    let (segment, commit) = (segment_header(&store, 0).blocks, commit_header(&store, 1).own_blocks);
    for (blocks, object, first) in [(segment, "segment 0", 0), (commit, "commit 1", 2_000)] {
        let position = |offset: u64| blocks.iter().find(|block| block.end() > offset).unwrap();
        for (order, size, start, end) in [
            (FORWARDS, 1, 500, 500),
            (FORWARDS, 1_000, 500, 1_499),
            (BACKWARDS, 1, 1_500, 1_500),
            (BACKWARDS, 1_000, 501, 1_500),
        ] {
            let (start, end) = (first + start, first + end);
            let range = format!("{object} {}..{}", position(start).position, position(end).end_position());
            let at = if order == FORWARDS { start } else { end };
            assert_eq!(asked_for(&mut store, order, at, size), ["head", &range], "{order:?} {size}");
        }
    }
}

#[test]
fn a_small_commit_is_fetched_with_its_carry_only_where_the_page_needs_that() {
    let mut store = TestStore::default();
    let carries = [(10, 0), (10, 10), (10, 10), (10, 10), (10, 0)];
    layout(vec![], carries.to_vec()).write(&mut store, &plain(50, 100));
    let own = |seq| format!("commit {seq} 0..{}", commit_header(&store, seq).own_length());
    let whole = |seq| format!("commit {seq} 0..{}", commit_header(&store, seq).length());
    let (own, whole) = ([0, 1, 2, 3].map(own), [0, 1, 2, 3].map(whole));
    for (start, size, expected) in [
        (0, 10, vec![&own[0]]),
        (0, 11, vec![&whole[1]]),
        (10, 10, vec![&own[1]]),
        (10, 11, vec![&whole[2]]),
        (0, 25, vec![&whole[1], &own[2]]),
    ] {
        assert_eq!(asked_for(&mut store, FORWARDS, start, size), expected.into_iter().cloned().collect::<Vec<_>>());
    }
    for (start, size, expected) in [
        (29, 10, vec![&own[2]]),
        (29, 11, vec![&whole[2]]),
        (24, 5, vec![&own[2]]),
        (24, 6, vec![&whole[2]]),
        (29, 25, vec![&whole[2], &own[0]]),
    ] {
        assert_eq!(asked_for(&mut store, BACKWARDS, start, size), expected.into_iter().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn small_commits_of_one_page_are_fetched_once_and_together() {
    let mut store = TestStore::default();
    layout(vec![], vec![(10, 0), (10, 1), (10, 1), (10, 1), (10, 0)]).write(&mut store, &plain(50, 100));
    let own = |seq| format!("commit {seq} 0..{}", commit_header(&store, seq).own_length());
    let expected = [0, 1, 2, 3].map(own);
    assert_eq!(asked_for(&mut store, FORWARDS, 0, 40), expected);
    let steps = rounds(&mut store, read_page(request(FORWARDS, 40, from(0), None)));
    assert_eq!(steps, [1, 1, 4]);
}

#[test]
fn large_commits_of_one_page_are_fetched_once_and_together() {
    let mut store = TestStore::default();
    layout(vec![], vec![(1_000, 0), (1_000, 0), (10, 0)]).write(&mut store, &plain(2_010, 100));
    let blocks = |seq| {
        let header = commit_header(&store, seq);
        format!("commit {seq} {}..{}", header.header_length, header.own_length())
    };
    let (first, second) = (blocks(0), blocks(1));
    assert_eq!(asked_for(&mut store, FORWARDS, 0, 2_000), [first.clone(), second.clone()]);
    assert_eq!(asked_for(&mut store, BACKWARDS, 1_999, 2_000), [second, first]);
    let steps = rounds(&mut store, read_page(request(FORWARDS, 2_000, from(0), None)));
    assert_eq!(steps, [1, 1, 2]);
}

#[test]
fn the_front_of_a_large_commit_brings_items_that_are_near_along() {
    let mut store = TestStore::default();
    layout(vec![], vec![(2_000, 0), (10, 0)]).write(&mut store, &plain(2_010, 100));
    let header = commit_header(&store, 0);
    let (length, stored) = (u64::from(header.header_length), header.own_length());
    let front = |items: u64| format!("commit 0 0..{}", (stored - length) * items / 2_000 + length + (32 << 10));
    assert_eq!(asked_for(&mut store, FORWARDS, 100, 20), [front(120)]);
    assert_eq!(asked_for(&mut store, BACKWARDS, 100, 20), [front(101)]);
    // As long as all of it is at most 64 KiB.
    let most = ((32 << 10) - length) * 2_000 / (stored - length);
    assert_eq!(asked_for(&mut store, FORWARDS, 100, most - 100), [front(most)]);
    let alone = format!("commit 0 0..{length}");
    assert_eq!(asked_for(&mut store, FORWARDS, 100, most + 1 - 100)[0], alone);
    let block = header.own_blocks.iter().find(|block| block.end() > 1_000).unwrap();
    let block = format!("commit 0 {}..{}", block.position, block.end_position());
    assert_eq!(asked_for(&mut store, FORWARDS, 1_000, 5), [alone.clone(), block.clone()]);
    assert_eq!(asked_for(&mut store, BACKWARDS, 1_000, 5), [alone, block]);
}

#[test]
fn a_table_that_tells_of_items_that_are_nowhere_is_damaged() {
    let mut store = TestStore::default();
    let items = plain(30, 100);
    layout(vec![], vec![(10, 0), (10, 5), (10, 0)]).write(&mut store, &items);
    // Commit 1 carries 5..10; the newest commit says that it carries 0..10.
    let mut newest = commit_header(&store, 2);
    newest.table[1].carry_first = 0;
    let forged = encode_commit(newest, &items[20..], &[], &BlockOptions::default()).unwrap();
    let name = list_name().commit(2);
    store.objects.insert(name.clone(), forged.body);
    assert_eq!(page(&mut store, FORWARDS, 10, from(0)).items, items[..10]);
    let read = store.run(read_page(request(FORWARDS, 20, from(0), None)));
    let reason = "its index and table do not cover the list";
    assert_eq!(read, Err(CorruptObject { object: name, reason }.into()));
}

const MEBIBYTE: u64 = 1 << 20;

/// A view in which an index has these entries.
fn indexed(open: Vec<IndexEntry>) -> View {
    let (list, id) = (list_name().hash(), ObjectId { x: 9, id: 0 });
    let mut view = View::of_index(&Port::default(), &list_name(), None);
    let before = Run::empty(0, 0, 0);
    view.head = Some(HeadPage { list, id, before, leaves: vec![], open, ledger_pages: vec![], handovers: vec![] });
    view
}

/// Items one by one from `first` on, each in a block of its own of this length, after a header of 1,000 bytes.
fn blocks(first: u64, lengths: &[u64]) -> Vec<BlockEntry> {
    let mut position = 1_000;
    let block = |(first, length): (u64, &u64)| {
        position += length;
        BlockEntry {
            position: position - length,
            length: *length as u32,
            first,
            count: 1,
            running_max_timestamp: 0,
            next_nonce: 0,
        }
    };
    (first..).zip(lengths).map(block).collect()
}

/// A segment with such blocks; its values are of so many bytes.
fn segment(first: u64, lengths: &[u64], value_bytes: u64) -> IndexEntry {
    let count = lengths.len() as u64;
    let run = Run { count, value_bytes: count * value_bytes, ..Run::empty(first, 0, 0) };
    let source = Source::Segment { id: ObjectId { x: 1, id: u128::from(first) }, complete: true };
    let length = 1_000 + lengths.iter().sum::<u64>();
    IndexEntry { source, run, header_length: 1_000, length, blocks: blocks(first, lengths) }
}

/// A view in which the newest commit's table has commits of so many items each, `stored` bytes and values of so many.
fn table(commits: &[(u64, u64, u64)]) -> View {
    let mut newest = header(commits.len() as u64, 0, Run::empty(0, 0, 0), &[]);
    let mut run = Run::empty(0, 0, 0);
    for (seq, &(count, stored, value_bytes)) in (0..).zip(commits) {
        run = Run { count, value_bytes: count * value_bytes, ..run.after() };
        let commit = CommitIdentity { seq, session: SessionId(1), put_id: seq, handover: false, complete: false };
        let own_length = 1_000 + stored;
        newest.table.push(TableEntry {
            commit,
            run,
            carry_first: run.first,
            header_length: 1_000,
            own_length,
            length: own_length,
        });
    }
    newest.run = Run { count: 1, ..run.after() };
    newest.carry_first = newest.run.first;
    newest_is(newest)
}

fn newest_is(newest: CommitHeader) -> View {
    let mut view = View::of_index(&Port::default(), &list_name(), None);
    view.newest = Some(Arc::new(newest));
    view
}

/// The ranges that a page of the first items asks for at first.
fn planned(view: &View, order: IterationOrder, end: u64) -> Vec<(u64, u64)> {
    let mut filling = Filling::new(order, 10_000);
    match order {
        FORWARDS => filling.move_to(0, end, None),
        BACKWARDS => filling.move_to(end, 0, None),
    }
    let range = |part: &Part| match part.request(view) {
        Some(Request::Get { range: Some(range), .. }) => (range.start, range.end),
        other => panic!("{other:?}"),
    };
    next_round(view, &filling).iter().map(range).collect()
}

#[test]
fn a_round_asks_for_16_mib_and_what_began_before_them() {
    let most = 16 * MEBIBYTE;
    let quarter = 4 * MEBIBYTE;
    // One object with more than that.
    let view = indexed(vec![segment(0, &[quarter; 8], 1)]);
    assert_eq!(planned(&view, FORWARDS, 8), [(1_000, 1_000 + most)]);
    assert_eq!(planned(&view, BACKWARDS, 8), [(1_000 + most, 1_000 + 2 * most)]);
    // The next object, with as much already, or a byte less.
    let full = [quarter; 4];
    let less = [quarter - 1, quarter, quarter, quarter];
    let view = indexed(vec![segment(0, &full, 1), segment(4, &[500; 2], 1)]);
    assert_eq!(planned(&view, FORWARDS, 6), [(1_000, 1_000 + most)]);
    let view = indexed(vec![segment(0, &less, 1), segment(4, &[500; 2], 1)]);
    assert_eq!(planned(&view, FORWARDS, 6), [(1_000, 999 + most), (1_000, 1_500)]);
    // Commits of the table likewise.
    let view = table(&[(10, most, 1), (10, 2_000, 1)]);
    assert_eq!(planned(&view, FORWARDS, 20), [(1_000, 1_000 + most)]);
    let view = table(&[(10, most - 1, 1), (10, 2_000, 1)]);
    assert_eq!(planned(&view, FORWARDS, 20), [(1_000, 999 + most), (0, 3_000)]);
}

#[test]
fn a_round_asks_for_the_values_that_a_page_may_hold() {
    assert_eq!(MAX_PAGE_VALUE_BYTES as u64, 8 * MEBIBYTE);
    for (order, expected) in [(FORWARDS, (1_000, 9_000)), (BACKWARDS, (13_000, 21_000))] {
        let view = indexed(vec![segment(0, &[1_000; 20], MEBIBYTE)]);
        assert_eq!(planned(&view, order, 20), [expected]);
        let mut newest = header(0, 0, Run::empty(0, 0, 0), &[]);
        newest.run = Run { count: 20, value_bytes: 20 * MEBIBYTE, ..Run::empty(0, 0, 0) };
        newest.own_blocks = blocks(0, &[1_000; 20]);
        assert_eq!(planned(&newest_is(newest), order, 20), [expected]);
    }
    let view = indexed(vec![segment(0, &[1_000; 4], MEBIBYTE), segment(4, &[1_000; 20], MEBIBYTE)]);
    assert_eq!(planned(&view, FORWARDS, 24), [(1_000, 5_000), (1_000, 5_000)]);
    // Small commits, and large ones.
    for stored in [20_000, 100_000] {
        let whole = if stored == 20_000 { (0, 21_000) } else { (1_000, 101_000) };
        assert_eq!(planned(&table(&[(4, stored, MEBIBYTE); 5]), FORWARDS, 20), [whole; 2]);
        assert_eq!(planned(&table(&[(40, stored, 100); 5]), FORWARDS, 200), [whole; 5]);
    }
}
