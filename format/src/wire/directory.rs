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
