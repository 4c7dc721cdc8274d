//! A Kafka record with its headers: what its parsers read is what its producer has written, and its dead letter holds all
//! of it.

use bytes::Bytes;
use klstore_bridge::checkpoint::Checkpoint;
use klstore_bridge::dead_letter::{DeadLetter, dead_letter};
use klstore_bridge::parser::{NameParser, NumberParser};
use klstore_bridge::record::{Header, Record};
use klstore_bridge::route::{Poison, Route, route};
use klstore_bridge::settings::{OnPoison, OnTombstone, ParserSettings, ValueForm};

use super::drawn;

#[derive(Debug)]
struct Input<'a> {
    topic: &'a str,
    partition: u16,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
    parsers: [Parser<'a>; 4],
    envelope: bool,
    tombstone: u8,
    epoch: u64,
    number: Number,
}

drawn!('a, Input<'a> { topic, partition, offset, timestamp, key, value, headers, parsers, envelope, tombstone, epoch, number });

/// A parser's name: most texts are none.
#[derive(Debug)]
enum Parser<'a> {
    Static(&'a str),
    Header(&'a str, u8),
    Key(u8),
    Json(&'a str),
    Other(u8),
    Text(&'a str),
}

drawn!('a, Parser<'a>: Static { 0 }, Header { 0, 1 }, Key { 0 }, Json { 0 }, Other { 0 }, Text { 0 });

/// A number that a producer writes into a header.
#[derive(Debug)]
struct Number {
    nonce: u128,
    timestamp: i64,
    nonce_width: u8,
    timestamp_width: u8,
}

drawn!('a, Number { nonce, timestamp, nonce_width, timestamp_width });

/// The target.
pub fn run(data: &[u8]) {
    let Some(input) = super::read::<Input<'_>>(data) else { return };
    let headers: Vec<Header<'_>> = input.headers.clone();
    let record = Record {
        topic: input.topic,
        partition: i32::from(input.partition),
        offset: input.offset,
        timestamp: input.timestamp,
        key: input.key,
        value: input.value,
        headers: &headers,
        ..Record::default()
    };
    mapped(&input, &record);
    written(&record, &input.number);
    comes_back(&record, input.epoch);
}

/// By parsers of any kind: an append of what is in the record, or an error that names it.
fn mapped(input: &Input<'_>, record: &Record<'_>) {
    let [keyspace, key, nonce, timestamp] = &input.parsers;
    let names = [keyspace, key].map(|parser| parser.text(false).parse::<NameParser>());
    let numbers = [nonce, timestamp].map(|parser| parser.text(true).parse::<NumberParser>());
    for name in names.iter().flatten() {
        assert_eq!(name.to_string().parse().as_ref(), Ok(name), "the parser's name does not come back");
    }
    let ([Ok(keyspace), Ok(key)], [Ok(nonce), Ok(timestamp)]) = (names, numbers) else { return };
    let value = if input.envelope { ValueForm::Envelope } else { ValueForm::Raw };
    let on_tombstone = match input.tombstone % 3 {
        0 => OnTombstone::AppendEmpty,
        1 => OnTombstone::Skip,
        _ => OnTombstone::Fail,
    };
    let settings = ParserSettings {
        keyspace,
        key,
        nonce,
        timestamp,
        value,
        key_affinity_asserted: false,
        on_tombstone,
        on_poison: OnPoison::Fail,
        dead_letters: None,
    };
    let checkpoint = Checkpoint { epoch: input.epoch, ..Checkpoint::default() };
    let source = checkpoint.source(record.topic, record.partition).ok();
    match route(&settings, checkpoint, source.as_ref(), record, Bytes::copy_from_slice) {
        Ok(Route::Append { insertion, .. }) => {
            if value == ValueForm::Raw {
                assert_eq!(insertion.value, record.value.unwrap_or_default());
            }
            if insertion.source_offset.is_some() {
                assert_eq!(insertion.source_offset.map(|record| record.source), source);
            }
        }
        Ok(Route::Skip) => assert!(record.value.is_none()),
        Err(poison) => {
            let words = poison.to_string();
            assert!(words.contains(&record.coordinates().to_string()), "{words}");
            assert!(matches!(poison, Poison::Unreadable(_) | Poison::Tombstone { .. }), "{words}");
        }
    }
}

impl Parser<'_> {
    fn text(&self, number: bool) -> String {
        const ENCODINGS: [&str; 3] = ["BigEndian", "LittleEndian", "Utf8"];
        const OTHERS: [&str; 6] =
            ["None", "RecordOffset", "RecordPartition", "RecordTimestamp", "SourceOffset", "RecordTopic"];
        let encoding = |choice: &u8| if number { ENCODINGS[usize::from(*choice) % 3] } else { "" };
        match self {
            Self::Static(text) => format!("Static({text})"),
            Self::Header(name, choice) => format!("RecordHeader{}({name})", encoding(choice)),
            Self::Key(choice) => format!("RecordKey{}", encoding(choice)),
            Self::Json(pointer) => format!("RecordJson(/{pointer})"),
            Self::Other(choice) => OTHERS[usize::from(*choice) % OTHERS.len()].to_owned(),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

/// Numbers of any width, as a producer writes them into headers, are read as they are; of several headers of a name the
/// last counts.
fn written(record: &Record<'_>, number: &Number) {
    let nonce_width = usize::from(number.nonce_width % 16) + 1;
    let nonce = number.nonce & (u128::MAX >> (128 - 8 * nonce_width));
    let timestamp_width = usize::from(number.timestamp_width % 8) + 1;
    let unused = 64 - 8 * timestamp_width as u32;
    let timestamp = number.timestamp << unused >> unused;
    let texts = [nonce.to_string(), timestamp.to_string()];
    let [nonce_bytes, timestamp_bytes] = [nonce.to_be_bytes(), i128::from(timestamp).to_be_bytes()];
    let (nonce_bytes, timestamp_bytes) = (&nonce_bytes[16 - nonce_width..], &timestamp_bytes[16 - timestamp_width..]);
    let reversed = |bytes: &[u8]| -> Vec<u8> { bytes.iter().rev().copied().collect() };
    let cases = [
        ("BigEndian", nonce_bytes.to_vec(), timestamp_bytes.to_vec()),
        ("LittleEndian", reversed(nonce_bytes), reversed(timestamp_bytes)),
        ("Utf8", texts[0].clone().into_bytes(), texts[1].clone().into_bytes()),
    ];
    for (encoding, nonce_bytes, timestamp_bytes) in &cases {
        let parser = |name: &str| format!("RecordHeader{encoding}({name})").parse::<NumberParser>().unwrap();
        let mut headers = record.headers.to_vec();
        headers.extend([("n", Some(&b"an earlier one"[..])), ("n", Some(nonce_bytes)), ("t", Some(timestamp_bytes))]);
        let record = Record { headers: &headers, ..record.clone() };
        assert_eq!(parser("n").nonce(&record), Ok(Some(nonce)), "{encoding}");
        assert_eq!(parser("t").timestamp(&record), Ok(Some(timestamp)), "{encoding}");
    }
}

/// Out of its dead letter.
fn comes_back(record: &Record<'_>, epoch: u64) {
    if record.offset < 0 {
        return;
    }
    let poison = Poison::Tombstone { at: record.coordinates() };
    let letter = DeadLetter::parse(&dead_letter(record, &poison, epoch)).expect("a letter can be read");
    assert_eq!(letter.coordinates(), record.coordinates());
    letter.with_record(|read| {
        assert_eq!(
            (read.topic, read.timestamp, read.key, read.value),
            (record.topic, record.timestamp, record.key, record.value)
        );
        assert_eq!(read.headers, record.headers);
    });
    // What nobody has written is refused or read, and then written again the same.
    if let Some(Ok(letter)) = record.value.map(DeadLetter::parse) {
        letter.with_record(|read| {
            let poison = Poison::Tombstone { at: read.coordinates() };
            let again = DeadLetter::parse(&dead_letter(read, &poison, 0)).expect("a letter can be read");
            again.with_record(|again| {
                assert_eq!((again.coordinates(), again.key, again.value), (read.coordinates(), read.key, read.value));
                assert_eq!(again.headers, read.headers);
            });
        });
    }
}
