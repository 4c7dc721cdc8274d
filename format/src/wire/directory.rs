//! The directory of an object's blocks: in the object itself, and once more in the index.

use super::Malformed;
use super::block::{BlockEntry, FRAME_BYTES, MAX_BLOCK_ITEMS, MAX_FRAME_BYTES};
use super::cursor::{Reader, Write};
use super::run::Run;
use crate::limits::MAX_BLOCKS;

/// Writes the blocks of `run`, which follows `before`. What the last block adds follows from the run: only its length is
/// written.
pub(super) fn write_directory(before: &Run, blocks: &[BlockEntry], out: &mut Vec<u8>) {
    out.put_varint(blocks.len() as u64);
    let mut state = (before.running_max_timestamp, before.next_nonce);
    let Some((last, others)) = blocks.split_last() else {
        return;
    };
    for block in others {
        out.put_varint(u64::from(block.length));
        out.put_varint(u64::from(block.count));
        out.put_varint(block.running_max_timestamp.wrapping_sub(state.0) as u64);
        out.put_wide_varint(block.next_nonce.wrapping_sub(state.1));
        state = (block.running_max_timestamp, block.next_nonce);
    }
    out.put_varint(u64::from(last.length));
}

/// Reads the blocks of `run`, which follows `before`. They lie one after the other from `position` on.
pub(super) fn read_directory(
    before: &Run,
    run: &Run,
    mut position: u64,
    reader: &mut Reader<'_>,
) -> Result<Vec<BlockEntry>, Malformed> {
    const TILING: Malformed = Malformed::Corrupt("its blocks do not make up its items");
    let count = reader.count(MAX_BLOCKS, 1)?;
    if (count == 0) != (run.count == 0) {
        return Err(TILING);
    }
    let mut blocks = Vec::with_capacity(count);
    let mut state = before.after();
    for index in 1..=count {
        let length = reader.varint_u32()?;
        if !(FRAME_BYTES..=MAX_FRAME_BYTES).contains(&(length as usize)) {
            return Err(Malformed::Corrupt("the length of a block is impossible"));
        }
        let left = run.end().checked_sub(state.first).ok_or(TILING)?;
        let first = state.first;
        let items = if index == count {
            (state.running_max_timestamp, state.next_nonce) = (run.running_max_timestamp, run.next_nonce);
            left
        } else {
            let items = reader.varint()?;
            let running = state.running_max_timestamp.wrapping_add(reader.varint()? as i64);
            let next_nonce = state.next_nonce.checked_add(reader.wide_varint()?).ok_or(TILING)?;
            let possible = state.running_max_timestamp.max(run.min_timestamp)..=run.running_max_timestamp;
            if !possible.contains(&running) || next_nonce > run.next_nonce {
                return Err(TILING);
            }
            (state.running_max_timestamp, state.next_nonce) = (running, next_nonce);
            items
        };
        if items == 0 || items > left || items > u64::from(MAX_BLOCK_ITEMS) {
            return Err(TILING);
        }
        state.first += items;
        blocks.push(BlockEntry {
            position,
            length,
            first,
            count: items as u32,
            running_max_timestamp: state.running_max_timestamp,
            next_nonce: state.next_nonce,
        });
        position = position.saturating_add(u64::from(length));
    }
    Ok(blocks)
}

/// Bytes of some blocks.
pub(super) fn stored_bytes(blocks: &[BlockEntry]) -> u64 {
    blocks.iter().map(|block| u64::from(block.length)).sum()
}

/// Moves blocks whose positions were counted from 0 behind a header of this length.
pub(super) fn shift(blocks: &mut [BlockEntry], by: u64) {
    for block in blocks {
        block.position += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Run = Run {
        first: 10,
        count: 0,
        value_bytes: 0,
        min_timestamp: i64::MAX,
        max_timestamp: i64::MIN,
        running_max_timestamp: 50,
        next_nonce: 7,
    };

    /// Two blocks of a run of so many items, the first of which has these.
    fn read(count: u64, first: BlockEntry) -> Result<Vec<u32>, Malformed> {
        let run =
            Run { count, min_timestamp: 40, max_timestamp: 60, running_max_timestamp: 60, next_nonce: 9, ..BEFORE };
        let last = BlockEntry { length: 100, ..first };
        let mut out = Vec::new();
        write_directory(&BEFORE, &[first, last], &mut out);
        let read = read_directory(&BEFORE, &run, 300, &mut Reader::new(&out))?;
        Ok(read.iter().map(|block| block.count).collect())
    }

    fn block() -> BlockEntry {
        BlockEntry { position: 300, length: 100, first: 10, count: 2, running_max_timestamp: 55, next_nonce: 8 }
    }

    #[test]
    fn blocks_make_up_their_run() {
        assert_eq!(read(5, block()), Ok(vec![2, 3]));
        assert_eq!(read(3, block()), Ok(vec![2, 1]));
        let tiling = Err(Malformed::Corrupt("its blocks do not make up its items"));
        // The first has none, or leaves none to the last, or has more than there are.
        for count in [0, 5, 6] {
            assert_eq!(read(5, BlockEntry { count, ..block() }), tiling, "{count} items");
        }
    }

    #[test]
    fn a_block_has_65536_items_at_most() {
        let all = u64::from(MAX_BLOCK_ITEMS);
        let block = |count| BlockEntry { count, ..block() };
        assert_eq!(read(2 * all, block(MAX_BLOCK_ITEMS)), Ok(vec![MAX_BLOCK_ITEMS; 2]));
        let tiling = Err(Malformed::Corrupt("its blocks do not make up its items"));
        assert_eq!(read(2 * all, block(MAX_BLOCK_ITEMS - 1)), tiling);
        assert_eq!(read(2 * all, block(MAX_BLOCK_ITEMS + 1)), tiling);
    }

    #[test]
    fn a_block_has_a_length_that_can_be() {
        let read = |length| read(5, BlockEntry { length, ..block() });
        assert_eq!(read(FRAME_BYTES as u32), Ok(vec![2, 3]));
        assert_eq!(read(MAX_FRAME_BYTES as u32), Ok(vec![2, 3]));
        for length in [FRAME_BYTES as u32 - 1, MAX_FRAME_BYTES as u32 + 1] {
            assert_eq!(read(length), Err(Malformed::Corrupt("the length of a block is impossible")));
        }
    }

    #[test]
    fn timestamps_and_nonces_only_grow_up_to_those_of_the_run() {
        for running_max_timestamp in [50, 60] {
            assert_eq!(read(5, BlockEntry { running_max_timestamp, ..block() }), Ok(vec![2, 3]));
        }
        for next_nonce in [7, 9] {
            assert_eq!(read(5, BlockEntry { next_nonce, ..block() }), Ok(vec![2, 3]));
        }
        let tiling = Err(Malformed::Corrupt("its blocks do not make up its items"));
        assert_eq!(read(5, BlockEntry { running_max_timestamp: 61, ..block() }), tiling);
        assert_eq!(read(5, BlockEntry { running_max_timestamp: 49, ..block() }), tiling);
        assert_eq!(read(5, BlockEntry { next_nonce: 10, ..block() }), tiling);
    }
}
