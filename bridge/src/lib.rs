//! klstore's Kafka bridge: from a consumer group into lists on S3.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod affinity;
pub mod backpressure;
mod brokers;
pub mod checkpoint;
pub mod command;
mod consumer;
pub mod dead_letter;
pub mod dry_run;
pub mod envelope;
pub mod error;
pub mod frontier;
pub mod health;
mod judge;
mod measured;
pub mod monitor;
pub mod operate;
pub mod parser;
mod pipeline;
pub mod record;
pub mod replay;
pub mod route;
pub mod settings;
mod topics;

pub use consumer::{KafkaConsumerBridge, StopHandle, Summary};
pub use error::BridgeError;
pub use health::Health;
