//! A list of a million segments: all pages of its index, and those of the segments that a test reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use klstore_format::limits::MAX_LEAF_ENTRIES;
use klstore_format::names::ListName;
use klstore_format::wire::block::{BlockEntry, BlockOptions};
use klstore_format::wire::commit::{CommitHeader, IndexReference, Totals, encode_commit};
use klstore_format::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use klstore_format::wire::identity::{CommitIdentity, ObjectId, SessionId};
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::run::Run;
use klstore_format::wire::segment::encode_segment;
use klstore_s3_server::{ObjectMetadata, Precondition};
use klstore_tests::harness::{BUCKET, Harness};
use klstore_workloads::giant::{random_id, segment_id};

use super::meter::{VALUE_BYTES, items, list_name, nonce, timestamp};

/// A list of a million segments of a thousand items each, and a newest commit with ten more.
pub struct Million {
    list: ListName,
    /// The segments that exist.
    pub real: BTreeSet<u64>,
}

impl Million {
    pub const SEGMENTS: u64 = 1_000_000;
    pub const SEGMENT_ITEMS: u64 = 1_000;
    const TAIL_ITEMS: u64 = 10;

    pub fn new(key: &str) -> Self {
        Self { list: list_name(key), real: BTreeSet::new() }
    }

    /// Puts the list's objects straight into the server's store; returns its next offset.
    pub fn write(&self, harness: &Harness) -> u64 {
        let hash = self.list.hash();
        let template = self.real_segment(harness, 1_000);
        let mut leaves = Vec::new();
        let mut entries = Vec::with_capacity(MAX_LEAF_ENTRIES);
        for segment in 0..Self::SEGMENTS {
            let real = self.real.contains(&segment);
            entries.push(if real { self.real_segment(harness, segment) } else { entry_like(&template, segment) });
            if entries.len() == MAX_LEAF_ENTRIES {
                let id = ObjectId { x: segment + 1, id: random_id(segment ^ (1 << 40)) };
                let full = std::mem::replace(&mut entries, Vec::with_capacity(MAX_LEAF_ENTRIES));
                let run = run(full[0].run.first, segment * Self::SEGMENT_ITEMS + Self::SEGMENT_ITEMS);
                let page = LeafPage { list: hash, id, entries: full }.encode().expect("a leaf");
                let (length, entries) = (page.len() as u64, MAX_LEAF_ENTRIES as u32);
                leaves.push(LeafReference { id, length, entries, run });
                put(harness, &self.list.index_page(id), page);
            }
        }
        let id = ObjectId { x: Self::SEGMENTS, id: random_id(1 << 50) };
        let before = Run::empty(0, i64::MIN, 0);
        let head =
            HeadPage { list: hash, id, before, leaves, open: entries, ledger_pages: Vec::new(), handovers: Vec::new() };
        let head = head.encode().expect("a head page");
        let index = IndexReference { id, length: head.len() as u64 };
        put(harness, &self.list.index_page(id), head);
        self.write_newest(harness, index)
    }

    fn write_newest(&self, harness: &Harness, index: IndexReference) -> u64 {
        let first = Self::SEGMENTS * Self::SEGMENT_ITEMS;
        let end = first + Self::TAIL_ITEMS;
        let session = SessionId(5);
        let header = CommitHeader {
            list: self.list.hash(),
            commit: CommitIdentity { seq: Self::SEGMENTS, session, put_id: 9, handover: false, complete: false },
            run: run(first, end),
            carry_first: first,
            covered: Self::SEGMENTS,
            index: Some(index),
            start: 0,
            totals: Totals {
                value_bytes: end * VALUE_BYTES as u64,
                min_timestamp: timestamp(0),
                max_timestamp: timestamp(end - 1),
            },
            before: Run::empty(first, timestamp(first - 1), nonce(first - 1) + 1),
            table: Vec::new(),
            sources: Arc::default(),
            own_blocks: Vec::new(),
            carried_blocks: Vec::new(),
            sections: Vec::new(),
            header_length: 0,
        };
        let own = items(first..end);
        let commit = encode_commit(header, &own, &[], &BlockOptions::default()).expect("a commit");
        put(harness, &self.list.commit(Self::SEGMENTS), commit.body);
        end
    }

    fn real_segment(&self, harness: &Harness, segment: u64) -> IndexEntry {
        let first = segment * Self::SEGMENT_ITEMS;
        let id = segment_id(segment);
        let own = items(first..first + Self::SEGMENT_ITEMS);
        let before = Run::empty(first, timestamp(first) - 10, nonce(first).saturating_sub(1));
        let encoded = encode_segment(&self.list.hash(), id, &before, &own, true, &BlockOptions::default());
        if self.real.contains(&segment) {
            put(harness, &self.list.segment(id), encoded.body);
        }
        let header = encoded.header;
        IndexEntry {
            source: Source::Segment { id, complete: true },
            run: header.run,
            header_length: header.header_length,
            length: header.length(),
            blocks: header.blocks,
        }
    }
}

/// The entry of a segment with the same lengths as another one.
fn entry_like(template: &IndexEntry, segment: u64) -> IndexEntry {
    let first = segment * Million::SEGMENT_ITEMS;
    let block = |block: &BlockEntry| {
        let last = first + (block.end() - template.run.first) - 1;
        BlockEntry {
            first: first + (block.first - template.run.first),
            running_max_timestamp: timestamp(last),
            next_nonce: nonce(last) + 1,
            ..*block
        }
    };
    IndexEntry {
        source: Source::Segment { id: segment_id(segment), complete: true },
        run: run(first, first + Million::SEGMENT_ITEMS),
        blocks: template.blocks.iter().map(block).collect(),
        ..*template
    }
}

fn run(first: u64, end: u64) -> Run {
    Run {
        first,
        count: end - first,
        value_bytes: (end - first) * VALUE_BYTES as u64,
        min_timestamp: timestamp(first),
        max_timestamp: timestamp(end - 1),
        running_max_timestamp: timestamp(end - 1),
        next_nonce: nonce(end - 1) + 1,
    }
}

fn put(harness: &Harness, name: &str, body: Bytes) {
    let store = harness.server.store();
    store.put(BUCKET, name, body, ObjectMetadata::default(), &Precondition::None).expect("a PUT");
}
