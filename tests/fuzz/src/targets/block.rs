//! A block: what decodes is bounded, and comes back once encoded.
//!
//! The input is a frame. Its lengths, owner and checksum are mended unless the first byte says otherwise.

use bytes::Bytes;
use klstore_format::limits::{MAX_BLOCK_ITEMS, MAX_BLOCK_PLAIN_BYTES};
use klstore_format::wire::block::{Block, BlockOptions, decode_blocks, encode_blocks};
use klstore_format::wire::compression::Codec;
use klstore_format::wire::identity::BlockOwner;
use klstore_format::wire::run::Run;

use crate::seal;

/// Whose blocks these are.
pub const OWNER: BlockOwner = BlockOwner(*b"somebody");
const AS_IT_IS: u8 = 0;

/// The target.
pub fn run(data: &[u8]) {
    let Some((&how, frame)) = data.split_first() else { return };
    let mut frame = frame.to_vec();
    if how != AS_IT_IS && frame.len() >= 20 {
        seal::blocks(&mut frame, 0, Some(&OWNER));
    }
    let frame = Bytes::from(frame);
    let first = Block::decode_first(&frame, OWNER);
    let last = Block::decode_last(&frame, OWNER);
    if let Ok(Some(block)) = &last {
        assert!(block.length as usize <= frame.len());
    }
    let Ok(Some(block)) = first else { return };
    assert!(Block::decode_first(&frame, BlockOwner(*b"sometwo.")).is_err(), "another object's block was taken");
    assert!(block.count <= MAX_BLOCK_ITEMS && block.length as usize <= frame.len());
    let Ok(items) = block.items() else { return };
    assert_eq!(items.len(), block.count as usize);
    assert!(items.iter().map(|item| item.value.len()).sum::<usize>() <= MAX_BLOCK_PLAIN_BYTES);
    for (item, offset) in items.iter().zip(block.first..) {
        assert_eq!(item.offset, offset);
    }
    let nonces: Vec<u128> = items.iter().filter_map(|item| item.nonce).collect();
    assert!(nonces.is_sorted_by(|one, next| one < next), "nonces do not increase");

    let before = Run::empty(block.first, i64::MIN, 0);
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let (mut out, mut read) = (Vec::new(), Vec::new());
        let options = BlockOptions { codec, plain_bytes: 4_096 };
        let entries = encode_blocks(OWNER, &before, &items, &options, 0, &mut out);
        decode_blocks(&out.into(), 0, &entries, OWNER, &mut read).expect("what was encoded can be read");
        assert_eq!(read, items);
    }
}
