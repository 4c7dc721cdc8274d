//! What the poll thread knows: its partitions, what is in memory, and why it must stop, if it must.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use klstore_writer::{Clock, SystemClock};
use rdkafka::{Offset, TopicPartitionList};

use crate::affinity::Sources;
use crate::backpressure::Backpressure;
use crate::checkpoint::Checkpoint;
use crate::error::BridgeError;
use crate::frontier::Frontier;
use crate::parser::NumberParser;
use crate::pipeline::{Done, Pipeline, PipelineFactory};
use crate::record::Coordinates;
use crate::settings::BridgeConfig;

/// librdkafka's `session.timeout.ms`.
const DEFAULT_SESSION: Duration = Duration::from_secs(45);
const REJOIN_MARGIN: Duration = Duration::from_secs(5);

/// A partition that is ours for now.
pub(super) struct Partition {
    /// Of this assignment: the same partition has another number when it comes back.
    pub(super) assignment: u64,
    pub(super) frontier: Frontier,
    pub(super) checkpoint: Checkpoint,
    /// Nothing was committed before: nobody of this group can have appended its records.
    pub(super) is_fresh: bool,
    /// Behind its last record when it was assigned.
    pub(super) end: i64,
    /// Whether the client has seen the end since.
    pub(super) end_seen: bool,
}

pub(super) struct State {
    pub(super) config: Arc<BridgeConfig>,
    pub(super) factory: PipelineFactory,
    pub(super) pipeline: Pipeline,
    pub(super) partitions: HashMap<String, HashMap<i32, Partition>>,
    pub(super) backpressure: Backpressure,
    pub(super) sources: Sources,
    /// Whether the group has given us anything, be it nothing.
    pub(super) was_assigned: bool,
    /// When it last gave us something, or took it.
    pub(super) last_rebalance: Duration,
    /// Partitions of all topics.
    pub(super) partition_total: usize,
    /// How long the group waits for a member that died.
    session: Duration,
    /// What was in memory was given up: partitions that we keep have to be read again from there.
    pub(super) rewind: bool,
    /// Why the bridge must stop.
    pub(super) failure: Option<BridgeError>,
    pub(super) clock: SystemClock,
    /// When something became durable last.
    pub(super) last_settled: Duration,
    next_assignment: u64,
}

impl State {
    pub(super) fn new(config: Arc<BridgeConfig>, factory: PipelineFactory, budget: u64) -> Result<Self, BridgeError> {
        let session = config.kafka.client_setting("session.timeout.ms").and_then(|millis| millis.parse().ok());
        let session = session.map_or(DEFAULT_SESSION, Duration::from_millis);
        Ok(Self {
            pipeline: factory.start()?,
            config,
            factory,
            partitions: HashMap::new(),
            backpressure: Backpressure::new(budget),
            sources: Sources::default(),
            was_assigned: false,
            last_rebalance: Duration::ZERO,
            partition_total: usize::MAX,
            session,
            rewind: false,
            failure: None,
            clock: SystemClock::default(),
            last_settled: Duration::ZERO,
            next_assignment: 0,
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        self.clock.now()
    }

    pub(super) fn fail(&mut self, error: BridgeError) {
        // The first is the cause of the others.
        self.failure.get_or_insert(error);
    }

    pub(super) fn partition(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(topic)?.get_mut(&partition)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, i32, &Partition)> {
        self.partitions.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(number, partition)| (topic.as_str(), *number, partition))
        })
    }

    pub(super) fn add(&mut self, topic: &str, number: i32, start: i64, found: Found) {
        let assignment = self.next_assignment;
        self.next_assignment += 1;
        let partition = Partition {
            assignment,
            frontier: Frontier::new(start, found.committed),
            checkpoint: found.checkpoint,
            is_fresh: found.committed.is_none(),
            end: found.end,
            end_seen: false,
        };
        self.partitions.entry(topic.to_owned()).or_default().insert(number, partition);
    }

    pub(super) fn remove(&mut self, topic: &str, number: i32) {
        if let Some(partitions) = self.partitions.get_mut(topic) {
            partitions.remove(&number);
        }
    }

    /// Takes in what has become durable.
    pub(super) fn settle_done(&mut self) {
        while let Ok(done) = self.pipeline.done.try_recv() {
            self.settle(&done);
        }
    }

    fn settle(&mut self, done: &Done) {
        self.backpressure.free(done.bytes);
        metrics::counter!("klstore_bridge_duplicates_total").increment(done.duplicates);
        let by_offset = self.config.parser.nonce == NumberParser::RecordOffset;
        let source = &done.source;
        // What was taken back meanwhile is somebody else's to settle.
        let partition = self.partition(&source.topic, source.partition);
        let Some(partition) = partition.filter(|partition| partition.assignment == source.assignment) else { return };
        if done.duplicates > 0 && partition.is_fresh && by_offset {
            // Whoever is started next must not go on as if nothing were wrong.
            partition.checkpoint.is_refused = true;
            partition.frontier.commit_again();
            let at = Coordinates { topic: source.topic.to_string(), partition: source.partition, offset: done.first };
            return self.fail(BridgeError::UnexpectedDuplicate { at });
        }
        partition.frontier.settle(source.ticket);
        self.last_settled = self.now();
    }

    /// Waits until nothing of these partitions is under way, at most so long. Whether that came true.
    pub(super) fn drain(&mut self, partitions: &[(String, i32)], limit: Duration) -> bool {
        let deadline = self.now() + limit;
        self.settle_done();
        self.pipeline.flush();
        loop {
            let idle = partitions.iter().all(|(topic, number)| {
                let partition = self.partitions.get(topic).and_then(|partitions| partitions.get(number));
                partition.is_none_or(|partition| partition.frontier.is_idle())
            });
            let left = deadline.saturating_sub(self.now());
            if idle || left.is_zero() || self.failure.is_some() {
                return idle;
            }
            match self.pipeline.done.recv_timeout(left) {
                Ok(done) => self.settle(&done),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Gives up all that is in memory, and begins with a writer that knows nothing.
    pub(super) fn give_up_what_is_buffered(&mut self) {
        match self.factory.start() {
            Ok(pipeline) => self.pipeline = pipeline,
            Err(error) => self.fail(error),
        }
        self.backpressure.free(self.backpressure.used());
        let keeps_some = self.all().next().is_some();
        self.rewind = keeps_some;
    }

    /// What is to be committed now: of these partitions, or of all.
    pub(super) fn to_commit(&self, only: Option<&[(String, i32)]>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (topic, number, partition) in self.all() {
            let wanted = only.is_none_or(|only| only.iter().any(|(name, of)| name == topic && *of == number));
            if let Some(offset) = partition.frontier.to_commit().filter(|_| wanted) {
                let mut entry = list.add_partition(topic, number);
                // Offsets come from Kafka, so it takes them.
                if entry.set_offset(Offset::Offset(offset)).is_ok() {
                    entry.set_metadata(partition.checkpoint.to_string());
                }
            }
        }
        list
    }

    /// The group has committed these.
    pub(super) fn committed(&mut self, list: &TopicPartitionList) {
        for entry in list.elements() {
            if let (Ok(()), Offset::Offset(offset)) = (entry.error(), entry.offset())
                && let Some(partition) = self.partition(entry.topic(), entry.partition())
            {
                partition.frontier.committed(offset);
            }
        }
    }

    /// The client has seen the end of a partition with this number.
    pub(super) fn end_seen(&mut self, number: i32) {
        let mut of_number: Vec<&mut Partition> =
            self.partitions.values_mut().filter_map(|partitions| partitions.get_mut(&number)).collect();
        // Which topic's it was is not said.
        if let [partition] = of_number.as_mut_slice() {
            partition.end_seen = true;
        }
    }

    /// Whether all that was there when it was assigned is settled, and no more partitions are to be expected.
    pub(super) fn is_at_end(&self) -> bool {
        let ours_are = self.all().all(|(_, _, partition)| {
            let frontier = &partition.frontier;
            frontier.is_idle() && (frontier.next() >= partition.end || partition.end_seen)
        });
        let quiet = self.now().saturating_sub(self.last_rebalance);
        self.was_assigned && ours_are && is_settled(self.all().count(), self.partition_total, quiet, self.session)
    }

    /// Since when the oldest record that is not settled waits.
    pub(super) fn oldest_since(&self) -> Option<Duration> {
        self.all().filter_map(|(_, _, partition)| partition.frontier.oldest_since()).min()
    }
}

/// Whether the group will give us no more: we have all, or nothing has changed for longer than a member that died may
/// keep its partitions. Its session ends first, then we have to hear of it and join again: twice that, and some more.
fn is_settled(ours: usize, all: usize, quiet: Duration, session: Duration) -> bool {
    ours >= all || quiet > session * 2 + REJOIN_MARGIN
}

/// What was found out about a partition at its assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) committed: Option<i64>,
    pub(super) checkpoint: Checkpoint,
    pub(super) end: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_partitions_that_a_dead_member_still_has() {
        let session = Duration::from_secs(1);
        let quiet = Duration::from_millis;
        assert!(is_settled(4, 4, quiet(0), session));
        // The first assignment of a cooperative group may hold nothing.
        assert!(!is_settled(0, 4, quiet(1_500), session));
        assert!(!is_settled(3, 4, quiet(7_000), session));
        assert!(is_settled(0, 4, quiet(7_001), session));
    }
}
