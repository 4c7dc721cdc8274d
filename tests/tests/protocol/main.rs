//! The real plans under schedules of all kinds, without a network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod crash_points;
mod explorer;
mod model;
mod protocol_rules;
