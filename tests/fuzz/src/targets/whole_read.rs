//! A small list with some of its objects changed, and something asked of it: an error or a bounded answer, and never
//! without end.
//!
//! `forged`: checksums are mended after the changes, as a stranger would who may write to the bucket. Otherwise one
//! object was damaged: then the answer is an error, or what it would have been without the damage.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use klstore_format::limits::MAX_HEADER_BYTES;
use klstore_format::wire::preamble::PREAMBLE_BYTES;

use super::drawn;
use crate::list::{Call, LISTS, ask};
use crate::seal;

#[derive(Debug)]
struct Input {
    trimmed: bool,
    forged: bool,
    calls: Vec<Call>,
    changes: Vec<Change>,
}

drawn!('a, Input { trimmed, forged, calls, changes });

/// A change of one object; `object` counts through all of them, `at` within its bytes.
#[derive(Debug, Clone)]
enum Change {
    Xor {
        object: u8,
        at: u16,
        with: u32,
    },
    Splice {
        object: u8,
        at: u16,
        remove: u8,
        insert: Vec<u8>,
    },
    /// Within a section of its header, whose lengths are mended too.
    Section {
        object: u8,
        section: u8,
        at: u16,
        remove: u8,
        insert: Vec<u8>,
    },
    Cut {
        object: u8,
        to: u16,
    },
    /// The bytes of another object.
    Other {
        object: u8,
        other: u8,
    },
    Gone {
        object: u8,
    },
}

drawn!('a, Change: Xor { object, at, with }, Splice { object, at, remove, insert }, Section { object, section, at, remove, insert }, Cut { object, to }, Other { object, other }, Gone { object });

/// More make an input slow and no better.
const MAX_CALLS: usize = 3;
const MAX_CHANGES: usize = 12;
/// Insertions that are longer are cut.
const MAX_INSERTED: usize = 64;

/// The target.
pub fn run(data: &[u8]) {
    let Some(input) = super::read::<Input>(data) else { return };
    let list = if input.trimmed { &LISTS.trimmed } else { &LISTS.golden };
    let names: Vec<&String> = LISTS.objects.keys().collect();
    let mut objects = LISTS.objects.clone();
    if input.forged {
        let mut changed = BTreeSet::new();
        for change in input.changes.iter().take(MAX_CHANGES) {
            let (object, body) = make(change, &names, &objects);
            objects.remove(names[object]);
            if let Some(body) = body {
                objects.insert(names[object].clone(), body);
                changed.insert(object);
            }
        }
        for object in changed {
            let Some(body) = objects.get_mut(names[object]) else { continue };
            let mut bytes = body.to_vec();
            seal::header(&mut bytes, None, None);
            let blocks = seal::header_length(&bytes).unwrap_or(bytes.len());
            seal::blocks(&mut bytes, blocks, None);
            *body = bytes.into();
        }
        for call in input.calls.iter().take(MAX_CALLS) {
            let _ = ask(&mut objects, list, call);
        }
    } else if let Some(change) = input.changes.first().filter(|change| is_accident(change)) {
        let (object, body) = make(change, &names, &objects);
        objects.insert(names[object].clone(), body.unwrap_or_default());
        // A continuation that its holder made up says where to look: what is found there is for nobody to compare.
        let calls = input.calls.iter().filter(|call| !matches!(call, Call::Forged { .. }));
        for call in calls.take(MAX_CALLS) {
            // A writer leaves something behind.
            let damaged = ask(&mut objects.clone(), list, call);
            if let Ok(damaged) = damaged {
                let Ok(whole) = ask(&mut LISTS.objects.clone(), list, call) else {
                    panic!("{call:?} fails, but not where {} is damaged", names[object]);
                };
                // A verification's report tells of the damage; the other list of the store is none of its business.
                if !matches!(call, Call::Verify | Call::Sweep) {
                    assert_eq!(damaged, whole, "{call:?} where {} is damaged", names[object]);
                }
            }
        }
    }
}

/// Whether no object seems right after it by its checksums: a checksum notices 32 bits side by side for certain.
fn is_accident(change: &Change) -> bool {
    matches!(change, Change::Xor { .. } | Change::Cut { .. })
}

/// The changed object, and its bytes unless it is gone.
fn make(change: &Change, names: &[&String], objects: &BTreeMap<String, Bytes>) -> (usize, Option<Bytes>) {
    let (Change::Xor { object, .. }
    | Change::Splice { object, .. }
    | Change::Section { object, .. }
    | Change::Cut { object, .. }
    | Change::Other { object, .. }
    | Change::Gone { object }) = change;
    let object = usize::from(*object) % names.len();
    let mut bytes = objects.get(names[object]).map(|body| body.to_vec()).unwrap_or_default();
    let place = |at: u16| usize::from(at) % (bytes.len() + 1);
    match change {
        Change::Xor { at, with, .. } => {
            let at = place(*at);
            for (byte, with) in bytes.iter_mut().skip(at).zip(with.to_le_bytes()) {
                *byte ^= with;
            }
        }
        Change::Splice { at, remove, insert, .. } => {
            let at = place(*at);
            splice(&mut bytes, at, *remove, insert);
        }
        Change::Section { section, at, remove, insert, .. } => {
            if let Some(mut sections) = seal::sections(&bytes) {
                let count = sections.len();
                if let Some((_, body)) = sections.get_mut(usize::from(*section) % count.max(1)) {
                    let at = usize::from(*at) % (body.len() + 1);
                    splice(body, at, *remove, insert);
                }
                bytes = seal::with_sections(&bytes, &sections);
            }
        }
        Change::Cut { to, .. } => {
            let to = place(*to);
            bytes.truncate(to);
        }
        Change::Other { other, .. } => {
            let other = names[usize::from(*other) % names.len()];
            bytes = objects.get(other).map(|body| body.to_vec()).unwrap_or_default();
        }
        Change::Gone { .. } => return (object, None),
    }
    (object, Some(bytes.into()))
}

fn splice(bytes: &mut Vec<u8>, at: usize, remove: u8, insert: &[u8]) {
    let end = (at + usize::from(remove)).min(bytes.len());
    let insert = &insert[..insert.len().min(MAX_INSERTED)];
    // Long enough headers are refused for it alone.
    if bytes.len() < 4 * MAX_HEADER_BYTES + PREAMBLE_BYTES {
        bytes.splice(at..end, insert.iter().copied());
    }
}
