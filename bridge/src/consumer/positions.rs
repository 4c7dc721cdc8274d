//! Where to begin in a partition, and whether it is still the one that was committed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use klstore_writer::{S3StoreWriter, WriterError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::context::Context;
use super::state::Found;
use crate::affinity::{self, Affinity};
use crate::brokers::{REQUEST_TIMEOUT, ask};
use crate::checkpoint::Checkpoint;
use crate::error::BridgeError;
use crate::judge::next_offset;
use crate::parser::NumberParser;
use crate::record::Coordinates;
use crate::settings::{BridgeConfig, StartAt};
use crate::topics::{missing, topics};

/// How long the lists may take to tell their ends.
const LISTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Lists whose ends are read at once.
const LISTS_AT_ONCE: usize = 16;

/// A partition's offsets, as far as they decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offsets {
    committed: Option<i64>,
    low: i64,
    /// Behind the last record.
    high: i64,
    /// Of the first record at the wanted time, where a time is wanted; `None`: there is none yet.
    at_time: Option<i64>,
}

/// Where to begin. `None`: the committed offset is not one of the partition's.
fn start(offsets: Offsets, start: StartAt) -> Option<Option<i64>> {
    if let Some(committed) = offsets.committed {
        return (offsets.low..=offsets.high).contains(&committed).then_some(Some(committed));
    }
    Some(match start {
        StartAt::Earliest => Some(offsets.low),
        StartAt::Latest => Some(offsets.high),
        StartAt::Timestamp(_) => Some(offsets.at_time.unwrap_or(offsets.high)),
        StartAt::Refuse => None,
    })
}

/// A partition with where to begin in it.
pub(super) struct Position {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) start: i64,
    pub(super) found: Found,
}

/// Finds out where to begin in each partition of an assignment.
pub(super) fn positions(
    consumer: &BaseConsumer<Context>,
    config: &BridgeConfig,
    assigned: &TopicPartitionList,
) -> Result<Vec<Position>, BridgeError> {
    if assigned.count() == 0 {
        return Ok(Vec::new());
    }
    let elements = assigned.elements();
    let affinity = check_affinity(consumer, config, &elements.iter().map(|entry| entry.topic()).collect())?;
    let context = consumer.context().as_ref();
    let request = || consumer.committed_offsets(assigned.clone(), REQUEST_TIMEOUT);
    let committed = ask(context, "reading the group's offsets", request)?;
    let at_times = at_times(consumer, config, assigned)?;
    let mut positions = Vec::new();
    for entry in committed.elements() {
        let (topic, partition) = (entry.topic().to_owned(), entry.partition());
        entry.error().map_err(BridgeError::kafka(format!("reading the group's offset of {topic}/{partition}")))?;
        let doing = format!("reading the ends of {topic}/{partition}");
        let (low, high) = ask(context, &doing, || consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT))?;
        let committed = match entry.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let at_time = at_times.as_ref().and_then(|times| times.find_partition(&topic, partition)?.offset().to_raw());
        let offsets = Offsets { committed, low, high, at_time: at_time.filter(|offset| *offset >= 0) };
        let at = Coordinates { topic: topic.clone(), partition, offset: committed.unwrap_or(-1) };
        let mut checkpoint: Checkpoint = entry.metadata().parse()?;
        if checkpoint.is_refused {
            return Err(BridgeError::UnexpectedDuplicate { at });
        }
        let start = start(offsets, config.kafka.start).ok_or(BridgeError::OffsetGone { at, low, high })?;
        let start = start.ok_or_else(|| BridgeError::NothingCommitted { topic: topic.clone(), partition })?;
        let now = affinity.partitions(&topic);
        if let Some(before) = checkpoint.partitions.filter(|_| affinity.affinity == Affinity::Asserted)
            && now.is_some_and(|now| now != before as usize)
        {
            return Err(BridgeError::PartitionsChanged { topic, before, now: now.unwrap_or_default() });
        }
        checkpoint.partitions = now.and_then(|now| u32::try_from(now).ok());
        let notes = matches!(affinity.affinity, Affinity::Asserted | Affinity::BySource);
        let source = notes.then(|| checkpoint.source(&topic, partition)).transpose()?;
        let found = Found { committed, checkpoint, source, end: high };
        positions.push(Position { topic, partition, start, found });
    }
    Ok(positions)
}

/// The topics' numbers of partitions, and what they mean for the configuration.
pub(super) struct TopicsChecked {
    pub(super) affinity: Affinity,
    topics: Vec<(String, usize)>,
}

impl TopicsChecked {
    fn partitions(&self, topic: &str) -> Option<usize> {
        self.topics.iter().find(|(name, _)| name == topic).map(|(_, partitions)| *partitions)
    }

    /// What the configuration names and is not there.
    pub(super) fn missing<'c>(&self, config: &'c BridgeConfig) -> Option<&'c str> {
        missing(config, &self.topics)
    }
}

/// Checks the configuration against the topics as they are now, `assigned` among them.
pub(super) fn check_affinity(
    consumer: &BaseConsumer<Context>,
    config: &BridgeConfig,
    assigned: &BTreeSet<&str>,
) -> Result<TopicsChecked, BridgeError> {
    let topics = topics(consumer, config, assigned)?;
    let affinity = affinity::check(&config.parser, &topics, config.kafka.topics.may_be_many())?;
    Ok(TopicsChecked { affinity, topics })
}

/// The offsets of the wanted time, where one is wanted.
fn at_times(
    consumer: &BaseConsumer<Context>,
    config: &BridgeConfig,
    assigned: &TopicPartitionList,
) -> Result<Option<TopicPartitionList>, BridgeError> {
    let StartAt::Timestamp(millis) = config.kafka.start else { return Ok(None) };
    let mut times = TopicPartitionList::new();
    for entry in assigned.elements() {
        let added = times.add_partition_offset(entry.topic(), entry.partition(), Offset::Offset(millis));
        added.map_err(BridgeError::kafka("start_timestamp"))?;
    }
    let request = || consumer.offsets_for_times(times.clone(), REQUEST_TIMEOUT);
    ask(consumer.context().as_ref(), "looking for start_timestamp", request).map(Some)
}

/// Whether the lists that are known by name are no further than their partitions.
pub(super) fn check_lists(
    writer: &S3StoreWriter,
    runtime: &Handle,
    config: &BridgeConfig,
    positions: &[Position],
) -> Result<(), BridgeError> {
    if !config.parser.nonce.is_offset() {
        return Ok(());
    }
    let asked = positions.iter().filter_map(|position| {
        let (keyspace, key) = config.parser.list_of(&position.topic, position.partition)?;
        Some(async move { (position, writer.position(&keyspace, &key).await) })
    });
    let answers = stream::iter(asked).buffer_unordered(LISTS_AT_ONCE).collect::<Vec<_>>();
    let Ok(answers) = runtime.block_on(async { tokio::time::timeout(LISTS_TIMEOUT, answers).await }) else {
        tracing::warn!("the lists' ends could not be read in time: they are compared when one drops duplicates");
        return Ok(());
    };
    for (position, answer) in answers {
        let list = match answer {
            Ok(list) => list,
            Err(WriterError::KeyspaceNotFound { .. }) => continue,
            Err(error) => {
                tracing::warn!(%error, "a list's end could not be read: it is compared when the list drops duplicates");
                continue;
            }
        };
        let Position { topic, partition, found, .. } = position;
        let by_nonce = config.parser.nonce == NumberParser::RecordOffset;
        let next = next_offset(&list, by_nonce.then_some(found.checkpoint.epoch), found.source.as_ref());
        if i64::try_from(next).map_or(true, |next| next > found.end) {
            return Err(BridgeError::ListAhead { topic: topic.clone(), partition: *partition, high: found.end, next });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_begin() {
        let found = |committed, start_at| {
            let offsets = Offsets { committed, low: 10, high: 20, at_time: None };
            start(offsets, start_at)
        };
        assert_eq!(found(Some(15), StartAt::Earliest), Some(Some(15)));
        assert_eq!(found(Some(20), StartAt::Earliest), Some(Some(20)));
        assert_eq!(found(Some(10), StartAt::Refuse), Some(Some(10)));
        // Never where the client would reset it to, silently.
        assert_eq!(found(Some(9), StartAt::Earliest), None);
        assert_eq!(found(Some(21), StartAt::Latest), None);
        assert_eq!(found(None, StartAt::Earliest), Some(Some(10)));
        assert_eq!(found(None, StartAt::Latest), Some(Some(20)));
        assert_eq!(found(None, StartAt::Refuse), Some(None));
        assert_eq!(found(None, StartAt::Timestamp(1)), Some(Some(20)));
        let offsets = Offsets { committed: None, low: 10, high: 20, at_time: Some(12) };
        assert_eq!(start(offsets, StartAt::Timestamp(1)), Some(Some(12)));
    }
}
