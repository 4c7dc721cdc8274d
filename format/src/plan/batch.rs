//! What may be appended, and how a batch becomes commits.

use thiserror::Error;

use crate::item::Insertion;
use crate::limits::{MAX_COMMIT_ITEMS, MAX_COMMIT_PLAIN_BYTES, MAX_VALUE_BYTES};
use crate::wire::block::MAX_ITEM_OVERHEAD;

/// An insertion that is refused before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidInsertion {
    /// A value that is too large.
    #[error(
        "the value of insertion {index} has {bytes} bytes, {limit} at most: split it, or store it as an object of its own and append its name"
    )]
    ValueTooLarge {
        /// Position in the batch, from 0.
        index: usize,
        /// Bytes of the value.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The nonce 2^128-1, after which no other could follow.
    #[error("the nonce of insertion {index} is 2^128-1, which is refused as nothing could follow it: use a lower one")]
    LastNonce {
        /// Position in the batch, from 0.
        index: usize,
    },
    /// A record's offset 2^64-1, after which no other could follow.
    #[error("insertion {index} has the offset 2^64-1 of its source, which is refused as nothing could follow it")]
    LastSourceOffset {
        /// Position in the batch, from 0.
        index: usize,
    },
    /// A record whose place in its source is not the one that the call gives it.
    #[error(
        "insertion {index} says itself which record of its source it is, and another one than the call does: leave it out of the insertion, or append without naming the source for all"
    )]
    OtherRecord {
        /// Position in the batch, from 0.
        index: usize,
    },
    /// A timestamp far in the future, which would spoil every later search by time.
    #[error(
        "the timestamp {timestamp} of insertion {index} is more than {limit} ms ahead of the writer's clock ({now}): correct it, or raise max_future_skew"
    )]
    FutureTimestamp {
        /// Position in the batch, from 0.
        index: usize,
        /// Its timestamp in milliseconds since 1970.
        timestamp: i64,
        /// The writer's time.
        now: i64,
        /// How far ahead is allowed, in milliseconds.
        limit: u64,
    },
}

/// Checks a batch before anything of it is sent.
///
/// # Errors
/// The first insertion that is refused.
pub fn validate(
    insertions: &[Insertion],
    now: i64,
    max_future_skew_millis: Option<u64>,
) -> Result<(), InvalidInsertion> {
    for (index, insertion) in insertions.iter().enumerate() {
        let bytes = insertion.value.len();
        if bytes > MAX_VALUE_BYTES {
            return Err(InvalidInsertion::ValueTooLarge { index, bytes, limit: MAX_VALUE_BYTES });
        }
        if insertion.nonce == Some(u128::MAX) {
            return Err(InvalidInsertion::LastNonce { index });
        }
        if insertion.source_offset.as_ref().is_some_and(|record| record.offset == u64::MAX) {
            return Err(InvalidInsertion::LastSourceOffset { index });
        }
        let (Some(limit), Some(timestamp)) = (max_future_skew_millis, insertion.timestamp) else { continue };
        if timestamp > now.saturating_add_unsigned(limit) {
            return Err(InvalidInsertion::FutureTimestamp { index, timestamp, now, limit });
        }
    }
    Ok(())
}

/// Splits a batch into what one commit may hold, in order.
///
/// A value of the largest size has a commit of its own, although its columns take it a little over 16 MiB.
pub fn split(insertions: Vec<Insertion>) -> Vec<Vec<Insertion>> {
    let mut ends = Vec::new();
    let (mut items, mut plain_bytes) = (0, 0);
    for (position, insertion) in insertions.iter().enumerate() {
        let size = insertion_size(insertion);
        if items > 0 && (items == MAX_COMMIT_ITEMS || plain_bytes + size > MAX_COMMIT_PLAIN_BYTES) {
            ends.push(position);
            (items, plain_bytes) = (0, 0);
        }
        items += 1;
        plain_bytes += size;
    }
    // From the end: what is one commit, as most batches are, stays where it is.
    let mut rest = insertions;
    let mut commits: Vec<Vec<Insertion>> = ends.into_iter().rev().map(|end| rest.split_off(end)).collect();
    if !rest.is_empty() {
        commits.push(rest);
    }
    commits.reverse();
    commits
}

/// Plain bytes that [`split`] counts for an insertion.
pub fn insertion_size(insertion: &Insertion) -> usize {
    MAX_ITEM_OVERHEAD + insertion.value.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use bytes::Bytes;

    fn check_split(sizes: &[usize], expected: &[usize]) {
        let batch = sizes.iter().map(|size| Insertion::new(Bytes::from(vec![0; *size])));
        let commits = split(batch.collect());
        assert_eq!(commits.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{sizes:?}");
    }

    #[test]
    fn a_batch_is_split_by_bytes() {
        check_split(&[], &[]);
        check_split(&[0], &[1]);
        check_split(&[MAX_VALUE_BYTES], &[1]);
        check_split(&[MAX_VALUE_BYTES, 0], &[1, 1]);
        check_split(&[6 << 20, 6 << 20, 6 << 20], &[2, 1]);
    }

    #[test]
    fn a_batch_is_split_by_items() {
        check_split(&vec![0; MAX_COMMIT_ITEMS + 1], &[MAX_COMMIT_ITEMS, 1]);
    }

    #[test]
    fn what_is_refused() {
        let check = |insertion: Insertion, expected: Result<(), InvalidInsertion>| {
            let batch = [Insertion::new("before"), insertion];
            assert_eq!(validate(&batch, 1_000, Some(10)), expected);
        };
        check(Insertion::new("x").with_nonce(u128::MAX - 1).with_timestamp(1_010), Ok(()));
        check(Insertion::new("x").with_nonce(u128::MAX), Err(InvalidInsertion::LastNonce { index: 1 }));
        let from = |offset| Insertion::new("x").with_source_offset(Source::new("topic", 0).unwrap(), offset);
        check(from(u64::MAX - 1), Ok(()));
        check(from(u64::MAX), Err(InvalidInsertion::LastSourceOffset { index: 1 }));
        check(from(7).with_nonce(7), Ok(()));
        let future = InvalidInsertion::FutureTimestamp { index: 1, timestamp: 1_011, now: 1_000, limit: 10 };
        check(Insertion::new("x").with_timestamp(1_011), Err(future));
        check(Insertion::new(vec![0; MAX_VALUE_BYTES]), Ok(()));
        let (bytes, limit) = (MAX_VALUE_BYTES + 1, MAX_VALUE_BYTES);
        check(Insertion::new(vec![0; bytes]), Err(InvalidInsertion::ValueTooLarge { index: 1, bytes, limit }));
    }
}
