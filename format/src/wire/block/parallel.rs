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
    let start = out.len();
    // One share is encoded by this thread, to where it is to be.
    let (frames, others) = thread::scope(|scope| {
        let begun: Vec<_> = work
            .iter()
            .skip(1)
            .map(|&(blocks, firsts)| {
                let encode = move || Encoded::of(owner, blocks, firsts, options);
                thread::Builder::new().name("klstore encode".to_owned()).spawn_scoped(scope, encode).ok()
            })
            .collect();
        let first = work.first().map(|(blocks, firsts)| encode_to(owner, blocks, firsts, options, out));
        // What no thread could be started for is done here.
        let others = begun.into_iter().zip(work.iter().skip(1)).map(|(thread, (blocks, firsts))| {
            let joined = thread.and_then(|thread| thread.join().ok());
            joined.unwrap_or_else(|| Encoded::of(owner, blocks, firsts, options))
        });
        (first.unwrap_or_default(), others.collect::<Vec<_>>())
    });
    out.reserve(others.iter().map(|part| part.bytes.len()).sum());
    let mut entries = entries.iter_mut();
    let mut place = |begin: usize, frames: &[Range<usize>]| {
        for (frame, entry) in frames.iter().zip(entries.by_ref()) {
            entry.position = position + (begin - start + frame.start) as u64;
            entry.length = frame.len() as u32;
        }
    };
    place(start, &frames);
    for part in others {
        place(out.len(), &part.frames);
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
        let mut bytes = Vec::new();
        let frames = encode_to(owner, blocks, firsts, options, &mut bytes);
        Self { bytes, frames }
    }
}

/// Appends these blocks; where each of them is, counted from the first one's begin.
fn encode_to(
    owner: BlockOwner,
    blocks: &[&[Item]],
    firsts: &[u64],
    options: &BlockOptions,
    out: &mut Vec<u8>,
) -> Vec<Range<usize>> {
    let start = out.len();
    let (mut columns, mut scratch) = (Columns::default(), Scratch::default());
    let frames = blocks.iter().zip(firsts).map(|(items, first)| {
        columns.clear();
        items.iter().for_each(|item| columns.push(item));
        let frame = out.len() - start;
        columns.write_frame(owner, *first, items, options.codec, &mut scratch, out);
        frame..out.len() - start
    });
    frames.collect()
}
