//! The parsers' names, as the configuration file has them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Encoding, NameParser, NumberParser, TextOf};

const NAME_PARSERS: &str =
    "Static(s), RecordHeader(name), RecordKey, RecordPartition, RecordTopic, RecordJson(/pointer)";
const NUMBER_PARSERS: &str = "None, RecordHeaderBigEndian(name), RecordHeaderLittleEndian(name), \
    RecordHeaderUtf8(name), RecordKeyBigEndian, RecordKeyLittleEndian, RecordKeyUtf8, RecordOffset, \
    RecordPartition, RecordTimestamp, RecordJson(/pointer), SourceOffset (as a nonce)";
const ENCODINGS: [(&str, Encoding); 3] =
    [("BigEndian", Encoding::BigEndian), ("LittleEndian", Encoding::LittleEndian), ("Utf8", Encoding::Utf8)];

/// A parser's name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}` is no {what} parser: use one of {known}")]
pub struct UnknownParser {
    name: String,
    what: &'static str,
    known: &'static str,
}

impl UnknownParser {
    /// What would have been understood.
    pub fn expected(&self) -> String {
        format!("a {} parser, one of {},", self.what, self.known)
    }
}

impl FromStr for NameParser {
    type Err = UnknownParser;

    fn from_str(text: &str) -> Result<Self, UnknownParser> {
        match call(text) {
            ("Static", Some(value)) => Ok(Self::Static(value.to_owned())),
            ("RecordHeader", Some(header)) => Ok(Self::Text(TextOf::Header(header.to_owned()))),
            ("RecordKey", None) => Ok(Self::Text(TextOf::Key)),
            ("RecordPartition", None) => Ok(Self::RecordPartition),
            ("RecordTopic", None) => Ok(Self::RecordTopic),
            ("RecordJson", Some(pointer)) if pointer.starts_with('/') => {
                Ok(Self::Text(TextOf::Json(pointer.to_owned())))
            }
            _ => Err(UnknownParser { name: text.to_owned(), what: "keyspace or key", known: NAME_PARSERS }),
        }
    }
}

impl FromStr for NumberParser {
    type Err = UnknownParser;

    fn from_str(text: &str) -> Result<Self, UnknownParser> {
        let (name, argument) = call(text);
        let encoded = |prefix: &str| {
            let suffix = name.strip_prefix(prefix)?;
            ENCODINGS.iter().find(|(known, _)| *known == suffix).map(|(_, encoding)| *encoding)
        };
        let parser = match (name, argument) {
            ("None", None) => Some(Self::None),
            ("RecordOffset", None) => Some(Self::RecordOffset),
            ("SourceOffset", None) => Some(Self::SourceOffset),
            ("RecordPartition", None) => Some(Self::RecordPartition),
            ("RecordTimestamp", None) => Some(Self::RecordTimestamp),
            ("RecordJson", Some(pointer)) => pointer.starts_with('/').then(|| Self::Json(pointer.to_owned())),
            (_, Some(header)) => {
                encoded("RecordHeader").map(|encoding| Self::Bytes(TextOf::Header(header.to_owned()), encoding))
            }
            (_, None) => encoded("RecordKey").map(|encoding| Self::Bytes(TextOf::Key, encoding)),
        };
        parser.ok_or_else(|| UnknownParser { name: text.to_owned(), what: "nonce or timestamp", known: NUMBER_PARSERS })
    }
}

/// `name(argument)`, with something between the brackets, or `name`.
fn call(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, argument)) if !argument.is_empty() => (name, Some(argument)),
        _ => (text, None),
    }
}

impl fmt::Display for NameParser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(name) => write!(formatter, "Static({name})"),
            Self::Text(TextOf::Header(name)) => write!(formatter, "RecordHeader({name})"),
            Self::Text(TextOf::Key) => formatter.write_str("RecordKey"),
            Self::Text(TextOf::Json(pointer)) => write!(formatter, "RecordJson({pointer})"),
            Self::RecordPartition => formatter.write_str("RecordPartition"),
            Self::RecordTopic => formatter.write_str("RecordTopic"),
        }
    }
}
