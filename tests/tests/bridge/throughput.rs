//! What the bridge takes, as ratios to a consumer that throws the records away. Broker, S3 server and bridge share the
//! machine, so processor time is compared, and wall-clock time beside it.

use std::time::Duration;

use klstore_s3_server::{Fault, Operation};
use klstore_tests::seeded;
use serde_json::Value as Json;

use super::scene::{GROUP, KEYSPACE, Scene};

const LISTS: i32 = 100;
const ROUNDS: usize = 5;
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

/// Runs one side, and what it took.
async fn took(arguments: &[&str]) -> Json {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_bridge_load"));
    let output = command.args(arguments).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn bridge_took(config: &str) -> Json {
    let file = tempfile::NamedTempFile::with_suffix(".ini").unwrap();
    std::fs::write(file.path(), config).unwrap();
    took(&["bridge", file.path().to_str().unwrap()]).await
}

fn number(report: &Json, name: &str) -> f64 {
    report[name].as_f64().unwrap()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: script/test-long"]
async fn processor_time_against_a_bare_consumer() {
    let Some(scene) = Scene::start("load", LISTS).await else { return };
    let count = seeded::count("KLSTORE_TEST_RECORDS", 2_000_000);
    produce(&scene, count);
    let (mut ratios, mut walls) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bare = took(&["bare", &scene.broker.address, &scene.topic, &count.to_string()]).await;
        let before = scene.server.counts();
        let bridge = bridge_took(&config(&scene, round)).await;
        let after = scene.server.counts();
        assert_eq!(bridge["records"], count);
        ratios.push(number(&bridge, "cpu_seconds") / number(&bare, "cpu_seconds"));
        walls.push(number(&bridge, "seconds") / number(&bare, "seconds"));
        let millions = count as f64 / 1e6;
        println!(
            "round {round}: bare {:.2} s and {:.2} s of processor a million records; bridge {:.2} s and {:.2} s, \
             {:.0} records/s, {:.1} MB/s, peak {:.0} MB, {} PUTs, {:.4} USD a million at 0.005 USD a thousand PUTs",
            number(&bare, "seconds") / millions,
            number(&bare, "cpu_seconds") / millions,
            number(&bridge, "seconds") / millions,
            number(&bridge, "cpu_seconds") / millions,
            count as f64 / number(&bridge, "seconds"),
            count as f64 * 100.0 / MEGABYTE / number(&bridge, "seconds"),
            number(&bridge, "peak_resident_bytes") / MEGABYTE,
            after.put - before.put,
            (after.put - before.put) as f64 * 0.005 / 1_000.0 / millions,
        );
    }
    println!(
        "median of {ROUNDS} rounds: {:.2} times the processor time of a bare consumer (goal 3), {:.2} times its wall clock",
        median(ratios),
        median(walls)
    );
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
