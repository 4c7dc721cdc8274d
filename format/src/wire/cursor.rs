//! Reading and writing the numbers that all objects are made of. Nothing here panics or allocates by what it reads.
//!
//! Fixed numbers are little-endian. A varint is LEB128: seven bits a byte, lowest first, the high bit set where another
//! byte follows, in as few bytes as possible. A signed number is first folded so that small ones stay short: 0, -1, 1, -2
//! become 0, 1, 2, 3.

use std::ops::{BitOrAssign, Shl};

use super::Malformed;

const SHORT: Malformed = Malformed::Corrupt("it ends in the middle of a number or a part");
const LONG_NUMBER: Malformed = Malformed::Corrupt("a number in it is too long or not in its shortest form");

/// A bounded read position in some bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Refuses bytes that nothing has asked for.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Corrupt("a part of it is longer than its content")) }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A fixed number of 2 bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// A fixed number of 4 bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A fixed number of 8 bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A fixed number of 16 bytes.
    pub fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
    }

    /// A varint of up to 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// A varint of up to 128 bits.
    #[inline]
    pub fn wide_varint(&mut self) -> Result<u128, Malformed> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u128::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// A varint of as many bits as a `T` has.
    #[inline(never)]
    fn long_varint<T: From<u8> + Shl<u32, Output = T> + BitOrAssign>(&mut self) -> Result<T, Malformed> {
        let width = 8 * size_of::<T>() as u32;
        let mut value = T::from(0);
        for (length, (&byte, shift)) in (1..).zip(self.rest.iter().zip((0..width).step_by(7))) {
            let bits = byte & 0x7f;
            // Of the last byte of the longest form not all bits count.
            if shift + 7 > width && bits >> (width - shift) != 0 {
                return Err(LONG_NUMBER);
            }
            value |= T::from(bits) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(LONG_NUMBER);
                }
                self.rest = self.rest.get(length..).ok_or(SHORT)?;
                return Ok(value);
            }
        }
        Err(if self.rest.len() < width.div_ceil(7) as usize { SHORT } else { LONG_NUMBER })
    }

    /// A folded signed varint.
    #[inline]
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(unfold)
    }

    /// A varint that fits in 32 bits.
    pub fn varint_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| LONG_NUMBER)
    }

    /// How many of something follow: at most `limit`, and no more than fit in what is left at `least` bytes each.
    pub fn count(&mut self, limit: usize, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| LONG_NUMBER)?;
        if count > limit {
            return Err(Malformed::Corrupt("it counts more parts than the format allows"));
        }
        if count.saturating_mul(least) > self.remaining() {
            return Err(SHORT);
        }
        Ok(count)
    }
}

/// Appends numbers to bytes.
pub trait Write {
    /// A varint of up to 64 bits.
    fn put_varint(&mut self, value: u64);
    /// A varint of up to 128 bits.
    fn put_wide_varint(&mut self, value: u128);
    /// A folded signed varint.
    fn put_signed(&mut self, value: i64);
}

impl Write for Vec<u8> {
    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn put_wide_varint(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn put_signed(&mut self, value: i64) {
        self.put_varint(fold(value));
    }
}

#[inline]
fn fold(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(unsigned: u64, wide: u128, signed: i64, shift in 0u32..64) {
            let mut bytes = Vec::new();
            bytes.put_varint(unsigned >> shift);
            bytes.put_wide_varint(wide >> (2 * shift));
            bytes.put_signed(signed >> shift);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(unsigned >> shift));
            prop_assert_eq!(reader.wide_varint(), Ok(wide >> (2 * shift)));
            prop_assert_eq!(reader.signed(), Ok(signed >> shift));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_give_a_number_that_encodes_to_them_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint() {
                let mut again = Vec::new();
                again.put_varint(value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - reader.remaining()]);
            }
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.wide_varint() {
                let mut again = Vec::new();
                again.put_wide_varint(value);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - reader.remaining()]);
            }
        }
    }

    #[test]
    fn extremes() {
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            let mut bytes = Vec::new();
            bytes.put_signed(value);
            assert_eq!(Reader::new(&bytes).signed(), Ok(value));
        }
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0xff; 10]).varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0xff; 19]).wide_varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0xff; 3]).varint(), Err(SHORT));
        assert_eq!(Reader::new(&[5, 1, 2]).count(9, 1), Err(SHORT));
    }

    #[test]
    fn a_number_has_no_more_bits_than_its_type() {
        let with_last = |last: u8, bytes: usize| [vec![0xff; bytes - 1], vec![last]].concat();
        assert_eq!(Reader::new(&with_last(0x01, 10)).varint(), Ok(u64::MAX));
        assert_eq!(Reader::new(&with_last(0x02, 10)).varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&with_last(0x03, 19)).wide_varint(), Ok(u128::MAX));
        assert_eq!(Reader::new(&with_last(0x04, 19)).wide_varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0x80; 9]).varint(), Err(SHORT));
        assert_eq!(Reader::new(&[0x80; 10]).varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0x80; 18]).wide_varint(), Err(SHORT));
        assert_eq!(Reader::new(&[0x80; 19]).wide_varint(), Err(LONG_NUMBER));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint_u32(), Ok(u32::MAX));
        assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x10]).varint_u32(), Err(LONG_NUMBER));
    }

    #[test]
    fn all_of_a_part_is_read() {
        let mut reader = Reader::new(&[7, 8]);
        assert_eq!(reader.u8(), Ok(7));
        let longer = Err(Malformed::Corrupt("a part of it is longer than its content"));
        assert_eq!((reader.remaining(), reader.clone().finish()), (1, longer));
        assert_eq!(reader.take(2), Err(SHORT));
        assert_eq!(reader.u8(), Ok(8));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_counted_is_within_the_limit_and_what_is_left() {
        let more = Malformed::Corrupt("it counts more parts than the format allows");
        assert_eq!(Reader::new(&[2, 0, 0, 0, 0]).count(2, 2), Ok(2));
        assert_eq!(Reader::new(&[2, 0, 0, 0]).count(2, 2), Err(SHORT));
        assert_eq!(Reader::new(&[3, 0, 0, 0, 0, 0, 0]).count(2, 2), Err(more));
    }
}
