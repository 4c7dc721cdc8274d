//! Many blocks at once, by several threads. The bytes are the same as one thread's: which items make up a block is decided
//! beforehand.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use super::{BlockEntry, BlockOptions, Columns, Scratch, plain_size};
use crate::item::Item;
use crate::wire::compression::Codec;
use crate::wire::identity::BlockOwner;

/// Plain bytes from which on it pays: to start a thread takes as long as to compress some 10 KB.
const LEAST_PLAIN_BYTES: usize = 1 << 20;
/// Compression is not worth more of a machine that does other things as well.
const MAX_THREADS: usize = 8;

/// How many threads are to encode these items: 1 where they are few, or only copied.
pub(super) fn threads(items: &[Item], codec: Codec) -> usize {
    if codec == Codec::None || items.iter().map(plain_size).sum::<usize>() < LEAST_PLAIN_BYTES {
        return 1;
    }
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// Appends these blocks, of which entries tell everything but position and length, to `out`, and completes the entries.
pub(super) fn encode(
    owner: BlockOwner,
    blocks: &[&[Item]],
    entries: &mut [BlockEntry],
    options: &BlockOptions,
    position: u64,
    threads: usize,
    out: &mut Vec<u8>,
) {
    let share = blocks.len().div_ceil(threads.max(1)).max(1);
    let firsts: Vec<u64> = entries.iter().map(|entry| entry.first).collect();
    let work: Vec<(&[&[Item]], &[u64])> = blocks.chunks(share).zip(firsts.chunks(share)).collect();
    let encoded: Vec<Encoded> = thread::scope(|scope| {
        let begun: Vec<_> = work
            .iter()
            .skip(1)
            .map(|&(blocks, firsts)| {
                let encode = move || Encoded::of(owner, blocks, firsts, options);
                thread::Builder::new().name("klstore encode".to_owned()).spawn_scoped(scope, encode).ok()
            })
            .collect();
        let first = work.first().map(|(blocks, firsts)| Encoded::of(owner, blocks, firsts, options));
        // What no thread could be started for is done here.
        let others = begun.into_iter().zip(work.iter().skip(1)).map(|(thread, (blocks, firsts))| {
            let joined = thread.and_then(|thread| thread.join().ok());
            joined.unwrap_or_else(|| Encoded::of(owner, blocks, firsts, options))
        });
        first.into_iter().chain(others).collect()
    });
    let start = out.len();
    out.reserve(encoded.iter().map(|part| part.bytes.len()).sum());
    let mut entries = entries.iter_mut();
    for part in encoded {
        let begin = position + (out.len() - start) as u64;
        for (frame, entry) in part.frames.iter().zip(entries.by_ref()) {
            entry.position = begin + frame.start as u64;
            entry.length = frame.len() as u32;
        }
        out.extend_from_slice(&part.bytes);
    }
}

/// Some of the blocks, one after the other.
struct Encoded {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
}

impl Encoded {
    fn of(owner: BlockOwner, blocks: &[&[Item]], firsts: &[u64], options: &BlockOptions) -> Self {
        let (mut bytes, mut frames) = (Vec::new(), Vec::with_capacity(blocks.len()));
        let (mut columns, mut scratch) = (Columns::default(), Scratch::default());
        for (items, first) in blocks.iter().zip(firsts) {
            columns.clear();
            items.iter().for_each(|item| columns.push(item));
            let start = bytes.len();
            columns.write_frame(owner, *first, items, options.codec, &mut scratch, &mut bytes);
            frames.push(start..bytes.len());
        }
        Self { bytes, frames }
    }
}
