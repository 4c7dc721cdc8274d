//! A commit: new items and a complete manifest of what came before.
//!
//! `header | own blocks | carried blocks`. The header has these sections, all of them required where they are present:
//!
//! | type | section | present |
//! |---|---|---|
//! | 1 | identity | always |
//! | 2 | own items: run and block directory | always |
//! | 3 | carried items: run and block directory | where some are carried |
//! | 4 | manifest: C, start, totals, index | always |
//! | 5 | table of the commits in [C, seq) | where there are some |
//! | 6 | [sources](super::sources) and their next offsets | where some have fed the list |

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::Malformed;
use super::block::{BlockEntry, BlockOptions, FRAME_BYTES, encode_blocks};
use super::carried_block::CarriedBlock;
pub use super::commit_table::TableEntry;
use super::commit_table::{read_table, write_table};
use super::cursor::{Reader, Write};
use super::directory::{read_directory, shift, stored_bytes, write_directory};
use super::identity::{BlockOwner, CommitIdentity, ListHash, ObjectId, SessionId};
use super::preamble::{Header, HeaderWriter, Kind};
use super::run::Run;
use super::sources::Sources;
use crate::item::Item;
use crate::limits::{MAX_COMMIT_ITEMS, MAX_HEADER_BYTES, MAX_PAGE_BYTES, MAX_TABLE_ENTRIES};

const IDENTITY: u16 = 1;
const OWN: u16 = 2;
const CARRIED: u16 = 3;
const MANIFEST: u16 = 4;
const TABLE: u16 = 5;
const SOURCES: u16 = 6;

const HANDOVER: u8 = 1;
const COMPLETE: u8 = 2;
const HAS_TIMESTAMPS: u8 = 1;
const HAS_INDEX: u8 = 2;

/// Above so many plain bytes a commit's blocks grow to [`LARGE_BLOCK_PLAIN_BYTES`], so that its directory stays small.
const LARGE_COMMIT_BYTES: usize = 4 << 20;
const LARGE_BLOCK_PLAIN_BYTES: usize = 64 << 10;

/// What each block, table entry and source takes of a header, generously: only what is left free for it depends on that.
const HEADER_BYTES_OF_EACH: usize = 64;

/// The head page that a commit refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IndexReference {
    /// Its name parts.
    pub id: ObjectId,
    /// Its bytes.
    pub length: u64,
}

/// Sums over the live items: those from `start` on.
///
/// A trim into the middle of a commit or segment counts that one whole: the bytes are then up to so much too many, and
/// the timestamps may be those of items that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Lowest timestamp; `i64::MAX` where there is no item.
    pub min_timestamp: i64,
    /// Highest timestamp; `i64::MIN` where there is no item.
    pub max_timestamp: i64,
}

/// An optional section of a header that this version does not interpret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its type.
    pub kind: u16,
    /// Its bytes.
    pub bytes: bytes::Bytes,
}

/// A commit without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitHeader {
    /// The list it belongs to.
    pub list: ListHash,
    /// Which commit it is.
    pub commit: CommitIdentity,
    /// Its own items.
    pub run: Run,
    /// Offset of the first carried item; `run.first` where nothing is carried.
    pub carry_first: u64,
    /// C: every commit with a lower seq is covered by the index.
    pub covered: u64,
    /// The index, once there is one.
    pub index: Option<IndexReference>,
    /// Offset of the first live item.
    pub start: u64,
    /// Sums over the live items, its own included.
    pub totals: Totals,
    /// The state of the list before the first commit of the table; before the own items where the table is empty.
    pub before: Run,
    /// The commits in [C, seq).
    pub table: Vec<TableEntry>,
    /// How far each source has been appended, its own items included.
    pub sources: Arc<Sources>,
    /// Its own blocks.
    pub own_blocks: Vec<BlockEntry>,
    /// The carried blocks, after the own ones.
    pub carried_blocks: Vec<BlockEntry>,
    /// Unknown optional sections.
    pub sections: Vec<Section>,
    /// Bytes of the header: set by encoding and decoding.
    pub header_length: u32,
}

impl CommitHeader {
    /// Offset of the next item to be appended.
    pub fn next_offset(&self) -> u64 {
        self.run.end()
    }

    /// The lowest nonce that the list still takes.
    pub fn next_nonce(&self) -> u128 {
        self.run.next_nonce
    }

    /// Whose its blocks are, carried ones included.
    pub fn owner(&self) -> BlockOwner {
        BlockOwner::of_commit(&self.list, &self.commit)
    }

    /// Bytes of header and own blocks.
    pub fn own_length(&self) -> u64 {
        u64::from(self.header_length) + stored_bytes(&self.own_blocks)
    }

    /// Bytes of the whole object.
    pub fn length(&self) -> u64 {
        self.own_length() + stored_bytes(&self.carried_blocks)
    }

    /// What a later commit's table says of it.
    pub fn as_table_entry(&self) -> TableEntry {
        TableEntry {
            commit: self.commit,
            run: self.run,
            carry_first: self.carry_first,
            header_length: self.header_length,
            own_length: self.own_length(),
            length: self.length(),
        }
    }

    /// The table's entry for `seq`.
    pub fn entry(&self, seq: u64) -> Option<&TableEntry> {
        self.table.get(usize::try_from(seq.checked_sub(self.covered)?).ok()?)
    }

    /// The state of the list before the own items.
    fn before_own(&self) -> Run {
        self.table.last().map_or(self.before, |last| last.run.after())
    }

    /// The carried items, as far as they are known: from the begin of the commit that the carry begins in, where the
    /// table has it.
    fn carried_before(&self) -> Run {
        let known = self
            .table
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.run.first <= self.carry_first && self.carry_first < entry.run.end());
        let before = known.map_or(Run::empty(0, i64::MIN, 0), |(index, _)| {
            index.checked_sub(1).and_then(|index| self.table.get(index)).map_or(self.before, |entry| entry.run)
        });
        Run::empty(self.carry_first, before.running_max_timestamp, before.next_nonce)
    }

    fn write(&self, carried: &Run) -> Vec<u8> {
        let mut header = HeaderWriter::new(Kind::Commit, &self.list);
        header.section(IDENTITY, |out| {
            out.put_varint(self.commit.seq);
            out.extend_from_slice(&self.commit.session.0.to_le_bytes());
            out.put_varint(self.commit.put_id);
            let handover = if self.commit.handover { HANDOVER } else { 0 };
            let complete = if self.commit.complete { COMPLETE } else { 0 };
            out.push(handover | complete);
        });
        header.section(OWN, |out| write_items(&self.before_own(), &self.run, &self.own_blocks, out));
        if !self.carried_blocks.is_empty() {
            header.section(CARRIED, |out| write_items(&carried.reference(), carried, &self.carried_blocks, out));
        }
        header.section(MANIFEST, |out| self.write_manifest(out));
        if !self.table.is_empty() {
            header.section(TABLE, |out| write_table(&self.before, &self.table, out));
        }
        if !self.sources.is_empty() {
            header.section(SOURCES, |out| self.sources.write(out));
        }
        header.sections(&self.sections);
        header.finish()
    }

    fn write_manifest(&self, out: &mut Vec<u8>) {
        out.put_varint(self.commit.seq.wrapping_sub(self.covered));
        out.put_varint(self.start);
        let has_timestamps = self.totals.min_timestamp <= self.totals.max_timestamp;
        let timestamps = if has_timestamps { HAS_TIMESTAMPS } else { 0 };
        out.push(timestamps | if self.index.is_some() { HAS_INDEX } else { 0 });
        out.put_varint(self.totals.value_bytes);
        if has_timestamps {
            out.put_signed(self.totals.min_timestamp);
            out.put_varint(self.totals.max_timestamp.wrapping_sub(self.totals.min_timestamp) as u64);
        }
        if let Some(index) = &self.index {
            write_id(&index.id, out);
            out.put_varint(index.length);
        }
    }

    /// Reads the header at the start of a commit: `bytes` are the object's first, at least [`MAX_HEADER_BYTES`] of them
    /// or all.
    ///
    /// # Errors
    /// [`Malformed`] where it is damaged, of another list, newer, or contradicts itself.
    pub fn decode(bytes: &[u8], list: &ListHash) -> Result<Self, Malformed> {
        let mut header = Header::open(bytes, Kind::Commit, list, MAX_HEADER_BYTES)?;
        let header_length = header.length;
        let commit = read_identity(header.require(IDENTITY)?)?;
        let (before_own, run, own_blocks) = read_items(u64::from(header_length), header.require(OWN)?)?;
        let carried_position = u64::from(header_length) + stored_bytes(&own_blocks);
        let (_, carried, carried_blocks) = match header.take(CARRIED) {
            Some(section) => read_items(carried_position, section)?,
            None => (before_own, before_own, Vec::new()),
        };
        let manifest = Manifest::read(&commit, header.require(MANIFEST)?)?;
        let (before, table) = match header.take(TABLE) {
            Some(section) => read_table(manifest.covered, commit.seq, section)?,
            None => (before_own, Vec::new()),
        };
        let sources = header.take(SOURCES).map_or_else(|| Ok(Sources::default()), Sources::read)?;
        let read = Self {
            list: *list,
            commit,
            run,
            carry_first: carried.first,
            covered: manifest.covered,
            index: manifest.index,
            start: manifest.start,
            totals: manifest.totals,
            before,
            table,
            sources: Arc::new(sources),
            own_blocks,
            carried_blocks,
            sections: header.finish()?,
            header_length,
        };
        read.check(&before_own, &carried)?;
        Ok(read)
    }

    /// What must hold between the parts.
    fn check(&self, before_own: &Run, carried: &Run) -> Result<(), Malformed> {
        let corrupt = |reason| Err(Malformed::Corrupt(reason));
        if self.table.len() as u64 != self.commit.seq - self.covered {
            return corrupt("its table does not have every commit since C");
        }
        if self.before_own() != *before_own {
            return corrupt("its table does not end where its own items begin");
        }
        if self.covered == 0 && self.before != Run::empty(0, i64::MIN, 0) {
            return corrupt("its table goes back to commit 0, and not to the list's begin");
        }
        if carried.end() != self.run.first {
            return corrupt("what it carries does not end where its own items begin");
        }
        if self.start > self.next_offset() {
            return corrupt("its first live offset is beyond its next offset");
        }
        if self.run.count > MAX_COMMIT_ITEMS as u64 {
            return corrupt("it has more items than the format allows");
        }
        Ok(())
    }
}

/// Writes a state, the run that follows it and the directory of its blocks.
pub(super) fn write_items(before: &Run, run: &Run, blocks: &[BlockEntry], out: &mut Vec<u8>) {
    before.write_state(out);
    run.write_after(before, out);
    write_directory(before, blocks, out);
}

/// Reads a state, the run that follows it and its blocks, which lie from `position` on.
pub(super) fn read_items(position: u64, mut section: Reader<'_>) -> Result<(Run, Run, Vec<BlockEntry>), Malformed> {
    let before = Run::read_state(&mut section)?;
    let run = Run::read_after(&before, &mut section)?;
    let blocks = read_directory(&before, &run, position, &mut section)?;
    section.finish()?;
    Ok((before, run, blocks))
}

pub(super) fn write_id(id: &ObjectId, out: &mut Vec<u8>) {
    out.put_varint(id.x);
    out.extend_from_slice(&id.id.to_le_bytes());
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<ObjectId, Malformed> {
    Ok(ObjectId { x: reader.varint()?, id: reader.u128()? })
}

/// The reference to a head page, which has some bytes and not too many.
pub(super) fn read_index(reader: &mut Reader<'_>) -> Result<IndexReference, Malformed> {
    let index = IndexReference { id: read_id(reader)?, length: reader.varint()? };
    if (1..=MAX_PAGE_BYTES).contains(&index.length) {
        Ok(index)
    } else {
        Err(Malformed::Corrupt("the length of its index is impossible"))
    }
}

fn read_identity(mut section: Reader<'_>) -> Result<CommitIdentity, Malformed> {
    let seq = section.varint()?;
    let session = SessionId(section.u128()?);
    let put_id = section.varint()?;
    let flags = section.u8()?;
    section.finish()?;
    if flags & !(HANDOVER | COMPLETE) != 0 {
        return Err(Malformed::Unknown { part: "commit flags", number: u32::from(flags) });
    }
    let (handover, complete) = (flags & HANDOVER != 0, flags & COMPLETE != 0);
    Ok(CommitIdentity { seq, session, put_id, handover, complete })
}

struct Manifest {
    covered: u64,
    start: u64,
    totals: Totals,
    index: Option<IndexReference>,
}

impl Manifest {
    fn read(commit: &CommitIdentity, mut section: Reader<'_>) -> Result<Self, Malformed> {
        let entries = section.varint()?;
        if entries > MAX_TABLE_ENTRIES as u64 {
            return Err(Malformed::Corrupt("its table is longer than the format allows"));
        }
        let covered = commit.seq.checked_sub(entries).ok_or(Malformed::Corrupt("its C is negative"))?;
        let start = section.varint()?;
        let flags = section.u8()?;
        if flags & !(HAS_TIMESTAMPS | HAS_INDEX) != 0 {
            return Err(Malformed::Unknown { part: "manifest flags", number: u32::from(flags) });
        }
        let value_bytes = section.varint()?;
        let mut totals = Totals { value_bytes, ..Totals::EMPTY };
        if flags & HAS_TIMESTAMPS != 0 {
            totals.min_timestamp = section.signed()?;
            totals.max_timestamp = totals.min_timestamp.wrapping_add(section.varint()? as i64);
            if totals.max_timestamp < totals.min_timestamp {
                return Err(Malformed::Corrupt("its timestamps go beyond 64 bits"));
            }
        }
        let index = match flags & HAS_INDEX {
            0 => None,
            _ => Some(read_index(&mut section)?),
        };
        section.finish()?;
        Ok(Self { covered, start, totals, index })
    }
}

impl Totals {
    /// Of no items.
    pub const EMPTY: Self = Self { value_bytes: 0, min_timestamp: i64::MAX, max_timestamp: i64::MIN };

    /// Adds a run.
    pub(crate) fn add(&mut self, run: &Run) {
        self.value_bytes = self.value_bytes.saturating_add(run.value_bytes);
        self.min_timestamp = self.min_timestamp.min(run.min_timestamp);
        self.max_timestamp = self.max_timestamp.max(run.max_timestamp);
    }
}

/// A commit ready to be PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedCommit {
    /// Its header, with block directories and length.
    pub header: CommitHeader,
    /// The object.
    pub body: Bytes,
}

/// Why a commit cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommitTooLarge {
    /// Its header would not fit in what a reader asks for first.
    #[error("the commit's header takes {bytes} bytes, {MAX_HEADER_BYTES} at most: the list must be compacted first")]
    Header {
        /// Bytes it would take.
        bytes: usize,
    },
}

/// Encodes a commit. `header` says everything but its blocks and header length; `own` are the items of `header.run`;
/// `carried` (may be empty) are those from `header.carry_first` to there.
///
/// # Errors
/// [`CommitTooLarge`] where the header would take more than [`MAX_HEADER_BYTES`].
pub fn encode_commit(
    mut header: CommitHeader,
    own: &[Item],
    carried: &[CarriedBlock],
    options: &BlockOptions,
) -> Result<EncodedCommit, CommitTooLarge> {
    let owner = header.owner();
    let value_bytes: usize = own.iter().map(|item| item.value.len()).sum();
    let mut own_options = *options;
    if value_bytes > LARGE_COMMIT_BYTES {
        own_options.plain_bytes = own_options.plain_bytes.max(LARGE_BLOCK_PLAIN_BYTES);
    }
    header.carry_first = carried.first().map_or(header.run.first, CarriedBlock::first);

    // The header comes first and is known last: room is left for it, so that the blocks need not be moved.
    let own_blocks = own.len().min(value_bytes / own_options.plain_bytes.max(1));
    let parts = own_blocks + carried.len() + header.table.len() + header.sources.len() + 16;
    let room = (HEADER_BYTES_OF_EACH * parts).min(MAX_HEADER_BYTES);
    let carried_bytes: usize = carried.iter().map(|block| block.stored_bytes() + FRAME_BYTES).sum();
    let mut body = Vec::with_capacity(room + value_bytes + 16 * own.len() + FRAME_BYTES + carried_bytes);
    body.resize(room, 0);
    header.own_blocks = encode_blocks(owner, &header.before_own(), own, &own_options, 0, &mut body);
    let mut carried_run = header.carried_before();
    header.carried_blocks = Vec::with_capacity(carried.len());
    for block in carried {
        carried_run.join(block.run());
        let entry = block.write(owner, &carried_run, (body.len() - room) as u64, &mut body);
        header.carried_blocks.push(entry);
    }

    let head = header.write(&carried_run);
    if head.len() > MAX_HEADER_BYTES {
        return Err(CommitTooLarge::Header { bytes: head.len() });
    }
    header.header_length = head.len() as u32;
    shift(&mut header.own_blocks, head.len() as u64);
    shift(&mut header.carried_blocks, head.len() as u64);
    Ok(EncodedCommit { header, body: with_head(&head, room, body) })
}

/// The head, and what comes after `room` in `body`.
fn with_head(head: &[u8], room: usize, mut body: Vec<u8>) -> Bytes {
    let begin = room.saturating_sub(head.len());
    match body.get_mut(begin..room) {
        Some(place) if place.len() == head.len() => place.copy_from_slice(head),
        _ => drop(body.splice(begin..room, head.iter().copied())),
    }
    body.shrink_to_fit();
    Bytes::from(body).slice(begin..)
}

#[cfg(test)]
mod tests;
