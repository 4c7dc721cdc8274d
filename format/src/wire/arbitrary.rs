//! Random parts of lists, and ways to damage bytes, for the tests of this folder.

use bytes::Bytes;
use proptest::prelude::*;

use super::Malformed;
use super::block::{BlockOptions, encode_blocks};
use super::checksum::crc32c;
use super::compression::Codec;
use super::head::{IndexEntry, Source};
use super::identity::{BlockOwner, CommitIdentity, ListHash, ObjectId, SessionId};
use super::run::Run;
use super::sources::Sources;
use crate::item::Item;
use crate::source;

pub fn list() -> ListHash {
    ListHash::of("flights", "N14228")
}

/// Where a list may stand before some items.
pub fn state() -> impl Strategy<Value = Run> {
    let offset = prop_oneof![Just(0), 0..1u64 << 40, Just(u64::MAX - (1 << 32))];
    let nonce = prop_oneof![Just(0), 0..1u128 << 40, Just(u128::MAX - (1 << 64))];
    (offset, timestamp(), nonce).prop_map(|(first, max, nonce)| Run::empty(first, max, nonce))
}

fn timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 1_357_000_000_000..1_388_000_000_000i64,
        1 => any::<i64>(),
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![3 => 0..60usize, 1 => Just(0), 1 => 1_000..3_000usize];
    (length, any::<u8>()).prop_map(|(length, seed)| {
        (0..length).map(|at| seed.wrapping_add((at * at / 7) as u8)).collect::<Vec<_>>().into()
    })
}

/// Items that follow `before`.
pub fn items(before: Run, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Item>> {
    let nonce_step = prop_oneof![3 => Just(None), 3 => Just(Some(0)), 2 => (0..1u128 << 30).prop_map(Some)];
    // Mostly one kind of nonce in a list, as in practice; sometimes mixed.
    let kind = 0..3u8;
    let item = (timestamp(), nonce_step, value());
    (kind, prop::collection::vec(item, count)).prop_map(move |(kind, parts)| {
        let mut next_nonce = before.next_nonce;
        let mut offset = before.end();
        let mut number = |(timestamp, step, value): (i64, Option<u128>, Bytes)| {
            let step = match kind {
                0 => None,
                1 => Some(step.unwrap_or(0)),
                _ => step,
            };
            let nonce = step.map(|step| next_nonce + step);
            next_nonce = nonce.map_or(next_nonce, |nonce| nonce + 1);
            offset += 1;
            Item { offset: offset - 1, timestamp, nonce, value }
        };
        parts.into_iter().map(&mut number).collect()
    })
}

pub fn items_after_any_state(count: std::ops::Range<usize>) -> impl Strategy<Value = (Run, Vec<Item>)> {
    state().prop_flat_map(move |before| (Just(before), items(before, count.clone())))
}

pub fn options() -> impl Strategy<Value = BlockOptions> {
    let codec = prop_oneof![Just(Codec::None), Just(Codec::Lz4), Just(Codec::Zstd)];
    (codec, prop_oneof![1usize..5_000, Just(32 << 10)])
        .prop_map(|(codec, plain_bytes)| BlockOptions { codec, plain_bytes })
}

pub fn identity(seq: u64) -> impl Strategy<Value = CommitIdentity> {
    let session = prop_oneof![(1..4u128).prop_map(|few| few << 100), any::<u128>()];
    (session, prop_oneof![0..9u64, any::<u64>()], any::<bool>(), any::<bool>()).prop_map(
        move |(session, put_id, handover, complete)| CommitIdentity {
            seq,
            session: SessionId(session),
            put_id,
            handover,
            complete,
        },
    )
}

pub fn object_id() -> impl Strategy<Value = ObjectId> {
    (prop_oneof![0..1u64 << 20, any::<u64>()], any::<u128>()).prop_map(|(x, id)| ObjectId { x, id })
}

/// Sources of a list, of which several may be partitions of one topic.
pub fn sources() -> impl Strategy<Value = Sources> {
    let source = ("[a-c.]{1,3}", prop_oneof![0..4_u32, any::<u32>()]);
    prop::collection::vec((source, any::<u64>()), 0..30).prop_map(|all| {
        let named =
            |((name, partition), next): ((String, u32), u64)| (source::Source::new(name, partition).unwrap(), next);
        Sources::of(all.into_iter().map(named))
    })
}

/// Runs that follow one another from `before` on.
pub fn runs(before: Run, least_items: u64, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Run>> {
    let part = (least_items..1_000, timestamp(), timestamp(), 0..1u128 << 20, 0..1u64 << 30);
    prop::collection::vec(part, count).prop_map(move |parts| {
        let mut before = before;
        parts
            .into_iter()
            .map(|(count, one, other, nonces, value_bytes)| {
                let mut run = before.after();
                if count > 0 {
                    run.join(&Run {
                        first: run.first,
                        count,
                        value_bytes,
                        min_timestamp: one.min(other),
                        max_timestamp: one.max(other),
                        running_max_timestamp: one.max(other),
                        next_nonce: run.next_nonce + nonces,
                    });
                }
                before = run;
                run
            })
            .collect()
    })
}

/// Index entries that follow `before`, with the directories of real blocks.
pub fn entries(before: Run, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<IndexEntry>> {
    let part = (object_id(), identity(0), any::<[bool; 2]>(), 100..600u32);
    let parts = prop::collection::vec((part, 1..12usize), count);
    (parts, items(before, 150..151), options()).prop_map(move |(parts, items, options)| {
        let mut before = before;
        let mut rest = &items[..];
        let mut entries = Vec::new();
        for ((id, commit, [complete, segment], header_length), items) in parts {
            let (own, after) = rest.split_at(items.min(rest.len()));
            rest = after;
            if own.is_empty() {
                break;
            }
            let source = if segment {
                Source::Segment { id, complete }
            } else {
                Source::Commit(CommitIdentity { seq: id.x, ..commit })
            };
            let owner = BlockOwner([0; 8]);
            let position = u64::from(header_length);
            let blocks = encode_blocks(owner, &before, own, &options, position, &mut Vec::new());
            let mut run = before.after();
            own.iter().for_each(|item| run.push(item));
            let length = blocks.last().map_or(position, |block| block.end_position());
            entries.push(IndexEntry { source, run, header_length, length, blocks });
            before = run;
        }
        entries
    })
}

/// Every bit of these bytes flipped, one at a time, and every shorter beginning of them: what is read of it must be an
/// error, or no different.
pub fn no_damage_is_believed<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(&Bytes) -> Result<T, Malformed>,
) {
    let whole = read(&Bytes::copy_from_slice(bytes)).expect("undamaged bytes can be read");
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = read(&damaged.into()) {
            assert_eq!(read, whole, "bit {bit} was flipped and believed");
        }
    }
    for length in 0..bytes.len() {
        if let Ok(read) = read(&Bytes::copy_from_slice(&bytes[..length])) {
            assert_eq!(read, whole, "cut to {length} bytes and believed");
        }
    }
}

/// Header bytes of a stranger who knows how to compute a checksum: some bytes are changed and the header sealed again.
pub fn forged(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Bytes {
    let mut forged = bytes.to_vec();
    let length = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    for (at, xor) in changes {
        // Not the length field and the checksum themselves.
        let at = 16 + at.index(length - 16);
        forged[at] ^= xor;
    }
    sealed(forged)
}

/// Bytes of a header with the checksum that they should have.
pub fn sealed(mut bytes: Vec<u8>) -> Bytes {
    let length = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let sum = crc32c(&[&bytes[..12], &bytes[16..length]]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes.into()
}

/// What [`forged`] changes.
pub fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
}
