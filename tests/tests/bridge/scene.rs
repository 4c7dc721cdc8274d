//! A broker, an S3 server and a topic, and bridges as processes between them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::{ExitStatus, Output};
use std::sync::Arc;
use std::time::Duration;

use klstore_format::{Item, IterationOrder};
use klstore_reader::StoreReader;
use klstore_s3_server::RunningServer;
use klstore_tests::embedded;
use klstore_tests::kafka::Broker;
use klstore_tests::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub const KEYSPACE: &str = "my_keyspace";
pub const GROUP: &str = "test_group";
/// How long a process or a broker may take: a test that hangs would say nothing.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Scene {
    pub broker: Broker,
    pub server: Arc<RunningServer>,
    pub topic: String,
    pub partitions: i32,
    folder: TempDir,
}

impl Scene {
    /// `None` where there is no Kafka, and none is required.
    pub async fn start(topic: &str, partitions: i32) -> Option<Self> {
        let broker = Broker::start().await.unwrap()?;
        broker.create_topic(topic, partitions).await.unwrap();
        let server = Arc::new(embedded::server().start().await.unwrap());
        Some(Self { broker, server, topic: topic.to_owned(), partitions, folder: TempDir::new().unwrap() })
    }

    /// The specification's configuration, with these lines at the end of `[parser]`.
    pub fn config(&self, parser: &str) -> String {
        let (endpoint, broker, topic) = (self.server.endpoint(), &self.broker.address, &self.topic);
        format!(
            "[s3]
endpoint=\"{endpoint}\"
bucket_name=\"{BUCKET}\"
path_style=true
access_key=\"{ACCESS_KEY}\"
secret_key=\"{SECRET_KEY}\"
use_default_credentials=false

[batcher]
writer_thread_count=2
batch_check_interval_millis=10
batch_flush_interval_millis=20

[kafka]
topic=\"{topic}\"
group.id=\"{GROUP}\"
bootstrap.servers=\"{broker}\"
auto.offset.reset=earliest
enable.auto.offset.store=true
enable.auto.commit=true
session.timeout.ms=1000
heartbeat.interval.ms=300

[bridge]
commit_interval_millis=100
metrics_address=none

[parser]
nonce_parser=\"RecordOffset\"
timestamp_parser=\"None\"
keyspace_parser=\"Static({KEYSPACE})\"
key_parser=\"RecordPartition\"
{parser}
"
        )
    }

    /// Produces these numbers, round robin.
    pub fn produce(&self, numbers: Range<u64>) {
        let values: Vec<(i32, String)> = numbers.map(|number| (self.partition(number), value(number))).collect();
        let records = values.iter().map(|(partition, value)| (*partition, None, Some(value.as_bytes())));
        self.broker.produce(&self.topic, records).unwrap();
    }

    fn partition(&self, number: u64) -> i32 {
        i32::try_from(number % u64::try_from(self.partitions).unwrap()).unwrap()
    }

    pub fn spawn(&self, config: &str) -> Child {
        let mut name = tempfile::Builder::new();
        let file = name.prefix("bridge").suffix(".ini").tempfile_in(self.folder.path()).unwrap();
        let (_, path) = file.keep().unwrap();
        std::fs::write(&path, config).unwrap();
        self.command(["run", "--config", path.to_str().unwrap()]).spawn().unwrap()
    }

    pub fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridge"));
        command.args(arguments).kill_on_drop(true);
        command
    }

    /// Runs a bridge to the end of the topic, which must be a good one.
    pub async fn run_until_end(&self, config: &str) {
        let (code, said) = self.try_until_end(config).await;
        assert_eq!(code, Some(0), "{said}");
    }

    /// The exit code and what was said.
    pub async fn try_until_end(&self, config: &str) -> (Option<i32>, String) {
        let path = self.folder.path().join("until-end.ini");
        std::fs::write(&path, config).unwrap();
        let mut command = self.command(["run", "--config", path.to_str().unwrap(), "--until-end"]);
        let output = self::output(&mut command).await;
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What a command that must end well prints.
    pub async fn says<const N: usize>(&self, arguments: [&str; N], config: &str) -> String {
        let (code, said) = self.try_says(arguments, config).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    /// The exit code, and what a command prints: where it fails, its error.
    pub async fn try_says<const N: usize>(&self, arguments: [&str; N], config: &str) -> (Option<i32>, String) {
        let path = self.folder.path().join("says.ini");
        std::fs::write(&path, config).unwrap();
        let mut command = self.command(arguments);
        let output = self::output(command.args(["--config".as_ref(), path.as_os_str()])).await;
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    pub async fn items(&self, keyspace: &str, key: &str) -> Vec<Item> {
        let reader = embedded::reader_of(embedded::config(&self.server)).await;
        let (mut items, mut continuation) = (Vec::new(), None);
        loop {
            let page =
                reader.read_page(keyspace, key, IterationOrder::Forwards, Some(10_000), None, continuation).await;
            let page = page.unwrap();
            items.extend(page.items);
            continuation = page.continuation;
            if continuation.is_none() {
                return items;
            }
        }
    }

    /// Each partition's list holds what was produced there of the numbers below `end`, once and in order.
    pub async fn check(&self, end: u64) {
        for partition in 0..self.partitions {
            let found = embedded::values(&self.items(KEYSPACE, &partition.to_string()).await);
            let expected: Vec<String> =
                (0..end).filter(|number| self.partition(*number) == partition).map(value).collect();
            let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
            assert_eq!(differs, None, "partition {partition}: {:?}", differs.map(|at| (&found[at], &expected[at])));
            assert_eq!(found.len(), expected.len(), "partition {partition}");
        }
    }

    /// Items in the lists of all partitions; 0 where there is no keyspace yet.
    pub async fn item_count(&self) -> u64 {
        let reader = embedded::reader_of(embedded::config(&self.server)).await;
        let mut count = 0;
        for partition in 0..self.partitions {
            let page = reader
                .read_page(KEYSPACE, &partition.to_string(), IterationOrder::Backwards, Some(1), None, None)
                .await;
            count += page.map_or(0, |page| page.items.first().map_or(0, |item| item.offset + 1));
        }
        count
    }

    pub async fn wait_for_items(&self, count: u64) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
        loop {
            let found = self.item_count().await;
            if found >= count {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{found} of {count} items after three minutes");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the group has committed, by partition.
    pub fn committed(&self) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = self.broker.client().set("group.id", GROUP).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        let committed = patiently(|| consumer.committed_offsets(list.clone(), Duration::from_secs(10)));
        let known = committed.elements().into_iter().filter_map(|entry| match entry.offset() {
            Offset::Offset(offset) => Some((entry.partition(), offset)),
            _ => None,
        });
        known.collect()
    }

    /// Waits until a bridge has its partitions: it commits where it begins.
    pub async fn wait_until_assigned(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.committed().len() < usize::try_from(self.partitions).unwrap() {
            assert!(tokio::time::Instant::now() < deadline, "nobody took the partitions");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks again while a broker that has just started looks for the group's coordinator.
pub fn patiently<T>(request: impl Fn() -> KafkaResult<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match request() {
            Ok(answer) => return answer,
            Err(error) => {
                assert!(tokio::time::Instant::now() < deadline, "Kafka still says after {PATIENCE:?}: {error}");
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a command prints, which must end in time.
pub async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("the command ends in time").unwrap()
}

/// The exit code of a process that must end in time.
pub async fn exit_code(ending: impl Future<Output = std::io::Result<ExitStatus>>) -> Option<i32> {
    tokio::time::timeout(PATIENCE, ending).await.expect("the process ends in time").unwrap().code()
}

/// What record number `number` holds.
pub fn value(number: u64) -> String {
    format!("record {number} {}", "x".repeat((number % 90) as usize))
}

/// SIGTERM.
pub fn terminate(process: &Child) {
    signal(process, "TERM");
}

/// Sends a signal to a process of ours that has not ended.
pub fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
}
