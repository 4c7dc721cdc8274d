//! Sweeps free what nothing refers to, to the byte, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use bytes::Bytes;

use super::*;
use crate::error::CorruptObject;
use crate::item::Item;
use crate::plan::read::test_list::{Layout, list_name};
use crate::plan::test_store::TestStore;

type Swept = Result<SweepReport, FormatError>;

fn some_items(count: u64) -> Vec<Item> {
    let item = |offset| Item { offset, timestamp: 5, nonce: None, value: format!("item {offset}").into() };
    (0..count).map(item).collect()
}

/// Commits 0 to 11 are in the index, of which 3 and 10 are complete and the others have become segments; 12 to 14 are in
/// the table of the newest, 15.
fn layout() -> Layout {
    let complete = |seq| seq == 3 || seq == 10;
    Layout {
        indexed: (0..12).map(|seq| (1, complete(seq))).collect(),
        leaf_entries: 4,
        dropped: 0,
        commits: vec![(1, 0); 4],
        start: 0,
        block_bytes: 100,
        generation: 0,
    }
}

const COVERED: u64 = 12;

fn store() -> TestStore {
    let mut store = TestStore::default();
    layout().write(&mut store, &some_items(16));
    store
}

/// The commits of the same items before they were compacted.
fn commits() -> TestStore {
    let mut store = TestStore::default();
    Layout { indexed: Vec::new(), commits: vec![(1, 0); 16], ..layout() }.write(&mut store, &some_items(16));
    store
}

/// Runs a sweep over a store that answers a LIST with so many names at most; also returns how many LISTs it took.
fn sweep(store: &mut TestStore, plan: Plan<Swept>, names: u32) -> (SweepReport, usize) {
    store.forget();
    let swept = store.run_with(plan, |store, request| match request.clone() {
        Request::List { prefix, start_after, max_keys, delimiter } => {
            store.answer(&Request::List { prefix, start_after, max_keys: max_keys.min(names), delimiter })
        }
        request => store.answer(&request),
    });
    (swept.unwrap(), store.counts().lists)
}

#[test]
fn commits_that_are_left_over_are_freed_and_handovers_among_them_keep_their_names() {
    let (list, commits, live) = (list_name(), commits(), store());
    let mut littered = live.clone();
    for seq in [0, 1, 2, 4, 5, 6, 7, 8] {
        let name = list.commit(seq);
        littered.objects.insert(name.clone(), commits.objects[&name].clone());
    }
    littered.objects.insert(list.commit(9), Bytes::new());
    // Neither is what it should be to say what its name must become: damaged bytes, and another commit's.
    littered.objects.insert(list.commit(11), Bytes::from_static(b"<html>"));
    littered.objects.insert(list.commit(8), commits.objects[&list.commit(7)].clone());
    littered.objects.insert(list.commits() + "readme", Bytes::from_static(b"not klstore's"));

    let freed = [0, 1, 2, 4, 5, 6, 7].map(|seq| commits.objects[&list.commit(seq)].len() as u64);
    let expected = SweepReport {
        stubbed: 1,
        deleted: 6,
        freed_bytes: freed.iter().sum(),
        unreadable: vec![list.commit(11), list.commit(8)],
    };
    let mut left = live;
    left.objects.insert(list.commit(0), Bytes::new());
    for name in [list.commit(8), list.commit(9), list.commit(11), list.commits() + "readme"] {
        left.objects.insert(name.clone(), littered.objects[&name].clone());
    }
    // 12 commits lie below C, and the file behind them.
    for (names, lists) in [(1_000, 1), (2, 7), (13, 1), (12, 2)] {
        let mut store = littered.clone();
        assert_eq!(sweep(&mut store, sweep_commits(list.clone()), names), (expected.clone(), 1 + lists), "{names}");
        assert_eq!(store.objects, left.objects);
    }
}

#[test]
fn a_commit_that_is_gone_since_it_was_listed_is_no_trouble() {
    let (list, mut store) = (list_name(), store());
    let name = list.commit(1);
    store.objects.insert(name.clone(), commits().objects[&name].clone());
    let report = store.run_with(sweep_commits(list), |store, request| {
        if matches!(request, Request::Get { name: asked, .. } if *asked == name) {
            store.objects.remove(&name);
        }
        store.answer(request)
    });
    assert_eq!(report, Ok(SweepReport::default()));
}

#[test]
fn segments_and_pages_up_to_c_that_nothing_refers_to_are_deleted_and_no_name_beyond_is_listed() {
    let (list, live) = (list_name(), store());
    let ids = |x: u64, id: u128| ObjectId { x, id };
    let mut littered = live.clone();
    let left_over = [
        (list.index_page(ids(3, 9)), 10),
        (list.index_page(ids(COVERED, 9_999)), 20),
        (list.segment(ids(2, 9)), 30),
        (list.segment(ids(COVERED, 9)), 40),
    ];
    for (name, length) in &left_over {
        littered.objects.insert(name.clone(), vec![0; *length].into());
    }
    let mut left = live.clone();
    for in_preparation in (1..=6).flat_map(|id| {
        let id = ids(COVERED + 1, id);
        [list.index_page(id), list.segment(id)]
    }) {
        for store in [&mut littered, &mut left] {
            store.objects.insert(in_preparation.clone(), Bytes::from_static(b"being prepared"));
        }
    }
    let expected = SweepReport { deleted: 4, freed_bytes: 100, ..SweepReport::default() };
    // Up to C there are 5 pages (the head page, two leaves and two of them left over) and 12 segments.
    for (names, lists) in [(1_000, 2), (1, 6 + 13), (2, 3 + 7), (5, 2 + 3), (6, 1 + 3)] {
        let mut store = littered.clone();
        assert_eq!(sweep(&mut store, sweep_objects(list.clone()), names), (expected.clone(), 1 + lists), "{names}");
        assert_eq!(store.objects, left.objects);
    }
    let mut without_others = live.clone();
    assert_eq!(sweep(&mut without_others, sweep_objects(list), 1_000), (SweepReport::default(), 1 + 2));
    assert_eq!(without_others.objects, live.objects);
}

#[test]
fn a_page_that_is_lost_is_named_after_a_second_look_and_nothing_is_freed() {
    let list = list_name();
    for page in [ObjectId { x: COVERED, id: 0 }, ObjectId { x: COVERED, id: 1_000 }] {
        for plan in [sweep_commits, sweep_objects] {
            let mut store = store();
            let object = list.index_page(page);
            store.objects.remove(&object);
            let before = store.objects.clone();
            let reason = "it is missing or empty, though the newest commit refers to it";
            assert_eq!(store.run(plan(list.clone())), Err(CorruptObject { object, reason }.into()));
            assert_eq!((store.counts().lists, &store.objects), (2, &before));
        }
    }
}

#[test]
fn what_several_sweeps_did_is_added_up() {
    let of = |stubbed, deleted, freed_bytes, unreadable: &[&str]| SweepReport {
        stubbed,
        deleted,
        freed_bytes,
        unreadable: unreadable.iter().map(|&name| name.to_owned()).collect(),
    };
    let mut sum = of(2, 3, 4, &["a"]);
    sum.add(of(10, 20, 30, &["b", "c"]));
    assert_eq!(sum, of(12, 23, 34, &["a", "b", "c"]));
}
