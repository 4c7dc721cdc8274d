//! S3 servers of others, as real processes: each on a free port of 127.0.0.1, in a folder of its own, and stopped by
//! its own process id.

use std::process::Stdio;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::conformance::{Failure, Store};

/// The bucket of every server.
pub const BUCKET: &str = "lists";
/// The only access key.
pub const ACCESS_KEY: &str = "AKCONFORMANCE";
/// Its secret.
pub const SECRET_KEY: &str = "conformance-secret";

/// How long a server may take until it answers; Python starts slowly on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const START_PAUSE: Duration = Duration::from_millis(100);
/// Another process may take the free port first.
const START_ATTEMPTS: u32 = 3;

/// A server that can be started from its binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// github.com/versity/versitygw over a folder.
    Versitygw,
    /// Python's moto in memory. It does not check signatures, and looks for an object before it writes it, in two steps.
    Moto,
    /// github.com/minio/minio over a folder.
    Minio,
}

impl Kind {
    /// The environment variable with the path of its binary.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Versitygw => "KLSTORE_TEST_VERSITYGW",
            Self::Moto => "KLSTORE_TEST_MOTO",
            Self::Minio => "KLSTORE_TEST_MINIO",
        }
    }

    fn command(self, binary: &str, address: &str, folder: &TempDir) -> Command {
        let mut command = Command::new(binary);
        match self {
            Self::Versitygw => {
                command.args(["--port", address, "--quiet", "--virtual-domain", &virtual_domain(address)]);
                command.arg("posix").arg(folder.path());
                command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
            }
            Self::Moto => {
                let (host, port) = address.split_once(':').unwrap_or((address, "0"));
                command.args(["--host", host, "--port", port]);
            }
            Self::Minio => {
                command.args(["server", "--quiet", "--address", address]).arg(folder.path());
                command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
                command.env("MINIO_DOMAIN", "localhost").env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off");
            }
        }
        command.current_dir(folder.path());
        command
    }
}

fn virtual_domain(address: &str) -> String {
    let port = address.rsplit(':').next().unwrap_or_default();
    format!("localhost:{port}")
}

/// A running server. Dropping it kills its process.
#[derive(Debug)]
pub struct ExternalServer {
    /// The server as a client sees it; its bucket exists.
    pub store: Store,
    process: Child,
    // Removed after the process has ended.
    _folder: TempDir,
}

impl ExternalServer {
    /// Starts one; `None`, with a line that says so, where there is no binary and none is required.
    ///
    /// # Errors
    /// No binary although `KLSTORE_TEST_REQUIRE_SERVERS` is 1, or a server that does not come up.
    pub async fn start(kind: Kind) -> Result<Option<Self>, Failure> {
        let variable = kind.variable();
        let Some(binary) = std::env::var(variable).ok().filter(|binary| !binary.is_empty()) else {
            if std::env::var("KLSTORE_TEST_REQUIRE_SERVERS").as_deref() == Ok("1") {
                return Err(format!("{variable} is not set: script/test sets it").into());
            }
            println!("{kind:?} is left out: {variable} is not set (script/test sets it)");
            return Ok(None);
        };
        let mut failure = Failure::from("never tried");
        for _ in 0..START_ATTEMPTS {
            match Self::try_start(kind, &binary).await {
                Ok(server) => return Ok(Some(server)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn try_start(kind: Kind, binary: &str) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let address = free_address()?;
        let log = folder.path().with_extension("log");
        let mut process = kind
            .command(binary, &address, &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{binary} does not start: {error}"))?;
        let mut store = Store::new(format!("http://{address}"));
        store.holds_in_races = kind != Kind::Moto;
        let ready = tokio::time::timeout(START_TIMEOUT, create_bucket(&store, &mut process)).await;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        std::fs::remove_file(&log)?;
        match ready {
            Ok(Ok(())) => Ok(Self { store, process, _folder: folder }),
            Ok(Err(error)) => Err(format!("{binary} at {address}: {error}\n{said}").into()),
            Err(_) => Err(format!("{binary} at {address} did not answer within {START_TIMEOUT:?}\n{said}").into()),
        }
    }

    /// Ends the process, by its id, and waits until it has ended.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn stop(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }
}

/// A port that was free a moment ago.
fn free_address() -> Result<String, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Asks until the server answers, or has ended.
async fn create_bucket(store: &Store, process: &mut Child) -> Result<(), Failure> {
    let client = plain_client(store);
    loop {
        if let Some(status) = process.try_wait()? {
            return Err(format!("it ended with {status}").into());
        }
        match client.create_bucket().bucket(&store.bucket).send().await {
            Ok(_) => return Ok(()),
            // A definite answer will not get better; 503 is one that has not started yet (MinIO on a busy machine).
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().is_client_error()) => {
                return Err(format!("no bucket could be created: {error:?}").into());
            }
            Err(_) => tokio::time::sleep(START_PAUSE).await,
        }
    }
}

/// The AWS SDK's own client for a store, to do what klstore's writer would not.
pub fn plain_client(store: &Store) -> aws_sdk_s3::Client {
    let keys = Credentials::new(&store.access_key, &store.secret_key, None, None, "tests");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&store.endpoint)
        .region(Region::new(store.region.clone()))
        .credentials_provider(keys)
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}
