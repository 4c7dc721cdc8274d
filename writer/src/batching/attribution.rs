//! Which item of a merged batch was appended where: what each caller's receipt says of its own part.

use std::ops::Range;

use klstore_format::Insertion;

use crate::receipt::Appended;

/// The offset of each insertion of a batch that became one commit, `None` for a duplicate; `None` altogether where
/// the numbers do not fit the batch.
///
/// The totals are enough. An insertion with a nonce is dropped where its nonce is below the list's next nonce, which
/// only grows. So one that is not above every nonce before it in the batch is dropped whatever the list holds, and of
/// the others, whose nonces increase, the list's next nonce cuts off the first ones. The count says how many.
pub(super) fn offsets(insertions: &[Insertion], appended: &Appended) -> Option<Vec<Option<u64>>> {
    let duplicates = usize::try_from(appended.duplicate_count).ok()?;
    let total = appended.appended_count.checked_add(appended.duplicate_count)?;
    if total != insertions.len() as u64 {
        return None;
    }
    let mut highest = None;
    let increasing: Vec<bool> = insertions
        .iter()
        .map(|insertion| {
            let increases = insertion.nonce.is_none() || insertion.nonce > highest;
            highest = highest.max(insertion.nonce);
            increases
        })
        .collect();
    let dropped_anyway = increasing.iter().filter(|increases| !**increases).count();
    let mut cut_off = duplicates.checked_sub(dropped_anyway)?;
    let mut free = appended.ranges.iter().cloned().flat_map(Range::into_iter);
    let mut offsets = Vec::with_capacity(insertions.len());
    for (insertion, increases) in insertions.iter().zip(increasing) {
        let duplicate = !increases || (insertion.nonce.is_some() && cut_off > 0);
        if duplicate {
            cut_off -= usize::from(increases);
            offsets.push(None);
        } else {
            offsets.push(Some(free.next()?));
        }
    }
    (cut_off == 0 && free.next().is_none()).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The list's rule, item by item.
    fn append(insertions: &[Insertion], first: u64, mut next_nonce: u128) -> Vec<Option<u64>> {
        let mut next_offset = first;
        let mut offsets = Vec::new();
        for insertion in insertions {
            let duplicate = insertion.nonce.is_some_and(|nonce| nonce < next_nonce);
            offsets.push((!duplicate).then_some(next_offset));
            if !duplicate {
                next_offset += 1;
                next_nonce = insertion.nonce.map_or(next_nonce, |nonce| nonce + 1);
            }
        }
        offsets
    }

    fn totals(offsets: &[Option<u64>]) -> Appended {
        let mut appended = Appended::default();
        for offset in offsets {
            match offset {
                Some(offset) => appended.add(*offset..offset + 1, 0),
                None => appended.add(0..0, 1),
            }
        }
        appended
    }

    proptest! {
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
            let expected = append(&insertions, first, next_nonce);
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
    }
}
