//! klstore against the access pattern of the public crate's first release, as its README describes it: an object for each
//! append, named by the offsets in it; compaction within the append that reaches a threshold; a LIST for each page, and
//! whole objects. The crate itself is not on crates.io (0.0.0 is empty there), so its requests are made here.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use klstore_reader::{IterationOrder, S3StoreConfig, StoreReader, StoreReaderExt};
use klstore_s3_server::Operation;
use klstore_writer::{Insertion, StoreWriter};

use crate::Failure;
use crate::pairs::{Goal, Row};
use crate::wire::{BUCKET, KEYSPACE, Network, Wire};

/// Its defaults: a compaction every so many records, or objects, or bytes.
const COMPACT_RECORDS: usize = 1_000;
const COMPACT_OBJECTS: usize = 100;
const COMPACT_BYTES: usize = 1 << 20;
/// Of each page, on both sides.
const PAGE: usize = 1_000;
/// Appends of a round, of so many items each: half way between two compactions of the first release's.
const APPENDS: usize = 55;
const BATCH: usize = 100;

pub const NAME: &str = "first release";

/// A list as the first release would keep it.
struct Plain<'a> {
    client: &'a Client,
    prefix: String,
    next_offset: usize,
    watermark: usize,
    uncompacted: Uncompacted,
}

#[derive(Default)]
struct Uncompacted {
    records: usize,
    objects: usize,
    bytes: usize,
}

impl Plain<'_> {
    async fn append(&mut self, values: &[Bytes]) -> Result<(), Failure> {
        let mut body = BytesMut::new();
        for value in values {
            // Offset, timestamp, nonce and length, and the value.
            body.extend_from_slice(&[0; 8 + 8 + 16 + 8]);
            body.extend_from_slice(value);
        }
        let (first, last) = (self.next_offset, self.next_offset + values.len() - 1);
        self.uncompacted.records += values.len();
        self.uncompacted.objects += 1;
        self.uncompacted.bytes += body.len();
        self.put(&self.data(first, last, body.len()), body.freeze()).await?;
        self.next_offset = last + 1;
        let Uncompacted { records, objects, bytes } = self.uncompacted;
        if records < COMPACT_RECORDS && objects < COMPACT_OBJECTS && bytes < COMPACT_BYTES {
            return Ok(());
        }
        self.compact().await
    }

    async fn compact(&mut self) -> Result<(), Failure> {
        let names = self.list(self.watermark).await?;
        let mut merged = BytesMut::new();
        for name in &names {
            merged.extend_from_slice(&self.get(name).await?);
        }
        let (first, last) = (self.watermark, self.next_offset - 1);
        self.put(&self.data(first, last, merged.len()), merged.freeze()).await?;
        for name in &names {
            self.client.delete_object().bucket(BUCKET).key(name).send().await?;
        }
        self.put(&format!("{}watermark", self.prefix), Bytes::from(first.to_le_bytes().to_vec())).await?;
        self.watermark = self.next_offset;
        self.uncompacted = Uncompacted::default();
        Ok(())
    }

    /// The page at an offset: a LIST, and whole objects until it is full.
    async fn page(&self, offset: usize) -> Result<usize, Failure> {
        let mut read = 0;
        for name in self.list(offset).await? {
            self.get(&name).await?;
            read += self.items_of(&name, offset);
            if read >= PAGE {
                break;
            }
        }
        Ok(read.min(PAGE))
    }

    /// From the watermark on, as metadata is read; then the last object.
    async fn newest_page(&self) -> Result<usize, Failure> {
        self.get(&format!("{}watermark", self.prefix)).await?;
        let names = self.list(self.watermark.saturating_sub(COMPACT_RECORDS)).await?;
        let mut read = 0;
        for name in names.iter().rev() {
            self.get(name).await?;
            read += self.items_of(name, 0);
            if read >= PAGE {
                break;
            }
        }
        Ok(read.min(PAGE))
    }

    fn items_of(&self, name: &str, offset: usize) -> usize {
        let numbers = name.trim_start_matches(&self.prefix).split(|character: char| !character.is_ascii_digit());
        let mut numbers = numbers.filter_map(|number| number.parse::<usize>().ok());
        let (first, last) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        (last + 1).saturating_sub(first.max(offset))
    }

    fn data(&self, first: usize, last: usize, bytes: usize) -> String {
        format!("{}data_o{first:0>20}-o{last:0>20}_s{bytes}.bin", self.prefix)
    }

    async fn list(&self, from: usize) -> Result<Vec<String>, Failure> {
        let (prefix, after) = (format!("{}data_o", self.prefix), format!("{}data_o{from:0>20}-", self.prefix));
        let list = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix).start_after(after);
        Ok(list.send().await?.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    async fn get(&self, name: &str) -> Result<Bytes, Failure> {
        let object = self.client.get_object().bucket(BUCKET).key(name).send().await?;
        Ok(object.body.collect().await?.into_bytes())
    }

    async fn put(&self, name: &str, body: Bytes) -> Result<(), Failure> {
        self.client.put_object().bucket(BUCKET).key(name).body(ByteStream::from(body)).send().await?;
        Ok(())
    }
}

/// All through a network as far away as S3.
pub async fn run(wire: &Wire, values: &[Bytes], rounds: usize) -> Result<Vec<Row>, Failure> {
    let (mut appends, mut scans, mut newest, mut costs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let writer = wire.writer(Network::Far, S3StoreConfig::new(BUCKET)).await?;
    for round in 0..rounds {
        let batches: Vec<&[Bytes]> = values.chunks_exact(BATCH).take(APPENDS).collect();
        let key = format!("{NAME} {round}");
        wire.reseed(round);
        wire.server.take_requests();
        let started = Instant::now();
        for batch in &batches {
            let insertions = batch.iter().cloned().map(Insertion::new).collect();
            writer.append_list(KEYSPACE, &key, insertions).await?.await?;
        }
        let ours = started.elapsed();
        writer.flush_all().await?;
        let our_cost = cost(wire);
        wire.reseed(round);
        let client = wire.raw(Network::Far);
        let prefix = format!("plain/{round}/");
        let mut plain = Plain { client, prefix, next_offset: 0, watermark: 0, uncompacted: Uncompacted::default() };
        let started = Instant::now();
        for batch in &batches {
            plain.append(batch).await?;
        }
        appends.push((ours, started.elapsed()));
        costs.push((our_cost, cost(wire)));
        wire.reseed(round);
        let ours = scan(wire, &key).await?;
        wire.reseed(round);
        scans.push((ours, plain_scan(&plain).await?));
        wire.reseed(round);
        let started = Instant::now();
        let reader = wire.reader(Network::Far).await?;
        let page = reader.read_page(KEYSPACE, &key, IterationOrder::Backwards, Some(PAGE as u64), None, None).await?;
        let ours = started.elapsed();
        wire.reseed(round);
        let started = Instant::now();
        if plain.newest_page().await? != page.items.len() {
            return Err("the newest pages are not of the same size".into());
        }
        newest.push((milliseconds(ours), milliseconds(started.elapsed())));
    }
    writer.close().await?;
    let items = (APPENDS * BATCH) as f64;
    let per_million = |(ours, theirs): &(f64, f64)| (ours / items * 1e6, theirs / items * 1e6);
    let costs: Vec<_> = costs.iter().map(per_million).collect();
    Ok(vec![
        Row::of_times(
            format!("{NAME}: append far 10 KiB 1 key"),
            "appends/s",
            APPENDS as f64,
            Goal::AtLeast(1.0),
            &appends,
        ),
        Row::of_times(
            format!("{NAME}: scan far of {} items", APPENDS * BATCH),
            "items/s",
            items,
            Goal::AtLeast(1.0),
            &scans,
        ),
        Row::of(format!("{NAME}: newest 1,000 items far"), "ms", Goal::AtMost(1.0), &newest),
        Row::of(format!("{NAME}: to append a million items"), "USD", Goal::AtMost(1.0), &costs),
    ])
}

async fn scan(wire: &Wire, key: &str) -> Result<Duration, Failure> {
    let started = Instant::now();
    let reader = wire.reader(Network::Far).await?;
    let mut items = std::pin::pin!(reader.items(KEYSPACE, key, IterationOrder::Forwards, None, None, None));
    let mut count = 0;
    while items.try_next().await?.is_some() {
        count += 1;
    }
    if count == APPENDS * BATCH { Ok(started.elapsed()) } else { Err(format!("{key}: {count} items came").into()) }
}

async fn plain_scan(plain: &Plain<'_>) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut offset = 0;
    while offset < plain.next_offset {
        offset += plain.page(offset).await?.max(1);
    }
    Ok(started.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// US dollars of the requests since this was asked last: S3 Standard in us-east-1.
fn cost(wire: &Wire) -> f64 {
    let price = |operation| match operation {
        Operation::PutObject | Operation::ListObjects => 0.005 / 1e3,
        Operation::GetObject | Operation::HeadObject => 0.000_4 / 1e3,
        // DELETE is free.
        _ => 0.0,
    };
    wire.server.take_requests().iter().map(|request| price(request.operation)).sum()
}
