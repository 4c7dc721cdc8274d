//! The writer for callers without an async runtime: it brings its own.

mod batching;

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::builder::S3StoreWriterBuilder;
use crate::keyspace::CreatedKeyspace;
use crate::receipt::Appended;
use crate::statistics::WriterStatistics;
use crate::writer::{DutyReport, StoreWriter};
use crate::{Insertion, ListPosition, S3StoreConfig, Source, SweepReport, TrimTo, Trimmed, WriterError};

pub use batching::{AppendReceipt, BatchingStoreWriter};

/// [`S3StoreWriter`](crate::S3StoreWriter) with calls that block. Clones share everything and may be used from
/// several threads at once; background work goes on between calls on one thread of its own.
///
/// ```no_run
/// use klstore_writer::{Insertion, S3StoreConfig, blocking::S3StoreWriter};
///
/// # fn main() -> Result<(), klstore_writer::WriterError> {
/// let writer = S3StoreWriter::new(S3StoreConfig::new("my-bucket"))?;
/// let appended = writer.append_list("flights", "N14228", vec![Insertion::new("departed")])?;
/// println!("{} appended", appended.appended_count);
/// writer.close()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct S3StoreWriter {
    writer: crate::S3StoreWriter,
    runtime: Arc<OwnRuntime>,
}

impl S3StoreWriter {
    /// A writer with the settings of `config`.
    ///
    /// # Errors
    ///
    /// As of the async one, and [`WriterError::BlockingInsideRuntime`], as of every other call here.
    pub fn new(config: S3StoreConfig) -> Result<Self, WriterError> {
        Self::build(crate::S3StoreWriter::builder(config))
    }

    /// The writer that `builder` describes.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn build(builder: S3StoreWriterBuilder) -> Result<Self, WriterError> {
        let runtime = Arc::new(OwnRuntime::start()?);
        let writer = runtime.wait_for(builder.build())?;
        Ok(Self { writer, runtime })
    }

    /// See [`StoreWriter::create_keyspace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.runtime.wait_for(self.writer.create_keyspace(keyspace))
    }

    /// See [`StoreWriter::append_list`]; returns when the items are durable.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_list(&self, keyspace: &str, key: &str, insertions: Vec<Insertion>) -> Result<Appended, WriterError> {
        self.runtime.wait_for(async { self.writer.append_list(keyspace, key, insertions).await?.await })
    }

    /// See [`append_list_at`](crate::S3StoreWriter::append_list_at).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_list_at(
        &self,
        keyspace: &str,
        key: &str,
        expected_next_offset: u64,
        insertions: Vec<Insertion>,
    ) -> Result<Appended, WriterError> {
        self.runtime.wait_for(self.writer.append_list_at(keyspace, key, expected_next_offset, insertions))
    }

    /// See [`append_from`](crate::S3StoreWriter::append_from).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn append_from(
        &self,
        keyspace: &str,
        key: &str,
        source: &Source,
        next_offset: u64,
        insertions: Vec<Insertion>,
    ) -> Result<Appended, WriterError> {
        self.runtime.wait_for(self.writer.append_from(keyspace, key, source, next_offset, insertions))
    }

    /// See [`position`](crate::S3StoreWriter::position).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn position(&self, keyspace: &str, key: &str) -> Result<ListPosition, WriterError> {
        self.runtime.wait_for(self.writer.position(keyspace, key))
    }

    /// See [`StoreWriter::flush_key`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        self.runtime.wait_for(self.writer.flush_key(keyspace, key))
    }

    /// See [`StoreWriter::flush_all`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush_all(&self) -> Result<(), WriterError> {
        self.runtime.wait_for(self.writer.flush_all())
    }

    /// See [`StoreWriter::duty_cycle`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        self.runtime.wait_for(self.writer.duty_cycle())
    }

    /// See [`compact`](crate::S3StoreWriter::compact).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn compact(&self, keyspace: &str, key: &str) -> Result<bool, WriterError> {
        self.runtime.wait_for(self.writer.compact(keyspace, key))
    }

    /// See [`trim`](crate::S3StoreWriter::trim).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn trim(&self, keyspace: &str, key: &str, to: TrimTo) -> Result<Trimmed, WriterError> {
        self.runtime.wait_for(self.writer.trim(keyspace, key, to))
    }

    /// See [`delete_key`](crate::S3StoreWriter::delete_key).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn delete_key(&self, keyspace: &str, key: &str) -> Result<Trimmed, WriterError> {
        self.runtime.wait_for(self.writer.delete_key(keyspace, key))
    }

    /// See [`apply_retention`](crate::S3StoreWriter::apply_retention).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply_retention(&self, keyspace: &str, key: &str) -> Result<Trimmed, WriterError> {
        self.runtime.wait_for(self.writer.apply_retention(keyspace, key))
    }

    /// See [`sweep`](crate::S3StoreWriter::sweep).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn sweep(&self, keyspace: &str, key: &str) -> Result<SweepReport, WriterError> {
        self.runtime.wait_for(self.writer.sweep(keyspace, key))
    }

    /// See [`close`](crate::S3StoreWriter::close).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&self) -> Result<(), WriterError> {
        self.runtime.wait_for(self.writer.close())
    }

    /// What this writer has done so far.
    pub fn statistics(&self) -> WriterStatistics {
        self.writer.statistics()
    }
}

/// A runtime that may be dropped anywhere, even inside another one.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn start() -> Result<Self, WriterError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("klstore-writer").enable_all().build();
        let runtime = runtime.map_err(|error| WriterError::NoRuntime { reason: error.to_string() })?;
        Ok(Self(Some(runtime)))
    }

    fn wait_for<T>(&self, call: impl Future<Output = Result<T, WriterError>>) -> Result<T, WriterError> {
        // tokio panics here: better an error that says what to use instead.
        if Handle::try_current().is_ok() {
            return Err(WriterError::BlockingInsideRuntime);
        }
        match &self.0 {
            Some(runtime) => runtime.block_on(call),
            None => Err(WriterError::NoRuntime { reason: "it has been shut down".into() }),
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
