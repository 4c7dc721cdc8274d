//! What the simulator sees, and that it can fail. One program: `cargo test --workspace --test simulation` builds what
//! everything else is built with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod crash_points;
mod found;
mod mutants;
mod runs;
