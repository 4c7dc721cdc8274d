//! For callers without an async runtime: the same reader with a runtime of its own.
//!
//! ```no_run
//! use klstore_format::{IterationOrder, S3StoreConfig};
//! use klstore_reader::blocking::S3StoreReader;
//!
//! let reader = S3StoreReader::new(S3StoreConfig::new("my-bucket"))?;
//! for item in reader.items("flights", "N14228", IterationOrder::Forwards, None, None, None) {
//!     println!("{}", item?.offset);
//! }
//! # Ok::<(), klstore_reader::ReaderError>(())
//! ```

use std::pin::Pin;

use futures::StreamExt;
use futures::stream::Stream;
use klstore_format::plan::keys::{KeyList, KeyspaceList};
use klstore_format::{Item, ItemFilter, ItemList, IterationOrder, KeyMetadata, KeyspaceMetadata, S3StoreConfig};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::ReaderError;
use crate::s3_store_reader;
use crate::store_reader::StoreReader;
use crate::streams::StoreReaderExt;

/// A blocking [`S3StoreReader`](crate::S3StoreReader). Every method answers [`ReaderError::InsideRuntime`] where it is
/// called inside an async runtime.
#[derive(Debug)]
pub struct S3StoreReader {
    reader: s3_store_reader::S3StoreReader,
    runtime: OwnRuntime,
}

impl S3StoreReader {
    /// As [`S3StoreReader::new`](crate::S3StoreReader::new).
    ///
    /// # Errors
    ///
    /// [`ReaderError::Configuration`] where the configuration is not usable or the system gives no runtime.
    pub fn new(config: S3StoreConfig) -> Result<Self, ReaderError> {
        let runtime = OwnRuntime::new()?;
        let reader = runtime.block_on(s3_store_reader::S3StoreReader::new(config))??;
        Ok(Self { reader, runtime })
    }

    /// The same around a reader that was built elsewhere.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Configuration`] where the system gives no runtime.
    pub fn from_reader(reader: crate::S3StoreReader) -> Result<Self, ReaderError> {
        Ok(Self { reader, runtime: OwnRuntime::new()? })
    }

    /// As [`StoreReader::read_keyspace_metadata`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_keyspace_metadata(&self, keyspace: &str) -> Result<KeyspaceMetadata, ReaderError> {
        self.runtime.block_on(self.reader.read_keyspace_metadata(keyspace))?
    }

    /// As [`StoreReader::read_key_metadata`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_key_metadata(&self, keyspace: &str, key: &str) -> Result<Option<KeyMetadata>, ReaderError> {
        self.runtime.block_on(self.reader.read_key_metadata(keyspace, key))?
    }

    /// As [`StoreReader::read_page`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_page(
        &self,
        keyspace: &str,
        key: &str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> Result<ItemList, ReaderError> {
        self.runtime.block_on(self.reader.read_page(keyspace, key, order, max_size, filter, continuation))?
    }

    /// As [`StoreReader::list_keyspaces`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_keyspaces(
        &self,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyspaceList, ReaderError> {
        self.runtime.block_on(self.reader.list_keyspaces(max_size, continuation))?
    }

    /// As [`StoreReader::list_keys`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_keys(
        &self,
        keyspace: &str,
        prefix: &str,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyList, ReaderError> {
        self.runtime.block_on(self.reader.list_keys(keyspace, prefix, max_size, continuation))?
    }

    /// As [`StoreReaderExt::pages`].
    pub fn pages<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Iterator<Item = Result<ItemList, ReaderError>> + 'a {
        self.iterate(self.reader.pages(keyspace, key, order, max_size, filter, continuation))
    }

    /// As [`StoreReaderExt::items`].
    pub fn items<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Iterator<Item = Result<Item, ReaderError>> + 'a {
        self.iterate(self.reader.items(keyspace, key, order, max_size, filter, continuation))
    }

    fn iterate<'a, T>(&'a self, stream: impl Stream<Item = Result<T, ReaderError>> + 'a) -> Iterate<'a, T> {
        Iterate { runtime: &self.runtime, stream: Some(Box::pin(stream)) }
    }
}

type ResultStream<'a, T> = Pin<Box<dyn Stream<Item = Result<T, ReaderError>> + 'a>>;

/// A stream that is waited for item by item.
struct Iterate<'a, T> {
    runtime: &'a OwnRuntime,
    stream: Option<ResultStream<'a, T>>,
}

impl<T> Iterator for Iterate<'_, T> {
    type Item = Result<T, ReaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let stream = self.stream.as_mut()?;
        let next = self.runtime.block_on(stream.next()).unwrap_or_else(|error| Some(Err(error)));
        if !matches!(next, Some(Ok(_))) {
            self.stream = None;
        }
        next
    }
}

/// A runtime on the caller's thread. `None` only while it is dropped.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn new() -> Result<Self, ReaderError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            ReaderError::Configuration { reason: format!("the system gives no async runtime: {error}") }
        })?;
        Ok(Self(Some(runtime)))
    }

    fn block_on<F: Future>(&self, future: F) -> Result<F::Output, ReaderError> {
        match &self.0 {
            Some(runtime) if Handle::try_current().is_err() => Ok(runtime.block_on(future)),
            _ => Err(ReaderError::InsideRuntime),
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // A plain drop would panic inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> S3StoreConfig {
        let mut config = S3StoreConfig::new("bucket");
        // Port 9 discards: nothing listens there on a test machine.
        config.endpoint = Some("http://127.0.0.1:9".into());
        config.anonymous = true;
        config
    }

    #[tokio::test]
    async fn inside_a_runtime_it_is_a_typed_error() {
        assert!(matches!(S3StoreReader::new(config()), Err(ReaderError::InsideRuntime)));
        let reader = crate::S3StoreReader::new(config()).await.expect("a reader");
        let blocking = S3StoreReader::from_reader(reader).expect("a runtime");
        assert!(matches!(blocking.read_keyspace_metadata("k"), Err(ReaderError::InsideRuntime)));
        let mut items = blocking.items("k", "l", IterationOrder::Forwards, None, None, None);
        assert!(matches!(items.next(), Some(Err(ReaderError::InsideRuntime))));
        assert!(items.next().is_none());
    }

    #[test]
    fn outside_it_waits_for_the_answer() -> Result<(), ReaderError> {
        let reader = S3StoreReader::new(config())?;
        let error = reader.read_keyspace_metadata("k").expect_err("nothing listens");
        assert!(matches!(error, ReaderError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("http://127.0.0.1:9"), "{error}");
        Ok(())
    }
}
