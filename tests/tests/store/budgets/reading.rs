//! What single pages and the metadata of a key take, for a reader that has nothing in its cache.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klstore_format::limits::{BLOCK_PLAIN_BYTES, MAX_IN_FLIGHT, WHOLE_COMMIT_BYTES};
use klstore_format::wire::commit::CommitHeader;
use klstore_format::{ItemFilter, IterationOrder};
use klstore_reader::StoreReader;
use klstore_s3_server::{Fault, Gate, Operation};
use klstore_tests::harness::{BUCKET, Harness, KEYSPACE};
use klstore_tests::seeded;
use klstore_writer::S3StoreConfig;
use rand::RngExt;

use super::meter::{
    Start, VALUE_BYTES, append, cold_reader, expected, forget, harness, list_name, nonce, object, objects, page, spent,
    timestamp,
};
use super::synthetic::Million;

const ORDERS: [IterationOrder; 2] = [IterationOrder::Forwards, IterationOrder::Backwards];
const KIBIBYTE: u64 = 1 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_page_of_a_list_of_small_appends_is_in_its_newest_commit() {
    let harness = harness().await;
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    let carry = harness.config().carry_bytes as u64;
    let (mut most_requests, mut most_bytes, mut pages) = (0, 0, 0);
    for end in 1..=1_100 {
        append(&writer, "small", end - 1..end).await;
        // Every phase of a compaction, and later samples.
        if end > 230 && end % 29 != 0 {
            continue;
        }
        let reader = cold_reader(&harness).await;
        let size = end.min(200);
        let (page, spent) = page(&harness, &reader, "small", IterationOrder::Backwards, size, Start::End).await;
        assert_eq!(page.items, expected(IterationOrder::Backwards, end - 1, size));
        let (requests, bytes) = (spent.counts.list + spent.counts.get, spent.counts.object_bytes_out);
        assert!(requests <= 2, "{requests} requests after {end} appends");
        assert!(bytes <= carry + 16 * KIBIBYTE, "{bytes} bytes after {end} appends");
        (most_requests, most_bytes, pages) = (requests.max(most_requests), bytes.max(most_bytes), pages + 1);
    }
    println!(
        "newest page of up to 200 items of {VALUE_BYTES} bytes, by single appends: {most_requests} (of 2) requests, \
         {most_bytes} (of {}) bytes at most, {pages} pages",
        carry + 16 * KIBIBYTE
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_page_without_carry_takes_a_get_for_each_commit() {
    let harness = harness().await;
    let config = S3StoreConfig { carry_bytes: 0, ..harness.config() };
    let writer = harness.writer(config).build().await.expect("a writer");
    for number in 0..90 {
        append(&writer, "no carry", number * 3..number * 3 + 3).await;
    }
    for commits in [1, 2, 7, 25, 80] {
        let reader = cold_reader(&harness).await;
        let size = commits * 3;
        let (page, spent) = page(&harness, &reader, "no carry", IterationOrder::Backwards, size, Start::End).await;
        assert_eq!(page.items, expected(IterationOrder::Backwards, 269, size));
        let (requests, most) = (spent.counts.list + spent.counts.get, 2 + commits);
        println!("newest page without carry over {commits} commits: {requests} (of {most}) requests");
        assert!(requests <= most);
    }
}

/// Every GET is held, and let go once no other comes: those held are then all that the reader has under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_page_without_carry_is_read_six_commits_at_a_time() {
    const COMMITS: u64 = 25;
    let harness = harness().await;
    let config = S3StoreConfig { carry_bytes: 0, ..harness.config() };
    let writer = harness.writer(config).build().await.expect("a writer");
    for number in 0..COMMITS {
        append(&writer, "six", number * 3..number * 3 + 3).await;
    }
    let held: Arc<Mutex<VecDeque<Gate>>> = Arc::default();
    let hook = held.clone();
    harness.server.faults().set(move |request| match request.operation {
        Operation::GetObject => {
            let gate = Gate::new();
            hook.lock().expect("the gates").push_back(gate.clone());
            Fault::Hold(gate)
        }
        _ => Fault::None,
    });
    let reader = cold_reader(&harness).await;
    let size = COMMITS * 3;
    let reading = page(&harness, &reader, "six", IterationOrder::Backwards, size, Start::End);
    let most = AtomicUsize::new(0);
    let letting_go = async {
        loop {
            // Longer than it takes a client to send what it has to send.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut held = held.lock().expect("the gates");
            most.fetch_max(held.len(), Ordering::Relaxed);
            // The last one: an answer that waits for those before it makes no room for more than one other.
            if let Some(gate) = held.pop_back() {
                gate.open();
            }
        }
    };
    let (page, spent) = tokio::select! {
        read = reading => read,
        () = letting_go => unreachable!("it has no end"),
    };
    harness.server.faults().clear();
    assert_eq!(page.items, expected(IterationOrder::Backwards, size - 1, size));
    assert_eq!(spent.counts.get, COMMITS);
    println!("newest page without carry over {COMMITS} commits: {most:?} (of {MAX_IN_FLIGHT}) GETs at once");
    assert_eq!(most.into_inner(), MAX_IN_FLIGHT);
}

/// A list to be read cold.
struct Cold<'a> {
    key: &'a str,
    /// Of the places to be read from.
    places: Vec<u64>,
    end: u64,
    /// First offsets of its objects.
    firsts: Vec<u64>,
    /// First offsets of commits that no index covers, too large to be fetched whole.
    large: Vec<u64>,
    most_requests: u64,
    name: &'a str,
}

/// Pages from all places, by all kinds of start, in both orders, each by a reader without a cache.
async fn read_cold(harness: &Harness, list: &Cold<'_>) {
    let (mut worst_requests, mut worst_bytes) = (BTreeMap::new(), 0.0f64);
    let mut pages = 0;
    for &place in &list.places {
        let filters = [
            ItemFilter { start_offset: Some(place), ..ItemFilter::default() },
            ItemFilter { start_timestamp: Some(timestamp(place)), ..ItemFilter::default() },
            ItemFilter { start_nonce: Some(nonce(place)), ..ItemFilter::default() },
        ];
        for filter in filters {
            for order in ORDERS {
                for size in [10, 300] {
                    let room = if order == IterationOrder::Forwards { list.end - place } else { place + 1 };
                    let size = room.min(size);
                    let reader = cold_reader(harness).await;
                    let start = Start::Filter(filter);
                    let (page, spent) = page(harness, &reader, list.key, order, size, start).await;
                    assert_eq!(page.items, expected(order, place, size), "{filter:?} {order:?}");
                    let (one, other) = (page.items[0].offset, page.items[page.items.len() - 1].offset);
                    // Backwards by nonce a page reaches up to the next item with a higher one, which the object after it
                    // may have: items without nonce may come before it.
                    let beside = filter.start_nonce.is_some() && order == IterationOrder::Backwards;
                    let last = one.max(other) + u64::from(beside);
                    let within = |first: &&u64| **first > one.min(other) && **first <= last;
                    let boundaries = list.firsts.iter().filter(within).count() as u64;
                    // Where in a large commit a position is that is searched for, its header alone says: one GET more
                    // for a page that goes on before it.
                    let searched = filter.start_offset.is_none() && order == IterationOrder::Backwards;
                    let left = |first: &&u64| **first > one.min(other) && **first <= one + 1;
                    let boundaries = boundaries + u64::from(searched && list.large.iter().any(|first| left(&first)));
                    let requests = spent.counts.list + spent.counts.get;
                    let case = format!("{}: {size} items, {order:?}, {filter:?}, {boundaries} boundaries", list.name);
                    assert!(requests <= list.most_requests + boundaries, "{requests} requests for {case}");
                    let held = size * VALUE_BYTES as u64;
                    let most = 2 * held + 16 * KIBIBYTE + 2 * BLOCK_PLAIN_BYTES as u64 + spent.index_bytes();
                    let bytes = spent.counts.object_bytes_out;
                    assert!(bytes <= most, "{bytes} bytes of {most} for {case}");
                    let worst: &mut u64 = worst_requests.entry(boundaries).or_default();
                    *worst = requests.max(*worst);
                    worst_bytes = worst_bytes.max(bytes as f64 / most as f64);
                    pages += 1;
                }
            }
        }
    }
    println!(
        "cold pages of {}: at most {worst_requests:?} requests by boundaries within the page (of {} + 1 each), {:.0} (of \
         100) percent of the bytes, {pages} pages",
        list.name,
        list.most_requests,
        100.0 * worst_bytes
    );
}

async fn read_metadata(harness: &Harness, key: &str, end: u64) {
    let reader = cold_reader(harness).await;
    forget(harness);
    let metadata = reader.read_key_metadata(KEYSPACE, key).await.expect("metadata").expect("a key");
    assert_eq!((metadata.next_offset, metadata.next_nonce), (end, nonce(end - 1) + 1));
    let counts = spent(harness).counts;
    println!(
        "metadata of {key}: {} (of 1) LIST, {} (of 1) GET, {} (of 16,384) bytes",
        counts.list, counts.get, counts.object_bytes_out
    );
    assert_eq!((counts.list, counts.get, counts.requests()), (1, 1, 2));
    assert!(counts.object_bytes_out <= 16 * KIBIBYTE);
}

/// Writes a list of at least so many segments, and some commits after them.
async fn write(harness: &Harness, key: &str, segments: u64) -> u64 {
    const COMMIT_ITEMS: u64 = 100;
    let config =
        S3StoreConfig { compact_items_threshold: 2 * COMMIT_ITEMS, compact_objects_threshold: 2, ..harness.config() };
    let writer = harness.writer(config).build().await.expect("a writer");
    let mut end = 0;
    // A compaction takes three commits where the append after it comes just too early to publish it.
    let prefix = format!("{}seg/", list_name(key).commits().trim_end_matches("log/"));
    let written = || harness.server.store().keys(BUCKET, &prefix).expect("the segments").len() as u64;
    while end % (20 * COMMIT_ITEMS) != 0 || written() < segments {
        append(&writer, key, end..end + COMMIT_ITEMS).await;
        end += COMMIT_ITEMS;
    }
    // A tail that only the defaults leave uncompacted for a while.
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    for _ in 0..20 {
        append(&writer, key, end..end + 7).await;
        end += 7;
    }
    end
}

fn newest_header(harness: &Harness, key: &str) -> CommitHeader {
    let list = list_name(key);
    let names = harness.server.store().keys(BUCKET, &list.commits()).expect("the list's commits");
    CommitHeader::decode(&object(harness, &names[0]), &list.hash()).expect("the newest commit")
}

async fn cold_pages_of_written_segments(segments: u64) {
    let seed = seeded::seed("cold pages");
    let mut random = seeded::random(seed, segments);
    let harness = harness().await;
    let key = format!("{segments} segments");
    let end = write(&harness, &key, segments).await;
    let firsts: Vec<u64> = objects(&harness, &key).into_keys().collect();
    assert!(firsts.len() as u64 >= segments, "{} objects", firsts.len());
    let mut places: Vec<u64> = (0..12).map(|_| random.random_range(0..end)).collect();
    // The ends, both sides of where the index ends, and within the tail.
    places.extend([0, 199, 200, end - 141, end - 140, end - 70, end - 1]);
    read_cold(&harness, &Cold { key: &key, places, end, firsts, large: Vec::new(), most_requests: 4, name: &key })
        .await;
    read_metadata(&harness, &key, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_pages_of_ten_segments() {
    cold_pages_of_written_segments(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_pages_of_a_thousand_segments() {
    cold_pages_of_written_segments(1_000).await;
}

/// Commits that are too large to be fetched whole: what comes before the first of them is told by the newest header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_pages_where_the_index_ends_and_large_commits_begin() {
    const COMMIT_ITEMS: u64 = 1_000;
    let harness = harness().await;
    let config =
        S3StoreConfig { compact_items_threshold: 2 * COMMIT_ITEMS, compact_objects_threshold: 2, ..harness.config() };
    let mut end = 0;
    // The second writer's thresholds leave what it appends uncompacted.
    for config in [config, harness.config()] {
        let writer = harness.writer(config).build().await.expect("a writer");
        for _ in 0..6 {
            append(&writer, "large commits", end..end + COMMIT_ITEMS).await;
            end += COMMIT_ITEMS;
        }
    }
    let newest = newest_header(&harness, "large commits");
    let index_end = newest.table.first().expect("a table").run.first;
    assert!(newest.index.is_some() && index_end > 0 && newest.table.len() > 2, "{newest:?}");
    assert!(newest.table.iter().all(|entry| entry.own_length > WHOLE_COMMIT_BYTES));
    let firsts: Vec<u64> = objects(&harness, "large commits").into_keys().collect();
    let large = newest.table.iter().map(|entry| entry.run.first).collect();
    let commits = [index_end, index_end + COMMIT_ITEMS].into_iter();
    let places = commits.flat_map(|first| [first - 301, first - 1, first, first + 1, first + 500]).collect();
    let name = "a list where large commits follow the index";
    read_cold(&harness, &Cold { key: "large commits", places, end, firsts, large, most_requests: 4, name }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_pages_of_a_million_segments() {
    let seed = seeded::seed("cold pages of a million segments");
    let mut random = seeded::random(seed, 0);
    let harness = harness().await;
    let mut million = Million::new("million");
    let segments: Vec<u64> = (0..10).map(|_| random.random_range(1..Million::SEGMENTS - 1)).collect();
    let places: Vec<u64> =
        segments.iter().map(|segment| segment * Million::SEGMENT_ITEMS + random.random_range(0..1_000)).collect();
    // A page may reach into the segments beside the one where it starts.
    for segment in segments {
        million.real.extend(segment - 1..=segment + 1);
    }
    let end = million.write(&harness);
    let firsts = million.real.iter().map(|segment| segment * Million::SEGMENT_ITEMS).collect();
    let list =
        Cold { key: "million", places, end, firsts, large: Vec::new(), most_requests: 5, name: "1,000,000 segments" };
    read_cold(&harness, &list).await;
    read_metadata(&harness, "million", end).await;
}
