//! What klstore's tests share: a store without a network, and actors that can be stopped at every request.

#![allow(clippy::expect_used, clippy::panic, reason = "all of this is part of tests: whatever is unexpected fails one")]

pub use klstore_simulator::{history, seeded, stage, vec_model, workload, world};
pub use klstore_workloads::{giant, ingest, kafka, process, skewed_load};

pub mod conformance;
pub mod embedded;
pub mod explorer;
pub mod flights;
pub mod harness;
pub mod issuer;
pub mod model_run;
pub mod network;
pub mod read_back;
pub mod servers;
pub mod storm;
pub mod toxic;
pub mod wire_run;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
