//! `s2 lite --bucket`, with the settings that it has by default.

use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::Failure;
use crate::minio::{ACCESS_KEY, BUCKET, Minio, REGION, SECRET_KEY, wait_for};
use crate::process::{free_port, peak_resident_bytes, terminate};

/// A running server. Dropping it kills its process.
pub struct Lite {
    pub endpoint: String,
    process: Child,
}

impl Lite {
    pub async fn start(command: &Path, minio: &Minio) -> Result<Self, Failure> {
        // It listens on all addresses; there is no option for another one.
        let port = free_port()?;
        let mut lite = Command::new(command);
        lite.args(["lite", "--bucket", BUCKET, "--path", "s2lite", "--no-dashboard", "--port"]).arg(port.to_string());
        lite.env("AWS_ENDPOINT_URL_S3", &minio.endpoint).env("AWS_REGION", REGION);
        lite.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        lite.env("AWS_EC2_METADATA_DISABLED", "true").env("RUST_LOG", "warn");
        lite.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        let process = lite.spawn().map_err(|error| format!("{} does not start: {error}", command.display()))?;
        let lite = Self { endpoint: format!("http://127.0.0.1:{port}"), process };
        wait_for(&format!("{}/health", lite.endpoint)).await?;
        Ok(lite)
    }

    pub fn peak_bytes(&self) -> Result<u64, Failure> {
        peak_resident_bytes(self.process.id().ok_or("s2 lite has ended")?)
    }

    /// Ends it as an operator would: it makes durable what it has.
    pub async fn stop(mut self) -> Result<(), Failure> {
        terminate(&mut self.process).await
    }

    /// Ends one that has written nothing.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }
}
