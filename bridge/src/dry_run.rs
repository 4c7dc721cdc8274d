//! Where records would go: reads some, joins no group, writes nothing.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::checkpoint::Checkpoint;
use crate::error::BridgeError;
use crate::operate;
use crate::record::{Header, Record};
use crate::route::{Route, route};
use crate::settings::BridgeConfig;
use crate::topics::existing_topics;

/// How long to wait for a record before there are none.
const QUIET: Duration = Duration::from_secs(5);
/// Records that are shown one by one.
const SHOWN: usize = 20;
/// S3 Standard in us-east-1, for a thousand PUTs, in USD.
const PUT_PER_THOUSAND: f64 = 0.005;
const DAY_MILLIS: f64 = 86_400_000.0;

/// What a dry run saw.
#[derive(Debug, Default)]
pub struct DryRun {
    /// The first records, and where each would go.
    pub shown: Vec<String>,
    /// Records that were read.
    pub record_count: u64,
    /// Those that would be skipped.
    pub skipped_count: u64,
    /// Records that could not go where they should, by kind.
    pub poison: BTreeMap<&'static str, u64>,
    lists: HashSet<(String, String)>,
    /// Lists with flush intervals in which something comes for them: one object each.
    batches: HashSet<(String, String, i64)>,
    /// Kafka's timestamps.
    first: Option<i64>,
    last: Option<i64>,
}

impl DryRun {
    /// Lists that records would go to.
    pub fn list_count(&self) -> u64 {
        self.lists.len() as u64
    }

    /// PUTs a day at the records' own pace, by their timestamps, compactions aside. `None` where they have no span.
    pub fn puts_per_day(&self) -> Option<f64> {
        let span = self.last?.saturating_sub(self.first?);
        (span > 0).then(|| self.batches.len() as f64 * DAY_MILLIS / span as f64)
    }

    fn add(&mut self, config: &BridgeConfig, record: &Record<'_>) {
        self.record_count += 1;
        let goes = match route(&config.parser, Checkpoint::default(), None, record, Bytes::copy_from_slice) {
            Ok(Route::Skip) => {
                self.skipped_count += 1;
                "skipped".to_owned()
            }
            Ok(Route::Append { keyspace, key, insertion }) => {
                let nonce = insertion.nonce.map_or("none".to_owned(), |nonce| nonce.to_string());
                let timestamp = insertion.timestamp.map_or("none".to_owned(), |timestamp| timestamp.to_string());
                let bytes = insertion.value.len();
                let goes = format!("{keyspace}/{key}, nonce {nonce}, timestamp {timestamp}, {bytes} bytes");
                self.count(config, record.timestamp, keyspace, key);
                goes
            }
            Err(poison) => {
                *self.poison.entry(poison.kind()).or_default() += 1;
                format!("poison: {poison}")
            }
        };
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{}: {goes}", record.coordinates()));
        }
    }

    fn count(&mut self, config: &BridgeConfig, timestamp: Option<i64>, keyspace: String, key: String) {
        if let Some(timestamp) = timestamp {
            self.first = Some(self.first.unwrap_or(timestamp).min(timestamp));
            self.last = Some(self.last.unwrap_or(timestamp).max(timestamp));
            let interval = i64::try_from(config.batcher.batch_flush_interval_millis).unwrap_or(i64::MAX).max(1);
            self.batches.insert((keyspace.clone(), key.clone(), timestamp.div_euclid(interval)));
        }
        self.lists.insert((keyspace, key));
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.shown {
            writeln!(formatter, "{line}")?;
        }
        let (records, lists, skipped) = (self.record_count, self.list_count(), self.skipped_count);
        writeln!(formatter, "{records} records for {lists} lists, {skipped} skipped")?;
        for (kind, count) in &self.poison {
            writeln!(formatter, "poison: {count} {kind}")?;
        }
        match self.puts_per_day() {
            Some(puts) => write!(
                formatter,
                "at the records' own pace {puts:.0} objects a day, {:.2} USD a day in PUTs at {PUT_PER_THOUSAND} USD a \
                 thousand; compaction adds at most 15 %",
                puts / 1_000.0 * PUT_PER_THOUSAND
            ),
            None => write!(formatter, "the records' timestamps have no span: no pace to predict objects from"),
        }
    }
}

/// Reads up to `max_records` records from the beginning of all partitions.
///
/// # Errors
///
/// Kafka does not answer or does not allow it.
pub fn dry_run(config: &BridgeConfig, max_records: u64) -> Result<DryRun, BridgeError> {
    let consumer = operate::consumer(config)?;
    let mut list = TopicPartitionList::new();
    for (topic, count) in existing_topics(&consumer, config)? {
        for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
            let added = list.add_partition_offset(&topic, partition, Offset::Beginning);
            added.map_err(BridgeError::kafka("reading from the beginning"))?;
        }
    }
    // Assigned by hand: the group does not hear of it.
    consumer.assign(&list).map_err(BridgeError::kafka("reading from the beginning"))?;
    let mut run = DryRun::default();
    while run.record_count < max_records {
        let Some(message) = consumer.poll(QUIET) else { break };
        let message = message.map_err(BridgeError::kafka("reading records"))?;
        let headers: Vec<Header<'_>> = match message.headers() {
            Some(headers) => headers.iter().map(|header| (header.key, header.value)).collect(),
            None => Vec::new(),
        };
        let record = Record {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: &headers,
            ..Record::default()
        };
        run.add(config, &record);
    }
    Ok(run)
}
