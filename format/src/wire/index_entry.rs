//! What an index page says of a segment or of a complete commit.

use super::Malformed;
use super::block::BlockEntry;
use super::cursor::{Reader, Write};
use super::directory::{read_directory, stored_bytes, write_directory};
use super::head::PageTooLarge;
use super::identity::{BlockOwner, CommitIdentity, ListHash, ObjectId};
use super::preamble::Header;
use super::run::Run;
use super::session_table::SessionTable;
use crate::limits::{MAX_LEAF_ENTRIES, MAX_PAGE_BYTES};
use crate::names::ListName;
use crate::rules::{self, Rule};

const COMMIT: u8 = 1;
const COMPLETE: u8 = 2;
const HANDOVER: u8 = 4;
const COMMIT_HANDOVER: u8 = COMMIT | HANDOVER;

/// Where indexed items lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// In a segment.
    Segment {
        /// Its name parts.
        id: ObjectId,
        /// Whether it is large enough never to be merged again.
        complete: bool,
    },
    /// In a complete commit.
    Commit(CommitIdentity),
}

/// A segment or complete commit in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Where the items lie.
    pub source: Source,
    /// The items.
    pub run: Run,
    /// Bytes of the object's header.
    pub header_length: u32,
    /// Bytes of the object's header and own blocks.
    pub length: u64,
    /// The blocks.
    pub blocks: Vec<BlockEntry>,
}

impl IndexEntry {
    /// The object's name.
    pub fn name(&self, list: &ListName) -> String {
        match &self.source {
            Source::Segment { id, .. } => list.segment(*id),
            Source::Commit(commit) => list.commit(commit.seq),
        }
    }

    /// Whose its blocks are.
    pub fn owner(&self, list: &ListHash) -> BlockOwner {
        match &self.source {
            Source::Segment { id, .. } => BlockOwner::of_segment(list, id),
            Source::Commit(commit) => BlockOwner::of_commit(list, commit),
        }
    }

    /// Whether it is never merged again.
    pub fn is_complete(&self) -> bool {
        match &self.source {
            Source::Segment { complete, .. } => *complete,
            Source::Commit(_) => true,
        }
    }
}

/// Writes entries that follow `before` and one another without a gap.
pub(super) fn write_entries(before: &Run, entries: &[IndexEntry], out: &mut Vec<u8>) {
    let sessions = SessionTable::of(entries.iter().filter_map(|entry| match &entry.source {
        Source::Commit(commit) => Some(commit.session),
        Source::Segment { .. } => None,
    }));
    out.put_varint(entries.len() as u64);
    sessions.write(out);
    let (mut before, mut last_x) = (*before, 0);
    for entry in entries {
        last_x = write_source(&entry.source, last_x, &sessions, out);
        entry.run.write_after(&before, out);
        out.put_varint(u64::from(entry.header_length));
        write_directory(&before, &entry.blocks, out);
        before = entry.run;
    }
}

fn write_source(source: &Source, last_x: u64, sessions: &SessionTable, out: &mut Vec<u8>) -> u64 {
    match source {
        Source::Segment { id, complete } => {
            out.push(if *complete { COMPLETE } else { 0 });
            write_page_id(id, last_x, out);
            id.x
        }
        Source::Commit(commit) => {
            let complete = if commit.complete { COMPLETE } else { 0 };
            out.push(COMMIT | complete | if commit.handover { HANDOVER } else { 0 });
            out.put_signed(commit.seq.wrapping_sub(last_x) as i64);
            out.put_varint(sessions.index(commit.session));
            out.put_varint(commit.put_id);
            commit.seq
        }
    }
}

/// Reads what [`write_entries`] wrote.
pub(super) fn read_entries(before: &Run, mut section: Reader<'_>) -> Result<Vec<IndexEntry>, Malformed> {
    // A flag, a name or identity, a run, a header length and a directory take more than this.
    const LEAST_BYTES: usize = 12;
    let count = section.count(MAX_LEAF_ENTRIES, LEAST_BYTES)?;
    let sessions = SessionTable::read(&mut section, MAX_LEAF_ENTRIES)?;
    let (mut before, mut last_x) = (*before, 0);
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let source = read_source(last_x, &sessions, &mut section)?;
        last_x = match &source {
            Source::Segment { id, .. } => id.x,
            Source::Commit(commit) => commit.seq,
        };
        let run = Run::read_after(&before, &mut section)?;
        if run.count == 0 {
            return Err(Malformed::Corrupt("an index entry has no items"));
        }
        let header_length = section.varint_u32()?;
        let blocks = read_directory(&before, &run, u64::from(header_length), &mut section)?;
        let length = u64::from(header_length) + stored_bytes(&blocks);
        entries.push(IndexEntry { source, run, header_length, length, blocks });
        before = run;
    }
    section.finish()?;
    Ok(entries)
}

fn read_source(last_x: u64, sessions: &SessionTable, section: &mut Reader<'_>) -> Result<Source, Malformed> {
    let flags = section.u8()?;
    let complete = flags & COMPLETE != 0;
    match flags & !COMPLETE {
        0 => Ok(Source::Segment { id: read_page_id(last_x, section)?, complete }),
        COMMIT | COMMIT_HANDOVER => Ok(Source::Commit(CommitIdentity {
            seq: last_x.wrapping_add(section.signed()? as u64),
            session: sessions.get(section.varint()?)?,
            put_id: section.varint()?,
            handover: flags & HANDOVER != 0,
            complete,
        })),
        _ => Err(Malformed::Unknown { part: "index entry flags", number: u32::from(flags) }),
    }
}

/// Writes an id in a list of ids with rising X.
pub(super) fn write_page_id(id: &ObjectId, last_x: u64, out: &mut Vec<u8>) {
    out.put_signed(id.x.wrapping_sub(last_x) as i64);
    out.extend_from_slice(&id.id.to_le_bytes());
}

pub(super) fn read_page_id(last_x: u64, reader: &mut Reader<'_>) -> Result<ObjectId, Malformed> {
    Ok(ObjectId { x: last_x.wrapping_add(reader.signed()? as u64), id: reader.u128()? })
}

/// Checks that a page is all header, and the one that was asked for. The rest of its identity section is still to read.
pub(super) fn check_page<'a>(
    header: &mut Header<'a>,
    section: u16,
    size: usize,
    id: ObjectId,
) -> Result<Reader<'a>, Malformed> {
    let mut identity = header.require(section)?;
    if read_page_id(0, &mut identity)? != id && rules::kept(Rule::PageIdentity) {
        return Err(Malformed::Corrupt("it is another index page"));
    }
    if usize::try_from(header.length) != Ok(size) {
        return Err(Malformed::Corrupt("something follows its last part"));
    }
    Ok(identity)
}

/// Refuses a page with more of something than readers take.
pub(super) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), PageTooLarge> {
    if count <= limit { Ok(()) } else { Err(PageTooLarge { what, count: count as u64, limit: limit as u64 }) }
}

/// Refuses a page with more bytes than readers take.
pub(super) fn check_bytes(page: Vec<u8>) -> Result<bytes::Bytes, PageTooLarge> {
    if page.len() as u64 <= MAX_PAGE_BYTES {
        return Ok(page.into());
    }
    Err(PageTooLarge { what: "bytes", count: page.len() as u64, limit: MAX_PAGE_BYTES })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::identity::SessionId;

    #[test]
    fn commits_and_complete_segments_are_never_merged_again() {
        let is_complete = |source| {
            let run = Run::empty(0, i64::MIN, 0);
            IndexEntry { source, run, header_length: 60, length: 90, blocks: vec![] }.is_complete()
        };
        let id = ObjectId { x: 5, id: 6 };
        assert!(is_complete(Source::Segment { id, complete: true }));
        assert!(!is_complete(Source::Segment { id, complete: false }));
        let commit = CommitIdentity { seq: 1, session: SessionId(2), put_id: 3, handover: false, complete: true };
        assert!(is_complete(Source::Commit(commit)));
    }
}
