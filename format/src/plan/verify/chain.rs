//! The items of a list one after the other: that offsets are dense, nonces increase, and every sum is right.

use std::collections::VecDeque;

use crate::item::Item;
use crate::wire::block::BlockEntry;
use crate::wire::commit::Totals;
use crate::wire::run::Run;

/// Bytes of values, and items, that are kept to be compared with what later commits carry. More than carries have.
const KEPT_BYTES: usize = 4 << 20;
const KEPT_ITEMS: usize = 1 << 16;

/// How far the items have been followed.
pub(super) struct Chain {
    /// An empty run behind the last item.
    state: Run,
    start: u64,
    /// Sums over the live items.
    live: Run,
    tail: VecDeque<Item>,
    tail_bytes: usize,
    /// Whether no object was left out.
    whole: bool,
    /// Whether timestamps and nonces of the items before are known.
    known: bool,
}

/// The sums over an object's items so far, and how many of its blocks are behind.
pub(super) struct ObjectSums {
    sums: Run,
    known_blocks: usize,
}

impl Chain {
    pub(super) fn new(start: u64) -> Self {
        let empty = Run::empty(0, i64::MIN, 0);
        Self { state: empty, start, live: empty, tail: VecDeque::new(), tail_bytes: 0, whole: true, known: true }
    }

    /// Where the first item stands.
    pub(super) fn begin(&mut self, before: Run) {
        self.state = before.after();
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.state.end()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn live_items(&self) -> u64 {
        self.live.count
    }

    pub(super) fn live_value_bytes(&self) -> u64 {
        self.live.value_bytes
    }

    /// Goes on behind an object that could not be read.
    pub(super) fn skip(&mut self, after: Run) {
        self.state = after;
        self.tail.clear();
        self.tail_bytes = 0;
        self.whole = false;
    }

    /// The index could not be read: the items go on with the table's.
    pub(super) fn lose(&mut self) {
        (self.whole, self.known) = (false, false);
    }

    /// Goes on at the first item that is known again.
    pub(super) fn lead_to(&mut self, first: u64) {
        if !self.known {
            self.state = Run::empty(first, i64::MIN, 0);
        }
    }

    /// Adds the items of an object, which are to be those of `run` in these blocks.
    pub(super) fn push(&mut self, run: &Run, blocks: &[BlockEntry], items: &[Item]) -> Result<(), &'static str> {
        let mut object = self.begin_object();
        self.add(&mut object, blocks, items)?;
        self.end_object(object, run)
    }

    /// Begins an object whose items come some at a time.
    pub(super) fn begin_object(&self) -> ObjectSums {
        ObjectSums { sums: self.state, known_blocks: 0 }
    }

    /// Adds the next items of an object that has these blocks.
    pub(super) fn add(
        &mut self,
        object: &mut ObjectSums,
        blocks: &[BlockEntry],
        items: &[Item],
    ) -> Result<(), &'static str> {
        let ObjectSums { sums, known_blocks } = object;
        for item in items {
            if item.offset != sums.end() {
                return Err("the offsets of its items are not dense");
            }
            if item.nonce.is_some_and(|nonce| nonce < sums.next_nonce) {
                return Err("its nonces do not increase");
            }
            sums.push(item);
            if let Some(known) = blocks.get(*known_blocks).filter(|known| known.end() == sums.end()) {
                let sound =
                    (known.running_max_timestamp, known.next_nonce) == (sums.running_max_timestamp, sums.next_nonce);
                if !sound && self.known {
                    return Err("its block directory has other timestamps or nonces than its blocks");
                }
                *known_blocks += 1;
            }
        }
        for item in items {
            if item.offset >= self.start {
                self.live.push(item);
            }
            self.tail_bytes += item.value.len();
            self.tail.push_back(item.clone());
            while self.tail_bytes > KEPT_BYTES || self.tail.len() > KEPT_ITEMS {
                let Some(oldest) = self.tail.pop_front() else { break };
                self.tail_bytes -= oldest.value.len();
            }
        }
        Ok(())
    }

    /// Ends an object, which is to be `run`.
    pub(super) fn end_object(&mut self, object: ObjectSums, run: &Run) -> Result<(), &'static str> {
        let mut sums = object.sums;
        if !self.known {
            (sums.running_max_timestamp, sums.next_nonce) = (run.running_max_timestamp, run.next_nonce);
        }
        if sums != *run {
            return Err("its sums are not those of its items");
        }
        self.known = true;
        self.state = run.after();
        Ok(())
    }

    /// Whether these are the last items so far, as many of them as are kept.
    pub(super) fn ends_with(&self, carried: &[Item]) -> bool {
        let dense = carried.iter().rev().zip((0..self.next_offset()).rev()).all(|(item, offset)| item.offset == offset);
        dense && carried.iter().rev().zip(self.tail.iter().rev()).all(|(carried, item)| carried == item)
    }

    /// Whether the totals are those of the live items. After a trim they may take in trimmed items of an object of
    /// which a part is live.
    pub(super) fn agrees_with(&self, totals: &Totals, start: u64) -> bool {
        let live = (self.live.value_bytes, self.live.min_timestamp, self.live.max_timestamp);
        if (totals.value_bytes, totals.min_timestamp, totals.max_timestamp) == live {
            return true;
        }
        let covers = totals.value_bytes >= live.0 && totals.min_timestamp <= live.1 && totals.max_timestamp >= live.2;
        start > 0 && covers
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A chain of one object with these items.
    fn chain(start: u64, items: &[Item]) -> Chain {
        let mut run = Run::empty(0, i64::MIN, 0);
        items.iter().for_each(|item| run.push(item));
        let mut chain = Chain::new(start);
        assert_eq!(chain.push(&run, &[], items), Ok(()));
        chain
    }

    fn items(count: u64, value: impl Fn(u64) -> Bytes) -> Vec<Item> {
        let item = |offset| Item { offset, timestamp: offset as i64, nonce: None, value: value(offset) };
        (0..count).map(item).collect()
    }

    #[test]
    fn a_carry_is_compared_with_the_newest_4_mib_of_values_and_65_536_items() {
        let value = Bytes::from(vec![7; 1 << 20]);
        for (items, oldest_kept) in [(items(9, |_| value.clone()), 5), (items(65_539, |_| Bytes::new()), 3)] {
            let chain = chain(0, &items);
            let ends_with = |change: &dyn Fn(&mut Vec<Item>)| {
                let mut carried = items.clone();
                change(&mut carried);
                chain.ends_with(&carried)
            };
            assert!(ends_with(&|_| ()));
            assert!(!ends_with(&|carried| carried[oldest_kept].timestamp += 1));
            assert!(
                ends_with(&|carried| carried[oldest_kept - 1].timestamp += 1),
                "there is nothing to compare it with"
            );
            assert!(!ends_with(&|carried| carried[oldest_kept - 1].offset += 1), "offsets are dense all the same");
            assert!(!ends_with(&|carried| drop(carried.pop())));
        }
    }

    #[test]
    fn totals_are_those_of_the_live_items_and_after_a_trim_at_least_those() {
        let items = items(3, |offset| Bytes::from(vec![0; offset as usize + 1]));
        let totals = |value_bytes, min_timestamp, max_timestamp| Totals { value_bytes, min_timestamp, max_timestamp };
        let all = chain(0, &items);
        assert!(all.agrees_with(&totals(6, 0, 2), 0));
        for other in [totals(7, 0, 2), totals(5, 0, 2), totals(6, -1, 2), totals(6, 0, 3)] {
            assert!(!all.agrees_with(&other, 0), "{other:?}");
        }
        // The first item is gone, and may still be counted with its object.
        let trimmed = chain(1, &items);
        for possible in [totals(5, 1, 2), totals(6, 0, 2), totals(6, 1, 2), totals(5, 1, 3)] {
            assert!(trimmed.agrees_with(&possible, 1), "{possible:?}");
        }
        for other in [totals(4, 1, 2), totals(5, 2, 2), totals(5, 1, 1), totals(4, 2, 1)] {
            assert!(!trimmed.agrees_with(&other, 1), "{other:?}");
        }
    }
}
