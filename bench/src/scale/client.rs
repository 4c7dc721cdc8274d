//! What is measured: a client of the server, alone in its process.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use futures::future::try_join_all;
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{FollowStart, Polling, S3StoreConfig, S3StoreReader, StoreReader};
use klstore_workloads::ingest::ingest;
use klstore_workloads::skewed_load::Size;
use klstore_workloads::{Failure, giant, process};
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval_at};

use crate::results::quantile;
use crate::store::{KEYSPACE, config};
use crate::task::{From, Pace, Task, Work};

/// Bytes that each of many readers keeps: the index, but not what it read once.
const CACHE_BYTES: u64 = 1 << 20;
/// Items of a page of a scan.
const SCAN_PAGE_ITEMS: u64 = 1_000;

/// Does it, and tells what it took.
pub async fn run(task: Task) -> Result<Value, Failure> {
    let config = config(&task.endpoint);
    let mut answer = match task.work {
        Work::Page { key, size, backwards, from } => page(config, &key, size, backwards, from).await,
        Work::Append { key, items } => append(config, &key, items).await,
        Work::Ingest { keys, items } => ingest(config, KEYSPACE, Size { keys, items }).await,
        Work::Scan { key, end, readers, pages } => scan(config, &key, end, readers, pages).await,
        Work::Follow { key, followers, seconds, pace } => {
            follow(config, &key, followers, Duration::from_secs(seconds), pace).await
        }
    }?;
    let usage = process::usage()?;
    answer["peak_resident_bytes"] = json!(usage.peak_resident_bytes);
    answer["cpu_seconds"] = json!(usage.cpu_seconds);
    Ok(answer)
}

async fn page(config: S3StoreConfig, key: &str, size: u64, backwards: bool, from: From) -> Result<Value, Failure> {
    let reader = S3StoreReader::new(config).await?;
    let order = if backwards { IterationOrder::Backwards } else { IterationOrder::Forwards };
    let mut filter = ItemFilter::default();
    let mut continuation = None;
    let newest = matches!(from, From::End);
    match from {
        From::End => {}
        From::Offset(offset) => filter.start_offset = Some(offset),
        From::Timestamp(timestamp) => filter.start_timestamp = Some(timestamp),
        From::Nonce(nonce) => filter.start_nonce = Some(nonce.into()),
        From::Continuation(token) => continuation = Some(token),
    }
    let begin = Instant::now();
    let page = reader.read_page(KEYSPACE, key, order, Some(size), Some(filter), continuation).await?;
    let seconds = begin.elapsed().as_secs_f64();
    if page.items.len() as u64 != size {
        return Err(format!("a page of {} items instead of {size}", page.items.len()).into());
    }
    // The newest items are those of a writer, all others the giant's.
    if let Some(wrong) = page.items.iter().find(|item| !newest && **item != giant::item(item.offset)) {
        return Err(format!("another item was read at offset {}", wrong.offset).into());
    }
    Ok(json!({ "seconds": seconds, "continuation": page.continuation }))
}

async fn append(config: S3StoreConfig, key: &str, items: u64) -> Result<Value, Failure> {
    let writer = S3StoreWriter::new(config).await?;
    // Looks at the keyspace and the store first, once a writer.
    writer.append_list(KEYSPACE, "another", vec![Insertion::new("first")]).await?.await?;
    let mut seconds = Vec::new();
    for _ in 0..items {
        let begin = Instant::now();
        writer.append_list(KEYSPACE, key, vec![Insertion::new("appended by a writer of today")]).await?.await?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    let usage = process::usage()?;
    writer.close().await?;
    let first = seconds.remove(0);
    let next = if seconds.is_empty() { Value::Null } else { json!(quantile(&mut seconds, 0.5)) };
    Ok(json!({ "first_seconds": first, "next_seconds": next, "open_bytes": usage.resident_bytes }))
}

async fn scan(config: S3StoreConfig, key: &str, end: u64, readers: u64, pages: u64) -> Result<Value, Failure> {
    let begin = Instant::now();
    let places = (end - pages * SCAN_PAGE_ITEMS) / SCAN_PAGE_ITEMS;
    let scans = (0..readers).map(|reader| {
        let (config, key) = (config.clone(), key.to_owned());
        let place = reader.wrapping_mul(7_919) % places * SCAN_PAGE_ITEMS;
        async move { tokio::spawn(scan_from(config, key, place, pages)).await? }
    });
    let seconds: Vec<Vec<f64>> = try_join_all(scans).await?;
    let took = begin.elapsed().as_secs_f64();
    let mut first: Vec<f64> = seconds.iter().filter_map(|seconds| seconds.first()).copied().collect();
    let mut next: Vec<f64> = seconds.iter().flat_map(|seconds| seconds.iter().skip(1)).copied().collect();
    Ok(json!({
        "seconds": took,
        "first.p50": quantile(&mut first, 0.5),
        "first.p99": quantile(&mut first, 0.99),
        "next.p50": quantile(&mut next, 0.5),
        "next.p99": quantile(&mut next, 0.99),
    }))
}

/// A reader of its own reads page after page; how long each took.
async fn scan_from(config: S3StoreConfig, key: String, place: u64, pages: u64) -> Result<Vec<f64>, Failure> {
    let reader = S3StoreReader::builder(config).cache_bytes(CACHE_BYTES).build().await?;
    let filter = ItemFilter { start_offset: Some(place), ..ItemFilter::default() };
    let (mut seconds, mut offset, mut continuation) = (Vec::new(), place, None);
    for _ in 0..pages {
        let begin = Instant::now();
        let order = IterationOrder::Forwards;
        let page = reader.read_page(KEYSPACE, &key, order, Some(SCAN_PAGE_ITEMS), Some(filter), continuation).await?;
        seconds.push(begin.elapsed().as_secs_f64());
        let wrong = page.items.iter().zip(offset..).any(|(item, offset)| *item != giant::item(offset));
        if wrong || page.items.len() as u64 != SCAN_PAGE_ITEMS {
            return Err(format!("another page was read at offset {offset}").into());
        }
        offset += SCAN_PAGE_ITEMS;
        continuation = page.continuation;
    }
    Ok(seconds)
}

async fn follow(
    config: S3StoreConfig,
    key: &str,
    followers: u64,
    time: Duration,
    pace: Pace,
) -> Result<Value, Failure> {
    let following = (0..followers).map(|follower| {
        let (config, key) = (config.clone(), key.to_owned());
        // Not all at the same moment.
        let phase = Duration::from_secs(1).mul_f64(follower as f64 / followers as f64);
        async move {
            tokio::spawn(async move {
                tokio::time::sleep(phase).await;
                let reader = S3StoreReader::builder(config).cache_bytes(CACHE_BYTES).build().await?;
                match pace {
                    Pace::Poll => poll(&reader, &key, time).await,
                    Pace::Stream => stream(&reader, &key, time).await,
                }
            })
            .await?
        }
    });
    let followed = try_join_all(following).await?;
    let errors: u64 = followed.iter().map(|followed: &Followed| followed.errors).sum();
    let mut delays: Vec<f64> = followed.into_iter().flat_map(|followed| followed.delays).collect();
    Ok(json!({
        "errors": errors,
        "delivered": delays.len(),
        "delay.p50": quantile(&mut delays, 0.5),
        "delay.p99": quantile(&mut delays, 0.99),
    }))
}

/// What came to one follower.
#[derive(Default)]
struct Followed {
    /// From the beginning of each append until it was here.
    delays: Vec<f64>,
    errors: u64,
    /// The item to come next.
    next: Option<u64>,
}

impl Followed {
    fn take(&mut self, item: &Item) -> Result<(), Failure> {
        if self.next.is_some_and(|next| next != item.offset) {
            return Err(format!("item {} came out of turn", item.offset).into());
        }
        self.next = Some(item.offset + 1);
        let sent: u64 = std::str::from_utf8(&item.value)?.parse()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        self.delays.push(now.saturating_sub(Duration::from_micros(sent)).as_secs_f64());
        Ok(())
    }
}

async fn poll(reader: &S3StoreReader, key: &str, time: Duration) -> Result<Followed, Failure> {
    let mut tail = reader.tail(KEYSPACE, key, FollowStart::End)?;
    let mut followed = Followed::default();
    let begin = tokio::time::Instant::now();
    let mut second = interval_at(begin, Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while second.tick().await < begin + time {
        match tail.poll().await {
            Ok(items) => items.iter().try_for_each(|item| followed.take(item))?,
            Err(_) => followed.errors += 1,
        }
    }
    Ok(followed)
}

async fn stream(reader: &S3StoreReader, key: &str, time: Duration) -> Result<Followed, Failure> {
    let second = Duration::from_secs(1);
    let polling = Polling { interval: second, max_interval: second };
    let items = reader.follow(KEYSPACE, key, FollowStart::End, polling);
    let mut items = pin!(items.take_until(tokio::time::sleep(time)));
    let mut followed = Followed::default();
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => followed.take(&item)?,
            Err(_) => followed.errors += 1,
        }
    }
    Ok(followed)
}
