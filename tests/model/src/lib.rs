#![doc = include_str!("../README.md")]

pub mod bounds;
pub mod check;
mod compactor;
mod index;
mod landmarks;
mod model;
mod progress;
mod properties;
mod reader;
mod rules;
pub mod scenarios;
mod short;
mod state;
mod sweeper;
mod world;
mod writer;

pub use landmarks::{LANDMARKS, Landmark};
pub use model::{Action, Protocol};
pub use properties::Violation;
pub use rules::Rule;
pub use state::State;
