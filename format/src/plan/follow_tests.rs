//! Followers see every item once, in order, whatever happens to the list between their polls.

use bytes::Bytes;
use proptest::prelude::*;

use super::follow::{FollowStart, Follower};
use super::read::test_list::{Layout, create_keyspace, items, layouts, list_name};
use super::test_store::TestStore;
use crate::error::FormatError;
use crate::item::Item;
use crate::wire::block::BlockOptions;
use crate::wire::commit::{CommitHeader, encode_commit};
use crate::wire::identity::SessionId;

fn poll(store: &mut TestStore, follower: Follower) -> (Follower, Vec<Item>) {
    let (follower, items) = store.run(follower.poll());
    (follower, items.unwrap())
}

fn single_commits(count: usize, carried: usize) -> Layout {
    Layout {
        indexed: Vec::new(),
        leaf_entries: 0,
        dropped: 0,
        commits: vec![(1, carried); count],
        start: 0,
        block_bytes: 1_000,
        generation: 0,
    }
}

fn plain(count: u64) -> Vec<Item> {
    let item = |offset| Item { offset, timestamp: 5, nonce: None, value: format!("item {offset}").into() };
    (0..count).map(item).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_item_is_seen_once(items in items(100), steps in prop::collection::vec((layouts(), 0usize..40, any::<bool>()), 1..5)) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let mut follower = Follower::new(list_name(), FollowStart::Offset(0));
        let (mut seen, mut known, mut generation) = (Vec::new(), 0, 0);
        for (layout, more, collected) in steps {
            known = (known + more).min(items.len());
            generation += 1;
            if collected {
                store.objects.retain(|name, _| name.ends_with("keyspace.json"));
            }
            Layout { generation, start: 0, ..layout }.write(&mut store, &items[..known]);
            for _ in 0..20 {
                let (next, items) = poll(&mut store, follower);
                follower = next;
                seen.extend(items);
            }
        }
        prop_assert_eq!(seen, &items[..known]);
    }
}

#[test]
fn nothing_new_takes_one_get_and_every_sixteenth_time_a_list() {
    for commits in [0, 3] {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        single_commits(commits, 0).write(&mut store, &plain(commits as u64));
        let (mut follower, items) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
        assert_eq!((items.len(), follower.next_offset()), (0, Some(commits as u64)));
        store.forget();
        for _ in 0..32 {
            follower = poll(&mut store, follower).0;
        }
        assert_eq!((store.counts().gets, store.counts().lists, store.bytes), (30, 2, 0));
    }
}

#[test]
fn a_commit_of_up_to_1000_items_and_1_mib_is_seen_without_a_list_and_a_larger_one_in_pages() {
    let newest = list_name().commit(1);
    // How many items the first poll returns when a commit has been added, and the LISTs that it took.
    let first_poll = |items: &[Item], own_length: Option<usize>| {
        let mut store = TestStore::default();
        single_commits(1, 0).write(&mut store, &items[..1]);
        let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
        single_commits(2, 0).write(&mut store, items);
        assert!(own_length.is_none_or(|length| store.objects[&newest].len() == length));
        store.forget();
        let (follower, mut seen) = poll(&mut store, follower);
        let first = (seen.len(), store.counts().lists);
        seen.extend(poll(&mut store, follower).1);
        assert_eq!(seen, items[1..]);
        first
    };
    assert_eq!(first_poll(&plain(1_001), None), (1_000, 0));
    assert_eq!(first_poll(&plain(1_002), None), (1_000, 1));

    // Bytes that cannot be compressed.
    let random = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some((*state >> 56) as u8)
    };
    let bytes: Bytes = (0..1 << 20).scan(1, |state, _: u32| random(state)).collect();
    let with_value =
        |length| [plain(1), vec![Item { offset: 1, value: bytes.slice(..length), ..plain(1).remove(0) }]].concat();
    let value_bytes = (1 << 20) - 1_000;
    let mut store = TestStore::default();
    single_commits(2, 0).write(&mut store, &with_value(value_bytes));
    let around_value = store.objects[&newest].len() - value_bytes;
    let large = |own_length| first_poll(&with_value(own_length - around_value), Some(own_length));
    assert_eq!(large(1 << 20), (1, 0));
    assert_eq!(large((1 << 20) + 1), (1, 1));
}

#[test]
fn a_commit_of_another_session_under_the_next_name_is_not_believed() {
    let mut store = TestStore::default();
    let items = plain(8);
    single_commits(4, 0).write(&mut store, &items[..4]);
    let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
    // What another writer sent long ago lands where the commit that followed has been collected.
    single_commits(5, 0).write(&mut store, &items[..5]);
    let next = list_name().commit(4);
    let mut header = CommitHeader::decode(&store.objects[&next], &list_name().hash()).unwrap();
    header.commit.session = SessionId(9);
    let late = [Item { value: Bytes::from_static(b"late"), ..items[4].clone() }];
    let late = encode_commit(header, &late, &[], &BlockOptions::default()).unwrap().body;
    store.objects.clear();
    Layout { generation: 1, ..single_commits(8, 0) }.write(&mut store, &items);
    store.objects.insert(next, late);
    assert_eq!(poll(&mut store, follower).1, items[4..]);
}

#[test]
fn a_list_that_was_written_anew_up_to_the_same_number_is_loaded_anew() {
    let mut store = TestStore::default();
    let items = plain(5);
    single_commits(3, 0).write(&mut store, &items[..3]);
    let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
    single_commits(3, 0).write(&mut store, &items);
    assert_eq!(poll(&mut store, follower.reload()).1, items[3..]);
}

#[test]
fn a_commit_that_is_added_is_seen_at_once_and_many_at_once_by_the_newest() {
    let mut store = TestStore::default();
    let items = plain(60);
    single_commits(3, 100).write(&mut store, &items[..3]);
    let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
    single_commits(4, 100).write(&mut store, &items[..4]);
    store.forget();
    let (mut follower, seen) = poll(&mut store, follower);
    assert_eq!(seen, items[3..4]);
    assert_eq!((store.counts().gets, store.counts().lists), (2, 0));

    single_commits(60, 100).write(&mut store, &items);
    store.forget();
    let mut seen = Vec::new();
    while seen.len() < 56 {
        let (next, more) = poll(&mut store, follower);
        follower = next;
        seen.extend(more);
    }
    assert_eq!(seen, items[4..]);
    assert!(store.counts().gets <= 6 && store.counts().lists == 1, "{:?}", store.counts());
}

#[test]
fn a_few_commits_between_two_polls_take_a_get_each_and_no_list() {
    for added in 1..=5_usize {
        let mut store = TestStore::default();
        let items = plain(3 + added as u64);
        single_commits(3, 100).write(&mut store, &items[..3]);
        let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
        single_commits(3 + added, 100).write(&mut store, &items);
        store.forget();
        let (follower, seen) = poll(&mut store, follower);
        let followed = added.min(4);
        assert_eq!(seen, items[3..3 + followed]);
        // The last GET of fewer finds nothing; more are left to a Load.
        let gets = if added < 4 { added + 1 } else { 4 };
        assert_eq!((store.counts().gets, store.counts().lists), (gets, 0), "{added} commits");
        let (_, rest) = poll(&mut store, follower);
        assert_eq!(rest, items[3 + followed..]);
        assert_eq!(store.counts().lists, usize::from(added >= 4), "{added} commits");
    }
}

#[test]
fn a_list_of_another_session_or_collected_commits_is_loaded_anew() {
    let mut store = TestStore::default();
    let items = plain(5);
    single_commits(3, 0).write(&mut store, &items[..3]);
    let (follower, _) = poll(&mut store, Follower::new(list_name(), FollowStart::End));
    store.objects.clear();
    Layout { generation: 1, ..single_commits(5, 0) }.write(&mut store, &items);
    // The next commit's name is empty: only a Load finds out.
    let (follower, seen) = poll(&mut store, follower);
    assert_eq!(seen, []);
    let (_, seen) = poll(&mut store, follower.reload());
    assert_eq!(seen, items[3..]);
}

#[test]
fn a_keyspace_that_does_not_exist_is_an_error_and_the_follower_goes_on() {
    let mut store = TestStore::default();
    let (follower, outcome) = store.run(Follower::new(list_name(), FollowStart::End).poll());
    assert_eq!(outcome, Err(FormatError::KeyspaceNotFound { keyspace: "space".to_owned() }));
    create_keyspace(&mut store);
    let (follower, seen) = poll(&mut store, follower);
    assert_eq!(seen, []);
    single_commits(2, 0).write(&mut store, &plain(2));
    assert_eq!(poll(&mut store, follower).1, plain(2));
}
