//! The batching writer with its threads, over HTTP: faults, outages, memory, and the README's program.

mod sources;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use klstore_format::{Insertion, Item, IterationOrder};
use klstore_reader::StoreReader;
use klstore_s3_server::{Fault, Operation, Refusal};
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_tests::seeded::{self, percent};
use klstore_tests::storm::Storm;
use klstore_writer::{
    Appended, BatchingStoreWriter, BatchingStoreWriterConfig, RetryPolicy, S3StoreWriter, StoreWriter, WriterError,
};
use rand::RngExt;

type Writer = BatchingStoreWriter<S3StoreWriter>;

fn config() -> BatchingStoreWriterConfig {
    BatchingStoreWriterConfig { batch_check_interval_millis: 5, batch_flush_interval_millis: 30, ..Default::default() }
}

/// Gives each attempt up after `deadline`, so that the batching writer has failures to deal with.
async fn writer(harness: &Harness, config: BatchingStoreWriterConfig, deadline: Duration) -> Writer {
    let policy = RetryPolicy {
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(20),
        deadline,
        background_deadline: Duration::from_secs(120),
    };
    let inner = harness.writer(harness.config()).retry_policy(policy).build().await.unwrap();
    let builder = BatchingStoreWriter::builder(inner, config);
    builder.retry_delays(Duration::from_millis(5), Duration::from_millis(100)).build().unwrap()
}

async fn read_all(harness: &Harness, keyspace: &str, key: &str) -> Vec<Item> {
    let reader = harness.reader(harness.config()).build().await.unwrap();
    let (mut items, mut continuation) = (Vec::new(), None);
    loop {
        let page = reader.read_page(keyspace, key, IterationOrder::Forwards, Some(1_000), None, continuation).await;
        let page = page.unwrap();
        items.extend(page.items);
        continuation = page.continuation;
        if continuation.is_none() {
            return items;
        }
    }
}

fn offsets(appended: &Appended) -> impl Iterator<Item = u64> + '_ {
    appended.ranges.iter().cloned().flatten()
}

/// Many callers, each with keys of its own, send numbered items and now and then some of the last ones again, while
/// three requests of ten fail in every way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_random_faults_every_item_is_there_once_in_order_and_receipts_are_right() {
    const CALLERS: u64 = 16;
    const ITEMS: u128 = 400;
    let seed = seeded::seed("batching under faults");
    let harness = Arc::new(Harness::start().await);
    let storm = Storm::new(harness.server.faults(), seeded::random(seed, 0));
    let config = BatchingStoreWriterConfig { writer_thread_count: 2, batch_flush_item_count_threshold: 5, ..config() };
    let writer = writer(&harness, config, Duration::from_millis(60)).await;
    storm.rage(30);

    let callers = (0..CALLERS).map(|caller| {
        let (writer, mut random) = (writer.clone(), seeded::random(seed, caller + 1));
        tokio::spawn(async move {
            let (key, mut next, mut receipts) = (format!("caller {caller}"), 0, Vec::new());
            while next < ITEMS {
                let first = if percent(&mut random, 20) { next.saturating_sub(7) } else { next };
                let end = (next + random.random_range(1..20_u128)).min(ITEMS);
                let items = (first..end).map(|nonce| Insertion::new(format!("{nonce}")).with_nonce(nonce));
                let receipt = writer.append_list(KEYSPACE, &key, items.collect()).await.unwrap();
                receipts.push((next, first, end, receipt));
                next = end;
                if percent(&mut random, 30) {
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
                }
            }
            for (next, first, end, receipt) in receipts {
                let appended = receipt.await.unwrap();
                // Nobody else writes: offsets are nonces, unless the caller's own repetition was told a duplicate.
                assert!(offsets(&appended).eq(next as u64..end as u64), "{appended:?} of {next}..{end}");
                assert_eq!(u128::from(appended.duplicate_count), next - first);
            }
            key
        })
    });
    let callers: Vec<_> = callers.collect();
    for caller in callers {
        let key = caller.await.unwrap();
        let found: Vec<_> =
            read_all(&harness, KEYSPACE, &key).await.iter().map(|item| (item.offset, item.nonce)).collect();
        let expected: Vec<_> = (0..ITEMS).map(|nonce| (nonce as u64, Some(nonce))).collect();
        assert_eq!(found, expected, "{key}");
    }
    storm.calm();
    writer.close().await.unwrap();
    let done = writer.statistics();
    println!("{} appends, {} of them again, {:?} struck", done.put_count, done.retry_count, storm.struck());
    assert!(done.retry_count > 0 && storm.struck().0 > 100, "the faults came through");
}

async fn outage(time: Duration) {
    let harness = Arc::new(Harness::start().await);
    let writer = writer(&harness, config(), Duration::from_millis(500)).await;
    #[expect(clippy::async_yields_async, reason = "what it yields is the receipt, which is waited for later")]
    let append = async |key: &str, number: u64| {
        // Without nonces: whatever is sent twice is there twice.
        let insertion = Insertion::new(format!("{number}"));
        writer.append_list(KEYSPACE, key, vec![insertion]).await.unwrap()
    };
    for key in ["down", "up"] {
        append(key, 0).await.await.unwrap();
    }

    // The first commit takes effect, and nobody hears of it until the end.
    let (down, struck) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    harness.server.faults().set({
        let (down, struck) = (down.clone(), struck.clone());
        move |request| {
            let of_the_key = request.key.as_deref().is_some_and(|key| key.contains("/lists/down/"));
            let put = of_the_key && request.operation == Operation::PutObject;
            if !put || !down.load(Ordering::Relaxed) {
                return Fault::None;
            }
            match struck.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => Fault::FailAfter(Refusal::INTERNAL_ERROR),
                1 => Fault::LoseAnswer,
                _ => Fault::SLOW_DOWN,
            }
        }
    });
    let begin = tokio::time::Instant::now();
    let (mut number, mut receipts, mut slowest) = (0, Vec::new(), Duration::ZERO);
    while begin.elapsed() < time {
        number += 1;
        receipts.push(append("down", number).await);
        let asked = tokio::time::Instant::now();
        append("up", number).await.await.unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    let during = writer.statistics();
    let flushed = writer.flush_key(KEYSPACE, "down").await;
    println!("outage of {time:?}: {number} items each, the slowest of the other key {slowest:?}; {during:?}");
    assert!(matches!(flushed, Err(WriterError::StillBuffered { .. })), "{flushed:?}");
    assert!(during.failing_key_count == 1 && during.retry_count > 1, "{during:?}");
    assert!(during.oldest_age_millis.unwrap() as u128 > time.as_millis() / 2);
    assert!(slowest < Duration::from_secs(2), "the other key was held up");

    down.store(false, Ordering::Relaxed);
    writer.close().await.unwrap();
    for (number, receipt) in (1..).zip(receipts) {
        assert_eq!(receipt.await.unwrap().first_offset, Some(number));
    }
    for key in ["down", "up"] {
        let values: Vec<_> = read_all(&harness, KEYSPACE, key).await.into_iter().map(|item| item.value).collect();
        let expected: Vec<_> = (0..=number).map(|number| format!("{number}")).collect();
        assert_eq!(values, expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_fails_a_key_for_3_s_it_loses_nothing_and_others_go_on() {
    outage(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "half a minute: script/test-long"]
async fn while_the_store_fails_a_key_for_30_s_it_loses_nothing_and_others_go_on() {
    outage(Duration::from_secs(30)).await;
}

/// More than the budget from many callers at once: never more in memory, and all of it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_byte_budget_holds() {
    const BUDGET: u64 = 100_000;
    const CALLERS: u64 = 20;
    const CALLS: u64 = 50;
    let harness = Arc::new(Harness::start().await);
    let config = BatchingStoreWriterConfig {
        max_buffered_bytes: BUDGET,
        writer_thread_count: 2,
        writer_thread_queue_capacity: Some(4),
        batch_flush_interval_millis: 60_000,
        ..config()
    };
    let writer = writer(&harness, config, Duration::from_secs(60)).await;
    let callers = (0..CALLERS).map(|caller| {
        let writer = writer.clone();
        tokio::spawn(async move {
            for call in 0..CALLS {
                let insertion = Insertion::new(vec![b'x'; 1_000 + call as usize]);
                drop(writer.append_list(KEYSPACE, &format!("{}", caller % 5), vec![insertion]).await.unwrap());
                assert!(writer.statistics().buffered_bytes <= BUDGET);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    writer.close().await.unwrap();
    let done = writer.statistics();
    println!("{done:?}");
    assert!(done.peak_buffered_bytes <= BUDGET && done.peak_buffered_bytes > BUDGET / 2, "{done:?}");
    assert_eq!((done.appended_count, done.buffered_bytes), (CALLERS * CALLS, 0));
}

/// Closing makes everything durable, and a writer that is dropped lets its threads end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_close_everything_is_durable_and_the_threads_have_ended() {
    let harness = Harness::start().await;
    let config = BatchingStoreWriterConfig { writer_thread_count: 3, batch_flush_interval_millis: 60_000, ..config() };
    let writer = writer(&harness, config, Duration::from_secs(60)).await;
    for key in 0..30 {
        drop(writer.append_list(KEYSPACE, &format!("closed {key}"), vec![Insertion::new("x")]).await.unwrap());
    }
    writer.close().await.unwrap();
    for key in 0..30 {
        assert_eq!(read_all(&harness, KEYSPACE, &format!("closed {key}")).await.len(), 1);
    }
    let late = writer.append_list(KEYSPACE, "closed 0", vec![Insertion::new("x")]).await;
    assert!(matches!(late, Err(WriterError::Closed)));
    writer.flush_all().await.unwrap();
}

/// The README's program: twenty lines at most, as they stand in the README, run as a process of its own, and run
/// again on the same lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_in_the_readme_ingests() {
    let program = include_str!("../../../writer/examples/ingest.rs");
    assert!(program.lines().count() <= 20);
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("```rust,no_run\n{program}```")), "the README shows another program");

    let harness = Harness::start().await;
    harness.create_bucket("my-bucket", "telemetry").await;
    let lines: String = (0..1_000).map(|number| format!("device {}\treading {number}\n", number % 7)).collect();
    for _ in 0..2 {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ingest"))
            .env("KLSTORE_ENDPOINT", harness.server.endpoint())
            .envs(harness.credentials())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
    let config = klstore_writer::S3StoreConfig { bucket_name: "my-bucket".into(), ..harness.config() };
    let reader = harness.reader(config).build().await.unwrap();
    for device in 0..7 {
        let key = format!("device {device}");
        let page =
            reader.read_page("telemetry", &key, IterationOrder::Forwards, Some(1_000), None, None).await.unwrap();
        let values: Vec<_> = page.items.into_iter().map(|item| item.value).collect();
        let expected: Vec<_> = (device..1_000).step_by(7).map(|number| format!("reading {number}")).collect();
        assert_eq!(values, expected);
    }
}
