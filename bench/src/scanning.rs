//! A full scan against GETs by aws-sdk-s3 of the same objects.

use std::time::{Duration, Instant};

use bytes::Bytes;
use klstore_reader::{IterationOrder, StoreReader};
use klstore_writer::{Insertion, StoreWriter};

use crate::Failure;
use crate::pairs::Row;
use crate::wire::{BUCKET, KEYSPACE, Wire};

/// Items of the list.
const ITEMS: usize = 200_000;
const KEY: &str = "scanned";

pub async fn run(wire: &Wire, values: &[Bytes], pairs: usize, name: String) -> Result<Row, Failure> {
    let writer = wire.writer().await?;
    for batch in values.chunks(500).take(ITEMS / 500) {
        let insertions = batch.iter().map(|value| Insertion::new(value.clone())).collect();
        writer.append_list(KEYSPACE, KEY, insertions).await?.await?;
    }
    writer.compact(KEYSPACE, KEY).await?;
    writer.close().await?;
    let bytes: usize = values.iter().take(ITEMS).map(Bytes::len).sum();
    let mut times = Vec::new();
    for round in 0..=pairs {
        let (ours, reference) = (scan(wire).await?, get(wire).await?);
        if round > 0 {
            times.push((ours, reference));
        }
    }
    Ok(Row::of(name, "MB/s", bytes as f64 / 1e6, 0.8, &times))
}

/// By a reader that knows nothing yet.
async fn scan(wire: &Wire) -> Result<Duration, Failure> {
    let reader = wire.reader().await?;
    let started = Instant::now();
    let (mut items, mut continuation) = (0, None);
    loop {
        let page = reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, None, None, continuation).await?;
        items += page.items.len();
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    let elapsed = started.elapsed();
    if items == ITEMS { Ok(elapsed) } else { Err(format!("scanned {items} items of {ITEMS}").into()) }
}

/// The objects that hold the list's items, one after the other.
async fn get(wire: &Wire) -> Result<Duration, Failure> {
    let names = wire.server.store().keys(BUCKET, &format!("{KEYSPACE}/lists/{KEY}/"))?;
    let started = Instant::now();
    for name in names.iter().filter(|name| !name.contains("/idx/")) {
        wire.raw.get_object().bucket(BUCKET).key(name).send().await?.body.collect().await?.into_bytes();
    }
    Ok(started.elapsed())
}
