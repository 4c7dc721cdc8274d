//! The reader of lists on S3.

use std::sync::Arc;

use async_trait::async_trait;
use klstore_format::names::{KeyspaceName, ListName, Prefix};
use klstore_format::plan::keys::{self, KeyList, KeyspaceList};
use klstore_format::plan::metadata;
use klstore_format::plan::read::{self, PageRequest};
use klstore_format::plan::timeline::{self, Timeline, TimelineWindow};
use klstore_format::plan::{Plan, Step};
use klstore_format::{ItemFilter, ItemList, IterationOrder, KeyMetadata, KeyspaceMetadata, ListStats, S3StoreConfig};

use crate::builder::S3StoreReaderBuilder;
use crate::client::Client;
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::store_reader::StoreReader;

/// Keyspaces or keys in one answer where nothing else is said.
const DEFAULT_NAMES: u32 = 1_000;

/// Reads lists on S3 (or a store that speaks its protocol). Cloning it is cheap; clones share connections and cache.
///
/// ```no_run
/// use klstore_format::{IterationOrder, S3StoreConfig};
/// use klstore_reader::{S3StoreReader, StoreReader};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let reader = S3StoreReader::new(S3StoreConfig::new("my-bucket")).await?;
/// let newest = reader.read_page("flights", "N14228", IterationOrder::Backwards, Some(10), None, None).await?;
/// for item in newest.items {
///     println!("{} {} {}", item.offset, item.timestamp, String::from_utf8_lossy(&item.value));
/// }
/// # Ok::<(), klstore_reader::ReaderError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct S3StoreReader(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) prefix: Prefix,
    pub(crate) default_max_results: u64,
}

impl S3StoreReader {
    /// A reader with the defaults of [`builder`](Self::builder). Sends no request yet.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Configuration`] where the configuration is not usable.
    pub async fn new(config: S3StoreConfig) -> Result<Self, ReaderError> {
        Self::builder(config).build().await
    }

    /// To choose transport, credentials, clock, cache or bounds.
    pub fn builder(config: S3StoreConfig) -> S3StoreReaderBuilder {
        S3StoreReaderBuilder::new(config)
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn environment(&self) -> &dyn Environment {
        self.0.client.environment.as_ref()
    }

    pub(crate) fn list_name(&self, keyspace: &str, key: &str) -> Result<ListName, ReaderError> {
        Ok(ListName::new(&self.0.prefix, keyspace, key)?)
    }

    /// Carries a plan through, adding up in `stats` what it takes.
    pub(crate) async fn run<T>(&self, mut plan: Plan<T>, stats: &mut ListStats) -> Result<T, ReaderError> {
        let mut answers = Vec::new();
        loop {
            match plan.step(answers) {
                Step::Done(output) => return Ok(output),
                Step::Send(requests) => answers = self.0.client.send(requests, stats).await?,
            }
        }
    }
}

impl std::fmt::Debug for S3StoreReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("S3StoreReader")
            .field("store", &self.0.client.source.describe())
            .field("prefix", &self.0.prefix.as_str())
            .field("cache", &self.0.client.cache)
            .finish_non_exhaustive()
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl StoreReader for S3StoreReader {
    async fn read_keyspace_metadata(&self, keyspace: &str) -> Result<KeyspaceMetadata, ReaderError> {
        let plan = metadata::read_keyspace_metadata(self.0.prefix.clone(), KeyspaceName::new(keyspace)?);
        Ok(self.run(plan, &mut ListStats::default()).await??)
    }

    async fn read_key_metadata(&self, keyspace: &str, key: &str) -> Result<Option<KeyMetadata>, ReaderError> {
        let plan = metadata::read_key_metadata(self.list_name(keyspace, key)?);
        Ok(self.run(plan, &mut ListStats::default()).await??)
    }

    async fn read_page(
        &self,
        keyspace: &str,
        key: &str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> Result<ItemList, ReaderError> {
        let plan = read::read_page(PageRequest {
            list: self.list_name(keyspace, key)?,
            order,
            max_size: max_size.unwrap_or(self.0.default_max_results),
            filter: filter.unwrap_or_default(),
            continuation,
        });
        let mut stats = ListStats::default();
        let page = self.run(plan, &mut stats).await??;
        stats.continuation_miss_count = page.continuation_misses;
        stats.trimmed_item_count = page.trimmed_items;
        Ok(ItemList {
            keyspace: keyspace.to_owned(),
            key: key.to_owned(),
            items: page.items,
            continuation: page.continuation,
            stats,
        })
    }

    fn skip(
        &self,
        keyspace: &str,
        key: &str,
        order: IterationOrder,
        continuation: &str,
        items: u64,
    ) -> Result<Option<(String, u64)>, ReaderError> {
        Ok(read::skip(&self.list_name(keyspace, key)?, order, continuation, items)?)
    }

    async fn read_timeline(
        &self,
        keyspace: &str,
        key: &str,
        window: TimelineWindow,
    ) -> Result<Option<Timeline>, ReaderError> {
        let plan = timeline::read_timeline(self.list_name(keyspace, key)?, window);
        let mut stats = ListStats::default();
        let timeline = self.run(plan, &mut stats).await??;
        Ok(timeline.map(|timeline| Timeline { stats, ..timeline }))
    }

    async fn list_keyspaces(
        &self,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyspaceList, ReaderError> {
        let max_size = names_at_most(max_size)?;
        let plan = keys::list_keyspaces(self.0.prefix.clone(), continuation, max_size);
        self.run(plan, &mut ListStats::default()).await
    }

    async fn list_keys(
        &self,
        keyspace: &str,
        prefix: &str,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyList, ReaderError> {
        let max_size = names_at_most(max_size)?;
        let keyspace = KeyspaceName::new(keyspace)?;
        let plan = keys::list_keys(self.0.prefix.clone(), keyspace, prefix.to_owned(), continuation, max_size);
        Ok(self.run(plan, &mut ListStats::default()).await??)
    }
}

fn names_at_most(max_size: Option<u32>) -> Result<u32, ReaderError> {
    match max_size {
        Some(0) => {
            let reason = "max_size is 0: ask for at least one name, or leave it out for the default".to_owned();
            Err(ReaderError::InvalidArgument { reason })
        }
        Some(max_size) => Ok(max_size),
        None => Ok(DEFAULT_NAMES),
    }
}
