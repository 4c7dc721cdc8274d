//! Appending a stream of items: in batches, many keys at once, each key's items in their order.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use klstore_format::Insertion;
use klstore_writer::{Appended, StoreWriter, WriterError};
use tokio::task::{JoinError, JoinSet};

/// What an item takes in memory beside its value, roughly.
const ITEM_OVERHEAD: usize = 128;

/// How much an [`Appender`] does and keeps at once.
#[derive(Debug, Clone, Copy)]
pub struct AppenderLimits {
    /// Items of one append.
    pub batch_items: usize,
    /// Bytes of values after which an append takes no further item.
    pub batch_bytes: usize,
    /// Keys that are appended to at once.
    pub keys_in_flight: usize,
    /// Bytes of items that may wait or be under way. Beyond that [`Appender::push`] waits.
    pub buffered_bytes: usize,
}

impl Default for AppenderLimits {
    fn default() -> Self {
        Self { batch_items: 1_000, batch_bytes: 1 << 20, keys_in_flight: 64, buffered_bytes: 32 << 20 }
    }
}

/// What was appended so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub appended: u64,
    pub duplicates: u64,
    /// Different keys. They are told apart by a 64-bit hash, so that many do not take much memory.
    pub keys: u64,
}

/// Why not everything was appended. Nothing is under way any more.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct AppendError {
    pub error: WriterError,
    /// The key that it happened to.
    pub key: String,
    /// Every line before this one is in the store.
    pub resume_line: u64,
}

/// Collects items by key and appends them. Call [`finish`](Self::finish) at the end.
pub struct Appender<W> {
    writer: Arc<W>,
    keyspace: Arc<str>,
    limits: AppenderLimits,
    queues: HashMap<Arc<str>, Queue>,
    /// Keys whose next batch is full, to be sent first.
    full: VecDeque<Arc<str>>,
    /// Keys with items, the longest waiting first. Each stands here once at most.
    waiting: VecDeque<Arc<str>>,
    tasks: JoinSet<Outcome>,
    buffered_bytes: usize,
    totals: Totals,
    seen: HashSet<u64>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<(u64, Insertion)>,
    bytes: usize,
    /// Whether a batch is under way: the next one waits for it.
    in_flight: bool,
    /// Whether the key stands in [`Appender::waiting`], perhaps without items since.
    waiting: bool,
}

#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    insertions: Vec<Insertion>,
    bytes: usize,
}

struct Outcome {
    key: Arc<str>,
    lines: Vec<u64>,
    bytes: usize,
    result: Result<Appended, WriterError>,
}

impl<W: StoreWriter + 'static> Appender<W> {
    pub fn new(writer: Arc<W>, keyspace: &str, limits: AppenderLimits) -> Self {
        Self {
            writer,
            keyspace: keyspace.into(),
            limits,
            queues: HashMap::new(),
            full: VecDeque::new(),
            waiting: VecDeque::new(),
            tasks: JoinSet::new(),
            buffered_bytes: 0,
            totals: Totals::default(),
            seen: HashSet::new(),
        }
    }

    pub fn totals(&self) -> Totals {
        Totals { keys: self.seen.len() as u64, ..self.totals }
    }

    /// Takes one item, which came from `line` of the input; lines never go down. Waits while too much is buffered.
    ///
    /// # Errors
    /// [`AppendError`] of this or an earlier item.
    pub async fn push(&mut self, line: u64, key: &str, insertion: Insertion) -> Result<(), AppendError> {
        self.queue(line, key, insertion);
        self.take_completed().await?;
        self.start(false);
        while self.buffered_bytes > self.limits.buffered_bytes {
            self.start(true);
            self.complete_one().await?;
        }
        Ok(())
    }

    /// Sends what waits, as far as there is room, without waiting for it.
    ///
    /// # Errors
    /// [`AppendError`] of an earlier item.
    pub async fn send_waiting(&mut self) -> Result<(), AppendError> {
        self.take_completed().await?;
        self.start(true);
        Ok(())
    }

    /// Whether items are buffered or under way.
    pub fn is_busy(&self) -> bool {
        self.buffered_bytes > 0
    }

    /// Appends everything that was pushed. Compaction and collection may go on in the writer.
    ///
    /// # Errors
    /// [`AppendError`] of any item.
    pub async fn finish(&mut self) -> Result<(), AppendError> {
        loop {
            self.start(true);
            if self.tasks.is_empty() {
                return Ok(());
            }
            self.complete_one().await?;
        }
    }

    fn queue(&mut self, line: u64, key: &str, insertion: Insertion) {
        let key = match self.queues.get_key_value(key) {
            Some((known, _)) => known.clone(),
            None => Arc::from(key),
        };
        let queue = self.queues.entry(key.clone()).or_default();
        let was_full = queue.is_full(&self.limits);
        let size = size_of_item(&insertion);
        queue.items.push_back((line, insertion));
        queue.bytes += size;
        self.buffered_bytes += size;
        if queue.in_flight {
            return;
        }
        if !was_full && queue.is_full(&self.limits) {
            self.full.push_back(key.clone());
        }
        if !queue.waiting {
            queue.waiting = true;
            self.waiting.push_back(key);
        }
    }

    /// Starts full batches, and with `all` those that are not full too, while there is room.
    fn start(&mut self, all: bool) {
        while self.tasks.len() < self.limits.keys_in_flight {
            let Some(key) = self.next_key(all) else { return };
            self.send_batch(key);
        }
    }

    fn next_key(&mut self, all: bool) -> Option<Arc<str>> {
        if let Some(key) = self.full.pop_front() {
            return Some(key);
        }
        let key = if all { self.waiting.pop_front()? } else { return None };
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.waiting = false;
        }
        Some(key)
    }

    fn send_batch(&mut self, key: Arc<str>) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if queue.in_flight {
            return;
        }
        let batch = queue.take_batch(&self.limits);
        if batch.lines.is_empty() {
            self.forget_if_idle(&key);
            return;
        }
        queue.in_flight = true;
        let (writer, keyspace) = (self.writer.clone(), self.keyspace.clone());
        self.tasks.spawn(async move {
            let result = match writer.append_list(&keyspace, &key, batch.insertions).await {
                Ok(receipt) => receipt.await,
                Err(error) => Err(error),
            };
            Outcome { key, lines: batch.lines, bytes: batch.bytes, result }
        });
    }

    async fn take_completed(&mut self) -> Result<(), AppendError> {
        while let Some(joined) = self.tasks.try_join_next() {
            self.completed(joined).await?;
        }
        Ok(())
    }

    async fn complete_one(&mut self) -> Result<(), AppendError> {
        match self.tasks.join_next().await {
            Some(joined) => self.completed(joined).await,
            None => Ok(()),
        }
    }

    async fn completed(&mut self, joined: Result<Outcome, JoinError>) -> Result<(), AppendError> {
        let Some(mut first) = self.record(joined) else { return Ok(()) };
        // Whoever is told of an error is to know what was appended: wait for the others.
        while let Some(joined) = self.tasks.join_next().await {
            if let Some(error) = self.record(joined) {
                first.resume_line = first.resume_line.min(error.resume_line);
            }
        }
        let waiting = self.queues.values().filter_map(|queue| queue.items.front());
        first.resume_line = waiting.map(|(line, _)| *line).fold(first.resume_line, u64::min);
        Err(first)
    }

    /// Counts what one append did; its error, if it failed.
    fn record(&mut self, joined: Result<Outcome, JoinError>) -> Option<AppendError> {
        let outcome = match joined {
            Ok(outcome) => outcome,
            // It can only have panicked: give the panic on to whoever runs this.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        self.buffered_bytes -= outcome.bytes;
        if let Some(queue) = self.queues.get_mut(&outcome.key) {
            queue.in_flight = false;
            if queue.is_full(&self.limits) {
                self.full.push_back(outcome.key.clone());
            }
            if !queue.items.is_empty() && !queue.waiting {
                queue.waiting = true;
                self.waiting.push_back(outcome.key.clone());
            }
        }
        self.forget_if_idle(&outcome.key);
        match outcome.result {
            Ok(appended) => {
                self.count(&outcome.key, &appended);
                None
            }
            Err(error) => {
                if let Some(appended) = error.appended() {
                    self.count(&outcome.key, appended);
                }
                let done = match &error {
                    WriterError::PartlyAppended { insertions_done, .. } => *insertions_done,
                    _ => 0,
                };
                let resume_line = outcome.lines.get(done).or(outcome.lines.last()).copied().unwrap_or(1);
                Some(AppendError { error, key: outcome.key.to_string(), resume_line })
            }
        }
    }

    fn count(&mut self, key: &str, appended: &Appended) {
        self.totals.appended += appended.appended_count;
        self.totals.duplicates += appended.duplicate_count;
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.seen.insert(hasher.finish());
    }

    fn forget_if_idle(&mut self, key: &str) {
        if self.queues.get(key).is_some_and(|queue| !queue.in_flight && !queue.waiting && queue.items.is_empty()) {
            self.queues.remove(key);
        }
    }
}

impl Queue {
    fn is_full(&self, limits: &AppenderLimits) -> bool {
        self.items.len() >= limits.batch_items || self.bytes >= limits.batch_bytes
    }

    fn take_batch(&mut self, limits: &AppenderLimits) -> Batch {
        let mut batch = Batch::default();
        while batch.insertions.len() < limits.batch_items && batch.bytes < limits.batch_bytes {
            let Some((line, insertion)) = self.items.pop_front() else { break };
            batch.bytes += size_of_item(&insertion);
            batch.lines.push(line);
            batch.insertions.push(insertion);
        }
        self.bytes -= batch.bytes;
        batch
    }
}

fn size_of_item(insertion: &Insertion) -> usize {
    insertion.value.len() + ITEM_OVERHEAD
}
