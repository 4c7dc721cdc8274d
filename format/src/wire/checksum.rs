//! CRC-32C (Castagnoli): every checksum of the format.

/// The checksum of these parts as if they stood side by side.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part))
}

/// The checksum of these parts as if they stood side by side.
///
/// By a table that is made at its first use: in the module it would be 8 KB that no compression makes smaller.
#[cfg(target_arch = "wasm32")]
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    portable::crc32c(parts)
}

#[cfg(any(target_arch = "wasm32", test))]
mod portable {
    use std::sync::LazyLock;

    use crc::{CRC_32_ISCSI, Crc, Table};

    static CASTAGNOLI: LazyLock<Crc<u32, Table<16>>> = LazyLock::new(|| Crc::<u32, Table<16>>::new(&CRC_32_ISCSI));

    pub(super) fn crc32c(parts: &[&[u8]]) -> u32 {
        let mut digest = CASTAGNOLI.digest();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn parts_are_as_one_and_both_ways_the_same(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
            let (one, other) = bytes.split_at(at.index(bytes.len() + 1));
            let sum = crc32c(&[one, other]);
            prop_assert_eq!(sum, crc32c(&[&bytes]));
            prop_assert_eq!(sum, portable::crc32c(&[one, other]));
        }
    }
}
