//! How a batching writer is put together.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::by_hand::HandDriven;
use super::config::BatchingStoreWriterConfig;
use super::engine::{Engine, EngineParts, Message};
use super::key_buffer::BatchThresholds;
use super::lane::{Lane, LaneOptions, RetryDelays};
use super::statistics::LaneGauge;
use super::threads::LaneThread;
use super::{BatchingStoreWriter, LaneHandle, Shared};
use crate::environment::{Clock, RandomSource, SystemClock, SystemRandom};
use crate::error::WriterError;
use crate::sync::{self, Handle, RwLock, Semaphore};
use crate::writer::StoreWriter;

const DEFAULT_FLUSH_DEADLINE: Duration = Duration::from_secs(60);
const DEFAULT_RETRY_DELAYS: RetryDelays =
    RetryDelays { base: Duration::from_millis(100), max: Duration::from_secs(30) };

/// Makes a [`BatchingStoreWriter`] with other parts than the usual.
#[must_use]
pub struct BatchingStoreWriterBuilder<W> {
    writer: W,
    config: BatchingStoreWriterConfig,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    retry_delays: RetryDelays,
    flush_deadline: Duration,
    runtime: Option<Handle>,
}

impl<W: StoreWriter + 'static> BatchingStoreWriterBuilder<W> {
    pub(super) fn new(writer: W, config: BatchingStoreWriterConfig) -> Self {
        Self {
            writer,
            config,
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            retry_delays: DEFAULT_RETRY_DELAYS,
            flush_deadline: DEFAULT_FLUSH_DEADLINE,
            runtime: None,
        }
    }

    /// Goes by this clock; threads wait by the machine's all the same.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Draws idempotency keys and the jitter of waits from here.
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.random = random;
        self
    }

    /// Waits between the attempts of a batch: `base` after the first failure, doubling to `max`; `max` after an error
    /// that somebody has to put right. A random part of up to a half is taken off. 100 ms and 30 s unless set.
    ///
    /// They come on top of the retries of the inner writer, which gives an attempt up at its own deadline.
    pub fn retry_delays(mut self, base: Duration, max: Duration) -> Self {
        self.retry_delays = RetryDelays { base, max };
        self
    }

    /// After so long without anything of it becoming durable, a flush (or close, or duty cycle) ends with
    /// [`WriterError::StillBuffered`]. 60 s unless set, as long as `S3StoreWriter` gives an append.
    pub fn flush_deadline(mut self, deadline: Duration) -> Self {
        self.flush_deadline = deadline;
        self
    }

    /// Does I/O on this runtime instead of the current one.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The writer. Its threads run until it is closed or its last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`WriterError::Configuration`] for numbers that cannot work, [`WriterError::NoRuntime`] outside a tokio runtime
    /// and where no thread can be started.
    pub fn build(self) -> Result<BatchingStoreWriter<W>, WriterError> {
        self.config.validate()?;
        let no_runtime = |error: &dyn std::fmt::Display| WriterError::NoRuntime { reason: error.to_string() };
        let writer = Arc::new(self.writer);
        let budget = Budget::new(self.config.max_buffered_bytes);
        let options = LaneOptions {
            thresholds: BatchThresholds {
                items: self.config.batch_flush_item_count_threshold,
                value_bytes: self.config.batch_flush_size_threshold,
            },
            flush_interval: self.config.flush_interval(),
            max_in_flight: self.config.max_puts_in_flight,
            retry_delays: self.retry_delays,
            flush_deadline: self.flush_deadline,
        };
        let check_interval = self.config.check_interval();
        let threads = self.config.writer_thread_count;
        let mut shared = Shared {
            writer: writer.clone(),
            clock: self.clock.clone(),
            budget: budget.clone(),
            lanes: Vec::new(),
            by_hand: None,
            open: RwLock::new(true),
        };
        // Should a thread fail to start, dropping `shared` stops those before it.
        for number in 0..threads.max(1) {
            let (sender, receiver) = sync::channel::<Message>();
            let gauge = Arc::new(LaneGauge::default());
            let engine = Engine::new(EngineParts {
                lane: Lane::new(options, self.random.clone()),
                number,
                clock: self.clock.clone(),
                budget: budget.clone(),
                gauge: gauge.clone(),
                check_interval,
            });
            let places = self.config.writer_thread_queue_capacity.map(|capacity| Arc::new(Semaphore::new(capacity)));
            shared.lanes.push(LaneHandle { sender: sender.clone(), places, gauge });
            if threads == 0 {
                let (writer, clock) = (writer.clone(), self.clock.clone());
                shared.by_hand = Some(HandDriven::new(engine, writer, receiver, clock, check_interval));
                break;
            }
            let runtime = match &self.runtime {
                Some(runtime) => runtime.clone(),
                None => Handle::try_current().map_err(|error| no_runtime(&error))?,
            };
            let lane = LaneThread { engine, writer: writer.clone(), sender, receiver, runtime, has_duty: number == 0 };
            let thread = sync::thread::Builder::new().name(format!("klstore-lane-{number}"));
            thread.spawn(move || lane.run()).map_err(|error| no_runtime(&error))?;
        }
        Ok(BatchingStoreWriter { shared: Arc::new(shared) })
    }
}

impl<W> std::fmt::Debug for BatchingStoreWriterBuilder<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BatchingStoreWriterBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
