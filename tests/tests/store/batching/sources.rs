//! Instances that feed one list from partitions of their own, end at any moment and begin again from an earlier record.

use std::sync::atomic::Ordering;
use std::sync::{Arc, atomic::AtomicU64};
use std::time::Duration;

use klstore_format::Insertion;
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_tests::seeded::{self, percent};
use klstore_tests::storm::Storm;
use klstore_writer::{Source, StoreWriter};
use rand::RngExt;

use super::{config, read_all, writer};

const KEY: &str = "fed from two";
const RECORDS: u64 = 500;

/// What a partition has at an offset. Every seventh record is one of another key.
fn is_for_the_list(offset: u64) -> bool {
    offset % 7 != 3
}

/// Feeds the list from one partition, through one instance after another, to the partition's end.
async fn feed(harness: Arc<Harness>, partition: u32, seed: u64, dropped: Arc<AtomicU64>) {
    let source = Source::new("topic", partition).unwrap();
    let mut random = seeded::random(seed, u64::from(partition) + 1);
    // The record up to which all is durable: where the next instance begins, or some way before.
    let mut committed = 0_u64;
    while committed < RECORDS {
        let writer = writer(&harness, config(), Duration::from_millis(200)).await;
        let mut next = committed.saturating_sub(random.random_range(0..30));
        let mut receipts = Vec::new();
        for _ in 0..random.random_range(1..12) {
            let end = (next + random.random_range(1..20)).min(RECORDS);
            let record =
                |offset| Insertion::new(format!("{partition}/{offset}")).with_source_offset(source.clone(), offset);
            let records: Vec<_> = (next..end).filter(|offset| is_for_the_list(*offset)).map(record).collect();
            let count = records.len() as u64;
            receipts.push((end, count, writer.append_list(KEYSPACE, KEY, records).await.unwrap()));
            next = end;
        }
        if percent(&mut random, 30) {
            // It ends as a process that is killed: nobody knows what has become durable.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
            continue;
        }
        for (end, count, receipt) in receipts {
            let appended = receipt.await.unwrap();
            assert_eq!(appended.appended_count + appended.duplicate_count, count, "{appended:?}");
            let runs: u64 = appended.duplicates.iter().map(|run| run.end - run.start).sum();
            assert_eq!(runs, appended.duplicate_count);
            dropped.fetch_add(runs, Ordering::Relaxed);
            committed = end;
        }
        let position = writer.inner().position(KEYSPACE, KEY).await.unwrap();
        assert!(
            position.sources.next_offset(&source) >= (0..committed).rfind(|offset| is_for_the_list(*offset)).unwrap()
        );
        writer.close().await.unwrap();
        writer.inner().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_fed_from_two_partitions_has_each_record_once_in_its_order() {
    let seed = seeded::seed("batching from two partitions");
    let harness = Arc::new(Harness::start().await);
    let storm = Storm::new(harness.server.faults(), seeded::random(seed, 0));
    storm.rage(15);
    let dropped = Arc::new(AtomicU64::new(0));
    let feeders = [0, 1].map(|partition| tokio::spawn(feed(harness.clone(), partition, seed, dropped.clone())));
    for feeder in feeders {
        feeder.await.unwrap();
    }
    storm.calm();

    let items = read_all(&harness, KEYSPACE, KEY).await;
    let values: Vec<String> = items.iter().map(|item| String::from_utf8(item.value.to_vec()).unwrap()).collect();
    assert!(items.iter().map(|item| item.offset).eq(0..items.len() as u64));
    let mut count = 0;
    for partition in [0, 1] {
        let prefix = format!("{partition}/");
        let found: Vec<&String> = values.iter().filter(|value| value.starts_with(&prefix)).collect();
        let expected: Vec<String> =
            (0..RECORDS).filter(|offset| is_for_the_list(*offset)).map(|offset| format!("{prefix}{offset}")).collect();
        assert!(found.iter().copied().eq(&expected), "partition {partition}: {found:?}");
        count += expected.len();
    }
    assert_eq!(items.len(), count);
    let first_of_the_second = values.iter().position(|value| value.starts_with("1/")).unwrap();
    assert!(values[first_of_the_second..].iter().any(|value| value.starts_with("0/")), "they took turns");

    let last = writer(&harness, config(), Duration::from_secs(10)).await;
    let position = last.inner().position(KEYSPACE, KEY).await.unwrap();
    assert_eq!((position.next_offset, position.next_nonce), (count as u64, 0));
    let next = (0..RECORDS).rfind(|offset| is_for_the_list(*offset)).unwrap() + 1;
    for (source, offset) in position.sources.iter() {
        assert_eq!((source.name(), offset), ("topic", next));
    }
    assert_eq!(position.sources.len(), 2);
    println!("{} dropped as duplicates, {:?} struck", dropped.load(Ordering::Relaxed), storm.struck());
    assert!(dropped.load(Ordering::Relaxed) > 0 && storm.struck().0 > 0, "records were read again, and faults struck");
}
