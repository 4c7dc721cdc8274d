//! A Kafka record as the bridge looks at it, without its client library.

use std::cell::OnceCell;
use std::fmt;

use serde_json::Value as Json;

/// Where a record is from. Every error about a record names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset within the partition.
    pub offset: i64,
}

impl fmt::Display for Coordinates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "topic {}, partition {}, offset {}", self.topic, self.partition, self.offset)
    }
}

/// A header: its name, and its value unless that is null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A record, borrowed from whoever received it.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset within the partition.
    pub offset: i64,
    /// Kafka's own timestamp in milliseconds since 1970, where it has one.
    pub timestamp: Option<i64>,
    /// Its key, where it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers; of several with one name the last counts.
    pub headers: &'a [Header<'a>],
    /// The value as JSON, once somebody asked; `None` inside where it is none.
    pub json: OnceCell<Option<Json>>,
}

impl<'a> Record<'a> {
    /// Where it is from.
    pub fn coordinates(&self) -> Coordinates {
        Coordinates { topic: self.topic.to_owned(), partition: self.partition, offset: self.offset }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().rev().find(|(found, _)| *found == name).and_then(|(_, value)| *value)
    }

    /// What a JSON pointer (RFC 6901) leads to in the value; an error where the value is no JSON.
    pub(crate) fn at(&self, pointer: &str) -> Result<Option<&Json>, NoJson> {
        let json = self.json.get_or_init(|| self.value.and_then(|value| serde_json::from_slice(value).ok()));
        json.as_ref().map(|json| json.pointer(pointer)).ok_or(NoJson)
    }
}

/// The record's value is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoJson;
