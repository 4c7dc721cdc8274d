//! What the client calls from within `poll`: rebalances, commits' outcomes, its log and statistics.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};

use super::positions::{check_lists, positions};
use super::state::State;
use super::stop::StopHandle;
use crate::brokers::{Listener, Trouble};

/// The state, shared by the poll loop and what the client calls back. Both are on the poll thread: the lock is never
/// waited for, but must not be held across `poll`.
pub(super) struct Context {
    state: Mutex<State>,
    trouble: Trouble,
    stop: StopHandle,
}

impl Context {
    pub(super) fn new(state: State, stop: StopHandle) -> Self {
        Self { state: Mutex::new(state), trouble: Trouble::default(), stop }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        metrics::counter!("klstore_bridge_rebalances_total", "kind" => "assigned").increment(1);
        let mut list = TopicPartitionList::new();
        let (config, writer, runtime) = {
            let state = self.state();
            (state.config.clone(), state.pipeline.writer.inner().writer.clone(), state.factory.runtime.clone())
        };
        let positions = positions(consumer, &config, assigned).and_then(|positions| {
            check_lists(&writer, &runtime, &config, &positions)?;
            Ok(positions)
        });
        let mut state = self.state();
        state.was_assigned = true;
        match positions {
            Ok(positions) => {
                for position in positions {
                    tracing::info!(
                        topic = position.topic,
                        partition = position.partition,
                        start = position.start,
                        "assigned"
                    );
                    let start = Offset::Offset(position.start);
                    // Offsets come from Kafka, so it takes them.
                    drop(list.add_partition_offset(&position.topic, position.partition, start));
                    state.add(&position.topic, position.partition, position.start, position.found);
                }
            }
            Err(error) => {
                // The group wants an answer all the same; of partitions that are not in the state nothing is taken.
                list = assigned.clone();
                state.fail(error);
            }
        }
        let taken = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
            _ => consumer.assign(&list),
        };
        if let Err(error) = taken {
            state.fail(crate::error::BridgeError::kafka("taking an assignment")(error));
        }
        if state.backpressure.is_paused()
            && let Err(error) = consumer.pause(&list)
        {
            tracing::warn!(%error, "new partitions could not be paused");
        }
        // Whoever comes next must know that somebody was here: a duplicate then has a good reason.
        let fresh = state.to_commit(None);
        drop(state);
        if fresh.count() > 0 {
            self.commit_now(consumer, &fresh);
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let kind = if lost { "lost" } else { "revoked" };
        metrics::counter!("klstore_bridge_rebalances_total", "kind" => kind).increment(1);
        let partitions: Vec<(String, i32)> =
            revoked.elements().iter().map(|entry| (entry.topic().to_owned(), entry.partition())).collect();
        tracing::info!(?partitions, lost, "partitions are given back");
        let mut state = self.state();
        let limit = state.drain_limit;
        let drained = !lost && state.drain(&partitions, limit);
        if !lost {
            let list = state.to_commit(Some(&partitions));
            drop(state);
            if list.count() > 0 {
                self.commit_now(consumer, &list);
            }
            state = self.state();
        }
        for (topic, partition) in &partitions {
            state.remove(topic, *partition);
        }
        if !drained {
            tracing::warn!(lost, "what was in memory is given up; it is read again by whoever has its partition");
            state.give_up_what_is_buffered();
        }
        forget(&state, &partitions);
        let given = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(revoked),
            _ => consumer.unassign(),
        };
        if let Err(error) = given {
            tracing::warn!(%error, "giving partitions back");
        }
    }

    /// Commits and waits for the answer. Without one nothing is lost: the records are read again, and deduplicated.
    pub(super) fn commit_now(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        match consumer.commit(list, CommitMode::Sync) {
            Ok(()) => self.state().committed(list),
            Err(error) => commit_failed(&error),
        }
    }
}

/// Others append to the lists of these partitions from now on: what is known of them is not told as the latest.
fn forget(state: &State, partitions: &[(String, i32)]) {
    let lists = partitions.iter().map(|(topic, number)| state.config.parser.list_of(topic, *number));
    // Where a record decides on its list, all lists may be theirs.
    let lists: Option<HashSet<(String, String)>> = lists.collect();
    let matches = |keyspace: &str, key: &str| {
        let is_one = |lists: &HashSet<(String, String)>| lists.contains(&(keyspace.to_owned(), key.to_owned()));
        lists.as_ref().is_none_or(is_one)
    };
    state.pipeline.writer.inner().writer.forget(matches);
}

fn commit_failed(error: &KafkaError) {
    metrics::counter!("klstore_bridge_commit_failures_total").increment(1);
    tracing::warn!(%error, "offsets could not be committed; tried again while the partition is ours");
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            _ => self.revoked(consumer, list),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.state().committed(offsets),
            // A rebalance came in between, and has committed them itself.
            Err(KafkaError::ConsumerCommit(rdkafka::types::RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => commit_failed(&error),
        }
    }
}

impl Listener for Context {
    fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Its log has said it already.
        tracing::debug!(%error, reason, "librdkafka");
        self.trouble.note(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let state = self.state();
        let now = state.now();
        for (topic, number, partition) in state.all() {
            let labels = [("topic", topic.to_owned()), ("partition", number.to_string())];
            let known = statistics.topics.get(topic).and_then(|topic| topic.partitions.get(&number));
            if let Some(end) = known.map(|known| known.ls_offset.max(known.hi_offset)).filter(|end| *end >= 0) {
                let lag = end.saturating_sub(partition.frontier.settled()).max(0);
                metrics::gauge!("klstore_bridge_lag_records", &labels).set(lag as f64);
            }
            let age = partition.frontier.oldest_since().map_or(0.0, |since| now.saturating_sub(since).as_secs_f64());
            metrics::gauge!("klstore_bridge_frontier_age_seconds", &labels).set(age);
        }
    }
}
