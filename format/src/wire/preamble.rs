//! How every object begins: magic, version, kind, checksum, whose it is; then typed and sized sections.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | magic `KLST` |
//! | 4 | format version |
//! | 5 | kind |
//! | 6..8 | flags, 0 |
//! | 8..12 | header length: bytes from the start of the object to the end of its last section |
//! | 12..16 | crc32c of bytes 0..12 and 16..header length |
//! | 16..32 | list hash |
//! | 32.. | sections, in ascending order of type: type (2 bytes), length (varint), bytes |

use super::Malformed;
use super::checksum::crc32c;
use super::commit::Section;
use super::cursor::{Reader, Write};
use super::identity::ListHash;
use crate::rules::{self, Rule};

/// The version of the object layout that this release writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;
/// The first bytes of every object.
pub const MAGIC: [u8; 4] = *b"KLST";
/// Bytes before the first section.
pub const PREAMBLE_BYTES: usize = 32;

/// Sections of this type and above may be skipped by those who do not know them.
const OPTIONAL: u16 = 1 << 15;
/// No object has more sections; bounds the list of them.
const MAX_SECTIONS: usize = 64;
const LENGTH_AT: usize = 8;
const CHECKSUM_AT: usize = 12;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A commit.
    Commit = 1,
    /// A segment.
    Segment = 2,
    /// The head page of an index.
    Head = 3,
    /// A full leaf page of an index.
    Leaf = 4,
    /// A page of the handover ledger.
    Ledger = 5,
}

impl Kind {
    /// The sections that this release knows go from 1 to this type.
    fn last_section(self) -> u16 {
        match self {
            Self::Commit => 6,
            Self::Segment | Self::Leaf | Self::Ledger => 2,
            Self::Head => 5,
        }
    }
}

/// Builds a header section by section.
#[derive(Debug)]
pub struct HeaderWriter {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
}

impl HeaderWriter {
    /// The header of an object of `list`.
    pub fn new(kind: Kind, list: &ListHash) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[FORMAT_VERSION as u8, kind as u8, 0, 0]);
        bytes.extend_from_slice(&[0; 8]); // length and checksum: known at the end
        bytes.extend_from_slice(&list.0);
        Self { bytes, scratch: Vec::new() }
    }

    /// Appends a section; call in ascending order of types.
    pub fn section(&mut self, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.put_varint(self.scratch.len() as u64);
        self.bytes.extend_from_slice(&self.scratch);
    }

    /// Appends sections that were read but not understood.
    pub fn sections(&mut self, sections: &[Section]) {
        for section in sections {
            self.section(section.kind, |out| out.extend_from_slice(&section.bytes));
        }
    }

    /// The header, sealed with its length and checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(LENGTH_AT..CHECKSUM_AT) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        let sum = checksum(&self.bytes);
        if let Some(field) = self.bytes.get_mut(CHECKSUM_AT..CHECKSUM_AT + 4) {
            field.copy_from_slice(&sum.to_le_bytes());
        }
        self.bytes
    }
}

fn checksum(header: &[u8]) -> u32 {
    let [before, after] = [header.get(..CHECKSUM_AT), header.get(CHECKSUM_AT + 4..)];
    crc32c(&[before.unwrap_or_default(), after.unwrap_or_default()])
}

/// How long the object that begins with `bytes` says its header is; `None` where no object of klstore begins so.
pub(super) fn declared_length(bytes: &[u8]) -> Option<u32> {
    let length = bytes.get(LENGTH_AT..CHECKSUM_AT)?.first_chunk()?;
    bytes.starts_with(&MAGIC).then_some(u32::from_le_bytes(*length))
}

/// A header whose checksum is right, and its sections not yet asked for.
#[derive(Debug)]
pub struct Header<'a> {
    /// Bytes of the header.
    pub length: u32,
    sections: Vec<(u16, &'a [u8])>,
}

impl<'a> Header<'a> {
    /// Checks the header at the start of `bytes`, of at most `limit` bytes.
    pub fn open(bytes: &'a [u8], kind: Kind, list: &ListHash, limit: usize) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != MAGIC {
            return Err(Malformed::Corrupt("it does not begin as an object of klstore does"));
        }
        let version = u32::from(reader.u8()?);
        if version > FORMAT_VERSION {
            return Err(Malformed::Version(version));
        }
        if version == 0 {
            return Err(Malformed::Corrupt("its format version is 0"));
        }
        let found_kind = reader.u8()?;
        let flags = reader.u16()?;
        let length = reader.u32()?;
        let sum = reader.u32()?;
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > limit || size < PREAMBLE_BYTES {
            return Err(Malformed::Corrupt("its header is longer than the format allows, or shorter"));
        }
        let header = bytes.get(..size).ok_or(Malformed::Corrupt("it ends before its header does"))?;
        if checksum(header) != sum && rules::kept(Rule::HeaderChecksum) {
            return Err(Malformed::Corrupt("the checksum of its header is wrong"));
        }
        if flags != 0 {
            return Err(Malformed::Unknown { part: "flags", number: u32::from(flags) });
        }
        if found_kind != kind as u8 {
            return Err(Malformed::Corrupt("it is another kind of object"));
        }
        if reader.array()? != list.0 && rules::kept(Rule::ListIdentity) {
            return Err(Malformed::Corrupt("it belongs to another list"));
        }
        let sections = read_sections(header.get(PREAMBLE_BYTES..).unwrap_or_default())?;
        // Before a section is missed: a newer writer may have put another in its place.
        match sections.iter().find(|(number, _)| (kind.last_section() + 1..OPTIONAL).contains(number)) {
            Some((number, _)) => Err(Malformed::Unknown { part: "section", number: u32::from(*number) }),
            None => Ok(Self { length, sections }),
        }
    }

    /// The section of this type, where there is one.
    pub fn take(&mut self, kind: u16) -> Option<Reader<'a>> {
        let at = self.sections.iter().position(|(found, _)| *found == kind)?;
        Some(Reader::new(self.sections.remove(at).1))
    }

    /// A section that must be there.
    pub fn require(&mut self, kind: u16) -> Result<Reader<'a>, Malformed> {
        self.take(kind).ok_or(Malformed::Corrupt("a part of it is missing"))
    }

    /// The optional sections that nothing has asked for; an error where a required one is left.
    pub fn finish(self) -> Result<Vec<Section>, Malformed> {
        self.sections
            .into_iter()
            .map(|(kind, bytes)| {
                if kind < OPTIONAL {
                    return Err(Malformed::Unknown { part: "section", number: u32::from(kind) });
                }
                Ok(Section { kind, bytes: bytes::Bytes::copy_from_slice(bytes) })
            })
            .collect()
    }
}

fn read_sections(bytes: &[u8]) -> Result<Vec<(u16, &[u8])>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut sections = Vec::<(u16, &[u8])>::new();
    while reader.remaining() > 0 {
        let kind = reader.u16()?;
        if sections.last().is_some_and(|(before, _)| *before >= kind) {
            return Err(Malformed::Corrupt("its sections are not in ascending order"));
        }
        if sections.len() == MAX_SECTIONS {
            return Err(Malformed::Corrupt("it has more sections than the format allows"));
        }
        let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        sections.push((kind, reader.take(length)?));
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::sealed;
    use super::*;

    #[test]
    fn an_unknown_section_counts_before_a_missing_one() {
        let list = ListHash([7; 16]);
        for kind in [Kind::Commit, Kind::Segment, Kind::Head, Kind::Leaf, Kind::Ledger] {
            let sections_of = |last: u16| {
                let mut writer = HeaderWriter::new(kind, &list);
                (1..=last).for_each(|number| writer.section(number, |_| {}));
                writer.section(OPTIONAL, |_| {});
                Header::open(&writer.finish(), kind, &list, 1 << 10).map(|header| header.sections.len())
            };
            let known = kind.last_section();
            assert_eq!(sections_of(known), Ok(usize::from(known) + 1), "{kind:?}");
            let unknown = Malformed::Unknown { part: "section", number: u32::from(known) + 1 };
            assert_eq!(sections_of(known + 1), Err(unknown), "{kind:?}");
        }
    }

    #[test]
    fn a_header_begins_as_the_format_says() {
        let list = ListHash([7; 16]);
        let whole = {
            let mut writer = HeaderWriter::new(Kind::Segment, &list);
            writer.section(1, |out| out.push(5));
            writer.finish()
        };
        // Changed and sealed again, then read with this limit.
        let open = |at: usize, byte: u8, limit: usize| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            Header::open(&sealed(bytes), Kind::Segment, &list, limit).map(|header| header.length as usize)
        };
        let corrupt = |reason| Err(Malformed::Corrupt(reason));
        let length = whole.len();
        assert_eq!(open(0, b'K', length), Ok(length));
        assert_eq!(open(0, b'X', length), corrupt("it does not begin as an object of klstore does"));
        assert_eq!(open(4, 0, length), corrupt("its format version is 0"));
        assert_eq!(open(4, 2, length), Err(Malformed::Version(2)));
        assert_eq!(open(5, 1, length), corrupt("it is another kind of object"));
        assert_eq!(open(7, 1, length), Err(Malformed::Unknown { part: "flags", number: 256 }));
        assert_eq!(open(16, 8, length), corrupt("it belongs to another list"));
        let size = "its header is longer than the format allows, or shorter";
        assert_eq!(open(0, b'K', length - 1), corrupt(size));
        assert_eq!(open(8, 31, length), corrupt(size));
        assert_eq!(open(8, 32, length), Ok(32));
        let cut = Header::open(&whole[..length - 1], Kind::Segment, &list, length);
        assert_eq!(cut.map(|header| header.length as usize), corrupt("it ends before its header does"));
        let mut damaged = whole;
        damaged[length - 1] ^= 1;
        let damaged = Header::open(&damaged, Kind::Segment, &list, length);
        assert_eq!(damaged.map(|header| header.length as usize), corrupt("the checksum of its header is wrong"));
    }

    #[test]
    fn sections_ascend_and_those_that_may_be_skipped_are_kept() {
        let list = ListHash([7; 16]);
        let open = |sections: &[u16]| {
            let mut writer = HeaderWriter::new(Kind::Segment, &list);
            sections.iter().for_each(|kind| writer.section(*kind, |_| {}));
            let bytes = writer.finish();
            let mut header = Header::open(&bytes, Kind::Segment, &list, 1 << 10)?;
            header.require(1)?;
            header.finish().map(|rest| rest.iter().map(|section| section.kind).collect::<Vec<_>>())
        };
        let unknown = |number| Err(Malformed::Unknown { part: "section", number });
        assert_eq!(open(&[1, OPTIONAL, OPTIONAL + 1, u16::MAX]), Ok(vec![OPTIONAL, OPTIONAL + 1, u16::MAX]));
        assert_eq!(open(&[0, 1]), unknown(0));
        assert_eq!(open(&[1, 2]), unknown(2));
        assert_eq!(open(&[1, OPTIONAL - 1]), unknown(0x7fff));
        assert_eq!(open(&[OPTIONAL]), Err(Malformed::Corrupt("a part of it is missing")));
        for unordered in [[1, 1], [2, 1]] {
            let ascending = Malformed::Corrupt("its sections are not in ascending order");
            assert_eq!(open(&unordered), Err(ascending));
        }
        let many: Vec<u16> = (0..65).map(|number| if number == 0 { 1 } else { OPTIONAL + number }).collect();
        assert_eq!(open(&many[..64]).map(|rest| rest.len()), Ok(63));
        assert_eq!(open(&many), Err(Malformed::Corrupt("it has more sections than the format allows")));
    }
}
