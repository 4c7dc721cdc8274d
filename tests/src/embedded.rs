//! The embedded server, with readers and writers that give up soon.

use std::time::Duration;

use klstore_format::{Item, S3StoreConfig};
use klstore_reader::S3StoreReader;
use klstore_s3_server::{Credential, RunningServer, Server, ServerBuilder};
use klstore_writer::S3StoreWriter;

use crate::conformance::Store;
use crate::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// A server with the tests' bucket and keys, in memory.
pub fn server() -> ServerBuilder {
    Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY))
}

/// The settings that lead to it.
pub fn config(server: &RunningServer) -> S3StoreConfig {
    Store::new(server.endpoint()).config()
}

/// A reader that tries twice.
pub async fn reader_of(config: S3StoreConfig) -> S3StoreReader {
    let policy = klstore_reader::RetryPolicy {
        attempts: 2,
        base_delay: Duration::from_millis(1),
        ..klstore_reader::RetryPolicy::default()
    };
    S3StoreReader::builder(config).retry_policy(policy).build().await.expect("a reader")
}

/// A writer that gives up after two seconds.
pub async fn writer_of(config: S3StoreConfig) -> S3StoreWriter {
    let policy = klstore_writer::RetryPolicy {
        base_delay: Duration::from_millis(1),
        deadline: Duration::from_secs(2),
        ..klstore_writer::RetryPolicy::default()
    };
    S3StoreWriter::builder(config).retry_policy(policy).build().await.expect("a writer")
}

/// The items' values as text.
pub fn values(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| String::from_utf8_lossy(&item.value).into_owned()).collect()
}
