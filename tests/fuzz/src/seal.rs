//! Checksums and identities mended after a mutation, as a stranger would who means harm.

use klstore_format::wire::cursor::{Reader, Write};
use klstore_format::wire::identity::{BlockOwner, ListHash};
use klstore_format::wire::preamble::{MAGIC, PREAMBLE_BYTES};

/// The beginning of an object as one of klstore's has it: magic, version, kind, list and, where the length is possible,
/// the checksum. `None` leaves a part as it is.
pub fn header(bytes: &mut [u8], kind: Option<u8>, list: Option<&ListHash>) {
    if bytes.len() < PREAMBLE_BYTES {
        return;
    }
    if let Some(kind) = kind {
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&[1, kind, 0, 0]);
    }
    if let Some(list) = list {
        bytes[16..32].copy_from_slice(&list.0);
    }
    let declared = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    // One that reaches beyond the object is cut to it: what would be refused at once teaches nothing.
    let length = if declared > bytes.len() || declared < PREAMBLE_BYTES { bytes.len() } else { declared };
    bytes[8..12].copy_from_slice(&(length as u32).to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..length]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
}

/// The frames from `at` on, one after the other as long as their lengths are possible: both lengths the same, the owner
/// (where there is one to put) and the checksum right.
pub fn blocks(bytes: &mut [u8], mut at: usize, owner: Option<&BlockOwner>) {
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= 20) {
        let declared = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let length = if declared < 20 || declared > rest.len() { rest.len() } else { declared };
        block(&mut rest[..length], owner);
        at += length;
    }
}

/// One frame of at least 20 bytes.
fn block(frame: &mut [u8], owner: Option<&BlockOwner>) {
    let end = frame.len() - 4;
    let length = (frame.len() as u32).to_le_bytes();
    frame[..4].copy_from_slice(&length);
    frame[end..].copy_from_slice(&length);
    if let Some(owner) = owner {
        frame[8..16].copy_from_slice(&owner.0);
    }
    let sum = crc32c::crc32c(&frame[8..end]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Bytes of the header of what looks like an object.
pub fn header_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize;
    (bytes.starts_with(&MAGIC) && (PREAMBLE_BYTES..=bytes.len()).contains(&length)).then_some(length)
}

/// The sections of an object's header: their types and bytes.
pub fn sections(bytes: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let header = &bytes[..header_length(bytes)?];
    let mut reader = Reader::new(&header[PREAMBLE_BYTES..]);
    let mut sections = Vec::new();
    while reader.remaining() > 0 {
        let kind = reader.u16().ok()?;
        let length = usize::try_from(reader.varint().ok()?).ok()?;
        sections.push((kind, reader.take(length).ok()?.to_vec()));
    }
    Some(sections)
}

/// The object with other sections in its header, and all their lengths as they should be.
pub fn with_sections(bytes: &[u8], sections: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let Some(old) = header_length(bytes) else { return bytes.to_vec() };
    let mut object = bytes[..PREAMBLE_BYTES].to_vec();
    for (kind, section) in sections {
        object.extend_from_slice(&kind.to_le_bytes());
        object.put_varint(section.len() as u64);
        object.extend_from_slice(section);
    }
    let length = object.len() as u32;
    object[8..12].copy_from_slice(&length.to_le_bytes());
    object.extend_from_slice(&bytes[old..]);
    object
}
