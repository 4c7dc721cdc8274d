//! Objects that mean harm, their checksums in order, in little memory: what is asked of such a list ends, with an error
//! or a bounded answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is part of tests")]

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::names::ListName;
use klstore_format::wire::block::{BlockEntry, BlockOptions, encode_blocks};
use klstore_format::wire::commit::{CommitHeader, IndexReference, encode_commit};
use klstore_format::wire::compression::Codec;
use klstore_format::wire::cursor::Write as _;
use klstore_format::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use klstore_format::wire::identity::{BlockOwner, CommitIdentity, ObjectId};
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::ledger::LedgerReference;
use klstore_format::wire::preamble::{HeaderWriter, Kind};
use klstore_format::wire::run::Run;
use klstore_fuzz::list::{Call, LISTS, Seen, Start, ask};
use klstore_fuzz::seal;
use klstore_fuzz::store::Objects;

fn calls() -> Vec<Call> {
    let pages = |backwards, start| Call::Pages { backwards, max_size: 200, start };
    let nothing = Start::default();
    vec![
        pages(false, nothing),
        pages(true, nothing),
        pages(false, Start { offset: Some(14), ..nothing }),
        pages(true, Start { timestamp: Some(1_357_200_000_000), ..nothing }),
        pages(true, Start { nonce: Some(8), ..nothing }),
        Call::Key,
        Call::Timeline { from: None, to: Some(1_357_200_000_000) },
        Call::Follow { offset: Some(6) },
        Call::Verify,
        Call::Sweep,
        Call::Write { count: 2 },
    ]
}

/// Every call ends, and keeps what holds of any answer.
fn all_end(objects: &Objects, list: &ListName) {
    for call in calls() {
        let _ = ask(&mut objects.clone(), list, &call);
    }
}

/// In every place of every header: a number that is as large as can be, and others at the edges.
#[test]
fn numbers_at_the_edges_anywhere() {
    let numbers = [u64::MAX, u64::MAX - 1, 1 << 63, u64::from(u32::MAX), 1 << 24, 0];
    let mut forged = 0;
    for list in [&LISTS.golden, &LISTS.trimmed] {
        let folder = list.commits().replace("log/", "");
        for (name, whole) in LISTS.objects.iter().filter(|(name, _)| name.starts_with(&folder)) {
            let Some(sections) = seal::sections(whole) else { continue };
            let mut objects = LISTS.objects.clone();
            for (at, (_, section)) in sections.iter().enumerate() {
                for place in 0..section.len() {
                    for number in numbers {
                        let mut sections = sections.clone();
                        let mut varint = Vec::new();
                        varint.put_varint(number);
                        sections[at].1.splice(place..=place, varint);
                        let mut object = seal::with_sections(whole, &sections);
                        seal::header(&mut object, None, None);
                        objects.insert(name.clone(), object.into());
                        // Each of the calls looks at other parts; all of them at each place would take minutes.
                        let calls = calls();
                        for call in [&calls[forged % calls.len()], &calls[(forged / 7) % calls.len()]] {
                            let _ = ask(&mut objects.clone(), list, call);
                        }
                        forged += 1;
                    }
                }
            }
        }
    }
    println!("  {forged} forged objects");
    assert!(forged > 1_000);
}

/// Each object of a list, in the place of each other one, of its own list or of another: an error, or what was there.
#[test]
fn objects_of_another_list_or_place() {
    let list = &LISTS.trimmed;
    let own = |name: &&String| name.contains("/trimmed/");
    let calls = calls();
    let undamaged: Vec<Seen> =
        calls.iter().map(|call| ask(&mut LISTS.objects.clone(), list, call).expect("a sound list")).collect();
    let (mut swaps, mut refused) = (0, 0);
    for name in LISTS.objects.keys().filter(own) {
        for (other, body) in
            LISTS.objects.iter().filter(|(other, body)| *other != name && **body != LISTS.objects[name])
        {
            let mut objects = LISTS.objects.clone();
            objects.insert(name.clone(), body.clone());
            swaps += 1;
            for (call, undamaged) in calls.iter().zip(&undamaged) {
                match ask(&mut objects.clone(), list, call) {
                    Ok(_) if matches!(call, Call::Verify | Call::Sweep) => {}
                    Ok(seen) => assert_eq!(&seen, undamaged, "{other} in the place of {name}: {call:?}"),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    println!("  {swaps} objects in the place of others, {refused} answers are errors");
    assert!(refused > swaps);
}

/// Pages that refer to themselves and to each other, and entries that refer to the newest commit.
#[test]
fn cycles_in_the_index() {
    let list = &LISTS.golden;
    let (newest, head) = newest_and_head();
    let (leaf_id, head_id) = (head.leaves[0].id, head.id);
    let entry = |source, like: &IndexEntry| IndexEntry { source, ..like.clone() };
    let commit = entry(Source::Commit(newest.commit), &head.open[0]);
    let segment = Source::Segment { id: head_id, complete: true };
    let heads = [
        // The head page as its own leaf, in the length that it then has.
        HeadPage { leaves: vec![LeafReference { id: head_id, ..head.leaves[0] }], ..head.clone() },
        // Its leaf over and over.
        HeadPage { leaves: follow_each_other(&head, 200), open: Vec::new(), ..head.clone() },
        // The newest commit, whose index this is; the page itself as a segment.
        HeadPage { open: vec![commit.clone()], ..head.clone() },
        HeadPage { open: vec![entry(segment, &head.open[0])], ..head.clone() },
        HeadPage { ledger_pages: vec![reference_to(&head, head_id), reference_to(&head, leaf_id)], ..head.clone() },
    ];
    for head in heads {
        let mut objects = LISTS.objects.clone();
        refer_to_head(&mut objects, &newest, &head, head.encode().expect("small"));
        all_end(&objects, list);
        // The leaf, too, refers to the newest commit.
        let leaf = LeafPage { list: list.hash(), id: leaf_id, entries: vec![commit.clone()] };
        objects.insert(list.index_page(leaf_id), leaf.encode().expect("small"));
        all_end(&objects, list);
    }
}

fn reference_to(head: &HeadPage, id: ObjectId) -> LedgerReference {
    LedgerReference { id, first_seq: id.id as u64 % 2, ..head.ledger_pages[0] }
}

fn follow_each_other(head: &HeadPage, count: usize) -> Vec<LeafReference> {
    let mut run = head.leaves[0].run;
    let references = (0..count).map(|_| {
        let reference = LeafReference { run, ..head.leaves[0] };
        let before = run.after();
        run = Run { first: before.first, next_nonce: before.next_nonce, ..run };
        reference
    });
    references.collect()
}

fn newest_and_head() -> (CommitHeader, HeadPage) {
    let list = &LISTS.golden;
    let newest = CommitHeader::decode(&LISTS.objects[&list.commit(5)], &list.hash()).unwrap();
    let id = newest.index.unwrap().id;
    let head = HeadPage::decode(&LISTS.objects[&list.index_page(id)], &list.hash(), id).unwrap();
    (newest, head)
}

/// Puts the head page, and its length into the newest commit.
fn refer_to_head(objects: &mut Objects, newest: &CommitHeader, head: &HeadPage, body: Bytes) {
    let list = &LISTS.golden;
    let old = newest.index.unwrap();
    let name = list.commit(newest.commit.seq);
    let mut sections = seal::sections(&objects[&name]).unwrap();
    let (mut from, mut to) = (old.id.id.to_le_bytes().to_vec(), old.id.id.to_le_bytes().to_vec());
    from.put_varint(old.length);
    to.put_varint(body.len() as u64);
    for (_, section) in &mut sections {
        if let Some(at) = section.windows(from.len()).position(|window| window == from) {
            section.splice(at..at + from.len(), to.clone());
        }
    }
    let mut commit = seal::with_sections(&objects[&name], &sections);
    seal::header(&mut commit, None, None);
    let read = CommitHeader::decode(&commit, &list.hash()).expect("the reference is replaced");
    assert_eq!(read.index.unwrap().length, body.len() as u64);
    objects.insert(name, commit.into());
    objects.insert(list.index_page(head.id), body);
}

/// A commit with the last number that there is, and one with the last offset: nothing can follow them.
#[test]
fn the_last_number() {
    let list = &LISTS.golden;
    let (newest, _) = newest_and_head();
    let last = |seq, end: u64| {
        let run = Run::empty(end, 9, 0);
        let commit = CommitIdentity { seq, ..newest.commit };
        let (own_blocks, carried_blocks, table) = (Vec::new(), Vec::new(), Vec::new());
        let header = CommitHeader {
            commit,
            run,
            carry_first: end,
            covered: seq,
            start: end,
            before: run,
            table,
            own_blocks,
            carried_blocks,
            ..newest.clone()
        };
        let commit = encode_commit(header, &[], &[], &BlockOptions::default()).expect("small");
        Objects::from([
            (list.commit(seq), commit.body),
            (list.keyspace_object(), LISTS.objects[&list.keyspace_object()].clone()),
        ])
    };
    for objects in [last(u64::MAX, 7), last(9, u64::MAX), last(u64::MAX - 1, u64::MAX - 1), last(u64::MAX - 1, 7)] {
        all_end(&objects, list);
        let written = ask(&mut objects.clone(), list, &Call::Write { count: 3 });
        assert!(written.is_err() || written == Ok(Seen::Written(Some(10))), "{written:?}");
    }
}

/// A segment of some kilobytes that unpacks to tens of millions of items without a byte, each of which takes eighty once
/// it is in memory.
#[test]
fn a_segment_of_bombs() {
    let list = &LISTS.golden;
    let (newest, head) = newest_and_head();
    let id = ObjectId { x: 3, id: 0xb0 };
    let owner = BlockOwner::of_segment(&list.hash(), &id);
    let blocks = 400u64;
    let (frame, per_block) = bomb(owner);
    let count = blocks * u64::from(per_block);
    let before = Run::empty(0, i64::MIN, 0);
    let run = Run {
        first: 0,
        count,
        value_bytes: 0,
        min_timestamp: 5,
        max_timestamp: 5,
        running_max_timestamp: 5,
        next_nonce: 0,
    };
    let mut directory = Vec::new();
    let mut body = Vec::new();
    for block in 0..blocks {
        let first = block * u64::from(per_block);
        let mut frame = frame.clone();
        frame[17..25].copy_from_slice(&first.to_le_bytes());
        let end = frame.len() - 4;
        let sum = crc32c::crc32c(&frame[8..end]);
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
        directory.push(BlockEntry {
            position: body.len() as u64,
            length: frame.len() as u32,
            first,
            count: per_block,
            running_max_timestamp: 5,
            next_nonce: 0,
        });
        body.extend_from_slice(&frame);
    }
    let header = segment_header(list, id, &run, &directory);
    directory.iter_mut().for_each(|block| block.position += header.len() as u64);
    let object = [header.clone(), body].concat();
    println!("  a segment of {} bytes with {count} items", object.len());
    assert!(object.len() < 200_000);
    let entry = IndexEntry {
        source: Source::Segment { id, complete: false },
        run,
        header_length: header.len() as u32,
        length: object.len() as u64,
        blocks: directory,
    };
    // What follows in the table would have to follow in offsets too: a list of the index alone.
    let mut objects = LISTS.objects.clone();
    objects.retain(|name, _| !name.contains("/log/"));
    let head = HeadPage { id: ObjectId { x: 5, ..head.id }, leaves: Vec::new(), open: vec![entry], before, ..head };
    let body = head.encode().expect("one entry");
    let index = IndexReference { id: head.id, length: body.len() as u64 };
    let commit = CommitHeader {
        run: run.after(),
        carry_first: run.end(),
        covered: 5,
        index: Some(index),
        start: 0,
        before: run.after(),
        table: Vec::new(),
        own_blocks: Vec::new(),
        carried_blocks: Vec::new(),
        ..newest
    };
    let commit = encode_commit(commit, &[], &[], &BlockOptions::default()).expect("small");
    objects.insert(list.commit(5), commit.body);
    objects.insert(list.index_page(head.id), body);
    objects.insert(list.segment(id), object.into());
    for call in calls() {
        let answer = ask(&mut objects.clone(), list, &call);
        match (&call, answer) {
            (Call::Pages { backwards: false, start: Start { offset: None, .. }, .. }, Ok(Seen::Items(items))) => {
                assert_eq!(items.len(), 300 * 200, "such a list can be read");
            }
            (Call::Pages { backwards: false, .. }, other) => assert!(other.is_ok(), "{other:?}"),
            _ => {}
        }
    }
}

/// The frame of one block with as many items as can be.
fn bomb(owner: BlockOwner) -> (Vec<u8>, u32) {
    let item = |offset| Item { offset, timestamp: 5, nonce: None, value: Bytes::new() };
    let items: Vec<Item> = (0..1 << 16).map(item).collect();
    let options = BlockOptions { codec: Codec::Zstd, plain_bytes: 1 << 24 };
    let (mut out, before) = (Vec::new(), Run::empty(0, i64::MIN, 0));
    let entries = encode_blocks(owner, &before, &items, &options, 0, &mut out);
    out.truncate(entries[0].length as usize);
    (out, entries[0].count)
}

/// The header of a segment, of parts that nobody would write together.
fn segment_header(list: &ListName, id: ObjectId, run: &Run, blocks: &[BlockEntry]) -> Vec<u8> {
    let mut header = HeaderWriter::new(Kind::Segment, &list.hash());
    header.section(1, |out| {
        out.put_varint(id.x);
        out.extend_from_slice(&id.id.to_le_bytes());
        out.push(0);
    });
    header.section(2, |out| {
        // The state before, then the run, then the directory.
        out.put_varint(run.first);
        out.put_signed(i64::MIN);
        out.put_wide_varint(0);
        out.put_varint(run.count);
        out.put_varint(run.value_bytes);
        out.put_signed(run.min_timestamp.wrapping_sub(i64::MIN));
        out.put_varint((run.max_timestamp - run.min_timestamp) as u64);
        out.put_wide_varint(0);
        out.put_varint(blocks.len() as u64);
        let (last, others) = blocks.split_last().unwrap();
        let mut running = i64::MIN;
        for block in others {
            out.put_varint(u64::from(block.length));
            out.put_varint(u64::from(block.count));
            out.put_varint(block.running_max_timestamp.wrapping_sub(running) as u64);
            out.put_wide_varint(0);
            running = block.running_max_timestamp;
        }
        out.put_varint(u64::from(last.length));
    });
    header.finish()
}
