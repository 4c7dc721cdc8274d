//! The embedded S3 server, and the real writers and readers of it over HTTP.

use std::time::Duration;

use klstore_reader::{S3StoreReader, S3StoreReaderBuilder};
use klstore_s3_server::{Credential, RunningServer, Server};
use klstore_writer::{S3StoreConfig, S3StoreWriter, S3StoreWriterBuilder, StoreWriter};

/// The bucket of every harness.
pub const BUCKET: &str = "lists";
/// The keyspace that exists from the start.
pub const KEYSPACE: &str = "keyspace";

const ACCESS_KEY: &str = "AKTEST";
const SECRET_KEY: &str = "a-secret-of-the-tests";

/// A server in memory on a free port of 127.0.0.1, with a bucket and a keyspace.
pub struct Harness {
    /// The server: its store, counts and faults.
    pub server: RunningServer,
}

impl Harness {
    /// Starts the server.
    pub async fn start() -> Self {
        Self::start_logging(0).await
    }

    /// Starts the server, which keeps its last so many requests.
    pub async fn start_logging(requests: usize) -> Self {
        let credential = Credential::new(ACCESS_KEY, SECRET_KEY);
        // Also what stands in front of it at another port.
        let server =
            Server::builder().bucket(BUCKET).credential(credential).host_name("localhost").request_log(requests);
        let server = server.start().await.expect("the server starts");
        let harness = Self { server };
        let writer = harness.writer(harness.config()).build().await.expect("a writer");
        writer.create_keyspace(KEYSPACE).await.expect("the keyspace");
        harness
    }

    /// Settings that lead to the server.
    pub fn config(&self) -> S3StoreConfig {
        S3StoreConfig {
            endpoint: Some(self.server.endpoint()),
            path_style: true,
            access_key: Some(ACCESS_KEY.to_owned()),
            secret_key: Some(SECRET_KEY.to_owned()),
            ..S3StoreConfig::new(BUCKET)
        }
    }

    /// Makes another bucket, with a keyspace in it.
    pub async fn create_bucket(&self, bucket: &str, keyspace: &str) {
        let config = S3StoreConfig { bucket_name: bucket.to_owned(), ..self.config() };
        self.server.store().create_bucket(bucket).expect("the bucket");
        let writer = self.writer(config).build().await.expect("a writer");
        writer.create_keyspace(keyspace).await.expect("the keyspace");
    }

    /// The credentials as a process finds them in its environment.
    pub fn credentials(&self) -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    }

    /// A writer that waits little and gives up late.
    pub fn writer(&self, config: S3StoreConfig) -> S3StoreWriterBuilder {
        S3StoreWriter::builder(config).retry_policy(klstore_writer::RetryPolicy {
            base_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(20),
            deadline: Duration::from_secs(120),
            background_deadline: Duration::from_secs(120),
        })
    }

    /// A reader that waits little and gives up late.
    pub fn reader(&self, config: S3StoreConfig) -> S3StoreReaderBuilder {
        S3StoreReader::builder(config).retry_policy(klstore_reader::RetryPolicy {
            attempts: 1_000,
            base_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(20),
            attempt_timeout: Duration::from_secs(20),
            deadline: Duration::from_secs(120),
        })
    }
}
