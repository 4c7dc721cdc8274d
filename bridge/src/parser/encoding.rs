//! Numbers in bytes.

/// How bytes are read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Most significant byte first: 1 to 16 bytes (nonce) or 1 to 8, signed (timestamp).
    BigEndian,
    /// Least significant byte first, as long.
    LittleEndian,
    /// Decimal digits.
    Utf8,
}

impl Encoding {
    pub(super) fn unsigned(self, bytes: &[u8]) -> Option<u128> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ if bytes.is_empty() || bytes.len() > 16 => None,
            Self::BigEndian => Some(bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))),
            Self::LittleEndian => Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))),
        }
    }

    pub(super) fn signed(self, bytes: &[u8]) -> Option<i64> {
        let unsigned = match self {
            Self::Utf8 => return std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ if bytes.len() > 8 => return None,
            _ => u64::try_from(self.unsigned(bytes)?).ok()?,
        };
        // The sign is that of the bytes' own width.
        let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
        Some((unsigned << unused) as i64 >> unused)
    }

    pub(super) fn expected_nonce(self) -> &'static str {
        match self {
            Self::Utf8 => "a decimal number below 2^128",
            _ => "a binary number of 1 to 16 bytes",
        }
    }

    pub(super) fn expected_timestamp(self) -> &'static str {
        match self {
            Self::Utf8 => "a decimal number of 64 bits",
            _ => "a binary number of 1 to 8 bytes",
        }
    }
}
