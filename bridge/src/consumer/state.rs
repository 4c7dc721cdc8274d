//! What the poll thread knows: its partitions, what is in memory, and why it must stop, if it must.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use klstore_writer::{Clock, Source, SystemClock};
use rdkafka::{Offset, TopicPartitionList};

use crate::affinity::Sources;
use crate::backpressure::Backpressure;
use crate::checkpoint::Checkpoint;
use crate::error::BridgeError;
use crate::frontier::Frontier;
use crate::judge::Finding;
use crate::pipeline::{Done, ListFinding, Pipeline, PipelineFactory};
use crate::record::Coordinates;
use crate::route::Poison;
use crate::settings::{BridgeConfig, OnPoison};

/// A partition that is ours for now.
pub(super) struct Partition {
    /// Of this assignment: the same partition has another number when it comes back.
    pub(super) assignment: u64,
    pub(super) frontier: Frontier,
    pub(super) checkpoint: Checkpoint,
    /// The partition as lists know it, where they note how far they have been fed.
    pub(super) source: Option<Source>,
    /// Nothing was committed before: nobody of this group can have appended its records.
    pub(super) is_fresh: bool,
    /// Behind its last record when that was last asked.
    pub(super) end: i64,
    /// Whether the client's position is behind what was taken: not until a record comes again after one was given up.
    pub(super) follows: bool,
    /// Something of it will never be settled: nothing is to be waited for.
    is_stuck: bool,
}

impl Partition {
    fn end_offset(&self) -> u64 {
        u64::try_from(self.end).unwrap_or_default()
    }
}

/// Stands for no partition where a list does not say what has fed it.
pub(super) const UNKNOWN_PARTITION: i32 = -1;

pub(super) struct State {
    pub(super) config: Arc<BridgeConfig>,
    pub(super) factory: PipelineFactory,
    pub(super) pipeline: Pipeline,
    pub(super) partitions: HashMap<String, HashMap<i32, Partition>>,
    pub(super) backpressure: Backpressure,
    pub(super) sources: Sources,
    /// Whether the group has given us anything, be it nothing.
    pub(super) was_assigned: bool,
    /// What was in memory of these partitions was given up: they have to be read again from what is settled.
    pub(super) rewind: Vec<(String, i32)>,
    /// Duplicates whose lists are further than their partition was when that was last asked.
    suspects: Vec<Done>,
    /// How long a revoked partition waits for what is in memory.
    pub(super) drain_limit: Duration,
    /// Why the bridge must stop.
    pub(super) failure: Option<BridgeError>,
    pub(super) clock: SystemClock,
    /// When something became durable last.
    pub(super) last_settled: Duration,
    next_assignment: u64,
}

impl State {
    pub(super) fn new(config: Arc<BridgeConfig>, factory: PipelineFactory, budget: u64) -> Result<Self, BridgeError> {
        Ok(Self {
            pipeline: factory.start()?,
            factory,
            partitions: HashMap::new(),
            backpressure: Backpressure::new(budget),
            sources: Sources::default(),
            was_assigned: false,
            rewind: Vec::new(),
            suspects: Vec::new(),
            drain_limit: config.run.drain_timeout,
            failure: None,
            clock: SystemClock::default(),
            last_settled: Duration::ZERO,
            next_assignment: 0,
            config,
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
            source: found.source,
            end: found.end,
            follows: true,
            is_stuck: false,
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
            self.settle(done);
        }
    }

    fn settle(&mut self, mut done: Done) {
        self.backpressure.free(done.bytes);
        metrics::counter!("klstore_bridge_duplicates_total").increment(done.duplicates);
        let by_offset = self.config.parser.nonce.is_offset();
        let source = done.source.clone();
        // What was taken back meanwhile is somebody else's to settle.
        let partition = self.partition(&source.topic, source.partition);
        let Some(partition) = partition.filter(|partition| partition.assignment == source.assignment) else { return };
        if done.duplicates > 0 && partition.is_fresh && by_offset {
            // Whoever is started next must not go on as if nothing were wrong.
            partition.checkpoint.is_refused = true;
            partition.is_stuck = true;
            partition.frontier.commit_again();
            let at = Coordinates { topic: source.topic.to_string(), partition: source.partition, offset: done.first };
            return self.fail(BridgeError::UnexpectedDuplicate { at });
        }
        let at = Coordinates { topic: source.topic.to_string(), partition: source.partition, offset: done.first };
        if let Some(cause) = done.refused {
            partition.is_stuck = true;
            return self.fail(BridgeError::TooManySources { at, cause });
        }
        match done.finding.take() {
            Some(ListFinding { keyspace, key, finding: Finding::OtherSource { partition: other } }) => {
                return self.regressed(at, (&keyspace, &key), other);
            }
            Some(ListFinding { finding: Finding::Known { next }, .. }) if next > partition.end_offset() => {
                // Counted already.
                (done.bytes, done.duplicates) = (0, 0);
                done.finding =
                    Some(ListFinding { keyspace: String::new(), key: String::new(), finding: Finding::Known { next } });
                return self.suspects.push(done);
            }
            _ => {}
        }
        partition.frontier.settle(source.ticket);
        self.last_settled = self.now();
    }

    /// A list has dropped records that it never had: something else has fed it.
    fn regressed(&mut self, at: Coordinates, (keyspace, key): (&str, &str), other: Option<i32>) {
        metrics::counter!("klstore_bridge_regressions_total").increment(1);
        tracing::warn!(%at, ?other, "a list dropped records of a partition that has not fed it");
        if self.config.parser.on_poison == OnPoison::Fail {
            if let Some(partition) = self.partition(&at.topic, at.partition) {
                partition.is_stuck = true;
            }
            return self.fail(Poison::OtherSource { at, other }.into());
        }
        // They come again, and then are poison.
        self.sources.note(&at.topic, keyspace, key, other.unwrap_or(UNKNOWN_PARTITION));
        self.rewind.push((at.topic, at.partition));
    }

    /// Settles duplicates whose list was further than its partition, once the partition's end is known anew.
    pub(super) fn settle_suspects(&mut self, end: impl Fn(&str, i32) -> Result<i64, BridgeError>) {
        for done in std::mem::take(&mut self.suspects) {
            let (topic, number) = (done.source.topic.clone(), done.source.partition);
            let high = match end(&topic, number) {
                Ok(high) => high,
                Err(error) => {
                    tracing::warn!(%error, "asked again");
                    self.suspects.push(done);
                    continue;
                }
            };
            let Some(partition) = self.partition(&topic, number) else { continue };
            partition.end = partition.end.max(high);
            match done.finding {
                Some(ListFinding { finding: Finding::Known { next }, .. }) if next > partition.end_offset() => {
                    partition.is_stuck = true;
                    let (topic, partition) = (topic.to_string(), number);
                    self.fail(BridgeError::ListAhead { topic, partition, high, next });
                }
                _ => self.settle(done),
            }
        }
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Waits until nothing of these partitions is under way, at most so long. Whether that came true.
    pub(super) fn drain(&mut self, partitions: &[(String, i32)], limit: Duration) -> bool {
        let deadline = self.now() + limit;
        self.settle_done();
        self.pipeline.flush();
        loop {
            let idle = partitions.iter().all(|(topic, number)| {
                let partition = self.partitions.get(topic).and_then(|partitions| partitions.get(number));
                partition.is_none_or(|partition| partition.frontier.is_idle() || partition.is_stuck)
            });
            let left = deadline.saturating_sub(self.now());
            if idle || left.is_zero() || self.failure.is_some() {
                return idle;
            }
            match self.pipeline.done.recv_timeout(left) {
                Ok(done) => self.settle(done),
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
        self.suspects.clear();
        self.rewind = self.all().map(|(topic, number, _)| (topic.to_owned(), number)).collect();
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

    /// The client's positions: what is below and was not taken was no record.
    pub(super) fn follow(&mut self, positions: &TopicPartitionList) {
        for entry in positions.elements() {
            if let Offset::Offset(offset) = entry.offset()
                && let Some(partition) = self.partition(entry.topic(), entry.partition())
                && partition.follows
            {
                partition.frontier.skip_to(offset);
            }
        }
    }

    /// The client has seen the end of a partition with this number.
    pub(super) fn end_seen(&mut self, number: i32) {
        let mut of_number: Vec<&mut Partition> =
            self.partitions.values_mut().filter_map(|partitions| partitions.get_mut(&number)).collect();
        // Which topic's it was is not said. Compaction may leave nothing at the end, of which no position tells.
        if let [partition] = of_number.as_mut_slice()
            && partition.follows
        {
            partition.frontier.skip_to(partition.end);
        }
    }

    /// Since when the oldest record that is not settled waits.
    pub(super) fn oldest_since(&self) -> Option<Duration> {
        self.all().filter_map(|(_, _, partition)| partition.frontier.oldest_since()).min()
    }
}

/// What was found out about a partition at its assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) source: Option<Source>,
    pub(super) committed: Option<i64>,
    pub(super) checkpoint: Checkpoint,
    pub(super) end: i64,
}
