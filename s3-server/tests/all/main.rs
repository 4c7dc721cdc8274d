//! The server over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod access;
mod durability;
mod faults;
mod objects;
mod origins;
mod support;
