//! The consumer: what the group gave us, how far each partition is done, and what to do when that changes.

mod chunk;
mod context;
mod poll;
mod positions;
mod state;
mod until_end;

pub(crate) use positions::partition_counts;

pub use poll::{KafkaConsumerBridge, StopHandle, Summary};
