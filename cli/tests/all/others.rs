//! S3 servers of others, as real processes: each on a free port of 127.0.0.1, in a folder of its own, ended by its own
//! process id.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{ACCESS_KEY, BUCKET, Ran, SECRET_KEY, command};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A server that can be started from its binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Versitygw,
    Minio,
}

impl Kind {
    /// The environment variable with the path of its binary.
    fn variable(self) -> &'static str {
        match self {
            Self::Versitygw => "KLSTORE_TEST_VERSITYGW",
            Self::Minio => "KLSTORE_TEST_MINIO",
        }
    }

    fn command(self, binary: &str, address: &str, folder: &Path) -> Command {
        let mut command = Command::new(binary);
        match self {
            Self::Versitygw => {
                command.args(["--port", address, "--quiet", "posix"]).arg(folder);
                command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
            }
            Self::Minio => {
                command.args(["server", "--quiet", "--address", address]).arg(folder);
                command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
                command.env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off");
            }
        }
        command
    }
}

/// A running server with its bucket.
pub struct OtherServer {
    process: Child,
    pub endpoint: String,
    // Removed after the process has ended.
    _folder: TempDir,
}

impl OtherServer {
    /// Starts one; `None`, with a line that says so, where there is no binary and none is required.
    pub fn start(kind: Kind) -> Option<Self> {
        let variable = kind.variable();
        let Some(binary) = std::env::var(variable).ok().filter(|binary| !binary.is_empty()) else {
            assert_ne!(std::env::var("KLSTORE_TEST_REQUIRE_SERVERS").as_deref(), Ok("1"), "{variable} is not set");
            println!("left out: {variable} is not set (script/test sets it)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = kind.command(&binary, &address, folder.path());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { process, endpoint: format!("http://{address}"), _folder: folder };
        Runtime::new().unwrap().block_on(create_bucket(&server.endpoint));
        Some(server)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.endpoint, arguments)
    }

    /// Runs the command to its end.
    pub fn klstore(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }
}

impl Drop for OtherServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks until the server answers.
async fn create_bucket(endpoint: &str) {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests"))
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    for _ in 0..300 {
        match client.create_bucket().bucket(BUCKET).send().await {
            Ok(_) => return,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_bucket_already_owned_by_you()) => {
                return;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("{endpoint} does not answer");
}
