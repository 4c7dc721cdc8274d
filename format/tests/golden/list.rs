//! The list of which `tests/golden/v1` has the objects: two sessions, a compaction, every kind of object.
//!
//! | commit | session | what |
//! |---|---|---|
//! | 0 | A, handover | unsorted timestamps, nonces, an empty value; uncompressed |
//! | 1 | A | no nonces; LZ4; carries commit 0's items |
//! | 2 | B, handover | complete in itself; Zstandard; some nonces, timestamps at the ends of their range |
//! | 3 | B | one item |
//! | 4 | B | no items: publishes the index of commits 0 to 2, carries on |
//! | 5 | B | the newest; fed by three partitions |
//!
//! The index has a leaf with one entry (the segment of commits 0 and 1) and a ledger page with one handover: a writer
//! would keep so few in the head page, readers take either.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use klstore_format::IterationOrder::{Backwards, Forwards};
use klstore_format::names::{KeyspaceName, ListName, Prefix};
use klstore_format::wire::block::BlockOptions;
use klstore_format::wire::carried_block::CarriedBlock;
use klstore_format::wire::commit::{CommitHeader, EncodedCommit, IndexReference, Totals, encode_commit};
use klstore_format::wire::compression::Codec;
use klstore_format::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use klstore_format::wire::identity::{CommitIdentity, ObjectId, SessionId};
use klstore_format::wire::keyspace::KeyspaceObject;
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::ledger::{Handover, LedgerPage, LedgerReference};
use klstore_format::wire::run::Run;
use klstore_format::wire::segment::encode_segment;
use klstore_format::wire::sources::Sources;
use klstore_format::wire::token::{NewestCommit, Place, Token};
use klstore_format::{Item, SourceOffset};

pub const SESSION_A: SessionId = SessionId(0xa0a1a2a3_a4a5a6a7_a8a9aaab_acadaeaf);
pub const SESSION_B: SessionId = SessionId(0xb0b1b2b3_b4b5b6b7_b8b9babb_bcbdbebf);
/// What makes the keyspace's object its creator's own.
const KEYSPACE_ID: u128 = 0x00010203_04050607_08090a0b_0c0d0e0f;
/// The commit whose bytes depend on the version of the Zstandard library.
pub const ZSTD_COMMIT: u64 = 2;

pub fn name() -> ListName {
    ListName::new(&Prefix::new("").unwrap(), "flights", "N14228/é").unwrap()
}

/// All items of the list, in order.
pub fn items() -> Vec<Item> {
    let mut items = Vec::new();
    let mut add = |timestamp: i64, nonce: Option<u128>, value: &[u8]| {
        let value = Bytes::copy_from_slice(value);
        items.push(Item { offset: items.len() as u64, timestamp, nonce, value });
    };
    // Commit 0
    add(1_357_034_400_000, Some(0), b"departed");
    add(1_357_034_100_000, Some(7), b"");
    add(1_357_045_200_000, Some(8), b"arrived\n");
    // Commit 1
    for leg in 0..12u8 {
        let value = format!("{{\"leg\":{leg},\"from\":\"EWR\",\"to\":\"IAH\"}}");
        add(1_357_120_800_000 + i64::from(leg) * 3_600_000, None, value.as_bytes());
    }
    // Commit 2
    add(i64::MIN, Some(1 << 64), &[0xff; 3]);
    for leg in 0..40u8 {
        let value = format!("{{\"leg\":{leg},\"from\":\"IAH\",\"to\":\"EWR\"}}");
        let nonce = (leg % 3 == 0).then(|| (1 << 64) + 1 + u128::from(leg));
        add(1_357_207_200_000 - i64::from(leg % 5), nonce, value.as_bytes());
    }
    // Commit 3
    add(1_357_300_000_000, None, b"late");
    // Commit 5
    add(1_357_300_000_001, None, b"one more");
    add(i64::MAX, Some(u128::MAX - 1), b"last");
    items
}

/// How far the newest commit has partitions of two topics.
pub fn sources() -> Sources {
    let mut sources = Sources::default();
    for (name, partition, offset) in [("gates", 0, 6), ("gates", 130, 0), ("inbound", 1, 299)] {
        sources.advance(&SourceOffset { source: klstore_format::Source::new(name, partition).unwrap(), offset });
    }
    sources
}

/// Every object by its name, and the tokens. Takes the stored bytes of the Zstandard commit where there are some.
pub fn objects(zstd_commit: Option<Bytes>) -> BTreeMap<String, Bytes> {
    let (list, items) = (name(), items());
    let mut objects = BTreeMap::new();
    let keyspace = KeyspaceName::new(list.keyspace()).unwrap();
    objects.insert(list.keyspace_object(), KeyspaceObject::encode(&keyspace, 1_357_000_000_000, KEYSPACE_ID));

    let mut writer = Writer { list: list.clone(), items: items.clone(), newest: None, table_from: 0, index: None };
    let commit0 = writer.commit(SESSION_A, 0, 0..3, 0..0, Codec::None);
    let commit1 = writer.commit(SESSION_A, 1, 3..15, 0..3, Codec::Lz4);
    let mut commit2 = writer.commit(SESSION_B, 0, 15..56, 15..15, Codec::Zstd);
    if let Some(body) = zstd_commit {
        commit2.header = CommitHeader::decode(&body, &list.hash()).unwrap();
        commit2.body = body;
        writer.newest = Some(commit2.header.clone());
    }
    let commit3 = writer.commit(SESSION_B, 1, 56..57, 54..56, Codec::None);

    // The compaction: X is 3, commits 0 and 1 become a segment, commit 2 stays where it is.
    let hash = list.hash();
    let id = |number: u128| ObjectId { x: 3, id: (number << 120) | 0x0102_0304 };
    let before = Run::empty(0, i64::MIN, 0);
    let options = BlockOptions { codec: Codec::Lz4, plain_bytes: 300 };
    let segment = encode_segment(&hash, id(0x5e), &before, &items[..15], false, &options);
    let segment_entry = IndexEntry {
        source: Source::Segment { id: id(0x5e), complete: false },
        run: segment.header.run,
        header_length: segment.header.header_length,
        length: segment.header.length(),
        blocks: segment.header.blocks.clone(),
    };
    let commit_entry = IndexEntry {
        source: Source::Commit(commit2.header.commit),
        run: commit2.header.run,
        header_length: commit2.header.header_length,
        length: commit2.header.own_length(),
        blocks: commit2.header.own_blocks.clone(),
    };
    let leaf = LeafPage { list: hash, id: id(0x1e), entries: vec![segment_entry] }.encode().unwrap();
    let ledger = LedgerPage { list: hash, id: id(0x1d), handovers: vec![Handover { seq: 0, session: SESSION_A }] };
    let ledger = ledger.encode().unwrap();
    let head = HeadPage {
        list: hash,
        id: id(0x4e),
        before,
        leaves: vec![LeafReference { id: id(0x1e), length: leaf.len() as u64, entries: 1, run: segment.header.run }],
        open: vec![commit_entry],
        ledger_pages: vec![LedgerReference { id: id(0x1d), length: ledger.len() as u64, first_seq: 0, count: 1 }],
        handovers: vec![Handover { seq: 2, session: SESSION_B }],
    };
    let head = head.encode().unwrap();

    writer.index = Some(IndexReference { id: id(0x4e), length: head.len() as u64 });
    writer.table_from = 3;
    let commit4 = writer.commit(SESSION_B, 2, 57..57, 57..57, Codec::None);
    let commit5 = writer.commit(SESSION_B, 3, 57..59, 56..57, Codec::None);

    for commit in [&commit0, &commit1, &commit2, &commit3, &commit4, &commit5] {
        objects.insert(list.commit(commit.header.commit.seq), commit.body.clone());
    }
    objects.insert(list.segment(id(0x5e)), segment.body);
    for (page, bytes) in [(id(0x1e), leaf), (id(0x1d), ledger), (id(0x4e), head)] {
        objects.insert(list.index_page(page), bytes);
    }
    objects.insert("items.ndjson".to_owned(), items_as_json(&items).into());
    objects.insert("tokens.txt".to_owned(), tokens(&segment.header, &commit5.header).into());
    objects
}

struct Writer {
    list: ListName,
    items: Vec<Item>,
    newest: Option<CommitHeader>,
    table_from: u64,
    index: Option<IndexReference>,
}

impl Writer {
    fn commit(
        &mut self,
        session: SessionId,
        put_id: u64,
        own: std::ops::Range<usize>,
        carried: std::ops::Range<usize>,
        codec: Codec,
    ) -> EncodedCommit {
        let newest = self.newest.as_ref();
        let seq = newest.map_or(0, |newest| newest.commit.seq + 1);
        let handover = newest.is_none_or(|newest| newest.commit.session != session);
        let mut run = newest.map_or(Run::empty(0, i64::MIN, 0), |newest| newest.run.after());
        self.items[own.clone()].iter().for_each(|item| run.push(item));
        let mut table = newest.map_or(Vec::new(), |newest| newest.table.clone());
        table.extend(newest.map(CommitHeader::as_table_entry));
        let before = newest.map_or(Run::empty(0, i64::MIN, 0), |newest| newest.before);
        let dropped = table.iter().take_while(|entry| entry.commit.seq < self.table_from).last();
        let before = dropped.map_or(before, |entry| entry.run.after());
        table.retain(|entry| entry.commit.seq >= self.table_from);
        let live = &self.items[..own.end];
        let header = CommitHeader {
            list: self.list.hash(),
            commit: CommitIdentity { seq, session, put_id, handover, complete: seq == ZSTD_COMMIT },
            run,
            carry_first: run.first,
            covered: self.table_from,
            index: self.index,
            start: 0,
            totals: Totals {
                value_bytes: live.iter().map(|item| item.value.len() as u64).sum(),
                min_timestamp: live.iter().map(|item| item.timestamp).min().unwrap(),
                max_timestamp: live.iter().map(|item| item.timestamp).max().unwrap(),
            },
            before,
            table,
            sources: Arc::new(if seq == 5 { sources() } else { Sources::default() }),
            own_blocks: Vec::new(),
            carried_blocks: Vec::new(),
            sections: Vec::new(),
            header_length: 0,
        };
        let options = BlockOptions { codec, ..BlockOptions::default() };
        let (own, carried) = (&self.items[own], &self.items[carried]);
        let carried = CarriedBlock::cut(carried, &BlockOptions { codec: Codec::None, ..options });
        let commit = encode_commit(header, own, &carried, &options).unwrap();
        self.newest = Some(commit.header.clone());
        commit
    }
}

/// One JSON object a line, so that a reader in any language can compare.
pub fn items_as_json(items: &[Item]) -> String {
    let line = |item: &Item| {
        let hex: String = item.value.iter().map(|byte| format!("{byte:02x}")).collect();
        let nonce = item.nonce.map_or("null".to_owned(), |nonce| format!("\"{nonce}\""));
        let Item { offset, timestamp, .. } = item;
        format!("{{\"offset\":{offset},\"timestamp\":{timestamp},\"nonce\":{nonce},\"value_hex\":\"{hex}\"}}\n")
    };
    items.iter().map(line).collect()
}

/// The tokens of three pages, one a line.
pub fn token_fields(segment: &klstore_format::wire::segment::SegmentHeader, newest: &CommitHeader) -> Vec<Token> {
    let index = newest.index;
    let (next, end, page_bytes) = (8, newest.next_offset(), 512);
    let position = segment.blocks[1].position;
    let in_segment = Place::Segment { id: segment.id, position };
    let in_commit = Place::Commit { seq: 5, owner: newest.owner(), position: newest.own_length() };
    let newest = NewestCommit { seq: 5, owner: newest.owner() };
    vec![
        Token { order: Forwards, next, end, newest, index, place: Some(in_segment), page_bytes },
        Token { order: Backwards, next: 58, end, newest, index, place: Some(in_commit), page_bytes },
        Token { order: Forwards, next: 0, end: 1, newest, index: None, place: None, page_bytes: 0 },
    ]
}

fn tokens(segment: &klstore_format::wire::segment::SegmentHeader, newest: &CommitHeader) -> String {
    let line = |token: Token| token.encode(&name().hash()) + "\n";
    token_fields(segment, newest).into_iter().map(line).collect()
}
