//! Which of the insertions offered are in the list already.

use std::ops::Range;
use std::sync::Arc;

use crate::item::Insertion;
use crate::rules::{self, Rule};
use crate::wire::sources::Sources;

/// Insertions, judged by what a commit says of its list.
pub(super) struct Judged<'a> {
    /// To be appended.
    pub(super) new: Vec<&'a Insertion>,
    /// Which of those offered are in the list already, counted from 0.
    pub(super) duplicates: Vec<Range<u64>>,
    /// Those of the list once the new ones are in it.
    pub(super) sources: Arc<Sources>,
}

/// Tells what is new from what is in a list of this next nonce and these sources.
///
/// A nonce alone decides, and a source is then only noted; without one the place in the source does.
pub(super) fn judge(insertions: &[Insertion], mut next_nonce: u128, mut sources: Arc<Sources>) -> Judged<'_> {
    let mut new = Vec::with_capacity(insertions.len());
    let mut duplicates: Vec<Range<u64>> = Vec::new();
    for (position, insertion) in (0..).zip(insertions) {
        let is_duplicate = match (insertion.nonce, &insertion.source_offset) {
            (Some(nonce), _) => nonce < next_nonce,
            (None, Some(record)) => record.offset < sources.next_offset(&record.source),
            (None, None) => false,
        };
        if is_duplicate && rules::kept(Rule::DropDuplicates) {
            match duplicates.last_mut() {
                Some(last) if last.end == position => last.end += 1,
                _ => duplicates.push(position..position + 1),
            }
            continue;
        }
        if let Some(nonce) = insertion.nonce {
            next_nonce = nonce.saturating_add(1);
        }
        if let Some(record) = &insertion.source_offset {
            Arc::make_mut(&mut sources).advance(record);
        }
        new.push(insertion);
    }
    Judged { new, duplicates, sources }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "runs of positions are ranges")]

    use super::*;
    use crate::source::Source;

    fn source(partition: u32) -> Source {
        Source::new("topic", partition).unwrap()
    }

    fn record(partition: u32, offset: u64) -> Insertion {
        Insertion::new("x").with_source_offset(source(partition), offset)
    }

    /// What is dropped where the list's next nonce is 5 and partition 0 goes on at 7; and where it goes on afterwards.
    fn check(insertions: &[Insertion], dropped: &[Range<u64>], next_offsets: [u64; 2]) {
        let mut sources = Sources::default();
        sources.advance(record(0, 6).source_offset.as_ref().unwrap());
        let judged = judge(insertions, 5, Arc::new(sources));
        assert_eq!(judged.duplicates, dropped, "{insertions:?}");
        assert_eq!([0, 1].map(|partition| judged.sources.next_offset(&source(partition))), next_offsets);
        let count: u64 = dropped.iter().map(|range| range.end - range.start).sum();
        assert_eq!(judged.new.len() as u64 + count, insertions.len() as u64);
    }

    #[test]
    fn without_nonces_each_source_is_judged_by_itself() {
        check(&[], &[], [7, 0]);
        check(&[record(0, 5), record(0, 6), record(0, 7), record(0, 9)], &[0..2], [10, 0]);
        check(&[record(0, 6), record(1, 0), record(0, 6), record(1, 0), record(1, 1)], &[0..1, 2..4], [7, 2]);
        check(&[Insertion::new("x"), record(0, 6), Insertion::new("x")], &[1..2], [7, 0]);
    }

    #[test]
    fn a_nonce_alone_decides_and_its_source_is_noted() {
        check(&[record(0, 6).with_nonce(5)], &[], [7, 0]);
        check(&[record(0, 8).with_nonce(4)], &[0..1], [7, 0]);
        check(&[record(1, 3).with_nonce(5), record(1, 4).with_nonce(5), record(1, 2)], &[1..3], [7, 4]);
    }
}
