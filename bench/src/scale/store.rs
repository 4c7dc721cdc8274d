//! The server, and the clients of it that are processes of their own.

use std::process::Stdio;
use std::time::Duration;

use klstore_reader::S3StoreConfig;
use klstore_s3_server::{
    Counts, Credential, Fault, Limits, Operation, RequestInfo, RequestRecord, RunningServer, Server,
};
use klstore_workloads::Failure;
use klstore_writer::{S3StoreWriter, StoreWriter};
use serde_json::Value;
use tokio::process::Command;

use crate::task::{Task, Work};

pub const BUCKET: &str = "scale";
pub const KEYSPACE: &str = "scale";
const ACCESS_KEY: &str = "AKSCALE";
const SECRET_KEY: &str = "a-secret-of-the-benchmarks";
/// How long S3 takes for a small request, in its median.
pub fn lateness(operation: Operation) -> Duration {
    Duration::from_millis(if operation == Operation::GetObject { 60 } else { 100 })
}

/// A server in memory with a keyspace.
pub struct Store {
    pub server: RunningServer,
}

/// What a client said, and what it asked the server for.
pub struct Report {
    pub answer: Value,
    pub counts: Counts,
    pub requests: Vec<RequestRecord>,
}

impl Store {
    /// Remembers so many requests: what is measured under load has no use for them, and would pay for it.
    pub async fn start(request_log: usize) -> Result<Self, Failure> {
        let limits = Limits { max_connections: 16_384, ..Limits::default() };
        let server = Server::builder().bucket(BUCKET).limits(limits).request_log(request_log);
        let server = server.credential(Credential::new(ACCESS_KEY, SECRET_KEY)).start().await?;
        let writer = S3StoreWriter::new(config(&server.endpoint())).await?;
        writer.create_keyspace(KEYSPACE).await?;
        writer.close().await?;
        Ok(Self { server })
    }

    /// Answers as late as S3 from now on; `before` is called with each request before it is served.
    pub fn be_late(&self, before: impl Fn(&RequestInfo) + Send + Sync + 'static) {
        self.server.faults().set(move |request| {
            before(request);
            Fault::Delay(lateness(request.operation), Box::new(Fault::None))
        });
    }

    /// Lets a client do something in a process of its own.
    pub async fn client(&self, work: Work) -> Result<Report, Failure> {
        let task = Task { endpoint: self.server.endpoint(), work };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("client").arg(serde_json::to_string(&task)?);
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        self.server.reset_counts();
        self.server.take_requests();
        let output = command.output().await?;
        if !output.status.success() {
            return Err(format!("a client ended with {}", output.status).into());
        }
        let answer = serde_json::from_slice(&output.stdout)?;
        Ok(Report { answer, counts: self.server.reset_counts(), requests: self.server.take_requests() })
    }
}

impl Report {
    /// A number of the answer.
    pub fn number(&self, name: &str) -> Result<f64, Failure> {
        Ok(self.answer[name].as_f64().ok_or_else(|| format!("a client did not tell {name}: {}", self.answer))?)
    }

    /// Requests that concern a list: its objects, and LISTs of them.
    pub fn requests_of(&self, key: &str) -> impl Iterator<Item = &RequestRecord> {
        let names = move |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(key));
        self.requests.iter().filter(move |record| names(&record.key) || names(&record.query))
    }
}

/// Settings that lead to the server.
pub fn config(endpoint: &str) -> S3StoreConfig {
    S3StoreConfig {
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        ..S3StoreConfig::new(BUCKET)
    }
}
