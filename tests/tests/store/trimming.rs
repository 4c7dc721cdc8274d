//! Trim, deletion and retention over HTTP: what readers see at once, and what is left in the store afterwards, counted
//! there.

use std::time::Duration;

use klstore_format::names::{ListName, Prefix};
use klstore_format::{Item, IterationOrder, KeyMetadata};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{ByteRange, Counts};
use klstore_tests::harness::{BUCKET, Harness, KEYSPACE};
use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter, TrimTo, Trimmed};

const KEY: &str = "key";
const VALUE_BYTES: usize = 1_000;

/// A writer whose duty cycles find every list idle.
async fn writer(harness: &Harness, config: S3StoreConfig) -> S3StoreWriter {
    let none = Duration::ZERO;
    harness.writer(config).compact_idle_after(none).publish_after(none).build().await.expect("a writer")
}

async fn reader(harness: &Harness) -> S3StoreReader {
    harness.reader(harness.config()).build().await.expect("a reader")
}

/// Appends of `each` items with these offsets as nonces and timestamps.
async fn append(writer: &S3StoreWriter, offsets: std::ops::Range<u64>, each: usize) {
    let offsets: Vec<u64> = offsets.collect();
    for some in offsets.chunks(each) {
        let insertion =
            |&offset: &u64| Insertion::new(value(offset)).with_nonce(u128::from(offset)).with_timestamp(offset as i64);
        let appended = writer.append_list(KEYSPACE, KEY, some.iter().map(insertion).collect()).await;
        let appended = appended.expect("an append").await.expect("a receipt");
        assert_eq!(appended.first_offset, Some(some[0]));
    }
    writer.flush_all().await.expect("a flush");
}

/// Bytes that do not compress.
fn value(offset: u64) -> Vec<u8> {
    let mut state = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..VALUE_BYTES).map(byte).collect()
}

async fn offsets(reader: &S3StoreReader) -> Vec<u64> {
    let page = reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, Some(1_000_000), None, None).await;
    page.expect("a page").items.iter().map(|item: &Item| item.offset).collect()
}

async fn metadata(reader: &S3StoreReader) -> KeyMetadata {
    reader.read_key_metadata(KEYSPACE, KEY).await.expect("metadata").expect("a list")
}

/// Duty cycles until nothing is done any more: what the list then has in the store, objects and bytes.
async fn come_to_rest(harness: &Harness, writer: &S3StoreWriter) -> (usize, usize) {
    let (mut cycles, mut quiet) = (0, 0);
    // A task that has just ended may be taken for one that still runs: one quiet cycle says little.
    while quiet < 3 {
        harness.server.reset_counts();
        writer.duty_cycle().await.expect("a duty cycle");
        writer.flush_all().await.expect("a flush");
        quiet = if harness.server.reset_counts() == Counts::default() { quiet + 1 } else { 0 };
        cycles += 1;
        assert!(cycles < 20, "the list does not come to rest");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stored(harness)
}

fn stored(harness: &Harness) -> (usize, usize) {
    let list = ListName::new(&Prefix::default(), KEYSPACE, KEY).expect("a list");
    let base = list.commits().trim_end_matches("log/").to_owned();
    let store = harness.server.store();
    let names = store.keys(BUCKET, &base).expect("the list's objects");
    let bytes = names.iter().map(|name| store.get(BUCKET, name, ByteRange::All).expect("an object").body.len());
    (names.len(), bytes.sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_idle_list_comes_to_rest_at_a_few_small_objects() {
    let harness = Harness::start().await;
    let writer = writer(&harness, harness.config()).await;
    let reader = reader(&harness).await;
    for (round, each) in [(0, 10), (1, 1), (2, 1_000), (3, 3_000)] {
        // Small commits and segments, commits alone, complete commits.
        let first = metadata_end(&reader).await;
        let count = if each == 1 { 5 } else { 3_000 };
        append(&writer, first..first + count, each).await;
        let (objects, bytes) = come_to_rest(&harness, &writer).await;
        let deleted = writer.delete_key(KEYSPACE, KEY).await.expect("a deletion");
        assert_eq!(deleted, Trimmed { start: first + count, trimmed_count: count });
        assert_eq!(offsets(&reader).await, [0; 0], "gone at once");
        let (objects_left, bytes_left) = come_to_rest(&harness, &writer).await;
        println!("round {round}: {objects} objects of {bytes} bytes; deleted: {objects_left} of {bytes_left} bytes");
        assert!(objects_left <= 4 && bytes_left < 2_000, "{objects_left} objects of {bytes_left} bytes are left");

        let known = metadata(&reader).await;
        assert_eq!((known.first_offset, known.next_offset), (first + count, first + count));
        assert_eq!(known.next_nonce, u128::from(first + count), "nonces go on");
        assert_eq!((known.item_count, known.value_bytes, known.min_timestamp, known.max_timestamp), (0, 0, None, None));
        let keys = reader.list_keys(KEYSPACE, "", None, None).await.expect("keys");
        assert_eq!(keys.keys, [KEY], "still listed");
    }
    let again = writer.delete_key(KEYSPACE, KEY).await.expect("a deletion");
    assert_eq!(again.trimmed_count, 0);
    assert_eq!(writer.statistics().trimmed_count, 9_005);
    writer.close().await.expect("a close");
}

async fn metadata_end(reader: &S3StoreReader) -> u64 {
    reader.read_key_metadata(KEYSPACE, KEY).await.expect("metadata").map_or(0, |known| known.next_offset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trim_is_seen_at_once_and_closing_frees_the_space() {
    let harness = Harness::start().await;
    let writer = writer(&harness, harness.config()).await;
    let reader = reader(&harness).await;
    append(&writer, 0..2_500, 10).await;
    come_to_rest(&harness, &writer).await;
    let (_, bytes) = stored(&harness);
    let lagging =
        reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, Some(10), None, None).await.expect("a page");

    let trimmed = writer.trim(KEYSPACE, KEY, TrimTo::Timestamp(2_000)).await.expect("a trim");
    assert_eq!(trimmed, Trimmed { start: 2_000, trimmed_count: 2_000 });
    assert_eq!(offsets(&reader).await, (2_000..2_500).collect::<Vec<_>>());
    let less = writer.trim(KEYSPACE, KEY, TrimTo::Offset(5)).await.expect("a trim");
    assert_eq!(less, Trimmed { start: 2_000, trimmed_count: 0 });
    writer.close().await.expect("a close");
    let (objects_left, bytes_left) = stored(&harness);
    println!("{bytes} bytes before, {objects_left} objects of {bytes_left} bytes after");
    assert!(bytes_left < bytes / 2, "{bytes_left} bytes are left");

    // A reader that comes late goes on at the start, and is told so.
    let cold = self::reader(&harness).await;
    let mut next = lagging.continuation;
    let (mut read, mut missed) = (Vec::new(), 0);
    while let Some(continuation) = next {
        let order = IterationOrder::Forwards;
        let page = cold.read_page(KEYSPACE, KEY, order, Some(100), None, Some(continuation)).await.expect("a page");
        read.extend(page.items.iter().map(|item| item.offset));
        missed += page.stats.trimmed_item_count;
        next = page.continuation;
    }
    assert_eq!((read, missed), ((2_000..2_500).collect(), 1_990));
    let unknown = writer.trim(KEYSPACE, "unknown", TrimTo::Offset(7)).await.expect("a trim");
    assert_eq!(unknown, Trimmed::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_retention_is_kept_by_appends_and_for_idle_lists() {
    let now = 1_357_000_000_000_i64;
    let harness = Harness::start().await;
    let reader = reader(&harness).await;

    let few = S3StoreConfig { retention_max_items: Some(200), ..harness.config() };
    let items = writer(&harness, few).await;
    append(&items, 0..5_000, 10).await;
    assert_eq!(offsets(&reader).await, (4_800..5_000).collect::<Vec<_>>(), "exactly so many");
    let (objects, bytes) = come_to_rest(&harness, &items).await;
    println!("200 of 5,000 items: {objects} objects of {bytes} bytes");
    // The segment that the list begins in holds up to 1,000 more.
    assert!(bytes < 1_500 * VALUE_BYTES, "{bytes} bytes are left");

    let small = S3StoreConfig { retention_max_bytes: Some(50 * VALUE_BYTES as u64), ..harness.config() };
    let by_bytes = writer(&harness, small).await;
    append(&by_bytes, 5_000..5_100, 10).await;
    let known = metadata(&reader).await;
    // Whole commits of ten: as few as hold so many bytes.
    assert_eq!((known.first_offset, known.value_bytes), (5_050, 50 * VALUE_BYTES as u64));

    // All timestamps are long past: an idle list is emptied.
    let old = S3StoreConfig { retention_max_age_millis: Some(now as u64), ..harness.config() };
    let age = writer(&harness, old).await;
    append(&age, 5_100..5_110, 10).await;
    assert_eq!(offsets(&reader).await, (5_100..5_110).collect::<Vec<_>>(), "what is just appended stays");
    let report = age.duty_cycle().await.expect("a duty cycle");
    assert_eq!((report.trimmed_count, offsets(&reader).await), (10, Vec::new()));
    let (objects, bytes) = come_to_rest(&harness, &age).await;
    assert!(objects <= 6 && bytes < 3_000, "{objects} objects of {bytes} bytes are left");
    for writer in [items, by_bytes, age] {
        writer.close().await.expect("a close");
    }
}
