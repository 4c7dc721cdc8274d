//! What an operator does beside running the bridge: see the lag, begin anew after a topic was created again.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::affinity::{self, Affinity};
use crate::brokers::{Outsider, REQUEST_TIMEOUT, ask, reach};
use crate::checkpoint::Checkpoint;
use crate::error::BridgeError;
use crate::settings::BridgeConfig;
use crate::topics::existing_topics;

/// A partition as the group left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What the group has committed.
    pub committed: Option<i64>,
    /// What it keeps beside that.
    pub checkpoint: Checkpoint,
    /// The lowest offset there is.
    pub low: i64,
    /// Behind the highest.
    pub high: i64,
}

impl PartitionState {
    /// Records from what is committed (else from the lowest) to the end.
    pub fn lag(&self) -> i64 {
        self.high - self.committed.unwrap_or(self.low).clamp(self.low, self.high)
    }

    /// What `bump-epoch` commits. Where the committed offset is still one of the partition's it stays, unless all is to
    /// be read again.
    fn bumped(&self, epoch: u64, from_beginning: bool) -> (i64, Checkpoint) {
        let kept = self.committed.filter(|offset| !from_beginning && (self.low..=self.high).contains(offset));
        (kept.unwrap_or(self.low), Checkpoint { epoch, is_refused: false, ..self.checkpoint })
    }
}

/// Looks at all partitions of the topics, without joining the group.
///
/// # Errors
///
/// Kafka does not answer or does not allow it.
pub fn partitions(config: &BridgeConfig) -> Result<Vec<PartitionState>, BridgeError> {
    let consumer = consumer(config)?;
    let mut list = TopicPartitionList::new();
    let counts = existing_topics(&consumer, config)?;
    for (topic, count) in &counts {
        for partition in 0..*count {
            list.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
        }
    }
    let context = consumer.context().as_ref();
    let request = || consumer.committed_offsets(list.clone(), REQUEST_TIMEOUT);
    let committed = ask(context, "reading the group's offsets", request)?;
    let mut states = Vec::new();
    for entry in committed.elements() {
        let (topic, partition) = (entry.topic().to_owned(), entry.partition());
        let doing = format!("reading the ends of {topic}/{partition}");
        let (low, high) = ask(context, &doing, || consumer.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT))?;
        let committed = match entry.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let checkpoint = entry.metadata().parse()?;
        states.push(PartitionState { topic, partition, committed, checkpoint, low, high });
    }
    Ok(states)
}

/// Checks the configuration against the topics as they are.
///
/// # Errors
///
/// Records would be lost, or Kafka does not answer.
pub fn check_online(config: &BridgeConfig) -> Result<Affinity, BridgeError> {
    let counts = existing_topics(&consumer(config)?, config)?;
    Ok(affinity::check(&config.parser, &counts, config.kafka.topics.may_be_many())?)
}

/// Begins a new epoch of the topics' offsets: nonces from `RecordOffset` are above all earlier ones from now on. All
/// instances must be stopped. `now` is the time in seconds since 1970: as an epoch it is above those that Kafka has
/// forgotten with a deleted topic.
///
/// # Errors
///
/// Kafka refuses it, as while an instance runs.
pub fn bump_epoch(config: &BridgeConfig, now: u64, from_beginning: bool) -> Result<u64, BridgeError> {
    let states = partitions(config)?;
    let last = states.iter().map(|state| state.checkpoint.epoch).max().unwrap_or_default();
    let epoch = now.max(last.saturating_add(1));
    let mut list = TopicPartitionList::new();
    for state in &states {
        let of_topic = states.iter().filter(|other| other.topic == state.topic).count();
        let (offset, mut checkpoint) = state.bumped(epoch, from_beginning);
        checkpoint.partitions = u32::try_from(of_topic).ok();
        let mut entry = list.add_partition(&state.topic, state.partition);
        entry.set_offset(Offset::Offset(offset)).map_err(BridgeError::kafka("beginning a new epoch"))?;
        entry.set_metadata(checkpoint.to_string());
    }
    let doing = "beginning a new epoch (every instance of the group must be stopped)";
    consumer(config)?.commit(&list, CommitMode::Sync).map_err(BridgeError::kafka(doing))?;
    Ok(epoch)
}

/// A client that knows the group and does not join it, once a broker has answered it.
pub(crate) fn consumer(config: &BridgeConfig) -> Result<BaseConsumer<Outsider>, BridgeError> {
    let created = client(config).create_with_context(Outsider::default());
    let consumer = created.map_err(BridgeError::kafka("creating the client"))?;
    reach(&consumer, config)?;
    Ok(consumer)
}

/// Its settings: the file's, but for those that are the bridge's.
pub(crate) fn client(config: &BridgeConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in &config.kafka.client {
        client.set(name, value);
    }
    client.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_keeps_what_is_still_there() {
        let state = |committed, low, high| PartitionState {
            topic: "t".into(),
            partition: 0,
            committed,
            checkpoint: Checkpoint { epoch: 1, partitions: Some(4), is_refused: true },
            low,
            high,
        };
        let bumped = |state: PartitionState, from_beginning| state.bumped(7, from_beginning);
        let checkpoint = Checkpoint { epoch: 7, partitions: Some(4), is_refused: false };
        assert_eq!(bumped(state(Some(5), 0, 9), false), (5, checkpoint));
        assert_eq!(bumped(state(Some(5), 0, 9), true), (0, checkpoint));
        assert_eq!(bumped(state(Some(50), 0, 9), false), (0, checkpoint));
        assert_eq!(bumped(state(Some(1), 3, 9), false), (3, checkpoint));
        assert_eq!(bumped(state(None, 3, 9), false), (3, checkpoint));
        assert_eq!((state(Some(5), 0, 9).lag(), state(None, 3, 9).lag(), state(Some(1), 3, 9).lag()), (4, 6, 6));
    }
}
