//! What going on from a token asks for: one GET where that does, and no LIST unless something is gone.

use super::*;
use crate::error::FormatError;
use crate::item::{Item, ItemFilter};
use crate::plan::Request;
use crate::plan::read::test_list::{
    Layout, asked, commit_header, create_keyspace, list_name, segment_header, segment_name,
};
use crate::plan::read::tests::{from, layout, page, plain, request};
use crate::plan::read::{Page, read_page};
use crate::plan::test_store::TestStore;
use crate::wire::identity::ObjectId;

const FORWARDS: IterationOrder = IterationOrder::Forwards;
const BACKWARDS: IterationOrder = IterationOrder::Backwards;

fn written(layout: &Layout, items: &[Item]) -> TestStore {
    let mut store = TestStore::default();
    create_keyspace(&mut store);
    layout.write(&mut store, items);
    store
}

/// Two segments of 1,000 items each, and ten items in the newest commit.
fn segments() -> TestStore {
    written(&layout(vec![(1_000, false), (1_000, false)], vec![(10, 0)]), &plain(2_010, 100))
}

/// Small, large, large, small and the newest commit; each carries as many items.
fn commits(carried: usize) -> TestStore {
    let commits = vec![(10, 0), (10, carried), (700, 0), (700, 0), (10, 0)];
    written(&layout(vec![], commits), &plain(1_430, 100))
}

fn decoded(page: &Page, order: IterationOrder) -> Token {
    Token::decode(page.continuation.as_ref().unwrap(), &list_name().hash(), order).unwrap()
}

/// A token whose page begins with this item.
fn token(store: &mut TestStore, order: IterationOrder, next: u64) -> Token {
    let before = if order == FORWARDS { next - 1 } else { next + 1 };
    let token = decoded(&page(store, order, 1, from(before)), order);
    assert_eq!(token.next, next);
    token
}

/// Reads the page of a token.
fn follow(store: &mut TestStore, token: &Token, size: u64) -> Result<Page, FormatError> {
    store.forget();
    let continuation = Some(token.encode(&list_name().hash()));
    store.run(read_page(request(token.order, size, ItemFilter::default(), continuation)))
}

/// Follows a token to so many items from its next one on, without a LIST or a miss; what was asked for.
fn followed(store: &mut TestStore, token: &Token, size: u64) -> Vec<String> {
    let page = follow(store, token, size).unwrap();
    let offsets: Vec<u64> = page.items.iter().map(|item| item.offset).collect();
    let expected: Vec<u64> = match token.order {
        IterationOrder::Forwards => (token.next..token.next + size).collect(),
        IterationOrder::Backwards => (token.next + 1 - size..=token.next).rev().collect(),
    };
    assert_eq!((offsets, page.continuation_misses), (expected, 0));
    assert_eq!(store.counts().lists, 0, "{:?}", asked(store));
    asked(store)
}

/// What a page that does not find what its token points to asks for before it starts over with a LIST.
fn missed(store: &mut TestStore, token: &Token) -> Vec<String> {
    let read = follow(store, token, 5);
    assert!(matches!(&read, Err(FormatError::Corrupt(_))), "{read:?}");
    asked(store).into_iter().take_while(|asked| asked != "list").collect()
}

fn segment_block(store: &TestStore, number: u64, offset: u64) -> (u64, u64) {
    let blocks = segment_header(store, number).blocks;
    let block = blocks.iter().find(|block| block.end() > offset).unwrap();
    (block.position, block.end_position())
}

#[test]
fn of_a_block_that_is_longer_than_what_was_asked_for_the_rest_is_asked_for() {
    let mut store = written(&layout(vec![(4, false)], vec![(1, 0)]), &plain(5, 50_000));
    let (start, end) = segment_block(&store, 0, 1);
    assert!(end - start > 2 * MIN_ASK_BYTES);
    for (order, middle) in [(FORWARDS, start + MIN_ASK_BYTES), (BACKWARDS, end - MIN_ASK_BYTES)] {
        let token = Token { page_bytes: 0, ..token(&mut store, order, 1) };
        let (first, second) = (format!("segment 0 {start}..{middle}"), format!("segment 0 {middle}..{end}"));
        let expected = if order == FORWARDS { [first, second] } else { [second, first] };
        assert_eq!(followed(&mut store, &token, 1), expected);
    }
}

#[test]
fn a_page_goes_on_in_the_next_object_where_one_ends() {
    let mut store = segments();
    let size = segment_header(&store, 0).length();
    let (start, _) = segment_block(&store, 0, 900);
    let next = segment_block(&store, 1, 1_000);
    let next = format!("segment 1 {}..{}", next.0, next.1);
    // What is asked for ends where the object does, a little later, or too early for its last block.
    let exact = (0..).find(|bytes| bytes + bytes / 16 >= size - start).unwrap();
    for page_bytes in [exact, exact + 100, exact - 1_000] {
        let token = Token { page_bytes: page_bytes as u32, ..token(&mut store, FORWARDS, 900) };
        let end = start + page_bytes + page_bytes / 16;
        let mut expected = vec![format!("segment 0 {start}..{end}")];
        if end < size {
            expected.push(format!("segment 0 {end}..{}", end + MIN_ASK_BYTES));
        }
        expected.extend(["head".to_owned(), next.clone()]);
        assert_eq!(followed(&mut store, &token, 200), expected);
    }
    assert_eq!(exact + exact / 16, size - start);

    let (_, end) = segment_block(&store, 1, 1_050);
    let (first, last) = (segment_block(&store, 0, 900), segment_block(&store, 0, 999));
    let token = token(&mut store, BACKWARDS, 1_050);
    let expected = [format!("segment 1 0..{end}"), "head".to_owned(), format!("segment 0 {}..{}", first.0, last.1)];
    assert_eq!(followed(&mut store, &token, 200), expected);
}

#[test]
fn a_page_that_ends_with_its_object_does_not_send_the_next_one_there() {
    let mut store = segments();
    for (order, next, block) in [(FORWARDS, 990, (1, 1_000)), (BACKWARDS, 1_009, (0, 999))] {
        let token = token(&mut store, order, next);
        let page = follow(&mut store, &token, 10).unwrap();
        let token = decoded(&page, order);
        assert_eq!((token.next, token.place), (block.1, None));
        let (start, end) = segment_block(&store, block.0, block.1);
        let expected = ["head".to_owned(), format!("segment {} {start}..{end}", block.0)];
        assert_eq!(followed(&mut store, &token, 10), expected);
    }
}

#[test]
fn a_page_that_ends_within_a_block_sends_the_next_one_to_its_begin() {
    let mut store = segments();
    let block = segment_header(&store, 0).blocks[1];
    let (first, count) = (block.first, u64::from(block.count));
    for (order, next, short_of) in [(FORWARDS, first, block.end() - 1), (BACKWARDS, block.end() - 1, first)] {
        let token = token(&mut store, order, next);
        let page = follow(&mut store, &token, count - 1).unwrap();
        let token = decoded(&page, order);
        assert_eq!(token.next, short_of);
        let position = if order == FORWARDS { block.position } else { block.end_position() };
        assert!(matches!(token.place, Some(Place::Segment { position: at, .. }) if at == position));
        assert_eq!(followed(&mut store, &token, 5).len(), 1);
    }
}

#[test]
fn a_token_asks_for_what_the_page_before_it_took() {
    let items = plain(5_000, 100);
    let mut store = written(&layout(vec![(4_900, false)], vec![(10, 0)]), &items);
    let small = token(&mut store, FORWARDS, 10);
    let large = decoded(&follow(&mut store, &small, 1_500).unwrap(), FORWARDS);
    assert!(large.page_bytes > 3 * small.page_bytes, "{} after {}", large.page_bytes, small.page_bytes);
    assert_eq!(followed(&mut store, &large, 1_500).len(), 1);
}

#[test]
fn what_the_index_does_not_cover_is_read_through_the_newest_commit_of_the_snapshot() {
    let layout = layout(vec![(20, false)], vec![(10, 0), (10, 0), (10, 0)]);
    let mut store = written(&layout, &plain(50, 100));
    let newest = "commit 3 0..16384".to_owned();
    let own = |seq| format!("commit {seq} 0..{}", commit_header(&store, seq).own_length());
    let (first, second) = (own(1), own(2));
    let segment = segment_block(&store, 0, 10);
    let segment = format!("segment 0 {}..{}", segment.0, segment.1);
    let head = || "head".to_owned();
    // From the index into the table, and within the table alone.
    let token = Token { place: None, ..token(&mut store, FORWARDS, 10) };
    let expected = [head(), segment, newest.clone(), first.clone(), second.clone()];
    assert_eq!(followed(&mut store, &token, 30), expected);
    let token = Token { next: 20, ..token };
    assert_eq!(followed(&mut store, &token, 20), [head(), newest, first, second]);
}

#[test]
fn a_scan_of_the_table_reads_ahead_in_its_commits() {
    let mut store = commits(0);
    let entry = commit_header(&store, 2).as_table_entry();
    // Nothing says where the next block begins.
    let token = Token { place: None, ..token(&mut store, FORWARDS, 500) };
    followed(&mut store, &token, 10);
    let Request::Get { range: Some(range), .. } = store.requests[1] else { panic!("no GET") };
    let header = ByteRange { read_ahead: entry.own_length, ..ByteRange::new(0, u64::from(entry.header_length)) };
    assert_eq!(range, header);
}

#[test]
fn where_an_object_ends_at_the_place_of_a_token_nothing_is_missing() {
    let mut store = segments();
    let size = segment_header(&store, 0).length();
    let token_of = |token: Token, place| Token { place: Some(place), page_bytes: 0, ..token };
    let end = Place::Segment { id: ObjectId { x: 1, id: 0 }, position: size };
    let token_at = token_of(token(&mut store, FORWARDS, 1_000), end);
    let block = segment_block(&store, 1, 1_000);
    let block = format!("segment 1 {}..{}", block.0, block.1);
    let beyond = format!("segment 0 {size}..{}", size + MIN_ASK_BYTES);
    assert_eq!(followed(&mut store, &token_at, 5), [beyond, "head".to_owned(), block]);

    let mut store = commits(0);
    let header = commit_header(&store, 2);
    let end = Place::Commit { seq: 2, owner: header.owner(), position: header.own_length() };
    let token_at = token_of(token(&mut store, FORWARDS, 720), end);
    let asked = followed(&mut store, &token_at, 5);
    assert_eq!(asked[1], "commit 4 0..16384");
    assert!(asked[0].starts_with("commit 2 ") && asked[2].starts_with("commit 3 ") && asked.len() == 3, "{asked:?}");
}

#[test]
fn a_commit_ends_backwards_at_its_header() {
    // The last bytes of its header are taken for a block's length: a possible one, or an impossible one.
    for carried in [0, 5] {
        let mut store = commits(carried);
        let header = commit_header(&store, 2);
        let body = &store.objects[&list_name().commit(2)];
        let tail = body.slice(..header.header_length as usize).last_chunk().map(|tail| u32::from_le_bytes(*tail));
        assert_eq!(tail.unwrap() as usize <= MAX_FRAME_BYTES, carried == 0);
        let length = u64::from(header.header_length);
        let place = Place::Commit { seq: 2, owner: header.owner(), position: length };
        let token = Token { place: Some(place), page_bytes: 0, ..token(&mut store, BACKWARDS, 19) };
        let before = commit_header(&store, 1).own_length();
        let expected =
            [format!("commit 2 0..{length}"), "commit 4 0..16384".to_owned(), format!("commit 1 0..{before}")];
        assert_eq!(followed(&mut store, &token, 5), expected);
    }
}

#[test]
fn a_missing_object_is_asked_for_once_before_the_read_starts_over() {
    let mut store = segments();
    for order in [FORWARDS, BACKWARDS] {
        let mut store = store.clone();
        let token = Token { page_bytes: 0, ..token(&mut store, order, 900) };
        store.objects.remove(&segment_name(0));
        let (start, end) = segment_block(&segments(), 0, 900);
        let range = if order == FORWARDS { start..start + MIN_ASK_BYTES } else { end - MIN_ASK_BYTES..end };
        let first = format!("segment 0 {}..{}", range.start, range.end);
        assert_eq!(missed(&mut store, &token), [first, "head".to_owned()]);
    }
    // Nothing lies before an object's first byte.
    let place = Some(Place::Segment { id: ObjectId { x: 1, id: 0 }, position: 0 });
    let token = Token { place, ..token(&mut store, BACKWARDS, 900) };
    let read = follow(&mut store, &token, 5).unwrap();
    assert_eq!((read.items[0].offset, read.continuation_misses), (900, 1));
    assert_eq!(asked(&store)[..2], ["head", "list"]);
}

#[test]
fn another_commit_of_the_same_name_is_not_read() {
    let other = written(
        &Layout { generation: 1, ..layout(vec![], vec![(10, 0), (10, 0), (700, 0), (10, 0)]) },
        &plain(730, 100),
    );
    for order in [FORWARDS, BACKWARDS] {
        let mut store = commits(0);
        let token = token(&mut store, order, 500);
        store.objects.insert(list_name().commit(2), other.objects[&list_name().commit(1_002)].clone());
        let asked = missed(&mut store, &token);
        assert!(asked.len() == 2 && asked[0].starts_with("commit 2 "), "{order:?} {asked:?}");
        assert_eq!(asked[1], "commit 4 0..16384");
    }
}

#[test]
fn a_damaged_or_shortened_object_is_asked_for_once_before_the_read_starts_over() {
    let body = |store: &TestStore| store.objects[&segment_name(0)].to_vec();
    // Where a length should be there is that of a block that is longer than what lies before it.
    let long = 1_000_000u32.to_le_bytes();
    let head = || "head".to_owned();

    let mut store = segments();
    let (start, end) = segment_block(&store, 0, 900);
    let forwards = token(&mut store, FORWARDS, 900);
    let backwards = Token { page_bytes: 0, ..token(&mut store, BACKWARDS, 900) };
    let mut cut = body(&store);
    cut.truncate(start as usize + 1_000);
    store.objects.insert(segment_name(0), cut.into());
    let ask = u64::from(forwards.page_bytes) * 17 / 16;
    assert_eq!(missed(&mut store, &forwards), [format!("segment 0 {start}..{}", start + ask), head()]);

    let mut store = segments();
    let mut cut = body(&store);
    cut.truncate(end as usize - 100);
    cut.extend(long);
    store.objects.insert(segment_name(0), cut.into());
    assert_eq!(missed(&mut store, &backwards), [format!("segment 0 {}..{end}", end - MIN_ASK_BYTES), head()]);

    let small = Layout { block_bytes: 4 << 10, ..layout(vec![(100, false)], vec![(10, 0)]) };
    let mut store = written(&small, &plain(110, 100));
    let token = token(&mut store, BACKWARDS, 5);
    let (_, end) = segment_block(&store, 0, 5);
    let mut damaged = body(&store);
    damaged[end as usize - 4..end as usize].copy_from_slice(&long);
    store.objects.insert(segment_name(0), damaged.into());
    assert_eq!(missed(&mut store, &token), [format!("segment 0 0..{end}"), head()]);
}

#[test]
fn an_object_is_the_same_by_its_id_or_by_number_and_owner() {
    let segment = |id, position| Place::Segment { id: ObjectId { x: 1, id }, position };
    let commit = |seq, owner: &[u8; 8], position| Place::Commit { seq, owner: BlockOwner(*owner), position };
    let places = [segment(1, 5), segment(2, 5), commit(1, b"somebody", 5), commit(2, b"somebody", 5)];
    let places = [&places[..], &[commit(1, b"somewhat", 5)]].concat();
    for (number, one) in places.iter().enumerate() {
        for (other_number, other) in places.iter().enumerate() {
            let elsewhere = match *other {
                Place::Segment { id, .. } => Place::Segment { id, position: 9 },
                Place::Commit { seq, owner, .. } => Place::Commit { seq, owner, position: 9 },
            };
            assert_eq!(same_object(one, Some(&elsewhere)), number == other_number, "{one:?} {elsewhere:?}");
        }
        assert!(!same_object(one, None));
    }
}

/// The page before ends with the commit's own blocks, exactly where its GET ended; what follows there are carried ones.
#[test]
fn a_page_that_begins_with_another_commit_is_no_miss() {
    let mut items = plain(42, 100);
    for (offset, length) in [(10, 20_000), (11, 80_000)] {
        items[offset].value = plain(1, length)[0].value.clone();
    }
    let mut store = written(&layout(vec![], vec![(5, 0), (5, 5), (2, 5), (10, 0), (10, 0), (10, 0)]), &items);
    let mut continuation = None;
    for offset in 7..14 {
        store.forget();
        let read = store.run(read_page(request(FORWARDS, 1, from(7), continuation))).unwrap();
        assert_eq!((read.items[0].offset, read.continuation_misses), (offset, 0));
        assert!(offset == 7 || store.counts().lists == 0, "offset {offset}: {:?}", asked(&store));
        continuation = read.continuation;
    }
}
