//! The bridge between a real Kafka and an S3 server on this machine: a year of flights keyed by aircraft goes into a
//! topic, two bridges of one group bring it into lists, a reader compares every record and pages from a time on.
//! `script/demo --kafka` runs it: `kafka_demo BRIDGE [--exit]`, where BRIDGE is the built `klstore-bridge`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::RunningServer;
use klstore_tests::conformance::Failure;
use klstore_tests::embedded;
use klstore_tests::flights::{Flight, flights};
use klstore_tests::kafka::Broker;
use klstore_tests::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

const TOPIC: &str = "flights";
const KEYSPACE: &str = "flights";
const PARTITIONS: i32 = 8;
const BRIDGES: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let bridge = PathBuf::from(arguments.next().ok_or("usage: kafka_demo BRIDGE [--exit]")?);
    let ends = arguments.next().is_some_and(|argument| argument == "--exit");

    let folder = TempDir::new()?;
    let broker = Broker::start().await?.ok_or("there is no Kafka: script/demo --kafka sets it up")?;
    println!("kafka     Apache Kafka on this machine, at {}", broker.address);
    let server = embedded::server().folder(folder.path().join("objects")).start().await?;
    println!("server    S3 on this machine, at {}", server.endpoint());
    let outcome = show(&broker, &server, &bridge, folder.path()).await;
    if outcome.is_ok() && !ends {
        println!(
            "\nBoth stay up until Ctrl-C. The bridge's configuration is {}/bridge.ini, so for example:",
            folder.path().display()
        );
        println!("  {} lag --config {}/bridge.ini", bridge.display(), folder.path().display());
        println!("and for klstore:");
        println!("  export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
        println!("  export KLSTORE_ENDPOINT={} KLSTORE_BUCKET={BUCKET}", server.endpoint());
        tokio::signal::ctrl_c().await?;
    }
    server.shutdown().await;
    outcome
}

async fn show(broker: &Broker, server: &RunningServer, bridge: &Path, folder: &Path) -> Result<(), Failure> {
    // As they would come in.
    let mut flights = flights()?;
    flights.sort_by_key(|flight| flight.departure);
    let mut lists: BTreeMap<&str, Vec<&Flight>> = BTreeMap::new();
    for flight in &flights {
        lists.entry(&flight.aircraft).or_default().push(flight);
    }
    let began = Instant::now();
    broker.create_topic(TOPIC, PARTITIONS).await?;
    broker
        .produce_by_key(TOPIC, flights.iter().map(|flight| (flight.aircraft.as_bytes(), flight.record.as_bytes())))?;
    let (records, aircraft) = (flights.len(), lists.len());
    println!(
        "produce   {records} flights of {aircraft} aircraft into the {PARTITIONS} partitions of topic {TOPIC}, keyed by aircraft: {:.1} s",
        began.elapsed().as_secs_f64()
    );

    let file = folder.join("bridge.ini");
    let config = configuration(broker, server);
    // It holds a secret.
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file)?.write_all(config.as_bytes())?;
    println!("\n{config}");
    let began = Instant::now();
    let before = server.counts();
    run_bridges(bridge, &file).await?;
    let (seconds, after) = (began.elapsed().as_secs_f64(), server.counts());
    println!(
        "bridge    {BRIDGES} processes of one group: {:.1} s, {:.0} records a second, {} PUTs",
        seconds,
        records as f64 / seconds,
        after.put - before.put,
    );

    let config = embedded::config(server);
    let reader = S3StoreReader::new(config.clone()).await?;
    let compared = stream::iter(&lists).map(|(aircraft, flights)| compare(&reader, aircraft, flights));
    let compared: u64 = compared.buffer_unordered(16).try_fold(0, |sum, count| async move { Ok(sum + count) }).await?;
    println!("check     {compared} records read back by aircraft, in order, each equal to what was produced");

    let busiest = lists.iter().max_by_key(|(_, flights)| flights.len()).ok_or("there are no flights")?;
    page_from_july(&S3StoreReader::new(config).await?, busiest.0, busiest.1).await?;
    println!("\nSummary\n  in      {records} records of {PARTITIONS} partitions, {aircraft} lists");
    println!("  out     {compared} records compared, all equal, none lost or doubled");
    Ok(())
}

/// Producers choose the partition by the key, and this topic keeps its partitions; `SourceOffset` needs neither.
fn configuration(broker: &Broker, server: &RunningServer) -> String {
    let (address, endpoint) = (&broker.address, server.endpoint());
    format!(
        "[s3]
endpoint=\"{endpoint}\"
bucket_name=\"{BUCKET}\"
path_style=true
access_key=\"{ACCESS_KEY}\"
secret_key=\"{SECRET_KEY}\"
use_default_credentials=false

[batcher]
batch_flush_interval_millis=5000

[kafka]
topic=\"{TOPIC}\"
group.id=\"demo\"
bootstrap.servers=\"{address}\"
auto.offset.reset=earliest

[bridge]
metrics_address=none

[parser]
keyspace_parser=\"Static({KEYSPACE})\"
key_parser=\"RecordKey\"
nonce_parser=\"SourceOffset\"
timestamp_parser=\"RecordJson(/at)\"
"
    )
}

async fn run_bridges(bridge: &Path, file: &Path) -> Result<(), Failure> {
    let mut running = Vec::new();
    for _ in 0..BRIDGES {
        let mut command = Command::new(bridge);
        command.arg("run").arg("--config").arg(file).arg("--until-end").env("RUST_LOG", "warn").kill_on_drop(true);
        running.push(command.spawn()?);
    }
    for mut process in running {
        let status = process.wait().await?;
        if !status.success() {
            return Err(format!("a bridge ended with {status}").into());
        }
    }
    Ok(())
}

/// The whole list of an aircraft against its flights; how many they are.
async fn compare(reader: &S3StoreReader, aircraft: &str, flights: &[&Flight]) -> Result<u64, Failure> {
    let (mut items, mut continuation) = (Vec::new(), None);
    loop {
        let page =
            reader.read_page(KEYSPACE, aircraft, IterationOrder::Forwards, Some(1_000), None, continuation).await?;
        items.extend(page.items);
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    let is_equal =
        items.len() == flights.len() && items.iter().zip(flights).all(|(item, flight)| is_same(item, flight));
    match is_equal {
        true => Ok(items.len() as u64),
        false => Err(format!("{aircraft}: the list of {} is not what was produced", items.len()).into()),
    }
}

fn is_same(item: &Item, flight: &Flight) -> bool {
    item.value == flight.record && item.timestamp == flight.departure
}

/// A page from the first of July on, by a reader that knows nothing yet.
async fn page_from_july(reader: &S3StoreReader, aircraft: &str, flights: &[&Flight]) -> Result<(), Failure> {
    let july: jiff::Timestamp = "2013-07-01T00:00:00Z".parse()?;
    let filter = ItemFilter { start_timestamp: Some(july.as_millisecond()), ..ItemFilter::default() };
    let page = reader.read_page(KEYSPACE, aircraft, IterationOrder::Forwards, Some(5), Some(filter), None).await?;
    let first = flights.iter().position(|flight| flight.departure >= july.as_millisecond()).unwrap_or(flights.len());
    if !page.items.iter().zip(flights.get(first..).unwrap_or_default()).all(|(item, flight)| is_same(item, flight)) {
        return Err(format!("{aircraft}: the page from {july} is not what was produced").into());
    }
    println!(
        "page      {aircraft}, the busiest aircraft ({} flights), from {july} on ({} LIST + {} GET):",
        flights.len(),
        page.stats.list_operation_count,
        page.stats.read_operation_count,
    );
    for item in &page.items {
        let time = jiff::Timestamp::from_millisecond(item.timestamp)?;
        println!("  {:>4}  {time}  {}", item.offset, String::from_utf8_lossy(&item.value));
    }
    Ok(())
}
