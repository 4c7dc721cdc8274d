//! What it takes to read a whole list as a stream, and that it comes whole whatever happens to the list meanwhile.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use klstore_format::{Insertion, IterationOrder};
use klstore_reader::{RetryPolicy, StoreReader, StoreReaderExt};
use klstore_s3_server::{Fault, Gate};
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_writer::{StoreWriter, TrimTo};

use super::meter::{append, cold_reader, expected, forget, harness, objects, spent};

const KEY: &str = "streamed";
const ORDERS: [IterationOrder; 2] = [IterationOrder::Forwards, IterationOrder::Backwards];
/// Of 100 bytes each, by 500 appends.
const ITEMS: u64 = 50_000;

async fn written() -> Harness {
    let harness = harness().await;
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    for number in 0..500 {
        append(&writer, KEY, number * 100..(number + 1) * 100).await;
    }
    harness
}

async fn stream(harness: &Harness, order: IterationOrder) {
    let reader = cold_reader(harness).await;
    let items: Vec<_> = reader.items(KEYSPACE, KEY, order, None, None, None).try_collect().await.expect("all items");
    let first = if order == IterationOrder::Forwards { 0 } else { ITEMS - 1 };
    assert!(items == expected(order, first, ITEMS), "not the items that were written, {order:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_about_a_get_an_object() {
    let harness = written().await;
    let objects = objects(&harness, KEY);
    let stored: u64 = objects.values().sum();
    for order in ORDERS {
        forget(&harness);
        stream(&harness, order).await;
        let counts = spent(&harness).counts;
        // An object on the boundary of two pages takes one for each; index pages, and the ends of the list.
        let most = objects.len() as u64 + 12;
        let times = counts.object_bytes_out as f64 / stored as f64;
        println!(
            "stream of {ITEMS} items in {} objects, {order:?}: {} (of 2) LISTs, {} (of {most}) GETs, {times:.3} (of 1.1) \
             times the stored bytes",
            objects.len(),
            counts.list,
            counts.get
        );
        assert!(counts.list <= 2 && counts.get <= most, "{} LISTs, {} GETs", counts.list, counts.get);
        assert!(times <= 1.1, "{} bytes of {stored} stored", counts.object_bytes_out);
    }
}

/// Each request is held, and let go once no other comes: those held together wait for the store at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_waits_for_the_store_a_few_times_only() {
    let harness = written().await;
    for order in ORDERS {
        let held: Arc<Mutex<VecDeque<Gate>>> = Arc::default();
        let hook = held.clone();
        harness.server.faults().set(move |_| {
            let gate = Gate::new();
            hook.lock().expect("the gates").push_back(gate.clone());
            Fault::Hold(gate)
        });
        let (mut waits, mut most) = (0, 0);
        let letting_go = async {
            loop {
                // Longer than it takes a client to send what it has to send.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut held = held.lock().expect("the gates");
                waits += u64::from(!held.is_empty());
                most = most.max(held.len());
                held.drain(..).for_each(|gate| gate.open());
            }
        };
        tokio::select! {
            () = stream(&harness, order) => {}
            () = letting_go => unreachable!("it has no end"),
        }
        harness.server.faults().clear();
        println!(
            "stream of {ITEMS} items, {order:?}: waits {waits} (of 11) times for the store, {most} requests at most"
        );
        assert!(waits <= 11, "{waits} waits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_within_the_first_page_pays_for_one_page() {
    let harness = written().await;
    let reader = cold_reader(&harness).await;
    forget(&harness);
    reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None).await.expect("a page");
    let page = spent(&harness).counts.requests();
    let reader = cold_reader(&harness).await;
    forget(&harness);
    let mut items = pin!(reader.items(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None));
    for _ in 0..1_000 {
        items.try_next().await.expect("an item").expect("more items");
    }
    assert_eq!(spent(&harness).counts.requests(), page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_grow_a_thousandfold_come_once_each() {
    let harness = harness().await;
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    let sizes: Vec<usize> = (0..6_000).map(|_| 1 << 10).chain((0..60).map(|_| 1 << 20)).collect();
    for sizes in sizes.chunks(500) {
        let values = sizes.iter().map(|size| Insertion::new(Bytes::from(vec![7; *size])));
        writer.append_list(KEYSPACE, KEY, values.collect()).await.expect("an append").await.expect("a receipt");
    }
    let reader = cold_reader(&harness).await;
    for order in ORDERS {
        let pages: Vec<_> = reader.pages(KEYSPACE, KEY, order, None, None, None).try_collect().await.expect("pages");
        let most = pages.iter().map(|page| page.items.iter().map(|item| item.value.len()).sum::<usize>()).max();
        assert!(most <= Some(8 << 20), "a page of {most:?} bytes");
        let mut found: Vec<_> =
            pages.into_iter().flat_map(|page| page.items).map(|item| (item.offset, item.value.len())).collect();
        if order == IterationOrder::Backwards {
            found.reverse();
        }
        assert!(found == (0..).zip(sizes.iter().copied()).collect::<Vec<_>>(), "not all items once, {order:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_trimmed_or_appended_meanwhile_leaves_no_gap_and_nothing_twice() {
    let harness = written().await;
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    let reader = cold_reader(&harness).await;
    let mut pages = pin!(reader.pages(KEYSPACE, KEY, IterationOrder::Forwards, Some(2_000), None, None));
    let mut offsets = Vec::new();
    let mut number = 0;
    while let Some(page) = pages.try_next().await.expect("a page") {
        offsets.extend(page.items.iter().map(|item| item.offset));
        number += 1;
        if number == 3 {
            writer.trim(KEYSPACE, KEY, TrimTo::Offset(30_000)).await.expect("a trim");
            writer.compact(KEYSPACE, KEY).await.expect("a compaction");
            writer.flush_all().await.expect("a flush");
            append(&writer, KEY, ITEMS..ITEMS + 100).await;
        }
    }
    // Those before the trim, perhaps some that were there still, and then all that are left.
    assert!(offsets.is_sorted_by(|one, other| one < other), "an item came twice, or too early");
    assert_eq!(offsets.iter().filter(|offset| **offset < 6_000).count(), 6_000);
    assert_eq!(offsets.iter().filter(|offset| **offset >= 30_000).count() as u64, ITEMS + 100 - 30_000);
}

/// What was read ahead stands still while the caller is busy, for longer than any request may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_slower_than_every_deadline_gets_all_items() {
    let harness = written().await;
    let (deadline, attempt_timeout) = (Duration::from_millis(300), Duration::from_millis(200));
    let policy = RetryPolicy { deadline, attempt_timeout, ..RetryPolicy::default() };
    let reader = harness.reader(harness.config()).retry_policy(policy).build().await.expect("a reader");
    for order in ORDERS {
        forget(&harness);
        let mut pages = pin!(reader.pages(KEYSPACE, KEY, order, Some(10_000), None, None));
        let (mut items, mut number) = (Vec::new(), 0);
        while let Some(page) = pages.try_next().await.expect("a page") {
            items.extend(page.items);
            number += 1;
            tokio::time::sleep(2 * deadline).await;
        }
        let first = if order == IterationOrder::Forwards { 0 } else { ITEMS - 1 };
        assert!(items == expected(order, first, ITEMS), "not the items that were written, {order:?}");
        println!("a slow caller: {number} pages, {} requests, {order:?}", spent(&harness).counts.requests());
    }
}
