//! Measuring what something took, and the items that all lists here are made of.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use klstore_format::names::{ListName, Prefix};
use klstore_format::wire::commit::CommitHeader;
use klstore_format::wire::segment::SegmentHeader;
use klstore_format::{Insertion, Item, ItemFilter, ItemList, IterationOrder};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{ByteRange, Counts, Operation, RequestRecord};
use klstore_tests::harness::{BUCKET, Harness, KEYSPACE};
use klstore_writer::{S3StoreWriter, StoreWriter};

/// Bytes of every value. They do not compress, so that payload is payload.
pub const VALUE_BYTES: usize = 100;

/// What the server was asked since the last [`forget`].
pub struct Spent {
    pub counts: Counts,
    pub requests: Vec<RequestRecord>,
}

impl Spent {
    /// Requests of this kind for objects whose name has this part.
    pub fn of(&self, operation: Operation, part: &str) -> impl Iterator<Item = &RequestRecord> {
        let matches = move |record: &&RequestRecord| {
            record.operation == operation && record.key.as_ref().is_some_and(|key| key.contains(part))
        };
        self.requests.iter().filter(matches)
    }

    /// Bytes of index pages that were read.
    pub fn index_bytes(&self) -> u64 {
        self.of(Operation::GetObject, "/idx/").map(|record| record.bytes_out).sum()
    }
}

/// A server that logs its requests.
pub async fn harness() -> Harness {
    Harness::start_logging(1 << 16).await
}

/// Counts anew.
pub fn forget(harness: &Harness) {
    harness.server.reset_counts();
    harness.server.take_requests();
}

/// What was asked since, and counts anew.
pub fn spent(harness: &Harness) -> Spent {
    Spent { counts: harness.server.reset_counts(), requests: harness.server.take_requests() }
}

/// A reader with an empty cache.
pub async fn cold_reader(harness: &Harness) -> S3StoreReader {
    harness.reader(harness.config()).build().await.expect("a reader")
}

/// Reads a page, and checks that its statistics are the server's.
pub async fn page(
    harness: &Harness,
    reader: &S3StoreReader,
    key: &str,
    order: IterationOrder,
    size: u64,
    start: Start,
) -> (ItemList, Spent) {
    let (filter, continuation) = match start {
        Start::End => (None, None),
        Start::Filter(filter) => (Some(filter), None),
        Start::Continuation(continuation) => (None, Some(continuation)),
    };
    forget(harness);
    let page = reader.read_page(KEYSPACE, key, order, Some(size), filter, continuation).await.expect("a page");
    let spent = spent(harness);
    let (stats, counts) = (page.stats, spent.counts);
    let said = (stats.list_operation_count, stats.read_operation_count, stats.read_size_total);
    assert_eq!(said, (counts.list, counts.get, counts.object_bytes_out), "what the page says of itself is wrong");
    assert_eq!(counts.requests(), counts.list + counts.get, "a reader only reads");
    (page, spent)
}

/// Where a page starts.
#[derive(Clone)]
pub enum Start {
    End,
    Filter(ItemFilter),
    Continuation(String),
}

pub fn list_name(key: &str) -> ListName {
    ListName::new(&Prefix::default(), KEYSPACE, key).expect("a list")
}

pub fn timestamp(offset: u64) -> i64 {
    1_357_000_000_000 + 10 * offset as i64
}

pub fn nonce(offset: u64) -> u128 {
    2 * u128::from(offset)
}

pub fn value(offset: u64) -> Bytes {
    let mut state = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0123_4567_89ab_cdef;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..VALUE_BYTES).map(step).collect()
}

pub fn items(offsets: Range<u64>) -> Vec<Item> {
    let item = |offset| Item { offset, timestamp: timestamp(offset), nonce: Some(nonce(offset)), value: value(offset) };
    offsets.map(item).collect()
}

pub fn insertions(offsets: Range<u64>) -> Vec<Insertion> {
    let insertion = |offset| Insertion::new(value(offset)).with_nonce(nonce(offset)).with_timestamp(timestamp(offset));
    offsets.map(insertion).collect()
}

/// The items from `first` on, in this order.
pub fn expected(order: IterationOrder, first: u64, count: u64) -> Vec<Item> {
    match order {
        IterationOrder::Forwards => items(first..first + count),
        IterationOrder::Backwards => items(first + 1 - count..first + 1).into_iter().rev().collect(),
    }
}

/// Appends the items of these offsets, and lets the work behind it come to its end.
pub async fn append(writer: &S3StoreWriter, key: &str, offsets: Range<u64>) {
    let receipt = writer.append_list(KEYSPACE, key, insertions(offsets.clone())).await.expect("an append");
    assert_eq!(receipt.await.expect("a receipt").ranges, [offsets]);
    writer.flush_all().await.expect("a flush");
}

pub fn object(harness: &Harness, name: &str) -> Bytes {
    harness.server.store().get(BUCKET, name, ByteRange::All).expect("an object").body
}

/// The objects that hold the list's items: the first offset of each, and the bytes of it that are not carried.
pub fn objects(harness: &Harness, key: &str) -> BTreeMap<u64, u64> {
    let list = list_name(key);
    let base = list.commits().trim_end_matches("log/").to_owned();
    let mut objects = BTreeMap::new();
    for name in harness.server.store().keys(BUCKET, &base).expect("the list's objects") {
        let body = object(harness, &name);
        if name.contains("/seg/") {
            let header = SegmentHeader::decode(&body, &list.hash()).expect("a segment");
            objects.insert(header.run.first, body.len() as u64);
        } else if name.contains("/log/") && !body.is_empty() {
            let header = CommitHeader::decode(&body, &list.hash()).expect("a commit");
            if header.run.count > 0 {
                objects.insert(header.run.first, header.own_length());
            }
        }
    }
    objects
}
