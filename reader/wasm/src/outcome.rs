//! From what a call came to, to JavaScript's values.

use js_sys::{Array, BigInt64Array, BigUint64Array, Object, Reflect, Uint32Array};
use klstore_reader::{Item, KeyList, KeyMetadata, KeyspaceList, KeyspaceMetadata, ListStats, ReaderError, Timeline};
use wasm_bindgen::JsValue;

use crate::task::Outcome;

/// A plain object under construction.
struct Record(Object);

impl Record {
    fn new() -> Self {
        Self(Object::new())
    }

    fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a property of a fresh plain object does not fail.
        let _ = Reflect::set(&self.0, &JsValue::from_str(name), &value.into());
        self
    }
}

impl From<Record> for JsValue {
    fn from(record: Record) -> Self {
        record.0.into()
    }
}

/// `null` where there is nothing.
fn nullable<T: Into<JsValue>>(value: Option<T>) -> JsValue {
    value.map_or(JsValue::NULL, Into::into)
}

pub(crate) fn outcome(outcome: &Outcome) -> JsValue {
    match outcome {
        Outcome::Page(page) => items(&page.items)
            .with("continuation", nullable(page.continuation.as_deref()))
            .with("stats", stats(&page.stats))
            .into(),
        Outcome::Items(found) => items(found).into(),
        Outcome::Keyspace(found) => keyspace(found).into(),
        Outcome::Key(found) => nullable(found.as_ref().map(key)),
        Outcome::Keyspaces(found) => keyspaces(found).into(),
        Outcome::Keys(KeyList { keys, continuation }) => Record::new()
            .with("keys", keys.iter().map(|key| JsValue::from_str(key)).collect::<Array>())
            .with("continuation", nullable(continuation.as_deref()))
            .into(),
        Outcome::Timeline(found) => nullable(found.as_ref().map(timeline)),
    }
}

/// Items column by column. Of the values it says where they lie in this module's memory, in the order of their offsets:
/// JavaScript copies them from there, once, before it calls anything else here. Those that lie side by side in a decoded
/// block are one run.
fn items(items: &[Item]) -> Record {
    let nonces: Vec<u64> = match items.iter().any(|item| item.nonce.is_some()) {
        // 2^128-1 is no nonce: it stands for none.
        true => items.iter().flat_map(|item| halves(item.nonce.unwrap_or(u128::MAX))).collect(),
        false => Vec::new(),
    };
    let offsets: Vec<u64> = items.iter().map(|item| item.offset).collect();
    let timestamps: Vec<i64> = items.iter().map(|item| item.timestamp).collect();
    let lengths: Vec<u32> = items.iter().map(|item| item.value.len() as u32).collect();
    Record::new()
        .with("offsets", BigUint64Array::from(&offsets[..]))
        .with("timestamps", BigInt64Array::from(&timestamps[..]))
        .with("nonces", BigUint64Array::from(&nonces[..]))
        .with("lengths", Uint32Array::from(&lengths[..]))
        .with("runs", Uint32Array::from(&runs(items)[..]))
}

/// Address and length of each run of values.
fn runs(items: &[Item]) -> Vec<u32> {
    let backwards = items.first().zip(items.last()).is_some_and(|(first, last)| first.offset > last.offset);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut add = |item: &Item| {
        let (address, length) = (item.value.as_ptr() as usize, item.value.len());
        match runs.last_mut() {
            _ if length == 0 => {}
            Some(run) if run.0 + run.1 == address => run.1 += length,
            _ => runs.push((address, length)),
        }
    };
    if backwards {
        items.iter().rev().for_each(&mut add)
    } else {
        items.iter().for_each(&mut add)
    }
    runs.into_iter().flat_map(|(address, length)| [address as u32, length as u32]).collect()
}

fn halves(nonce: u128) -> [u64; 2] {
    [nonce as u64, (nonce >> 64) as u64]
}

fn stats(stats: &ListStats) -> Record {
    Record::new()
        .with("lists", stats.list_operation_count as f64)
        .with("gets", stats.read_operation_count as f64)
        .with("bytes", stats.read_size_total as f64)
        .with("cacheHits", stats.cache_hit_count as f64)
        .with("continuationMisses", stats.continuation_miss_count as f64)
        .with("trimmedItems", stats.trimmed_item_count as f64)
}

fn keyspace(found: &KeyspaceMetadata) -> Record {
    Record::new()
        .with("keyspace", &found.keyspace)
        .with("created", found.created_timestamp as f64)
        .with("formatVersion", found.format_version)
}

fn keyspaces(found: &KeyspaceList) -> Record {
    let unreadable = found.unreadable.iter().map(|unreadable| {
        let record = Record::new().with("keyspace", &unreadable.keyspace);
        JsValue::from(record.with("message", unreadable.error.to_string()))
    });
    Record::new()
        .with("keyspaces", found.keyspaces.iter().map(|found| JsValue::from(keyspace(found))).collect::<Array>())
        .with("unreadable", unreadable.collect::<Array>())
        .with("continuation", nullable(found.continuation.as_deref()))
}

fn key(found: &KeyMetadata) -> Record {
    Record::new()
        .with("keyspace", &found.keyspace)
        .with("key", &found.key)
        .with("firstOffset", found.first_offset)
        .with("nextOffset", found.next_offset)
        .with("nextNonce", found.next_nonce)
        .with("itemCount", found.item_count)
        .with("valueBytes", found.value_bytes)
        .with("minTimestamp", nullable(found.min_timestamp))
        .with("maxTimestamp", nullable(found.max_timestamp))
}

/// The spans as one array of numbers, six for each.
fn timeline(found: &Timeline) -> Record {
    let spans: Vec<u64> = found
        .spans
        .iter()
        .flat_map(|span| {
            let times = [span.min_timestamp as u64, span.max_timestamp as u64];
            [span.first_offset, span.item_count, span.value_bytes, times[0], times[1], u64::from(span.parts)]
        })
        .collect();
    Record::new()
        .with("firstOffset", found.first_offset)
        .with("nextOffset", found.next_offset)
        .with("itemCount", found.next_offset.saturating_sub(found.first_offset))
        .with("valueBytes", found.value_bytes)
        .with("spans", BigUint64Array::from(&spans[..]))
        .with("stats", stats(&found.stats))
}

/// An error: its code is the name of the variant, which JavaScript's users compare.
pub(crate) fn error(error: &ReaderError) -> JsValue {
    let mut record = Record::new().with("code", code(error)).with("message", error.to_string());
    if let ReaderError::ClockSkew { there, .. } = error {
        record = record.with("there", there);
    }
    record.into()
}

fn code(error: &ReaderError) -> &'static str {
    match error {
        ReaderError::KeyspaceNotFound { .. } => "KeyspaceNotFound",
        ReaderError::InvalidContinuation(_) => "InvalidContinuation",
        ReaderError::InvalidArgument { .. } => "InvalidArgument",
        ReaderError::Configuration { .. } | ReaderError::UntrustedCertificate { .. } => "Configuration",
        ReaderError::Credentials { .. } => "Credentials",
        ReaderError::AccessDenied { .. } => "AccessDenied",
        ReaderError::BucketNotFound { .. } => "BucketNotFound",
        ReaderError::WrongRegion { .. } => "WrongRegion",
        ReaderError::ClockSkew { .. } => "ClockSkew",
        ReaderError::CrossOrigin { .. } => "CrossOrigin",
        ReaderError::HiddenEtag { .. } => "HiddenEtag",
        ReaderError::Unavailable { .. } => "Unavailable",
        ReaderError::Contended { .. } => "Contended",
        ReaderError::Corrupt(_) => "Corrupt",
        ReaderError::UnsupportedVersion { .. } => "UnsupportedVersion",
        ReaderError::UnsupportedLayout { .. } => "UnsupportedLayout",
        ReaderError::Refused { .. } => "Refused",
        _ => "Internal",
    }
}
