//! The tail carry: the items just before a commit's own, which it repeats so that the end of a list is read with one
//! GET (DESIGN section 3, PROTOCOL rule 3).

use std::collections::VecDeque;

use super::load::Snapshot;
use crate::item::Item;
use crate::wire::block::{decode_blocks, plain_size};

/// The items that the next commit repeats: always those of the chain that end at its first offset.
#[derive(Debug, Clone, Default)]
pub(super) struct Carry {
    items: VecDeque<Item>,
    end: u64,
    plain_bytes: usize,
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
            self.items.push_back(item);
            while self.plain_bytes > budget {
                let Some(oldest) = self.items.pop_front() else { break };
                self.plain_bytes -= plain_size(&oldest);
            }
        }
        while self.items.front().is_some_and(|item| item.offset < start) {
            if let Some(oldest) = self.items.pop_front() {
                self.plain_bytes -= plain_size(&oldest);
            }
        }
    }

    /// The items to repeat in a commit that begins at `first`.
    pub(super) fn items_before(&mut self, first: u64) -> &[Item] {
        use crate::rules::{Rule, kept};
        // Rule 3: a carry ends exactly at `first`.
        if self.end != first && kept(Rule::CarryFollowsChain) && kept(Rule::CarryAcknowledged) {
            *self = Self::empty_at(first);
        }
        self.items.make_contiguous()
    }

    pub(super) fn plain_bytes(&self) -> usize {
        self.plain_bytes
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
