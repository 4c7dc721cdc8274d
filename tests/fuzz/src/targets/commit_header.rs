//! A commit, header and blocks: what decodes agrees with itself, and comes back once encoded.
//!
//! The input is an object. What the first byte does not forbid is mended: its beginning, its list, its checksums, the
//! owner of its blocks.

use bytes::Bytes;
use klstore_format::limits::{MAX_COMMIT_ITEMS, MAX_HEADER_BYTES, MAX_TABLE_ENTRIES};
use klstore_format::wire::block::{BlockOptions, decode_blocks};
use klstore_format::wire::carried_block::CarriedBlock;
use klstore_format::wire::commit::{CommitHeader, encode_commit};
use klstore_format::wire::identity::ListHash;
use klstore_format::wire::preamble::Kind;
use klstore_format::wire::run::Run;

use crate::list::LISTS;
use crate::seal;

/// The target.
pub fn run(data: &[u8]) {
    let Some((&how, object)) = data.split_first() else { return };
    let list = LISTS.golden.hash();
    let mut object = object.to_vec();
    if how & 1 == 0 {
        seal::header(&mut object, (how & 2 == 0).then_some(Kind::Commit as u8), (how & 4 == 0).then_some(&list));
    }
    let Ok(header) = CommitHeader::decode(&object, &list) else { return };
    assert!(CommitHeader::decode(&object, &ListHash::of("flights", "another")).is_err(), "another list's was taken");
    check(&header);
    if how & 8 == 0 {
        seal::blocks(&mut object, header.header_length as usize, Some(&header.owner()));
    }
    come_back(header, &object.into());
}

fn check(header: &CommitHeader) {
    assert!(header.header_length as usize <= MAX_HEADER_BYTES);
    assert!(header.table.len() <= MAX_TABLE_ENTRIES);
    assert!(header.run.count <= MAX_COMMIT_ITEMS as u64);
    assert!(header.start <= header.next_offset());
    assert!(header.carry_first <= header.run.first);
    assert!(header.own_length() <= header.length());
    assert_eq!(header.table.len() as u64, header.commit.seq - header.covered);
    let mut end = header.before.end();
    for (entry, seq) in header.table.iter().zip(header.covered..) {
        assert_eq!((entry.commit.seq, entry.run.first), (seq, end), "the table has a gap");
        end = entry.run.end();
    }
    assert_eq!(header.run.first, end, "the table does not reach its own items");
    let (mut first, mut position) = (header.run.first, u64::from(header.header_length));
    for block in &header.own_blocks {
        assert_eq!((block.first, block.position), (first, position), "its blocks have a gap");
        (first, position) = (block.end(), block.end_position());
    }
    assert_eq!(first, header.next_offset());
    let entry = header.as_table_entry();
    assert!(entry.matches(header), "it is not the commit that its own entry tells of");
}

/// Encodes again what was read, with other blocks: all but their places is the same.
fn come_back(header: CommitHeader, object: &Bytes) {
    let (mut own, mut carried) = (Vec::new(), Vec::new());
    let owner = header.owner();
    if decode_blocks(object, 0, &header.own_blocks, owner, &mut own).is_err()
        || decode_blocks(object, 0, &header.carried_blocks, owner, &mut carried).is_err()
    {
        return;
    }
    // The directory only promises these sums; the items are as their author made them.
    let mut run = Run { count: 0, ..header.run.after() };
    (run.first, run.running_max_timestamp, run.next_nonce) = before(&header);
    own.iter().for_each(|item| run.push(item));
    if run != header.run {
        return;
    }
    let options = BlockOptions { plain_bytes: 500, ..BlockOptions::default() };
    let blocks = CarriedBlock::cut(&carried, &options);
    // What took its place without a table or in fewer blocks may be too long for a header in others.
    let Ok(again) = encode_commit(header.clone(), &own, &blocks, &options) else { return };
    let read = CommitHeader::decode(&again.body, &header.list).expect("what was encoded can be read");
    assert_eq!(read, again.header);
    let parts = |header: &CommitHeader| {
        let CommitHeader { commit, run, carry_first, covered, index, start, totals, before, .. } = header.clone();
        (commit, run, carry_first, covered, index, start, totals, before, header.table.clone(), header.sources.clone())
    };
    assert_eq!(parts(&read), parts(&header));
    let (mut own_again, mut carried_again) = (Vec::new(), Vec::new());
    decode_blocks(&again.body, 0, &read.own_blocks, owner, &mut own_again).expect("its blocks can be read");
    decode_blocks(&again.body, 0, &read.carried_blocks, owner, &mut carried_again).expect("so can those it carries");
    assert_eq!((own_again, carried_again), (own, carried));
}

/// Where the list stood before its own items.
fn before(header: &CommitHeader) -> (u64, i64, u128) {
    let before = header.table.last().map_or(header.before, |last| last.run.after());
    (before.end(), before.running_max_timestamp, before.next_nonce)
}
