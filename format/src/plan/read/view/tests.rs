//! What is fetched of a snapshot, what is known without fetching, and what is not believed.

use super::*;
use crate::error::FormatError;
use crate::item::{Item, ItemFilter};
use crate::plan::read::test_list::{Layout, asked, commit_header, create_keyspace, list_name};
use crate::plan::read::tests::{from, layout, page, plain, request};
use crate::plan::read::{Page, read_page};
use crate::plan::test_store::TestStore;
use crate::wire::identity::{BlockOwner, CommitIdentity, SessionId};
use crate::wire::run::Run;
use crate::wire::token::Token;

const FORWARDS: IterationOrder = IterationOrder::Forwards;
const BACKWARDS: IterationOrder = IterationOrder::Backwards;

/// Commit 7 with items 500..600 in 70,000 bytes, its header of 1,000 bytes in front.
fn entry() -> TableEntry {
    let commit = CommitIdentity { seq: 7, session: SessionId(1), put_id: 0, handover: false, complete: false };
    let run = Run { count: 100, ..Run::empty(500, 0, 0) };
    TableEntry { commit, run, carry_first: 500, header_length: 1_000, own_length: 70_000, length: 70_000 }
}

fn view() -> View {
    View::of_index(&Port::default(), &list_name(), None)
}

#[test]
fn a_commit_has_a_boundary_at_each_end_and_where_reading_stopped() {
    let (mut view, entry) = (view(), entry());
    let known = |view: &View, order| {
        let boundary = |next| view.boundary(&entry, order, next).map(|position| (next, position));
        [499, 500, 501, 550, 551, 598, 599, 600].into_iter().filter_map(boundary).collect::<Vec<_>>()
    };
    assert_eq!(known(&view, FORWARDS), [(500, 1_000)]);
    assert_eq!(known(&view, BACKWARDS), [(599, 70_000)]);
    view.note_boundary(7, Boundary::At { next: 550, position: 30_000 });
    assert_eq!(known(&view, FORWARDS), [(500, 1_000), (550, 30_000)]);
    assert_eq!(known(&view, BACKWARDS), [(550, 30_000), (599, 70_000)]);
    // Nothing where its blocks could not be read: the header is asked then.
    view.note_boundary(7, Boundary::Unknown);
    assert_eq!(known(&view, FORWARDS), []);
    assert_eq!(known(&view, BACKWARDS), []);
}

#[test]
fn a_token_points_into_a_commit_that_is_complete_or_above_64_kib() {
    let (view, large) = (view(), entry());
    let owner = large.owner(&list_name().hash());
    for (own_length, complete, points) in
        [(65_536, false, false), (65_537, false, true), (65_536, true, true), (70_000, true, true)]
    {
        let entry = TableEntry { own_length, commit: CommitIdentity { complete, ..large.commit }, ..large };
        for (order, next, position) in [(FORWARDS, 500, 1_000), (BACKWARDS, 599, own_length)] {
            let place = points.then_some(Place::Commit { seq: 7, owner, position });
            assert_eq!(view.place_at_boundary(order, next, &entry), place, "{own_length} {complete}");
            assert_eq!(view.place_at_boundary(order, 550, &entry), None);
        }
    }
}

#[test]
fn every_index_page_is_fetched_once() {
    let mut store = TestStore::default();
    let layout = Layout { leaf_entries: 2, ..layout(vec![(10, false); 6], vec![(10, 0)]) };
    layout.write(&mut store, &plain(70, 10));
    // A nonce in the first leaf, and a timestamp in the second that the page starts at.
    let filter = ItemFilter { start_nonce: Some(10), start_timestamp: Some(205), ..ItemFilter::default() };
    assert_eq!(page(&mut store, FORWARDS, 1, filter).items[0].offset, 21);
    let asked = asked(&store);
    assert_eq!(asked[2..5], ["head", "leaf 1", "leaf 0"]);
    assert!(asked[5].starts_with("segment 2 ") && asked.len() == 6, "{asked:?}");
}

#[test]
fn a_leaf_that_begins_or_ends_elsewhere_is_damaged() {
    let layout = Layout { leaf_entries: 3, ..layout(vec![(10, false); 4], vec![(10, 0)]) };
    let id = ObjectId { x: 4, id: 1_000 };
    let name = list_name().index_page(id);
    for kept in [0..3, 0..2, 1..3] {
        let mut store = TestStore::default();
        layout.write(&mut store, &plain(50, 10));
        let mut leaf = LeafPage::decode(&store.objects[&name], &list_name().hash(), id).unwrap();
        leaf.entries = leaf.entries[kept.clone()].to_vec();
        store.objects.insert(name.clone(), leaf.encode().unwrap());
        let read = store.run(read_page(request(FORWARDS, 1, from(15), None)));
        let reason = "it does not hold the items that the head page says";
        match kept.len() {
            3 => assert_eq!(read.unwrap().items[0].offset, 15),
            _ => assert_eq!(read, Err(CorruptObject { object: name.clone(), reason }.into())),
        }
    }
}

/// Reads an item of a list whose newest commit is of so many bytes; what was asked for.
fn asked_for(store: &mut TestStore, offset: u64) -> Vec<String> {
    store.forget();
    assert_eq!(page(store, FORWARDS, 1, from(offset)).items[0].offset, offset);
    asked(store)
}

#[test]
fn the_rest_of_a_small_newest_commit_is_fetched_for_its_own_and_carried_items() {
    let mut store = TestStore::default();
    // Segment 0..100, commit 100..200, newest commit 200..400 that carries 150..200.
    layout(vec![(100, false)], vec![(100, 0), (0, 50)]).write(&mut store, &plain(400, 100));
    let length = commit_header(&store, 2).length();
    assert!((16_384..65_536).contains(&length));
    let (first, rest) = ("commit 2 0..16384".to_owned(), format!("commit 2 16384..{length}"));
    for offset in [150, 199, 200, 399] {
        assert_eq!(asked_for(&mut store, offset), ["list", &first, &rest], "{offset}");
    }
    for offset in [100, 149] {
        let own = format!("commit 1 0..{}", commit_header(&store, 1).own_length());
        assert_eq!(asked_for(&mut store, offset), ["list", &first, &own], "{offset}");
    }
}

/// Eight items in a newest commit of exactly so many bytes.
fn newest_of(length: u64) -> TestStore {
    let mut items: Vec<Item> = plain(8, 8_000);
    let last = [&items[6].value[..], &items[7].value[..]].concat();
    let mut store = TestStore::default();
    let mut write = |last_bytes: usize| {
        items[7].value = last[..last_bytes].to_vec().into();
        layout(vec![], vec![(8, 0)]).write(&mut store, &items);
        commit_header(&store, 0).length()
    };
    let missing = length - write(9_000);
    assert_eq!(write(9_000 + missing as usize), length);
    store
}

#[test]
fn a_newest_commit_of_64_kib_is_small() {
    let (first, rest) = ("commit 0 0..16384".to_owned(), "commit 0 16384..65536".to_owned());
    assert_eq!(asked_for(&mut newest_of(65_536), 7), ["list", &first, &rest]);
    let mut store = newest_of(65_537);
    let block = *commit_header(&store, 0).own_blocks.last().unwrap();
    let block = format!("commit 0 {}..{}", block.position, block.end_position());
    assert_eq!(asked_for(&mut store, 7), ["list", &first, &block]);
}

#[test]
fn a_newest_commit_that_got_shorter_while_it_was_read_is_loaded_anew() {
    let mut store = newest_of(65_536);
    let mut cut = false;
    let read = store.run_with(read_page(request(FORWARDS, 1, from(7), None)), |store, request| {
        let mut answer = store.answer(request);
        if let (Request::Get { range: Some(ByteRange { start: 16_384, .. }), .. }, Answer::Got(object), false) =
            (request, &mut answer, cut)
        {
            object.body.truncate(object.body.len() - 1);
            cut = true;
        }
        answer
    });
    assert_eq!(read.unwrap().items[0].offset, 7);
    let once = ["list", "commit 0 0..16384", "commit 0 16384..65536"];
    assert_eq!(asked(&store), [once, once].concat());
}

#[test]
fn a_token_finds_its_snapshot_by_owner_and_index() {
    let items = plain(50, 10);
    let mut store = TestStore::default();
    create_keyspace(&mut store);
    layout(vec![(10, false)], vec![(10, 0), (10, 0), (10, 0)]).write(&mut store, &items);
    let hash = list_name().hash();
    let first = page(&mut store, FORWARDS, 5, from(10)).continuation.unwrap();
    let token = Token { place: None, ..Token::decode(&first, &hash, FORWARDS).unwrap() };
    let other_owner = NewestCommit { owner: BlockOwner(*b"somebody"), ..token.newest };
    let other_index = token.index.map(|index| IndexReference { length: index.length + 1, ..index });
    for (token, misses) in [
        (token, 0),
        (Token { newest: other_owner, ..token }, 1),
        (Token { index: other_index, ..token }, 1),
        (Token { index: None, ..token }, 1),
    ] {
        store.forget();
        let read: Result<Page, FormatError> =
            store.run(read_page(request(FORWARDS, 5, from(0), Some(token.encode(&hash)))));
        let read = read.unwrap();
        assert_eq!((read.items, read.continuation_misses), (items[15..20].to_vec(), misses), "{token:?}");
        assert_eq!(store.counts().lists as u64, misses);
    }
}

#[test]
fn a_page_in_a_large_commit_of_the_table_points_to_where_it_ended() {
    let mut store = TestStore::default();
    layout(vec![], vec![(700, 0), (700, 0), (700, 0), (10, 0)]).write(&mut store, &plain(2_110, 100));
    for order in [FORWARDS, BACKWARDS] {
        // From its end, and from the middle.
        for start in [if order == FORWARDS { 700 } else { 1_399 }, 1_050] {
            let first = page(&mut store, order, 100, from(start));
            store.forget();
            let next = store.run(read_page(request(order, 100, from(0), first.continuation))).unwrap();
            let expected = if order == FORWARDS { start + 100 } else { start - 100 };
            assert_eq!((next.items[0].offset, next.items.len()), (expected, 100));
            let asked = asked(&store);
            assert!(asked.iter().all(|asked| asked.starts_with("commit 1 ")), "{asked:?}");
        }
    }
}
