//! The tail carry: the items just before a commit's own, which it repeats so that the end of a list is read with one
//! GET (DESIGN section 3, PROTOCOL rule 3).

use std::collections::VecDeque;

use super::load::Snapshot;
use crate::item::Item;
use crate::wire::block::{BlockOptions, decode_blocks, plain_size};
use crate::wire::carried_block::CarriedBlock;

/// Plain bytes of items that are compressed once for all the commits that repeat them. What is left at both ends is
/// compressed with each commit: smaller blocks would save that, but fill the header and compress worse.
const BLOCK_BYTES: usize = 4 << 10;

/// The items that the next commit repeats: always those of the chain that end at its first offset.
#[derive(Debug, Clone, Default)]
pub(super) struct Carry {
    items: VecDeque<Item>,
    end: u64,
    plain_bytes: usize,
    /// Blocks of some of the items, one after the other without a gap.
    blocks: VecDeque<CarriedBlock>,
    /// Plain bytes of the items behind them.
    loose_bytes: usize,
}

impl Carry {
    /// Nothing carried by a commit that begins at `end`.
    pub(super) fn empty_at(end: u64) -> Self {
        Self { end, ..Self::default() }
    }

    /// The first carry of a writer that has just loaded `snapshot`: what that commit shows of the list's end.
    ///
    /// A body that was not fetched whole, or is damaged, gives a shorter carry: with or without it a read is the same.
    pub(super) fn of_snapshot(snapshot: &Snapshot, budget: usize) -> Self {
        let header = &snapshot.header;
        let mut items = Vec::new();
        let mut carry = Self::empty_at(header.next_offset());
        for blocks in [&header.carried_blocks, &header.own_blocks] {
            let Some(bytes) = part(snapshot, blocks) else {
                items.clear();
                continue;
            };
            let position = blocks.first().map_or(0, |block| block.position);
            if decode_blocks(&bytes, position, blocks, header.owner(), &mut items).is_err() {
                return carry;
            }
        }
        // A gap at the end would make the carry end before `first`.
        if items.last().is_some_and(|item| item.offset + 1 != header.next_offset()) {
            return carry;
        }
        carry.extend(items.into_iter(), header.start, budget);
        carry
    }

    /// Adds acknowledged items that follow, and forgets the oldest beyond the budget and those below `start`.
    pub(super) fn extend(&mut self, items: impl Iterator<Item = Item>, start: u64, budget: usize) {
        for item in items {
            self.end = item.offset + 1;
            self.plain_bytes += plain_size(&item);
            self.loose_bytes += plain_size(&item);
            self.items.push_back(item);
            while self.plain_bytes > budget {
                self.drop_oldest();
            }
        }
        self.forget_below(start);
    }

    fn forget_below(&mut self, start: u64) {
        while self.items.front().is_some_and(|item| item.offset < start) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.items.pop_front() else { return };
        self.plain_bytes -= plain_size(&oldest);
        match self.blocks.front() {
            Some(block) if block.first() <= oldest.offset => drop(self.blocks.pop_front()),
            _ => {}
        }
        if self.blocks.is_empty() {
            self.loose_bytes = self.plain_bytes;
        }
    }

    /// The items to repeat in a commit that begins at `first`, as blocks, where the list begins at `start` with it. If it
    /// does not become a part of the list, a shorter carry is all that comes of it.
    pub(super) fn blocks_before(&mut self, first: u64, start: u64, options: &BlockOptions) -> Vec<CarriedBlock> {
        use crate::rules::{Rule, kept};
        // Rule 3: a carry ends exactly at `first`.
        if self.end != first && kept(Rule::CarryFollowsChain) && kept(Rule::CarryAcknowledged) {
            *self = Self::empty_at(first);
        }
        // Nor does it begin below `start`.
        if kept(Rule::CarryAboveStart) {
            self.forget_below(start);
        }
        let items = self.items.make_contiguous();
        let Some(begin) = items.first().map(|item| item.offset) else { return Vec::new() };
        let number = |offset: u64| usize::try_from(offset - begin).unwrap_or(usize::MAX);
        let loose = self.blocks.back().map_or(0, |block| number(block.end()));
        let loose_items = items.get(loose..).unwrap_or_default();
        if self.loose_bytes >= BLOCK_BYTES {
            let options = BlockOptions { plain_bytes: options.plain_bytes.min(2 * BLOCK_BYTES), ..*options };
            self.blocks.extend(CarriedBlock::cut(loose_items, &options));
            self.loose_bytes = 0;
        }
        let (Some(first), Some(last)) = (self.blocks.front(), self.blocks.back()) else {
            return CarriedBlock::cut(items, options);
        };
        let mut blocks = CarriedBlock::cut(items.get(..number(first.first())).unwrap_or_default(), options);
        blocks.extend(self.blocks.iter().cloned());
        blocks.extend(CarriedBlock::cut(items.get(number(last.end())..).unwrap_or_default(), options));
        blocks
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.plain_bytes + self.blocks.iter().map(CarriedBlock::stored_bytes).sum::<usize>()
    }
}

/// The bytes of these blocks, where the snapshot's body has all of them.
fn part(snapshot: &Snapshot, blocks: &[crate::wire::block::BlockEntry]) -> Option<bytes::Bytes> {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
        return Some(bytes::Bytes::new());
    };
    let start = usize::try_from(first.position).ok()?;
    let end = usize::try_from(last.position).ok()?.checked_add(last.length as usize)?;
    (end <= snapshot.body.len() && start <= end).then(|| snapshot.body.slice(start..end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "runs of offsets are ranges")]

    use std::ops::Range;

    use super::*;

    /// Items of 512 plain bytes: eight of them are worth a block.
    fn items(offsets: Range<u64>) -> impl Iterator<Item = Item> {
        offsets.map(|offset| Item { offset, timestamp: 0, nonce: None, value: vec![b'v'; 477].into() })
    }

    /// Which items the blocks have that a commit repeats after these items, where 24 are kept.
    fn blocks_after(carry: &mut Carry, appended: Range<u64>) -> Vec<Range<u64>> {
        let first = appended.end;
        carry.extend(items(appended), 0, 24 * 512);
        let blocks = carry.blocks_before(first, 0, &BlockOptions::default());
        blocks.iter().map(|block| block.first()..block.end()).collect()
    }

    #[test]
    fn what_is_worth_a_block_is_compressed_once_and_the_rest_with_each_commit() {
        let mut carry = Carry::default();
        assert_eq!(blocks_after(&mut carry, 0..3), [0..3]);
        assert_eq!(blocks_after(&mut carry, 3..7), [0..7]);
        assert_eq!(blocks_after(&mut carry, 7..8), [0..8]);
        assert_eq!(blocks_after(&mut carry, 8..9), [0..8, 8..9]);
        assert_eq!(blocks_after(&mut carry, 9..15), [0..8, 8..15]);
        assert_eq!(blocks_after(&mut carry, 15..16), [0..8, 8..16]);
        assert_eq!(blocks_after(&mut carry, 16..24), [0..8, 8..16, 16..24]);
        // A block whose first item has been forgotten is gone; its other items are compressed with each commit.
        assert_eq!(blocks_after(&mut carry, 24..25), [1..8, 8..16, 16..24, 24..25]);
        assert_eq!(blocks_after(&mut carry, 25..31), [7..8, 8..16, 16..24, 24..31]);
        assert_eq!(blocks_after(&mut carry, 31..32), [8..16, 16..24, 24..32]);
        assert_eq!(blocks_after(&mut carry, 32..34), [10..16, 16..24, 24..32, 32..34]);
        assert_eq!(blocks_after(&mut carry, 34..40), [16..24, 24..32, 32..40]);
        // With the last of its blocks everything that is left is compressed anew.
        assert_eq!(blocks_after(&mut carry, 40..64), [40..56, 56..64]);
    }

    #[test]
    fn blocks_have_eight_kilobytes_at_most() {
        let cut = |plain_bytes| {
            let mut carry = Carry::default();
            carry.extend(items(0..20), 0, usize::MAX);
            let blocks = carry.blocks_before(20, 0, &BlockOptions { plain_bytes, ..BlockOptions::default() });
            blocks.iter().map(|block| block.end() - block.first()).collect::<Vec<_>>()
        };
        assert_eq!(cut(64 << 10), [16, 4]);
        assert_eq!(cut(4 << 10), [8, 8, 4]);
    }

    #[test]
    fn a_carry_ends_where_the_commit_begins_and_begins_at_the_start() {
        let mut carry = Carry::default();
        assert_eq!(blocks_after(&mut carry, 0..9), [0..9]);
        let blocks = |carry: &Carry, first, start| carry.clone().blocks_before(first, start, &BlockOptions::default());
        assert_eq!(blocks(&carry, 9, 0).first().map(CarriedBlock::first), Some(0));
        assert_eq!(blocks(&carry, 9, 8).first().map(CarriedBlock::first), Some(8));
        assert!(blocks(&carry, 9, 9).is_empty());
        assert!(blocks(&carry, 10, 0).is_empty());
        assert!(blocks(&carry, 8, 0).is_empty());
    }

    #[test]
    fn its_memory_is_that_of_its_items_and_blocks() {
        let mut carry = Carry::default();
        assert_eq!(carry.memory_bytes(), 0);
        carry.extend(items(0..9), 0, usize::MAX);
        assert_eq!(carry.memory_bytes(), 9 * 512);
        let blocks = carry.blocks_before(9, 0, &BlockOptions::default());
        let stored: usize = blocks.iter().map(CarriedBlock::stored_bytes).sum();
        assert_eq!(carry.memory_bytes(), 9 * 512 + stored);
    }
}
