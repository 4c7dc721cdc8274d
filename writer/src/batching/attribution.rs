//! Which item of a merged batch was appended where: what each caller's receipt says of its own part.

use std::ops::Range;

use klstore_format::Insertion;

use crate::receipt::Appended;

/// The offset of each insertion of a batch that became one commit, `None` for a duplicate; `None` altogether where
/// the receipt does not fit the batch, or does not say enough.
pub(super) fn offsets(insertions: &[Insertion], appended: &Appended) -> Option<Vec<Option<u64>>> {
    let total = appended.appended_count.checked_add(appended.duplicate_count)?;
    if total != insertions.len() as u64 {
        return None;
    }
    let duplicates = if appended.duplicates.is_empty() {
        by_count(insertions, usize::try_from(appended.duplicate_count).ok()?)?
    } else {
        by_positions(insertions.len(), appended)?
    };
    let mut free = appended.ranges.iter().cloned().flat_map(Range::into_iter);
    let mut offsets = Vec::with_capacity(insertions.len());
    for duplicate in duplicates {
        offsets.push(if duplicate { None } else { Some(free.next()?) });
    }
    free.next().is_none().then_some(offsets)
}

/// As a writer tells it that knows which they are. Another writer's receipt is not believed unseen.
fn by_positions(count: usize, appended: &Appended) -> Option<Vec<bool>> {
    let mut duplicates = vec![false; count];
    let mut total = 0;
    for run in &appended.duplicates {
        let (start, end) = (usize::try_from(run.start).ok()?, usize::try_from(run.end).ok()?);
        let run = duplicates.get_mut(start..end)?;
        total += run.len() as u64;
        run.fill(true);
    }
    let marked = duplicates.iter().filter(|duplicate| **duplicate).count() as u64;
    (marked == appended.duplicate_count && total == marked).then_some(duplicates)
}

/// From their number alone, which is enough where one row of numbers decides.
///
/// An insertion is dropped where its number is below the list's next one, which only grows. So one that is not above
/// every number before it in the batch is dropped whatever the list holds, and of the others, whose numbers increase,
/// the list's next one cuts off the first. The count says how many.
fn by_count(insertions: &[Insertion], count: usize) -> Option<Vec<bool>> {
    let Some(numbers) = numbers(insertions) else {
        let (none, all) = (count == 0, count == insertions.len());
        return (none || all).then(|| vec![all; insertions.len()]);
    };
    let mut highest = None;
    let mut duplicates: Vec<bool> = Vec::with_capacity(numbers.len());
    for number in &numbers {
        duplicates.push(number.is_some() && *number <= highest);
        highest = highest.max(*number);
    }
    let dropped_anyway = duplicates.iter().filter(|duplicate| **duplicate).count();
    let mut cut_off = count.checked_sub(dropped_anyway)?;
    for (duplicate, number) in duplicates.iter_mut().zip(numbers) {
        if cut_off > 0 && !*duplicate && number.is_some() {
            *duplicate = true;
            cut_off -= 1;
        }
    }
    (cut_off == 0).then_some(duplicates)
}

/// What decides whether each insertion is a duplicate, where the list compares them all with one next number.
fn numbers(insertions: &[Insertion]) -> Option<Vec<Option<u128>>> {
    let mut sourced = insertions.iter().filter(|insertion| insertion.nonce.is_none());
    let Some(first) = sourced.find_map(|insertion| insertion.source_offset.as_ref()) else {
        return Some(insertions.iter().map(|insertion| insertion.nonce).collect());
    };
    let number = |insertion: &Insertion| match (&insertion.nonce, &insertion.source_offset) {
        (None, None) => Some(None),
        (None, Some(record)) if record.source == first.source => Some(Some(u128::from(record.offset))),
        _ => None,
    };
    insertions.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "receipts hold ranges")]

    use super::*;
    use klstore_format::Source;
    use proptest::prelude::*;

    /// The list's rule, item by item; each source's next offset is `next_of_sources` at first.
    fn append(
        insertions: &[Insertion],
        first: u64,
        mut next_nonce: u128,
        mut next_of_sources: [u64; 2],
    ) -> Vec<Option<u64>> {
        let mut next_offset = first;
        let mut offsets = Vec::new();
        for insertion in insertions {
            let record = insertion.source_offset.as_ref();
            let next = record.map(|record| (record.source.partition() as usize, record.offset));
            let duplicate = match insertion.nonce {
                Some(nonce) => nonce < next_nonce,
                None => next.is_some_and(|(partition, offset)| offset < next_of_sources[partition]),
            };
            offsets.push((!duplicate).then_some(next_offset));
            if !duplicate {
                next_offset += 1;
                next_nonce = insertion.nonce.map_or(next_nonce, |nonce| nonce + 1);
                if let Some((partition, offset)) = next {
                    next_of_sources[partition] = next_of_sources[partition].max(offset + 1);
                }
            }
        }
        offsets
    }

    fn receipt(offsets: &[Option<u64>]) -> Appended {
        let mut appended = Appended::default();
        for (position, offset) in (0..).zip(offsets) {
            match offset {
                Some(offset) => appended.add(*offset..offset + 1),
                None => appended.add_duplicates(position..position + 1),
            }
        }
        appended
    }

    /// The same from a writer that knows only how many.
    fn totals(offsets: &[Option<u64>]) -> Appended {
        Appended { duplicates: Vec::new(), ..receipt(offsets) }
    }

    fn record(partition: u32, offset: u64) -> Insertion {
        Insertion::new("").with_source_offset(Source::new("topic", partition).unwrap(), offset)
    }

    fn insertion() -> impl Strategy<Value = Insertion> {
        prop_oneof![
            1 => Just(Insertion::new("")),
            2 => (0_u128..30).prop_map(|nonce| Insertion::new("").with_nonce(nonce)),
            2 => (0_u32..2, 0_u64..30).prop_map(|(partition, offset)| record(partition, offset)),
            1 => (0_u32..2, 0_u64..30, 0_u128..30)
                .prop_map(|(partition, offset, nonce)| record(partition, offset).with_nonce(nonce)),
        ]
    }

    proptest! {
        #[test]
        fn positions_tell_of_any_batch_and_totals_nothing_wrong(
            insertions in prop::collection::vec(insertion(), 0..12),
            first in 0_u64..1_000,
            next_nonce in 0_u128..32,
            next_of_sources in [0_u64..32, 0_u64..32],
        ) {
            let expected = append(&insertions, first, next_nonce, next_of_sources);
            prop_assert_eq!(offsets(&insertions, &receipt(&expected)), Some(expected.clone()));
            if let Some(told) = offsets(&insertions, &totals(&expected)) {
                prop_assert_eq!(told, expected);
            }
        }

        #[test]
        fn the_totals_tell_which_items_of_one_source_were_duplicates(
            numbers in prop::collection::vec(prop::option::of(0_u64..30), 0..40),
            first in 0_u64..1_000,
            next in 0_u64..32,
        ) {
            let insertion = |number: Option<u64>| number.map_or(Insertion::new(""), |offset| record(1, offset));
            let insertions: Vec<Insertion> = numbers.into_iter().map(insertion).collect();
            let expected = append(&insertions, first, 0, [0, next]);
            prop_assert_eq!(offsets(&insertions, &totals(&expected)), Some(expected));
        }
        #[test]
        fn the_totals_tell_which_items_were_duplicates(
            nonces in prop::collection::vec(prop::option::of(0_u128..30), 0..40),
            first in 0_u64..1_000,
            next_nonce in 0_u128..32,
        ) {
            let insertions: Vec<Insertion> = nonces
                .into_iter()
                .map(|nonce| Insertion { nonce, ..Insertion::new("") })
                .collect();
            let expected = append(&insertions, first, next_nonce, [0, 0]);
            prop_assert_eq!(offsets(&insertions, &totals(&expected)), Some(expected));
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_noticed() {
        let insertions = [Insertion::new("a").with_nonce(1), Insertion::new("b").with_nonce(0)];
        let right = totals(&[Some(5), None]);
        assert_eq!(offsets(&insertions, &right), Some(vec![Some(5), None]));
        let mut both = totals(&[Some(5), Some(6)]);
        assert_eq!(offsets(&insertions, &both), None, "the second cannot have been appended");
        both.duplicate_count = 1;
        assert_eq!(offsets(&insertions, &both), None, "three of two");
        assert_eq!(offsets(&insertions, &Appended { ranges: Vec::new(), ..right }), None, "no offset for the first");
        for duplicates in [vec![0..2], vec![2..3], vec![1..1], vec![1..2, 1..2], vec![1..u64::MAX]] {
            let appended = Appended { duplicates, ..totals(&[Some(5), None]) };
            assert_eq!(offsets(&insertions, &appended), None, "{appended:?}");
        }
    }
}
