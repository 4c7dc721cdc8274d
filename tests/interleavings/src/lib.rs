//! The writer's own sources over shuttle's threads and locks instead of the operating system's, and what may happen to
//! it in whatever order threads come: [`scenarios`], explored by the tests.
//!
//! The writer takes all that its threads share state through from its module `sync`. Here that name is another module;
//! everything else is compiled from the writer's folder as it is, but for the clients of S3 and the blocking calls.

// `--all-targets` would compile this crate as a test, and with it the tests beside the writer's sources.
#![cfg(not(test))]
#![allow(dead_code, missing_docs, unused_imports, reason = "the writer's sources, of which this crate uses a part")]
#![allow(clippy::large_enum_variant, reason = "shuttle's locks are larger than the writer's")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what is unexpected here fails a test")]

mod explore;
mod inner;
mod s3;
pub mod scenarios;
mod sync;
mod time;

pub use explore::{explore, orders_until_missed};
pub use sync::Care;

#[path = "../../../writer/src"]
mod writer_sources {
    pub mod background;
    pub mod batching;
    pub mod builder;
    pub mod driver;
    pub mod environment;
    pub mod error;
    pub mod in_doubt;
    pub mod keyspace;
    pub mod memory_store;
    pub mod receipt;
    pub mod s3_writer;
    pub mod sessions;
    pub mod statistics;
    pub mod store;
    pub mod writer;
}

// By the names that the sources have for one another.
use writer_sources::{
    background, batching, builder, driver, environment, error, in_doubt, keyspace, memory_store, receipt, s3_writer,
    sessions, statistics, store, writer,
};
