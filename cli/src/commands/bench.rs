//! `klstore bench`: how fast is this store, from here?

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::future::try_join_all;
use klstore_format::names::{KeyspaceName, keyspace_object};
use klstore_format::plan::{Answer, Request};
use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_writer::{ObjectStore, S3ObjectStore, S3StoreWriter, StoreWriter, WriterError};
use rand::Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes_text, count_text};
use crate::settings::StoreArguments;
use crate::{stop, store};

/// Keys that are appended to at once.
const KEYS: usize = 16;
const PAGE_ITEMS: u64 = 20;
const SCAN_PAGE_ITEMS: u64 = 1_000;
/// Measurements that are kept.
const MAX_LATENCIES: usize = 1_000_000;
const NAMES_AT_ONCE: u32 = 1_000;
/// How often the clean-up looks for objects.
const CLEANING_ROUNDS: usize = 4;

/// Measure how fast this store is from here: appends, newest pages, a scan
///
/// Appends to one key as fast as they are acknowledged, then to 16 keys at once, reads newest pages with readers that
/// know nothing, and reads a list from its beginning. Each part takes the seconds given. Works in a keyspace of its own
/// with a random name, whose objects it deletes at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
It writes, and so costs: on S3 about USD 0.005 for a thousand appends.

Examples:
  klstore bench --bucket my-bucket
  klstore bench --seconds 30 --items 100 --item-bytes 200 --json")]
pub struct Arguments {
    /// Seconds of each of the four parts
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Items of an append
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    items: u64,
    /// Bytes of an item's value; they do not compress
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=1_000))]
    item_bytes: u64,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let config = store::config(store).await?;
    let keyspace = format!("klstore-bench-{:016x}", rand::random::<u64>());
    let stop = stop::requested()?;
    tokio::pin!(stop);
    let outcome = tokio::select! {
        outcome = measure(arguments, store, &config, &keyspace) => outcome,
        () = &mut stop => Err(Failure::new(Kind::Failed, "stopped before the end of the benchmark")),
    };
    let cleaned = clean(&config, &keyspace).await;
    let parts = outcome?;
    cleaned?;
    let json = json!({
        "seconds": arguments.seconds,
        "items_per_append": arguments.items,
        "item_bytes": arguments.item_bytes,
        "parts": parts.iter().map(Part::json).collect::<Vec<Value>>(),
    });
    output.answer(&json, &text(arguments, &parts))
}

/// What one part measured.
#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Of each operation, in order.
    latencies: Vec<Duration>,
    items: u64,
    bytes: u64,
    took: Duration,
}

async fn measure(
    arguments: &Arguments,
    store: &StoreArguments,
    config: &S3StoreConfig,
    keyspace: &str,
) -> Result<Vec<Part>, Failure> {
    let time = Duration::from_secs(arguments.seconds);
    let writer = store::writer_of(config.clone(), store).await?;
    writer.create_keyspace(keyspace).await?;
    // The first append to a key takes more requests: not measured.
    append(&writer, keyspace, "single", arguments).await?;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key-{number:02}")).collect();
    try_join_all(keys.iter().map(|key| append(&writer, keyspace, key, arguments))).await?;

    let single = appends("append, 1 key", &writer, keyspace, &["single".to_owned()], arguments, time).await?;
    let many = appends("append, 16 keys", &writer, keyspace, &keys, arguments, time).await?;
    writer.close().await?;
    let reader = S3StoreReader::builder(config.clone()).cache_bytes(0).build().await?;
    let pages = pages(&reader, keyspace, &keys, time).await?;
    let scan = scan(&reader, keyspace, time).await?;
    Ok(vec![single, many, pages, scan])
}

async fn append(writer: &S3StoreWriter, keyspace: &str, key: &str, arguments: &Arguments) -> Result<(), Failure> {
    let length = usize::try_from(arguments.item_bytes).unwrap_or_default();
    let value = || {
        let mut value = vec![0; length];
        rand::rng().fill_bytes(&mut value);
        Insertion::new(Bytes::from(value))
    };
    let insertions = (0..arguments.items).map(|_| value()).collect();
    writer.append_list(keyspace, key, insertions).await?.await?;
    Ok(())
}

/// Appends to each key, one after the other, until the time is over.
async fn appends(
    name: &'static str,
    writer: &S3StoreWriter,
    keyspace: &str,
    keys: &[String],
    arguments: &Arguments,
    time: Duration,
) -> Result<Part, Failure> {
    let began = Instant::now();
    let appending = keys.iter().map(async |key| {
        let mut latencies = Vec::new();
        while began.elapsed() < time && latencies.len() < MAX_LATENCIES {
            let sent = Instant::now();
            append(writer, keyspace, key, arguments).await?;
            latencies.push(sent.elapsed());
        }
        Ok::<_, Failure>(latencies)
    });
    let latencies: Vec<Duration> = try_join_all(appending).await?.into_iter().flatten().collect();
    let items = latencies.len() as u64 * arguments.items;
    Ok(Part { name, latencies, items, bytes: items * arguments.item_bytes, took: began.elapsed() })
}

/// Newest pages of one list after the other. Nothing is cached: each is that of a new reader, but for its connection.
async fn pages(reader: &S3StoreReader, keyspace: &str, keys: &[String], time: Duration) -> Result<Part, Failure> {
    let began = Instant::now();
    let mut part = Part { name: "newest page", latencies: Vec::new(), items: 0, bytes: 0, took: Duration::ZERO };
    for key in keys.iter().cycle() {
        if began.elapsed() >= time || part.latencies.len() >= MAX_LATENCIES {
            break;
        }
        let sent = Instant::now();
        let page = reader.read_page(keyspace, key, IterationOrder::Backwards, Some(PAGE_ITEMS), None, None).await?;
        part.latencies.push(sent.elapsed());
        part.items += page.items.len() as u64;
        part.bytes += page.items.iter().map(|item| item.value.len() as u64).sum::<u64>();
    }
    part.took = began.elapsed();
    Ok(part)
}

/// The pages of the longest list from its beginning, again from there where it ends before the time does.
async fn scan(reader: &S3StoreReader, keyspace: &str, time: Duration) -> Result<Part, Failure> {
    let began = Instant::now();
    let mut part = Part { name: "scan", latencies: Vec::new(), items: 0, bytes: 0, took: Duration::ZERO };
    let mut continuation = None;
    while began.elapsed() < time && part.latencies.len() < MAX_LATENCIES {
        let sent = Instant::now();
        let order = IterationOrder::Forwards;
        let page =
            reader.read_page(keyspace, "single", order, Some(SCAN_PAGE_ITEMS), None, continuation.take()).await?;
        part.latencies.push(sent.elapsed());
        part.items += page.items.len() as u64;
        part.bytes += page.items.iter().map(|item| item.value.len() as u64).sum::<u64>();
        continuation = page.continuation.filter(|_| !page.items.is_empty());
    }
    part.took = began.elapsed();
    Ok(part)
}

/// Deletes the keyspace's objects, its own last, so that an interrupted clean-up can be found.
async fn clean(config: &S3StoreConfig, keyspace: &str) -> Result<(), Failure> {
    let objects = S3ObjectStore::new(config).await?;
    let prefix = config.prefix().map_err(|error| Failure::new(Kind::Access, error.to_string()))?;
    let left = |failure: Failure| {
        let place = format!("{}{keyspace}/", prefix.as_str());
        Failure::new(failure.kind, format!("objects of the benchmark are left below `{place}`: {}", failure.what))
            .advice("delete them all: nothing else is there")
    };
    let name = KeyspaceName::new(keyspace).map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    let lists = klstore_format::names::lists_prefix(&prefix, &name);
    // Again, as a PUT that was given up may arrive late; but not for ever, where a store deletes nothing.
    for _ in 0..CLEANING_ROUNDS {
        if delete_all(&objects, &lists).await.map_err(|error| left(error.into()))? == 0 {
            let names = vec![keyspace_object(&prefix, &name)];
            let deleted = objects.execute(Request::Delete { names }).await.map_err(WriterError::Store);
            return deleted.map(drop).map_err(|error| left(error.into()));
        }
    }
    Err(left(Failure::new(Kind::Failed, "the store lists them still after it has deleted them")))
}

/// Goes through all objects once and deletes them; gives how many there were.
async fn delete_all(objects: &S3ObjectStore, prefix: &str) -> Result<usize, WriterError> {
    let mut count = 0;
    let mut start_after = None;
    loop {
        let list = Request::List { prefix: prefix.to_owned(), start_after, max_keys: NAMES_AT_ONCE, delimiter: false };
        let Answer::Listed(listing) = objects.execute(list).await.map_err(WriterError::Store)? else {
            return Ok(count);
        };
        let names: Vec<String> = listing.objects.into_iter().map(|object| object.name).collect();
        start_after = names.last().cloned();
        if start_after.is_none() {
            return Ok(count);
        }
        count += names.len();
        objects.execute(Request::Delete { names }).await.map_err(WriterError::Store)?;
    }
}

impl Part {
    /// The latency that this share of the operations did not exceed.
    fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        // The nearest rank: the smallest that at least this share does not exceed.
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn json(&self) -> Value {
        let millis = |share| self.percentile(share).as_secs_f64() * 1e3;
        json!({
            "name": self.name,
            "operations": self.latencies.len(),
            "operations_per_second": self.per_second(self.latencies.len() as u64),
            "items_per_second": self.per_second(self.items),
            "value_bytes_per_second": self.per_second(self.bytes),
            "p50_ms": millis(0.5),
            "p99_ms": millis(0.99),
            "seconds": self.took.as_secs_f64(),
        })
    }
}

fn text(arguments: &Arguments, parts: &[Part]) -> String {
    let mut text = format!(
        "appends of {} x {} B, pages of {PAGE_ITEMS} items, a scan by {}\n\n{:<16}{:>10}{:>10}{:>12}{:>14}{:>11}{:>11}",
        count_text(arguments.items),
        count_text(arguments.item_bytes),
        count_text(SCAN_PAGE_ITEMS),
        "what",
        "number",
        "a second",
        "items/s",
        "values/s",
        "p50 ms",
        "p99 ms",
    );
    for part in parts {
        let millis = |share| part.percentile(share).as_secs_f64() * 1e3;
        text += &format!(
            "\n{:<16}{:>10}{:>10.1}{:>12}{:>14}{:>11.1}{:>11.1}",
            part.name,
            count_text(part.latencies.len() as u64),
            part.per_second(part.latencies.len() as u64),
            count_text(part.per_second(part.items) as u64),
            bytes_text(part.per_second(part.bytes) as u64),
            millis(0.5),
            millis(0.99),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let part = |count: u64| Part {
            name: "x",
            latencies: (1..=count).rev().map(Duration::from_millis).collect(),
            items: 0,
            bytes: 0,
            took: Duration::from_secs(1),
        };
        let millis = |count, share| part(count).percentile(share).as_millis();
        assert_eq!((millis(100, 0.5), millis(100, 0.99), millis(1, 0.99), millis(0, 0.5)), (50, 99, 1, 0));
    }
}
