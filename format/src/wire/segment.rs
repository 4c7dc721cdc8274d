//! A segment: the items of many commits in one immutable object.
//!
//! `header | blocks`. The header has the sections 1 (identity) and 2 (run and block directory), both required.

use bytes::Bytes;

use super::Malformed;
use super::block::{BlockEntry, BlockOptions, encode_blocks};
use super::commit::{read_id, read_items, write_id, write_items};
use super::directory::{shift, stored_bytes};
use super::identity::{BlockOwner, ListHash, ObjectId};
use super::preamble::{Header, HeaderWriter, Kind};
use super::run::Run;
use crate::item::Item;
pub use crate::limits::MAX_SEGMENT_HEADER_BYTES;

const IDENTITY: u16 = 1;
const ITEMS: u16 = 2;
const COMPLETE: u8 = 1;

/// A segment without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The list it belongs to.
    pub list: ListHash,
    /// Its name parts.
    pub id: ObjectId,
    /// Its items.
    pub run: Run,
    /// Whether it is large enough never to be merged again.
    pub complete: bool,
    /// Its blocks.
    pub blocks: Vec<BlockEntry>,
    /// Bytes of the header.
    pub header_length: u32,
}

/// A segment ready to be PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedSegment {
    /// Its header.
    pub header: SegmentHeader,
    /// The object.
    pub body: Bytes,
}

impl SegmentHeader {
    /// Bytes of the whole object.
    pub fn length(&self) -> u64 {
        u64::from(self.header_length) + stored_bytes(&self.blocks)
    }

    /// Whose its blocks are.
    pub fn owner(&self) -> BlockOwner {
        BlockOwner::of_segment(&self.list, &self.id)
    }

    /// Reads the header at the start of a segment. Readers need it only where they do not come from the index.
    ///
    /// # Errors
    /// [`Malformed`] where it is damaged, of another list, newer, or contradicts itself.
    pub fn decode(bytes: &[u8], list: &ListHash) -> Result<Self, Malformed> {
        let mut header = Header::open(bytes, Kind::Segment, list, MAX_SEGMENT_HEADER_BYTES)?;
        let header_length = header.length;
        let mut identity = header.require(IDENTITY)?;
        let id = read_id(&mut identity)?;
        let flags = identity.u8()?;
        identity.finish()?;
        if flags & !COMPLETE != 0 {
            return Err(Malformed::Unknown { part: "segment flags", number: u32::from(flags) });
        }
        let (run, blocks) = read_items(u64::from(header_length), header.require(ITEMS)?)?;
        header.finish()?;
        Ok(Self { list: *list, id, run, complete: flags & COMPLETE != 0, blocks, header_length })
    }
}

/// Encodes the items that follow `before` as a segment.
pub fn encode_segment(
    list: &ListHash,
    id: ObjectId,
    before: &Run,
    items: &[Item],
    complete: bool,
    options: &BlockOptions,
) -> EncodedSegment {
    let mut blocks = Vec::new();
    let mut entries = encode_blocks(BlockOwner::of_segment(list, &id), before, items, options, 0, &mut blocks);
    let mut run = before.after();
    for item in items {
        run.push(item);
    }

    let mut header = HeaderWriter::new(Kind::Segment, list);
    header.section(IDENTITY, |out| {
        write_id(&id, out);
        out.push(if complete { COMPLETE } else { 0 });
    });
    header.section(ITEMS, |out| write_items(&run, &entries, out));
    let mut body = header.finish();
    let header_length = body.len() as u32;
    shift(&mut entries, u64::from(header_length));
    body.extend_from_slice(&blocks);
    let header = SegmentHeader { list: *list, id, run, complete, blocks: entries, header_length };
    EncodedSegment { header, body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{
        changes, forged, items_after_any_state, list, no_damage_is_believed, object_id, options,
    };
    use super::super::block::decode_blocks;
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &Bytes) -> Result<(SegmentHeader, Vec<Item>), Malformed> {
        let header = SegmentHeader::decode(bytes, &list())?;
        let mut items = Vec::new();
        decode_blocks(bytes, 0, &header.blocks, header.owner(), &mut items)?;
        Ok((header, items))
    }

    proptest! {
        #[test]
        fn a_segment_comes_back(
            (before, items) in items_after_any_state(1..200), id in object_id(), complete: bool, options in options(),
        ) {
            let encoded = encode_segment(&list(), id, &before, &items, complete, &options);
            let (header, read) = read(&encoded.body).unwrap();
            prop_assert_eq!(&header, &encoded.header);
            prop_assert_eq!(read, items);
            prop_assert_eq!((header.id, header.complete), (id, complete));
            prop_assert_eq!(header.length(), encoded.body.len() as u64);
        }

        #[test]
        fn a_forged_header_is_an_error_or_keeps_the_rules(
            (before, items) in items_after_any_state(1..60), options in options(), changes in changes(),
        ) {
            let id = ObjectId { x: 1, id: 2 };
            let body = encode_segment(&list(), id, &before, &items, true, &options).body;
            if let Ok(header) = SegmentHeader::decode(&forged(&body, &changes), &list()) {
                let items: u64 = header.blocks.iter().map(|block| u64::from(block.count)).sum();
                prop_assert_eq!(items, header.run.count);
            }
        }
    }

    #[test]
    fn no_damage_of_a_segment_is_believed() {
        let items: Vec<_> = (0..6)
            .map(|offset| Item { offset, timestamp: 9 - offset as i64, nonce: None, value: vec![1; 90].into() })
            .collect();
        let options = BlockOptions { plain_bytes: 300, ..BlockOptions::default() };
        let encoded =
            encode_segment(&list(), ObjectId { x: 7, id: 8 }, &Run::empty(0, i64::MIN, 0), &items, true, &options);
        assert!(encoded.header.blocks.len() > 1);
        no_damage_is_believed(&encoded.body, read);
    }
}
