//! The reader as the npm package's WebAssembly module.
//!
//! Nothing here waits and nothing here knows a network, a clock or a promise. JavaScript starts an [`Operation`] and
//! polls it; what the operation needs meanwhile (a fetch, keys, a pause) it asks for by number, and JavaScript answers
//! by that number and polls again. So an operation runs in the request that started it (an edge runtime forbids
//! anything else), giving one up is forgetting it, and a trap surfaces as an exception in the very call that JavaScript
//! made, which then takes a fresh instance.
//!
//! JavaScript's values appear in `bindings`, `answers` and `outcome` alone; `mailbox`, `host` and `task` are plain Rust
//! and tested natively.

mod answers;
mod bindings;
mod host;
mod mailbox;
mod outcome;
mod task;
#[cfg(test)]
mod task_tests;

pub use bindings::{Operation, Store, TailHandle};
pub use mailbox::{Errand, What};
pub use task::Outcome;
