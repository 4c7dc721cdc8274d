//! Time lines of lists of random layouts say what a plain vector does.

use proptest::prelude::*;

use super::read::budget_tests::{Million, SEGMENT_ITEMS, SEGMENTS};
use super::read::test_list::{Layout, create_keyspace, items, layouts, list_name};
use super::test_store::{Counts, TestStore};
use super::timeline::{MAX_OPENED_LEAVES, Timeline, TimelineSpan, TimelineWindow, read_timeline};
use crate::error::FormatError;
use crate::item::Item;
use crate::limits::MAX_LEAF_ENTRIES;
use crate::plan::Request;

fn timeline(store: &mut TestStore, window: TimelineWindow) -> Timeline {
    store.run(read_timeline(list_name(), window)).unwrap().expect("a list")
}

fn is_true(span: &TimelineSpan, items: &[Item]) -> bool {
    let own = &items[span.first_offset as usize..][..span.item_count as usize];
    let timestamps = || own.iter().map(|item| item.timestamp);
    span.value_bytes == own.iter().map(|item| item.value.len() as u64).sum::<u64>()
        && timestamps().min() == Some(span.min_timestamp)
        && timestamps().max() == Some(span.max_timestamp)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn spans_are_all_of_the_list_and_sum_it_up(items in items(120), layout in layouts()) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let start = layout.write(&mut store, &items);
        let whole = timeline(&mut store, TimelineWindow::default());
        prop_assert_eq!((whole.first_offset, whole.next_offset), (start, items.len() as u64));
        prop_assert_eq!(store.counts().gets <= 2, true);
        let mut next = None;
        for span in &whole.spans {
            prop_assert!(is_true(span, &items), "{:?}", span);
            prop_assert!(span.first_offset + span.item_count > start, "{:?} is trimmed", span);
            prop_assert!(next.is_none_or(|next| next == span.first_offset), "a gap before {:?}", span);
            next = Some(span.first_offset + span.item_count);
        }
        let first = whole.spans.first().map_or(start, |span| span.first_offset);
        prop_assert!(first <= start);
        prop_assert_eq!(next.unwrap_or(start), items.len() as u64);
    }

    #[test]
    fn a_window_shows_the_finest_spans_that_have_to_do_with_it(
        items in items(120), layout in layouts(), from in prop::option::of(-2i64..80), to in prop::option::of(-2i64..80),
    ) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let start = layout.write(&mut store, &items);
        // A window is what makes it fine; this one has to do with everything.
        let all = timeline(&mut store, TimelineWindow { from: Some(i64::MIN), to: None });
        let shows = |span: &&TimelineSpan| {
            from.is_none_or(|from| span.max_timestamp >= from) && to.is_none_or(|to| span.min_timestamp <= to)
        };
        let window = TimelineWindow { from, to };
        let shown = timeline(&mut store, window);
        if window != TimelineWindow::default() && all.spans.iter().all(|span| span.parts == 1) {
            prop_assert_eq!(&shown.spans, &all.spans.iter().filter(shows).copied().collect::<Vec<_>>());
        }
        for (offset, item) in items.iter().enumerate().skip(start as usize) {
            let inside = from.is_none_or(|from| item.timestamp >= from) && to.is_none_or(|to| item.timestamp <= to);
            let covers = |span: &TimelineSpan| (span.first_offset..span.first_offset + span.item_count).contains(&(offset as u64));
            prop_assert!(!inside || shown.spans.iter().any(covers), "item {} is in no span", offset);
        }
    }
}

#[test]
fn a_million_segments_take_three_requests_and_a_window_the_leaves_it_shows() {
    let mut million = Million::new();
    let leaf_number = 500;
    million.write(&[leaf_number * MAX_LEAF_ENTRIES as u64]);
    let leaf_number = leaf_number as usize;
    million.store.forget();
    let whole = timeline(&mut million.store, TimelineWindow::default());
    assert_eq!(million.store.counts(), Counts { lists: 1, gets: 2, ..Counts::default() });
    let leaves = SEGMENTS as usize / MAX_LEAF_ENTRIES;
    assert!((leaves..leaves + 1_200).contains(&whole.spans.len()), "{} spans", whole.spans.len());
    assert_eq!(whole.spans[0].parts as usize, MAX_LEAF_ENTRIES);
    let end = whole.spans.last().map(|span| span.first_offset + span.item_count);
    assert_eq!(end, Some(whole.next_offset));

    // The time of one leaf's segments, and then that of more leaves than are opened at once.
    let leaf = whole.spans[leaf_number];
    million.store.forget();
    let window = TimelineWindow { from: Some(leaf.min_timestamp), to: Some(leaf.max_timestamp) };
    let zoomed = timeline(&mut million.store, window);
    assert_eq!(million.store.counts(), Counts { lists: 1, gets: 3, ..Counts::default() });
    assert_eq!(zoomed.spans.len(), MAX_LEAF_ENTRIES);
    assert!(zoomed.spans.iter().all(|span| span.item_count == SEGMENT_ITEMS && span.parts == 1));

    let last = whole.spans[leaf_number + MAX_OPENED_LEAVES];
    million.store.forget();
    let window = TimelineWindow { to: Some(last.max_timestamp), ..window };
    let wide = timeline(&mut million.store, window);
    assert_eq!(million.store.counts(), Counts { lists: 1, gets: 2, ..Counts::default() });
    assert_eq!(wide.spans, whole.spans[leaf_number..=leaf_number + MAX_OPENED_LEAVES]);
}

#[test]
fn a_list_without_items_and_one_that_is_not_there() {
    let mut store = TestStore::default();
    let missing = store.run(read_timeline(list_name(), TimelineWindow::default()));
    assert!(matches!(missing, Err(FormatError::KeyspaceNotFound { .. })));
    create_keyspace(&mut store);
    assert_eq!(store.run(read_timeline(list_name(), TimelineWindow::default())), Ok(None));
}

#[test]
fn an_index_page_that_is_lost_is_named_and_one_that_was_replaced_is_not_missed() {
    let mut million = Million::new();
    million.write(&[]);
    let plan = || read_timeline(list_name(), TimelineWindow::default());
    let mut head = None;
    million.store.run(plan()).unwrap();
    for request in &million.store.requests {
        if let Request::Get { name, .. } = request
            && name.contains("/idx/")
        {
            head = Some(name.clone());
        }
    }
    let head = head.expect("a head page");
    let page = million.store.objects.remove(&head).expect("the page");
    let lost = million.store.run(plan());
    assert!(matches!(&lost, Err(FormatError::Corrupt(corrupt)) if corrupt.object == head), "{lost:?}");
    // It is there again at the second look, as a new index would be.
    let mut looks = 0;
    let read = million.store.run_with(plan(), |store, request| {
        if matches!(request, Request::Get { name, .. } if *name == head) {
            looks += 1;
            if looks == 2 {
                store.objects.insert(head.clone(), page.clone());
            }
        }
        store.answer(request)
    });
    assert!(matches!(read, Ok(Some(_))), "{read:?}");
}

/// A list of so many leaves of two segments each, a segment in the head page and a commit, each of one item.
fn list_of_leaves(leaves: usize, start: u64) -> TestStore {
    let indexed = vec![(1, false); 2 * leaves + 1];
    let items: Vec<Item> = (0..indexed.len() as u64 + 1)
        .map(|offset| Item { offset, timestamp: offset as i64, nonce: None, value: "value".into() })
        .collect();
    let commits = vec![(1, 0)];
    let mut store = TestStore::default();
    create_keyspace(&mut store);
    Layout { indexed, leaf_entries: 2, dropped: 0, commits, start, block_bytes: 1_000, generation: 0 }
        .write(&mut store, &items);
    store
}

#[test]
fn leaves_are_opened_for_a_window_with_either_end_as_long_as_they_are_few() {
    let ends = [(None, None), (Some(i64::MIN), None), (None, Some(i64::MAX))];
    for (from, to) in ends {
        for leaves in [MAX_OPENED_LEAVES, MAX_OPENED_LEAVES + 1] {
            let mut store = list_of_leaves(leaves, 0);
            let spans = timeline(&mut store, TimelineWindow { from, to }).spans;
            let opened = (from, to) != (None, None) && leaves == MAX_OPENED_LEAVES;
            let (gets, apart) = if opened { (2 + leaves, 2 * leaves) } else { (2, leaves) };
            assert_eq!(store.counts(), Counts { lists: 1, gets, ..Counts::default() }, "{from:?} to {to:?}");
            assert_eq!(spans.len(), apart + 2, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn an_index_without_live_items_is_not_read() {
    for (start, gets, spans) in [(6, 2, 2), (7, 1, 1), (8, 1, 0)] {
        let mut store = list_of_leaves(3, start);
        assert_eq!(timeline(&mut store, TimelineWindow::default()).spans.len(), spans, "from {start}");
        assert_eq!(store.counts(), Counts { lists: 1, gets, ..Counts::default() }, "from {start}");
    }
}
