//! One side of the bridge's comparison, in a process of its own so that what it takes can be measured:
//! `bridge_load bare BROKERS TOPIC RECORDS` reads records and throws them away, `bridge_load bridge FILE` runs a bridge
//! to the end of its topics. Prints what it took as JSON.

use std::time::Duration;

use klstore_bridge::KafkaConsumerBridge;
use klstore_bridge::settings::BridgeConfig;
use klstore_config::ConfigFile;
use klstore_tests::conformance::Failure;
use klstore_tests::process;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::time::Instant;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let begin = Instant::now();
    let records = match arguments.as_slice() {
        ["bare", brokers, topic, records] => read(brokers, topic, records.parse()?)?,
        ["bridge", file] => bridge(file)?,
        _ => return Err("arguments: bare BROKERS TOPIC RECORDS, or bridge FILE".into()),
    };
    let (seconds, usage) = (begin.elapsed().as_secs_f64(), process::usage()?);
    let report = serde_json::json!({
        "records": records,
        "seconds": seconds,
        "cpu_seconds": usage.cpu_seconds,
        "peak_resident_bytes": usage.peak_resident_bytes,
    });
    println!("{report}");
    Ok(())
}

fn read(brokers: &str, topic: &str, records: u64) -> Result<u64, Failure> {
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
    let runtime = tokio::runtime::Runtime::new()?;
    let config = BridgeConfig::read(&ConfigFile::load(file.as_ref())?, &|name| std::env::var(name).ok())?;
    let summary = KafkaConsumerBridge::new(config, runtime.handle().clone()).until_end().run()?;
    Ok(summary.record_count)
}
