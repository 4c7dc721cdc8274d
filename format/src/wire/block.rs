//! A block: some tens of kilobytes of items, column by column, compressed and checked on its own.
//!
//! Its length stands at both ends, so that a reader that knows one boundary can go on in either direction.

#[cfg(not(target_arch = "wasm32"))]
mod parallel;

use bytes::Bytes;

use super::Malformed;
use super::checksum::crc32c;
use super::compression::{self, Codec};
use super::cursor::{Reader, Write};
use super::identity::BlockOwner;
use super::run::Run;
use crate::item::Item;
pub use crate::limits::MAX_BLOCK_ITEMS;
use crate::limits::{BLOCK_PLAIN_BYTES, MAX_BLOCK_PLAIN_BYTES, MAX_SEGMENT_BYTES};
use crate::rules::{self, Rule};

/// Bytes of a frame around its payload.
pub const FRAME_BYTES: usize = 37;
/// Bytes of the longest frame.
pub const MAX_FRAME_BYTES: usize = MAX_BLOCK_PLAIN_BYTES + FRAME_BYTES;

/// Where a block lies in its object and what a seek must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Its first byte in the object.
    pub position: u64,
    /// Its bytes, frame included.
    pub length: u32,
    /// Offset of its first item.
    pub first: u64,
    /// Its items.
    pub count: u32,
    /// Highest timestamp of all items of the list up to the end of the block. In a carry that begins inside a commit, or
    /// before the table, only what is known of it: the highest since the carry (or that commit) begins.
    pub running_max_timestamp: i64,
    /// The list's next nonce at the end of the block; in a carry with the same reservation.
    pub next_nonce: u128,
}

impl BlockEntry {
    /// One after its last byte in the object.
    pub fn end_position(&self) -> u64 {
        self.position.saturating_add(u64::from(self.length))
    }

    /// One after the offset of its last item.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// How blocks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOptions {
    /// How they are compressed, where that pays.
    pub codec: Codec,
    /// Plain bytes that a block is filled to. A larger value has a block of its own.
    pub plain_bytes: usize,
}

impl Default for BlockOptions {
    fn default() -> Self {
        Self { codec: Codec::default(), plain_bytes: BLOCK_PLAIN_BYTES }
    }
}

/// Appends `items` as blocks to `out` and says where they lie, the first one at `position` of its object. `before` is
/// where the list stood before the items: their offsets follow its end.
///
/// ```
/// use bytes::Bytes;
/// use klstore_format::Item;
/// use klstore_format::wire::block::{BlockOptions, decode_blocks, encode_blocks};
/// use klstore_format::wire::identity::BlockOwner;
/// use klstore_format::wire::run::Run;
///
/// let items = vec![Item { offset: 0, timestamp: 5, nonce: None, value: Bytes::from("departed") }];
/// let (owner, mut out) = (BlockOwner(*b"somebody"), Vec::new());
/// let before = Run::empty(0, i64::MIN, 0);
/// let entries = encode_blocks(owner, &before, &items, &BlockOptions::default(), 0, &mut out);
///
/// let mut read = Vec::new();
/// decode_blocks(&out.into(), 0, &entries, owner, &mut read).unwrap();
/// assert_eq!(read, items);
/// ```
pub fn encode_blocks(
    owner: BlockOwner,
    before: &Run,
    items: &[Item],
    options: &BlockOptions,
    position: u64,
    out: &mut Vec<u8>,
) -> Vec<BlockEntry> {
    encode_blocks_by(threads(items, options.codec), owner, before, items, options, position, out)
}

/// By so many threads: the bytes are the same, whatever their number.
fn encode_blocks_by(
    threads: usize,
    owner: BlockOwner,
    before: &Run,
    items: &[Item],
    options: &BlockOptions,
    position: u64,
    out: &mut Vec<u8>,
) -> Vec<BlockEntry> {
    let mut entries = Vec::new();
    let mut blocks = Vec::new();
    let mut columns = Columns::default();
    let mut scratch = Scratch::default();
    let mut state = before.after();
    let start = out.len();
    let mut rest = items;
    while !rest.is_empty() {
        let first = state.end();
        let (block, after) = columns.fill(rest, options.plain_bytes);
        block.iter().for_each(|item| state.push(item));
        rest = after;
        let frame = out.len();
        if threads == 1 {
            columns.write_frame(owner, first, block, options.codec, &mut scratch, out);
        } else {
            blocks.push(block);
        }
        entries.push(BlockEntry {
            position: position + (frame - start) as u64,
            length: (out.len() - frame) as u32,
            first,
            count: block.len() as u32,
            running_max_timestamp: state.running_max_timestamp,
            next_nonce: state.next_nonce,
        });
    }
    #[cfg(not(target_arch = "wasm32"))]
    if threads > 1 {
        parallel::encode(owner, &blocks, &mut entries, options, position, threads, out);
    }
    entries
}

#[cfg(not(target_arch = "wasm32"))]
use parallel::threads;

/// A page has one thread.
#[cfg(target_arch = "wasm32")]
fn threads(_items: &[Item], _codec: Codec) -> usize {
    1
}

/// Most bytes that an item takes in a block beside its value, before compression: timestamp, nonce, length.
pub const MAX_ITEM_OVERHEAD: usize = 10 + (1 + 19) + 5;

/// Most bytes that an item takes in a block, before compression.
pub fn plain_size(item: &Item) -> usize {
    MAX_ITEM_OVERHEAD + item.value.len()
}

/// The columns of one block while it is filled; the values stay in the items.
#[derive(Default)]
pub(super) struct Columns {
    timestamps: Vec<u8>,
    presence: Vec<u8>,
    nonces: Vec<u8>,
    lengths: Vec<u8>,
    count: usize,
    nonce_count: usize,
    value_bytes: usize,
    last_timestamp: i64,
    last_nonce: Option<u128>,
}

#[derive(Default)]
pub(super) struct Scratch {
    plain: Vec<u8>,
    stored: Vec<u8>,
}

/// First byte of a nonce column where every item has a nonce.
const NONCES_ALL: u8 = 1;
/// First byte of a nonce column with a bitmap of the items that have one.
const NONCES_SOME: u8 = 2;

impl Columns {
    /// Holds the items of one block instead of what it held: at least one, and as many of the first as fit. Returns them
    /// and the rest.
    pub(super) fn fill<'a>(&mut self, items: &'a [Item], plain_bytes: usize) -> (&'a [Item], &'a [Item]) {
        self.clear();
        for item in items {
            let full = self.plain_length() + plain_size(item) > plain_bytes || self.count == MAX_BLOCK_ITEMS as usize;
            // Nonces only grow within a block. Those of a forged commit may not from one block to the next, and what
            // could be read is not to become unreadable when it is written again.
            let follows = item.nonce.is_none_or(|nonce| self.last_nonce.is_none_or(|last| nonce > last));
            if self.count > 0 && (full || !follows) {
                break;
            }
            self.push(item);
        }
        items.split_at_checked(self.count).unwrap_or((items, &[]))
    }

    fn clear(&mut self) {
        self.timestamps.clear();
        self.presence.clear();
        self.nonces.clear();
        self.lengths.clear();
        (self.count, self.nonce_count, self.value_bytes) = (0, 0, 0);
        (self.last_timestamp, self.last_nonce) = (0, None);
    }

    fn push(&mut self, item: &Item) {
        self.timestamps.put_signed(item.timestamp.wrapping_sub(self.last_timestamp));
        self.last_timestamp = item.timestamp;
        let bit = self.count % 8;
        if bit == 0 {
            self.presence.push(0);
        }
        if let Some(nonce) = item.nonce {
            if let Some(byte) = self.presence.last_mut() {
                *byte |= 1 << bit;
            }
            let step = match self.last_nonce {
                Some(last) => nonce.wrapping_sub(last).wrapping_sub(1),
                None => nonce,
            };
            self.nonces.put_wide_varint(step);
            self.last_nonce = Some(nonce);
            self.nonce_count += 1;
        }
        self.lengths.put_varint(item.value.len() as u64);
        self.value_bytes += item.value.len();
        self.count += 1;
    }

    /// What the block takes so far, at most.
    fn plain_length(&self) -> usize {
        let columns = self.timestamps.len() + self.presence.len() + self.nonces.len() + self.lengths.len();
        16 + columns + self.value_bytes
    }

    fn write_frame(
        &self,
        owner: BlockOwner,
        first: u64,
        items: &[Item],
        codec: Codec,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.reserve(self.plain_length() + FRAME_BYTES);
        begin_frame(owner, Codec::None, first, self.count as u32, 0, out);
        let (used, plain_length) = self.write_payload(items, codec, scratch, out);
        patch(out, start + 16, &[used as u8]);
        patch(out, start + 29, &plain_length.to_le_bytes());
        end_frame(start, out);
    }

    /// Appends the columns, compressed where that pays; says with what, and how long they are plain.
    pub(super) fn write_payload(
        &self,
        items: &[Item],
        codec: Codec,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> (Codec, u32) {
        if codec == Codec::None {
            let payload = out.len();
            self.write_plain(items, out);
            return (Codec::None, (out.len() - payload) as u32);
        }
        scratch.plain.clear();
        self.write_plain(items, &mut scratch.plain);
        let used = compression::compress(codec, &scratch.plain, &mut scratch.stored);
        let chosen = if used == Codec::None { &scratch.plain } else { &scratch.stored };
        out.extend_from_slice(chosen);
        (used, scratch.plain.len() as u32)
    }

    fn write_plain(&self, items: &[Item], out: &mut Vec<u8>) {
        let presence: &[u8] = if self.nonce_count == self.count { &[] } else { &self.presence };
        let nonce_column = if self.nonce_count == 0 { 0 } else { 1 + presence.len() + self.nonces.len() };
        out.put_varint(self.timestamps.len() as u64);
        out.put_varint(nonce_column as u64);
        out.put_varint(self.lengths.len() as u64);
        out.extend_from_slice(&self.timestamps);
        if self.nonce_count > 0 {
            out.push(if presence.is_empty() { NONCES_ALL } else { NONCES_SOME });
            out.extend_from_slice(presence);
            out.extend_from_slice(&self.nonces);
        }
        out.extend_from_slice(&self.lengths);
        for item in items {
            out.extend_from_slice(&item.value);
        }
    }
}

/// What comes before a block's payload; length and checksum are only known at its end.
pub(super) fn begin_frame(
    owner: BlockOwner,
    codec: Codec,
    first: u64,
    count: u32,
    plain_length: u32,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&owner.0);
    out.push(codec as u8);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&plain_length.to_le_bytes());
}

/// Ends the frame that began at `start`.
pub(super) fn end_frame(start: usize, out: &mut Vec<u8>) {
    let length = (out.len() - start + 4) as u32;
    let sum = crc32c(&[out.get(start + 8..).unwrap_or_default()]);
    patch(out, start, &length.to_le_bytes());
    patch(out, start + 4, &sum.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
}

fn patch(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = out.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

/// A block whose frame and checksum are right; its items are decoded when asked for.
#[derive(Debug, Clone)]
pub struct Block {
    /// Offset of its first item.
    pub first: u64,
    /// Its items.
    pub count: u32,
    /// Bytes of its frame.
    pub length: u32,
    codec: Codec,
    plain_length: usize,
    payload: Bytes,
}

impl Block {
    /// The block at the start of `bytes`; `None` where they end before it does.
    pub fn decode_first(bytes: &Bytes, owner: BlockOwner) -> Result<Option<Self>, Malformed> {
        let Ok(length) = Reader::new(bytes).u32() else {
            return Ok(None);
        };
        let size = frame_size(length)?;
        if bytes.len() < size {
            return Ok(None);
        }
        Self::decode(bytes.slice(..size), owner).map(Some)
    }

    /// The block at the end of `bytes`; `None` where they begin after it does.
    pub fn decode_last(bytes: &Bytes, owner: BlockOwner) -> Result<Option<Self>, Malformed> {
        let Some(length) = bytes.last_chunk().map(|end| u32::from_le_bytes(*end)) else {
            return Ok(None);
        };
        let size = frame_size(length)?;
        let Some(start) = bytes.len().checked_sub(size) else {
            return Ok(None);
        };
        Self::decode(bytes.slice(start..), owner).map(Some)
    }

    /// Exactly one frame.
    fn decode(frame: Bytes, owner: BlockOwner) -> Result<Self, Malformed> {
        let mut reader = Reader::new(&frame);
        let length = reader.u32()?;
        let sum = reader.u32()?;
        let checked = reader.take(frame.len().saturating_sub(12))?;
        if reader.u32()? != length || usize::try_from(length) != Ok(frame.len()) {
            return Err(Malformed::Corrupt("the two lengths of a block differ"));
        }
        if crc32c(&[checked]) != sum && rules::kept(Rule::BlockChecksum) {
            return Err(Malformed::Corrupt("the checksum of a block is wrong"));
        }
        let mut reader = Reader::new(checked);
        if reader.array()? != owner.0 && rules::kept(Rule::BlockOwner) {
            return Err(Malformed::Corrupt("a block belongs to another object"));
        }
        let codec = Codec::from_number(reader.u8()?)?;
        let first = reader.u64()?;
        let count = reader.u32()?;
        let plain_length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let stored = reader.remaining();
        if plain_length > MAX_BLOCK_PLAIN_BYTES || count > MAX_BLOCK_ITEMS {
            return Err(Malformed::Corrupt("a block is larger than the format allows"));
        }
        // Every item has at least a byte of timestamp and one of length.
        if count == 0 || count as usize > plain_length / 2 {
            return Err(Malformed::Corrupt("a block counts no items, or more than it holds"));
        }
        let sized = if codec == Codec::None { stored == plain_length } else { stored < plain_length };
        if !sized {
            return Err(Malformed::Corrupt("the length of a block's data is wrong"));
        }
        if first.checked_add(u64::from(count)).is_none() {
            return Err(Malformed::Corrupt("its offsets go beyond 2^64"));
        }
        let payload = frame.slice(FRAME_BYTES - 4..FRAME_BYTES - 4 + stored);
        Ok(Self { first, count, length, codec, plain_length, payload })
    }

    /// Its items. Their values share the memory of the block, or, uncompressed, of the bytes it was decoded from.
    pub fn items(&self) -> Result<Vec<Item>, Malformed> {
        let mut items = Vec::new();
        self.items_into(&mut items)?;
        Ok(items)
    }

    /// Appends its items; after an error some may have been appended.
    pub fn items_into(&self, items: &mut Vec<Item>) -> Result<(), Malformed> {
        let plain = compression::decompress(self.codec, &self.payload, self.plain_length)?;
        let mut reader = Reader::new(&plain);
        let sizes = [(); 3].map(|()| reader.varint_u32());
        let [timestamps, nonces, lengths] = sizes.map(|size| reader.take(size.map(|size| size as usize)?));
        let mut timestamps = Reader::new(timestamps?);
        let mut nonces = NonceColumn::new(nonces?, self.count as usize)?;
        let mut lengths = Reader::new(lengths?);
        let mut at = plain.len() - reader.remaining();
        let mut timestamp = 0i64;
        items.reserve(self.count as usize);
        for index in 0..self.count as usize {
            timestamp = timestamp.wrapping_add(timestamps.signed()?);
            let nonce = nonces.next(index)?;
            let end = usize::try_from(lengths.varint()?)
                .ok()
                .and_then(|length| at.checked_add(length))
                .filter(|end| *end <= plain.len())
                .ok_or(Malformed::Corrupt("a value is longer than its block"))?;
            let value = plain.slice(at..end);
            at = end;
            items.push(Item { offset: self.first + index as u64, timestamp, nonce, value });
        }
        if at != plain.len() {
            return Err(Malformed::Corrupt("a block is longer than its values"));
        }
        timestamps.finish()?;
        lengths.finish()?;
        nonces.rest.finish()
    }
}

/// Reads the nonces of a block, item by item.
struct NonceColumn<'a> {
    /// Bit `i % 8` of byte `i / 8`: item `i` has a nonce; `None` where all or none have one.
    presence: Option<&'a [u8]>,
    any: bool,
    rest: Reader<'a>,
    last: Option<u128>,
}

impl<'a> NonceColumn<'a> {
    fn new(column: &'a [u8], count: usize) -> Result<Self, Malformed> {
        let mut rest = Reader::new(column);
        let (any, presence) = match rest.u8() {
            Err(_) => (false, None),
            Ok(NONCES_ALL) => (true, None),
            Ok(NONCES_SOME) => (true, Some(rest.take(count.div_ceil(8))?)),
            Ok(_) => {
                return Err(Malformed::Corrupt("a block's nonces are of an unknown kind"));
            }
        };
        Ok(Self { presence, any, rest, last: None })
    }

    #[inline]
    fn next(&mut self, index: usize) -> Result<Option<u128>, Malformed> {
        let present = match self.presence {
            Some(bits) => bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1),
            None => self.any,
        };
        if !present {
            return Ok(None);
        }
        let step = self.rest.wide_varint()?;
        let nonce = match self.last {
            Some(last) => last.checked_add(step).and_then(|nonce| nonce.checked_add(1)),
            None => Some(step),
        };
        self.last = nonce;
        if nonce.is_none() {
            return Err(Malformed::Corrupt("its nonces go beyond 2^128"));
        }
        Ok(nonce)
    }
}

fn frame_size(length: u32) -> Result<usize, Malformed> {
    match usize::try_from(length) {
        Ok(size) if (FRAME_BYTES..=MAX_FRAME_BYTES).contains(&size) => Ok(size),
        _ => Err(Malformed::Corrupt("the length of a block is impossible")),
    }
}

/// Appends the items of these blocks, each of which must be what its entry says. `object_part` is a part of the object
/// that begins at its byte `base`.
///
/// # Errors
/// Also where the blocks hold more than [`MAX_SEGMENT_BYTES`] of plain data together: more than anything written.
pub fn decode_blocks(
    object_part: &Bytes,
    base: u64,
    entries: &[BlockEntry],
    owner: BlockOwner,
    items: &mut Vec<Item>,
) -> Result<(), Malformed> {
    let mut plain_length = 0;
    for entry in entries {
        block_of(object_part, base, entry, owner, &mut plain_length)?.items_into(items)?;
    }
    Ok(())
}

/// The same for a whole object whose items need not be in memory all together: they come block by block.
///
/// # Errors
/// See [`decode_blocks`].
pub fn each_block(
    object: &Bytes,
    entries: &[BlockEntry],
    owner: BlockOwner,
    take: &mut dyn FnMut(&[Item]),
) -> Result<(), Malformed> {
    let (mut plain_length, mut items) = (0, Vec::new());
    for entry in entries {
        items.clear();
        block_of(object, 0, entry, owner, &mut plain_length)?.items_into(&mut items)?;
        take(&items);
    }
    Ok(())
}

/// The block of this entry; `plain_length` sums up what those of one object hold.
fn block_of(
    object_part: &Bytes,
    base: u64,
    entry: &BlockEntry,
    owner: BlockOwner,
    plain_length: &mut u64,
) -> Result<Block, Malformed> {
    let frame = slice(object_part, base, entry).ok_or(Malformed::Corrupt("it ends before its blocks do"))?;
    let block = Block::decode(frame, owner)?;
    if (block.first, block.count) != (entry.first, entry.count) {
        return Err(Malformed::Corrupt("a block is not the one that its directory says"));
    }
    *plain_length += block.plain_length as u64;
    if *plain_length > MAX_SEGMENT_BYTES {
        return Err(Malformed::Corrupt("its blocks hold more than the format allows"));
    }
    Ok(block)
}

fn slice(object_part: &Bytes, base: u64, entry: &BlockEntry) -> Option<Bytes> {
    let start = usize::try_from(entry.position.checked_sub(base)?).ok()?;
    let end = start.checked_add(usize::try_from(entry.length).ok()?)?;
    (end <= object_part.len()).then(|| object_part.slice(start..end))
}

#[cfg(test)]
mod tests;
