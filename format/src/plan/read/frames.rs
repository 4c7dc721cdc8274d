//! Blocks of a large commit of the table, read one after the other from a known boundary on: at its first and its last
//! item the table alone says where that is, so that neither the header nor its directory is fetched.

use bytes::Bytes;

use super::filling::{Filling, Want};
use super::round::{MAX_ROUND_BYTES, READ_AHEAD_BYTES};
use super::view::View;
use crate::item::IterationOrder;
use crate::limits::{BLOCK_PLAIN_BYTES, WHOLE_COMMIT_BYTES};
use crate::plan::ByteRange;
use crate::wire::Malformed;
use crate::wire::block::Block;
use crate::wire::commit::TableEntry;
use crate::wire::identity::BlockOwner;

/// Part of a commit, to be read block by block.
pub(super) struct FramesPart {
    pub(super) object: String,
    pub(super) entry: TableEntry,
    pub(super) range: ByteRange,
    /// The items that it will probably bring.
    pub(super) items: u64,
    owner: BlockOwner,
    order: IterationOrder,
}

/// What is known of a commit from reading its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// Forwards the block with item `next` begins at this position, backwards it ends there.
    At { next: u64, position: u64 },
    /// Its blocks could not be read so: the header says where they are, or what is wrong.
    Unknown,
}

impl FramesPart {
    /// The part that begins with this item, where the commit is large and the boundary known.
    pub(super) fn of(view: &View, entry: &TableEntry, order: IterationOrder, next: u64, want: Want) -> Option<Self> {
        if entry.own_length <= WHOLE_COMMIT_BYTES {
            return None;
        }
        let header = u64::from(entry.header_length);
        let position = view.boundary(entry, order, next)?;
        let room = match order {
            IterationOrder::Forwards => entry.own_length.checked_sub(position)?,
            IterationOrder::Backwards => position.checked_sub(header)?,
        };
        let left = match order {
            IterationOrder::Forwards => entry.run.end().saturating_sub(next),
            IterationOrder::Backwards => next.saturating_add(1).saturating_sub(entry.run.first),
        };
        let average = entry.run.value_bytes / entry.run.count.max(1);
        let items = want.items.min(left).min(want.value_bytes / average.max(1) + 1);
        let expected = expected_bytes(entry, items).min(MAX_ROUND_BYTES);
        // Blocks differ, and they are whole.
        let length = (expected + expected / 16 + BLOCK_PLAIN_BYTES as u64).min(room);
        let range = match order {
            IterationOrder::Forwards => ByteRange::new(position, position + length),
            IterationOrder::Backwards => ByteRange::new(position - length, position),
        };
        let read_ahead = match order {
            _ if !view.scans => range.read_ahead,
            IterationOrder::Forwards => (range.start + READ_AHEAD_BYTES).min(entry.own_length).max(range.end),
            IterationOrder::Backwards => range.end.saturating_sub(READ_AHEAD_BYTES).min(range.start),
        };
        (length > 0).then(|| Self {
            object: view.list.commit(entry.commit.seq),
            entry: *entry,
            range: ByteRange { read_ahead, ..range },
            items,
            owner: entry.owner(&view.list.hash()),
            order,
        })
    }

    /// Takes the blocks at hand, as many as the page wants, and says where the next one is.
    pub(super) fn take(&self, mut rest: Bytes, filling: &mut Filling) -> Boundary {
        let mut boundary = Boundary::Unknown;
        let mut position = match self.order {
            IterationOrder::Forwards => self.range.start,
            IterationOrder::Backwards => self.range.end,
        };
        while !filling.is_done() {
            let Ok(Some(block)) = next_block(self.order, &rest, self.owner) else { break };
            let Ok(items) = block.items() else { break };
            if !holds(&block, filling.next()) {
                break;
            }
            filling.note_block(block.first..block.first.saturating_add(u64::from(block.count)), block.length);
            if !filling.take(items) {
                break;
            }
            // A page may end within the block.
            if holds(&block, filling.next()) {
                boundary = Boundary::At { next: filling.next(), position };
                break;
            }
            let length = (block.length as usize).min(rest.len());
            (position, rest) = match self.order {
                IterationOrder::Forwards => (position + u64::from(block.length), rest.slice(length..)),
                IterationOrder::Backwards => {
                    (position.saturating_sub(u64::from(block.length)), rest.slice(..rest.len() - length))
                }
            };
            boundary = Boundary::At { next: filling.next(), position };
        }
        boundary
    }
}

/// Stored bytes that so many of a commit's own items take on average.
pub(super) fn expected_bytes(entry: &TableEntry, items: u64) -> u64 {
    // Saturates for forged numbers alone: an estimate all the same.
    entry.own_length.saturating_sub(u64::from(entry.header_length)).saturating_mul(items) / entry.run.count.max(1)
}

/// The next block at hand; `None` where there is only a part of it.
pub(super) fn next_block(order: IterationOrder, bytes: &Bytes, owner: BlockOwner) -> Result<Option<Block>, Malformed> {
    match order {
        IterationOrder::Forwards => Block::decode_first(bytes, owner),
        IterationOrder::Backwards => Block::decode_last(bytes, owner),
    }
}

pub(super) fn holds(block: &Block, offset: u64) -> bool {
    offset.checked_sub(block.first).is_some_and(|number| number < u64::from(block.count))
}

#[cfg(test)]
mod tests;
