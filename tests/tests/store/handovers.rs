//! A list that two writers feed in turn, each from a partition of its own: nearly every commit is a handover. What
//! that costs, and that readers do not notice.

use klstore_format::{Insertion, ItemFilter, IterationOrder};
use klstore_reader::StoreReader;
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_tests::seeded;
use klstore_writer::{S3StoreWriter, Source};

use super::budgets::meter::{cold_reader, forget, harness, spent};

const KEY: &str = "fan-in";
/// Records of one commit.
const BATCH: u64 = 10;

#[tokio::test]
async fn two_partitions_feed_one_list_in_turn() {
    feed(seeded::count("KLSTORE_COMMITS", 2_000)).await;
}

#[tokio::test]
#[ignore = "minutes: script/test-long"]
async fn two_partitions_feed_one_list_in_turn_a_hundred_thousand_times() {
    feed(100_000).await;
}

async fn feed(commits: u64) {
    let harness = harness().await;
    let writers = [0, 1].map(|partition| (partition, harness.writer(harness.config())));
    let mut feeders = Vec::new();
    for (partition, writer) in writers {
        feeders.push(Feeder {
            source: Source::new("topic", partition).expect("a source"),
            writer: writer.build().await.expect("a writer"),
        });
    }
    forget(&harness);
    let (mut conflicts, mut next) = (0, 0);
    let mut counts = klstore_s3_server::Counts::default();
    for tenth in 1..=10 {
        while next < commits * tenth / 10 {
            for feeder in &feeders {
                conflicts += feeder.append(next / 2 * BATCH).await;
                next += 1;
            }
        }
        let spent = spent(&harness).counts;
        counts.put += spent.put;
        counts.list += spent.list;
        counts.get += spent.get;
        check_pages(&harness, next * BATCH).await;
        forget(&harness);
    }
    for feeder in &feeders {
        feeder.writer.close().await.expect("closed");
    }
    let cold = harness.writer(harness.config()).build().await.expect("a writer");
    let position = cold.position(KEYSPACE, KEY).await.expect("a position");
    assert_eq!(position.next_offset, commits * BATCH);
    for feeder in &feeders {
        assert_eq!(position.sources.next_offset(&feeder.source), commits / 2 * BATCH);
    }
    check_all(&harness, commits).await;
    let per_commit = |count: u64| count as f64 / commits as f64;
    println!(
        "{commits} commits of {BATCH} records: {conflicts} conflicts; a commit took {:.2} PUTs, {:.2} LISTs and {:.2} GETs, \
         a record {:.3} requests (compaction included)",
        per_commit(counts.put),
        per_commit(counts.list),
        per_commit(counts.get),
        (counts.put + counts.list + counts.get) as f64 / (commits * BATCH) as f64,
    );
}

struct Feeder {
    source: Source,
    writer: S3StoreWriter,
}

impl Feeder {
    /// Appends the next batch, twice as after a crash; how often another writer was first.
    async fn append(&self, offset: u64) -> u64 {
        let insertions = (offset..offset + BATCH).map(|offset| {
            let value = format!("{} {offset} {}", self.source, "x".repeat(80));
            Insertion::new(value).with_timestamp(timestamp(offset))
        });
        let insertions: Vec<Insertion> = insertions.collect();
        let again = insertions.clone();
        let appended =
            self.writer.append_from(KEYSPACE, KEY, &self.source, offset, insertions).await.expect("an append");
        assert_eq!((appended.appended_count, appended.duplicate_count), (BATCH, 0));
        if offset.is_multiple_of(1_000) {
            let again = self.writer.append_from(KEYSPACE, KEY, &self.source, offset, again).await.expect("an append");
            assert_eq!((again.appended_count, again.duplicate_count), (0, BATCH), "all were there");
        }
        appended.conflict_count
    }
}

fn timestamp(record: u64) -> i64 {
    1_357_000_000_000 + 1_000 * i64::try_from(record).expect("a small number")
}

/// The newest page and a page from the middle, by readers that know nothing: within the budgets of any list. What they
/// asked for is taken from the pages, as the writers may still be collecting.
async fn check_pages(harness: &Harness, items: u64) {
    let (forwards, backwards) = (IterationOrder::Forwards, IterationOrder::Backwards);
    let newest = cold_reader(harness).await.read_page(KEYSPACE, KEY, backwards, Some(20), None, None).await;
    let newest = newest.expect("a page");
    assert_eq!(newest.items.first().map(|item| item.offset), Some(items - 1));
    let asked = (newest.stats.list_operation_count, newest.stats.read_operation_count);
    assert!(asked.0 == 1 && asked.1 <= 2, "the newest page: {asked:?}");
    let filter = ItemFilter { start_timestamp: Some(timestamp(items / 4)), ..ItemFilter::default() };
    let found = cold_reader(harness).await.read_page(KEYSPACE, KEY, forwards, Some(20), Some(filter), None).await;
    let found = found.expect("a page");
    let first = found.items.first().map(|item| item.offset);
    assert!(first.is_some_and(|offset| offset.abs_diff(items / 2) <= 2 * BATCH), "{first:?}");
    let requests = found.stats.list_operation_count + found.stats.read_operation_count;
    // Five, and one for an object boundary in the page.
    assert!(requests <= 6, "a page by time: {requests}");
}

/// Every record of each partition once, and in its order.
async fn check_all(harness: &Harness, commits: u64) {
    let reader = cold_reader(harness).await;
    let (mut next, mut continuation) = ([0_u64, 0], None);
    loop {
        let page = reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, Some(10_000), None, continuation).await;
        let page = page.expect("a page");
        for item in &page.items {
            let value = String::from_utf8_lossy(&item.value);
            let (source, record) = value.split_once(' ').expect("source and record");
            let partition = usize::from(source == "topic/1");
            let expected = next[partition].to_string();
            assert_eq!(record.split(' ').next(), Some(expected.as_str()), "{source}");
            next[partition] += 1;
        }
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(next, [commits / 2 * BATCH; 2]);
}
