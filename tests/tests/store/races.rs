//! Two writers race on one key, over HTTP, with compaction and collection on and answers lost: nothing is lost and
//! nothing is there twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use klstore_format::{Insertion, Item, IterationOrder};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_tests::seeded::{self, Random, percent};
use klstore_tests::storm::Storm;
use klstore_writer::{Appended, S3StoreConfig, S3StoreWriter, StoreWriter};
use rand::RngExt;

const KEY: &str = "contended";
/// Requests in a hundred that are struck.
const STORM: u32 = 10;
/// Items of the largest batch.
const MAX_BATCH: u64 = 30;

/// Small segments, so that the index, collection and merges all have their part in the race.
async fn writer(harness: &Harness) -> S3StoreWriter {
    let config = S3StoreConfig {
        compact_items_threshold: 300,
        compact_objects_threshold: 8,
        carry_bytes: 2_000,
        ..harness.config()
    };
    harness.writer(config).build().await.expect("a writer")
}

async fn append(writer: &S3StoreWriter, insertions: Vec<Insertion>) -> Appended {
    let receipt = writer.append_list(KEYSPACE, KEY, insertions).await.expect("an append");
    receipt.await.expect("a receipt")
}

/// The whole list.
async fn read_all(harness: &Harness, order: IterationOrder) -> Vec<Item> {
    let reader = harness.reader(harness.config()).build().await.expect("a reader");
    let (mut items, mut continuation) = (Vec::new(), None);
    loop {
        let page = reader.read_page(KEYSPACE, KEY, order, Some(997), None, continuation).await.expect("a page");
        items.extend(page.items);
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    if order == IterationOrder::Backwards {
        items.reverse();
    }
    items
}

fn numbered(nonces: Range<u64>) -> Vec<Insertion> {
    let insertion = |nonce: u64| Insertion::new(format!("value {nonce}")).with_nonce(u128::from(nonce));
    nonces.map(insertion).collect()
}

/// Two writers take the same source of numbered items, each from its beginning to its end; now and then an append is
/// given up without knowing what came of it, and made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nonces_every_item_is_there_exactly_once() {
    let seed = seeded::seed("racing writers with nonces");
    let count = seeded::count("KLSTORE_ITEMS", 30_000);
    let harness = Arc::new(Harness::start().await);
    let storm = Storm::new(harness.server.faults(), seeded::random(seed, 0));
    storm.rage(STORM);

    let acknowledged = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(watch(harness.clone(), acknowledged.clone(), ended.clone(), seeded::random(seed, 9)));
    let race = |part| race_through(harness.clone(), acknowledged.clone(), count, seeded::random(seed, part));
    let (first, second) = tokio::join!(tokio::spawn(race(1)), tokio::spawn(race(2)));
    let (first, second) = (first.expect("the first writer"), second.expect("the second writer"));
    ended.store(true, Ordering::SeqCst);
    let pages = reader.await.expect("the reader");
    storm.calm();

    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let items = read_all(&harness, order).await;
        assert_eq!(items.len() as u64, count, "{order:?}");
        items.iter().for_each(check_numbered);
    }
    println!("{count} items, {pages} pages read beside the race, struck and late requests {:?}", storm.struck());
    for racer in [first, second] {
        println!("{racer:?}");
        assert!(racer.appended > 0 && racer.conflicts > 0, "there was no race: KLSTORE_SEED={seed}");
    }
}

/// The source has no gap, so the nonce of an item is its offset.
fn check_numbered(item: &Item) {
    assert_eq!(item.nonce, Some(u128::from(item.offset)));
    assert_eq!(item.value, format!("value {}", item.offset));
}

#[derive(Debug)]
struct Racer {
    appended: u64,
    given_up: u64,
    conflicts: u64,
    #[allow(dead_code, reason = "printed")]
    compactions: u64,
}

async fn race_through(harness: Arc<Harness>, acknowledged: Arc<AtomicU64>, count: u64, mut random: Random) -> Racer {
    let writer = writer(&harness).await;
    let mut racer = Racer { appended: 0, given_up: 0, conflicts: 0, compactions: 0 };
    let mut next = 0;
    while next < count {
        let end = count.min(next + random.random_range(1..=MAX_BATCH));
        let append = append(&writer, numbered(next..end));
        let appended = if percent(&mut random, 8) {
            let patience = Duration::from_micros(random.random_range(0..5_000));
            tokio::time::timeout(patience, append).await.ok()
        } else {
            Some(append.await)
        };
        let Some(appended) = appended else {
            racer.given_up += 1;
            continue;
        };
        assert_eq!(appended.appended_count + appended.duplicate_count, end - next);
        racer.appended += appended.appended_count;
        // Rule 5: a duplicate is acknowledged only when it is there.
        acknowledged.fetch_max(end, Ordering::SeqCst);
        next = end;
    }
    let statistics = writer.statistics();
    racer.conflicts = statistics.conflict_count;
    racer.compactions = statistics.compaction_count;
    writer.close().await.expect("the writer ends");
    racer
}

/// Reads beside the race: dense, unchanged, and with all that was acknowledged before the read began.
async fn watch(harness: Arc<Harness>, acknowledged: Arc<AtomicU64>, ended: Arc<AtomicBool>, mut random: Random) -> u64 {
    let reader: S3StoreReader = harness.reader(harness.config()).build().await.expect("a reader");
    let mut pages = 0;
    while !ended.load(Ordering::SeqCst) {
        let order = klstore_tests::workload::order(&mut random);
        let size = random.random_range(1..400);
        let before = acknowledged.load(Ordering::SeqCst);
        let mut page = reader.read_page(KEYSPACE, KEY, order, Some(size), None, None).await.expect("a page");
        if order == IterationOrder::Backwards {
            let end = page.items.first().map_or(0, |item| item.offset + 1);
            assert!(end >= before, "the list ends at {end} after {before} items were acknowledged");
        }
        let mut next = page.items.first().map_or(0, |item| item.offset);
        for _ in 0..random.random_range(1..6) {
            pages += 1;
            for item in &page.items {
                assert_eq!(item.offset, next, "{order:?}");
                check_numbered(item);
                next = if order == IterationOrder::Forwards { next + 1 } else { next.wrapping_sub(1) };
            }
            let Some(continuation) = page.continuation else { break };
            let more = reader.read_page(KEYSPACE, KEY, order, Some(size), None, Some(continuation));
            page = more.await.expect("the next page");
        }
    }
    pages
}

/// Two writers append values of their own, without nonces: each is where its receipt says, and nothing else is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nonces_every_item_is_where_its_receipt_says() {
    let seed = seeded::seed("racing writers without nonces");
    let count = seeded::count("KLSTORE_ITEMS", 30_000) / 2;
    let harness = Arc::new(Harness::start().await);
    let storm = Storm::new(harness.server.faults(), seeded::random(seed, 0));
    storm.rage(STORM);
    let race = |part| append_own(harness.clone(), part, count, seeded::random(seed, part));
    let (first, second) = tokio::join!(tokio::spawn(race(1)), tokio::spawn(race(2)));
    storm.calm();
    let receipts: BTreeMap<u64, String> =
        [first, second].into_iter().flat_map(|receipts| receipts.expect("a writer")).collect();
    assert_eq!(receipts.len() as u64, 2 * count, "two receipts promise the same offset");

    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let items = read_all(&harness, order).await;
        assert_eq!(items.len() as u64, 2 * count, "{order:?}: lost or duplicated");
        for (item, (offset, value)) in items.iter().zip(&receipts) {
            assert_eq!((item.offset, &item.value[..]), (*offset, value.as_bytes()), "{order:?}");
        }
    }
    println!("{} items, struck and late requests {:?}", 2 * count, storm.struck());
}

/// Appends this writer's values; the value that each offset was promised for.
async fn append_own(harness: Arc<Harness>, part: u64, count: u64, mut random: Random) -> Vec<(u64, String)> {
    let writer = writer(&harness).await;
    let mut receipts = Vec::new();
    let mut next = 0;
    while next < count {
        let end = count.min(next + random.random_range(1..=MAX_BATCH));
        let values: Vec<String> = (next..end).map(|number| format!("writer {part} value {number}")).collect();
        let insertions = values.iter().map(|value| Insertion::new(value.clone())).collect();
        let appended = append(&writer, insertions).await;
        assert_eq!((appended.appended_count, appended.duplicate_count), (end - next, 0));
        receipts.extend(appended.ranges.into_iter().flatten().zip(values));
        next = end;
    }
    writer.close().await.expect("the writer ends");
    receipts
}
