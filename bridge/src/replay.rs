//! `replay-dlq`: dead letters go where the present configuration sends their records, each once.
//!
//! A list notes how far it has come with the letters of each partition, as it does with the partition itself (see
//! [`DeadLetter::source`]): however often letters are replayed, or a replay is killed, nothing is appended twice. For
//! that the letters of a partition are taken in the order of their records, and one that is still refused stops them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use klstore_format::IterationOrder;
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter, WriterError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::checkpoint::Checkpoint;
use crate::dead_letter::DeadLetter;
use crate::error::BridgeError;
use crate::operate::{self, PartitionState};
use crate::parser::NumberParser;
use crate::route::{Poison, Route, route};
use crate::settings::{BridgeConfig, DeadLetters, ParserSettings};

/// Letters that are appended together at most.
const PAGE: u64 = 1_000;
const POLL_WAIT: Duration = Duration::from_millis(200);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the queue's topic may say nothing before it is taken for broken.
const QUIET: Duration = Duration::from_secs(60);

/// What a replay did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Letters whose records were appended.
    pub appended_count: u64,
    /// Letters that were replayed before.
    pub duplicate_count: u64,
    /// Tombstones that the configuration skips.
    pub skipped_count: u64,
    /// Letters of records that the group has not settled yet: the next replay takes them.
    pub unsettled_count: u64,
    /// Letters that are still refused, and were passed over.
    pub refused_count: u64,
}

/// Replays the queue that `[parser] dead_letters` names. With `skip_refused` letters that are still refused are passed
/// over: they stay in the queue, and are lost to lists that take a later letter of their partition.
///
/// # Errors
///
/// [`BridgeError::StillRefused`] at the first letter that is still refused, after everything before it was appended;
/// where there is no queue; where Kafka or the store fails.
pub async fn replay(config: &BridgeConfig, skip_refused: bool) -> Result<Replayed, BridgeError> {
    let writer = S3StoreWriter::new(config.s3.clone()).await.map_err(BridgeError::store)?;
    let parser = ParserSettings { nonce: NumberParser::None, ..config.parser.clone() };
    let (keyspaces, replayed) = (HashSet::new(), Replayed::default());
    let mut replay = Replay { config, parser, writer, skip_refused, keyspaces, replayed };
    let outcome = match &config.parser.dead_letters {
        Some(DeadLetters::Keyspace(keyspace)) => replay.keyspace(keyspace).await,
        Some(DeadLetters::Topic(topic)) => replay.topic(topic).await,
        None => Err(BridgeError::NoDeadLetters),
    };
    // What was prepared beside the appends; the next writer does it otherwise.
    if let Err(error) = replay.writer.close().await {
        tracing::warn!(%error, "closing the writer");
    }
    outcome.map(|()| replay.replayed)
}

struct Replay<'c> {
    config: &'c BridgeConfig,
    /// Without nonces: those of old records are below what the lists have.
    parser: ParserSettings,
    writer: S3StoreWriter,
    skip_refused: bool,
    /// Those that exist for certain.
    keyspaces: HashSet<String>,
    replayed: Replayed,
}

impl Replay<'_> {
    /// Each partition has a list of its own there, in the order of its records.
    async fn keyspace(&mut self, keyspace: &str) -> Result<(), BridgeError> {
        let failed = |cause| BridgeError::Queue { queue: keyspace.to_owned(), cause: Box::new(cause) };
        let reader = S3StoreReader::new(self.config.s3.clone()).await.map_err(failed)?;
        let mut continuation = None;
        loop {
            let page = reader.list_keys(keyspace, "", None, continuation).await.map_err(failed)?;
            for key in page.keys {
                let mut next = None;
                loop {
                    let order = IterationOrder::Forwards;
                    let letters = reader.read_page(keyspace, &key, order, Some(PAGE), None, next).await;
                    let letters = letters.map_err(failed)?;
                    let place = |offset| format!("keyspace {keyspace}, key {key}, offset {offset}");
                    let letters_read = letters.items.iter().map(|item| (place(item.offset), &item.value[..]));
                    self.send(read_letters(letters_read)).await?;
                    next = letters.continuation;
                    if next.is_none() {
                        break;
                    }
                }
            }
            continuation = page.continuation;
            if continuation.is_none() {
                return Ok(());
            }
        }
    }

    /// Its letters are of all partitions, in any order, and some may be there twice.
    async fn topic(&mut self, topic: &str) -> Result<(), BridgeError> {
        let (config, name) = (self.config.clone(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || read_topic(&config, &name)).await;
        let (states, mut letters) = read.map_err(|cause| BridgeError::System {
            doing: "reading the dead letters' topic",
            cause: std::io::Error::other(cause),
        })??;
        let all = letters.len();
        letters.retain(|letter| match letter {
            Ok(letter) => is_settled(letter, &states),
            Err(_) => true,
        });
        self.replayed.unsettled_count += (all - letters.len()) as u64;
        letters.sort_by(|one, other| match (one, other) {
            (Ok(one), Ok(other)) => one.order().cmp(&other.order()),
            // What nobody can read comes last.
            (one, other) => one.is_err().cmp(&other.is_err()),
        });
        let mut letters = letters.into_iter().peekable();
        while letters.peek().is_some() {
            let page: Vec<_> = letters.by_ref().take(PAGE as usize).collect();
            self.send(page).await?;
        }
        Ok(())
    }

    /// Appends what the letters hold, up to the first that is refused.
    async fn send(&mut self, letters: Vec<Result<DeadLetter, BridgeError>>) -> Result<(), BridgeError> {
        let mut lists: BTreeMap<(String, String), Vec<Insertion>> = BTreeMap::new();
        let mut refused = None;
        for letter in letters {
            match letter.and_then(|letter| self.route(&letter)) {
                Ok(Route::Append { keyspace, key, insertion }) => {
                    lists.entry((keyspace, key)).or_default().push(insertion);
                }
                Ok(Route::Skip) => self.replayed.skipped_count += 1,
                Err(error) if self.skip_refused && error.is_refusal() => {
                    tracing::warn!(%error, "passed over");
                    self.replayed.refused_count += 1;
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        for ((keyspace, key), insertions) in lists {
            let appended = self.append(&keyspace, &key, insertions).await;
            let (appended, duplicates) = appended.map_err(|cause| BridgeError::ReplayStopped {
                list: format!("{keyspace}/{key}"),
                cause: Box::new(cause),
            })?;
            self.replayed.appended_count += appended;
            self.replayed.duplicate_count += duplicates;
        }
        refused.map_or(Ok(()), Err)
    }

    fn route(&self, letter: &DeadLetter) -> Result<Route, BridgeError> {
        let source = letter.source()?;
        let decided = letter.with_record(|record| {
            let route = route(&self.parser, Checkpoint::default(), Some(&source), record, Bytes::copy_from_slice)?;
            if let Route::Append { keyspace, key, insertion } = &route {
                let checked = self.writer.check(keyspace, key, std::slice::from_ref(insertion));
                checked.map_err(|cause| Poison::NotAppendable { at: record.coordinates(), cause: Box::new(cause) })?;
            }
            Ok(route)
        });
        decided.map_err(BridgeError::StillRefused)
    }

    async fn append(
        &mut self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<(u64, u64), WriterError> {
        if self.config.run.create_keyspaces && !self.keyspaces.contains(keyspace) {
            match self.writer.create_keyspace(keyspace).await {
                Ok(_) | Err(WriterError::KeyspaceAlreadyExists { .. }) => self.keyspaces.insert(keyspace.to_owned()),
                Err(error) => return Err(error),
            };
        }
        let appended = self.writer.append_list(keyspace, key, insertions).await?.await?;
        Ok((appended.appended_count, appended.duplicate_count))
    }
}

fn read_letters<'l>(letters: impl Iterator<Item = (String, &'l [u8])>) -> Vec<Result<DeadLetter, BridgeError>> {
    let read =
        |(place, letter)| DeadLetter::parse(letter).map_err(|cause| BridgeError::UnreadableLetter { place, cause });
    letters.map(read).collect()
}

/// Whether nothing that the group has still in its hands can become a letter before this one.
fn is_settled(letter: &DeadLetter, states: &[PartitionState]) -> bool {
    let at = letter.coordinates();
    let state = states.iter().find(|state| state.topic == at.topic && state.partition == at.partition);
    // Of a topic that is not consumed any more nothing comes.
    state.is_none_or(|state| {
        letter.order().0 != state.checkpoint.epoch || state.committed.is_some_and(|committed| at.offset < committed)
    })
}

/// All letters of a topic, as far as memory is meant for them, and where the group stands in its own topics.
#[allow(clippy::type_complexity, reason = "said once")]
fn read_topic(
    config: &BridgeConfig,
    topic: &str,
) -> Result<(Vec<PartitionState>, Vec<Result<DeadLetter, BridgeError>>), BridgeError> {
    // Before the letters are read: what becomes one later is not below what is committed now.
    let states = operate::partitions(config)?;
    let doing = || format!("reading the dead letters of topic {topic}");
    let mut client = operate::client(config);
    client.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = client.create().map_err(BridgeError::kafka(doing()))?;
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(BridgeError::kafka(doing()))?;
    let known = metadata.topics().iter().find(|known| known.name() == topic);
    let partitions: Vec<i32> =
        known.into_iter().flat_map(|known| known.partitions()).map(|partition| partition.id()).collect();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        let added = list.add_partition_offset(topic, *partition, Offset::Beginning);
        added.map_err(BridgeError::kafka(doing()))?;
    }
    consumer.assign(&list).map_err(BridgeError::kafka(doing()))?;
    let (mut letters, mut bytes, mut ended, mut quiet) = (Vec::new(), 0, HashSet::new(), Duration::ZERO);
    while ended.len() < partitions.len() {
        let message = match consumer.poll(POLL_WAIT) {
            None if quiet >= QUIET => {
                return Err(BridgeError::kafka(doing())(KafkaError::MessageConsumption(
                    rdkafka::types::RDKafkaErrorCode::OperationTimedOut,
                )));
            }
            None => {
                quiet += POLL_WAIT;
                continue;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
                continue;
            }
            Some(message) => message.map_err(BridgeError::kafka(doing()))?,
        };
        quiet = Duration::ZERO;
        let letter = message.payload().unwrap_or_default();
        bytes += letter.len() as u64;
        let limit = config.batcher.max_buffered_bytes;
        if bytes > limit {
            return Err(BridgeError::TooManyLetters { topic: topic.to_owned(), limit });
        }
        let place = format!("topic {topic}, partition {}, offset {}", message.partition(), message.offset());
        letters.extend(read_letters([(place, letter)].into_iter()));
    }
    Ok((states, letters))
}
