//! Lists of any layout are sound, and no single damage of any object goes unnoticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{DamageKind, VerifyProgress, VerifyReport, verify};
use crate::item::Item;
use crate::plan::read::test_list::{Layout, create_keyspace, items, layouts, list_name};
use crate::plan::test_store::TestStore;
use crate::plan::{Answer, Request};
use crate::wire::head::HeadPage;
use crate::wire::identity::ObjectId;

fn scrub(store: &mut TestStore) -> VerifyReport {
    store.run(verify(list_name(), Arc::default())).expect("a report")
}

fn written(layout: &Layout, items: &[Item]) -> TestStore {
    let mut store = TestStore::default();
    create_keyspace(&mut store);
    layout.write(&mut store, items);
    store
}

fn layout() -> Layout {
    Layout {
        indexed: vec![(9, false), (4, true), (20, false), (7, false), (6, true)],
        leaf_entries: 2,
        dropped: 0,
        commits: vec![(3, 0), (0, 0), (4, 9), (2, 5)],
        start: 0,
        block_bytes: 60,
        generation: 0,
    }
}

fn some_items(count: u64) -> Vec<Item> {
    let item = |offset| Item {
        offset,
        timestamp: (offset as i64 * 7) % 50,
        nonce: (offset % 3 != 0).then_some(u128::from(offset) * 2),
        value: Bytes::from(format!("value {offset}")),
    };
    (0..count).map(item).collect()
}

fn objects(store: &TestStore) -> Vec<String> {
    store.objects.keys().filter(|name| name.contains("/lists/")).cloned().collect()
}

proptest! {
    #[test]
    fn every_layout_is_sound(layout in layouts(), items in items(200)) {
        let mut store = written(&layout, &items);
        let report = scrub(&mut store);
        prop_assert_eq!(&report.damages, &[]);
        prop_assert_eq!(report.next_offset, items.len() as u64);
        prop_assert_eq!(report.items, report.next_offset - report.first_offset);
        let live = &items[report.first_offset as usize..];
        prop_assert_eq!(report.value_bytes, live.iter().map(|item| item.value.len() as u64).sum::<u64>());
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(object in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut store = written(&layout(), &some_items(60));
        let name = object.get(&objects(&store)).clone();
        let mut bytes = store.objects[&name].to_vec();
        // A complete commit's carry is not part of the list any more; these have none.
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        store.objects.insert(name.clone(), bytes.into());
        let report = scrub(&mut store);
        prop_assert!(report.damages.iter().any(|damage| damage.object == name), "{name} {at}: {:?}", report.damages);
    }
}

#[test]
fn a_list_without_commits_is_sound_and_an_unknown_keyspace_is_not_found() {
    let mut store = TestStore::default();
    assert!(store.run(verify(list_name(), Arc::default())).is_err());
    create_keyspace(&mut store);
    assert_eq!(scrub(&mut store), VerifyReport::default());
}

#[test]
fn what_is_missing_emptied_cut_or_foreign_is_named() {
    let whole = written(&layout(), &some_items(60));
    assert_eq!(objects(&whole).len(), 12);
    let report = scrub(&mut whole.clone());
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!((report.commits, report.segments, report.index_pages, report.items), (6, 3, 3, 60));
    let newest = list_name().commit(8);
    for name in objects(&whole) {
        let body = whole.objects[&name].clone();
        let half = body.slice(..body.len() / 2);
        for damaged in [None, Some(Bytes::new()), Some(half), Some(Bytes::from_static(b"<html>"))] {
            // A list whose newest commit is gone is the list before it, and what has no bytes cannot be listed so.
            if name == newest && damaged.is_none() {
                continue;
            }
            let mut store = whole.clone();
            match damaged.clone() {
                None => drop(store.objects.remove(&name)),
                Some(body) => drop(store.objects.insert(name.clone(), body)),
            }
            let report = scrub(&mut store);
            let named = report.damages.iter().find(|damage| damage.object == name);
            let named = named.unwrap_or_else(|| panic!("{name} {damaged:?}: {:?}", report.damages));
            let gone = name != newest && damaged.is_none_or(|body| body.is_empty());
            assert_eq!(named.kind == DamageKind::Missing, gone, "{named}");
            // Everything else was read all the same.
            assert!(report.damages.len() <= 2, "{:?}", report.damages);
        }
    }
}

#[test]
fn whole_objects_that_contradict_each_other_are_named() {
    let whole = written(&layout(), &some_items(60));
    let list = list_name();
    let index = list.index_page(ObjectId { x: 5, id: 0 });
    let page = HeadPage::decode(&whole.objects[&index], &list.hash(), ObjectId { x: 5, id: 0 }).unwrap();
    let check = |change: &dyn Fn(&mut HeadPage), reason: &str| {
        let mut changed = page.clone();
        change(&mut changed);
        let mut store = whole.clone();
        let body = changed.encode().unwrap();
        assert_eq!(body.len(), whole.objects[&index].len(), "the newest commit says how long it is");
        store.objects.insert(index.clone(), body);
        let report = scrub(&mut store);
        let found =
            report.damages.iter().any(|damage| damage.reason == reason && damage.kind == DamageKind::Contradiction);
        assert!(found, "{reason}: {:?}", report.damages);
    };
    check(&|page| page.open[0].run.value_bytes += 1, "its header is not what its entry in the index says");
    check(&|page| page.open[0].blocks[0].next_nonce += 1, "its block directory is not that of its entry in the index");
    check(&|page| page.leaves[0].run.value_bytes += 1, "its entries are not those that the head page says");
    check(&|page| page.leaves[0].entries -= 1, "its entries are not those that the head page says");
    check(&|page| page.handovers[0].seq += 1, "its handovers do not begin with commit 0");
    // Another list of the same shape: items, commits and pages of one cannot stand in for those of the other.
    let mut other = written(&layout(), &some_items(61));
    let newest = list.commit(8);
    other.objects.insert(list.commit(7), whole.objects[&list.commit(7)].clone());
    assert!(scrub(&mut other).is_sound(), "the same bytes");
    let mut other = written(&Layout { block_bytes: 90, ..layout() }, &some_items(60));
    other.objects.insert(newest.clone(), whole.objects[&newest].clone());
    assert!(!scrub(&mut other).is_sound());
}

#[test]
fn what_nothing_refers_to_is_an_orphan_unless_it_may_be_published() {
    let mut store = written(&layout(), &some_items(60));
    let list = list_name();
    let body = Bytes::from_static(b"left over");
    let orphans = [list.segment(ObjectId { x: 5, id: 99 }), list.index_page(ObjectId { x: 1, id: 99 })];
    // Commit 0 was merged into a segment; a late PUT has brought it back.
    let late = list.commit(0);
    for name in &orphans {
        store.objects.insert(name.clone(), body.clone());
    }
    store.objects.insert(late.clone(), body.clone());
    store.objects.insert(list.commit(2), Bytes::new());
    store.objects.insert(list.segment(ObjectId { x: 6, id: 99 }), body.clone());
    // Names that klstore does not give: a sweep leaves them, so they are none that it would free.
    for folder in [list.commits(), list.segments()] {
        store.objects.insert(folder + "readme", body.clone());
    }
    let report = scrub(&mut store);
    assert!(report.is_sound(), "{:?}", report.damages);
    let found: Vec<&str> = report.orphans.iter().map(|orphan| orphan.object.as_str()).collect();
    assert_eq!(found, [late.as_str(), &orphans[0], &orphans[1]]);
    assert_eq!((report.orphan_count, report.orphan_bytes), (3, 27));
    assert_eq!((report.in_preparation, report.stubs, report.foreign_count), (1, 1, 2));
}

#[test]
fn a_list_that_moves_is_read_anew_and_not_called_damaged() {
    let mut store = written(&layout(), &some_items(60));
    let mut later = written(&Layout { generation: 1, ..layout() }, &some_items(75));
    let progress = Arc::new(VerifyProgress::default());
    let mut sent = 0;
    let report = store.run_with(verify(list_name(), progress.clone()), |store, request| {
        sent += 1;
        // In the middle, a publication replaces everything.
        if sent == 8 {
            store.objects.clear();
            store.objects.append(&mut later.objects);
        }
        store.answer(request)
    });
    let report = report.unwrap();
    assert!(report.is_sound(), "{:?}", report.damages);
    assert_eq!((report.items, progress.items(), progress.expected_items()), (75, 75, 75));
}

#[test]
fn it_only_reads() {
    let mut store = written(&layout(), &some_items(60));
    store
        .run_with(verify(list_name(), Arc::default()), |store, request| {
            assert!(matches!(request, Request::List { .. } | Request::Get { .. }), "{request:?}");
            let answer = store.answer(request);
            assert!(!matches!(answer, Answer::Done { .. }));
            answer
        })
        .unwrap();
}
