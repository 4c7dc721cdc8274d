//! MinIO: the S3 server of both sides, started anew for each, with its data in a temporary folder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Failure;
use crate::process::free_port;
use crate::requests::Requests;

pub const ACCESS_KEY: &str = "AKBENCH";
pub const SECRET_KEY: &str = "a-secret-of-the-benchmarks";
pub const REGION: &str = "us-east-1";
pub const BUCKET: &str = "bench";

const START_ATTEMPTS: usize = 300;
const START_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping it kills its process and deletes its data.
pub struct Minio {
    pub endpoint: String,
    process: Child,
    // Dropped after the process.
    _folder: TempDir,
}

impl Minio {
    pub async fn start(command: &Path) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut minio = Command::new(command);
        minio.arg("server").arg(folder.path().join("data")).arg("--address").arg(&address);
        minio.arg("--console-address").arg(format!("127.0.0.1:{}", free_port()?)).arg("--quiet");
        minio.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
        minio.env("MINIO_PROMETHEUS_AUTH_TYPE", "public").env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off");
        minio.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let process = minio.spawn().map_err(|error| format!("{} does not start: {error}", command.display()))?;
        let minio = Self { endpoint: format!("http://{address}"), process, _folder: folder };
        wait_for(&format!("{}/minio/health/ready", minio.endpoint)).await?;
        minio.create_bucket().await?;
        Ok(minio)
    }

    async fn create_bucket(&self) -> Result<(), Failure> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .force_path_style(true)
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench"))
            .build();
        aws_sdk_s3::Client::from_conf(config).create_bucket().bucket(BUCKET).send().await?;
        Ok(())
    }

    /// What it was asked since it started.
    pub async fn requests(&self) -> Result<Requests, Failure> {
        let url = format!("{}/minio/metrics/v3/api/requests", self.endpoint);
        Ok(Requests::of_metrics(&reqwest::get(url).await?.error_for_status()?.text().await?))
    }

    /// Its data go with it, so that it need not end well.
    pub async fn stop(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }
}

/// Waits until this is answered with success.
pub async fn wait_for(url: &str) -> Result<(), Failure> {
    for _ in 0..START_ATTEMPTS {
        if reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Err(format!("{url} is not answered").into())
}
