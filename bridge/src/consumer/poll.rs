//! The poll thread: fetches, hands over, commits. It never waits for S3.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klstore_format::plan::validate;
use klstore_writer::{Insertion, StoreWriter, WriterError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::chunk::{Chunk, Origin};
use super::context::Context;
use super::positions::check_affinity;
use super::state::{State, UNKNOWN_PARTITION};
use super::stop::StopHandle;
use super::until_end::UntilEnd;
use crate::affinity::Affinity;
use crate::backpressure::Change;
use crate::brokers::reach;
use crate::dead_letter::dead_letter;
use crate::error::BridgeError;
use crate::health::Health;
use crate::pipeline::PipelineFactory;
use crate::record::{Header, Record};
use crate::route::{Poison, Route, route};
use crate::settings::{BridgeConfig, DeadLetters, OnPoison};

/// How long one poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// A chunk is sent off at so many records or bytes.
const CHUNK_RECORDS: usize = 4_096;
const CHUNK_BYTES: u64 = 4 << 20;
/// How often lag is measured, and the queue of fetched records at most.
const STATISTICS_MILLIS: u32 = 5_000;
const MAX_FETCH_QUEUE_KIB: u64 = 4 << 10;
/// What of the byte budget is kept for that queue: a broker's answer under way may bring `fetch.max.bytes` more.
const MAX_FETCH_RESERVE: u64 = 64 << 20;
/// How soon a partition is looked at again that found the queue full; a second is librdkafka's default, for larger queues.
const FETCH_BACKOFF_MILLIS: u32 = 20;
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);

/// A bridge from a consumer group into lists.
///
/// ```no_run
/// use klstore_bridge::{KafkaConsumerBridge, settings::BridgeConfig};
/// use klstore_config::ConfigFile;
///
/// let runtime = tokio::runtime::Runtime::new()?;
/// let config = BridgeConfig::read(&ConfigFile::load("bridge.ini".as_ref())?, &|name| std::env::var(name).ok())?;
/// let bridge = KafkaConsumerBridge::new(config, runtime.handle().clone());
/// // From another thread: drains, commits, and lets `run` return.
/// let stop = bridge.stop_handle();
/// let summary = bridge.run()?;
/// println!("{} records", summary.record_count);
/// # stop.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaConsumerBridge {
    config: Arc<BridgeConfig>,
    runtime: Handle,
    stop: StopHandle,
    health: Health,
    until_end: bool,
}

/// What a bridge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Records that were taken.
    pub record_count: u64,
    /// Records that went nowhere, by policy.
    pub skipped_count: u64,
    /// Dead letters.
    pub dead_letter_count: u64,
}

impl KafkaConsumerBridge {
    /// A bridge whose I/O runs on `runtime`. Nothing is sent yet.
    pub fn new(config: BridgeConfig, runtime: Handle) -> Self {
        let (stop, health) = (StopHandle::default(), Health::default());
        Self { config: Arc::new(config), runtime, stop, health, until_end: false }
    }

    /// Ends by itself once the group has committed all that is in the partitions when it joins.
    #[must_use]
    pub fn until_end(mut self) -> Self {
        self.until_end = true;
        self
    }

    /// For ending it from elsewhere.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// How it does.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Consumes until it is stopped, on this thread, which must not be one of the runtime's. What was taken is then
    /// durable and committed, as far as `drain_timeout` allows.
    ///
    /// # Errors
    ///
    /// Why it cannot go on; what is durable is committed then too.
    pub fn run(self) -> Result<Summary, BridgeError> {
        let consumer = self.consumer()?;
        if !reach(&consumer, &self.config)? {
            return Ok(Summary::default());
        }
        let checked = check_affinity(&consumer, &self.config, &BTreeSet::new())?;
        if let Some(topic) = checked.missing(&self.config) {
            if self.until_end {
                return Err(BridgeError::TopicNotFound { topic: topic.to_owned() });
            }
            tracing::warn!(topic, "the topic is not there: it is consumed as soon as it is");
        }
        let affinity = checked.affinity;
        let topics = self.config.kafka.topics.subscription();
        consumer.subscribe(&topics).map_err(BridgeError::kafka(format!("subscribing to {}", topics.join(", "))))?;
        let reads_headers = self.config.parser.reads_headers() || self.config.parser.on_poison == OnPoison::DeadLetter;
        let mut poll = PollLoop {
            arena: BytesMut::new(),
            last_commit: Duration::ZERO,
            summary: Summary::default(),
            config: self.config,
            stop: self.stop,
            health: self.health,
            until_end: self.until_end.then(UntilEnd::default),
            affinity,
            reads_headers,
            consumer,
        };
        let ended = poll.run();
        poll.finish(&self.runtime, ended)
    }

    fn consumer(&self) -> Result<BaseConsumer<Context>, BridgeError> {
        let budget = self.config.batcher.max_buffered_bytes;
        let reserve = (budget / 4).min(MAX_FETCH_RESERVE);
        let fetch_queue_kib = (reserve / 1024).clamp(1_024, MAX_FETCH_QUEUE_KIB);
        let mut client = ClientConfig::new();
        client.set("queued.max.messages.kbytes", fetch_queue_kib.to_string());
        client.set("fetch.queue.backoff.ms", FETCH_BACKOFF_MILLIS.to_string());
        client.set("statistics.interval.ms", STATISTICS_MILLIS.to_string());
        for (name, value) in &self.config.kafka.client {
            client.set(name, value);
        }
        // Not the file's to say.
        client.set("enable.auto.commit", "false");
        client.set("enable.auto.offset.store", "false");
        client.set("enable.partition.eof", self.until_end.to_string());
        // Where to begin is decided at each assignment: an offset that is gone must never be reset silently.
        client.set("auto.offset.reset", "error");
        let factory = PipelineFactory { config: self.config.clone(), runtime: self.runtime.clone() };
        let state = State::new(self.config.clone(), factory, budget.saturating_sub(reserve).max(1))?;
        client
            .create_with_context(Context::new(state, self.stop.clone()))
            .map_err(BridgeError::kafka("creating the consumer"))
    }
}

struct PollLoop {
    config: Arc<BridgeConfig>,
    stop: StopHandle,
    health: Health,
    until_end: Option<UntilEnd>,
    affinity: Affinity,
    reads_headers: bool,
    /// Values of a chunk share an allocation.
    arena: BytesMut,
    last_commit: Duration,
    summary: Summary,
    consumer: BaseConsumer<Context>,
}

impl PollLoop {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.consumer.context().state()
    }

    fn run(&mut self) -> Result<(), BridgeError> {
        while !self.stop.is_stopped() {
            self.fetch()?;
            let mut state = self.state();
            state.settle_done();
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            let change = state.backpressure.change();
            metrics::gauge!("klstore_bridge_buffered_bytes").set(state.backpressure.used() as f64);
            let rewind = std::mem::take(&mut state.rewind);
            let has_suspects = state.has_suspects();
            let waiting = state.oldest_since().map_or(Duration::ZERO, |since| state.now().saturating_sub(since));
            self.health.polled(state.was_assigned, waiting);
            drop(state);
            if let Some(change) = change {
                self.pause_or_resume(change);
            }
            if !rewind.is_empty() {
                self.rewind(&rewind)?;
            }
            if has_suspects {
                self.settle_suspects();
            }
            self.commit_if_due();
            self.check_outage()?;
            if let Some(until_end) = &mut self.until_end
                && until_end.is_reached(&self.consumer, &self.config)?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Fetches what there is, up to a chunk, and sends it off; also where one of its records ends the bridge.
    fn fetch(&mut self) -> Result<(), BridgeError> {
        let now_millis = self.state().now_millis();
        let mut chunk = Chunk::default();
        let mut wait = POLL_WAIT;
        let mut outcome = Ok(());
        let mut ended = Vec::new();
        // The client is borrowed by its messages.
        while chunk.records < CHUNK_RECORDS && chunk.bytes < CHUNK_BYTES && outcome.is_ok() {
            let consumer = &self.consumer;
            match consumer.poll(wait) {
                Some(Ok(message)) => {
                    let taker = RecordTaker {
                        config: &self.config,
                        affinity: self.affinity,
                        reads_headers: self.reads_headers,
                        now_millis,
                    };
                    let mut state = consumer.context().state();
                    outcome = taker.take(&mut state, &mut chunk, &mut self.arena, &mut self.summary, &message);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => ended.push(partition),
                Some(Err(error)) => outcome = Self::client_error(error),
                None => break,
            }
            wait = Duration::ZERO;
        }
        metrics::counter!("klstore_bridge_records_total").increment(chunk.records as u64);
        let mut state = self.state();
        chunk.dispatch(&mut state);
        // Not before what came before the end was taken.
        ended.into_iter().for_each(|partition| state.end_seen(partition));
        drop(state);
        outcome
    }

    fn client_error(error: KafkaError) -> Result<(), BridgeError> {
        let fatal = match &error {
            KafkaError::MessageConsumptionFatal(_) => true,
            KafkaError::MessageConsumption(code) => matches!(
                code,
                RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
            ),
            _ => false,
        };
        if fatal {
            return Err(BridgeError::kafka("consuming")(error));
        }
        tracing::warn!(%error, "Kafka is in trouble; the client goes on trying");
        Ok(())
    }

    fn pause_or_resume(&self, change: Change) {
        let paused = self.consumer.assignment().and_then(|assignment| match change {
            Change::Pause => self.consumer.pause(&assignment),
            Change::Resume => self.consumer.resume(&assignment),
        });
        if let Err(error) = paused {
            tracing::warn!(%error, ?change, "partitions could not be paused or resumed");
        }
    }

    /// Reads those of the partitions that we still have again from where they are settled.
    fn rewind(&mut self, partitions: &[(String, i32)]) -> Result<(), BridgeError> {
        let mut list = TopicPartitionList::new();
        let mut state = self.state();
        for (topic, number) in partitions {
            let Some(partition) = state.partition(topic, *number) else { continue };
            partition.follows &= partition.frontier.is_idle();
            let offset = Offset::Offset(partition.frontier.rewind());
            // What is read again may be in the lists.
            partition.is_fresh = false;
            if list.find_partition(topic, *number).is_none() {
                list.add_partition_offset(topic, *number, offset).map_err(BridgeError::kafka("reading again"))?;
            }
        }
        let is_paused = state.backpressure.is_paused();
        drop(state);
        let again = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self
                .consumer
                .incremental_unassign(&list)
                .and_then(|()| self.consumer.incremental_assign(&list))
                .and_then(|()| if is_paused { self.consumer.pause(&list) } else { Ok(()) }),
            _ => self.consumer.seek_partitions(list, SEEK_TIMEOUT).map(drop),
        };
        again.map_err(BridgeError::kafka("reading again"))
    }

    /// Duplicates of lists that seem to be further than their partition.
    fn settle_suspects(&self) {
        let end = |topic: &str, number| {
            let watermarks = self.consumer.fetch_watermarks(topic, number, SEEK_TIMEOUT);
            let doing = || format!("reading the ends of {topic}/{number}");
            watermarks.map(|(_, high)| high).map_err(|error| BridgeError::kafka(doing())(error))
        };
        self.state().settle_suspects(end);
    }

    fn commit_if_due(&mut self) {
        let mut state = self.state();
        let now = state.now();
        if now.saturating_sub(self.last_commit) < self.config.run.commit_interval {
            return;
        }
        if let Ok(positions) = self.consumer.position() {
            state.follow(&positions);
        }
        let list = state.to_commit(None);
        drop(state);
        self.last_commit = now;
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::warn!(%error, "offsets could not be committed; tried again");
        }
    }

    fn check_outage(&self) -> Result<(), BridgeError> {
        let state = self.state();
        let (now, limit) = (state.now(), self.config.run.max_outage);
        let Some(waits) = state.oldest_since().map(|since| now.saturating_sub(since)) else { return Ok(()) };
        if waits < limit {
            return Ok(());
        }
        let all_wait = now.saturating_sub(state.last_settled) >= limit;
        if all_wait || state.pipeline.writer.statistics().failing_key_count > 0 {
            return Err(BridgeError::Outage { seconds: waits.as_secs() });
        }
        Ok(())
    }

    /// Makes durable what can be, commits it, and leaves the group.
    fn finish(self, runtime: &Handle, ended: Result<(), BridgeError>) -> Result<Summary, BridgeError> {
        let mut state = self.state();
        let all: Vec<(String, i32)> = state.all().map(|(topic, number, _)| (topic.to_owned(), number)).collect();
        let limit = match &ended {
            Err(BridgeError::Outage { .. }) => Duration::ZERO,
            _ => self.config.run.drain_timeout,
        };
        let drained = state.drain(&all, limit);
        // Leaving the group revokes all: what could be waited for has been.
        state.drain_limit = Duration::ZERO;
        let list = state.to_commit(None);
        let writer = state.pipeline.writer.clone();
        drop(state);
        if list.count() > 0 {
            self.consumer.context().commit_now(&self.consumer, &list);
        }
        if drained {
            let close = async { (writer.close().await, writer.inner().writer.close().await) };
            if runtime.block_on(async { tokio::time::timeout(limit, close).await }).is_err() {
                tracing::warn!("compactions were not finished; the next writer does them");
            }
        } else {
            tracing::warn!("not everything became durable; the next start reads it again");
        }
        let summary = self.summary;
        // Leaves the group.
        drop(self.consumer);
        ended.map(|()| summary)
    }
}

/// Decides on one record at a time.
struct RecordTaker<'l> {
    config: &'l BridgeConfig,
    affinity: Affinity,
    reads_headers: bool,
    /// Of the chunk: whether a timestamp is too far ahead needs no more.
    now_millis: i64,
}

impl RecordTaker<'_> {
    fn take(
        &self,
        state: &mut State,
        chunk: &mut Chunk,
        arena: &mut BytesMut,
        summary: &mut Summary,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), BridgeError> {
        let (topic, number, offset) = (message.topic(), message.partition(), message.offset());
        let Some(partition) = state.partition(topic, number) else { return Ok(()) };
        let (assignment, checkpoint, source) = (partition.assignment, partition.checkpoint, partition.source.clone());
        let origin = Origin { topic, partition: number, assignment, offset, checkpoint, source: source.as_ref() };
        if !partition.frontier.is_new(offset) || chunk.has(&origin) {
            return Ok(());
        }
        partition.follows = true;
        // The client decodes them when it is asked.
        let headers: Vec<Header<'_>> = match self.reads_headers.then(|| message.headers()).flatten() {
            Some(headers) => headers.iter().map(|header| (header.key, header.value)).collect(),
            None => Vec::new(),
        };
        let record = Record {
            topic,
            partition: number,
            offset,
            timestamp: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: &headers,
            ..Record::default()
        };
        let copy = |bytes: &[u8]| {
            arena.extend_from_slice(bytes);
            arena.split().freeze()
        };
        summary.record_count += 1;
        match route(&self.config.parser, checkpoint, origin.source, &record, copy) {
            Ok(Route::Skip) => {
                summary.skipped_count += 1;
                chunk.skip(&origin);
            }
            Ok(Route::Append { keyspace, key, insertion }) => {
                let list = (keyspace, key);
                match self.check(state, chunk, &origin, &record, &list, &insertion) {
                    Ok(()) => chunk.append(&origin, list, insertion),
                    Err(poison) => self.poison(chunk, summary, &origin, &record, poison)?,
                }
            }
            Err(poison) => self.poison(chunk, summary, &origin, &record, poison)?,
        }
        Ok(())
    }

    /// Whether the writer will take it: what it refuses later would stop a whole batch.
    fn check(
        &self,
        state: &mut State,
        chunk: &Chunk,
        origin: &Origin<'_>,
        record: &Record<'_>,
        list: &(String, String),
        insertion: &Insertion,
    ) -> Result<(), Poison> {
        let one = std::slice::from_ref(insertion);
        let checked = if chunk.knows(origin, list) {
            validate(one, self.now_millis, self.config.s3.max_future_skew_millis).map_err(WriterError::from)
        } else {
            state.pipeline.writer.check(&list.0, &list.1, one)
        };
        checked.map_err(|cause| Poison::NotAppendable { at: record.coordinates(), cause: Box::new(cause) })?;
        if self.affinity == Affinity::Asserted
            && let Some(other) = state.sources.other(origin.topic, &list.0, &list.1, origin.partition)
        {
            metrics::counter!("klstore_bridge_regressions_total").increment(1);
            let other = (other != UNKNOWN_PARTITION).then_some(other);
            return Err(Poison::OtherSource { at: record.coordinates(), other });
        }
        Ok(())
    }

    fn poison(
        &self,
        chunk: &mut Chunk,
        summary: &mut Summary,
        origin: &Origin<'_>,
        record: &Record<'_>,
        poison: Poison,
    ) -> Result<(), BridgeError> {
        metrics::counter!("klstore_bridge_poison_total", "kind" => poison.kind()).increment(1);
        let letters = self.config.parser.dead_letters.as_ref();
        match (self.config.parser.on_poison, letters) {
            (OnPoison::Fail, _) | (OnPoison::DeadLetter, None) => return Err(poison.into()),
            (OnPoison::Skip, _) => {
                summary.skipped_count += 1;
                chunk.skip(origin);
            }
            (OnPoison::DeadLetter, Some(DeadLetters::Keyspace(keyspace))) => {
                summary.dead_letter_count += 1;
                let letter: Bytes = dead_letter(record, &poison, origin.checkpoint.epoch);
                let mut insertion = Insertion::new(letter);
                insertion.nonce = u64::try_from(record.offset).ok().map(|offset| origin.checkpoint.nonce(offset));
                let list = (keyspace.clone(), format!("{}.{}", record.topic, record.partition));
                chunk.append_letter(origin, list, insertion);
            }
            (OnPoison::DeadLetter, Some(DeadLetters::Topic(_))) => {
                summary.dead_letter_count += 1;
                let key = format!("{}.{}.{}", record.topic, record.partition, record.offset);
                chunk.produce(origin, key, dead_letter(record, &poison, origin.checkpoint.epoch));
            }
        }
        Ok(())
    }
}
