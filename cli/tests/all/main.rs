//! The real binary, command by command. One program: each more is linked for half a minute.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod append;
mod bench;
mod commands;
mod config;
mod copies;
mod cost;
mod demo;
mod disk;
mod errors;
mod failures;
mod help;
mod kills;
mod others;
mod outputs;
mod probe;
mod read;
mod secrets;
mod signals;
mod support;
mod upkeep;
