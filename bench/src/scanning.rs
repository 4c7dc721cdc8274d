//! A full scan against GETs by aws-sdk-s3, one after the other: of the same objects, or of the payload alone.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use klstore_format::names::{ListName, Prefix};
use klstore_format::wire::compression::Codec;
use klstore_reader::{IterationOrder, S3StoreConfig, StoreReaderExt};
use klstore_s3_server::{ObjectMetadata, Precondition};
use klstore_writer::{Insertion, StoreWriter};

use crate::Failure;
use crate::pairs::Row;
use crate::wire::{BUCKET, KEYSPACE, Wire};

/// Items of the list.
const ITEMS: usize = 200_000;
/// Items of one append.
const BATCH: usize = 500;

/// What a scan is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The list's own objects as they are stored.
    Objects,
    /// Objects of the same items that hold their values alone, one after the other, uncompressed.
    Payload,
}

pub const CASES: [(Codec, Against); 3] =
    [(Codec::None, Against::Objects), (Codec::Zstd, Against::Objects), (Codec::Zstd, Against::Payload)];

pub fn name((codec, against): (Codec, Against)) -> String {
    let codec = if codec == Codec::None { "plain" } else { "zstd" };
    let against = if against == Against::Objects { "objects" } else { "payload" };
    format!("scan {codec} / {against}")
}

pub async fn run(
    wire: &Wire,
    values: &[Bytes],
    (codec, against): (Codec, Against),
    pairs: usize,
    name: String,
) -> Result<Row, Failure> {
    let values = values.get(..ITEMS).ok_or("there are too few values")?;
    let objects = write(wire, values, codec, &name).await?;
    let names = match against {
        Against::Objects => objects,
        Against::Payload => write_payload(wire, values, objects.len())?,
    };
    let bytes: usize = values.iter().map(Bytes::len).sum();
    let mut times = Vec::new();
    for round in 0..=pairs {
        let (ours, reference) = (scan(wire, &name).await?, get(wire, &names).await?);
        if round > 0 {
            times.push((ours, reference));
        }
    }
    wire.delete("payload/")?;
    let name = format!("{name}, {} GETs", names.len());
    Ok(Row::of(name, "MB/s", bytes as f64 / 1e6, 0.8, &times))
}

/// Writes the list, and names its segments.
async fn write(wire: &Wire, values: &[Bytes], codec: Codec, key: &str) -> Result<Vec<String>, Failure> {
    let writer = wire.writer(S3StoreConfig { codec, ..wire.config() }).await?;
    for batch in values.chunks(BATCH) {
        let insertions = batch.iter().map(|value| Insertion::new(value.clone())).collect();
        writer.append_list(KEYSPACE, key, insertions).await?.await?;
    }
    writer.compact(KEYSPACE, key).await?;
    writer.close().await?;
    // All items but those of the newest commit are in segments now, and the segments that were merged are collected.
    let list = ListName::new(&Prefix::default(), KEYSPACE, key)?;
    Ok(wire.server.store().keys(BUCKET, &list.segments())?)
}

/// As many objects as the list has, of the values alone.
fn write_payload(wire: &Wire, values: &[Bytes], objects: usize) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for (number, values) in values.chunks(values.len().div_ceil(objects.max(1))).enumerate() {
        let mut body = BytesMut::new();
        values.iter().for_each(|value| body.extend_from_slice(value));
        let (name, metadata) = (format!("payload/{number}"), ObjectMetadata::default());
        wire.server.store().put(BUCKET, &name, body.freeze(), metadata, &Precondition::None)?;
        names.push(name);
    }
    Ok(names)
}

/// By a reader that knows nothing yet.
async fn scan(wire: &Wire, key: &str) -> Result<Duration, Failure> {
    let reader = wire.reader().await?;
    let started = Instant::now();
    let mut stream = std::pin::pin!(reader.items(KEYSPACE, key, IterationOrder::Forwards, None, None, None));
    let (mut items, mut bytes) = (0, 0);
    while let Some(item) = stream.try_next().await? {
        items += 1;
        bytes += item.value.len();
    }
    std::hint::black_box(bytes);
    let elapsed = started.elapsed();
    if items == ITEMS { Ok(elapsed) } else { Err(format!("scanned {items} items of {ITEMS}").into()) }
}

async fn get(wire: &Wire, names: &[String]) -> Result<Duration, Failure> {
    let started = Instant::now();
    for name in names {
        wire.raw.get_object().bucket(BUCKET).key(name).send().await?.body.collect().await?.into_bytes();
    }
    Ok(started.elapsed())
}
