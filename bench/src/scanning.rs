//! A full scan against GETs by aws-sdk-s3: of the same objects, or of the payload alone.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use klstore_format::names::{ListName, Prefix};
use klstore_format::wire::compression::Codec;
use klstore_reader::{IterationOrder, S3StoreConfig, StoreReaderExt};
use klstore_s3_server::{ObjectMetadata, Precondition};
use klstore_writer::{Insertion, StoreWriter};

use crate::Failure;
use crate::pairs::{Goal, Row};
use crate::wire::{BUCKET, KEYSPACE, Network, Wire};

/// Items of one append.
const BATCH: usize = 500;

/// What a scan is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The list's own objects as they are stored.
    Objects,
    /// Objects of the same items that hold their values alone, one after the other, uncompressed.
    Payload,
}

/// What is read from where.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub network: Network,
    pub codec: Codec,
    pub against: Against,
    /// Items of the list.
    pub items: usize,
    /// Raw GETs under way at a time; `None`: as many as the scan had at most.
    pub at_once: Option<usize>,
    pub goal: Goal,
}

pub const CASES: [Case; 9] = [
    Case::near(Codec::None, Against::Objects, Goal::AtLeast(0.9)),
    // A GET of compressed objects checks and decompresses nothing.
    Case::near(Codec::Zstd, Against::Objects, Goal::Unset),
    Case::near(Codec::Zstd, Against::Payload, Goal::AtLeast(0.9)),
    // As many at once as browsers allow for one server.
    Case::far(Codec::None, 1_000_000, Some(6), Goal::AtLeast(0.9)),
    Case::far(Codec::Zstd, 1_000_000, Some(6), Goal::AtLeast(0.9)),
    Case::far(Codec::None, 3_000_000, Some(6), Goal::AtLeast(0.9)),
    Case::far(Codec::Zstd, 3_000_000, Some(6), Goal::AtLeast(0.9)),
    // How much more there would be to have.
    Case::far(Codec::None, 3_000_000, None, Goal::Unset),
    Case::far(Codec::Zstd, 3_000_000, None, Goal::Unset),
];

impl Case {
    const fn near(codec: Codec, against: Against, goal: Goal) -> Self {
        Self { network: Network::Near, codec, against, items: 200_000, at_once: Some(1), goal }
    }

    const fn far(codec: Codec, items: usize, at_once: Option<usize>, goal: Goal) -> Self {
        Self { network: Network::Far, codec, against: Against::Objects, items, at_once, goal }
    }

    pub fn name(&self) -> String {
        let codec = if self.codec == Codec::None { "plain" } else { "zstd" };
        let against = if self.against == Against::Objects { "objects" } else { "payload" };
        format!("scan {} {codec} of {} / {against}", self.network.name(), self.items)
    }

    pub async fn run(&self, wire: &Wire, values: &[Bytes], pairs: usize) -> Result<Row, Failure> {
        let values: Vec<Bytes> = values.iter().cycle().take(self.items).cloned().collect();
        let list = self.name();
        let objects = self.write(wire, &values, &list).await?;
        let names = match self.against {
            Against::Objects => objects,
            Against::Payload => write_payload(wire, &values, objects.len())?,
        };
        let bytes: usize = values.iter().map(Bytes::len).sum();
        // Opens connections, and is not counted.
        wire.take_most_at_once();
        self.scan(wire, &list).await?;
        let most_at_once = wire.take_most_at_once();
        let at_once = self.at_once.unwrap_or(most_at_once);
        fetch(wire.raw(self.network), &names, at_once).await?;
        let mut times = Vec::new();
        for round in 1..=pairs {
            wire.reseed(round);
            let ours = self.scan(wire, &list).await?;
            wire.reseed(round);
            let reference = fetch(wire.raw(self.network), &names, at_once).await?;
            times.push((ours, reference));
        }
        wire.delete("payload/")?;
        wire.delete_list(&list)?;
        let at_once = if at_once == 1 { String::new() } else { format!(", {at_once} at once, ours {most_at_once}") };
        let name = format!("{list}, {} GETs{at_once}", names.len());
        Ok(Row::of_times(name, "MB/s", bytes as f64 / 1e6, self.goal, &times))
    }

    /// Writes the list, and names its segments.
    async fn write(&self, wire: &Wire, values: &[Bytes], key: &str) -> Result<Vec<String>, Failure> {
        let config = S3StoreConfig { codec: self.codec, ..S3StoreConfig::new(BUCKET) };
        let writer = wire.writer(Network::Near, config).await?;
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

    /// By a reader that knows nothing yet.
    async fn scan(&self, wire: &Wire, key: &str) -> Result<Duration, Failure> {
        let reader = wire.reader(self.network).await?;
        let started = Instant::now();
        let mut stream = std::pin::pin!(reader.items(KEYSPACE, key, IterationOrder::Forwards, None, None, None));
        let (mut items, mut bytes) = (0, 0);
        while let Some(item) = stream.try_next().await? {
            items += 1;
            bytes += item.value.len();
        }
        std::hint::black_box(bytes);
        let elapsed = started.elapsed();
        if items == self.items { Ok(elapsed) } else { Err(format!("scanned {items} of {} items", self.items).into()) }
    }
}

async fn fetch(raw: &Client, names: &[String], at_once: usize) -> Result<Duration, Failure> {
    let started = Instant::now();
    let gets = names.iter().map(|name| async move {
        let body = raw.get_object().bucket(BUCKET).key(name).send().await?.body.collect().await?;
        Ok::<_, Failure>(body.into_bytes())
    });
    let mut gets = stream::iter(gets).buffered(at_once);
    while let Some(body) = gets.try_next().await? {
        std::hint::black_box(body);
    }
    Ok(started.elapsed())
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
