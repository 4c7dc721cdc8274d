//! klstore's Kafka bridge: from a consumer group into lists on S3.
//!
//! What decides is here already: [`parser`] says which list a record goes to and with which nonce and timestamp. The
//! consumer and its binary come with the next release.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod parser;
