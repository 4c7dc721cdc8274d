//! What is asked of a large commit of which only the table's entry is known, and what is made of its blocks.

use super::*;
use crate::item::Item;
use crate::limits::MAX_PAGE_VALUE_BYTES;
use crate::plan::Port;
use crate::plan::read::test_list::list_name;
use crate::plan::read::tests::plain;
use crate::wire::block::{BlockEntry, BlockOptions, encode_blocks};
use crate::wire::identity::{CommitIdentity, SessionId};
use crate::wire::run::Run;

const FORWARDS: IterationOrder = IterationOrder::Forwards;
const BACKWARDS: IterationOrder = IterationOrder::Backwards;

/// Items 500..1,500 after a header of 1,000 bytes, of 100 bytes each as values and of `stored` as they are stored.
fn entry(stored: u64) -> TableEntry {
    let run = Run { count: 1_000, value_bytes: 100_000, ..Run::empty(500, 0, 0) };
    let commit = CommitIdentity { seq: 7, session: SessionId(1), put_id: 0, handover: false, complete: true };
    let own_length = 1_000 + 1_000 * stored;
    TableEntry { commit, run, carry_first: 500, header_length: 1_000, own_length, length: own_length }
}

fn view(scans: bool) -> View {
    let mut view = View::of_index(&Port::default(), &list_name(), None);
    view.scans = scans;
    view
}

fn want(items: u64) -> Want {
    Want { items, value_bytes: MAX_PAGE_VALUE_BYTES as u64 }
}

/// The range that is asked for, how far to read ahead, and the items expected.
fn part(view: &View, entry: &TableEntry, order: IterationOrder, next: u64, want: Want) -> Option<(u64, u64, u64, u64)> {
    let part = FramesPart::of(view, entry, order, next, want)?;
    assert_eq!(part.object, list_name().commit(7));
    Some((part.range.start, part.range.end, part.range.read_ahead, part.items))
}

#[test]
fn from_either_end_a_large_commit_is_read_without_its_header() {
    let (cold, entry) = (view(false), entry(1_000));
    // 160 items of 1,000 bytes, a sixteenth more, and a block of 32 KiB.
    let length = 170_000 + (32 << 10);
    assert_eq!(part(&cold, &entry, FORWARDS, 500, want(160)), Some((1_000, 1_000 + length, 1_000 + length, 160)));
    let end = 1_001_000;
    assert_eq!(part(&cold, &entry, BACKWARDS, 1_499, want(160)), Some((end - length, end, end, 160)));
    // No more than there is.
    assert_eq!(part(&cold, &entry, FORWARDS, 500, want(5_000)), Some((1_000, end, end, 1_000)));
    assert_eq!(part(&cold, &entry, BACKWARDS, 1_499, want(5_000)), Some((1_000, end, end, 1_000)));
    // In between the header alone says where a block begins.
    assert_eq!(part(&cold, &entry, FORWARDS, 501, want(160)), None);
    assert_eq!(part(&cold, &entry, BACKWARDS, 1_498, want(160)), None);
}

#[test]
fn a_commit_of_up_to_64_kib_is_not_read_by_its_blocks() {
    let small = TableEntry { own_length: 64 << 10, ..entry(0) };
    let large = TableEntry { own_length: (64 << 10) + 1, ..small };
    for (order, next) in [(FORWARDS, 500), (BACKWARDS, 1_499)] {
        assert_eq!(part(&view(false), &small, order, next, want(10)), None);
        assert!(part(&view(false), &large, order, next, want(10)).is_some());
    }
}

#[test]
fn no_more_is_asked_for_than_a_page_may_hold() {
    // Values of 128 KiB that take 1,000 bytes: 64 make up a page, and one more shows that it is full.
    let entry = entry(1_000);
    let entry = TableEntry { run: Run { value_bytes: 1_000 << 17, ..entry.run }, ..entry };
    let (_, end, _, items) = part(&view(false), &entry, FORWARDS, 500, want(1_000)).unwrap();
    assert_eq!((items, end), (65, 1_000 + 65_000 + 65_000 / 16 + (32 << 10)));
}

#[test]
fn a_scan_reads_a_mebibyte_ahead_within_the_commit() {
    let (scan, large, small) = (view(true), entry(2_000), entry(500));
    let mebibyte = 1 << 20;
    let (start, _, ahead, _) = part(&scan, &large, FORWARDS, 500, want(10)).unwrap();
    assert_eq!((start, ahead), (1_000, 1_000 + mebibyte));
    let (_, end, ahead, _) = part(&scan, &large, BACKWARDS, 1_499, want(10)).unwrap();
    assert_eq!((end, ahead), (2_001_000, 2_001_000 - mebibyte));
    let (_, end, ahead, _) = part(&scan, &large, FORWARDS, 500, want(900)).unwrap();
    assert!(end > 1_000 + mebibyte && ahead == end);
    let (_, _, ahead, _) = part(&scan, &small, FORWARDS, 500, want(10)).unwrap();
    assert_eq!(ahead, 501_000);
    let (_, _, ahead, _) = part(&scan, &small, BACKWARDS, 1_499, want(10)).unwrap();
    assert_eq!(ahead, 0);
}

#[test]
fn a_boundary_at_the_end_of_the_commit_leaves_nothing_to_ask_for() {
    // Its blocks hold fewer items than the table says.
    let (mut view, entry) = (view(false), entry(1_000));
    view.note_boundary(7, Boundary::At { next: 900, position: 1_001_000 });
    assert_eq!(part(&view, &entry, FORWARDS, 900, want(10)), None);
    view.note_boundary(7, Boundary::At { next: 900, position: 1_000 });
    assert_eq!(part(&view, &entry, BACKWARDS, 900, want(10)), None);
    view.note_boundary(7, Boundary::At { next: 900, position: 1_000_999 });
    assert_eq!(part(&view, &entry, FORWARDS, 900, want(10)), Some((1_000_999, 1_001_000, 1_001_000, 10)));
}

/// Three blocks of 100 items each from item 500 on, in front of which there is a header of 1,000 bytes.
fn three_blocks() -> (TableEntry, Vec<BlockEntry>, Bytes) {
    let entry = entry(1_000);
    let items: Vec<Item> = plain(800, 10).split_off(500);
    let (mut blocks, mut bytes) = (Vec::new(), Vec::new());
    for (number, items) in items.chunks(100).enumerate() {
        let before = Run::empty(500 + 100 * number as u64, i64::MIN, 0);
        let position = 1_000 + bytes.len() as u64;
        let owner = entry.owner(&list_name().hash());
        blocks.extend(encode_blocks(owner, &before, items, &BlockOptions::default(), position, &mut bytes));
    }
    assert_eq!(blocks.len(), 3);
    (entry, blocks, bytes.into())
}

/// Takes the blocks in these bytes of the object into a page of `size` items; its items and what is known then.
fn take(order: IterationOrder, size: u64, start: u64, bytes: Bytes) -> (Vec<u64>, Boundary) {
    let (entry, ..) = three_blocks();
    let part = FramesPart {
        object: String::new(),
        entry,
        range: ByteRange::new(start, start + bytes.len() as u64),
        items: size,
        owner: entry.owner(&list_name().hash()),
        order,
    };
    let mut filling = Filling::new(order, size);
    match order {
        IterationOrder::Forwards => filling.move_to(500, 10_000, None),
        IterationOrder::Backwards => filling.move_to(800, 0, None),
    }
    let boundary = part.take(bytes, &mut filling);
    (filling.into_items().iter().map(|item| item.offset).collect(), boundary)
}

#[test]
fn blocks_at_hand_are_taken_up_to_where_the_page_ends() {
    let (_, blocks, bytes) = three_blocks();
    let end = 1_000 + bytes.len() as u64;
    let (second, third) = (blocks[1].position, blocks[2].position);
    for (size, forwards, backwards) in [
        // Within a block: the next page begins with it again.
        (1, (501, 1_000), (798, end)),
        (99, (599, 1_000), (700, end)),
        (100, (600, second), (699, third)),
        (150, (650, second), (649, third)),
        (200, (700, third), (599, second)),
        (250, (750, third), (549, second)),
        // All that is there.
        (300, (800, end), (499, 1_000)),
        (400, (800, end), (499, 1_000)),
    ] {
        let taken = size.min(300);
        let at = |(next, position)| Boundary::At { next, position };
        let expected = ((500..500 + taken).collect(), at(forwards));
        assert_eq!(take(FORWARDS, size, 1_000, bytes.clone()), expected, "{size}");
        let expected = ((800 - taken..800).rev().collect(), at(backwards));
        assert_eq!(take(BACKWARDS, size, 1_000, bytes.clone()), expected, "{size}");
    }
}

#[test]
fn blocks_are_taken_up_to_the_first_that_is_not_whole_or_not_the_next() {
    let (_, blocks, bytes) = three_blocks();
    let (second, third) = (blocks[1].position as usize - 1_000, blocks[2].position as usize - 1_000);
    let after_one = Boundary::At { next: 600, position: blocks[1].position };
    let one = || (500..600).collect::<Vec<u64>>();
    assert_eq!(take(FORWARDS, 300, 1_000, bytes.slice(..third - 1)), (one(), after_one));
    let skipped = [&bytes[..second], &bytes[third..]].concat();
    assert_eq!(take(FORWARDS, 300, 1_000, skipped.into()), (one(), after_one));
    let mut damaged = bytes.to_vec();
    damaged[third - 10] ^= 1;
    assert_eq!(take(FORWARDS, 300, 1_000, damaged.into()), (one(), after_one));
    // Without any block nothing is known.
    assert_eq!(take(FORWARDS, 300, 1_000, bytes.slice(..second - 1)), (vec![], Boundary::Unknown));
    assert_eq!(take(FORWARDS, 300, 1_000, bytes.slice(second..)), (vec![], Boundary::Unknown));
    assert_eq!(take(BACKWARDS, 300, 1_000, bytes.slice(..third)), (vec![], Boundary::Unknown));

    let start = 1_000 + second as u64 + 1;
    let after_one = Boundary::At { next: 699, position: blocks[2].position };
    let taken = take(BACKWARDS, 300, start, bytes.slice(second + 1..));
    assert_eq!(taken, ((700..800).rev().collect(), after_one));
}

#[test]
fn a_block_holds_its_own_offsets_alone() {
    let (entry, _, bytes) = three_blocks();
    let block = next_block(FORWARDS, &bytes, entry.owner(&list_name().hash())).unwrap().unwrap();
    for (offset, held) in [(0, false), (499, false), (500, true), (599, true), (600, false), (u64::MAX, false)] {
        assert_eq!(holds(&block, offset), held, "{offset}");
    }
}
