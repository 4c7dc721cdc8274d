//! Pages of lists of random layouts equal those of a plain vector.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use super::test_list::{
    Layout, asked, create_keyspace, expected, filters, items, layouts, list_name, orders, segment_name,
};
use super::{Page, PageRequest, read_page};
use crate::error::{CorruptObject, FormatError};
use crate::item::{Item, ItemFilter, IterationOrder};
use crate::plan::test_store::TestStore;
use crate::plan::{Answer, Cache, Object, Request};

pub(super) fn request(
    order: IterationOrder,
    max_size: u64,
    filter: ItemFilter,
    continuation: Option<String>,
) -> PageRequest {
    PageRequest { list: list_name(), order, max_size, filter, continuation }
}

pub(super) fn page(store: &mut TestStore, order: IterationOrder, max_size: u64, filter: ItemFilter) -> Page {
    store.run(read_page(request(order, max_size, filter, None))).unwrap()
}

/// A start at this offset.
pub(super) fn from(offset: u64) -> ItemFilter {
    ItemFilter { start_offset: Some(offset), ..ItemFilter::default() }
}

fn offsets(page: &Page) -> Vec<u64> {
    page.items.iter().map(|item| item.offset).collect()
}

/// Reads to the end and checks that every page but the last is full.
fn read_all(
    store: &mut TestStore,
    order: IterationOrder,
    sizes: &[u64],
    filter: ItemFilter,
    mut between: impl FnMut(&mut TestStore, usize),
) -> (Vec<Item>, u64, u64) {
    let (mut read, mut misses, mut trimmed) = (Vec::new(), 0, 0);
    let mut continuation = None;
    for number in 0.. {
        let max_size = sizes[number % sizes.len()];
        let page = store.run(read_page(request(order, max_size, filter, continuation))).unwrap();
        let full = page.items.len() as u64 == max_size;
        assert!(full || page.continuation.is_none(), "a page of {} ended at {}", max_size, page.items.len());
        read.extend(page.items);
        misses += page.continuation_misses;
        trimmed += page.trimmed_items;
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
        between(store, number);
    }
    (read, misses, trimmed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_layout_reads_like_a_vector(
        items in items(120),
        layout in layouts(),
        order in orders(),
        filter in filters(),
        sizes in prop::collection::vec(1u64..40, 1..4),
    ) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let start = layout.write(&mut store, &items);
        let (read, misses, trimmed) = read_all(&mut store, order, &sizes, filter, |_, _| {});
        let expected = expected(&items, start, order, &filter);
        prop_assert_eq!(read.iter().map(|item| item.offset).collect::<Vec<_>>(), expected);
        for item in &read {
            prop_assert_eq!(item, &items[item.offset as usize]);
        }
        prop_assert_eq!((misses, trimmed), (0, 0));
    }

    #[test]
    fn a_list_that_is_rewritten_between_pages_goes_on_by_offset(
        items in items(120),
        first in layouts(),
        second in layouts(),
        order in orders(),
        filter in filters(),
        sizes in prop::collection::vec(1u64..20, 1..4),
        before in any::<Index>(),
        when in 0usize..4,
        keeps in any::<u64>(),
    ) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let known = before.index(items.len() + 1);
        let start = first.write(&mut store, &items[..known]);
        let second = Layout { generation: 1, start: second.start.max(start), ..second };
        let mut later_start = start;
        let (read, misses, trimmed) = read_all(&mut store, order, &sizes, filter, |store, number| {
            if number == when {
                let mut turn = 0;
                // Any of the old objects may be collected by now.
                store.objects.retain(|name, _| {
                    turn += 1;
                    name.ends_with("keyspace.json") || keeps >> (turn % 64) & 1 == 1
                });
                later_start = second.write(store, &items);
            }
        });
        let expected_before = expected(&items[..known], start, order, &filter);
        let expected_first = expected_before.first().copied();
        prop_assert_eq!(read.first().map(|item| item.offset), expected_first);
        for item in &read {
            prop_assert_eq!(item, &items[item.offset as usize]);
        }
        prop_assert!(misses <= 1 + u64::from(when > 0));
        let mut gap = 0;
        for pair in read.windows(2) {
            let (one, next) = (pair[0].offset, pair[1].offset);
            match order {
                IterationOrder::Forwards => {
                    prop_assert!(next == one + 1 || (next == later_start && next > one));
                    gap += next - one - 1;
                }
                IterationOrder::Backwards => prop_assert_eq!(next, one - 1),
            }
        }
        if let (Some(last), true) = (read.last(), read.len() > sizes.iter().sum::<u64>() as usize * (when + 2)) {
            match order {
                IterationOrder::Forwards => {
                    prop_assert_eq!(last.offset + 1 + trimmed - gap, items.len() as u64);
                }
                IterationOrder::Backwards => prop_assert!(last.offset >= start && last.offset <= later_start),
            }
        }
    }
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes = std::iter::repeat_with(|| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    });
    bytes.take(length).collect()
}

pub(super) fn plain(count: u64, value_bytes: usize) -> Vec<Item> {
    let item = |offset: u64| Item {
        offset,
        timestamp: offset as i64 * 10,
        nonce: Some(u128::from(offset) * 2),
        value: noise(offset, value_bytes),
    };
    (0..count).map(item).collect()
}

pub(super) fn layout(indexed: Vec<(usize, bool)>, commits: Vec<(usize, usize)>) -> Layout {
    Layout { indexed, leaf_entries: 0, dropped: 0, commits, start: 0, block_bytes: 32 << 10, generation: 0 }
}

#[test]
fn the_newest_page_of_small_appends_takes_a_list_and_a_get() {
    let mut store = TestStore::default();
    let items = plain(100, 100);
    layout(vec![], vec![(1, 200); 100]).write(&mut store, &items);
    let page = page(&mut store, IterationOrder::Backwards, 50, ItemFilter::default());
    assert_eq!(offsets(&page), (50..100).rev().collect::<Vec<_>>());
    assert_eq!((store.counts().lists, store.counts().gets), (1, 1));
}

#[test]
fn a_cold_page_takes_four_requests_from_any_start_in_either_order() {
    let items = plain(100_000, 20);
    let mut store = TestStore::default();
    layout(vec![(1_000, false); 99], vec![(500, 0), (500, 0)]).write(&mut store, &items);
    for position in [0u64, 1, 777, 50_000, 98_999] {
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            for filter in [
                ItemFilter { start_offset: Some(position), ..ItemFilter::default() },
                ItemFilter { start_timestamp: Some(position as i64 * 10), ..ItemFilter::default() },
                ItemFilter { start_nonce: Some(u128::from(position) * 2), ..ItemFilter::default() },
            ] {
                store.forget();
                let page = page(&mut store, order, 100, filter);
                assert_eq!(page.items[0].offset, position);
                let last = page.items.last().unwrap().offset;
                let crosses = usize::from(last / 1_000 != position / 1_000);
                // Whether the first item of the next object has a nonce is seen in that object alone.
                let beside = order == IterationOrder::Backwards && filter.start_nonce.is_some();
                let crosses = crosses + usize::from(beside && (position + 1) % 1_000 == 0);
                let counts = store.counts();
                assert!(counts.lists + counts.gets <= 4 + crosses, "{counts:?} for {filter:?} {order:?}");
            }
        }
    }
}

#[test]
fn the_next_page_in_the_same_object_takes_one_get() {
    let items = plain(10_000, 100);
    for indexed in [vec![(5_000, false), (4_000, true)], vec![]] {
        let mut store = TestStore::default();
        layout(indexed, vec![(500, 0), (500, 0)]).write(&mut store, &items);
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            let filter = ItemFilter { start_offset: Some(2_500), ..ItemFilter::default() };
            let mut page = page(&mut store, order, 300, filter);
            for number in 1..5 {
                store.forget();
                page = store.run(read_page(request(order, 300, filter, page.continuation))).unwrap();
                let first = match order {
                    IterationOrder::Forwards => 2_500 + number * 300,
                    IterationOrder::Backwards => 2_500 - number * 300,
                };
                assert_eq!(page.items[0].offset, first);
                assert_eq!((store.counts().lists, store.counts().gets), (0, 1), "{order:?} {:?}", store.requests);
            }
        }
    }
}

#[test]
fn a_page_is_cut_by_value_bytes_but_never_empty() {
    let items = plain(6, 3 << 20);
    let mut store = TestStore::default();
    layout(vec![(2, false)], vec![(2, 0), (2, 1)]).write(&mut store, &items);
    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let page = page(&mut store, order, 10, ItemFilter::default());
        assert_eq!(page.items.len(), 2);
        let (read, ..) = read_all(&mut store, order, &[2], ItemFilter::default(), |_, _| {});
        assert_eq!(read.len(), 6);
    }
    let items = plain(2, 9 << 20);
    let mut store = TestStore::default();
    layout(vec![], vec![(2, 0)]).write(&mut store, &items);
    assert_eq!(page(&mut store, IterationOrder::Forwards, 10, ItemFilter::default()).items.len(), 1);
}

#[test]
fn the_tail_is_scanned_by_carries() {
    let items = plain(240, 100);
    let mut store = TestStore::default();
    layout(vec![], vec![(1, 100); 240]).write(&mut store, &items);
    store.forget();
    let page = page(&mut store, IterationOrder::Forwards, 1_000, ItemFilter::default());
    assert_eq!(offsets(&page), (0..240).collect::<Vec<_>>());
    assert!(store.counts().gets <= 4, "{:?}", store.counts());
}

#[test]
fn unknown_lists_are_empty_and_unknown_keyspaces_are_errors() {
    let mut store = TestStore::default();
    let filter = ItemFilter::default();
    let read = |store: &mut TestStore, max| store.run(read_page(request(IterationOrder::Forwards, max, filter, None)));
    assert_eq!(read(&mut store, 5), Err(FormatError::KeyspaceNotFound { keyspace: "space".to_owned() }));
    assert_eq!(read(&mut store, 0), Err(FormatError::EmptyPage));
    create_keyspace(&mut store);
    assert_eq!(read(&mut store, 5), Ok(Page::default()));
}

#[test]
fn a_lost_or_damaged_segment_is_an_error_that_names_it() {
    let items = plain(100, 100);
    let mut store = TestStore::default();
    layout(vec![(50, false)], vec![(50, 0)]).write(&mut store, &items);
    let name = store.objects.keys().find(|name| name.contains("/seg/")).unwrap().clone();
    let body = store.objects[&name].clone();
    let read = |store: &mut TestStore| {
        store.run(read_page(request(IterationOrder::Forwards, 10, ItemFilter::default(), None)))
    };
    let mut damaged = body.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    store.objects.insert(name.clone(), damaged.into());
    assert!(matches!(read(&mut store), Err(FormatError::Corrupt(corrupt)) if corrupt.object == name));
    store.objects.remove(&name);
    assert!(matches!(read(&mut store), Err(FormatError::Corrupt(corrupt)) if corrupt.object == name));
    store.objects.insert(name, body);
    assert_eq!(read(&mut store).unwrap().items, items[..10]);
}

#[test]
fn after_a_miss_a_read_asks_past_all_caches() {
    let items = plain(110, 10);
    for (missing, newest) in [(true, Cache::Etag), (false, Cache::Reload)] {
        let mut store = TestStore::default();
        layout(vec![(100, false)], vec![(10, 0)]).write(&mut store, &items);
        // A cache has a damaged segment, or none.
        let read = store.run_with(read_page(request(IterationOrder::Forwards, 5, from(50), None)), |store, request| {
            match (store.answer(request), request) {
                (Answer::Got(object), Request::Get { name, cache: Cache::Immutable, .. }) if name.contains("/seg/") => {
                    let body = vec![0; object.body.len()].into();
                    if missing { Answer::Missing } else { Answer::Got(Object { body, ..object }) }
                }
                (answer, _) => answer,
            }
        });
        assert_eq!(read.unwrap().items, items[50..55]);
        let caches = store.requests.iter().filter_map(|request| match request {
            Request::Get { cache, .. } => Some(*cache),
            _ => None,
        });
        let first = [Cache::Etag, Cache::Immutable, Cache::Immutable];
        // A newest commit that says what LIST says is not doubted where an object is missing.
        assert_eq!(caches.collect::<Vec<_>>(), [first, [newest, Cache::Reload, Cache::Reload]].concat());
    }
}

#[test]
fn an_object_is_lost_that_stays_missing_under_one_newest_commit() {
    let items = plain(210, 10);
    // Reads from the first segment into the second; `missing` says which one is, by how often has been listed.
    let read = |moves: bool, missing: fn(usize) -> Option<u64>| {
        let mut store = TestStore::default();
        let layout = layout(vec![(100, false); 2], vec![(10, 0)]);
        layout.write(&mut store, &items);
        let read = read_page(request(IterationOrder::Forwards, 20, from(90), None));
        let read = store.run_with(read, |store, request| {
            let lists = store.counts().lists;
            match request {
                Request::List { .. } if moves => {
                    // Trimmed: another newest commit, and the same objects.
                    Layout { start: lists as u64, ..layout.clone() }.write(store, &items);
                }
                Request::Get { name, .. } if missing(lists).is_some_and(|number| *name == segment_name(number)) => {
                    return Answer::Missing;
                }
                _ => {}
            }
            store.answer(request)
        });
        (read.map(|page| offsets(&page)), store.counts().lists)
    };
    let reason = "it is missing or another object stands in its place, though the newest commit refers to it";
    let lost = |number| Err(FormatError::from(CorruptObject { object: segment_name(number), reason }));
    let found = || Ok((90..110).collect::<Vec<_>>());
    assert_eq!(read(false, |_| Some(0)), (lost(0), 3));
    assert_eq!(read(false, |lists| (lists <= 2).then_some(0)), (found(), 3));
    assert_eq!(read(false, |lists| (lists <= 4).then_some(u64::from(lists > 2))), (found(), 5));
    assert_eq!(read(true, |lists| (lists <= 5).then_some(0)), (found(), 6));
}

#[test]
fn only_a_page_from_an_end_of_the_list_loads_a_small_newest_commit_whole() {
    let mut store = TestStore::default();
    let items = plain(300, 100);
    layout(vec![], vec![(300, 0)]).write(&mut store, &items);
    let length = store.objects[&list_name().commit(0)].len();
    assert!(length > 20_000);
    let first = page(&mut store, IterationOrder::Forwards, 299, ItemFilter::default());
    assert_eq!(asked(&store), ["list".to_owned(), format!("commit 0 0..{length}")]);
    store.forget();
    let filter = ItemFilter { start_timestamp: Some(5), ..ItemFilter::default() };
    page(&mut store, IterationOrder::Forwards, 1, filter);
    assert_eq!(asked(&store)[..2], ["list", "commit 0 0..16384"]);
    store.forget();
    // To the end of its snapshot, and from there in that of a Load.
    let continued = request(IterationOrder::Forwards, 5, ItemFilter::default(), first.continuation);
    assert_eq!(offsets(&store.run(read_page(continued)).unwrap()), [299]);
    assert_eq!(asked(&store)[1..], ["list", "commit 0 0..16384"]);
}

#[test]
fn a_damaged_block_of_a_large_commit_is_an_error_that_names_the_commit() {
    let items = plain(1_110, 100);
    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let mut store = TestStore::default();
        layout(vec![(100, false)], vec![(1_000, 0), (10, 0)]).write(&mut store, &items);
        let (name, body) = store.objects.iter().max_by_key(|(_, body)| body.len()).unwrap();
        let (name, mut damaged) = (name.clone(), body.to_vec());
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        store.objects.insert(name.clone(), damaged.into());
        let read = store.run(read_page(request(order, 1_110, ItemFilter::default(), None)));
        assert!(matches!(&read, Err(FormatError::Corrupt(corrupt)) if corrupt.object == name), "{order:?}: {read:?}");
    }
}

#[test]
fn scans_ask_for_what_follows() {
    let items = plain(10_000, 100);
    let mut store = TestStore::default();
    layout(vec![(5_000, false), (4_000, false)], vec![(1_000, 0)]).write(&mut store, &items);
    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let filter = ItemFilter { start_offset: Some(4_500), ..ItemFilter::default() };
        let page = page(&mut store, order, 100, filter);
        store.forget();
        store.run(read_page(request(order, 100, filter, page.continuation))).unwrap();
        let Some(Request::Get { range: Some(range), .. }) = store.requests.first() else { panic!("no GET") };
        match order {
            IterationOrder::Forwards => assert!(range.read_ahead > range.end),
            IterationOrder::Backwards => assert!(range.read_ahead < range.start),
        }
    }
}
