//! From a Kafka record to keyspace, key, nonce and timestamp: the `[parser]` section of the configuration.
//!
//! `BigEndian` reads big-endian and `LittleEndian` little-endian (the specification's prose has the two swapped).

mod encoding;
mod names;

use std::borrow::Cow;

use serde_json::Value as Json;
use thiserror::Error;

use crate::record::{Coordinates, Record};

pub use encoding::Encoding;
pub use names::UnknownParser;

/// Where a keyspace or key comes from.
///
/// ```
/// use klstore_bridge::parser::NameParser;
/// use klstore_bridge::record::Record;
/// let record = Record { topic: "inbound", offset: 17, key: Some(b"N14228"), ..Record::default() };
/// assert_eq!("RecordKey".parse::<NameParser>()?.name(&record)?, "N14228");
/// assert_eq!("Static(flights)".parse::<NameParser>()?.name(&record)?, "flights");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameParser {
    /// `Static(s)`: always the same.
    Static(String),
    /// `RecordHeader(name)`, `RecordKey` or `RecordJson(pointer)`: text out of the record.
    Text(TextOf),
    /// `RecordPartition`: the partition's number.
    RecordPartition,
    /// `RecordTopic`: the topic's name.
    RecordTopic,
}

/// Where a nonce or timestamp comes from.
///
/// ```
/// use klstore_bridge::parser::NumberParser;
/// use klstore_bridge::record::Record;
/// let record = Record { offset: 17, key: Some(&[1, 0]), ..Record::default() };
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
    Bytes(TextOf, Encoding),
    /// `RecordJson(pointer)`: a whole number, or decimal digits in a string.
    Json(String),
    /// `RecordOffset`.
    RecordOffset,
    /// `SourceOffset`, for nonces alone: there is none, and the list keeps the next offset of each partition.
    SourceOffset,
    /// `RecordPartition`.
    RecordPartition,
    /// `RecordTimestamp`: Kafka's own, in milliseconds since 1970.
    RecordTimestamp,
}

/// Which part of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOf {
    /// The value of the header with this name.
    Header(String),
    /// The key.
    Key,
    /// What this JSON pointer leads to in the value.
    Json(String),
}

/// A record that a parser cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnreadableRecord {
    /// What the parser reads is not there.
    #[error("the record at {at} has no {what}")]
    Missing {
        /// The record.
        at: Coordinates,
        /// Header, key or pointer.
        what: String,
    },
    /// It is not in the encoding that the parser expects.
    #[error("the {what} of the record at {at} is not {expected}")]
    Malformed {
        /// The record.
        at: Coordinates,
        /// Header, key or pointer.
        what: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl NameParser {
    /// The keyspace or key of a record.
    ///
    /// # Errors
    /// A record without what is read, or where that is not UTF-8 text.
    pub fn name<'a>(&'a self, record: &'a Record<'_>) -> Result<Cow<'a, str>, UnreadableRecord> {
        match self {
            Self::Static(name) => Ok(Cow::Borrowed(name)),
            Self::RecordPartition => Ok(Cow::Owned(record.partition.to_string())),
            Self::RecordTopic => Ok(Cow::Borrowed(record.topic)),
            Self::Text(TextOf::Json(pointer)) => json_text(record, pointer),
            Self::Text(part) => {
                let text = std::str::from_utf8(part.bytes(record)?);
                text.map(Cow::Borrowed).map_err(|_| part.malformed(record, "UTF-8"))
            }
        }
    }

    /// The name, where it is the same for all records of a partition.
    pub(crate) fn of_partition(&self, topic: &str, partition: i32) -> Option<String> {
        match self {
            Self::Static(name) => Some(name.clone()),
            Self::RecordPartition => Some(partition.to_string()),
            Self::RecordTopic => Some(topic.to_owned()),
            Self::Text(_) => None,
        }
    }

    pub(crate) fn reads_headers(&self) -> bool {
        matches!(self, Self::Text(TextOf::Header(_)))
    }
}

impl NumberParser {
    /// The nonce of a record; `None` where the parser is `None`.
    ///
    /// # Errors
    /// A record without what is read, or where that is no number in the encoding.
    pub fn nonce(&self, record: &Record<'_>) -> Result<Option<u128>, UnreadableRecord> {
        Ok(match self {
            Self::None | Self::SourceOffset => None,
            Self::RecordOffset => u128::try_from(record.offset).ok(),
            Self::RecordPartition => u128::try_from(record.partition).ok(),
            Self::RecordTimestamp => Some(natural(record, kafka_timestamp(record)?)?),
            Self::Bytes(part, encoding) => {
                let nonce = encoding.unsigned(part.bytes(record)?);
                Some(nonce.ok_or_else(|| part.malformed(record, encoding.expected_nonce()))?)
            }
            Self::Json(pointer) => {
                let part = TextOf::Json(pointer.clone());
                let nonce = json_digits(&part, record, pointer)?.parse().ok();
                Some(nonce.ok_or_else(|| part.malformed(record, Encoding::Utf8.expected_nonce()))?)
            }
        })
    }

    /// The timestamp of a record in milliseconds since 1970; `None` where the parser is `None`.
    ///
    /// # Errors
    /// A record without what is read, or where that is no number in the encoding.
    pub fn timestamp(&self, record: &Record<'_>) -> Result<Option<i64>, UnreadableRecord> {
        Ok(match self {
            Self::None | Self::SourceOffset => None,
            Self::RecordOffset => Some(record.offset),
            Self::RecordPartition => Some(i64::from(record.partition)),
            Self::RecordTimestamp => Some(kafka_timestamp(record)?),
            Self::Bytes(part, encoding) => {
                let timestamp = encoding.signed(part.bytes(record)?);
                Some(timestamp.ok_or_else(|| part.malformed(record, encoding.expected_timestamp()))?)
            }
            Self::Json(pointer) => {
                let part = TextOf::Json(pointer.clone());
                let timestamp = json_digits(&part, record, pointer)?.parse().ok();
                Some(timestamp.ok_or_else(|| part.malformed(record, Encoding::Utf8.expected_timestamp()))?)
            }
        })
    }

    /// Whether records are in their lists by their offsets.
    pub(crate) fn is_offset(&self) -> bool {
        matches!(self, Self::RecordOffset | Self::SourceOffset)
    }

    pub(crate) fn reads_headers(&self) -> bool {
        matches!(self, Self::Bytes(TextOf::Header(_), _))
    }
}

fn kafka_timestamp(record: &Record<'_>) -> Result<i64, UnreadableRecord> {
    let missing = || UnreadableRecord::Missing { at: record.coordinates(), what: "timestamp".to_owned() };
    record.timestamp.ok_or_else(missing)
}

fn natural(record: &Record<'_>, number: i64) -> Result<u128, UnreadableRecord> {
    u128::try_from(number).map_err(|_| UnreadableRecord::Malformed {
        at: record.coordinates(),
        what: "timestamp".to_owned(),
        expected: "1970 or later, as a nonce must be",
    })
}

fn json_text<'a>(record: &'a Record<'_>, pointer: &str) -> Result<Cow<'a, str>, UnreadableRecord> {
    let part = TextOf::Json(pointer.to_owned());
    match part.json(record, pointer)? {
        Json::String(text) => Ok(Cow::Borrowed(text)),
        Json::Number(number) if !number.is_f64() => Ok(Cow::Owned(number.to_string())),
        _ => Err(part.malformed(record, "a string or a whole number")),
    }
}

fn json_digits<'a>(part: &TextOf, record: &'a Record<'_>, pointer: &str) -> Result<Cow<'a, str>, UnreadableRecord> {
    match part.json(record, pointer)? {
        Json::String(text) => Ok(Cow::Borrowed(text)),
        Json::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err(part.malformed(record, "a number or a string of digits")),
    }
}

impl TextOf {
    fn bytes<'a>(&self, record: &'a Record<'_>) -> Result<&'a [u8], UnreadableRecord> {
        let bytes = match self {
            Self::Header(name) => record.header(name),
            Self::Key => record.key,
            // Read by its own parsers, which know more than bytes.
            Self::Json(_) => None,
        };
        bytes.ok_or_else(|| self.missing(record))
    }

    fn json<'a>(&self, record: &'a Record<'_>, pointer: &str) -> Result<&'a Json, UnreadableRecord> {
        match record.at(pointer) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.missing(record)),
            Err(_) => Err(UnreadableRecord::Malformed {
                at: record.coordinates(),
                what: "value".to_owned(),
                expected: "JSON",
            }),
        }
    }

    fn missing(&self, record: &Record<'_>) -> UnreadableRecord {
        UnreadableRecord::Missing { at: record.coordinates(), what: self.to_string() }
    }

    fn malformed(&self, record: &Record<'_>, expected: &'static str) -> UnreadableRecord {
        UnreadableRecord::Malformed { at: record.coordinates(), what: self.to_string(), expected }
    }
}

impl std::fmt::Display for TextOf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "header `{name}`"),
            Self::Key => formatter.write_str("key"),
            Self::Json(pointer) => write!(formatter, "`{pointer}` in the JSON"),
        }
    }
}

#[cfg(test)]
mod tests;
