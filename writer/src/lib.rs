//! Appends to klstore lists on S3: the native writer, compaction and collection.
//!
//! [`S3StoreWriter`] is where to start; [`BatchingStoreWriter`] around it makes one commit out of many appends, and
//! [`blocking`] wraps both for callers without an async runtime. All decisions are plans of `klstore-format`: this crate
//! carries them out, one request after the other, and decides only when to wait, when to give up and what to keep in
//! memory.

mod background;
mod batching;
pub mod blocking;
mod builder;
mod driver;
mod environment;
mod error;
mod in_doubt;
mod keyspace;
mod receipt;
mod s3;
mod s3_writer;
mod sessions;
mod statistics;
mod store;
mod sync;
mod writer;

#[cfg(test)]
mod memory_store;
#[cfg(test)]
mod test_clock;

pub use klstore_format::plan::{InvalidInsertion, SweepReport, TrimTo};
pub use klstore_format::wire::sources::Sources;
pub use klstore_format::{Insertion, S3StoreConfig, Source, SourceOffset};

pub use batching::{BatchingStatistics, BatchingStoreWriter, BatchingStoreWriterBuilder, BatchingStoreWriterConfig};
pub use builder::S3StoreWriterBuilder;
pub use environment::{Clock, RandomSource, SystemClock, SystemRandom};
pub use error::WriterError;
pub use keyspace::CreatedKeyspace;
pub use receipt::{AppendReceipt, Appended};
pub use s3::S3ObjectStore;
pub use s3_writer::{ListPosition, S3StoreWriter, Trimmed};
pub use statistics::WriterStatistics;
pub use store::{ObjectStore, RetryPolicy, StoreError};
pub use writer::{DutyReport, StoreWriter};
