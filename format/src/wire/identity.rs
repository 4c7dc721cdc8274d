//! Who wrote what: the small values by which objects recognise each other.

use sha2::{Digest, Sha256};

/// SHA-256 of the list's keyspace and key, cut to 16 bytes: in every object, so that none passes for another list's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ListHash(pub [u8; 16]);

impl ListHash {
    /// The hash of a list: of the keyspace's length in bytes (4 bytes, little-endian), the keyspace and the key.
    ///
    /// ```
    /// use klstore_format::wire::identity::ListHash;
    /// assert_ne!(ListHash::of("flights", "N14228"), ListHash::of("flightsN", "14228"));
    /// ```
    pub fn of(keyspace: &str, key: &str) -> Self {
        let length = u32::try_from(keyspace.len()).unwrap_or(u32::MAX);
        Self(first_bytes(&[&length.to_le_bytes(), keyspace.as_bytes(), key.as_bytes()]))
    }
}

/// A random id of one writer instance and one list (PROTOCOL rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SessionId(pub u128);

/// The name parts of a segment or index page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// X: all commits below it are covered by the index that this object was prepared for.
    pub x: u64,
    /// Random, used once.
    pub id: u128,
}

/// What tells a commit from another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitIdentity {
    /// Its number, one more than its predecessor's.
    pub seq: u64,
    /// Who wrote it.
    pub session: SessionId,
    /// Which payload of that session.
    pub put_id: u64,
    /// Whether the predecessor is another session's (true for commit 0).
    pub handover: bool,
    /// Whether the index may refer to the commit itself instead of to a segment.
    pub complete: bool,
}

/// The 8 bytes with which a block says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockOwner(pub [u8; 8]);

impl BlockOwner {
    /// The owner of the blocks in a commit, carried ones included.
    pub fn of_commit(list: &ListHash, commit: &CommitIdentity) -> Self {
        Self(first_bytes(&[
            b"klstore commit",
            &list.0,
            &commit.seq.to_le_bytes(),
            &commit.session.0.to_le_bytes(),
            &commit.put_id.to_le_bytes(),
        ]))
    }

    /// The owner of the blocks in a segment.
    pub fn of_segment(list: &ListHash, id: &ObjectId) -> Self {
        Self(first_bytes(&[b"klstore segment", &list.0, &id.x.to_le_bytes(), &id.id.to_le_bytes()]))
    }
}

/// The first bytes of the SHA-256 of the parts, one after the other.
fn first_bytes<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut first = [0; N];
    for (to, from) in first.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    first
}
