//! Lists compared with vectors as in [`model_run`](crate::model_run), through the real writer and reader over HTTP.

use std::collections::BTreeMap;

use klstore_format::IterationOrder;
use klstore_format::plan::read::Page;
use klstore_format::wire::compression::Codec;
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter};
use rand::RngExt;

use crate::harness::{Harness, KEYSPACE};
use crate::read_back::{Expected, Wanted};
use crate::seeded::{self, Random, percent, pick};
use crate::storm::Storm;
use crate::workload::{self, Profile};
use crate::world::NOW;

/// The lists; the last one has the large values.
const KEYS: usize = 10;
/// Writer instances: they take turns.
const WRITERS: usize = 2;
/// Operations after which the weather changes.
const WEATHER: u64 = 250;
/// Requests in a hundred that are struck in a storm.
const STORM: u32 = 8;

/// What a run did.
#[derive(Debug, Default)]
pub struct WireTally {
    /// By the operations' names.
    pub operations: BTreeMap<&'static str, u64>,
    /// Items in all lists.
    pub items: usize,
    /// Insertions dropped for their nonces.
    pub duplicates: u64,
    /// Items read and compared.
    pub items_read: usize,
    /// Continuations whose object was gone.
    pub misses: u64,
    /// Compactions of all writers.
    pub compactions: u64,
    /// Objects freed by collections of all writers.
    pub collected: u64,
    /// Requests that the server got.
    pub requests: u64,
    /// Requests struck by a fault, and those of them that took effect late.
    pub struck: (u64, u64),
}

struct WireRun {
    random: Random,
    harness: Harness,
    storm: Storm,
    writers: Vec<S3StoreWriter>,
    reader: S3StoreReader,
    lists: Vec<Expected>,
    tally: WireTally,
}

/// Does so many random operations.
///
/// # Errors
/// The first difference between a list and its model, or an error of writer or reader.
pub async fn run(seed: u64, operations: u64) -> Result<WireTally, String> {
    let mut random = seeded::random(seed, 1);
    let harness = Harness::start().await;
    let storm = Storm::new(harness.server.faults(), seeded::random(seed, 2));
    let reader = reader(&harness, &mut random).await?;
    let lists = (0..KEYS).map(|_| Expected::default()).collect();
    let tally = WireTally::default();
    let mut run = WireRun { random, harness, storm, writers: Vec::new(), reader, lists, tally };
    for _ in 0..WRITERS {
        let writer = run.new_writer().await?;
        run.writers.push(writer);
    }
    for operation in 0..operations {
        if operation % WEATHER == 0 {
            run.change_weather().await;
        }
        run.operate().await.map_err(|error| format!("operation {operation}: {error} (KLSTORE_SEED={seed})"))?;
    }
    run.finish().await.map_err(|error| format!("at the end: {error} (KLSTORE_SEED={seed})"))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn key(list: usize) -> String {
    format!("list/{list}")
}

async fn reader(harness: &Harness, random: &mut Random) -> Result<S3StoreReader, String> {
    let cache_bytes = *pick(random, &[0, 10_000, 64 << 20]);
    harness.reader(harness.config()).cache_bytes(cache_bytes).build().await.map_err(text)
}

impl WireRun {
    async fn new_writer(&mut self) -> Result<S3StoreWriter, String> {
        let random = &mut self.random;
        let config = S3StoreConfig {
            max_cached_keys: *pick(random, &[3, 100]),
            compact_items_threshold: *pick(random, &[3, 20, 1_000]),
            compact_objects_threshold: *pick(random, &[3, 8]),
            carry_bytes: *pick(random, &[0, 200, 32 << 10]),
            codec: *pick(random, &[Codec::None, Codec::Lz4, Codec::Zstd]),
            ..self.harness.config()
        };
        self.harness.writer(config).build().await.map_err(text)
    }

    /// Half of the time faults strike; the reader is a new one, with or without a cache.
    async fn change_weather(&mut self) {
        if percent(&mut self.random, 60) {
            self.storm.rage(STORM);
        } else {
            self.storm.calm();
        }
    }

    async fn operate(&mut self) -> Result<(), String> {
        let list = if percent(&mut self.random, 1) { KEYS - 1 } else { self.random.random_range(0..KEYS - 1) };
        let (operation, outcome) = match self.random.random_range(0..100) {
            0..40 => ("append", self.append(list).await),
            40..62 => ("page", self.read_start(list).await),
            62..84 => ("next page", self.read_on(list).await),
            84..88 => ("metadata", self.metadata(list).await),
            88..92 => ("compact", self.compact(list).await),
            92..95 => ("sweep", self.sweep(list).await),
            95..97 => ("duty cycle", self.duty_cycle().await),
            97 => ("new reader", self.new_reader().await),
            _ => ("reopen", self.reopen().await),
        };
        *self.tally.operations.entry(operation).or_default() += 1;
        outcome.map_err(|error| format!("{operation} of {}: {error}", key(list)))
    }

    /// Mostly the first writer, so that there are commits that are no handovers.
    fn draw_writer(&mut self) -> usize {
        usize::from(percent(&mut self.random, 15))
    }

    async fn append(&mut self, list: usize) -> Result<(), String> {
        let profile = if list == KEYS - 1 { Profile::Large } else { Profile::Small };
        let mut insertions = workload::batch(&mut self.random, &self.lists[list].model, profile, NOW);
        // The writer's clock is the machine's: here every item brings its timestamp.
        let timestamped = |insertion: Insertion| {
            let timestamp = insertion.timestamp.unwrap_or(NOW);
            insertion.with_timestamp(timestamp)
        };
        insertions = insertions.into_iter().map(timestamped).collect();
        let offered = insertions.len() as u64;
        let expected = self.lists[list].model.append(&insertions, NOW);
        let writer = self.draw_writer();
        let receipt = self.writers[writer].append_list(KEYSPACE, &key(list), insertions).await.map_err(text)?;
        let appended = receipt.await.map_err(text)?;
        let ranges = if expected.is_empty() { Vec::new() } else { vec![expected.clone()] };
        let duplicates = offered - (expected.end - expected.start);
        if appended.ranges != ranges || appended.duplicate_count != duplicates {
            return Err(format!("acknowledged {appended:?}, expected {expected:?} and {duplicates} duplicates"));
        }
        self.tally.duplicates += duplicates;
        Ok(())
    }

    async fn compact(&mut self, list: usize) -> Result<(), String> {
        let writer = self.draw_writer();
        self.writers[writer].compact(KEYSPACE, &key(list)).await.map(drop).map_err(text)
    }

    async fn sweep(&mut self, list: usize) -> Result<(), String> {
        let writer = self.draw_writer();
        let report = self.writers[writer].sweep(KEYSPACE, &key(list)).await.map_err(text)?;
        if report.unreadable.is_empty() { Ok(()) } else { Err(format!("unreadable: {:?}", report.unreadable)) }
    }

    async fn duty_cycle(&mut self) -> Result<(), String> {
        let writer = self.draw_writer();
        self.writers[writer].duty_cycle().await.map(drop).map_err(text)
    }

    async fn new_reader(&mut self) -> Result<(), String> {
        self.reader = reader(&self.harness, &mut self.random).await?;
        Ok(())
    }

    /// A writer ends well, or just ends with its background work under way.
    async fn reopen(&mut self) -> Result<(), String> {
        let writer = self.draw_writer();
        if percent(&mut self.random, 50) {
            self.writers[writer].close().await.map_err(text)?;
        }
        self.count(writer);
        self.writers[writer] = self.new_writer().await?;
        Ok(())
    }

    fn count(&mut self, writer: usize) {
        let statistics = self.writers[writer].statistics();
        self.tally.compactions += statistics.compaction_count;
        self.tally.collected += statistics.collected_count;
    }

    async fn read_start(&mut self, list: usize) -> Result<(), String> {
        let wanted = self.lists[list].draw_start(&mut self.random);
        self.read(list, &wanted).await
    }

    async fn read_on(&mut self, list: usize) -> Result<(), String> {
        let wanted = self.lists[list].draw_next(&mut self.random);
        self.read(list, &wanted).await
    }

    async fn read(&mut self, list: usize, wanted: &Wanted) -> Result<(), String> {
        let Wanted { order, filter, continuation, max_size, .. } = wanted.clone();
        let page = self.reader.read_page(KEYSPACE, &key(list), order, Some(max_size), Some(filter), continuation).await;
        let page = page.map_err(text)?;
        self.tally.items_read += page.items.len();
        self.tally.misses += page.stats.continuation_miss_count;
        let page = Page {
            items: page.items,
            continuation: page.continuation,
            continuation_misses: page.stats.continuation_miss_count,
            trimmed_items: page.stats.trimmed_item_count,
        };
        self.lists[list].compare(&mut self.random, wanted, page)
    }

    async fn metadata(&mut self, list: usize) -> Result<(), String> {
        let found = self.reader.read_key_metadata(KEYSPACE, &key(list)).await.map_err(text)?;
        let model = &self.lists[list].model;
        let found = found.map(|found| (found.next_offset, found.next_nonce, found.item_count, found.value_bytes));
        let count = model.next_offset();
        let value_bytes = model.items.iter().map(|item| item.value.len() as u64).sum::<u64>();
        let expected = (count > 0).then(|| (count, model.next_nonce(), count, value_bytes));
        if found == expected { Ok(()) } else { Err(format!("{found:?}, expected {expected:?}")) }
    }

    /// The storm is over, what was late has taken effect: every list once more from end to end, in both orders.
    async fn finish(mut self) -> Result<WireTally, String> {
        self.storm.calm();
        for writer in 0..WRITERS {
            self.writers[writer].close().await.map_err(text)?;
            self.count(writer);
        }
        for list in 0..KEYS {
            self.sweep(list).await?;
            let (reader, name) = (&self.reader, key(list));
            for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
                let read = async |continuation| {
                    let page = reader.read_page(KEYSPACE, &name, order, Some(113), None, continuation).await;
                    page.map(|page| (page.items, page.continuation)).map_err(text)
                };
                let compared = self.lists[list].compare_whole(order, read).await;
                compared.map_err(|error| format!("{name}: {error}"))?;
            }
            self.tally.items += self.lists[list].model.items.len();
        }
        self.tally.requests = self.harness.server.counts().requests();
        self.tally.struck = self.storm.struck();
        self.harness.server.shutdown().await;
        Ok(self.tally)
    }
}
