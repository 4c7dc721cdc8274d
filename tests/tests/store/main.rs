//! Reader and writers over HTTP, against servers of our own and of others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod batching;
mod batching_load;
mod budgets;
mod conformance;
mod credential_chain;
mod damage;
mod errors;
mod handovers;
mod limits;
mod linearizability;
mod network;
mod policies;
mod put_headers;
mod races;
mod secrets;
mod toxic;
mod trimming;
