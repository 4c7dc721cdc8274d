//! Lists and loads of any size, made from that size alone, what a process takes for them, and a broker to get them from:
//! what klstore's tests and its benchmarks share.

#![allow(clippy::expect_used, clippy::panic, reason = "all of this is part of tests: whatever is unexpected fails one")]

pub mod giant;
pub mod ingest;
pub mod kafka;
pub mod process;
pub mod skewed_load;

/// Whatever ends a test or a benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
