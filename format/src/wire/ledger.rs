//! The handover ledger: which session took the list over at which commit (PROTOCOL rule 4).
//!
//! The newest handovers stand in the head page, older ones in pages of their own, which only a writer that must resolve
//! an old commit reads. Sections of such a page: 1 identity; 2 handovers. Both are required.

use bytes::Bytes;

use super::Malformed;
use super::cursor::{Reader, Write};
use super::head::PageTooLarge;
use super::identity::{ListHash, ObjectId, SessionId};
use super::index_entry::{check_bytes, check_count, check_page, read_page_id, write_page_id};
use super::preamble::{Header, HeaderWriter, Kind};
use super::session_table::SessionTable;
use crate::limits::{MAX_LEDGER_ENTRIES, MAX_LEDGER_PAGES, MAX_PAGE_BYTES};

const IDENTITY: u16 = 1;
const HANDOVERS: u16 = 2;
const ORDER: Malformed = Malformed::Corrupt("its handovers are not in ascending order");

/// A commit whose predecessor is another session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handover {
    /// The commit.
    pub seq: u64,
    /// Its session.
    pub session: SessionId,
}

/// A ledger page, as the head page names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerReference {
    /// Its name parts.
    pub id: ObjectId,
    /// Bytes of the page.
    pub length: u64,
    /// Seq of its first handover.
    pub first_seq: u64,
    /// Its handovers.
    pub count: u32,
}

/// A page of handovers that have moved out of the head page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPage {
    /// The list it belongs to.
    pub list: ListHash,
    /// Its name parts.
    pub id: ObjectId,
    /// Handovers in order of seq.
    pub handovers: Vec<Handover>,
}

impl LedgerPage {
    /// The page's bytes.
    ///
    /// # Errors
    /// [`PageTooLarge`] where it would hold more than readers take.
    pub fn encode(&self) -> Result<Bytes, PageTooLarge> {
        check_count("handovers", self.handovers.len(), MAX_LEDGER_ENTRIES)?;
        let mut header = HeaderWriter::new(Kind::Ledger, &self.list);
        header.section(IDENTITY, |out| write_page_id(&self.id, 0, out));
        header.section(HANDOVERS, |out| write_handovers(&self.handovers, out));
        check_bytes(header.finish())
    }

    /// Reads the page `id` of a list.
    ///
    /// # Errors
    /// [`Malformed`] where it is damaged, another page, newer, or contradicts itself.
    pub fn decode(bytes: &Bytes, list: &ListHash, id: ObjectId) -> Result<Self, Malformed> {
        let mut header = Header::open(bytes, Kind::Ledger, list, MAX_PAGE_BYTES as usize)?;
        check_page(&mut header, IDENTITY, bytes.len(), id)?.finish()?;
        let handovers = read_handovers(MAX_LEDGER_ENTRIES, header.require(HANDOVERS)?)?;
        header.finish()?;
        Ok(Self { list: *list, id, handovers })
    }
}

pub(super) fn write_handovers(handovers: &[Handover], out: &mut Vec<u8>) {
    let sessions = SessionTable::of(handovers.iter().map(|handover| handover.session));
    out.put_varint(handovers.len() as u64);
    sessions.write(out);
    let mut next = 0u64;
    for handover in handovers {
        out.put_varint(handover.seq.wrapping_sub(next));
        out.put_varint(sessions.index(handover.session));
        next = handover.seq.wrapping_add(1);
    }
}

pub(super) fn read_handovers(limit: usize, mut section: Reader<'_>) -> Result<Vec<Handover>, Malformed> {
    let count = section.count(limit, 2)?;
    let sessions = SessionTable::read(&mut section, limit)?;
    let mut handovers = Vec::with_capacity(count);
    let mut next = Some(0u64);
    for _ in 0..count {
        let step = section.varint()?;
        let seq = next.and_then(|next| next.checked_add(step)).ok_or(ORDER)?;
        handovers.push(Handover { seq, session: sessions.get(section.varint()?)? });
        next = seq.checked_add(1);
    }
    section.finish()?;
    Ok(handovers)
}

pub(super) fn write_references(pages: &[LedgerReference], out: &mut Vec<u8>) {
    out.put_varint(pages.len() as u64);
    let (mut last_x, mut next) = (0, 0u64);
    for page in pages {
        write_page_id(&page.id, last_x, out);
        out.put_varint(page.length);
        out.put_varint(page.first_seq.wrapping_sub(next));
        out.put_varint(u64::from(page.count));
        (last_x, next) = (page.id.x, page.first_seq.wrapping_add(1));
    }
}

pub(super) fn read_references(mut section: Reader<'_>) -> Result<Vec<LedgerReference>, Malformed> {
    // An id, a length, a seq and a count take at least this.
    const LEAST_BYTES: usize = 20;
    let count = section.count(MAX_LEDGER_PAGES, LEAST_BYTES)?;
    let mut pages = Vec::with_capacity(count);
    let (mut last_x, mut next) = (0, Some(0u64));
    for _ in 0..count {
        let id = read_page_id(last_x, &mut section)?;
        let length = section.varint()?;
        let step = section.varint()?;
        let first_seq = next.and_then(|next| next.checked_add(step)).ok_or(ORDER)?;
        let count = section.varint_u32()?;
        if length > MAX_PAGE_BYTES || !(1..=MAX_LEDGER_ENTRIES).contains(&(count as usize)) {
            return Err(Malformed::Corrupt("a reference to a ledger page is impossible"));
        }
        pages.push(LedgerReference { id, length, first_seq, count });
        (last_x, next) = (id.x, first_seq.checked_add(1));
    }
    section.finish()?;
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{changes, forged, list, no_damage_is_believed, object_id};
    use super::*;
    use proptest::prelude::*;

    fn page() -> impl Strategy<Value = LedgerPage> {
        let session = prop_oneof![0..5u128, any::<u128>()].prop_map(SessionId);
        let seq = prop_oneof![0..300u64, any::<u64>(), Just(u64::MAX)];
        (prop::collection::btree_map(seq, session, 0..100), object_id()).prop_map(|(handovers, id)| {
            let handovers = handovers.into_iter().map(|(seq, session)| Handover { seq, session }).collect();
            LedgerPage { list: list(), id, handovers }
        })
    }

    proptest! {
        #[test]
        fn a_ledger_page_comes_back(page in page()) {
            let bytes = page.encode().unwrap();
            prop_assert_eq!(LedgerPage::decode(&bytes, &page.list, page.id).unwrap(), page);
        }

        #[test]
        fn a_forged_page_is_an_error_or_in_order(page in page(), changes in changes()) {
            if let Ok(read) = LedgerPage::decode(&forged(&page.encode().unwrap(), &changes), &page.list, page.id) {
                prop_assert!(read.handovers.is_sorted_by(|one, other| one.seq < other.seq));
            }
        }
    }

    #[test]
    fn no_damage_of_a_ledger_page_is_believed() {
        let id = ObjectId { x: 9, id: 10 };
        let handovers =
            (0..9).map(|number| Handover { seq: number * number, session: SessionId(u128::from(number) % 3) });
        let page = LedgerPage { list: list(), id, handovers: handovers.collect() };
        no_damage_is_believed(&page.encode().unwrap(), |bytes| LedgerPage::decode(bytes, &list(), id));
    }

    #[test]
    fn references_are_of_pages_that_can_be() {
        let read = |length, count| {
            let page = LedgerReference { id: ObjectId { x: 9, id: 10 }, length, first_seq: 3, count };
            let mut out = Vec::new();
            write_references(&[page], &mut out);
            read_references(Reader::new(&out)).map(|read| assert_eq!(read, [page]))
        };
        let limit = MAX_LEDGER_ENTRIES as u32;
        assert_eq!(read(MAX_PAGE_BYTES, 1), Ok(()));
        assert_eq!(read(1, limit), Ok(()));
        for (length, count) in [(MAX_PAGE_BYTES + 1, 1), (1, 0), (1, limit + 1)] {
            let impossible = Malformed::Corrupt("a reference to a ledger page is impossible");
            assert_eq!(read(length, count), Err(impossible), "{length} bytes, {count} handovers");
        }
    }
}
