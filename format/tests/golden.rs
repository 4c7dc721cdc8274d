//! Version 1 stays readable, and is still what is written.

#![allow(clippy::unwrap_used, clippy::panic)] // a test from end to end

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::names::{KeyspaceName, ListName, Prefix};
use klstore_format::wire::block::decode_blocks;
use klstore_format::wire::commit::CommitHeader;
use klstore_format::wire::head::{HeadPage, IndexEntry};
use klstore_format::wire::keyspace::KeyspaceObject;
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::ledger::{Handover, LedgerPage};
use klstore_format::wire::segment::SegmentHeader;
use klstore_format::wire::token::Token;

#[path = "golden/list.rs"]
mod list;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn read(name: &str) -> Bytes {
    let path = folder().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn newest() -> (CommitHeader, Bytes) {
    let body = read(&list::name().commit(5));
    (CommitHeader::decode(&body, &list::name().hash()).unwrap(), body)
}

fn head() -> HeadPage {
    let index = newest().0.index.unwrap();
    let page = read(&list::name().index_page(index.id));
    assert_eq!(page.len() as u64, index.length);
    HeadPage::decode(&page, &list::name().hash(), index.id).unwrap()
}

fn leaf() -> LeafPage {
    let reference = head().leaves[0];
    let page = read(&list::name().index_page(reference.id));
    assert_eq!(page.len() as u64, reference.length);
    LeafPage::decode(&page, &list::name().hash(), reference.id).unwrap()
}

#[test]
fn the_newest_commit_knows_its_sources() {
    assert_eq!(*newest().0.sources, list::sources());
}

/// As a reader goes: the index's leaves, its open entries, the table's commits, the newest's own items.
#[test]
fn the_whole_list_is_read() {
    let (list, hash) = (list::name(), list::name().hash());
    let mut items = Vec::new();
    let mut add = |entry: &IndexEntry| {
        let body = read(&entry.name(&list));
        decode_blocks(&body, 0, &entry.blocks, entry.owner(&hash), &mut items).unwrap();
    };
    leaf().entries.iter().for_each(&mut add);
    head().open.iter().for_each(&mut add);
    let (newest, body) = newest();
    for entry in &newest.table {
        let body = read(&list.commit(entry.commit.seq));
        let header = CommitHeader::decode(&body, &hash).unwrap();
        assert!(entry.matches(&header));
        decode_blocks(&body, 0, &header.own_blocks, header.owner(), &mut items).unwrap();
    }
    decode_blocks(&body, 0, &newest.own_blocks, newest.owner(), &mut items).unwrap();
    assert_eq!(list::items_as_json(&items).as_bytes(), &read("items.ndjson")[..]);
    assert_eq!(items, list::items());
}

/// What whole writers left behind: trimmed in the middle of a segment and compacted, and trimmed to nothing.
#[test]
fn the_recorded_lists_are_read() {
    for (key, count) in [("kitchen", 333), ("cellar", 0)] {
        let list = ListName::new(&Prefix::new("").unwrap(), "sensors", key).unwrap();
        let hash = list.hash();
        let mut names: Vec<_> = fs::read_dir(folder().join(list.commits())).unwrap().collect();
        names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
        let body: Bytes = fs::read(names[0].as_ref().unwrap().path()).unwrap().into();
        let newest = CommitHeader::decode(&body, &hash).unwrap();
        let mut items = Vec::new();
        if newest.start < newest.before.end() {
            let index = newest.index.unwrap();
            let head = HeadPage::decode(&read(&list.index_page(index.id)), &hash, index.id).unwrap();
            assert!(head.leaves.is_empty());
            for entry in head.open.iter().filter(|entry| entry.run.end() > newest.start) {
                decode_blocks(&read(&entry.name(&list)), 0, &entry.blocks, entry.owner(&hash), &mut items).unwrap();
            }
        }
        for entry in newest.table.iter().filter(|entry| entry.run.end() > newest.start && entry.run.count > 0) {
            let body = read(&list.commit(entry.commit.seq));
            let header = CommitHeader::decode(&body, &hash).unwrap();
            assert!(entry.matches(&header));
            decode_blocks(&body, 0, &header.own_blocks, header.owner(), &mut items).unwrap();
        }
        decode_blocks(&body, 0, &newest.own_blocks, newest.owner(), &mut items).unwrap();
        items.retain(|item| item.offset >= newest.start);
        assert_eq!(items.len(), count);
        assert_eq!(list::items_as_json(&items).as_bytes(), &read(&format!("sensors.{key}.ndjson"))[..]);
    }
}

#[test]
fn every_commit_is_read_alone() {
    let (list, hash, all) = (list::name(), list::name().hash(), list::items());
    for seq in 0..6 {
        let body = read(&list.commit(seq));
        let header = CommitHeader::decode(&body, &hash).unwrap();
        assert_eq!(header.commit.seq, seq);
        assert_eq!(header.commit.handover, seq == 0 || seq == 2);
        assert_eq!(header.commit.complete, seq == 2);
        assert_eq!(header.length(), body.len() as u64);
        let mut items: Vec<Item> = Vec::new();
        decode_blocks(&body, 0, &header.carried_blocks, header.owner(), &mut items).unwrap();
        decode_blocks(&body, 0, &header.own_blocks, header.owner(), &mut items).unwrap();
        assert_eq!(items, all[header.carry_first as usize..header.next_offset() as usize]);
    }
}

#[test]
fn a_segment_says_what_its_index_entry_says() {
    let entry = leaf().entries.remove(0);
    let body = read(&entry.name(&list::name()));
    let header = SegmentHeader::decode(&body, &list::name().hash()).unwrap();
    assert_eq!((header.run, &header.blocks, header.length()), (entry.run, &entry.blocks, entry.length));
    assert!(header.blocks.len() > 1);
}

#[test]
fn the_ledger_has_every_handover() {
    let head = head();
    let reference = head.ledger_pages[0];
    let page = read(&list::name().index_page(reference.id));
    let ledger = LedgerPage::decode(&page, &list::name().hash(), reference.id).unwrap();
    let handovers: Vec<_> = ledger.handovers.into_iter().chain(head.handovers).collect();
    let expected = [(0, list::SESSION_A), (2, list::SESSION_B)].map(|(seq, session)| Handover { seq, session });
    assert_eq!(handovers, expected);
}

#[test]
fn the_keyspace_and_the_tokens_are_read() {
    let list = list::name();
    let (keyspace, name) = (KeyspaceName::new(list.keyspace()).unwrap(), list.keyspace_object());
    let keyspace = KeyspaceObject::decode(&read(&name), &keyspace, &name).unwrap();
    assert_eq!((keyspace.keyspace.as_str(), keyspace.created_timestamp), ("flights", 1_357_000_000_000));

    let segment = read(&leaf().entries[0].name(&list));
    let segment = SegmentHeader::decode(&segment, &list.hash()).unwrap();
    let text = String::from_utf8(read("tokens.txt").to_vec()).unwrap();
    let expected = list::token_fields(&segment, &newest().0);
    assert_eq!(text.lines().count(), expected.len());
    for (line, token) in text.lines().zip(expected) {
        assert_eq!(Token::decode(line, &list.hash(), token.order), Ok(token));
    }
}

/// Byte for byte; of the Zstandard commit only the header's parts, since libraries differ in how they compress.
#[test]
fn the_same_bytes_are_still_written() {
    let zstd_commit = list::name().commit(list::ZSTD_COMMIT);
    for (name, bytes) in list::objects(Some(read(&zstd_commit))) {
        assert!(bytes == read(&name), "{name} is written differently now");
    }
    let fresh = list::objects(None);
    assert!(fresh[&zstd_commit].len().abs_diff(read(&zstd_commit).len()) < 200);
}

/// The examples of docs/FORMAT.md are these files: each line of a ```` ```hex FILE ```` block is an offset, bytes and,
/// after a bar, what they are.
#[test]
fn the_examples_of_the_specification_are_these_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMAT.md");
    let text = fs::read_to_string(path).unwrap();
    let mut files = BTreeMap::new();
    let mut current: Option<&str> = None;
    for line in text.lines() {
        if let Some(file) = line.strip_prefix("```hex ") {
            current = Some(file);
        } else if line.starts_with("```") {
            current = None;
        } else if let Some(file) = current {
            let bytes = files.entry(file).or_insert_with(|| read(file));
            let (offset, rest) = line.split_once("  ").expect("an offset and bytes");
            let offset = usize::from_str_radix(offset, 16).expect("a hexadecimal offset");
            let hex = rest.split('|').next().unwrap_or_default();
            let expected: Vec<_> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
            assert_eq!(bytes.get(offset..offset + expected.len()), Some(&expected[..]), "{file}: {line}");
        }
    }
    assert!(files.len() >= 3, "the specification has examples");
}
