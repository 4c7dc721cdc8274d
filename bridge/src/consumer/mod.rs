//! The consumer: what the group gave us, how far each partition is done, and what to do when that changes.

mod chunk;
mod context;
mod poll;
mod positions;
mod runs;
mod state;
mod stop;
mod until_end;

pub use poll::{KafkaConsumerBridge, Summary};
pub use stop::StopHandle;
