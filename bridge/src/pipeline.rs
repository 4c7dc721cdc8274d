//! From the poll thread to the batching writer, and back with what is durable. The poll thread never waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use klstore_writer::{AppendReceipt, BatchingStoreWriter, Insertion, S3StoreWriter, StoreWriter, WriterError};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::error::BridgeError;
use crate::frontier::Ticket;
use crate::judge::{Finding, Judge};
use crate::measured::MeasuredWriter;
use crate::settings::{BridgeConfig, DeadLetters};

/// How long to wait after something failed that has to be put right.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The chunk that something is a part of.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// The assignment that its records came with.
    pub(crate) assignment: u64,
    pub(crate) ticket: Ticket,
}

/// Something to be made durable, for a part of a chunk.
pub(crate) struct Job {
    pub(crate) source: Source,
    /// What it counts against the budget.
    pub(crate) bytes: u64,
    /// The offset of its first record.
    pub(crate) first: i64,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    Append {
        keyspace: String,
        key: String,
        insertions: Vec<Insertion>,
        /// Asked where the list drops some of them.
        judge: Option<Judge>,
    },
    /// A dead letter for a topic.
    Produce { key: String, letter: Bytes },
}

/// A job that is durable, or never will be.
pub(crate) struct Done {
    pub(crate) source: Source,
    pub(crate) bytes: u64,
    pub(crate) first: i64,
    pub(crate) duplicates: u64,
    /// Where there were duplicates, what their list says of them.
    pub(crate) finding: Option<ListFinding>,
    /// Why it cannot become durable.
    pub(crate) refused: Option<Box<WriterError>>,
}

/// What a list says of duplicates.
pub(crate) struct ListFinding {
    pub(crate) keyspace: String,
    pub(crate) key: String,
    pub(crate) finding: Finding,
}

enum Message {
    Job(Job),
    Flush,
}

/// A writer with everything that is under way. Dropping it gives all of that up.
pub(crate) struct Pipeline {
    pub(crate) writer: BatchingStoreWriter<MeasuredWriter>,
    sender: UnboundedSender<Message>,
    pub(crate) done: mpsc::Receiver<Done>,
    tasks: [JoinHandle<()>; 2],
}

/// What all pipelines of a bridge have in common.
pub(crate) struct PipelineFactory {
    pub(crate) config: Arc<BridgeConfig>,
    pub(crate) runtime: Handle,
}

impl PipelineFactory {
    /// A new writer, which knows nothing of any list. Blocks; not to be called on the runtime.
    pub(crate) fn start(&self) -> Result<Pipeline, BridgeError> {
        let config = &self.config;
        let writer = self.runtime.block_on(S3StoreWriter::new(config.s3.clone())).map_err(BridgeError::store)?;
        let batching =
            BatchingStoreWriter::builder(MeasuredWriter { writer, clock: Arc::default() }, config.batcher.clone())
                .runtime(self.runtime.clone());
        let writer = batching.build().map_err(BridgeError::store)?;
        let letters = match &config.parser.dead_letters {
            Some(DeadLetters::Topic(topic)) => Some(LetterProducer::new(config, topic)?),
            _ => None,
        };
        let (sender, jobs) = unbounded_channel();
        let (open, opened) = unbounded_channel();
        let (finished, done) = mpsc::channel();
        let taker = Taker {
            writer: writer.clone(),
            create_keyspaces: config.run.create_keyspaces,
            keyspaces: HashSet::new(),
            open,
            letters,
        };
        let tasks = [self.runtime.spawn(taker.run(jobs)), self.runtime.spawn(settle(writer.clone(), opened, finished))];
        Ok(Pipeline { writer, sender, done, tasks })
    }
}

impl Pipeline {
    pub(crate) fn send(&self, job: Job) {
        // Its tasks end with the pipeline alone.
        drop(self.sender.send(Message::Job(job)));
    }

    /// Has everything that was sent before made durable soon.
    pub(crate) fn flush(&self) {
        drop(self.sender.send(Message::Flush));
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Hands jobs to the writer, in their order.
struct Taker {
    writer: BatchingStoreWriter<MeasuredWriter>,
    create_keyspaces: bool,
    /// Those that exist for certain.
    keyspaces: HashSet<String>,
    open: UnboundedSender<Open>,
    letters: Option<LetterProducer>,
}

/// A job that the writer or the producer has.
struct Open {
    done: Done,
    promise: Promise,
}

enum Promise {
    Append { keyspace: String, key: String, receipt: AppendReceipt, judge: Option<Judge> },
    Produce { producer: LetterProducer, key: String, letter: Bytes },
}

impl Taker {
    async fn run(mut self, mut jobs: UnboundedReceiver<Message>) {
        while let Some(message) = jobs.recv().await {
            match message {
                Message::Job(job) => self.take(job).await,
                Message::Flush => {
                    let writer = self.writer.clone();
                    tokio::spawn(async move {
                        if let Err(error) = writer.flush_all().await {
                            tracing::warn!(%error, "not everything is durable yet");
                        }
                    });
                }
            }
        }
    }

    async fn take(&mut self, job: Job) {
        let Job { source, bytes, first, work } = job;
        let done = Done { source, bytes, first, duplicates: 0, finding: None, refused: None };
        let promise = match work {
            Work::Append { keyspace, key, insertions, judge } => {
                self.ensure_keyspace(&keyspace).await;
                match self.writer.append_list(&keyspace, &key, insertions).await {
                    Ok(receipt) => Promise::Append { keyspace, key, receipt, judge },
                    // Names and insertions were checked before, so the writer is being dropped: nobody waits any more.
                    Err(error) => return tracing::warn!(%error, "an append was not taken"),
                }
            }
            Work::Produce { key, letter } => {
                let Some(producer) = self.letters.clone() else { return };
                Promise::Produce { producer, key, letter }
            }
        };
        drop(self.open.send(Open { done, promise }));
    }

    /// Creates a keyspace that was not seen before, and waits until it exists: what comes later waits too, as the
    /// store does not answer.
    async fn ensure_keyspace(&mut self, keyspace: &str) {
        if !self.create_keyspaces || self.keyspaces.contains(keyspace) {
            return;
        }
        while let Err(error) = self.writer.create_keyspace(keyspace).await {
            if matches!(error, WriterError::KeyspaceAlreadyExists { .. }) {
                break;
            }
            tracing::warn!(%error, "a keyspace could not be created; tried again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        self.keyspaces.insert(keyspace.to_owned());
    }
}

/// Tells the poll thread of each job that became durable.
async fn settle(
    writer: BatchingStoreWriter<MeasuredWriter>,
    mut opened: UnboundedReceiver<Open>,
    finished: mpsc::Sender<Done>,
) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = opened.recv() => match job {
                Some(job) => open.push(durable(&writer, job)),
                None => return,
            },
            Some(done) = open.next() => {
                if let Some(done) = done && finished.send(done).is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits until a job is durable, however long it takes; `None` where the writer was dropped.
async fn durable(writer: &BatchingStoreWriter<MeasuredWriter>, job: Open) -> Option<Done> {
    let mut done = job.done;
    match job.promise {
        Promise::Append { keyspace, key, receipt, judge } => {
            // Whether the list may have dropped records, and if so all of them.
            let (dropped, all) = match receipt.await {
                Ok(appended) => {
                    done.duplicates = appended.duplicate_count;
                    (appended.duplicate_count > 0, appended.appended_count == 0)
                }
                // Durable all the same; only what became of each record is not known.
                Err(WriterError::UnexpectedReceipt { .. }) => (true, true),
                Err(error) if matches!(error.cause(), WriterError::TooManySources { .. }) => {
                    done.refused = Some(Box::new(error));
                    return Some(done);
                }
                Err(error @ WriterError::StillBuffered { .. }) => {
                    tracing::error!(%error, "somebody has to put this right; tried again until then");
                    while let Err(error) = writer.flush_key(&keyspace, &key).await {
                        tracing::debug!(%error, "not durable yet");
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    (true, true)
                }
                Err(_) => return None,
            };
            if let Some(judge) = judge.filter(|_| dropped) {
                let finding = judge.ask(&writer.inner().writer, &keyspace, &key, all).await;
                done.finding = Some(ListFinding { keyspace, key, finding });
            }
        }
        Promise::Produce { producer, key, letter } => producer.produce(&key, &letter).await,
    }
    Some(done)
}

/// Produces dead letters to their topic.
#[derive(Clone)]
struct LetterProducer {
    producer: FutureProducer,
    topic: Arc<str>,
}

impl LetterProducer {
    fn new(config: &BridgeConfig, topic: &str) -> Result<Self, BridgeError> {
        let mut client = ClientConfig::new();
        // How to reach the brokers, and nothing of how to consume.
        let shared = ["bootstrap.servers", "client.id", "client.dns.lookup", "broker.address.family"];
        for (name, value) in &config.kafka.client {
            let security = ["security.", "ssl.", "sasl.", "enable.ssl", "enable.sasl"];
            if shared.contains(&name.as_str()) || security.iter().any(|prefix| name.starts_with(prefix)) {
                client.set(name, value);
            }
        }
        client.set("enable.idempotence", "true");
        let producer = client.create().map_err(BridgeError::kafka("creating the dead letters' producer"))?;
        Ok(Self { producer, topic: topic.into() })
    }

    async fn produce(&self, key: &str, letter: &[u8]) {
        loop {
            let record = FutureRecord::to(&self.topic).key(key).payload(letter);
            match self.producer.send(record, Timeout::Never).await {
                Ok(_) => return,
                Err((error, _)) => {
                    tracing::error!(%error, topic = %self.topic, "a dead letter could not be produced; tried again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}
