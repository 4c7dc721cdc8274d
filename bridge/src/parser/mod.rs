//! From a Kafka record to keyspace, key, nonce and timestamp: the `[parser]` section of the configuration.
//!
//! `BigEndian` reads big-endian and `LittleEndian` little-endian (the specification's prose has the two swapped).

use std::str::FromStr;

use thiserror::Error;

/// The parts of a Kafka record that parsers look at.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset within the partition.
    pub offset: i64,
    /// Its key, where it has one.
    pub key: Option<&'a [u8]>,
    /// Its headers; of several with one name the last counts.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Record<'a> {
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().rev().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }
}

/// Where a keyspace or key comes from.
///
/// ```
/// use klstore_bridge::parser::{NameParser, Record};
/// let record = Record { partition: 3, offset: 17, key: Some(b"N14228"), headers: &[] };
/// assert_eq!("RecordKey".parse::<NameParser>()?.name(&record)?, "N14228");
/// assert_eq!("Static(flights)".parse::<NameParser>()?.name(&record)?, "flights");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameParser {
    /// `Static(s)`: always the same.
    Static(String),
    /// `RecordHeader(name)`: a header, UTF-8.
    RecordHeader(String),
    /// `RecordKey`: the record's key, UTF-8.
    RecordKey,
    /// `RecordPartition`: the partition's number.
    RecordPartition,
}

/// Where a nonce or timestamp comes from.
///
/// ```
/// use klstore_bridge::parser::{NumberParser, Record};
/// let record = Record { partition: 3, offset: 17, key: Some(&[1, 0]), headers: &[] };
/// assert_eq!("RecordOffset".parse::<NumberParser>()?.nonce(&record)?, Some(17));
/// assert_eq!("RecordKeyBigEndian".parse::<NumberParser>()?.nonce(&record)?, Some(256));
/// assert_eq!("RecordKeyLittleEndian".parse::<NumberParser>()?.nonce(&record)?, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberParser {
    /// `None`: there is none.
    None,
    /// A header or the key, as a number in this encoding.
    Bytes(BytesOf, Encoding),
    /// `RecordOffset`.
    RecordOffset,
    /// `RecordPartition`.
    RecordPartition,
}

/// Which bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BytesOf {
    /// Those of the header with this name.
    Header(String),
    /// Those of the key.
    Key,
}

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

/// A parser's name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}` is no {what} parser: use one of {known}")]
pub struct UnknownParser {
    name: String,
    what: &'static str,
    known: &'static str,
}

/// A record that a parser cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnreadableRecord {
    /// What the parser reads is not there.
    #[error("the record at partition {partition}, offset {offset} has no {what}")]
    Missing {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Header or key.
        what: String,
    },
    /// It is not in the encoding that the parser expects.
    #[error("the {what} of the record at partition {partition}, offset {offset} is not {expected}")]
    Malformed {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Header or key.
        what: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl NameParser {
    /// The keyspace or key of a record.
    ///
    /// # Errors
    /// A record without the header or key, or where that is not UTF-8.
    pub fn name(&self, record: &Record<'_>) -> Result<String, UnreadableRecord> {
        let bytes_of = match self {
            Self::Static(name) => return Ok(name.clone()),
            Self::RecordPartition => return Ok(record.partition.to_string()),
            Self::RecordHeader(name) => BytesOf::Header(name.clone()),
            Self::RecordKey => BytesOf::Key,
        };
        let bytes = bytes_of.of(record)?;
        let text = std::str::from_utf8(bytes).map_err(|_| bytes_of.malformed(record, "UTF-8"))?;
        Ok(text.to_owned())
    }
}

impl NumberParser {
    /// The nonce of a record; `None` where the parser is `None`.
    ///
    /// # Errors
    /// A record without the header or key, or where that is no number in the encoding.
    pub fn nonce(&self, record: &Record<'_>) -> Result<Option<u128>, UnreadableRecord> {
        Ok(match self {
            Self::None => None,
            Self::RecordOffset => u128::try_from(record.offset).ok(),
            Self::RecordPartition => u128::try_from(record.partition).ok(),
            Self::Bytes(bytes_of, encoding) => {
                let nonce = encoding.unsigned(bytes_of.of(record)?);
                Some(nonce.ok_or_else(|| bytes_of.malformed(record, encoding.expected_nonce()))?)
            }
        })
    }

    /// The timestamp of a record in milliseconds since 1970; `None` where the parser is `None`.
    ///
    /// # Errors
    /// A record without the header or key, or where that is no number in the encoding.
    pub fn timestamp(&self, record: &Record<'_>) -> Result<Option<i64>, UnreadableRecord> {
        Ok(match self {
            Self::None => None,
            Self::RecordOffset => Some(record.offset),
            Self::RecordPartition => Some(i64::from(record.partition)),
            Self::Bytes(bytes_of, encoding) => {
                let timestamp = encoding.signed(bytes_of.of(record)?);
                Some(timestamp.ok_or_else(|| bytes_of.malformed(record, encoding.expected_timestamp()))?)
            }
        })
    }
}

impl BytesOf {
    fn of<'a>(&self, record: &Record<'a>) -> Result<&'a [u8], UnreadableRecord> {
        let bytes = match self {
            Self::Header(name) => record.header(name),
            Self::Key => record.key,
        };
        bytes.ok_or_else(|| UnreadableRecord::Missing {
            partition: record.partition,
            offset: record.offset,
            what: self.to_string(),
        })
    }

    fn malformed(&self, record: &Record<'_>, expected: &'static str) -> UnreadableRecord {
        let (partition, offset, what) = (record.partition, record.offset, self.to_string());
        UnreadableRecord::Malformed { partition, offset, what, expected }
    }
}

impl std::fmt::Display for BytesOf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "header `{name}`"),
            Self::Key => formatter.write_str("key"),
        }
    }
}

impl Encoding {
    fn unsigned(self, bytes: &[u8]) -> Option<u128> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ if bytes.is_empty() || bytes.len() > 16 => None,
            Self::BigEndian => Some(bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))),
            Self::LittleEndian => Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))),
        }
    }

    fn signed(self, bytes: &[u8]) -> Option<i64> {
        let unsigned = match self {
            Self::Utf8 => return std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ if bytes.len() > 8 => return None,
            _ => u64::try_from(self.unsigned(bytes)?).ok()?,
        };
        // The sign is that of the bytes' own width.
        let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
        Some((unsigned << unused) as i64 >> unused)
    }

    fn expected_nonce(self) -> &'static str {
        match self {
            Self::Utf8 => "a decimal number below 2^128",
            _ => "a binary number of 1 to 16 bytes",
        }
    }

    fn expected_timestamp(self) -> &'static str {
        match self {
            Self::Utf8 => "a decimal number of 64 bits",
            _ => "a binary number of 1 to 8 bytes",
        }
    }
}

impl FromStr for NameParser {
    type Err = UnknownParser;

    fn from_str(text: &str) -> Result<Self, UnknownParser> {
        const KNOWN: &str = "Static(s), RecordHeader(name), RecordKey, RecordPartition";
        let (name, argument) = call(text);
        match (name, argument) {
            ("Static", Some(value)) if !value.is_empty() => Ok(Self::Static(value.to_owned())),
            ("RecordHeader", Some(header)) if !header.is_empty() => Ok(Self::RecordHeader(header.to_owned())),
            ("RecordKey", None) => Ok(Self::RecordKey),
            ("RecordPartition", None) => Ok(Self::RecordPartition),
            _ => Err(UnknownParser { name: text.to_owned(), what: "keyspace or key", known: KNOWN }),
        }
    }
}

impl FromStr for NumberParser {
    type Err = UnknownParser;

    fn from_str(text: &str) -> Result<Self, UnknownParser> {
        const KNOWN: &str = "None, RecordHeaderBigEndian(name), RecordHeaderLittleEndian(name), \
            RecordHeaderUtf8(name), RecordKeyBigEndian, RecordKeyLittleEndian, RecordKeyUtf8, RecordOffset, \
            RecordPartition";
        let (name, argument) = call(text);
        let encoding =
            [("BigEndian", Encoding::BigEndian), ("LittleEndian", Encoding::LittleEndian), ("Utf8", Encoding::Utf8)];
        let encoded = |prefix: &str| {
            let suffix = name.strip_prefix(prefix)?;
            encoding.iter().find(|(known, _)| *known == suffix).map(|(_, encoding)| *encoding)
        };
        match (name, argument) {
            ("None", None) => return Ok(Self::None),
            ("RecordOffset", None) => return Ok(Self::RecordOffset),
            ("RecordPartition", None) => return Ok(Self::RecordPartition),
            _ => {}
        }
        let bytes = match argument {
            Some(header) if !header.is_empty() => {
                encoded("RecordHeader").map(|encoding| (BytesOf::Header(header.to_owned()), encoding))
            }
            None => encoded("RecordKey").map(|encoding| (BytesOf::Key, encoding)),
            Some(_) => None,
        };
        let (bytes_of, encoding) =
            bytes.ok_or_else(|| UnknownParser { name: text.to_owned(), what: "nonce or timestamp", known: KNOWN })?;
        Ok(Self::Bytes(bytes_of, encoding))
    }
}

/// `name(argument)` or `name`.
fn call(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> = Record {
        partition: 2,
        offset: 40,
        key: Some(&[0xff, 0xfe]),
        headers: &[("id", b"41"), ("id", b"42"), ("wide", &[1; 17])],
    };

    fn check_nonce(parser: &str, expected: Result<Option<u128>, &str>) {
        let found = parser.parse::<NumberParser>().unwrap().nonce(&RECORD);
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(String::from), "{parser}");
    }

    fn check_timestamp(parser: &str, expected: Result<Option<i64>, &str>) {
        let found = parser.parse::<NumberParser>().unwrap().timestamp(&RECORD);
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(String::from), "{parser}");
    }

    #[test]
    fn numbers() {
        check_nonce("None", Ok(None));
        check_nonce("RecordOffset", Ok(Some(40)));
        check_nonce("RecordPartition", Ok(Some(2)));
        check_nonce("RecordHeaderUtf8(id)", Ok(Some(42)));
        check_nonce("RecordKeyBigEndian", Ok(Some(0xfffe)));
        check_nonce("RecordKeyLittleEndian", Ok(Some(0xfeff)));
        check_nonce("RecordHeaderUtf8(no)", Err("the record at partition 2, offset 40 has no header `no`"));
        let wide = "the header `wide` of the record at partition 2, offset 40 is not a binary number of 1 to 16 bytes";
        check_nonce("RecordHeaderBigEndian(wide)", Err(wide));
        check_timestamp("RecordKeyBigEndian", Ok(Some(-2)));
        check_timestamp("RecordKeyLittleEndian", Ok(Some(-257)));
        check_timestamp("RecordHeaderUtf8(id)", Ok(Some(42)));
    }

    #[test]
    fn names() {
        let check = |parser: &str, expected: Result<&str, &str>| {
            let found = parser.parse::<NameParser>().unwrap().name(&RECORD);
            let found = found.map_err(|error| error.to_string());
            assert_eq!(found, expected.map(String::from).map_err(String::from), "{parser}");
        };
        check("Static(my_keyspace)", Ok("my_keyspace"));
        check("RecordPartition", Ok("2"));
        check("RecordHeader(id)", Ok("42"));
        check("RecordKey", Err("the key of the record at partition 2, offset 40 is not UTF-8"));
    }

    #[test]
    fn unknown_parsers_are_named() {
        for text in ["", "Static", "Static()", "recordkey", "RecordKey()", "RecordHeader(", "RecordOffset(1)"] {
            assert!(text.parse::<NameParser>().is_err(), "{text}");
        }
        for text in ["", "none", "RecordKey", "RecordHeaderUtf8", "RecordHeaderUtf8()", "RecordKeyUtf8(x)"] {
            let error = text.parse::<NumberParser>().unwrap_err().to_string();
            assert!(error.contains("RecordHeaderLittleEndian(name)"), "{error}");
        }
    }
}
