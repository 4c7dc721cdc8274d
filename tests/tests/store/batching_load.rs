//! Many keys, a few of them busy, through the batching writer in a process of its own: everything is read back equal,
//! and the memory that it took is bounded.

use std::process::{Command, Stdio};

use futures::{StreamExt, stream};
use klstore_format::IterationOrder;
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_tests::harness::{BUCKET, Harness, KEYSPACE};
use klstore_tests::skewed_load::{self, Size};

/// Beside the most that was buffered: the goal.
const MAX_RESIDENT_BYTES: u64 = 400_000_000;
/// Keys that are read at once.
const READS_AT_ONCE: usize = 8;

async fn ingest(size: Size) {
    let harness = Harness::start().await;
    let process = Command::new(env!("CARGO_BIN_EXE_ingest_load"))
        .args([harness.server.endpoint().as_str(), BUCKET, KEYSPACE])
        .args([size.keys.to_string(), size.items.to_string()])
        .envs(harness.credentials())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = tokio::task::spawn_blocking(move || process.wait_with_output()).await.unwrap().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    println!("{report}");
    assert!(output.status.success(), "{}", output.status);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let number = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((number("appended"), number("duplicates")), (size.items, 0));
    assert!(number("peak_buffered_bytes") <= number("max_buffered_bytes"));
    let (resident, buffered) = (number("peak_resident_bytes"), number("peak_buffered_bytes"));
    let beside = resident.saturating_sub(buffered);
    println!(
        "peak resident memory: {} MB, {} MB beside the {} MB buffered at peak",
        resident / 1_000_000,
        beside / 1_000_000,
        buffered / 1_000_000
    );
    assert!(beside < MAX_RESIDENT_BYTES);

    let mut expected = vec![0_u64; size.keys as usize];
    size.key_numbers().for_each(|key| expected[key as usize] += 1);
    assert!(expected.iter().all(|items| *items > 0) && expected[0] > size.items / 50, "it is skewed");
    let reader = harness.reader(harness.config()).build().await.unwrap();
    let checks = stream::iter((0..).zip(expected)).map(|(key, items)| check(&reader, key, items));
    checks.buffer_unordered(READS_AT_ONCE).collect::<()>().await;
}

async fn check(reader: &S3StoreReader, key: u64, items: u64) {
    let (name, mut next, mut continuation) = (skewed_load::key(key), 0, None);
    loop {
        let page = reader.read_page(KEYSPACE, &name, IterationOrder::Forwards, Some(10_000), None, continuation).await;
        let page = page.unwrap();
        for item in page.items {
            assert_eq!((item.offset, item.nonce), (next, Some(next.into())), "{name}");
            assert_eq!(item.value, skewed_load::value(key, next), "{name}");
            next += 1;
        }
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(next, items, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_keys_are_read_back_equal() {
    ingest(Size::SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: script/test-long"]
async fn a_hundred_thousand_keys_are_read_back_equal_and_memory_stays_within_the_goal() {
    ingest(Size::FULL).await;
}
