use super::*;
use crate::wire::arbitrary::{items_after_any_state, no_damage_is_believed, options};
use proptest::prelude::*;

const OWNER: BlockOwner = BlockOwner(*b"somebody");

fn item(offset: u64, value: impl Into<Bytes>) -> Item {
    Item { offset, timestamp: 0, nonce: None, value: value.into() }
}

fn start() -> Run {
    Run::empty(0, i64::MIN, 0)
}

proptest! {
    #[test]
    fn items_come_back((before, items) in items_after_any_state(0..300), options in options(), position in 0..1u64 << 40) {
        let mut out = vec![9; 3];
        let entries = encode_blocks(OWNER, &before, &items, &options, position, &mut out);
        let bytes = Bytes::from(out).slice(3..);
        let mut read = Vec::new();
        decode_blocks(&bytes, position, &entries, OWNER, &mut read).unwrap();
        prop_assert_eq!(&read, &items);

        // The entries tile the bytes, and say what a seek needs.
        let (mut at, mut state, mut rest) = (position, before, &items[..]);
        for entry in &entries {
            let (own, after) = rest.split_at(entry.count as usize);
            prop_assert_eq!((entry.position, entry.first), (at, state.end()));
            own.iter().for_each(|item| state.push(item));
            prop_assert_eq!(entry.running_max_timestamp, state.running_max_timestamp);
            prop_assert_eq!(entry.next_nonce, state.next_nonce);
            prop_assert!(entry.count == 1 || own.iter().map(plain_size).sum::<usize>() <= 2 * options.plain_bytes + 64);
            (at, rest) = (entry.end_position(), after);
        }
        prop_assert_eq!(at - position, bytes.len() as u64);
    }

    #[test]
    fn several_threads_write_the_same_bytes(
        (before, items) in items_after_any_state(0..300), options in options(), position in 0..1u64 << 40, threads in 2..9usize
    ) {
        let by = |threads| {
            let mut out = vec![9; 3];
            let entries = encode_blocks_by(threads, OWNER, &before, &items, &options, position, &mut out);
            (entries, out)
        };
        prop_assert_eq!(by(threads), by(1));
    }

    #[test]
    fn blocks_are_found_from_either_end((before, items) in items_after_any_state(1..200), options in options()) {
        let mut out = Vec::new();
        let entries = encode_blocks(OWNER, &before, &items, &options, 0, &mut out);
        let bytes = Bytes::from(out);
        let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
        let (mut front, mut back) = (bytes.clone(), bytes);
        while let Some(block) = Block::decode_first(&front, OWNER).unwrap() {
            front = front.slice(block.length as usize..);
            forwards.extend(block.items().unwrap());
        }
        while let Some(block) = Block::decode_last(&back, OWNER).unwrap() {
            back.truncate(back.len() - block.length as usize);
            backwards.extend(block.items().unwrap().into_iter().rev());
        }
        backwards.reverse();
        prop_assert_eq!(&forwards, &items);
        prop_assert_eq!(&backwards, &items);
        prop_assert_eq!(entries.iter().map(|entry| entry.count as usize).sum::<usize>(), items.len());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_block(mut bytes in prop::collection::vec(any::<u8>(), 0..200), codec in 0..3u8, seal: bool) {
        if seal && bytes.len() >= FRAME_BYTES {
            let length = bytes.len();
            bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
            bytes[length - 4..].copy_from_slice(&(length as u32).to_le_bytes());
            bytes[8..16].copy_from_slice(&OWNER.0);
            bytes[16] = codec;
            let count = u32::from(bytes[25] % 20);
            bytes[25..29].copy_from_slice(&count.to_le_bytes());
            bytes[29..33].copy_from_slice(&((length - FRAME_BYTES) as u32 + u32::from(codec)).to_le_bytes());
            let sum = crc32c::crc32c(&bytes[8..length - 4]);
            bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        for block in [Block::decode_first(&bytes, OWNER), Block::decode_last(&bytes, OWNER)] {
            if let Ok(Some(block)) = block
                && let Ok(items) = block.items()
            {
                prop_assert_eq!(items.len(), block.count as usize);
            }
        }
    }
}

#[test]
fn no_damage_of_a_block_is_believed() {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let items: Vec<_> = (0..4)
            .map(|offset| Item { nonce: (offset > 1).then_some(u128::from(offset)), ..item(offset, vec![7; 60]) })
            .collect();
        let mut out = Vec::new();
        let options = BlockOptions { codec, ..BlockOptions::default() };
        let entries = encode_blocks(OWNER, &start(), &items, &options, 0, &mut out);
        no_damage_is_believed(&out, |bytes| {
            let mut items = Vec::new();
            decode_blocks(bytes, 0, &entries, OWNER, &mut items).map(|()| items)
        });
        no_damage_is_believed(&out, |bytes| {
            let missing = Malformed::Corrupt("not all of it");
            Block::decode_first(bytes, OWNER)?.ok_or(missing)?.items()
        });
    }
}

#[test]
fn another_owner_is_refused() {
    let mut out = Vec::new();
    encode_blocks(OWNER, &start(), &[item(0, "a")], &BlockOptions::default(), 0, &mut out);
    let found = Block::decode_first(&out.into(), BlockOwner(*b"stranger"));
    assert_eq!(found.err(), Some(Malformed::Corrupt("a block belongs to another object")));
}

#[test]
fn a_nonce_that_does_not_follow_begins_another_block() {
    let nonces = [Some(7), None, Some(8), Some(8), Some(3), None, Some(u128::MAX - 1)];
    let items: Vec<_> = (0..).zip(nonces).map(|(offset, nonce)| Item { nonce, ..item(offset, "a") }).collect();
    let mut out = Vec::new();
    let entries = encode_blocks(OWNER, &start(), &items, &BlockOptions::default(), 0, &mut out);
    assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [3, 1, 3]);
    let mut read = Vec::new();
    decode_blocks(&out.into(), 0, &entries, OWNER, &mut read).unwrap();
    assert_eq!(read, items);
}

#[test]
fn the_largest_value_has_a_block_of_its_own() {
    let items = [item(0, "before"), item(1, vec![1; crate::limits::MAX_VALUE_BYTES]), item(2, "after")];
    for codec in [Codec::None, Codec::Zstd] {
        let mut out = Vec::new();
        let options = BlockOptions { codec, ..BlockOptions::default() };
        let entries = encode_blocks(OWNER, &start(), &items, &options, 0, &mut out);
        assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 1, 1]);
        let mut read = Vec::new();
        decode_blocks(&out.into(), 0, &entries, OWNER, &mut read).unwrap();
        assert_eq!(read, items);
    }
}

#[test]
fn a_block_never_has_more_items_than_readers_take() {
    let items: Vec<_> = (0..70_000).map(|offset| item(offset, "")).collect();
    let options = BlockOptions { codec: Codec::Zstd, plain_bytes: 1 << 30 };
    let mut out = Vec::new();
    let entries = encode_blocks(OWNER, &start(), &items, &options, 0, &mut out);
    assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [MAX_BLOCK_ITEMS, 4_464]);
    let mut read = Vec::new();
    decode_blocks(&out.into(), 0, &entries, OWNER, &mut read).unwrap();
    assert_eq!(read, items);
}

#[test]
fn values_of_an_uncompressed_block_are_not_copied() {
    let mut out = Vec::new();
    let options = BlockOptions { codec: Codec::None, ..BlockOptions::default() };
    encode_blocks(OWNER, &start(), &[item(0, "value")], &options, 0, &mut out);
    let bytes = Bytes::from(out);
    let value = Block::decode_first(&bytes, OWNER).unwrap().unwrap().items().unwrap().remove(0).value;
    assert!(bytes.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn blocks_are_filled_up_to_their_plain_bytes() {
    let items: Vec<_> = (0..5_000)
        .map(|offset: u64| Item {
            timestamp: 1_000 * offset as i64,
            nonce: offset.is_multiple_of(2).then_some(offset.into()),
            ..item(offset, vec![7; offset as usize % 7])
        })
        .collect();
    let options = BlockOptions { codec: Codec::None, plain_bytes: 8 << 10 };
    let entries = encode_blocks(OWNER, &start(), &items, &options, 0, &mut Vec::new());
    assert!(entries.len() > 3);
    // Each but the last: what is counted for it in advance is a little more than it takes.
    for entry in &entries[..entries.len() - 1] {
        let plain_bytes = entry.length as usize - FRAME_BYTES;
        let left = options.plain_bytes.checked_sub(plain_bytes);
        assert!(left.is_some_and(|left| left <= 16 + MAX_ITEM_OVERHEAD + 6), "{plain_bytes} bytes");
    }
}

/// A frame that says this of itself, of so many stored bytes.
fn frame(codec: Codec, first: u64, count: u32, plain_length: usize, stored: usize) -> Bytes {
    let mut out = Vec::new();
    begin_frame(OWNER, codec, first, count, plain_length as u32, &mut out);
    out.resize(out.len() + stored, 0);
    end_frame(0, &mut out);
    out.into()
}

#[test]
fn a_frame_says_what_a_block_can_be() {
    let check = |frame: Bytes, expected: Result<(), &'static str>| {
        for decoded in [Block::decode_first(&frame, OWNER), Block::decode_last(&frame, OWNER)] {
            assert_eq!(decoded.map(|block| block.expect("all of it")).map(drop), expected.map_err(Malformed::Corrupt));
        }
    };
    let (items, bytes) = (MAX_BLOCK_ITEMS, MAX_BLOCK_PLAIN_BYTES);
    check(frame(Codec::Zstd, 0, items, bytes, 9), Ok(()));
    let too_large = Err("a block is larger than the format allows");
    check(frame(Codec::Zstd, 0, items + 1, bytes, 9), too_large);
    check(frame(Codec::Zstd, 0, items, bytes + 1, 9), too_large);

    // An item takes two bytes or more.
    check(frame(Codec::None, 0, 1, 10, 10), Ok(()));
    check(frame(Codec::None, 0, 5, 10, 10), Ok(()));
    let counts = Err("a block counts no items, or more than it holds");
    check(frame(Codec::None, 0, 0, 10, 10), counts);
    check(frame(Codec::None, 0, 6, 10, 10), counts);

    // What is compressed is shorter.
    check(frame(Codec::Zstd, 0, 1, 10, 9), Ok(()));
    let length = Err("the length of a block's data is wrong");
    check(frame(Codec::Zstd, 0, 1, 10, 10), length);
    check(frame(Codec::None, 0, 1, 10, 9), length);
    check(frame(Codec::None, 0, 1, 10, 11), length);

    check(frame(Codec::None, u64::MAX - 5, 5, 10, 10), Ok(()));
    check(frame(Codec::None, u64::MAX - 4, 5, 10, 10), Err("its offsets go beyond 2^64"));
}

#[test]
fn a_length_that_can_be_is_waited_for() {
    let check = |length: usize, expected: Result<(), Malformed>| {
        let bytes = Bytes::copy_from_slice(&(length as u32).to_le_bytes());
        for decoded in [Block::decode_first(&bytes, OWNER), Block::decode_last(&bytes, OWNER)] {
            assert_eq!(decoded.map(|block| assert!(block.is_none())), expected);
        }
    };
    check(FRAME_BYTES, Ok(()));
    check(MAX_FRAME_BYTES, Ok(()));
    let impossible = Err(Malformed::Corrupt("the length of a block is impossible"));
    check(FRAME_BYTES - 1, impossible);
    check(MAX_FRAME_BYTES + 1, impossible);
}

#[test]
fn blocks_that_are_decoded_together_hold_64_mib_at_most() {
    // With three lengths of columns, a timestamp and a length of four bytes a block is 16 MiB.
    let value = Bytes::from(vec![0; (16 << 20) - 8]);
    let items: Vec<_> =
        (0..5).map(|offset| item(offset, if offset < 4 { value.clone() } else { Bytes::new() })).collect();
    let mut out = Vec::new();
    let entries = encode_blocks(OWNER, &start(), &items, &BlockOptions::default(), 0, &mut out);
    let bytes = Bytes::from(out);
    let (mut count, more) = (0, Malformed::Corrupt("its blocks hold more than the format allows"));
    assert_eq!(each_block(&bytes, &entries, OWNER, &mut |items| count += items.len()), Err(more));
    assert_eq!(count, 4);
}
