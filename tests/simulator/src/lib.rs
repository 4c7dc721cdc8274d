//! A deterministic simulation of lists over years of bad luck: the real writers, compactions, collections, sweeps, trims
//! and readers, over a simulated store, network and clock.
//!
//! One seed is one run, and the same run each time. Writers are `S3StoreWriter`, readers `S3StoreReader`, as users have
//! them; what they ask of S3 goes through `network`, where requests are refused, lost, repeated, carried out late, and
//! answers cut, damaged or never heard. A [`Witness`](crate::history::Witness) in front of the store sees every change:
//! whatever a call promises and a page shows is compared with what truly happened.

#![allow(clippy::expect_used, clippy::panic, reason = "all of this is part of tests: whatever is unexpected fails one")]

mod ambush;
pub mod base;
pub mod campaign;
pub mod crash_points;
pub mod history;
mod http;
mod judge;
pub mod mutants;
mod network;
mod ports;
mod process;
mod readers;
pub mod run;
pub mod seeded;
pub mod stage;
pub mod tally;
mod trace;
mod universe;
pub mod vec_model;
mod weather;
mod wire;
pub mod workload;
pub mod world;
mod writers;

/// Where the list is: that of [`crate::world::list`].
const KEYSPACE: &str = "keyspace";
const KEY: &str = "key";
