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
        let before = self.entries.first().map_or(Run::empty(0, 0, 0), |first| first.run.reference());
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

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{changes, entries, forged, list, no_damage_is_believed, object_id, state};
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    fn page() -> impl Strategy<Value = LeafPage> {
        (state().prop_flat_map(|before| entries(before, 1..12)), object_id()).prop_map(|(entries, id)| LeafPage {
            list: list(),
            id,
            entries,
        })
    }

    proptest! {
        #[test]
        fn a_leaf_page_comes_back(page in page()) {
            let bytes = page.encode().unwrap();
            prop_assert_eq!(LeafPage::decode(&bytes, &page.list, page.id).unwrap(), page);
        }

        #[test]
        fn a_forged_page_is_an_error_or_without_gaps(page in page(), changes in changes()) {
            if let Ok(read) = LeafPage::decode(&forged(&page.encode().unwrap(), &changes), &page.list, page.id) {
                for pair in read.entries.windows(2) {
                    prop_assert_eq!(pair[0].run.end(), pair[1].run.first);
                }
                // Once it is full, the open leaf of a head page is written as one.
                if let Ok(again) = read.encode() {
                    prop_assert_eq!(LeafPage::decode(&again, &read.list, read.id).unwrap(), read.clone());
                }
                for entry in read.entries {
                    let items: u64 = entry.blocks.iter().map(|block| u64::from(block.count)).sum();
                    prop_assert_eq!(items, entry.run.count);
                }
            }
        }
    }

    #[test]
    fn no_damage_of_a_leaf_page_is_believed() {
        let page = page().new_tree(&mut TestRunner::deterministic()).unwrap().current();
        no_damage_is_believed(&page.encode().unwrap(), |bytes| LeafPage::decode(bytes, &list(), page.id));
    }
}
