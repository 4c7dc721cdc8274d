//! The server, and both kinds of clients of it.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use klstore_reader::{S3StoreConfig, S3StoreReader};
use klstore_s3_server::{Credential, RunningServer, Server};
use klstore_writer::{S3StoreWriter, StoreWriter};
use tokio::runtime::Runtime;

use crate::Failure;

pub const BUCKET: &str = "bench";
pub const KEYSPACE: &str = "flights";
const ACCESS_KEY: &str = "AKBENCH";
const SECRET_KEY: &str = "a-secret-of-the-benchmarks";
/// Requests that the server remembers: more than one side of a pair sends.
const REQUEST_LOG: usize = 1 << 14;

pub struct Wire {
    pub server: RunningServer,
    pub raw: Client,
    server_threads: Runtime,
}

impl Wire {
    pub async fn start() -> Result<Self, Failure> {
        let credential = Credential::new(ACCESS_KEY, SECRET_KEY);
        let server = Server::builder().bucket(BUCKET).credential(credential).request_log(REQUEST_LOG);
        // Threads of its own: it is no part of either client.
        let server_threads = Runtime::new()?;
        let server = server_threads.spawn(server.start()).await??;
        // As frugal as klstore's own client: no checksums that are not asked for, no retries.
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(server.endpoint())
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .build();
        let wire = Self { server, raw: Client::from_conf(config), server_threads };
        wire.writer(wire.config()).await?.create_keyspace(KEYSPACE).await?;
        Ok(wire)
    }

    pub fn config(&self) -> S3StoreConfig {
        S3StoreConfig {
            endpoint: Some(self.server.endpoint()),
            path_style: true,
            access_key: Some(ACCESS_KEY.to_owned()),
            secret_key: Some(SECRET_KEY.to_owned()),
            ..S3StoreConfig::new(BUCKET)
        }
    }

    pub async fn writer(&self, config: S3StoreConfig) -> Result<S3StoreWriter, Failure> {
        Ok(S3StoreWriter::new(config).await?)
    }

    pub async fn reader(&self) -> Result<S3StoreReader, Failure> {
        Ok(S3StoreReader::new(self.config()).await?)
    }

    /// Deletes what begins so, past the server: no side of a pair is to pay for it.
    pub fn delete(&self, prefix: &str) -> Result<(), Failure> {
        let names = self.server.store().keys(BUCKET, prefix)?;
        self.server.store().delete(BUCKET, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(())
    }

    pub async fn stop(self) -> Result<(), Failure> {
        self.server.shutdown().await;
        self.server_threads.shutdown_background();
        Ok(())
    }
}
