//! The budgets of requests and bytes, row by row, as the embedded server counts them.
//!
//! Every test prints what it measured beside what is allowed. What a page says of itself (`ListStats`) is compared with
//! the server's own counts each time.

mod following;
pub mod meter;
mod reading;
mod scanning;
mod streaming;
mod synthetic;
mod writing;
