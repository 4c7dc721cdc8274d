//! A list of as many items as one likes, of which only the index exists: each segment is made when it is first read.
//!
//! Everything of item N follows from N. Nothing is compressed, and what varies in width is padded, so that a segment's
//! lengths, which its index entry tells, are known without making it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::limits::MAX_LEAF_ENTRIES;
use klstore_format::names::ListName;
use klstore_format::wire::block::{BlockEntry, BlockOptions};
use klstore_format::wire::commit::{CommitHeader, IndexReference, Totals, encode_commit};
use klstore_format::wire::compression::Codec;
use klstore_format::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use klstore_format::wire::identity::{CommitIdentity, ObjectId, SessionId};
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::run::Run;
use klstore_format::wire::segment::{EncodedSegment, encode_segment};
use klstore_s3_server::{Fault, Faults, ObjectMetadata, Operation, Precondition, RequestInfo, Store};

/// Items of one segment.
pub const SEGMENT_ITEMS: u64 = 1_000;
/// Items of the newest commit, which is no segment yet.
pub const TAIL_ITEMS: u64 = 10;
/// Segments that are kept once they were made; the oldest makes room.
const KEPT_SEGMENTS: usize = 2_000;
const VALUE_BYTES: u64 = 73;
/// 2013-01-01, as the flights.
const FIRST_TIMESTAMP: i64 = 1_356_998_400_000;
/// Of as many bytes as any nonce after it.
const FIRST_NONCE: u128 = 1_000_000_000_000;
/// Items after which the rate at which they come repeats itself.
const WAVE_ITEMS: u64 = 8_000_000;
const OPTIONS: BlockOptions = BlockOptions { codec: Codec::None, plain_bytes: 32 << 10 };

/// Item N of any giant list: `{"item":"000000000042","device":"d-007","celsius":21.37,"state":"steady"}`.
pub fn item(offset: u64) -> Item {
    Item { offset, timestamp: timestamp(offset), nonce: Some(nonce(offset)), value: value(offset) }
}

/// Increases by 100 to 900 ms, in waves: a time line of it has something to show. A billion items end in 2028.
pub fn timestamp(offset: u64) -> i64 {
    let phase = (offset % WAVE_ITEMS) as i64;
    let ahead = phase * (WAVE_ITEMS as i64 - phase) / (WAVE_ITEMS as i64 / 400);
    FIRST_TIMESTAMP + 500 * offset as i64 + ahead
}

/// The offset, and a million millions.
pub fn nonce(offset: u64) -> u128 {
    FIRST_NONCE + u128::from(offset)
}

/// Of one length, whatever the offset.
pub fn value(offset: u64) -> Bytes {
    let noise = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let (device, whole, hundredths) = (noise % 512, 10 + noise / 512 % 80, noise / 65_536 % 100);
    let state = ["steady", "rising", "fallen"][(noise % 3) as usize];
    let text = format!(
        r#"{{"item":"{offset:012}","device":"d-{device:03}","celsius":{whole}.{hundredths:02},"state":"{state}"}}"#
    );
    text.into()
}

/// A list whose segments are made when they are read.
#[derive(Clone)]
pub struct Giant {
    list: ListName,
    segments: u64,
}

impl Giant {
    /// A list of at least `items` items: whole segments, and the newest commit.
    pub fn new(list: ListName, items: u64) -> Self {
        Self { list, segments: items.saturating_sub(TAIL_ITEMS).div_ceil(SEGMENT_ITEMS) }
    }

    /// Its items.
    pub fn items(&self) -> u64 {
        self.segments * SEGMENT_ITEMS + TAIL_ITEMS
    }

    /// Puts the index and the newest commit into the store.
    pub fn write(&self, store: &Store, bucket: &str) {
        let hash = self.list.hash();
        let mut shapes = HashMap::new();
        let mut leaves = Vec::new();
        let mut entries: Vec<IndexEntry> = Vec::with_capacity(MAX_LEAF_ENTRIES);
        for segment in 0..self.segments {
            let shape = shapes.entry(widths(segment)).or_insert_with(|| self.entry(segment));
            entries.push(entry_like(shape, segment));
            if entries.len() == MAX_LEAF_ENTRIES {
                let id = ObjectId { x: segment + 1, id: random_id(segment ^ (1 << 40)) };
                let full = std::mem::replace(&mut entries, Vec::with_capacity(MAX_LEAF_ENTRIES));
                let run = run(full[0].run.first, (segment + 1) * SEGMENT_ITEMS);
                let page = LeafPage { list: hash, id, entries: full }.encode().expect("a leaf");
                let (length, entries) = (page.len() as u64, MAX_LEAF_ENTRIES as u32);
                leaves.push(LeafReference { id, length, entries, run });
                put(store, bucket, &self.list.index_page(id), page);
            }
        }
        let id = ObjectId { x: self.segments, id: random_id(1 << 50) };
        let before = Run::empty(0, i64::MIN, 0);
        let head =
            HeadPage { list: hash, id, before, leaves, open: entries, ledger_pages: Vec::new(), handovers: Vec::new() };
        let head = head.encode().expect("a head page");
        let index = IndexReference { id, length: head.len() as u64 };
        put(store, bucket, &self.list.index_page(id), head);
        self.write_newest(store, bucket, index);
    }

    /// Makes each segment in the moment in which it is asked for.
    pub fn make_on_demand(self, store: Arc<Store>, bucket: &'static str, faults: &Faults) {
        let make = self.maker(store, bucket);
        faults.set(move |request| {
            make(request);
            Fault::None
        });
    }

    /// What makes the segment that a request asks for: to be called before that request is served.
    pub fn maker(self, store: Arc<Store>, bucket: &'static str) -> impl Fn(&RequestInfo) + Send + Sync {
        let made: Mutex<VecDeque<u64>> = Mutex::default();
        move |request| {
            let name = request.key.as_deref().filter(|_| request.operation == Operation::GetObject);
            let Some(segment) = name.and_then(|name| self.parse(name)) else { return };
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            if !made.contains(&segment) {
                put(&store, bucket, &self.list.segment(segment_id(segment)), self.encode(segment).body);
                made.push_back(segment);
                if made.len() > KEPT_SEGMENTS
                    && let Some(oldest) = made.pop_front()
                {
                    store.delete(bucket, &[&self.list.segment(segment_id(oldest))]).expect("a DELETE");
                }
            }
        }
    }

    fn parse(&self, name: &str) -> Option<u64> {
        let id = self.list.parse_segment(name)?;
        let segment = id.x.checked_sub(1).filter(|segment| *segment < self.segments)?;
        (segment_id(segment) == id).then_some(segment)
    }

    fn write_newest(&self, store: &Store, bucket: &str, index: IndexReference) {
        let (first, end) = (self.segments * SEGMENT_ITEMS, self.items());
        let header = CommitHeader {
            list: self.list.hash(),
            commit: CommitIdentity {
                seq: self.segments,
                session: SessionId(5),
                put_id: 9,
                handover: false,
                complete: false,
            },
            run: run(first, end),
            carry_first: first,
            covered: self.segments,
            index: Some(index),
            start: 0,
            totals: Totals {
                value_bytes: end * VALUE_BYTES,
                min_timestamp: timestamp(0),
                max_timestamp: timestamp(end - 1),
            },
            before: state(first),
            table: Vec::new(),
            sources: Arc::default(),
            own_blocks: Vec::new(),
            carried_blocks: Vec::new(),
            sections: Vec::new(),
            header_length: 0,
        };
        let own: Vec<Item> = (first..end).map(item).collect();
        let commit = encode_commit(header, &own, &[], &BlockOptions::default()).expect("a commit");
        put(store, bucket, &self.list.commit(self.segments), commit.body);
    }

    /// The segment itself.
    fn encode(&self, segment: u64) -> EncodedSegment {
        let first = segment * SEGMENT_ITEMS;
        let own: Vec<Item> = (first..first + SEGMENT_ITEMS).map(item).collect();
        encode_segment(&self.list.hash(), segment_id(segment), &state(first), &own, true, &OPTIONS)
    }

    fn entry(&self, segment: u64) -> IndexEntry {
        let header = self.encode(segment).header;
        IndexEntry {
            source: Source::Segment { id: segment_id(segment), complete: true },
            run: header.run,
            header_length: header.header_length,
            length: header.length(),
            blocks: header.blocks,
        }
    }
}

/// What the length of a segment's header depends on: the bytes of its number and of its first offset.
fn widths(segment: u64) -> (u32, u32) {
    let width = |number: u64| number.checked_ilog2().unwrap_or(0) / 7;
    (width(segment + 1), width(segment * SEGMENT_ITEMS))
}

/// The entry of a segment with the same lengths as another one.
fn entry_like(shape: &IndexEntry, segment: u64) -> IndexEntry {
    let first = segment * SEGMENT_ITEMS;
    let block = |block: &BlockEntry| {
        let last = first + (block.end() - shape.run.first) - 1;
        BlockEntry {
            first: first + (block.first - shape.run.first),
            running_max_timestamp: timestamp(last),
            next_nonce: nonce(last) + 1,
            ..*block
        }
    };
    IndexEntry {
        source: Source::Segment { id: segment_id(segment), complete: true },
        run: run(first, first + SEGMENT_ITEMS),
        blocks: shape.blocks.iter().map(block).collect(),
        ..*shape
    }
}

/// Where the list stands before item `first`.
fn state(first: u64) -> Run {
    match first.checked_sub(1) {
        Some(last) => Run::empty(first, timestamp(last), nonce(last) + 1),
        None => Run::empty(0, i64::MIN, 0),
    }
}

fn run(first: u64, end: u64) -> Run {
    Run {
        first,
        count: end - first,
        value_bytes: (end - first) * VALUE_BYTES,
        min_timestamp: timestamp(first),
        max_timestamp: timestamp(end - 1),
        running_max_timestamp: timestamp(end - 1),
        next_nonce: nonce(end - 1) + 1,
    }
}

/// The name parts of a segment that is made from its number.
pub fn segment_id(segment: u64) -> ObjectId {
    ObjectId { x: segment + 1, id: random_id(segment) }
}

/// Something that compresses as badly as the random ids of a writer.
pub fn random_id(seed: u64) -> u128 {
    u128::from(seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn put(store: &Store, bucket: &str, name: &str, body: Bytes) {
    store.put(bucket, name, body, ObjectMetadata::default(), &Precondition::None).expect("a PUT");
}

#[cfg(test)]
mod tests {
    use klstore_format::names::Prefix;

    use super::*;

    #[test]
    fn a_segment_is_as_long_as_its_entry_says_without_making_it() {
        let list = ListName::new(&Prefix::default(), "ks", "giant").unwrap();
        let giant = Giant::new(list, 1_000_000_000);
        // On both sides of each change of a width, and anywhere.
        let changes = (1..4).flat_map(|bytes| [(1_u64 << (7 * bytes)) - 1, (1 << (7 * bytes)) / SEGMENT_ITEMS]);
        let around = changes.flat_map(|segment| segment.saturating_sub(2)..segment + 3);
        let around = around.filter(|segment| *segment < giant.segments);
        for segment in around.chain([0, 123_456, 500_000, 777_777, 999_999]) {
            let shape = (0..=segment).find(|other| widths(*other) == widths(segment)).unwrap();
            assert_eq!(entry_like(&giant.entry(shape), segment), giant.entry(segment), "segment {segment}");
        }
    }

    #[test]
    fn values_are_of_one_length_and_tell_their_offset() {
        for offset in [0, 9, 99_999_999, 1_000_000_000] {
            let value = value(offset);
            assert_eq!(value.len() as u64, VALUE_BYTES);
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&value).unwrap()["item"], format!("{offset:012}"));
        }
    }
}
