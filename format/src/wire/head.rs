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
use crate::limits::{
    MAX_LEAF_ENTRIES, MAX_LEDGER_PAGES, MAX_OPEN_HANDOVERS, MAX_PAGE_BYTES, MAX_ROOT_ENTRIES,
};

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
#[error(
    "an index page would hold {count} {what}, {limit} at most: the list cannot be indexed further"
)]
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
        let first =
            self.leaves.first().map(|leaf| &leaf.run).or(self.open.first().map(|entry| &entry.run));
        first.map(|run| run.first)
    }

    /// One after the last item in the index; `None` where it has no items.
    pub fn next_offset(&self) -> Option<u64> {
        let last =
            self.open.last().map(|entry| &entry.run).or(self.leaves.last().map(|leaf| &leaf.run));
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
        let leaves =
            header.take(LEAVES).map_or(Ok(Vec::new()), |section| read_leaves(&before, section))?;
        let open_before = leaves.last().map_or(before, |leaf| leaf.run.after());
        let open = header
            .take(OPEN)
            .map_or(Ok(Vec::new()), |section| read_entries(&open_before, section))?;
        let ledger_pages = header.take(LEDGER_PAGES).map_or(Ok(Vec::new()), read_references)?;
        let handovers = header
            .take(HANDOVERS)
            .map_or(Ok(Vec::new()), |section| read_handovers(MAX_OPEN_HANDOVERS, section))?;
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
            && length <= MAX_PAGE_BYTES
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
