//! A full leaf of an index.
//!
//! Sections: 1 identity; 2 entries. Both are required.

use bytes::Bytes;

use super::Malformed;
use super::head::PageTooLarge;
use super::identity::{ListHash, ObjectId};
use super::index_entry::{
    IndexEntry, check_bytes, check_count, check_page, read_entries, write_entries, write_page_id,
};
use super::preamble::{Header, HeaderWriter, Kind};
use super::run::Run;
use crate::limits::{MAX_LEAF_ENTRIES, MAX_PAGE_BYTES};

const IDENTITY: u16 = 1;
const ENTRIES: u16 = 2;

/// A page of entries that are not changed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafPage {
    /// The list it belongs to.
    pub list: ListHash,
    /// Its name parts.
    pub id: ObjectId,
    /// Its entries, in order of offsets.
    pub entries: Vec<IndexEntry>,
}

impl LeafPage {
    /// The page's bytes. It has at least one entry.
    ///
    /// # Errors
    /// [`PageTooLarge`] where it would hold more than readers take.
    pub fn encode(&self) -> Result<Bytes, PageTooLarge> {
        check_count("entries", self.entries.len(), MAX_LEAF_ENTRIES)?;
        let mut header = HeaderWriter::new(Kind::Leaf, &self.list);
        let before =
            self.entries.first().map_or(Run::empty(0, 0, 0), |first| first.run.reference());
        header.section(IDENTITY, |out| {
            write_page_id(&self.id, 0, out);
            before.write_state(out);
        });
        header.section(ENTRIES, |out| write_entries(&before, &self.entries, out));
        check_bytes(header.finish())
    }

    /// Reads the page `id` of a list.
    ///
    /// # Errors
    /// [`Malformed`] where it is damaged, another page, newer, or contradicts itself.
    pub fn decode(bytes: &Bytes, list: &ListHash, id: ObjectId) -> Result<Self, Malformed> {
        let mut header = Header::open(bytes, Kind::Leaf, list, MAX_PAGE_BYTES as usize)?;
        let mut identity = check_page(&mut header, IDENTITY, bytes.len(), id)?;
        let before = Run::read_state(&mut identity)?;
        identity.finish()?;
        let entries = read_entries(&before, header.require(ENTRIES)?)?;
        header.finish()?;
        Ok(Self { list: *list, id, entries })
    }
}
