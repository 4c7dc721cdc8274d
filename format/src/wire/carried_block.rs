//! A block that is repeated by one commit after the other: compressed once, framed anew for each.

use bytes::Bytes;

use super::block::{BlockEntry, BlockOptions, Columns, Scratch, begin_frame, end_frame};
use super::compression::Codec;
use super::identity::BlockOwner;
use super::run::Run;
use crate::item::Item;

/// A block of some items, without an owner yet.
#[derive(Debug, Clone)]
pub struct CarriedBlock {
    /// The items, by themselves: whatever came before them.
    run: Run,
    codec: Codec,
    plain_length: u32,
    payload: Bytes,
}

impl CarriedBlock {
    /// The items, which follow each other, cut into blocks.
    pub fn cut(items: &[Item], options: &BlockOptions) -> Vec<Self> {
        let (mut blocks, mut rest) = (Vec::new(), items);
        let (mut columns, mut scratch) = (Columns::default(), Scratch::default());
        while let Some(first) = rest.first() {
            let mut run = Run::empty(first.offset, i64::MIN, 0);
            let (block, after) = columns.fill(rest, options.plain_bytes);
            block.iter().for_each(|item| run.push(item));
            rest = after;
            let mut payload = Vec::new();
            let (codec, plain_length) = columns.write_payload(block, options.codec, &mut scratch, &mut payload);
            blocks.push(Self { run, codec, plain_length, payload: payload.into() });
        }
        blocks
    }

    /// Offset of its first item.
    pub fn first(&self) -> u64 {
        self.run.first
    }

    /// One after the offset of its last item.
    pub fn end(&self) -> u64 {
        self.run.end()
    }

    /// Stored bytes of its items.
    pub fn stored_bytes(&self) -> usize {
        self.payload.len()
    }

    /// The items by themselves.
    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Appends it to `out`, at `position` of the owner's object. `state`: the run up to its end.
    pub(super) fn write(&self, owner: BlockOwner, state: &Run, position: u64, out: &mut Vec<u8>) -> BlockEntry {
        let start = out.len();
        let count = self.run.count as u32;
        begin_frame(owner, self.codec, self.run.first, count, self.plain_length, out);
        out.extend_from_slice(&self.payload);
        end_frame(start, out);
        BlockEntry {
            position,
            length: (out.len() - start) as u32,
            first: self.run.first,
            count,
            running_max_timestamp: state.running_max_timestamp,
            next_nonce: state.next_nonce,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{items, options};
    use super::super::block::{FRAME_BYTES, encode_blocks};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn carried_blocks_are_those_that_are_encoded_at_once(items in items(Run::empty(0, i64::MIN, 0), 0..60), options in options()) {
            let owner = BlockOwner(*b"somebody");
            let (mut carried, mut encoded) = (Vec::new(), Vec::new());
            let mut state = Run::empty(0, i64::MIN, 0);
            let mut entries = Vec::new();
            for block in CarriedBlock::cut(&items, &options) {
                state.join(block.run());
                let entry = block.write(owner, &state, carried.len() as u64, &mut carried);
                prop_assert_eq!((block.first(), block.end()), (entry.first, entry.end()));
                prop_assert_eq!(block.stored_bytes() + FRAME_BYTES, entry.length as usize);
                entries.push(entry);
            }
            let expected = encode_blocks(owner, &Run::empty(0, i64::MIN, 0), &items, &options, 0, &mut encoded);
            prop_assert_eq!(entries, expected);
            prop_assert_eq!(carried, encoded);
        }
    }
}
