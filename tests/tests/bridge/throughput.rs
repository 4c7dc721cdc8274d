//! What the bridge takes: the memory of many lists, and the time of several instances. `script/bench` has its processor
//! time beside that of a consumer that throws the records away.

use std::time::Duration;

use klstore_s3_server::{Fault, Operation};
use klstore_tests::seeded;
use serde_json::Value as Json;

use super::scene::{GROUP, KEYSPACE, Scene};

const MEGABYTE: f64 = 1e6;

/// Of 100 bytes each, like `value 000..`: they compress, as logs do.
fn values(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("{number:0>100}"))
}

/// Produces them in order, round robin or by their keys.
fn produce(scene: &Scene, count: u64) {
    let values: Vec<String> = values(count).collect();
    let partitions = u64::try_from(scene.partitions).unwrap();
    let records = values
        .iter()
        .zip(0_u64..)
        .map(|(value, number)| (i32::try_from(number % partitions).unwrap(), None, Some(value.as_bytes())));
    scene.broker.produce(&scene.topic, records).unwrap();
}

/// As an operator would run it: the defaults, but for where it keeps what.
fn config(scene: &Scene, round: usize) -> String {
    let config = scene.config("").replace("session.timeout.ms=1000\nheartbeat.interval.ms=300\n", "");
    let config =
        config.replace("writer_thread_count=2\nbatch_check_interval_millis=10\nbatch_flush_interval_millis=20", "");
    config.replace(GROUP, &format!("{GROUP}_{round}")).replace(KEYSPACE, &format!("keyspace_{round}"))
}

async fn bridge_took(config: &str) -> Json {
    let file = tempfile::NamedTempFile::with_suffix(".ini").unwrap();
    std::fs::write(file.path(), config).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_bridge_load"));
    let output = command.arg(file.path()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(report: &Json, name: &str) -> f64 {
    report[name].as_f64().unwrap()
}

/// Memory beside the byte budget, with as many keys as there are records to a tenth.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: script/test-long"]
async fn memory_of_a_hundred_thousand_keys() {
    let Some(scene) = Scene::start("keys", 16).await else { return };
    let count = seeded::count("KLSTORE_TEST_RECORDS", 1_000_000);
    let keys = seeded::count("KLSTORE_TEST_KEYS", 100_000);
    let values: Vec<(String, String)> =
        values(count).zip(0_u64..).map(|(value, number)| (format!("key {}", number % keys), value)).collect();
    let records = values.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
    scene.broker.produce_by_key(&scene.topic, records).unwrap();
    let config =
        config(&scene, 0).replace("\"RecordPartition\"", "\"RecordKey\"").replace("RecordOffset", "SourceOffset");
    let config = config.replace("[batcher]", "[batcher]\nmax_buffered_bytes=67108864");
    let report = bridge_took(&config).await;
    assert_eq!(report["records"], count);
    println!(
        "{keys} keys, {count} records in {:.0} s: peak {:.0} MB, of which 67 MB are the byte budget (goal: 200 MB besides it)",
        number(&report, "seconds"),
        number(&report, "peak_resident_bytes") / MEGABYTE,
    );
}

/// Instances of one group, where S3 is as far away as it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: script/test-long"]
async fn more_instances_where_the_store_is_far_away() {
    let Some(scene) = Scene::start("far", 16).await else { return };
    let count = seeded::count("KLSTORE_TEST_RECORDS", 1_000_000);
    produce(&scene, count);
    scene.server.faults().set(|request| {
        let millis = if request.operation == Operation::PutObject { 100 } else { 60 };
        Fault::Delay(Duration::from_millis(millis), Box::new(Fault::None))
    });
    for instances in [1, 2, 4] {
        let config = config(&scene, instances);
        let begin = tokio::time::Instant::now();
        let running: Vec<_> = (0..instances).map(|_| bridge_took(&config)).collect();
        let reports = futures::future::join_all(running).await;
        let seconds = begin.elapsed().as_secs_f64();
        let records: f64 = reports.iter().map(|report| number(report, "records")).sum();
        println!("{instances} instances: {seconds:.1} s, {:.0} records/s ({records} taken)", count as f64 / seconds);
    }
}
