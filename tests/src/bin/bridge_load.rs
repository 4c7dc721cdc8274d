//! `bridge_load FILE` runs a bridge to the end of its topics, in a process of its own so that what it takes can be measured,
//! and prints that as JSON.

use klstore_bridge::KafkaConsumerBridge;
use klstore_bridge::settings::BridgeConfig;
use klstore_config::ConfigFile;
use klstore_tests::conformance::Failure;
use klstore_tests::process;
use tokio::time::Instant;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file] = &arguments[..] else { return Err("argument: FILE".into()) };
    let begin = Instant::now();
    let records = bridge(file)?;
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

fn bridge(file: &str) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let config = BridgeConfig::read(&ConfigFile::load(file.as_ref())?, &|name| std::env::var(name).ok())?;
    let summary = KafkaConsumerBridge::new(config, runtime.handle().clone()).until_end().run()?;
    Ok(summary.record_count)
}
