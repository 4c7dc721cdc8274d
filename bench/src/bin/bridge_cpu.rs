//! The bridge against a consumer that throws the records away, in seconds of processor: broker, S3 server and both sides
//! share the machine. `script/bench` runs it, with the folder of Kafka's jars in `KLSTORE_TEST_KAFKA`.
//!
//! Each side is a process of its own, so that what it takes can be measured: this program again, with `bare BROKERS TOPIC
//! RECORDS` or `bridge FILE`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Parser;
use klstore_bridge::KafkaConsumerBridge;
use klstore_bridge::settings::BridgeConfig;
use klstore_config::ConfigFile;
use klstore_s3_server::{Credential, Server};
use klstore_workloads::kafka::Broker;
use klstore_workloads::process;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[path = "../pairs.rs"]
#[allow(dead_code, reason = "the other program prints tables")]
mod pairs;

use pairs::{Goal, Row};

/// Whatever ends it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOPIC: &str = "bench";
/// Each into a list of its own.
const PARTITIONS: i32 = 100;
const RECORDS: u64 = 500_000;
const RECORD_BYTES: usize = 100;

#[derive(Parser)]
struct Arguments {
    /// Write the rows to this file
    #[arg(long)]
    json: PathBuf,
    /// Interleaved pairs
    #[arg(long, default_value_t = 15)]
    pairs: usize,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let records = match &arguments[..] {
        [side, brokers, topic, records] if side == "bare" => throw_away(brokers, topic, records.parse()?)?,
        [side, file] if side == "bridge" => bridge(file)?,
        _ => {
            let Arguments { json, pairs } = Arguments::parse();
            let rows = [Runtime::new()?.block_on(compare(pairs))?];
            std::fs::write(json, serde_json::to_vec_pretty(&rows)?)?;
            return Ok(());
        }
    };
    println!("{}", serde_json::json!({"records": records, "cpu_seconds": process::usage()?.cpu_seconds}));
    Ok(())
}

async fn compare(pairs: usize) -> Result<Row, Failure> {
    let broker = Broker::start().await?.ok_or("KLSTORE_TEST_KAFKA is not set: script/bench sets it")?;
    broker.create_topic(TOPIC, PARTITIONS).await?;
    // They compress, as logs do.
    let values: Vec<String> = (0..RECORDS).map(|number| format!("{number:0>RECORD_BYTES$}")).collect();
    let partitions = (0..PARTITIONS).cycle();
    broker.produce(TOPIC, values.iter().zip(partitions).map(|(value, to)| (to, None, Some(value.as_bytes()))))?;
    let server = Server::builder().bucket("bench").credential(Credential::new("AKBENCH", "a-secret")).start().await?;
    let (folder, mut seconds) = (TempDir::new()?, Vec::new());
    for round in 0..=pairs {
        let records = RECORDS.to_string();
        let file = folder.path().join(format!("{round}.ini"));
        std::fs::write(&file, config(&server.endpoint(), &broker.address, round))?;
        let ours = took(&["bridge".as_ref(), &file]).await?;
        let bare = took(&["bare".as_ref(), broker.address.as_ref(), TOPIC.as_ref(), records.as_ref()]).await?;
        // The first reads what the broker has just written.
        if round > 0 {
            seconds.push((ours, bare));
        }
        eprintln!("bridge {ours:.2} s, bare consumer {bare:.2} s of processor");
    }
    server.shutdown().await;
    let of_a_million = |seconds: f64| seconds / RECORDS as f64 * 1e6;
    let seconds: Vec<_> = seconds.iter().map(|(ours, bare)| (of_a_million(*ours), of_a_million(*bare))).collect();
    let name = format!("bridge {RECORD_BYTES} bytes / bare consumer, cpu of a million");
    Ok(Row::of(name, "s", Goal::AtMost(2.0), &seconds))
}

/// As an operator would run it: the defaults, but for where it keeps what.
fn config(endpoint: &str, broker: &str, round: usize) -> String {
    format!(
        "[s3]
endpoint=\"{endpoint}\"
bucket_name=\"bench\"
path_style=true
access_key=\"AKBENCH\"
secret_key=\"a-secret\"
use_default_credentials=false

[batcher]

[kafka]
topic=\"{TOPIC}\"
group.id=\"bridge {round}\"
bootstrap.servers=\"{broker}\"
auto.offset.reset=earliest

[bridge]
metrics_address=none

[parser]
nonce_parser=\"RecordOffset\"
timestamp_parser=\"None\"
keyspace_parser=\"Static(round_{round})\"
key_parser=\"RecordPartition\"
"
    )
}

/// Seconds of processor that one side took.
async fn took(arguments: &[&Path]) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let report: Json = serde_json::from_slice(&output.stdout)?;
    match (report["records"].as_u64(), report["cpu_seconds"].as_f64()) {
        (Some(RECORDS), Some(seconds)) => Ok(seconds),
        _ => Err(format!("{arguments:?}: {report} where {RECORDS} records were to be read").into()),
    }
}

fn throw_away(brokers: &str, topic: &str, records: u64) -> Result<u64, Failure> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", format!("bare {}", std::process::id()));
    client.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = client.create()?;
    consumer.subscribe(&[topic])?;
    let mut count = 0;
    while count < records {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            message?;
            count += 1;
        }
    }
    Ok(count)
}

fn bridge(file: &str) -> Result<u64, Failure> {
    let runtime = Runtime::new()?;
    let config = BridgeConfig::read(&ConfigFile::load(file.as_ref())?, &|name| std::env::var(name).ok())?;
    let summary = KafkaConsumerBridge::new(config, runtime.handle().clone()).until_end().run()?;
    Ok(summary.record_count)
}
