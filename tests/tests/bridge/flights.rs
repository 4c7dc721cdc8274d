//! Real input: the flights out of New York in 2013, keyed by aircraft, through Kafka and back.

use std::collections::BTreeMap;

use klstore_format::{ItemFilter, IterationOrder};
use klstore_reader::StoreReader;
use klstore_tests::embedded;
use klstore_tests::flights::{Flight, flights};

use super::scene::{KEYSPACE, Scene};

const PARTITIONS: i32 = 4;

/// As a producer does: by the key alone.
fn partition(key: &str) -> i32 {
    key.bytes().fold(0, |sum, byte| sum + i32::from(byte)) % PARTITIONS
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flights_come_back_by_aircraft_and_time() {
    let Some(scene) = Scene::start("flights", PARTITIONS).await else { return };
    let flights = flights().unwrap();
    assert_eq!(flights.len(), 334_264);
    let records = flights
        .iter()
        .map(|flight| (partition(&flight.aircraft), Some(flight.aircraft.as_bytes()), Some(flight.record.as_bytes())));
    scene.broker.produce(&scene.topic, records).unwrap();
    let config = scene.config("key_affinity=asserted").replace("RecordPartition", "RecordKey");
    let config = config.replace("\"None\"", "\"RecordJson(/at)\"");
    // Few PUTs for thousands of lists.
    let config = config.replace("batch_flush_interval_millis=20", "batch_flush_interval_millis=5000");
    scene.run_until_end(&config).await;

    let mut expected: BTreeMap<&str, Vec<&Flight>> = BTreeMap::new();
    for flight in &flights {
        expected.entry(&flight.aircraft).or_default().push(flight);
    }
    assert_eq!(expected.len(), 4_043);
    let reader = embedded::reader_of(embedded::config(&scene.server)).await;
    let july = 1_372_636_800_000;
    for (aircraft, flights) in expected {
        // From a start timestamp: where the running maximum reaches it.
        let first = flights.iter().position(|flight| flight.departure >= july).unwrap_or(flights.len());
        let filter = ItemFilter { start_timestamp: Some(july), ..ItemFilter::default() };
        let order = IterationOrder::Forwards;
        let page = reader.read_page(KEYSPACE, aircraft, order, Some(1_000), Some(filter), None).await.unwrap();
        let wanted: Vec<String> = flights[first..].iter().map(|flight| flight.record.clone()).collect();
        assert_eq!(embedded::values(&page.items), wanted, "{aircraft}");
        let all = reader.read_page(KEYSPACE, aircraft, order, Some(1_000), None, None).await.unwrap();
        assert_eq!(all.items.len(), flights.len(), "{aircraft}");
        assert!(all.items.iter().zip(&flights).all(|(item, flight)| item.value == flight.record), "{aircraft}");
        assert!(all.items.iter().zip(&flights).all(|(item, flight)| item.timestamp == flight.departure), "{aircraft}");
    }
}
