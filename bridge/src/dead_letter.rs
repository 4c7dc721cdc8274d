//! Dead letters: records that could not go where they should, with everything that is needed to send them again.
//!
//! A letter is the record's [`envelope`] with `error`, `error_kind` and, where it is not 0, `epoch`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use klstore_format::NameError;
use klstore_writer::Source;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use thiserror::Error;

use crate::envelope::envelope;
use crate::record::{Coordinates, Header, Record};
use crate::route::Poison;

/// Writes the letter of a record. `epoch` is that of its topic's offsets.
pub fn dead_letter(record: &Record<'_>, poison: &Poison, epoch: u64) -> Bytes {
    let mut letter = envelope(record);
    letter.insert("error".to_owned(), poison.to_string().into());
    letter.insert("error_kind".to_owned(), poison.kind().into());
    if epoch != 0 {
        letter.insert("epoch".to_owned(), epoch.into());
    }
    Bytes::from(Json::Object(letter).to_string())
}

/// A letter that was read: the record, and its topic's epoch.
///
/// ```
/// use klstore_bridge::dead_letter::DeadLetter;
/// let letter = r#"{"topic":"t","partition":3,"offset":7,"timestamp":null,"headers":[],"key":{"base64":"/w=="},"value":"up"}"#;
/// let letter = DeadLetter::parse(letter.as_bytes())?;
/// assert_eq!(letter.coordinates().to_string(), "topic t, partition 3, offset 7");
/// assert_eq!(letter.with_record(|record| record.key.map(<[u8]>::to_vec)), Some(vec![0xff]));
/// # Ok::<(), klstore_bridge::dead_letter::UnreadableLetter>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeadLetter {
    #[serde(default)]
    epoch: u64,
    topic: String,
    partition: u32,
    offset: u64,
    timestamp: Option<i64>,
    #[serde(deserialize_with = "bytes")]
    key: Option<Vec<u8>>,
    #[serde(deserialize_with = "bytes")]
    value: Option<Vec<u8>>,
    headers: Vec<HeaderValue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct HeaderValue(String, #[serde(deserialize_with = "bytes")] Option<Vec<u8>>);

/// Something in the queue that is no letter of a bridge.
#[derive(Debug, Error)]
#[error("it is no dead letter of a bridge: {0}")]
pub struct UnreadableLetter(#[from] serde_json::Error);

impl DeadLetter {
    /// Reads a letter.
    ///
    /// # Errors
    ///
    /// Bytes that no bridge has written.
    pub fn parse(letter: &[u8]) -> Result<Self, UnreadableLetter> {
        Ok(serde_json::from_slice(letter)?)
    }

    /// Where the record was.
    pub fn coordinates(&self) -> Coordinates {
        let partition = i32::try_from(self.partition).unwrap_or(i32::MAX);
        Coordinates { topic: self.topic.clone(), partition, offset: i64::try_from(self.offset).unwrap_or(i64::MAX) }
    }

    /// By it letters of one partition are in the order of their records.
    pub(crate) fn order(&self) -> (u64, &str, u32, u64) {
        (self.epoch, &self.topic, self.partition, self.offset)
    }

    /// The source that a list knows replayed letters by: not the partition itself, whose later records it may have.
    ///
    /// # Errors
    ///
    /// A topic whose name is too long for it.
    pub fn source(&self) -> Result<Source, NameError> {
        let name = match self.epoch {
            0 => format!("dlq:{}", self.topic),
            epoch => format!("dlq:{}#{epoch}", self.topic),
        };
        Source::new(name, self.partition)
    }

    /// The record as it came.
    pub fn with_record<T>(&self, look: impl FnOnce(&Record<'_>) -> T) -> T {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|HeaderValue(name, value)| (name.as_str(), value.as_deref())).collect();
        let at = self.coordinates();
        look(&Record {
            topic: &self.topic,
            partition: at.partition,
            offset: at.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            ..Record::default()
        })
    }
}

/// Text, or an object with its base64.
fn bytes<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes { base64: String },
    }
    Ok(match Option::deserialize(from)? {
        None => None,
        Some(Written::Text(text)) => Some(text.into_bytes()),
        Some(Written::Bytes { base64 }) => Some(STANDARD.decode(base64).map_err(serde::de::Error::custom)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop_oneof![any::<Vec<u8>>(), "\\PC*".prop_map(String::into_bytes)])
    }

    proptest! {
        #[test]
        fn a_letter_holds_the_whole_record(
            topic in "[a-z.]{1,20}",
            (partition, offset, epoch) in (0..i32::MAX, 0..i64::MAX, any::<u64>()),
            timestamp in any::<Option<i64>>(),
            (key, value) in (field(), field()),
            headers in prop::collection::vec(("\\PC*", field()), 0..4),
        ) {
            let borrowed: Vec<Header<'_>> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            let (key, value) = (key.as_deref(), value.as_deref());
            let record =
                Record { topic: &topic, partition, offset, timestamp, key, value, headers: &borrowed, ..Record::default() };
            let poison = Poison::Tombstone { at: record.coordinates() };
            let letter = DeadLetter::parse(&dead_letter(&record, &poison, epoch)).unwrap();
            prop_assert_eq!(letter.epoch, epoch);
            letter.with_record(|read| {
                prop_assert_eq!((read.topic, read.partition, read.offset), (record.topic, partition, offset));
                prop_assert_eq!((read.timestamp, read.key, read.value), (timestamp, key, value));
                prop_assert_eq!(read.headers, record.headers);
                Ok(())
            })?;
        }

        #[test]
        fn other_bytes_are_refused(bytes in any::<Vec<u8>>()) {
            prop_assert!(DeadLetter::parse(&bytes).is_err());
        }
    }

    #[test]
    fn a_letter_says_why() {
        let record = Record { topic: "t", partition: 3, offset: 17, value: Some(b"up"), ..Record::default() };
        let poison = Poison::Tombstone { at: record.coordinates() };
        let letter: Json = serde_json::from_slice(&dead_letter(&record, &poison, 0)).unwrap();
        assert_eq!((&letter["value"], &letter["error_kind"]), (&"up".into(), &"tombstone".into()));
        assert!(letter["error"].as_str().unwrap().contains("offset 17"));
        assert_eq!(letter.get("epoch"), None);
    }

    #[test]
    fn a_source_is_of_the_queue_and_the_epoch() {
        let letter = |epoch: &str| {
            let text = format!(
                r#"{{"topic":"t","partition":3,"offset":7,"timestamp":1,"headers":[],"key":null,"value":null{epoch}}}"#
            );
            DeadLetter::parse(text.as_bytes()).unwrap().source().unwrap().to_string()
        };
        assert_eq!(letter(""), "dlq:t/3");
        assert_eq!(letter(r#","epoch":5"#), "dlq:t#5/3");
    }
}
