//! The head page of an index: all of it that changes.
//!
//! Sections: 1 identity; 2 references to full leaves; 3 the open leaf's entries; 4 references to ledger pages; 5 the
//! newest handovers. All are required where they are present; 2 to 5 are left out where they would be empty.

use bytes::Bytes;
use thiserror::Error;

use super::Malformed;
use super::cursor::{Reader, Write};
use super::identity::{ListHash, ObjectId};
pub use super::index_entry::{IndexEntry, Source};
use super::index_entry::{
    check_bytes, check_count, check_page, read_entries, read_page_id, write_entries, write_page_id,
};
pub use super::ledger::{Handover, LedgerReference};
use super::ledger::{read_handovers, read_references, write_handovers, write_references};
use super::preamble::{Header, HeaderWriter, Kind};
use super::run::Run;
use crate::limits::{MAX_LEAF_ENTRIES, MAX_LEDGER_PAGES, MAX_OPEN_HANDOVERS, MAX_PAGE_BYTES, MAX_ROOT_ENTRIES};

const IDENTITY: u16 = 1;
const LEAVES: u16 = 2;
const OPEN: u16 = 3;
const LEDGER_PAGES: u16 = 4;
const HANDOVERS: u16 = 5;

/// A full leaf, as the head page names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafReference {
    /// Its name parts.
    pub id: ObjectId,
    /// Bytes of the page.
    pub length: u64,
    /// Its entries.
    pub entries: u32,
    /// All items of its entries.
    pub run: Run,
}

/// The page that a commit refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadPage {
    /// The list it belongs to.
    pub list: ListHash,
    /// Its name parts; `id.x` is C, below which all commits are covered.
    pub id: ObjectId,
    /// The state of the list before the index's first item: an empty run at its offset. Once a trim has dropped
    /// everything before it, nothing else tells the running maximum and next nonce there.
    pub before: Run,
    /// The full leaves, in order of offsets.
    pub leaves: Vec<LeafReference>,
    /// The entries after the leaves.
    pub open: Vec<IndexEntry>,
    /// The handover ledger's pages, in order of seq.
    pub ledger_pages: Vec<LedgerReference>,
    /// The newest handovers below C, in order of seq.
    pub handovers: Vec<Handover>,
}

/// An index page that would be larger than the format allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an index page would hold {count} {what}, {limit} at most: the list cannot be indexed further")]
pub struct PageTooLarge {
    /// Of what there is too much.
    pub what: &'static str,
    /// How much.
    pub count: u64,
    /// How much is allowed.
    pub limit: u64,
}

impl HeadPage {
    /// Offset of the first item in the index; `None` where it has no items.
    pub fn first_offset(&self) -> Option<u64> {
        let first = self.leaves.first().map(|leaf| &leaf.run).or(self.open.first().map(|entry| &entry.run));
        first.map(|run| run.first)
    }

    /// One after the last item in the index; `None` where it has no items.
    pub fn next_offset(&self) -> Option<u64> {
        let last = self.open.last().map(|entry| &entry.run).or(self.leaves.last().map(|leaf| &leaf.run));
        last.map(Run::end)
    }

    /// The page's bytes.
    ///
    /// # Errors
    /// [`PageTooLarge`] where it would hold more than readers take.
    pub fn encode(&self) -> Result<Bytes, PageTooLarge> {
        check_count("references to leaves", self.leaves.len(), MAX_ROOT_ENTRIES)?;
        check_count("entries", self.open.len(), MAX_LEAF_ENTRIES)?;
        check_count("references to ledger pages", self.ledger_pages.len(), MAX_LEDGER_PAGES)?;
        check_count("handovers", self.handovers.len(), MAX_OPEN_HANDOVERS)?;
        let mut header = HeaderWriter::new(Kind::Head, &self.list);
        header.section(IDENTITY, |out| {
            write_page_id(&self.id, 0, out);
            self.before.write_state(out);
        });
        if !self.leaves.is_empty() {
            header.section(LEAVES, |out| write_leaves(&self.before, &self.leaves, out));
        }
        if !self.open.is_empty() {
            let before = self.leaves.last().map_or(self.before, |leaf| leaf.run.after());
            header.section(OPEN, |out| write_entries(&before, &self.open, out));
        }
        if !self.ledger_pages.is_empty() {
            header.section(LEDGER_PAGES, |out| write_references(&self.ledger_pages, out));
        }
        if !self.handovers.is_empty() {
            header.section(HANDOVERS, |out| write_handovers(&self.handovers, out));
        }
        check_bytes(header.finish())
    }

    /// Reads the page `id` of a list.
    ///
    /// # Errors
    /// [`Malformed`] where it is damaged, another page, newer, or contradicts itself.
    pub fn decode(bytes: &Bytes, list: &ListHash, id: ObjectId) -> Result<Self, Malformed> {
        let mut header = Header::open(bytes, Kind::Head, list, MAX_PAGE_BYTES as usize)?;
        let mut identity = check_page(&mut header, IDENTITY, bytes.len(), id)?;
        let before = Run::read_state(&mut identity)?;
        identity.finish()?;
        let leaves = header.take(LEAVES).map_or(Ok(Vec::new()), |section| read_leaves(&before, section))?;
        let open_before = leaves.last().map_or(before, |leaf| leaf.run.after());
        let open = header.take(OPEN).map_or(Ok(Vec::new()), |section| read_entries(&open_before, section))?;
        let ledger_pages = header.take(LEDGER_PAGES).map_or(Ok(Vec::new()), read_references)?;
        let handovers =
            header.take(HANDOVERS).map_or(Ok(Vec::new()), |section| read_handovers(MAX_OPEN_HANDOVERS, section))?;
        header.finish()?;
        Ok(Self { list: *list, id, before, leaves, open, ledger_pages, handovers })
    }
}

fn write_leaves(before: &Run, leaves: &[LeafReference], out: &mut Vec<u8>) {
    out.put_varint(leaves.len() as u64);
    let (mut before, mut last_x) = (*before, 0);
    for leaf in leaves {
        write_page_id(&leaf.id, last_x, out);
        out.put_varint(leaf.length);
        out.put_varint(u64::from(leaf.entries));
        leaf.run.write_after(&before, out);
        (before, last_x) = (leaf.run, leaf.id.x);
    }
}

fn read_leaves(before: &Run, mut section: Reader<'_>) -> Result<Vec<LeafReference>, Malformed> {
    // An id, two lengths and a run take more than this.
    const LEAST_BYTES: usize = 20;
    let count = section.count(MAX_ROOT_ENTRIES, LEAST_BYTES)?;
    let (mut before, mut last_x) = (*before, 0);
    let mut leaves = Vec::with_capacity(count);
    for _ in 0..count {
        let id = read_page_id(last_x, &mut section)?;
        let length = section.varint()?;
        let entries = section.varint_u32()?;
        let run = Run::read_after(&before, &mut section)?;
        let possible = run.count > 0
            && (1..=MAX_PAGE_BYTES).contains(&length)
            && (1..=MAX_LEAF_ENTRIES).contains(&(entries as usize));
        if !possible {
            return Err(Malformed::Corrupt("a reference to a leaf is impossible"));
        }
        leaves.push(LeafReference { id, length, entries, run });
        (before, last_x) = (run, id.x);
    }
    section.finish()?;
    Ok(leaves)
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{self, changes, entries, forged, list, no_damage_is_believed, object_id, runs};
    use super::super::identity::SessionId;
    use super::*;
    use proptest::prelude::*;

    fn leaves(before: Run) -> impl Strategy<Value = Vec<LeafReference>> {
        let parts = prop::collection::vec((object_id(), 0..MAX_PAGE_BYTES, 1..=1_024u32), 10);
        (runs(before, 1, 0..10), parts).prop_map(|(runs, parts)| {
            let leaf = |(run, (id, length, entries))| LeafReference { id, length, entries, run };
            runs.into_iter().zip(parts).map(leaf).collect()
        })
    }

    fn page() -> impl Strategy<Value = HeadPage> {
        let index = arbitrary::state().prop_flat_map(|before| (Just(before), leaves(before))).prop_flat_map(
            |(before, leaves)| {
                let open = leaves.last().map_or(before, |leaf| leaf.run.after());
                (Just(before), Just(leaves), entries(open, 0..12))
            },
        );
        let handovers = prop::collection::btree_map(any::<u64>(), (0..5u128).prop_map(SessionId), 0..20);
        let page = (object_id(), 0..9_000u64, 1..8_000u32);
        let ledger_pages = prop::collection::btree_map(any::<u64>(), page, 0..9);
        (index, handovers, ledger_pages, object_id()).prop_map(
            |((before, leaves, open), handovers, ledger_pages, id)| HeadPage {
                list: list(),
                id,
                before,
                leaves,
                open,
                ledger_pages: ledger_pages
                    .into_iter()
                    .map(|(first_seq, (id, length, count))| LedgerReference { id, length, first_seq, count })
                    .collect(),
                handovers: handovers.into_iter().map(|(seq, session)| Handover { seq, session }).collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn a_head_page_comes_back(page in page()) {
            let bytes = page.encode().unwrap();
            prop_assert_eq!(&HeadPage::decode(&bytes, &page.list, page.id).unwrap(), &page);
            let another = ObjectId { x: page.id.x, id: !page.id.id };
            prop_assert!(HeadPage::decode(&bytes, &page.list, another).is_err());
        }

        #[test]
        fn a_forged_page_is_an_error_or_without_gaps(page in page(), changes in changes()) {
            let bytes = forged(&page.encode().unwrap(), &changes);
            if let Ok(read) = HeadPage::decode(&bytes, &page.list, page.id) {
                let mut end = read.before.first;
                let runs = read.leaves.iter().map(|leaf| leaf.run).chain(read.open.iter().map(|entry| entry.run));
                for run in runs {
                    prop_assert_eq!(run.first, end);
                    end = run.end();
                }
            }
        }

        #[test]
        fn a_block_takes_at_most_ten_bytes_of_index(steps in prop::collection::vec((0..2_000i64, 60..140usize), 4_000)) {
            // A telemetry list: one item every second or so, numbered, about 100 bytes each.
            let mut timestamp = 1_357_000_000_000;
            let items: Vec<_> = steps.into_iter().zip(0..).map(|((step, length), offset)| {
                timestamp += step;
                let value = vec![offset as u8; length].into();
                crate::Item { offset, timestamp, nonce: Some(u128::from(offset)), value }
            }).collect();
            let id = ObjectId { x: 100, id: 1 << 127 };
            let before = Run::empty(0, 1_357_000_000_000, 0);
            let segment = super::super::segment::encode_segment(&list(), id, &before, &items, true, &Default::default());
            let (header, length) = (&segment.header, segment.header.length());
            let source = Source::Segment { id, complete: true };
            let entry = IndexEntry {
                source, run: header.run, header_length: header.header_length, length, blocks: header.blocks.clone(),
            };
            let blocks = entry.blocks.len();
            prop_assert!(blocks > 10);
            let page = |open| HeadPage { list: list(), id, before, leaves: vec![], open, ledger_pages: vec![], handovers: vec![] };
            let with = page(vec![entry.clone()]).encode().unwrap().len();
            let without = page(vec![IndexEntry { blocks: entry.blocks[..1].to_vec(), ..entry }]).encode().unwrap().len();
            prop_assert!(with - without <= 10 * (blocks - 1), "{} bytes for {} blocks", with - without, blocks - 1);
        }
    }

    #[test]
    fn no_damage_of_a_head_page_is_believed() {
        let run = |before: &Run, count| Run {
            count,
            min_timestamp: 3,
            max_timestamp: 9,
            running_max_timestamp: 9,
            value_bytes: 5,
            ..before.after()
        };
        let before = Run::empty(40, 4, 17);
        let leaf_run = run(&before, 60);
        let entry_run = run(&leaf_run, 1);
        let owner = super::super::identity::BlockOwner([0; 8]);
        let item = crate::Item { offset: 100, timestamp: 3, nonce: None, value: Bytes::from("value") };
        let blocks =
            super::super::block::encode_blocks(owner, &leaf_run, &[item], &Default::default(), 60, &mut Vec::new());
        let id = ObjectId { x: 5, id: 6 };
        let page = HeadPage {
            list: list(),
            id,
            before,
            leaves: vec![LeafReference { id, length: 90, entries: 2, run: leaf_run }],
            open: vec![IndexEntry {
                source: Source::Segment { id, complete: false },
                run: entry_run,
                header_length: 60,
                length: blocks[0].end_position(),
                blocks,
            }],
            ledger_pages: vec![LedgerReference { id, length: 70, first_seq: 0, count: 1 }],
            handovers: vec![Handover { seq: 4, session: SessionId(1) }],
        };
        no_damage_is_believed(&page.encode().unwrap(), |bytes| HeadPage::decode(bytes, &list(), id));
    }

    #[test]
    fn a_page_that_readers_would_refuse_is_not_written() {
        let handovers = (0..65).map(|seq| Handover { seq, session: SessionId(0) }).collect();
        let before = Run::empty(0, i64::MIN, 0);
        let id = ObjectId { x: 1, id: 1 };
        let page = HeadPage { list: list(), id, before, leaves: vec![], open: vec![], ledger_pages: vec![], handovers };
        assert_eq!(page.encode(), Err(PageTooLarge { what: "handovers", count: 65, limit: 64 }));
    }

    #[test]
    fn references_are_of_leaves_that_can_be() {
        let read = |items, length, entries| {
            let before = Run::empty(5, 3, 0);
            let run = Run { count: items, min_timestamp: 1, max_timestamp: 2, ..before };
            let leaf = LeafReference { id: ObjectId { x: 9, id: 10 }, length, entries, run };
            let mut out = Vec::new();
            write_leaves(&before, &[leaf], &mut out);
            read_leaves(&before, Reader::new(&out)).map(|read| assert_eq!(read, [leaf]))
        };
        let limit = MAX_LEAF_ENTRIES as u32;
        assert_eq!(read(1, 1, limit), Ok(()));
        assert_eq!(read(1, MAX_PAGE_BYTES, 1), Ok(()));
        for (items, length, entries) in [(0, 1, 1), (1, 0, 1), (1, MAX_PAGE_BYTES + 1, 1), (1, 1, 0), (1, 1, limit + 1)]
        {
            let impossible = Malformed::Corrupt("a reference to a leaf is impossible");
            assert_eq!(read(items, length, entries), Err(impossible), "{items}, {length}, {entries}");
        }
    }

    #[test]
    fn its_items_are_from_the_first_leaf_to_the_last_open_entry() {
        let before = Run::empty(40, 4, 0);
        let id = ObjectId { x: 5, id: 6 };
        let leaf = |first, count| LeafReference { id, length: 90, entries: 2, run: Run { first, count, ..before } };
        let entry = |first, count| IndexEntry {
            source: Source::Segment { id, complete: true },
            run: Run { first, count, ..before },
            header_length: 60,
            length: 90,
            blocks: vec![],
        };
        let check = |leaves: Vec<LeafReference>, open: Vec<IndexEntry>, items: Option<(u64, u64)>| {
            let page = HeadPage { list: list(), id, before, leaves, open, ledger_pages: vec![], handovers: vec![] };
            assert_eq!(page.first_offset().zip(page.next_offset()), items);
        };
        check(vec![], vec![], None);
        check(vec![leaf(40, 10), leaf(50, 10)], vec![], Some((40, 60)));
        check(vec![], vec![entry(60, 5), entry(65, 5)], Some((60, 70)));
        check(vec![leaf(40, 20)], vec![entry(60, 5)], Some((40, 65)));
    }
}
