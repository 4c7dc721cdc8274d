//! How a block's columns are compressed.
//!
//! Zstandard is the C library everywhere; clang compiles it for WebAssembly.

use bytes::Bytes;

use super::Malformed;

/// A block's compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    None = 0,
    /// LZ4 block format: fast to write and read.
    Lz4 = 1,
    /// Zstandard: smaller.
    #[default]
    Zstd = 2,
}

/// Zstandard's level for blocks.
pub const ZSTD_LEVEL: i32 = 1;
/// Compression that saves less than one part in so many is not worth the reader's time.
const LEAST_SAVING: usize = 16;

impl Codec {
    pub(super) fn from_number(number: u8) -> Result<Self, Malformed> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Lz4),
            2 => Ok(Self::Zstd),
            _ => Err(Malformed::Unknown { part: "codec", number: u32::from(number) }),
        }
    }
}

/// Compresses `plain` into `stored`, whose content is replaced, and says with what. With [`Codec::None`] compression was
/// not asked for or does not pay, and `stored` means nothing.
pub fn compress(codec: Codec, plain: &[u8], stored: &mut Vec<u8>) -> Codec {
    let used = match codec {
        Codec::None => return Codec::None,
        Codec::Lz4 => lz4(plain, stored),
        Codec::Zstd => zstandard(plain, stored),
    };
    match used {
        Some(used) if stored.len() + plain.len() / LEAST_SAVING < plain.len() => used,
        _ => Codec::None,
    }
}

fn lz4(plain: &[u8], stored: &mut Vec<u8>) -> Option<Codec> {
    stored.resize(lz4_flex::block::get_maximum_output_size(plain.len()), 0);
    let length = lz4_flex::block::compress_into(plain, stored).ok()?;
    stored.truncate(length);
    Some(Codec::Lz4)
}

fn zstandard(plain: &[u8], stored: &mut Vec<u8>) -> Option<Codec> {
    zstandard::compress(plain, stored).map(|()| Codec::Zstd)
}

/// What was compressed: exactly `plain_length` bytes, which the caller has bounded, or an error.
pub fn decompress(codec: Codec, stored: &Bytes, plain_length: usize) -> Result<Bytes, Malformed> {
    const WRONG: Malformed = Malformed::Corrupt("the compressed data of a block is wrong");
    let plain = match codec {
        Codec::None => stored.clone(),
        Codec::Lz4 => {
            let mut plain = vec![0; plain_length];
            // Called as what is not known: inlined, it would be compiled for size in a module for download.
            let decompress: fn(&[u8], &mut [u8]) -> _ = std::hint::black_box(lz4_flex::block::decompress_into);
            let length = decompress(stored, &mut plain).map_err(|_| WRONG)?;
            plain.truncate(length);
            plain.into()
        }
        Codec::Zstd => zstandard::decompress(stored, plain_length).ok_or(WRONG)?.into(),
    };
    if plain.len() == plain_length { Ok(plain) } else { Err(WRONG) }
}

mod zstandard {
    use std::cell::RefCell;

    use zstd::zstd_safe::{CCtx, CompressionLevel, DCtx, compress_bound};

    use super::ZSTD_LEVEL;

    thread_local! {
        // A context is some hundred kilobytes: made once a thread, not once a block.
        static COMPRESSOR: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }

    pub fn compress(plain: &[u8], stored: &mut Vec<u8>) -> Option<()> {
        const LEVEL: CompressionLevel = ZSTD_LEVEL;
        COMPRESSOR.with(|cell| {
            let mut slot = cell.try_borrow_mut().ok()?;
            let context = kept(&mut slot, CCtx::try_create)?;
            stored.clear();
            stored.reserve(compress_bound(plain.len()));
            context.compress(stored, plain, LEVEL).ok().map(drop)
        })
    }

    pub fn decompress(stored: &[u8], plain_length: usize) -> Option<Vec<u8>> {
        DECOMPRESSOR.with(|cell| {
            let mut slot = cell.try_borrow_mut().ok()?;
            let mut plain = Vec::with_capacity(plain_length);
            kept(&mut slot, DCtx::try_create)?.decompress(&mut plain, stored).ok()?;
            Some(plain)
        })
    }

    fn kept<T>(slot: &mut Option<T>, create: fn() -> Option<T>) -> Option<&mut T> {
        if slot.is_none() {
            *slot = create();
        }
        slot.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compressed(codec: Codec, plain: &[u8]) -> Option<Bytes> {
        let mut stored = Vec::new();
        (compress(codec, plain, &mut stored) == codec).then(|| stored.into())
    }

    /// Bytes that cannot be compressed.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(byte).take(length).collect()
    }

    /// By a decoder that shares nothing with the C library.
    fn in_rust(stored: &[u8], plain_length: usize) -> Option<Vec<u8>> {
        let mut plain = vec![0; plain_length];
        let length = ruzstd::decoding::FrameDecoder::new().decode_all(stored, &mut plain).ok()?;
        plain.truncate(length);
        Some(plain)
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(piece in prop::collection::vec(any::<u8>(), 1..40), times in 1usize..2_000) {
            let plain = piece.repeat(times);
            for codec in [Codec::Lz4, Codec::Zstd] {
                if let Some(stored) = compressed(codec, &plain) {
                    prop_assert_eq!(&decompress(codec, &stored, plain.len()).unwrap()[..], &plain[..]);
                    prop_assert!(decompress(codec, &stored, plain.len() - 1).is_err());
                    prop_assert!(decompress(codec, &stored, plain.len() + 1).is_err());
                    if codec == Codec::Zstd {
                        prop_assert_eq!(in_rust(&stored, plain.len()), Some(plain.clone()));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_give_bounded_output(stored in prop::collection::vec(any::<u8>(), 0..200)) {
            let stored = Bytes::from(stored);
            for codec in [Codec::Lz4, Codec::Zstd] {
                let _ = decompress(codec, &stored, 100);
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_promised_length() {
        let stored = compressed(Codec::Zstd, &vec![0; 16 << 20]).unwrap();
        assert!(stored.len() < 4_096);
        assert!(decompress(Codec::Zstd, &stored, 1_000).is_err());
        assert_eq!(decompress(Codec::Zstd, &stored, 16 << 20).map(|plain| plain.len()), Ok(16 << 20));
    }

    #[test]
    fn what_does_not_shrink_stays_plain() {
        let noise = noise(5_000);
        assert_eq!(compressed(Codec::Zstd, &noise), None);
        assert_eq!(compressed(Codec::Lz4, &noise), None);
    }

    #[test]
    fn what_shrinks_by_less_than_a_sixteenth_stays_plain() {
        let noise = noise(16_000);
        let with_zeros = |zeros| [&noise[..], &vec![0; zeros]].concat();
        for codec in [Codec::Zstd, Codec::Lz4] {
            assert_eq!(compressed(codec, &with_zeros(800)), None, "{codec:?}");
            let stored = compressed(codec, &with_zeros(1_600)).unwrap();
            assert!(stored.len() < 16_500, "{codec:?}: {} bytes", stored.len());
        }
    }
}
