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

/// Bytes of the longest header: the directory of the largest number of blocks.
pub const MAX_SEGMENT_HEADER_BYTES: usize = 256 << 10;

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
    let mut entries =
        encode_blocks(BlockOwner::of_segment(list, &id), before, items, options, 0, &mut blocks);
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
