//! Pages of an index, and the header of a segment: what decodes has no gaps, and is the same once encoded again.
//!
//! The first byte chooses the kind and says what is not mended; the rest is the object.

use bytes::Bytes;
use klstore_format::limits::{MAX_LEAF_ENTRIES, MAX_LEDGER_ENTRIES, MAX_OPEN_HANDOVERS};
use klstore_format::wire::head::{HeadPage, IndexEntry};
use klstore_format::wire::identity::{ListHash, ObjectId};
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::ledger::LedgerPage;
use klstore_format::wire::preamble::Kind;
use klstore_format::wire::segment::SegmentHeader;

use crate::list::LISTS;
use crate::seal;

/// Kinds by the lower two bits of the first byte, with the ids of the golden list's pages.
const KINDS: [(Kind, u128); 4] = [(Kind::Head, 0x4e), (Kind::Leaf, 0x1e), (Kind::Ledger, 0x1d), (Kind::Segment, 0x5e)];
const AS_IT_IS: u8 = 4;

/// The target.
pub fn run(data: &[u8]) {
    let Some((&how, object)) = data.split_first() else { return };
    let (kind, number) = KINDS[usize::from(how % 4)];
    let id = ObjectId { x: 3, id: (number << 120) | 0x0102_0304 };
    let list = LISTS.golden.hash();
    let mut object = object.to_vec();
    if how & AS_IT_IS == 0 {
        seal::header(&mut object, Some(kind as u8), Some(&list));
    }
    let object = Bytes::from(object);
    let another = ListHash::of("flights", "another");
    match kind {
        Kind::Head => {
            let Ok(page) = HeadPage::decode(&object, &list, id) else { return };
            assert!(HeadPage::decode(&object, &another, id).is_err(), "another list's was taken");
            let mut end = page.before.end();
            for leaf in &page.leaves {
                assert_eq!(leaf.run.first, end, "its leaves have a gap");
                end = leaf.run.end();
            }
            follow(&page.open, end);
            assert!(page.handovers.len() <= MAX_OPEN_HANDOVERS);
            assert!(page.handovers.is_sorted_by(|one, next| one.seq < next.seq));
            let again = page.encode().expect("what was read is not too large");
            assert_eq!(HeadPage::decode(&again, &list, id).as_ref(), Ok(&page));
        }
        Kind::Leaf => {
            let Ok(page) = LeafPage::decode(&object, &list, id) else { return };
            assert!(LeafPage::decode(&object, &another, id).is_err(), "another list's was taken");
            follow(&page.entries, page.entries.first().map_or(0, |entry| entry.run.first));
            let again = page.encode().expect("what was read is not too large");
            assert_eq!(LeafPage::decode(&again, &list, id).as_ref(), Ok(&page));
        }
        Kind::Ledger => {
            let Ok(page) = LedgerPage::decode(&object, &list, id) else { return };
            assert!(LedgerPage::decode(&object, &another, id).is_err(), "another list's was taken");
            assert!(page.handovers.len() <= MAX_LEDGER_ENTRIES);
            assert!(page.handovers.is_sorted_by(|one, next| one.seq < next.seq));
            let again = page.encode().expect("what was read is not too large");
            assert_eq!(LedgerPage::decode(&again, &list, id).as_ref(), Ok(&page));
        }
        Kind::Segment | Kind::Commit => {
            let Ok(header) = SegmentHeader::decode(&object, &list) else { return };
            assert!(SegmentHeader::decode(&object, &another).is_err(), "another list's was taken");
            let items: u64 = header.blocks.iter().map(|block| u64::from(block.count)).sum();
            assert_eq!(items, header.run.count);
            assert!(header.length() >= u64::from(header.header_length));
        }
    }
}

/// Entries follow each other from `end` on, and their blocks make them up.
fn follow(entries: &[IndexEntry], mut end: u64) {
    assert!(entries.len() <= MAX_LEAF_ENTRIES);
    for entry in entries {
        assert_eq!(entry.run.first, end, "its entries have a gap");
        let items: u64 = entry.blocks.iter().map(|block| u64::from(block.count)).sum();
        assert_eq!(items, entry.run.count);
        end = entry.run.end();
    }
}
