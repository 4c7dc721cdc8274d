//! The batching writer for callers without an async runtime.

use std::sync::Arc;

use super::OwnRuntime;
use crate::batching::{BatchingStatistics, BatchingStoreWriterConfig};
use crate::keyspace::CreatedKeyspace;
use crate::receipt::Appended;
use crate::writer::{DutyReport, StoreWriter};
use crate::{Insertion, S3StoreConfig, WriterError};

/// [`BatchingStoreWriter`](crate::BatchingStoreWriter) over S3 with calls that block. Clones share everything and may
/// be used from several threads at once.
///
/// ```no_run
/// use klstore_writer::blocking::BatchingStoreWriter;
/// use klstore_writer::{BatchingStoreWriterConfig, Insertion, S3StoreConfig};
///
/// # fn main() -> Result<(), klstore_writer::WriterError> {
/// let config = S3StoreConfig::new("my-bucket");
/// let writer = BatchingStoreWriter::new(config, BatchingStoreWriterConfig::default())?;
/// for reading in 0..1_000 {
///     // Returns at once; the receipt may be ignored.
///     writer.append_list("telemetry", "kitchen", vec![Insertion::new(reading.to_string())])?;
/// }
/// writer.close()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BatchingStoreWriter {
    // Dropped before the runtime that it works on.
    writer: crate::BatchingStoreWriter<crate::S3StoreWriter>,
    runtime: Arc<OwnRuntime>,
}

/// The promise that items will be durable. Nobody has to wait for it.
#[derive(Debug)]
pub struct AppendReceipt {
    receipt: crate::AppendReceipt,
    runtime: Arc<OwnRuntime>,
}

impl AppendReceipt {
    /// Waits until the items are durable.
    ///
    /// # Errors
    ///
    /// As the receipt of the async writer, and [`WriterError::BlockingInsideRuntime`].
    pub fn wait(self) -> Result<Appended, WriterError> {
        self.runtime.wait_for(self.receipt)
    }
}

impl BatchingStoreWriter {
    /// A batching writer over the S3 that `config` names. Without threads (`writer_thread_count` 0) the calls of
    /// [`duty_cycle`](Self::duty_cycle) and the flushes do the work.
    ///
    /// # Errors
    ///
    /// As of the async writers, and [`WriterError::BlockingInsideRuntime`], as of every other call here.
    pub fn new(config: S3StoreConfig, batching: BatchingStoreWriterConfig) -> Result<Self, WriterError> {
        let runtime = OwnRuntime::start()?;
        let writer = runtime.wait_for(async {
            let inner = crate::S3StoreWriter::new(config).await?;
            crate::BatchingStoreWriter::new(inner, batching)
        })?;
        Ok(Self { writer, runtime: Arc::new(runtime) })
    }

    /// See [`StoreWriter::create_keyspace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.runtime.wait_for(self.writer.create_keyspace(keyspace))
    }

    /// Takes items in; waits only for memory and for room in the queue.
    ///
    /// # Errors
    ///
    /// As [`StoreWriter::append_list`]'s before anything is sent.
    pub fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        let receipt = self.runtime.wait_for(self.writer.append_list(keyspace, key, insertions))?;
        Ok(AppendReceipt { receipt, runtime: self.runtime.clone() })
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

    /// Makes everything durable, stops the threads and closes the writer inside.
    ///
    /// # Errors
    ///
    /// As [`close`](crate::BatchingStoreWriter::close): everything is then still in memory.
    pub fn close(&self) -> Result<(), WriterError> {
        self.runtime.wait_for(async {
            self.writer.close().await?;
            self.writer.inner().close().await
        })
    }

    /// What is in memory now, and what has been done so far.
    pub fn statistics(&self) -> BatchingStatistics {
        self.writer.statistics()
    }
}
