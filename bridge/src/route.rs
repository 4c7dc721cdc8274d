//! What becomes of a record: an append, a dead letter, nothing, or the end.

use bytes::Bytes;
use klstore_writer::{Insertion, Source, SourceOffset, WriterError};
use serde_json::Value as Json;
use thiserror::Error;

use crate::checkpoint::Checkpoint;
use crate::envelope::envelope;
use crate::parser::{NumberParser, UnreadableRecord};
use crate::record::{Coordinates, Record};
use crate::settings::{OnTombstone, ParserSettings, ValueForm};

/// Where a record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the end of a list.
    Append {
        /// Its keyspace.
        keyspace: String,
        /// Its key.
        key: String,
        /// What is appended.
        insertion: Insertion,
    },
    /// Nowhere, by policy.
    Skip,
}

/// A record that cannot go where it should.
#[derive(Debug, Error)]
pub enum Poison {
    /// A parser cannot read it.
    #[error(transparent)]
    Unreadable(#[from] UnreadableRecord),
    /// It has no value, and `on_tombstone=fail`.
    #[error("the record at {at} has no value (a tombstone), and on_tombstone=fail")]
    Tombstone {
        /// The record.
        at: Coordinates,
    },
    /// The writer refuses it.
    #[error("the record at {at} cannot be appended: {cause}")]
    NotAppendable {
        /// The record.
        at: Coordinates,
        /// Why.
        #[source]
        cause: Box<WriterError>,
    },
    /// Another partition has fed its list.
    #[error(
        "the record at {at} is of a list that {} has fed: with nonce_parser=RecordOffset it may be taken \
         for a duplicate. key_affinity=asserted does not hold: producers do not choose the partition by the key alone, \
         or partitions were added. nonce_parser=SourceOffset takes such records, in new lists",
        feeder(*.other)
    )]
    OtherSource {
        /// The record.
        at: Coordinates,
        /// The other partition, where the list says which.
        other: Option<i32>,
    },
}

impl Poison {
    /// A few words, without anything out of the record: for counters and dead letters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Tombstone { .. } => "tombstone",
            Self::NotAppendable { .. } => "not_appendable",
            Self::OtherSource { .. } => "other_source",
        }
    }
}

fn feeder(partition: Option<i32>) -> String {
    partition.map_or("something else".to_owned(), |partition| format!("partition {partition}"))
}

/// Decides on one record. Where there is a `source` its list notes how far it has come; `copy` brings a value into
/// memory of the bridge's own.
///
/// # Errors
///
/// Records that policy has to decide on.
pub fn route(
    settings: &ParserSettings,
    checkpoint: Checkpoint,
    source: Option<&Source>,
    record: &Record<'_>,
    copy: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Route, Poison> {
    if record.value.is_none() {
        match settings.on_tombstone {
            OnTombstone::AppendEmpty => {}
            OnTombstone::Skip => return Ok(Route::Skip),
            OnTombstone::Fail => return Err(Poison::Tombstone { at: record.coordinates() }),
        }
    }
    let keyspace = settings.keyspace.name(record)?.into_owned();
    let key = settings.key.name(record)?.into_owned();
    let nonce = match (&settings.nonce, u64::try_from(record.offset)) {
        (NumberParser::RecordOffset, Ok(offset)) => Some(checkpoint.nonce(offset)),
        (parser, _) => parser.nonce(record)?,
    };
    let timestamp = settings.timestamp.timestamp(record)?;
    let value = match settings.value {
        ValueForm::Raw => copy(record.value.unwrap_or_default()),
        ValueForm::Envelope => Bytes::from(Json::Object(envelope(record)).to_string()),
    };
    let at_source = |source: &Source| {
        let offset = u64::try_from(record.offset).ok()?;
        Some(SourceOffset { source: source.clone(), offset })
    };
    let insertion = Insertion { value, nonce, timestamp, source_offset: source.and_then(at_source) };
    Ok(Route::Append { keyspace, key, insertion })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::OnPoison;

    fn settings() -> ParserSettings {
        ParserSettings {
            keyspace: "Static(flights)".parse().unwrap(),
            key: "RecordKey".parse().unwrap(),
            nonce: NumberParser::RecordOffset,
            timestamp: NumberParser::RecordTimestamp,
            value: ValueForm::Raw,
            key_affinity_asserted: false,
            on_tombstone: OnTombstone::AppendEmpty,
            on_poison: OnPoison::Fail,
            dead_letters: None,
        }
    }

    fn record() -> Record<'static> {
        let (key, value) = (Some(&b"N1"[..]), Some(&b"up"[..]));
        Record { topic: "t", partition: 3, offset: 17, timestamp: Some(5), key, value, ..Record::default() }
    }

    fn routed(settings: &ParserSettings, record: &Record<'_>) -> Result<Route, String> {
        let checkpoint = Checkpoint { epoch: 1, ..Checkpoint::default() };
        route(settings, checkpoint, None, record, Bytes::copy_from_slice).map_err(|poison| poison.to_string())
    }

    fn append(value: &'static [u8]) -> Route {
        let insertion = Insertion::new(value).with_nonce((1 << 64) + 17).with_timestamp(5);
        Route::Append { keyspace: "flights".into(), key: "N1".into(), insertion }
    }

    #[test]
    fn a_record_goes_where_its_parsers_say() {
        assert_eq!(routed(&settings(), &record()), Ok(append(b"up")));
        let no_key = Record { key: None, ..record() };
        assert_eq!(
            routed(&settings(), &no_key),
            Err("the record at topic t, partition 3, offset 17 has no key".to_owned())
        );
    }

    #[test]
    fn tombstones_follow_their_policy() {
        let tombstone = Record { value: None, ..record() };
        let on = |on_tombstone| routed(&ParserSettings { on_tombstone, ..settings() }, &tombstone);
        assert_eq!(on(OnTombstone::AppendEmpty), Ok(append(b"")));
        assert_eq!(on(OnTombstone::Skip), Ok(Route::Skip));
        let expected =
            "the record at topic t, partition 3, offset 17 has no value (a tombstone), and on_tombstone=fail";
        assert_eq!(on(OnTombstone::Fail), Err(expected.to_owned()));
    }

    #[test]
    fn an_envelope_holds_the_record() {
        let settings = ParserSettings { value: ValueForm::Envelope, ..settings() };
        let Ok(Route::Append { insertion, .. }) = routed(&settings, &record()) else { panic!("no append") };
        let expected = r#"{"headers":[],"key":"N1","offset":17,"partition":3,"timestamp":5,"topic":"t","value":"up"}"#;
        assert_eq!(insertion.value, expected);
    }
}
