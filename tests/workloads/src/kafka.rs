//! A real Apache Kafka: one KRaft node from Maven Central's jars, on free ports of 127.0.0.1, stopped by its own
//! process id.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::util::Timeout;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Failure;

/// The folder with Kafka's jars; `script/test` sets it.
pub const VARIABLE: &str = "KLSTORE_TEST_KAFKA";

/// Who may use the listener with SASL.
pub const SASL_USER: &str = "bridge";
/// With this password.
pub const SASL_PASSWORD: &str = "bridge-secret";

/// How long a broker may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A running broker. Dropping it kills its process.
#[derive(Debug)]
pub struct Broker {
    /// `127.0.0.1:port`
    pub address: String,
    /// The same for those who say [`SASL_USER`] and [`SASL_PASSWORD`] by SASL's PLAIN.
    pub sasl_address: String,
    jars: PathBuf,
    folder: TempDir,
    process: Child,
}

impl Broker {
    /// Starts one; `None`, with a line that says so, where there are no jars and none are required.
    ///
    /// # Errors
    /// No jars although `KLSTORE_TEST_REQUIRE_SERVERS` is 1, or a broker that does not come up.
    pub async fn start() -> Result<Option<Self>, Failure> {
        let Some(jars) = std::env::var_os(VARIABLE).filter(|jars| !jars.is_empty()) else {
            if std::env::var("KLSTORE_TEST_REQUIRE_SERVERS").as_deref() == Ok("1") {
                return Err(format!("{VARIABLE} is not set: script/test sets it").into());
            }
            println!("Kafka is left out: {VARIABLE} is not set (script/test sets it)");
            return Ok(None);
        };
        let (folder, jars) = (TempDir::new()?, PathBuf::from(jars));
        let [address, sasl_address, controller] = [free_address()?, free_address()?, free_address()?];
        let properties = properties(folder.path(), &address, &sasl_address, &controller);
        std::fs::write(folder.path().join("broker.properties"), properties)?;
        std::fs::write(folder.path().join("log4j.properties"), LOG)?;
        let formatted = java(&jars, folder.path())
            .args(["kafka.tools.StorageTool", "format", "-t", "a2xzdG9yZS10ZXN0cy0wMQ", "-c", "broker.properties"])
            .output()
            .await?;
        if !formatted.status.success() {
            return Err(format!("Kafka's storage: {}", String::from_utf8_lossy(&formatted.stderr)).into());
        }
        let process = start_process(&jars, folder.path())?;
        let broker = Self { address, sasl_address, jars, folder, process };
        broker.wait_until_it_answers().await?;
        Ok(Some(broker))
    }

    /// Kills the process and starts it again, with the same data.
    ///
    /// # Errors
    /// The operating system's, or a broker that does not come up.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.process.kill().await?;
        self.process = start_process(&self.jars, self.folder.path())?;
        self.wait_until_it_answers().await
    }

    async fn wait_until_it_answers(&self) -> Result<(), Failure> {
        let client: BaseConsumer = self.client().create()?;
        let answered = tokio::task::spawn_blocking(move || {
            let attempts = START_TIMEOUT.as_secs() / REQUEST_TIMEOUT.as_secs();
            (0..attempts).any(|_| {
                let metadata = client.fetch_metadata(None, REQUEST_TIMEOUT);
                metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
            })
        });
        if answered.await? {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default();
        Err(format!("Kafka at {} did not answer within {START_TIMEOUT:?}\n{log}", self.address).into())
    }

    /// librdkafka's settings that lead to it.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.address).set("log_level", "0");
        client
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Failure> {
        Ok(self.client().create()?)
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// The broker's.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Failure> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for created in self.admin()?.create_topics([&topic], &AdminOptions::new()).await? {
            created.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// The broker's.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Failure> {
        for deleted in self.admin()?.delete_topics(&[name], &AdminOptions::new()).await? {
            deleted.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }

    /// Gives a topic more partitions.
    ///
    /// # Errors
    /// The broker's.
    pub async fn set_partitions(&self, name: &str, partitions: usize) -> Result<(), Failure> {
        let wanted = NewPartitions::new(name, partitions);
        for grown in self.admin()?.create_partitions([&wanted], &AdminOptions::new()).await? {
            grown.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }

    /// Produces records, each to its partition and in this order, and waits until the broker has them.
    ///
    /// # Errors
    /// The client's.
    pub fn produce<'r>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (i32, Option<&'r [u8]>, Option<&'r [u8]>)>,
    ) -> Result<(), Failure> {
        let mut client = self.client();
        client.set("enable.idempotence", "true").set("linger.ms", "20");
        client.set("queue.buffering.max.messages", "2000000");
        let producer: ThreadedProducer<_> = client.create()?;
        for (partition, key, value) in records {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
            record.key = key;
            record.payload = value;
            producer.send(record).map_err(|(error, _)| error)?;
        }
        Ok(producer.flush(Timeout::After(Duration::from_secs(60)))?)
    }

    /// Produces keys with values, each to the partition of its key, and waits until the broker has them.
    ///
    /// # Errors
    /// The client's.
    pub fn produce_by_key<'r>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<(), Failure> {
        let mut client = self.client();
        client.set("enable.idempotence", "true").set("linger.ms", "20").set("partitioner", "murmur2");
        client.set("queue.buffering.max.messages", "2000000");
        let producer: ThreadedProducer<_> = client.create()?;
        for (key, value) in records {
            producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error)?;
        }
        Ok(producer.flush(Timeout::After(Duration::from_secs(60)))?)
    }

    /// Produces values to partition 0 in one transaction, which is committed or aborted.
    ///
    /// # Errors
    /// The client's.
    pub fn produce_in_transaction(&self, topic: &str, values: &[&str], commit: bool) -> Result<(), Failure> {
        let mut client = self.client();
        client.set("transactional.id", "tests");
        let producer: ThreadedProducer<_> = client.create()?;
        let limit = Timeout::After(Duration::from_secs(60));
        producer.init_transactions(limit)?;
        producer.begin_transaction()?;
        for value in values {
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(value.as_bytes());
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(limit)?;
        let ended = if commit { producer.commit_transaction(limit) } else { producer.abort_transaction(limit) };
        Ok(ended?)
    }
}

fn java(jars: &Path, folder: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg("-Xmx512m").arg("-XX:TieredStopAtLevel=1").arg("-Dlog4j.configuration=file:log4j.properties");
    command.arg("-cp").arg(jars.join("*")).current_dir(folder).stdin(Stdio::null());
    command
}

fn start_process(jars: &Path, folder: &Path) -> Result<Child, Failure> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("broker.log"))?;
    let mut command = java(jars, folder);
    command.args(["kafka.Kafka", "broker.properties"]).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    Ok(command.spawn().map_err(|error| format!("java does not start: {error}"))?)
}

const LOG: &str = "log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
";

fn properties(folder: &Path, address: &str, sasl: &str, controller: &str) -> String {
    let data = folder.join("data").display().to_string();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{address},SASL_PLAINTEXT://{sasl},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{address},SASL_PLAINTEXT://{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{SASL_USER}=\"{SASL_PASSWORD}\";
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"
    )
}

/// A port that was free a moment ago.
fn free_address() -> Result<String, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
