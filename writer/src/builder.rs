//! How a writer is put together.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use klstore_format::S3StoreConfig;
use klstore_format::names::Prefix;
use klstore_format::plan::SessionOptions;

use crate::background::Background;
use crate::driver::Driver;
use crate::environment::{Clock, RandomSource, SystemClock, SystemRandom};
use crate::error::WriterError;
use crate::in_doubt::Room;
use crate::keyspace::Keyspaces;
use crate::s3::S3ObjectStore;
use crate::s3_writer::{Pauses, S3StoreWriter, Shared};
use crate::sessions::Sessions;
use crate::statistics::Counters;
use crate::store::{ObjectStore, RetryPolicy};

const DEFAULT_COMPACTIONS: usize = 4;
const DEFAULT_COLLECTIONS: usize = 8;
const DEFAULT_PAUSES: Pauses = Pauses {
    compact_idle: Duration::from_secs(600),
    publish: Duration::from_secs(10),
    retry_compaction: Duration::from_secs(10),
};

/// Makes an [`S3StoreWriter`] with other parts or limits than the usual.
#[must_use]
pub struct S3StoreWriterBuilder {
    config: S3StoreConfig,
    store: Option<Arc<dyn ObjectStore>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    policy: RetryPolicy,
    memory_bytes: usize,
    compactions: usize,
    pauses: Pauses,
}

impl S3StoreWriterBuilder {
    pub(crate) fn new(config: S3StoreConfig) -> Self {
        Self {
            memory_bytes: config.carry_budget_bytes,
            config,
            store: None,
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            policy: RetryPolicy::default(),
            compactions: DEFAULT_COMPACTIONS,
            pauses: DEFAULT_PAUSES,
        }
    }

    /// Writes to this store instead of the S3 that the configuration names.
    pub fn store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Goes by this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Draws ids and jitter from here.
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.random = random;
        self
    }

    /// Waits and gives up by this policy.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Bytes that the carries and recent items of all keys may take together, instead of the configuration's
    /// `carry_budget_bytes`.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Compactions that may run at once; 4 unless set.
    pub fn concurrent_compactions(mut self, count: usize) -> Self {
        self.compactions = count;
        self
    }

    /// After so long without an append a duty cycle compacts a list's small commits; ten minutes unless set.
    pub fn compact_idle_after(mut self, pause: Duration) -> Self {
        self.pauses.compact_idle = pause;
        self
    }

    /// After so long without an append a duty cycle publishes a prepared index by a commit of its own; ten seconds
    /// unless set.
    pub fn publish_after(mut self, pause: Duration) -> Self {
        self.pauses.publish = pause;
        self
    }

    /// The writer.
    ///
    /// # Errors
    ///
    /// [`WriterError::Configuration`] and [`WriterError::InvalidName`] for settings that cannot work.
    pub async fn build(self) -> Result<S3StoreWriter, WriterError> {
        self.config.validate()?;
        let prefix = Prefix::new(&self.config.object_prefix)?;
        let store = match self.store {
            Some(store) => store,
            None => Arc::new(S3ObjectStore::new(&self.config).await?),
        };
        let driver = Arc::new(Driver {
            store,
            clock: self.clock,
            random: self.random,
            policy: self.policy,
            counters: Counters::default(),
        });
        let max_keys = NonZeroUsize::new(self.config.max_cached_keys).unwrap_or(NonZeroUsize::MIN);
        Ok(S3StoreWriter::from_shared(Shared {
            background: Background::new(driver.clone(), self.compactions, DEFAULT_COLLECTIONS),
            driver,
            sessions: Arc::new(Sessions::new(max_keys, self.memory_bytes)),
            keyspaces: Keyspaces::new(prefix.clone()),
            in_doubt: Room::new(self.memory_bytes),
            prefix,
            options: Arc::new(SessionOptions::from(&self.config)),
            max_future_skew_millis: self.config.max_future_skew_millis,
            pauses: self.pauses,
        }))
    }
}

impl std::fmt::Debug for S3StoreWriterBuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3StoreWriterBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
