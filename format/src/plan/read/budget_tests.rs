//! The budgets of DESIGN section 7, by counted requests and bytes, and tokens that are not what they seem.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::test_list::{create_keyspace, items, layouts, list_name, orders};
use super::tests::{layout, page, plain, request};
use super::{PageRequest, read_page};
use crate::item::{Item, ItemFilter, IterationOrder};
use crate::limits::{MAX_LEAF_ENTRIES, MAX_PAGE_BYTES};
use crate::plan::test_store::TestStore;
use crate::plan::{Answer, Cache, Object, Request};
use crate::wire::block::{BlockEntry, BlockOptions};
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry, Totals, encode_commit};
use crate::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use crate::wire::identity::{BlockOwner, CommitIdentity, ObjectId, SessionId};
use crate::wire::leaf::LeafPage;
use crate::wire::run::Run;
use crate::wire::segment::encode_segment;
use crate::wire::token::{NewestCommit, Place, Token};

/// A cache as the reader has one: extents of immutable objects, with what a request says will follow.
#[derive(Default)]
struct CachingStore {
    store: TestStore,
    extents: BTreeMap<(String, u64), Bytes>,
    requests: usize,
    bytes: u64,
}

impl CachingStore {
    fn read(&mut self, request: PageRequest) -> super::Page {
        let mut store = std::mem::take(&mut self.store);
        let read = store.run_with(read_page(request), |store, request| self.answer(store, request)).unwrap();
        self.store = store;
        read
    }

    fn answer(&mut self, store: &mut TestStore, request: &Request) -> Answer {
        if let Request::Get { name, range: Some(range), cache: Cache::Immutable } = request {
            let object = store.objects[name].clone();
            let asked = range.start..range.end.min(object.len() as u64);
            if let Some(body) = self.cached(name, asked.clone()) {
                return Answer::Got(Object { body, etag: None, size: None });
            }
            let start = range.start.min(range.read_ahead);
            let end = range.end.max(range.read_ahead).min(object.len() as u64);
            self.requests += 1;
            self.bytes += end - start;
            self.extents.insert((name.clone(), start), object.slice(start as usize..end as usize));
            return match self.cached(name, asked) {
                Some(body) => Answer::Got(Object { body, etag: None, size: None }),
                None => Answer::Missing,
            };
        }
        self.requests += 1;
        let before = store.bytes;
        let answer = store.answer(request);
        self.bytes += store.bytes - before;
        answer
    }

    fn cached(&self, name: &str, range: Range<u64>) -> Option<Bytes> {
        self.extents.iter().filter(|((object, _), _)| object == name).find_map(|((_, start), bytes)| {
            let inside = *start <= range.start && range.start < range.end && range.end <= start + bytes.len() as u64;
            inside.then(|| bytes.slice((range.start - start) as usize..(range.end - start) as usize))
        })
    }
}

#[test]
fn a_scan_takes_a_fifth_more_requests_than_pages_and_bytes_than_stored() {
    for (segment, value_bytes) in [(1_000, 100), (13_000, 100), (2_300, 400)] {
        let items = plain(40_000, value_bytes);
        let mut caching = CachingStore::default();
        layout(vec![(segment, false); 39_000 / segment], vec![(10, 0), (10, 0)]).write(&mut caching.store, &items);
        let stored: u64 = caching.store.objects.values().map(|object| object.len() as u64).sum();
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            (caching.requests, caching.bytes) = (0, 0);
            caching.extents.clear();
            let start = if order == IterationOrder::Forwards { 300 } else { 38_700 };
            let filter = ItemFilter { start_offset: Some(start), ..ItemFilter::default() };
            let (mut pages, mut read, mut continuation) = (0, 0, None);
            loop {
                let page = caching.read(request(order, 1_000, filter, continuation));
                pages += 1;
                read += page.items.len();
                continuation = page.continuation;
                if continuation.is_none() {
                    break;
                }
            }
            assert!(read > 38_000);
            let (requests, bytes) = (caching.requests, caching.bytes);
            let case = format!(
                "{segment} items a segment, {order:?}: {requests} requests, {pages} pages, {bytes} of {stored} bytes"
            );
            // Load and index page are shared by all pages.
            assert!(requests * 10 <= pages * 12 + 60, "{case}");
            assert!(bytes * 10 <= stored * 12, "{case}");
        }
    }
}

#[test]
fn a_cold_page_takes_little_more_bytes_than_it_holds() {
    let items = plain(100_000, 100);
    let mut store = TestStore::default();
    layout(vec![(10_000, false); 9], vec![(500, 300), (500, 300)]).write(&mut store, &items);
    let index: u64 =
        store.objects.iter().filter(|(name, _)| name.contains("/idx/")).map(|(_, page)| page.len() as u64).sum();
    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        for position in [5_000, 33_333, 76_543] {
            let filter = ItemFilter { start_timestamp: Some(position * 10), ..ItemFilter::default() };
            store.forget();
            let page = page(&mut store, order, 200, filter);
            assert_eq!(page.items[0].offset, position as u64);
            let held: u64 = page.items.iter().map(|item| item.value.len() as u64).sum();
            assert!(store.bytes <= 2 * held + (16 << 10) + 2 * (32 << 10) + index, "{} bytes for {held}", store.bytes);
        }
    }
}

pub(crate) const SEGMENTS: u64 = 1_000_000;
pub(crate) const SEGMENT_ITEMS: u64 = 10;

/// A list of a million segments of which only those asked for exist.
pub(crate) struct Million {
    pub(crate) store: TestStore,
    items: fn(Range<u64>) -> Vec<Item>,
}

impl Million {
    pub(crate) fn new() -> Self {
        let items = |range: Range<u64>| {
            let item = |offset: u64| Item {
                offset,
                timestamp: offset as i64 * 10,
                nonce: Some(u128::from(offset) * 2),
                value: format!("item {offset}").into(),
            };
            range.map(item).collect()
        };
        Self { store: TestStore::default(), items }
    }

    fn before(&self, first: u64) -> Run {
        let mut run = Run::empty(first, i64::MIN, 0);
        if first > 0 {
            run.running_max_timestamp = (first as i64 - 1) * 10;
            run.next_nonce = u128::from(first - 1) * 2 + 1;
        }
        run
    }

    fn run(&self, range: Range<u64>) -> Run {
        Run {
            count: range.end - range.start,
            value_bytes: (range.end - range.start) * 10,
            min_timestamp: range.start as i64 * 10,
            max_timestamp: (range.end as i64 - 1) * 10,
            first: range.start,
            ..self.before(range.end)
        }
    }

    fn leaf_id(number: u64) -> ObjectId {
        ObjectId { x: SEGMENTS, id: 1_000 + u128::from(number) }
    }

    pub(crate) fn write(&mut self, real: &[u64]) {
        let (list, hash) = (list_name(), list_name().hash());
        let leaf_entries = MAX_LEAF_ENTRIES as u64;
        let mut leaves = Vec::new();
        let (full, left) = (SEGMENTS / leaf_entries, SEGMENTS % leaf_entries);
        for number in 0..full {
            let span = number * leaf_entries..(number + 1) * leaf_entries;
            let mut length = 1_000;
            if real.iter().any(|segment| span.contains(segment)) {
                let entries = span.clone().map(|segment| self.entry(segment, real)).collect();
                let page = LeafPage { list: hash, id: Self::leaf_id(number), entries }.encode().unwrap();
                length = page.len() as u64;
                self.store.objects.insert(list.index_page(Self::leaf_id(number)), page);
            }
            let run = self.run(span.start * SEGMENT_ITEMS..span.end * SEGMENT_ITEMS);
            leaves.push(LeafReference { id: Self::leaf_id(number), length, entries: leaf_entries as u32, run });
        }
        let open = (SEGMENTS - left..SEGMENTS).map(|segment| self.entry(segment, real)).collect();
        let id = ObjectId { x: SEGMENTS, id: 1 };
        let before = Run::empty(0, i64::MIN, 0);
        let head = HeadPage { list: hash, id, before, leaves, open, ledger_pages: Vec::new(), handovers: Vec::new() };
        let head = head.encode().unwrap();
        let index = Some(IndexReference { id, length: head.len() as u64 });
        self.store.objects.insert(list.index_page(id), head);

        let end = SEGMENTS * SEGMENT_ITEMS;
        let commit = |seq| CommitIdentity { seq, session: SessionId(5), put_id: seq, handover: false, complete: false };
        let run = self.run(end..end + 1);
        let entry = TableEntry {
            commit: commit(SEGMENTS),
            run,
            carry_first: run.first,
            header_length: 100,
            own_length: 200,
            length: 200,
        };
        let header = CommitHeader {
            list: hash,
            commit: commit(SEGMENTS + 1),
            run: self.run(end + 1..end + 2),
            carry_first: end + 1,
            covered: SEGMENTS,
            index,
            start: 0,
            totals: Totals::EMPTY,
            before: self.before(end),
            table: vec![entry],
            sources: Arc::default(),
            own_blocks: Vec::new(),
            carried_blocks: Vec::new(),
            sections: Vec::new(),
            header_length: 0,
        };
        let own = (self.items)(end + 1..end + 2);
        let encoded = encode_commit(header, &own, &[], &BlockOptions::default()).unwrap();
        self.store.objects.insert(list.commit(SEGMENTS + 1), encoded.body);
    }

    fn entry(&mut self, segment: u64, real: &[u64]) -> IndexEntry {
        let span = segment * SEGMENT_ITEMS..(segment + 1) * SEGMENT_ITEMS;
        let id = ObjectId { x: segment + 1, id: 9 };
        let source = Source::Segment { id, complete: true };
        if real.contains(&segment) {
            let (before, own) = (self.before(span.start), (self.items)(span));
            let encoded = encode_segment(&list_name().hash(), id, &before, &own, true, &BlockOptions::default());
            let (header, length) = (encoded.header.clone(), encoded.header.length());
            self.store.objects.insert(list_name().segment(id), encoded.body);
            return IndexEntry {
                source,
                run: header.run,
                header_length: header.header_length,
                length,
                blocks: header.blocks,
            };
        }
        let run = self.run(span.clone());
        let block = BlockEntry {
            position: 100,
            length: 200,
            first: span.start,
            count: SEGMENT_ITEMS as u32,
            running_max_timestamp: run.running_max_timestamp,
            next_nonce: run.next_nonce,
        };
        IndexEntry { source, run, header_length: 100, length: 300, blocks: vec![block] }
    }
}

#[test]
fn a_cold_page_of_a_million_segments_takes_five_requests() {
    let mut million = Million::new();
    million.write(&[123_456, 999_998]);
    for (segment, most) in [(123_456u64, 5), (999_998, 4)] {
        let position = segment * SEGMENT_ITEMS + 4;
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            for filter in [
                ItemFilter { start_offset: Some(position), ..ItemFilter::default() },
                ItemFilter { start_timestamp: Some(position as i64 * 10), ..ItemFilter::default() },
                ItemFilter { start_nonce: Some(u128::from(position) * 2), ..ItemFilter::default() },
            ] {
                million.store.forget();
                let page = page(&mut million.store, order, 3, filter);
                assert_eq!((page.items[0].offset, page.items.len()), (position, 3));
                let counts = million.store.counts();
                assert!(counts.lists + counts.gets <= most, "{counts:?} for {filter:?} {order:?}");
            }
        }
    }
}

fn places() -> impl Strategy<Value = Option<Place>> {
    let number = || prop_oneof![0u64..3_000, Just(u64::MAX), any::<u64>()];
    let segment = (number(), number(), 0u128..3)
        .prop_map(|(position, x, id)| Place::Segment { id: ObjectId { x: x.min(12), id }, position });
    let commit = (number(), 0u64..12, any::<[u8; 8]>()).prop_map(|(position, seq, owner)| Place::Commit {
        seq,
        owner: BlockOwner(owner),
        position,
    });
    prop::option::of(prop_oneof![segment, commit])
}

/// A commit of nobody.
fn newest_commits() -> impl Strategy<Value = NewestCommit> {
    let seq = prop_oneof![0u64..12, Just(u64::MAX)];
    (seq, any::<[u8; 8]>()).prop_map(|(seq, owner)| NewestCommit { seq, owner: BlockOwner(owner) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_forged_token_shows_items_of_the_list_and_nothing_else(
        items in items(120),
        layout in layouts(),
        order in orders(),
        next in prop_oneof![0u64..150, Just(u64::MAX)],
        end in prop_oneof![0u64..150, Just(u64::MAX)],
        place in places(),
        page_bytes in prop_oneof![Just(0), Just(u32::MAX), 0u32..2_000],
        newest in newest_commits(),
        index in prop::option::of((0u64..12, 0u128..3, prop_oneof![Just(MAX_PAGE_BYTES), 1u64..3_000])),
    ) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let start = layout.write(&mut store, &items);
        let index = index.map(|(x, id, length)| IndexReference { id: ObjectId { x, id }, length });
        let token = Token { order, next, end, newest, index, place, page_bytes };
        let continuation = Some(token.encode(&list_name().hash()));
        let page = store.run(read_page(request(order, 1_000, ItemFilter::default(), continuation))).unwrap();
        for item in &page.items {
            prop_assert_eq!(item, &items[item.offset as usize]);
        }
        for pair in page.items.windows(2) {
            let steps = match order {
                IterationOrder::Forwards => pair[1].offset > pair[0].offset,
                IterationOrder::Backwards => pair[1].offset + 1 == pair[0].offset,
            };
            prop_assert!(steps);
        }
        if order == IterationOrder::Forwards {
            let first = next.max(start).min(items.len() as u64);
            // What has been trimmed may still be there for a token that points to it.
            let shown = page.items.first().map_or(items.len() as u64, |item| item.offset);
            prop_assert!(shown == first || (shown == next && next < start));
            let bytes = store.bytes as usize;
            let stored: usize = store.objects.values().map(Bytes::len).sum();
            prop_assert!(bytes <= 4 * stored + (64 << 10));
        }
    }
}
