//! What it takes to read page after page.

use klstore_format::{ItemFilter, IterationOrder};
use klstore_tests::harness::Harness;
use klstore_tests::seeded;
use rand::RngExt;

use super::meter::{Start, append, cold_reader, expected, harness, objects, page};
use super::synthetic::Million;

const KEY: &str = "scanned";
const ORDERS: [IterationOrder; 2] = [IterationOrder::Forwards, IterationOrder::Backwards];

/// Writes a list by appends of one size at the default thresholds.
async fn write(harness: &Harness, items: u64, appends: u64) -> u64 {
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    for number in 0..appends {
        append(&writer, KEY, number * items..(number + 1) * items).await;
    }
    items * appends
}

/// Reads all of the list, and compares what that took with its budget.
async fn scan(harness: &Harness, order: IterationOrder, size: u64, end: u64, stored: u64, name: &str) {
    let reader = cold_reader(harness).await;
    let (mut requests, mut bytes, mut pages, mut read) = (0, 0, 0u64, 0u64);
    let mut start_at = Start::End;
    loop {
        let (page, spent) = page(harness, &reader, KEY, order, size, start_at).await;
        let first = if order == IterationOrder::Forwards { read } else { end - 1 - read };
        assert_eq!(page.items, expected(order, first, size.min(end - read)));
        assert_eq!(page.stats.continuation_miss_count, 0);
        requests += spent.counts.list + spent.counts.get;
        bytes += spent.counts.object_bytes_out;
        pages += 1;
        read += page.items.len() as u64;
        match page.continuation {
            Some(continuation) => start_at = Start::Continuation(continuation),
            None => break,
        }
    }
    assert_eq!(read, end);
    let (per_page, times) = (requests as f64 / pages as f64, bytes as f64 / stored as f64);
    println!(
        "scan of {name}, pages of {size}, {order:?}: {per_page:.3} (of 1.2) requests a page, {times:.3} (of 1.2) times the \
         stored bytes; {pages} pages"
    );
    assert!(per_page <= 1.2, "{requests} requests for {pages} pages");
    assert!(times <= 1.2, "{bytes} bytes of {stored} stored");
}

async fn scan_of_appends(items: u64, appends: u64, sizes: &[u64]) {
    let harness = harness().await;
    let end = write(&harness, items, appends).await;
    let objects = objects(&harness, KEY);
    let stored = objects.values().sum();
    let name = format!("{} objects by appends of {items}", objects.len());
    for &size in sizes {
        for order in ORDERS {
            scan(&harness, order, size, end, stored, &name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_single_appends() {
    scan_of_appends(1, 3_250, &[100, 97]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_appends_of_a_hundred() {
    scan_of_appends(100, 500, &[100, 333, 997, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_complete_commits() {
    scan_of_appends(1_000, 90, &[100, 333]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_indexed_complete_commits() {
    scan_of_appends(1_000, 330, &[997, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_complete_commits_without_index() {
    scan_of_appends(1_000, 90, &[997, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_page_in_the_same_object_is_one_get() {
    let harness = harness().await;
    let end = write(&harness, 100, 150).await;
    // Within the first segments, of which each has the items of 32 commits.
    for start in [10, 1_000, 3_300] {
        for order in ORDERS {
            let (start, next) = match order {
                IterationOrder::Forwards => (start, start + 500),
                IterationOrder::Backwards => (start + 1_500, start + 1_000),
            };
            assert!(start < end);
            let filter = ItemFilter { start_offset: Some(start), ..ItemFilter::default() };
            let reader = cold_reader(&harness).await;
            let (first, _) = page(&harness, &reader, KEY, order, 500, Start::Filter(filter)).await;
            let continuation = first.continuation.expect("more items");
            // Another process: nothing is cached.
            let reader = cold_reader(&harness).await;
            let (second, spent) = page(&harness, &reader, KEY, order, 500, Start::Continuation(continuation)).await;
            assert_eq!(second.items, expected(order, next, 500));
            println!(
                "next page in the same object, {order:?} from {next}: {} (of 0) LISTs, {} (of 1) GET",
                spent.counts.list, spent.counts.get
            );
            assert_eq!((spent.counts.list, spent.counts.get), (0, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_of_a_million_segments() {
    const PAGES: u64 = 40;
    const SIZE: u64 = 700;
    let seed = seeded::seed("a stretch of a million segments");
    let harness = harness().await;
    let mut million = Million::new("million");
    // Across the boundary between two leaves.
    let middle = 1_024 * seeded::random(seed, 0).random_range(1..970);
    million.real.extend(middle - 20..middle + 20);
    million.write(&harness);
    for order in ORDERS {
        let start = match order {
            IterationOrder::Forwards => (middle - 20) * Million::SEGMENT_ITEMS,
            IterationOrder::Backwards => (middle + 20) * Million::SEGMENT_ITEMS - 1,
        };
        let reader = cold_reader(&harness).await;
        let mut start_at = Start::Filter(ItemFilter { start_offset: Some(start), ..ItemFilter::default() });
        let (mut requests, mut bytes, mut index) = (0, 0, 0);
        for number in 0..PAGES {
            let (page, spent) = page(&harness, &reader, "million", order, SIZE, start_at).await;
            let first = match order {
                IterationOrder::Forwards => start + number * SIZE,
                IterationOrder::Backwards => start - number * SIZE,
            };
            assert_eq!(page.items, expected(order, first, SIZE));
            requests += spent.counts.list + spent.counts.get;
            bytes += spent.counts.object_bytes_out;
            index += spent.index_bytes();
            start_at = Start::Continuation(page.continuation.expect("more items"));
        }
        let per_page = requests as f64 / PAGES as f64;
        println!(
            "{PAGES} pages of {SIZE} in 1,000,000 segments, {order:?}: {per_page:.3} (of 1.2) requests a page, {bytes} bytes, {index} of them index pages"
        );
        assert!(per_page <= 1.2, "{requests} requests");
    }
}
