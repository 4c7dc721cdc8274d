//! The budgets of requests and bytes, row by row, as the embedded server counts them.
//!
//! Every test prints what it measured beside what is allowed. What a page says of itself (`ListStats`) is compared with
//! the server's own counts each time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod following;
mod meter;
mod reading;
mod scanning;
mod synthetic;
mod writing;
