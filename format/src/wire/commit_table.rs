//! What a commit says of those before it that the index does not cover yet.

use super::Malformed;
use super::commit::CommitHeader;
use super::cursor::{Reader, Write};
use super::identity::{BlockOwner, CommitIdentity, ListHash};
use super::preamble::{PREAMBLE_BYTES, declared_length};
use super::run::Run;
use super::session_table::SessionTable;
use crate::limits::{MAX_COMMIT_ITEMS, MAX_HEADER_BYTES, MAX_TABLE_ENTRIES};

/// What the newest commit knows of an earlier one that the index does not cover yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableEntry {
    /// Which commit.
    pub commit: CommitIdentity,
    /// Its own items.
    pub run: Run,
    /// Offset of the first item that it carries; `run.first` where it carries none.
    pub carry_first: u64,
    /// Bytes of its header.
    pub header_length: u32,
    /// Bytes of header and own blocks.
    pub own_length: u64,
    /// Bytes of the whole object.
    pub length: u64,
}

impl TableEntry {
    /// Whether it means the commit of this header, and not another of the same name (PROTOCOL rule 12).
    pub fn matches(&self, header: &CommitHeader) -> bool {
        self.commit == header.commit && self.run == header.run
    }

    /// Reads the header from `bytes`, which are as many as the commit's header or more. `None` where a stub has its
    /// name now, or a commit with a longer header: of that there are then only the first bytes.
    pub(crate) fn read_header(&self, bytes: &[u8], list: &ListHash) -> Result<Option<CommitHeader>, Malformed> {
        match CommitHeader::decode(bytes, list) {
            Ok(header) => Ok(Some(header)),
            Err(_) if bytes.is_empty() => Ok(None),
            Err(_) if declared_length(bytes).is_some_and(|length| length > self.header_length) => Ok(None),
            Err(malformed) => Err(malformed),
        }
    }

    /// Whose the commit's blocks are.
    pub fn owner(&self, list: &ListHash) -> BlockOwner {
        BlockOwner::of_commit(list, &self.commit)
    }
}

/// Writes a table whose first run follows `before`.
pub(super) fn write_table(before: &Run, table: &[TableEntry], out: &mut Vec<u8>) {
    let sessions = SessionTable::of(table.iter().map(|entry| entry.commit.session));
    sessions.write(out);
    before.write_state(out);
    let (mut before, mut next_put_id) = (*before, 0u64);
    for entry in table {
        let flags = u64::from(entry.commit.handover) | u64::from(entry.commit.complete) << 1;
        out.put_varint(sessions.index(entry.commit.session) << 2 | flags);
        out.put_signed(entry.commit.put_id.wrapping_sub(next_put_id) as i64);
        entry.run.write_after(&before, out);
        out.put_varint(entry.run.first.wrapping_sub(entry.carry_first));
        out.put_varint(u64::from(entry.header_length));
        out.put_varint(entry.own_length.wrapping_sub(u64::from(entry.header_length)));
        out.put_varint(entry.length.wrapping_sub(entry.own_length));
        (before, next_put_id) = (entry.run, entry.commit.put_id.wrapping_add(1));
    }
}

/// Reads the table of the commits in `covered..seq`, at most [`MAX_TABLE_ENTRIES`], and the state before them.
pub(super) fn read_table(covered: u64, seq: u64, mut section: Reader<'_>) -> Result<(Run, Vec<TableEntry>), Malformed> {
    const LENGTHS: Malformed = Malformed::Corrupt("a length in its table is impossible");
    let sessions = SessionTable::read(&mut section, MAX_TABLE_ENTRIES)?;
    let before_all = Run::read_state(&mut section)?;
    let (mut before, mut next_put_id) = (before_all, 0u64);
    let mut table = Vec::with_capacity(usize::try_from(seq - covered).unwrap_or(0).min(MAX_TABLE_ENTRIES));
    for seq in covered..seq {
        let session_and_flags = section.varint()?;
        let put_id = next_put_id.wrapping_add(section.signed()? as u64);
        let run = Run::read_after(&before, &mut section)?;
        if run.count > MAX_COMMIT_ITEMS as u64 {
            return Err(Malformed::Corrupt("a commit in its table has more items than the format allows"));
        }
        let carry_first = run.first.checked_sub(section.varint()?).ok_or(LENGTHS)?;
        let header_length = section.varint_u32()?;
        let own_length = u64::from(header_length).checked_add(section.varint()?).ok_or(LENGTHS)?;
        let length = own_length.checked_add(section.varint()?).ok_or(LENGTHS)?;
        let possible = (PREAMBLE_BYTES..=MAX_HEADER_BYTES).contains(&(header_length as usize));
        if !possible || (run.count == 0) != (own_length == u64::from(header_length)) {
            return Err(LENGTHS);
        }
        let commit = CommitIdentity {
            seq,
            session: sessions.get(session_and_flags >> 2)?,
            put_id,
            handover: session_and_flags & 1 != 0,
            complete: session_and_flags & 2 != 0,
        };
        table.push(TableEntry { commit, run, carry_first, header_length, own_length, length });
        (before, next_put_id) = (run, put_id.wrapping_add(1));
    }
    section.finish()?;
    Ok((before_all, table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::identity::SessionId;

    const LENGTHS: Malformed = Malformed::Corrupt("a length in its table is impossible");

    fn read(entry: TableEntry) -> Result<(), Malformed> {
        let mut out = Vec::new();
        write_table(&Run::empty(5, 3, 0), &[entry], &mut out);
        read_table(7, 8, Reader::new(&out)).map(|(_, table)| assert_eq!(table, [entry]))
    }

    /// A commit of so many items, whose header has so many bytes and whose blocks so many.
    fn commit(items: u64, header_length: u32, block_bytes: u64) -> TableEntry {
        let empty = Run::empty(5, 3, 0);
        let run = match items {
            0 => empty,
            _ => Run { count: items, min_timestamp: 1, max_timestamp: 2, ..empty },
        };
        let own_length = u64::from(header_length) + block_bytes;
        let commit = CommitIdentity { seq: 7, session: SessionId(1), put_id: 2, handover: false, complete: true };
        TableEntry { commit, run, carry_first: 5, header_length, own_length, length: own_length }
    }

    #[test]
    fn a_commit_has_262144_items_at_most() {
        assert_eq!(read(commit(262_144, 300, 100)), Ok(()));
        let more = Malformed::Corrupt("a commit in its table has more items than the format allows");
        assert_eq!(read(commit(262_145, 300, 100)), Err(more));
    }

    #[test]
    fn a_header_has_32_to_16384_bytes() {
        for (header_length, expected) in [(32, Ok(())), (16_384, Ok(())), (31, Err(LENGTHS)), (16_385, Err(LENGTHS))] {
            assert_eq!(read(commit(1, header_length, 100)), expected, "{header_length} bytes");
        }
    }

    #[test]
    fn items_take_bytes_and_nothing_else_does() {
        assert_eq!(read(commit(0, 300, 0)), Ok(()));
        assert_eq!(read(commit(0, 300, 1)), Err(LENGTHS));
        assert_eq!(read(commit(1, 300, 0)), Err(LENGTHS));
    }
}
