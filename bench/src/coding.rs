//! Blocks against nothing but memcpy, CRC-32C and the compression of the same values.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::wire::block::{BlockOptions, decode_blocks, encode_blocks};
use klstore_format::wire::compression::{Codec, compress, decompress};
use klstore_format::wire::identity::BlockOwner;
use klstore_format::wire::run::Run;

use crate::Failure;
use crate::pairs::{Goal, Row};

const OWNER: BlockOwner = BlockOwner(*b"measured");
/// Items of about 1 MiB together: a run is short enough that most are not interrupted by what else the machine does.
const ITEMS: usize = 11_000;
/// Runs of one side of a pair.
const RUNS: u32 = 10;

#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub codec: Codec,
    pub decodes: bool,
}

pub fn cases() -> impl Iterator<Item = Case> {
    let both = |codec| [false, true].map(|decodes| Case { codec, decodes });
    [Codec::None, Codec::Lz4, Codec::Zstd].into_iter().flat_map(both)
}

impl Case {
    pub fn name(&self) -> String {
        let work = if self.decodes { "decode" } else { "encode" };
        let (codec, alone) = match self.codec {
            Codec::None => ("plain", ""),
            Codec::Lz4 => ("lz4", " + lz4"),
            Codec::Zstd => ("zstd", " + zstd"),
        };
        format!("{work} {codec} / memcpy + crc32c{alone}")
    }

    pub fn run(&self, values: &[Bytes], pairs: usize) -> Result<Row, Failure> {
        let items: Vec<Item> = values.iter().take(ITEMS).zip(0..).map(|(value, offset)| item(value, offset)).collect();
        let values: Vec<u8> = items.iter().flat_map(|item| item.value.to_vec()).collect();
        let times =
            if self.decodes { self.decode(&items, &values, pairs)? } else { self.encode(&items, &values, pairs) };
        let amount = values.len() as f64 * f64::from(RUNS) / 1e6;
        Ok(Row::of_times(self.name(), "MB/s", amount, Goal::Unset, &times))
    }

    fn encode(&self, items: &[Item], values: &[u8], pairs: usize) -> Vec<(Duration, Duration)> {
        let options = BlockOptions { codec: self.codec, ..BlockOptions::default() };
        let start = Run::empty(0, i64::MIN, 0);
        let (mut out, mut copy, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        let mut ours = || {
            out.clear();
            black_box(encode_blocks(OWNER, &start, black_box(items), &options, 0, &mut out));
        };
        let mut reference = || {
            copy.clear();
            for block in black_box(values).chunks(options.plain_bytes) {
                compress(self.codec, block, &mut stored);
                let block = if self.codec == Codec::None { block } else { &stored[..] };
                black_box(crc32c::crc32c(block));
                copy.extend_from_slice(block);
            }
        };
        interleaved(pairs, &mut ours, &mut reference)
    }

    fn decode(&self, items: &[Item], values: &[u8], pairs: usize) -> Result<Vec<(Duration, Duration)>, Failure> {
        let options = BlockOptions { codec: self.codec, ..BlockOptions::default() };
        let mut out = Vec::new();
        let entries = encode_blocks(OWNER, &Run::empty(0, i64::MIN, 0), items, &options, 0, &mut out);
        let (bytes, mut read) = (Bytes::from(out), Vec::with_capacity(items.len()));
        decode_blocks(&bytes, 0, &entries, OWNER, &mut read).map_err(|error| format!("what was encoded: {error:?}"))?;
        if read != items {
            return Err("the items decoded are not those encoded".into());
        }
        let blocks: Vec<(Bytes, usize)> = values.chunks(options.plain_bytes).map(|block| self.stored(block)).collect();
        let mut copy = Vec::with_capacity(values.len());
        let mut ours = || {
            read.clear();
            decode_blocks(black_box(&bytes), 0, &entries, OWNER, &mut read).is_ok()
        };
        let mut reference = || {
            copy.clear();
            for (stored, length) in black_box(&blocks) {
                black_box(crc32c::crc32c(stored));
                let plain = decompress(self.codec, stored, *length);
                copy.extend_from_slice(&plain.unwrap_or_default());
            }
        };
        Ok(interleaved(pairs, &mut || _ = black_box(ours()), &mut reference))
    }

    fn stored(&self, block: &[u8]) -> (Bytes, usize) {
        let mut stored = Vec::new();
        let used = compress(self.codec, block, &mut stored);
        let stored = if used == Codec::None { Bytes::copy_from_slice(block) } else { stored.into() };
        (stored, block.len())
    }
}

/// One a second, as a device would send them.
fn item(value: &Bytes, offset: u64) -> Item {
    let timestamp = 1_357_000_000_000 + offset as i64 * 1_000;
    Item { offset, timestamp, nonce: Some(u128::from(offset)), value: value.clone() }
}

fn interleaved(pairs: usize, ours: &mut dyn FnMut(), reference: &mut dyn FnMut()) -> Vec<(Duration, Duration)> {
    let time = |side: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..RUNS).for_each(|_| side());
        started.elapsed()
    };
    let mut times: Vec<_> = (0..=pairs).map(|_| (time(ours), time(reference))).collect();
    // The first one fills caches.
    times.remove(0);
    times
}
