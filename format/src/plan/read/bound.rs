//! Where a start field puts the begin of a page: at the first item that meets a bound.

use crate::item::{Item, ItemFilter, IterationOrder};

/// A condition whose first item marks a position. Over all items ever appended, "some item up to here meets it" is
/// false up to that position and true from there on, so the position can be searched for by halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Forwards by timestamp: the page starts at the first item at or after it.
    TimestampAtLeast(i64),
    /// Backwards by timestamp: the page starts before the first item after it.
    TimestampAbove(i64),
    /// Forwards by nonce.
    NonceAtLeast(u128),
    /// Backwards by nonce.
    NonceAbove(u128),
}

impl Bound {
    /// The bounds of a filter's timestamp and nonce.
    pub(super) fn of_filter(filter: &ItemFilter, order: IterationOrder) -> Vec<Self> {
        let (timestamp, nonce) = match order {
            IterationOrder::Forwards => (
                // Every item is at or after the earliest timestamp.
                filter.start_timestamp.filter(|&timestamp| timestamp > i64::MIN).map(Self::TimestampAtLeast),
                filter.start_nonce.map(Self::NonceAtLeast),
            ),
            IterationOrder::Backwards => {
                (filter.start_timestamp.map(Self::TimestampAbove), filter.start_nonce.map(Self::NonceAbove))
            }
        };
        timestamp.into_iter().chain(nonce).collect()
    }

    /// Whether an item of the list meets it, up to where these are the highest timestamp and the next nonce.
    pub(super) fn reached(self, running_max_timestamp: i64, next_nonce: u128) -> bool {
        match self {
            Self::TimestampAtLeast(timestamp) => running_max_timestamp >= timestamp,
            Self::TimestampAbove(timestamp) => running_max_timestamp > timestamp,
            // Nonces increase: the highest so far is one below the next nonce.
            Self::NonceAtLeast(nonce) => next_nonce > nonce,
            Self::NonceAbove(nonce) => nonce.checked_add(1).is_some_and(|above| next_nonce > above),
        }
    }

    /// Whether every item meets it where this is the lowest timestamp.
    pub(super) fn met_by_all_from(self, min_timestamp: i64) -> bool {
        match self {
            Self::TimestampAtLeast(timestamp) => min_timestamp >= timestamp,
            Self::TimestampAbove(timestamp) => min_timestamp > timestamp,
            Self::NonceAtLeast(_) | Self::NonceAbove(_) => false,
        }
    }

    /// Whether this item meets it.
    pub(super) fn met_by(self, item: &Item) -> bool {
        match self {
            Self::TimestampAtLeast(timestamp) => item.timestamp >= timestamp,
            Self::TimestampAbove(timestamp) => item.timestamp > timestamp,
            Self::NonceAtLeast(nonce) => item.nonce.is_some_and(|own| own >= nonce),
            Self::NonceAbove(nonce) => item.nonce.is_some_and(|own| own > nonce),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_reached_with_the_first_item_that_meets_it() {
        let bounds =
            [Bound::TimestampAtLeast(7), Bound::TimestampAbove(7), Bound::NonceAtLeast(7), Bound::NonceAbove(7)];
        for (number, expected) in [(6, [false; 4]), (7, [true, false, true, false]), (8, [true; 4])] {
            let item = Item { offset: 0, timestamp: number, nonce: Some(number as u128), value: Default::default() };
            let next_nonce = number as u128 + 1;
            assert_eq!(bounds.map(|bound| bound.met_by(&item)), expected, "{number}");
            assert_eq!(bounds.map(|bound| bound.reached(number, next_nonce)), expected, "{number}");
        }
        assert!(!Bound::NonceAbove(u128::MAX).reached(i64::MAX, u128::MAX));
    }

    #[test]
    fn every_item_is_at_or_after_the_earliest_timestamp() {
        let filter = |timestamp| ItemFilter { start_timestamp: Some(timestamp), ..ItemFilter::default() };
        let (earliest, next) = (filter(i64::MIN), filter(i64::MIN + 1));
        assert_eq!(Bound::of_filter(&earliest, IterationOrder::Forwards), []);
        assert_eq!(Bound::of_filter(&next, IterationOrder::Forwards), [Bound::TimestampAtLeast(i64::MIN + 1)]);
        assert_eq!(Bound::of_filter(&earliest, IterationOrder::Backwards), [Bound::TimestampAbove(i64::MIN)]);
    }
}
