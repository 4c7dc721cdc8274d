//! Lists of any layout are sound, and no single damage of any object goes unnoticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{DamageKind, MAX_KEPT_HANDOVERS, Scrub, VerifyProgress, VerifyReport, batches, verify};
use crate::item::Item;
use crate::plan::read::test_list::{Layout, create_keyspace, items, layouts, list_name};
use crate::plan::test_store::TestStore;
use crate::plan::{Answer, Port, Request};
use crate::wire::block::{BlockOptions, decode_blocks};
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry, encode_commit};
use crate::wire::head::{Handover, HeadPage, LedgerReference, Source};
use crate::wire::identity::{ObjectId, SessionId};
use crate::wire::ledger::LedgerPage;

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

/// The objects that are damaged, and why, in the order in which they were found.
fn damages(store: &mut TestStore) -> Vec<(String, String)> {
    let damages = scrub(store).damages;
    damages.into_iter().map(|damage| (damage.object, damage.reason.into_owned())).collect()
}

fn because(reason: &str, names: impl IntoIterator<Item = String>) -> Vec<(String, String)> {
    names.into_iter().map(|name| (name, reason.to_owned())).collect()
}

/// Changes what the header of a commit says, of its items and what it carries apart, and returns what a table is to say.
fn rewrite(store: &mut TestStore, seq: u64, change: impl FnOnce(&mut CommitHeader)) -> TableEntry {
    let (name, hash) = (list_name().commit(seq), list_name().hash());
    let mut header = CommitHeader::decode(&store.objects[&name], &hash).unwrap();
    let mut items = Vec::new();
    decode_blocks(&store.objects[&name], 0, &header.own_blocks, header.owner(), &mut items).unwrap();
    change(&mut header);
    let encoded = encode_commit(header, &items, &[], &BlockOptions::default()).unwrap();
    store.objects.insert(name, encoded.body);
    encoded.header.as_table_entry()
}

const HEAD: ObjectId = ObjectId { x: 5, id: 0 };

/// The list of [`layout`] in so many leaves, with a changed head page, which the newest commit refers to.
fn with_head(leaf_entries: usize, change: impl FnOnce(&mut HeadPage, &mut TestStore)) -> TestStore {
    let mut store = written(&Layout { leaf_entries, ..layout() }, &some_items(60));
    let (name, hash) = (list_name().index_page(HEAD), list_name().hash());
    let mut head = HeadPage::decode(&store.objects[&name], &hash, HEAD).unwrap();
    change(&mut head, &mut store);
    let body = head.encode().unwrap();
    rewrite(&mut store, 8, |newest| newest.index = Some(IndexReference { id: HEAD, length: body.len() as u64 }));
    store.objects.insert(name, body);
    store
}

/// The name of a ledger page that [`with_ledger`] has written.
fn ledger_page(number: usize) -> String {
    list_name().index_page(ObjectId { x: 5, id: 2_000 + number as u128 })
}

/// The list of [`layout`] with handovers to its session at these commits, in pages of the ledger and in the head page.
fn with_ledger(pages: &[&[u64]], open: &[u64], change: impl FnOnce(&mut HeadPage)) -> TestStore {
    let handovers = |seqs: &[u64]| seqs.iter().map(|&seq| Handover { seq, session: SessionId(1) }).collect();
    with_head(2, |head, store| {
        for (number, seqs) in pages.iter().enumerate() {
            let id = ObjectId { x: 5, id: 2_000 + number as u128 };
            let body = LedgerPage { list: list_name().hash(), id, handovers: handovers(seqs) }.encode().unwrap();
            let (length, count) = (body.len() as u64, seqs.len() as u32);
            head.ledger_pages.push(LedgerReference { id, length, first_seq: seqs[0], count });
            store.objects.insert(ledger_page(number), body);
        }
        head.handovers = handovers(open);
        change(head);
    })
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
    let bytes = objects(&whole).iter().map(|name| whole.objects[name].len() as u64).sum::<u64>();
    assert_eq!(report.read_bytes, bytes);
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

#[test]
fn an_entry_that_says_of_a_whole_object_what_it_is_not_is_named() {
    let list = list_name();
    let check = |number: usize, name: String| {
        let mut store = with_head(0, |head, _| match &mut head.open[number].source {
            Source::Segment { complete, .. } => *complete = !*complete,
            Source::Commit(commit) => commit.complete = !commit.complete,
        });
        assert_eq!(damages(&mut store), because("its header is not what its entry in the index says", [name]));
    };
    check(0, list.segment(ObjectId { x: 1, id: 0 }));
    check(4, list.commit(4));
}

#[test]
fn a_list_that_does_not_have_the_totals_that_it_says_is_named_unless_it_was_not_read_whole() {
    let list = list_name();
    let totals = "its totals are not those of the items";
    let mut store = written(&layout(), &some_items(60));
    rewrite(&mut store, 8, |newest| newest.totals.value_bytes += 1);
    assert_eq!(damages(&mut store), because(totals, [list.commit(8)]));
    let segment = list.segment(ObjectId { x: 3, id: 0 });
    store.objects.remove(&segment);
    assert_eq!(damages(&mut store), because("it does not exist, or has no bytes", [segment]));
}

#[test]
fn a_commit_is_a_handover_exactly_where_another_session_comes_before_it() {
    let list = list_name();
    let commits = Layout { indexed: Vec::new(), ..layout() };
    let check = |layout: &Layout, seq: u64, session: u128, handover: bool, sound: bool| {
        let mut store = written(layout, &some_items(60));
        let newest = if layout.indexed.is_empty() { 3 } else { 8 };
        let entry = rewrite(&mut store, seq, |header| {
            header.commit.session = SessionId(session);
            header.commit.handover = handover;
        });
        rewrite(&mut store, newest, |newest| {
            // Those after it are of the same session.
            let table = newest.table.iter_mut().filter(|other| other.commit.seq == seq);
            table.for_each(|other| *other = entry);
        });
        let reason = "its handover bit does not fit its session and that before it";
        let first_after = if session == 1 { None } else { Some(list.commit(seq + 1)) };
        let named = (!sound).then(|| list.commit(seq)).into_iter().chain(first_after);
        assert_eq!(damages(&mut store), because(reason, named), "{seq}");
    };
    check(&commits, 0, 1, true, true);
    check(&commits, 0, 1, false, false);
    check(&commits, 1, 1, false, true);
    check(&commits, 1, 1, true, false);
    check(&commits, 1, 2, true, true);
    check(&commits, 1, 2, false, false);
    // Before the first commit of this table the handovers in the index say who held the list.
    check(&layout(), 5, 1, false, true);
    check(&layout(), 5, 1, true, false);
    check(&layout(), 5, 2, true, true);
    check(&layout(), 5, 2, false, false);
}

#[test]
fn a_block_directory_that_is_not_that_of_the_blocks_is_named() {
    let layout = Layout { indexed: Vec::new(), commits: vec![(3, 0); 3], block_bytes: 1, ..layout() };
    let whole = written(&layout, &some_items(9));
    for seq in [0, 1] {
        // The second block of three has another timestamp there, within those of the commit.
        let mut other = some_items(9);
        other[seq * 3 + 1].timestamp += 1;
        let other = written(&layout, &other);
        let name = list_name().commit(seq as u64);
        let length = CommitHeader::decode(&whole.objects[&name], &list_name().hash()).unwrap().header_length as usize;
        let spliced = [&other.objects[&name][..length], &whole.objects[&name][length..]].concat();
        let mut store = whole.clone();
        store.objects.insert(name.clone(), spliced.into());
        let reason = "its block directory has other timestamps or nonces than its blocks";
        assert_eq!(damages(&mut store), because(reason, [name]));
    }
}

#[test]
fn the_ledger_ascends_from_commit_0_to_c_and_is_what_the_head_page_says() {
    let head = list_name().index_page(HEAD);
    let nothing = |_: &mut HeadPage| ();
    let mut sound = with_ledger(&[&[0], &[2]], &[3], nothing);
    assert_eq!(damages(&mut sound), []);
    assert_eq!(scrub(&mut sound).index_pages, 5);

    let follow = "its handovers do not follow those before it";
    assert_eq!(damages(&mut with_ledger(&[&[0], &[2]], &[2], nothing)), because(follow, [head.clone()]));
    assert_eq!(damages(&mut with_ledger(&[&[0, 3], &[2]], &[], nothing)), because(follow, [ledger_page(1)]));
    let begin = "its handovers do not begin with commit 0";
    assert_eq!(damages(&mut with_ledger(&[&[2]], &[3], nothing)), because(begin, [head.clone()]));
    assert_eq!(damages(&mut with_ledger(&[], &[], nothing)), because(begin, [head.clone()]));
    assert_eq!(damages(&mut with_ledger(&[], &[0, 5], nothing)), because("its handovers go beyond C", [head]));

    let reference = "its handovers are not those that the head page says";
    let changes: [fn(&mut HeadPage); 2] =
        [|head| head.ledger_pages[1].first_seq -= 1, |head| head.ledger_pages[1].count += 1];
    for change in changes {
        let mut store = with_ledger(&[&[0], &[2]], &[3], change);
        assert_eq!(damages(&mut store), because(reference, [ledger_page(1)]));
    }
    // What is left of the ledger is compared all the same.
    sound.objects.remove(&ledger_page(0));
    assert_eq!(damages(&mut sound), because("it does not exist, or has no bytes", [ledger_page(0)]));
}

#[test]
fn a_commit_in_the_index_is_of_the_session_that_the_ledger_says() {
    let list = list_name();
    let reason = "its session is not the one that the handovers say";
    let mut store = with_ledger(&[], &[0], |head| head.handovers[0].session = SessionId(2));
    let bit = "its handover bit does not fit its session and that before it";
    let named = [because(reason, [list.commit(1), list.commit(4)]), because(bit, [list.commit(5)])].concat();
    assert_eq!(damages(&mut store), named);
    // Its handover bit must be the ledger's too.
    assert_eq!(damages(&mut with_ledger(&[], &[0, 4], |_| ())), because(reason, [list.commit(4)]));
}

#[test]
fn of_a_long_ledger_the_newest_million_handovers_are_kept() {
    let store = written(&layout(), &some_items(60));
    let (port, list, progress) = (Port::default(), list_name(), VerifyProgress::default());
    let newest = CommitHeader::decode(&store.objects[&list.commit(8)], &list.hash()).unwrap();
    let mut scrub = Scrub::new(&port, &list, newest.into(), &progress);
    let handovers = |seqs: std::ops::Range<u64>| -> Vec<Handover> {
        seqs.map(|seq| Handover { seq, session: SessionId(seq.into()) }).collect()
    };
    let most = MAX_KEPT_HANDOVERS as u64;
    scrub.add_handovers("a page", &handovers(0..most));
    assert_eq!((scrub.session_at(0), scrub.whole_ledger), (Some(SessionId(0)), true));
    scrub.add_handovers("a page", &handovers(most..most + 3));
    assert_eq!((scrub.session_at(2), scrub.whole_ledger), (None, false));
    assert_eq!(scrub.session_at(3), Some(SessionId(3)));
    assert_eq!(scrub.session_at(u64::MAX), Some(SessionId(u128::from(most) + 2)));
    assert!(scrub.report.is_sound());
}

#[test]
fn six_objects_and_16_mib_are_fetched_at_once_or_one_larger_object() {
    let check = |mebibytes: &[u64], expected: &[&[u64]]| {
        let batches = batches(mebibytes, |mebibytes| mebibytes << 20);
        assert_eq!(batches, expected);
    };
    check(&[], &[]);
    check(&[1; 7], &[&[1; 6], &[1]]);
    check(&[8, 8, 1], &[&[8, 8], &[1]]);
    check(&[1, 16, 20, 1], &[&[1], &[16], &[20], &[1]]);
}

#[test]
fn damage_is_believed_although_something_was_appended_meanwhile() {
    let list = list_name();
    let layout = Layout { commits: vec![(3, 0), (0, 0), (4, 9), (7, 5)], ..layout() };
    let mut store = written(&layout, &some_items(60));
    let mut later = written(&Layout { commits: [&layout.commits[..], &[(1, 0)]].concat(), ..layout }, &some_items(61));
    let lost = list.segment(ObjectId { x: 3, id: 0 });
    store.objects.remove(&lost);
    let mut loads = 0;
    let report = store.run_with(verify(list_name(), Arc::default()), |store, request| {
        loads += u32::from(matches!(request, Request::List { max_keys: 1, .. }));
        if matches!(request, Request::Get { name, .. } if *name == lost) {
            store.objects.extend(later.objects.remove_entry(&list.commit(9)));
        }
        store.answer(request)
    });
    let damages = report.unwrap().damages;
    assert_eq!(damages.iter().map(|damage| &damage.object).collect::<Vec<_>>(), [&lost]);
    assert_eq!(loads, 2, "one pass, and a look whether the list has moved");
}

#[test]
fn a_list_that_was_written_anew_meanwhile_is_read_anew() {
    let mut store = written(&Layout { indexed: Vec::new(), ..layout() }, &some_items(60));
    let mut other = written(&Layout { indexed: Vec::new(), commits: vec![(3, 0), (4, 0)], ..layout() }, &some_items(7));
    let mut gets = 0;
    let report = store.run_with(verify(list_name(), Arc::default()), |store, request| {
        gets += u32::from(matches!(request, Request::Get { .. }));
        if gets == 3 {
            store.objects.clear();
            store.objects.append(&mut other.objects);
        }
        store.answer(request)
    });
    let report = report.unwrap();
    assert_eq!((report.damages, report.next_offset), (vec![], 7));
}

#[test]
fn all_that_is_listed_is_looked_at_however_few_names_an_answer_has() {
    let mut store = written(&layout(), &some_items(60));
    let list = list_name();
    let orphans =
        [list.commit(0), list.segment(ObjectId { x: 5, id: 99 }), list.index_page(ObjectId { x: 5, id: 9_999 })];
    for name in &orphans {
        store.objects.insert(name.clone(), Bytes::from_static(b"left over"));
    }
    let report = |store: &mut TestStore, names: u32| {
        store.forget();
        let report = store.run_with(verify(list_name(), Arc::default()), |store, request| match request.clone() {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                store.answer(&Request::List { prefix, start_after, max_keys: max_keys.min(names), delimiter })
            }
            request => store.answer(&request),
        });
        (report.unwrap(), store.counts().lists)
    };
    let (found, lists) = report(&mut store, u32::MAX);
    assert_eq!(found.orphans.iter().map(|orphan| &orphan.object).collect::<Vec<_>>(), orphans.each_ref());
    assert_eq!(lists, 1 + 3);
    // 7 commits, 4 segments and 4 pages.
    assert_eq!(report(&mut store, 2), (found, 1 + 4 + 2 + 2));
}

#[test]
fn nothing_is_called_an_orphan_where_a_page_of_the_index_could_not_be_read() {
    let mut store = written(&layout(), &some_items(60));
    let list = list_name();
    let leaf = list.index_page(ObjectId { x: 5, id: 1_000 });
    store.objects.remove(&leaf);
    store.objects.insert(list.segment(ObjectId { x: 5, id: 99 }), Bytes::from_static(b"left over?"));
    store.objects.insert(list.segment(ObjectId { x: 6, id: 99 }), Bytes::from_static(b"being prepared"));
    let report = scrub(&mut store);
    assert_eq!(report.damages.iter().map(|damage| &damage.object).collect::<Vec<_>>(), [&leaf]);
    assert_eq!((report.orphan_count, report.in_preparation), (0, 1));
}

#[test]
fn a_commit_without_bytes_is_a_stub_below_c_alone() {
    let mut store = written(&layout(), &some_items(60));
    store.objects.insert(list_name().commit(3), Bytes::new());
    store.objects.insert(list_name().commit(5), Bytes::new());
    let report = scrub(&mut store);
    assert_eq!(report.damages.iter().map(|damage| &damage.object).collect::<Vec<_>>(), [&list_name().commit(5)]);
    assert_eq!((report.stubs, report.orphan_count), (1, 0));
}
