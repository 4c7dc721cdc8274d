//! The writer over a store in memory whose network loses, stalls and refuses.

#![allow(clippy::single_range_in_vec_init, reason = "receipts hold ranges")]

mod expected_end;
mod keyspaces;
mod sources;
mod trimming;

use std::time::Duration;

use futures::future::{self, Either};
use klstore_format::Item;
use klstore_format::plan::{PutKind, Request};

use super::*;
use crate::environment::Clock;
use crate::memory_store::{Fault, MemoryStore};
use crate::receipt::Appended;
use crate::store::{RetryPolicy, StoreError};
use crate::test_clock::TestClock;

struct Bench {
    store: Arc<MemoryStore>,
    clock: TestClock,
    writer: S3StoreWriter,
}

/// A writer with keyspace `ks`, its store already probed.
async fn bench(change: impl FnOnce(S3StoreWriterBuilder) -> S3StoreWriterBuilder) -> Bench {
    let store = Arc::new(MemoryStore::default());
    let clock = TestClock::start();
    let writer = another(&store, |builder| change(builder).clock(Arc::new(clock.clone()))).await;
    writer.create_keyspace("ks").await.unwrap();
    store.take_requests();
    Bench { store, clock, writer }
}

async fn another(
    store: &Arc<MemoryStore>,
    change: impl FnOnce(S3StoreWriterBuilder) -> S3StoreWriterBuilder,
) -> S3StoreWriter {
    let builder = S3StoreWriter::builder(config()).store(store.clone());
    change(builder).build().await.unwrap()
}

fn config() -> S3StoreConfig {
    let mut config = S3StoreConfig::new("bucket");
    config.compact_items_threshold = 64;
    config
}

fn list(key: &str) -> ListName {
    ListName::new(&Prefix::default(), "ks", key).unwrap()
}

fn numbered(nonces: std::ops::Range<u128>) -> Vec<Insertion> {
    nonces
        .map(|nonce| Insertion::new(format!("value {nonce}")).with_nonce(nonce).with_timestamp(nonce as i64))
        .collect()
}

impl Bench {
    async fn append(&self, key: &str, insertions: Vec<Insertion>) -> Result<Appended, WriterError> {
        append(&self.writer, key, insertions).await
    }

    fn items(&self, key: &str) -> Vec<Item> {
        self.store.items(key)
    }

    /// The list holds exactly these, each once, at dense offsets.
    fn check_nonces(&self, key: &str, nonces: std::ops::Range<u128>) {
        let items = self.items(key);
        let found: Vec<(u64, Option<u128>)> = items.iter().map(|item| (item.offset, item.nonce)).collect();
        let expected: Vec<(u64, Option<u128>)> = (0..).zip(nonces.map(Some)).collect();
        assert_eq!(found, expected);
        for item in items {
            assert_eq!(item.value, format!("value {}", item.nonce.unwrap()));
        }
    }
}

async fn append(writer: &S3StoreWriter, key: &str, insertions: Vec<Insertion>) -> Result<Appended, WriterError> {
    writer.append_list("ks", key, insertions).await?.await
}

fn is_commit(request: &Request) -> bool {
    matches!(request, Request::Put { name, kind: PutKind::Create, .. } if name.contains("/log/"))
}

fn is_segment(request: &Request) -> bool {
    matches!(request, Request::Put { name, .. } if name.contains("/seg/"))
}

/// P, G, L and D for each request.
fn kinds(requests: &[Request]) -> String {
    let kind = |request: &Request| match request {
        Request::Put { .. } => 'P',
        Request::Get { .. } => 'G',
        Request::List { .. } => 'L',
        Request::Delete { .. } => 'D',
    };
    requests.iter().map(kind).collect()
}

#[tokio::test]
async fn appends_are_numbered_and_a_warm_one_is_one_request() {
    let bench = bench(|builder| builder).await;
    let first = bench.append("key", numbered(0..3)).await.unwrap();
    let expected = Appended { first_offset: Some(0), appended_count: 3, ranges: vec![0..3], ..Appended::default() };
    assert_eq!(first, expected);
    // The keyspace, the load of an empty list, the commit, its resolution as a handover.
    assert_eq!(kinds(&bench.store.take_requests()), "GLPLG");
    let second = bench.append("key", numbered(1..5)).await.unwrap();
    let expected = Appended {
        first_offset: Some(3),
        appended_count: 2,
        duplicate_count: 2,
        duplicates: vec![0..2],
        ranges: vec![3..5],
        ..Appended::default()
    };
    assert_eq!(second, expected);
    assert_eq!(kinds(&bench.store.take_requests()), "P");
    let duplicates = bench.append("key", numbered(0..5)).await.unwrap();
    assert_eq!((duplicates.first_offset, duplicates.duplicate_count), (None, 5));
    assert_eq!(kinds(&bench.store.take_requests()), "");
    bench.check_nonces("key", 0..5);
}

#[tokio::test]
async fn an_append_of_nothing_sends_nothing_to_the_list() {
    let bench = bench(|builder| builder).await;
    assert_eq!(bench.append("key", Vec::new()).await.unwrap(), Appended::default());
    assert!(bench.store.names("ks/lists/").is_empty());
}

#[tokio::test]
async fn an_invalid_insertion_stops_the_batch_before_anything_is_sent() {
    let bench = bench(|builder| builder).await;
    let refused = bench.append("key", vec![Insertion::new("good"), Insertion::new("bad").with_nonce(u128::MAX)]).await;
    assert!(matches!(refused, Err(WriterError::InvalidInsertion(_))), "{refused:?}");
    let refused = bench.append("key", vec![Insertion::new("late").with_timestamp(i64::MAX)]).await;
    assert!(matches!(refused, Err(WriterError::InvalidInsertion(_))), "{refused:?}");
    assert!(bench.store.names("ks/lists/").is_empty());
}

#[tokio::test]
async fn lost_answers_and_lost_requests_append_once() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        for warm in [false, true] {
            let bench = bench(|builder| builder).await;
            if warm {
                bench.append("key", numbered(0..2)).await.unwrap();
            }
            bench.store.fail(2, fault.clone(), is_commit);
            // Without nonces nothing but the protocol keeps them from appearing twice.
            let appended = bench.append("key", vec![Insertion::new("a"), Insertion::new("b")]).await.unwrap();
            let first = if warm { 2 } else { 0 };
            assert_eq!(appended.first_offset, Some(first));
            assert_eq!(bench.items("key").len() as u64, first + 2);
            assert!(bench.writer.statistics().retry_count >= 2);
        }
    }
}

#[tokio::test]
async fn lists_and_gets_are_tried_again() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..2)).await.unwrap();
    let other = another(&bench.store, |builder| builder).await;
    bench.store.fail(3, Fault::LoseRequest, |request| matches!(request, Request::List { .. }));
    bench.store.fail(3, Fault::LoseRequest, |request| matches!(request, Request::Get { .. }));
    append(&other, "key", numbered(0..4)).await.unwrap();
    bench.check_nonces("key", 0..4);
}

#[tokio::test]
async fn a_given_up_append_says_that_it_may_have_happened_and_leaves_the_key_usable() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..2)).await.unwrap();
    bench.store.fail(1, Fault::Stall, is_commit);
    let error = bench.append("key", numbered(2..4)).await.unwrap_err();
    assert!(matches!(error, WriterError::Unavailable { may_have_appended: true, .. }), "{error:?}");
    assert!(error.is_transient());
    // The next append is another session's, so the abandoned PUT cannot be taken for it (rule 1).
    bench.append("key", numbered(2..5)).await.unwrap();
    assert_eq!(bench.store.land_stalled(), 1);
    bench.append("key", numbered(0..6)).await.unwrap();
    bench.check_nonces("key", 0..6);
}

#[tokio::test]
async fn a_list_that_cannot_be_loaded_has_certainly_not_been_appended_to() {
    let bench = bench(|builder| builder).await;
    bench.store.fail(usize::MAX, Fault::LoseRequest, |request| matches!(request, Request::List { .. }));
    let error = bench.append("key", numbered(0..1)).await.unwrap_err();
    assert!(matches!(error, WriterError::Unavailable { may_have_appended: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_dropped_append_neither_locks_its_key_nor_spoils_the_next() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..2)).await.unwrap();
    bench.store.fail(1, Fault::Stall, is_commit);
    {
        let append = std::pin::pin!(bench.append("key", numbered(2..3)));
        let ended = future::select(append, bench.clock.sleep(Duration::from_millis(10))).await;
        assert!(matches!(ended, Either::Right(_)));
    }
    // The PUT takes effect only now, before the next append's Load.
    assert_eq!(bench.store.land_stalled(), 1);
    let appended = bench.append("key", numbered(2..4)).await.unwrap();
    assert_eq!((appended.first_offset, appended.duplicate_count), (Some(3), 1));
    bench.check_nonces("key", 0..4);
}

#[tokio::test]
async fn a_definite_refusal_ends_the_append_at_once() {
    let bench = bench(|builder| builder).await;
    let denied = StoreError::AccessDenied {
        action: "PutObject",
        object: "object".into(),
        bucket: "bucket".into(),
        code: "AccessDenied".into(),
        permissions: "s3:PutObject",
    };
    bench.store.fail(1, Fault::Refuse(denied.clone()), is_commit);
    let error = bench.append("key", numbered(0..1)).await.unwrap_err();
    assert!(matches!(&error, WriterError::Store(found) if *found == denied), "{error:?}");
    assert!(error.to_string().contains("s3:PutObject"), "{error}");
    bench.append("key", numbered(0..1)).await.unwrap();
    bench.check_nonces("key", 0..1);
}

#[tokio::test]
async fn a_large_batch_is_split_and_an_error_says_how_far_it_came() {
    let bench = bench(|builder| builder).await;
    let batch = |nonces: std::ops::Range<u128>| -> Vec<Insertion> {
        nonces.map(|nonce| Insertion::new(vec![nonce as u8; 6 << 20]).with_nonce(nonce)).collect()
    };
    // Two values a commit. The second commit is refused.
    let refused = StoreError::Rejected { action: "PutObject", object: "it".into(), reason: "no".into() };
    bench.store.fail(
        1,
        Fault::Refuse(refused),
        |request| matches!(request, Request::Put { name, .. } if name.ends_with("/log/fffffffffffffffe")),
    );
    let error = bench.append("key", batch(0..5)).await.unwrap_err();
    let WriterError::PartlyAppended { insertions_done, appended, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*insertions_done, appended.appended_count, appended.ranges.clone()), (2, 2, vec![0..2]));
    let rest = bench.append("key", batch(0..5)).await.unwrap();
    assert_eq!((rest.appended_count, rest.duplicate_count, rest.ranges), (3, 2, vec![2..5]));
}

#[tokio::test]
async fn compaction_runs_beside_the_appends_and_is_published_and_collected() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..300 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    bench.writer.close().await.unwrap();
    let statistics = bench.writer.statistics();
    assert!(statistics.compaction_count >= 4, "{statistics:?}");
    assert_eq!((statistics.appended_count, statistics.background_count), (300, 0));
    assert!(statistics.collected_count >= 200, "{statistics:?}");
    let commits = bench.store.names(&list("key").commits());
    assert!(commits.iter().filter(|(_, size)| *size > 0).count() < 80, "{} commits left", commits.len());
    assert_eq!(bench.store.names(&list("key").index_pages()).len(), 1);
    bench.check_nonces("key", 0..300);
    // Nothing was left for a sweep.
    let report = bench.writer.sweep("ks", "key").await.unwrap();
    assert_eq!(report, SweepReport::default());
}

#[tokio::test]
async fn a_compaction_never_delays_an_append() {
    let bench = bench(|builder| builder).await;
    bench.store.fail(usize::MAX, Fault::Stall, is_segment);
    let start = bench.clock.elapsed();
    for nonce in 0..120 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    assert_eq!(bench.clock.elapsed(), start, "time passes only while everybody waits");
    assert_eq!(bench.writer.statistics().background_count, 1);
    bench.check_nonces("key", 0..120);
}

#[tokio::test]
async fn with_a_full_table_an_append_waits_for_the_compaction() {
    let bench = bench(|builder| builder).await;
    bench.store.fail(usize::MAX, Fault::Stall, is_segment);
    for nonce in 0..251 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    let error = bench.append("key", numbered(251..252)).await.unwrap_err();
    assert!(matches!(error, WriterError::Unavailable { may_have_appended: false, .. }), "{error:?}");
    bench.store.heal();
    // The stalled compaction gives up at its own deadline; the append's own then brings the room.
    bench.clock.sleep(Duration::from_secs(601)).await;
    for nonce in 251..260 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    bench.check_nonces("key", 0..260);
}

#[tokio::test]
async fn a_failing_compaction_is_tried_again_after_a_pause() {
    let bench = bench(|builder| builder).await;
    let refused = StoreError::Rejected { action: "PutObject", object: "a segment".into(), reason: "no".into() };
    bench.store.fail(1, Fault::Refuse(refused), is_segment);
    for nonce in 0..110 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    bench.writer.flush_all().await.unwrap();
    let statistics = bench.writer.statistics();
    assert_eq!((statistics.failed_compaction_count, statistics.compaction_count), (1, 0));
    bench.clock.sleep(Duration::from_secs(11)).await;
    for nonce in 110..120 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    assert_eq!(bench.writer.statistics().compaction_count, 1);
    bench.check_nonces("key", 0..120);
}

#[tokio::test]
async fn a_duty_cycle_compacts_idle_lists_and_then_lets_them_rest() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..20 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    assert_eq!(bench.writer.duty_cycle().await.unwrap(), DutyReport::default());
    bench.clock.sleep(Duration::from_secs(600)).await;
    let report = bench.writer.duty_cycle().await.unwrap();
    assert_eq!(report, DutyReport { compacted_count: 1, published_count: 1, trimmed_count: 0 });
    bench.clock.sleep(Duration::from_secs(6_000)).await;
    bench.store.take_requests();
    assert_eq!(bench.writer.duty_cycle().await.unwrap(), DutyReport::default());
    assert_eq!(kinds(&bench.store.take_requests()), "");
    bench.check_nonces("key", 0..20);
    bench.append("key", numbered(20..21)).await.unwrap();
    bench.check_nonces("key", 0..21);
}

#[tokio::test]
async fn a_duty_cycle_publishes_what_found_no_append() {
    let bench = bench(|builder| builder).await;
    let mut nonce = 0;
    while bench.writer.statistics().background_count == 0 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
        nonce += 1;
    }
    bench.writer.flush_key("ks", "key").await.unwrap();
    assert_eq!(bench.writer.duty_cycle().await.unwrap().published_count, 0);
    bench.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.writer.duty_cycle().await.unwrap().published_count, 1);
    bench.check_nonces("key", 0..nonce);
}

#[tokio::test]
async fn compact_in_the_foreground_leaves_nothing_to_compact() {
    let bench = bench(|builder| builder).await;
    assert!(!bench.writer.compact("ks", "key").await.unwrap());
    for nonce in 0..5 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    assert!(bench.writer.compact("ks", "key").await.unwrap());
    assert_eq!(bench.store.names(&list("key").segments()).len(), 1);
    bench.check_nonces("key", 0..5);
}

#[tokio::test]
async fn what_a_lost_collection_leaves_a_sweep_frees() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..50 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    let refused = StoreError::Rejected { action: "DeleteObjects", object: "some".into(), reason: "no".into() };
    bench.store.fail(usize::MAX, Fault::Refuse(refused), |request| matches!(request, Request::Delete { .. }));
    assert!(bench.writer.compact("ks", "key").await.unwrap());
    bench.writer.flush_all().await.unwrap();
    assert!(bench.writer.statistics().failed_collection_count >= 1);
    bench.store.heal();
    let report = bench.writer.sweep("ks", "key").await.unwrap();
    assert!(report.deleted >= 40, "{report:?}");
    assert_eq!(bench.writer.sweep("ks", "key").await.unwrap(), SweepReport::default());
    bench.check_nonces("key", 0..50);
}

#[tokio::test]
async fn a_collection_that_a_caller_waits_for_ends_by_the_callers_deadline() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..50 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    bench.store.fail(usize::MAX, Fault::LoseRequest, |request| matches!(request, Request::Delete { .. }));
    let before = bench.clock.elapsed();
    assert!(bench.writer.compact("ks", "key").await.unwrap());
    let took = bench.clock.elapsed() - before;
    assert!(took <= 2 * RetryPolicy::default().deadline, "{took:?}");
    assert_eq!(bench.writer.statistics().failed_collection_count, 1);
    bench.check_nonces("key", 0..50);
}

/// Leaves what a sweep frees.
async fn with_garbage() -> Bench {
    let bench = bench(|builder| builder).await;
    for nonce in 0..50 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    let refused = StoreError::Rejected { action: "DeleteObjects", object: "some".into(), reason: "no".into() };
    bench.store.fail(usize::MAX, Fault::Refuse(refused), |request| matches!(request, Request::Delete { .. }));
    assert!(bench.writer.compact("ks", "key").await.unwrap());
    bench.writer.flush_all().await.unwrap();
    bench.store.heal();
    bench
}

#[tokio::test]
async fn a_sweep_may_take_longer_than_a_request() {
    let bench = with_garbage().await;
    let before = bench.clock.elapsed();
    // Each request gets through when it is sent for the eighth time, which takes some twenty seconds.
    let sent = std::sync::Mutex::new(std::collections::HashMap::new());
    let lost = move |request: &Request| {
        let mut sent = sent.lock().unwrap();
        let times: &mut u32 = sent.entry(format!("{request:?}")).or_default();
        *times += 1;
        *times < 8
    };
    bench.store.fail(usize::MAX, Fault::LoseRequest, lost);
    let report = bench.writer.sweep("ks", "key").await.unwrap();
    assert!(report.deleted >= 40, "{report:?}");
    let took = bench.clock.elapsed() - before;
    assert!(took > RetryPolicy::default().deadline, "{took:?}");
    // A store that is silent ends it all the same.
    bench.store.fail(usize::MAX, Fault::LoseRequest, |_| true);
    let error = bench.writer.sweep("ks", "key").await.unwrap_err();
    assert!(matches!(error, WriterError::Unavailable { may_have_appended: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_sweep_that_fails_half_way_says_what_it_freed() {
    let bench = with_garbage().await;
    let refused = StoreError::Rejected { action: "ListObjectsV2", object: "idx".into(), reason: "no".into() };
    let pages = |request: &Request| matches!(request, Request::List { prefix, .. } if prefix.contains("/idx/"));
    bench.store.fail(usize::MAX, Fault::Refuse(refused), pages);
    let error = bench.writer.sweep("ks", "key").await.unwrap_err();
    let WriterError::PartlySwept { freed, cause, .. } = &error else { panic!("{error:?}") };
    assert!(freed.deleted >= 40 && matches!(**cause, WriterError::Store(_)), "{error:?}");
}

#[tokio::test]
async fn keys_and_bytes_in_memory_are_bounded() {
    let store = Arc::new(MemoryStore::default());
    let mut settings = config();
    settings.max_cached_keys = 3;
    let clock = TestClock::start();
    let builder = S3StoreWriter::builder(settings).store(store.clone()).memory_bytes(12_000);
    let writer = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
    writer.create_keyspace("ks").await.unwrap();
    let bench = Bench { store, clock, writer };
    for round in 0..4_u128 {
        for key in ["a", "b", "c", "d", "e"] {
            bench.append(key, numbered(round * 30..round * 30 + 30)).await.unwrap();
            let statistics = bench.writer.statistics();
            assert!(statistics.cached_key_count <= 3, "{statistics:?}");
            assert!(statistics.cached_bytes <= 12_000, "{statistics:?}");
        }
    }
    assert!(bench.writer.statistics().cached_bytes > 0);
    for key in ["a", "b", "c", "d", "e"] {
        bench.check_nonces(key, 0..120);
    }
}

#[tokio::test]
async fn racing_writers_lose_and_duplicate_nothing() {
    let bench = bench(|builder| builder).await;
    let others = [another(&bench.store, |builder| builder).await, another(&bench.store, |builder| builder).await];
    let race = |writer: S3StoreWriter, name: &'static str| async move {
        for number in 0..100 {
            let insertion = Insertion::new(format!("{name} {number}"));
            let appended = append(&writer, "key", vec![insertion]).await.unwrap();
            assert_eq!(appended.appended_count, 1);
        }
    };
    let [first, second] = others;
    tokio::join!(race(first.clone(), "first"), race(second, "second"), race(bench.writer.clone(), "third"));
    let items = bench.items("key");
    assert_eq!(items.len(), 300);
    for name in ["first", "second", "third"] {
        let own = items.iter().filter(|item| item.value.starts_with(name.as_bytes())).map(|item| item.value.clone());
        let expected: Vec<String> = (0..100).map(|number| format!("{name} {number}")).collect();
        assert_eq!(own.collect::<Vec<_>>(), expected);
    }
    assert!(bench.writer.statistics().conflict_count + first.statistics().conflict_count > 0);
}

#[tokio::test]
async fn appends_to_one_key_from_many_tasks_keep_their_batches_whole() {
    let bench = bench(|builder| builder).await;
    let appends = (0..50_u8).map(|number| {
        let batch = (0..3).map(|part| Insertion::new(vec![number, part])).collect();
        bench.append("key", batch)
    });
    let appended = future::join_all(appends).await;
    let items = bench.items("key");
    assert_eq!(items.len(), 150);
    for (number, appended) in appended.into_iter().enumerate() {
        let first = appended.unwrap().first_offset.unwrap() as usize;
        let own: Vec<_> = items.iter().skip(first).take(3).map(|item| item.value.to_vec()).collect();
        assert_eq!(own, (0..3).map(|part| vec![number as u8, part]).collect::<Vec<_>>());
    }
}
