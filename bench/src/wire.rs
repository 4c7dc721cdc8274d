//! The server, and both kinds of clients of it.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use klstore_format::names::{ListName, Prefix};
use klstore_reader::{S3StoreConfig, S3StoreReader};
use klstore_s3_server::{Credential, RunningServer, Server};
use klstore_writer::{S3StoreWriter, StoreWriter};
use tokio::runtime::Handle;

use crate::Failure;
use crate::latency::Proxy;

pub const BUCKET: &str = "bench";
pub const KEYSPACE: &str = "flights";
const HOST: &str = "localhost";
const ACCESS_KEY: &str = "AKBENCH";
const SECRET_KEY: &str = "a-secret-of-the-benchmarks";
/// Requests that the server remembers: more than one side of a pair sends.
const REQUEST_LOG: usize = 1 << 14;

/// How far away the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// On this machine: what counts is processor time.
    Near,
    /// As far as S3 is: what counts is requests that wait for each other.
    Far,
}

impl Network {
    /// As the names of benchmarks have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

pub struct Wire {
    pub server: RunningServer,
    far: Proxy,
    near_raw: Client,
    far_raw: Client,
}

impl Wire {
    /// On these threads, which nobody else uses: server and proxy are no part of either client.
    pub async fn start(server_threads: &Handle) -> Result<Self, Failure> {
        let credential = Credential::new(ACCESS_KEY, SECRET_KEY);
        let server = Server::builder().bucket(BUCKET).credential(credential).request_log(REQUEST_LOG);
        // The name that requests through the proxy carry; at any port.
        let server = server.host_name(HOST);
        let server = server_threads.spawn(server.start()).await??;
        let far = server_threads.spawn(Proxy::start(server.address())).await??;
        let (near_raw, far_raw) = (raw_client(server.endpoint()), raw_client(format!("http://{HOST}:{}", far.port())));
        let wire = Self { server, far, near_raw, far_raw };
        wire.writer(Network::Near, S3StoreConfig::new(BUCKET)).await?.create_keyspace(KEYSPACE).await?;
        Ok(wire)
    }

    pub fn raw(&self, network: Network) -> &Client {
        match network {
            Network::Near => &self.near_raw,
            Network::Far => &self.far_raw,
        }
    }

    /// `config` says what is to differ from the defaults.
    pub async fn writer(&self, network: Network, config: S3StoreConfig) -> Result<S3StoreWriter, Failure> {
        Ok(S3StoreWriter::new(self.config(network, config)).await?)
    }

    pub async fn reader(&self, network: Network) -> Result<S3StoreReader, Failure> {
        Ok(S3StoreReader::new(self.config(network, S3StoreConfig::new(BUCKET))).await?)
    }

    fn config(&self, network: Network, config: S3StoreConfig) -> S3StoreConfig {
        let endpoint = match network {
            Network::Near => self.server.endpoint(),
            Network::Far => format!("http://{HOST}:{}", self.far.port()),
        };
        S3StoreConfig {
            endpoint: Some(endpoint),
            path_style: true,
            access_key: Some(ACCESS_KEY.to_owned()),
            secret_key: Some(SECRET_KEY.to_owned()),
            ..config
        }
    }

    /// Before each side of a pair: both wait equally long.
    pub fn reseed(&self, round: usize) {
        self.far.reseed(round as u64);
    }

    /// How many requests were under way through the proxy at a time since this was asked last.
    pub fn take_most_at_once(&self) -> usize {
        self.far.take_most_at_once()
    }

    /// Deletes what begins so, past the server: no side of a pair is to pay for it.
    pub fn delete(&self, prefix: &str) -> Result<(), Failure> {
        let names = self.server.store().keys(BUCKET, prefix)?;
        self.server.store().delete(BUCKET, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(())
    }

    pub fn delete_list(&self, key: &str) -> Result<(), Failure> {
        let list = ListName::new(&Prefix::default(), KEYSPACE, key)?;
        [list.commits(), list.segments(), list.index_pages()].iter().try_for_each(|prefix| self.delete(prefix))
    }

    pub async fn stop(self) -> Result<(), Failure> {
        self.server.shutdown().await;
        drop(self.far);
        Ok(())
    }
}

/// As frugal as klstore's own client: no checksums that are not asked for, no retries.
fn raw_client(endpoint: String) -> Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(30)).build();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build();
    Client::from_conf(config)
}
