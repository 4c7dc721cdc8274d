//! Why a bridge stops, and the exit code that says so.

use klstore_config::ConfigErrors;
use klstore_format::NameError;
use klstore_reader::ReaderError;
use klstore_writer::WriterError;
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::affinity::AffinityError;
use crate::checkpoint::UnknownCheckpoint;
use crate::dead_letter::UnreadableLetter;
use crate::record::Coordinates;
use crate::route::Poison;

/// Why a bridge stopped, or did not start. What was durable before is committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// Fix the configuration file.
    #[error(transparent)]
    Configuration(#[from] ConfigErrors),
    /// Fix the store's settings.
    #[error(transparent)]
    Store(Box<WriterError>),
    /// Choose other parsers, as the message says.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// Fix what the message says of Kafka.
    #[error("Kafka: {doing}: {cause}")]
    Kafka {
        /// What the bridge was doing.
        doing: String,
        /// What Kafka or librdkafka said.
        #[source]
        cause: KafkaError,
    },
    /// Fix the settings that the message names, or start a broker.
    #[error("Kafka: no broker at {servers} could be used: {reason}: {advice}")]
    NoBroker {
        /// `bootstrap.servers`.
        servers: String,
        /// What the client last said was wrong.
        reason: String,
        /// What to look at.
        advice: &'static str,
    },
    /// Create the topic, or correct its name.
    #[error("there is no topic {topic} (a pattern: none that it covers): create it, or correct `topic` in [kafka]")]
    TopicNotFound {
        /// The topic's name, or the pattern.
        topic: String,
    },
    /// Fix the record's producer, or choose another `on_poison`.
    #[error("{0}. on_poison=fail: fix its producer, or use on_poison=dlq or skip")]
    Poison(#[from] Poison),
    /// S3 did not take anything for longer than `max_outage`.
    #[error(
        "the store has not taken what has waited for {seconds} s (max_outage_millis): see the warnings above for its \
         answers. Nothing is lost: a new start goes on where the group has committed"
    )]
    Outage {
        /// How long the oldest record has waited.
        seconds: u64,
    },
    /// The group's committed offset is not one of the partition's.
    #[error(
        "{at} is what the group has committed, but the partition has offsets {low} to {high}: {}. Once it is \
         clear that nothing can be saved, stop all instances and run `klstore-bridge bump-epoch`, which begins anew \
         with what is there", if *.high < .at.offset {
            "the topic was deleted and created again, or was cut"
        } else {
            "records that were not consumed were deleted by the topic's retention, or the topic was created again"
        }
    )]
    OffsetGone {
        /// Topic, partition and committed offset.
        at: Coordinates,
        /// The lowest offset there is.
        low: i64,
        /// Behind the highest.
        high: i64,
    },
    /// The group has committed nothing, and its lists hold records.
    #[error(
        "{at}: the group had committed nothing of this partition, yet the list that a record goes to had its nonce or a \
         later one already, and would drop it as a duplicate: the topic was deleted and created again, the group's \
         offsets have expired, or another group feeds the same lists. Nothing more is taken from the partition until \
         `klstore-bridge bump-epoch` was run: right for a topic that was created again; else its records come once more"
    )]
    UnexpectedDuplicate {
        /// The chunk's partition, and the first of its records.
        at: Coordinates,
    },
    /// A list is further than its partition.
    #[error(
        "topic {topic}, partition {partition} ends at offset {high}, and a list that its records go to has been fed up to \
         offset {next} of a partition of this name: the topic was deleted and created again, and its records would be \
         dropped as duplicates. Stop all instances and run `klstore-bridge bump-epoch`, which begins anew with what is there"
    )]
    ListAhead {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Behind its last record.
        high: i64,
        /// The lowest offset that the list still takes.
        next: u64,
    },
    /// A list is fed from more partitions than it can keep apart.
    #[error(
        "the record at {at} and the following ones: {cause}. Nothing is lost: choose a list for each partition, or fewer \
         partitions, and start again"
    )]
    TooManySources {
        /// The first record that was not appended.
        at: Coordinates,
        /// The writer's words.
        #[source]
        cause: Box<WriterError>,
    },
    /// Give the topic a shorter name: with the epoch it is too long for a source.
    #[error(transparent)]
    SourceName(#[from] NameError),
    /// `auto.offset.reset=error`, and nothing is committed.
    #[error("topic {topic}, partition {partition}: the group has committed nothing, and auto.offset.reset=error")]
    NothingCommitted {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Upgrade all instances of the group.
    #[error(transparent)]
    Checkpoint(#[from] UnknownCheckpoint),
    /// The number of partitions changed under `key_affinity=asserted`.
    #[error(
        "topic {topic} had {before} partitions and has {now}: with key_affinity=asserted keys may have moved to other \
         partitions, where their records have lower offsets than the lists' nonces and would be lost. Use a topic whose \
         number of partitions stays, or key_parser=RecordPartition; to go on all the same, stop all instances and run \
         `klstore-bridge bump-epoch`"
    )]
    PartitionsChanged {
        /// The topic.
        topic: String,
        /// Its partitions when the group last committed.
        before: u32,
        /// Its partitions now.
        now: usize,
    },
    /// Name the queue.
    #[error("there is no dead-letter queue to replay: [parser] dead_letters names it")]
    NoDeadLetters,
    /// Fix the configuration for the letter, or pass over it.
    #[error(
        "{0}: its dead letter is still refused, and the letters of its partition behind it were not replayed. Change \
         [parser] so that it has somewhere to go, or pass over such letters with --skip-refused"
    )]
    StillRefused(Poison),
    /// Take it out of the queue, or pass over it.
    #[error("{place}: {cause}. Pass over such things with --skip-refused")]
    UnreadableLetter {
        /// Where it is in the queue.
        place: String,
        /// What is wrong with it.
        #[source]
        cause: UnreadableLetter,
    },
    /// Give them more memory.
    #[error("the dead letters in topic {topic} take more than {limit} bytes: raise [batcher] max_buffered_bytes")]
    TooManyLetters {
        /// The queue.
        topic: String,
        /// Bytes that they may take.
        limit: u64,
    },
    /// The queue's keyspace cannot be read: see the cause.
    #[error("reading dead letters of keyspace {queue}: {cause}")]
    Queue {
        /// The queue.
        queue: String,
        /// The reader's words.
        #[source]
        cause: Box<ReaderError>,
    },
    /// See the cause, and replay again.
    #[error("replaying into {list}: {cause}. Replay again: nothing is lost, and nothing is appended twice")]
    ReplayStopped {
        /// Keyspace and key.
        list: String,
        /// The writer's words.
        #[source]
        cause: Box<WriterError>,
    },
    /// The process cannot do what it needs of its own machine.
    #[error("{doing}: {cause}")]
    System {
        /// What it was doing.
        doing: &'static str,
        /// The operating system's words.
        #[source]
        cause: std::io::Error,
    },
}

impl BridgeError {
    /// The process's exit code; 0 and 2 are a good end and clap's.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::System { .. } => 1,
            Self::Configuration(_)
            | Self::Store(_)
            | Self::Affinity(_)
            | Self::TooManySources { .. }
            | Self::NoDeadLetters
            | Self::TooManyLetters { .. }
            | Self::SourceName(_) => 3,
            Self::Outage { .. } | Self::Queue { .. } | Self::ReplayStopped { .. } => 4,
            Self::Kafka { .. } | Self::NoBroker { .. } | Self::TopicNotFound { .. } => 5,
            Self::Poison(_) | Self::StillRefused(_) | Self::UnreadableLetter { .. } => 6,
            Self::OffsetGone { .. }
            | Self::UnexpectedDuplicate { .. }
            | Self::ListAhead { .. }
            | Self::NothingCommitted { .. }
            | Self::Checkpoint(_)
            | Self::PartitionsChanged { .. } => 7,
        }
    }

    /// Whether it is about one record or letter, which can be passed over.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::StillRefused(_) | Self::UnreadableLetter { .. })
    }

    pub(crate) fn store(cause: WriterError) -> Self {
        Self::Store(Box::new(cause))
    }

    pub(crate) fn kafka(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        move |cause| Self::Kafka { doing, cause }
    }
}
