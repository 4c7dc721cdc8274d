//! The batching writer without threads, around the real writer, over a store in memory whose network fails.

#![expect(clippy::single_range_in_vec_init, reason = "a receipt has a list of ranges, often of one")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use klstore_format::S3StoreConfig;
use klstore_format::plan::{PutKind, Request};

use super::*;
use crate::memory_store::{Fault, MemoryStore};
use crate::receipt::Appended;
use crate::store::{RetryPolicy, StoreError};
use crate::test_clock::TestClock;
use crate::{InvalidInsertion, S3StoreWriter};

pub(super) struct Bench {
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: TestClock,
    pub(super) writer: BatchingStoreWriter<S3StoreWriter>,
}

/// A writer without threads around one that gives up after a second, with keyspace `ks`.
pub(super) async fn bench(change: impl FnOnce(&mut BatchingStoreWriterConfig)) -> Bench {
    bench_with_memory(64 << 20, change).await
}

async fn bench_with_memory(bytes: usize, change: impl FnOnce(&mut BatchingStoreWriterConfig)) -> Bench {
    let (store, clock) = (Arc::new(MemoryStore::default()), TestClock::start());
    let policy = RetryPolicy { deadline: Duration::from_secs(1), ..RetryPolicy::default() };
    let builder = S3StoreWriter::builder(S3StoreConfig::new("bucket")).store(store.clone()).memory_bytes(bytes);
    let inner = builder.clock(Arc::new(clock.clone())).retry_policy(policy).build().await.unwrap();
    inner.create_keyspace("ks").await.unwrap();
    let mut config = BatchingStoreWriterConfig { writer_thread_count: 0, ..Default::default() };
    change(&mut config);
    let writer = BatchingStoreWriter::builder(inner, config).clock(Arc::new(clock.clone())).build().unwrap();
    Bench { store, clock, writer }
}

impl Bench {
    pub(super) async fn append(&self, key: &str, values: &[&str]) -> AppendReceipt {
        let insertions = values.iter().map(|value| Insertion::new((*value).to_owned())).collect();
        self.writer.append_list("ks", key, insertions).await.unwrap()
    }

    pub(super) fn values(&self, key: &str) -> Vec<String> {
        self.store.values(key)
    }
}

pub(super) fn is_commit(request: &Request) -> bool {
    matches!(request, Request::Put { name, kind: PutKind::Create, .. } if name.contains("/log/"))
}

pub(super) fn commit_of(key: &'static str) -> impl Fn(&Request) -> bool + Send + 'static {
    move |request| matches!(request, Request::Put { name, .. } if name.contains(&format!("/{key}/log/")))
}

pub(super) fn denied() -> Fault {
    Fault::Refuse(StoreError::AccessDenied {
        action: "PutObject",
        object: "x".into(),
        bucket: "bucket".into(),
        code: "AccessDenied".into(),
        permissions: "s3:PutObject",
    })
}

fn ranges(appended: &Appended) -> (Vec<std::ops::Range<u64>>, u64) {
    (appended.ranges.clone(), appended.duplicate_count)
}

#[tokio::test]
async fn calls_share_a_commit_and_each_receipt_tells_of_its_own_items() {
    let bench = bench(|_| {}).await;
    let insertions = |nonces: &[u128]| -> Vec<Insertion> {
        nonces.iter().map(|nonce| Insertion::new(format!("nonce {nonce}")).with_nonce(*nonce)).collect()
    };
    let mut receipts = Vec::new();
    for nonces in [&[5, 6][..], &[2, 3], &[6, 7, 1, 9], &[10]] {
        receipts.push(bench.writer.append_list("ks", "key", insertions(nonces)).await.unwrap());
    }
    bench.writer.duty_cycle().await.unwrap();
    assert_eq!(bench.store.names("ks/lists/"), [], "nothing is due yet");
    assert_eq!(bench.writer.statistics().buffered_item_count, 9);
    bench.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.writer.statistics().oldest_age_millis, Some(1_000));
    bench.writer.duty_cycle().await.unwrap();
    let told: Vec<_> =
        futures::future::join_all(receipts).await.into_iter().map(|told| ranges(&told.unwrap())).collect();
    assert_eq!(told, [(vec![0..2], 0), (vec![], 2), (vec![2..4], 2), (vec![4..5], 0)]);
    assert_eq!(bench.values("key"), ["nonce 5", "nonce 6", "nonce 7", "nonce 9", "nonce 10"]);
    let done = bench.writer.statistics();
    assert_eq!((done.put_count, done.appended_count, done.duplicate_count), (1, 5, 4));
    assert_eq!((done.buffered_bytes, done.buffered_item_count, done.batch_count), (0, 0, 0));
    assert!(done.peak_buffered_bytes > 0 && done.oldest_age_millis.is_none());
}

/// Without nonces an append that is merely repeated would be in the list twice.
#[tokio::test]
async fn what_is_in_doubt_goes_on_as_it_was_sent() {
    for takes_effect in [Some("before the next attempt"), Some("never heard of"), None] {
        let bench = bench(|_| {}).await;
        drop(bench.append("key", &["before"]).await);
        bench.writer.flush_all().await.unwrap();
        let fault = if takes_effect == Some("never heard of") { Fault::LoseAnswer } else { Fault::Stall };
        bench.store.fail(usize::MAX, fault, is_commit);
        let receipt = bench.append("key", &["one", "two"]).await;
        for _ in 0..3 {
            let error = bench.writer.flush_key("ks", "key").await.unwrap_err();
            assert!(matches!(error, WriterError::StillBuffered { .. }) && error.is_transient(), "{error}");
            assert!(matches!(error.cause(), WriterError::Unavailable { may_have_appended: true, .. }), "{error}");
        }
        let after = bench.append("key", &["three"]).await;
        if takes_effect == Some("before the next attempt") {
            assert!(bench.store.land_stalled() > 0);
        }
        bench.store.heal();
        bench.writer.flush_key("ks", "key").await.unwrap();
        bench.store.land_stalled();
        assert_eq!(bench.values("key"), ["before", "one", "two", "three"], "{takes_effect:?}");
        assert_eq!(receipt.await.unwrap().ranges, [1..3]);
        assert_eq!(after.await.unwrap().ranges, [3..4]);
        let done = bench.writer.statistics();
        assert_eq!((done.put_count, done.retry_count, done.failing_key_count), (6, 3, 0));
    }
}

/// The price of bounded memory: what is documented, no more.
#[tokio::test]
async fn without_room_for_what_is_in_doubt_only_nonces_make_it_exactly_once() {
    let bench = bench_with_memory(0, |_| {}).await;
    let nonce = Insertion::new("with").with_nonce(1);
    for insertion in [Insertion::new("without"), nonce] {
        bench.store.fail(1, Fault::LoseAnswer, is_commit);
        bench.store.fail(usize::MAX, Fault::LoseRequest, is_commit);
        drop(bench.writer.append_list("ks", "key", vec![insertion]).await.unwrap());
        assert!(bench.writer.flush_all().await.is_err());
        bench.store.heal();
        bench.writer.flush_all().await.unwrap();
    }
    assert_eq!(bench.values("key"), ["without", "without", "with"]);
}

/// A refusal after a commit was sent leaves its outcome as open as silence does.
#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_in_doubt_too() {
    let bench = bench(|_| {}).await;
    drop(bench.append("key", &["before"]).await);
    bench.writer.flush_all().await.unwrap();
    bench.store.fail(1, Fault::LoseAnswer, is_commit);
    bench.store.fail(1, denied(), is_commit);
    let receipt = bench.append("key", &["one"]).await;
    let error = bench.writer.flush_all().await.unwrap_err();
    assert!(matches!(error.cause(), WriterError::Store(StoreError::AccessDenied { .. })), "{error}");
    assert!(matches!(receipt.await, Err(WriterError::StillBuffered { .. })));
    bench.writer.flush_all().await.unwrap();
    assert_eq!(bench.values("key"), ["before", "one"]);
}

#[tokio::test]
async fn what_somebody_must_put_right_is_told_and_goes_on_once_it_is() {
    let bench = bench(|_| {}).await;
    let nowhere = bench.writer.append_list("later", "key", vec![Insertion::new("x")]).await.unwrap();
    let elsewhere = bench.append("other", &["y"]).await;
    let error = bench.writer.flush_all().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 item for `later/key` is not durable yet; in memory, and tried again: keyspace `later` does not exist: create \
         it first, or check bucket and prefix"
    );
    assert!(!error.is_transient());
    assert_eq!(elsewhere.await.unwrap().ranges, [0..1], "another key goes on");
    assert!(matches!(nowhere.await, Err(WriterError::StillBuffered { .. })));
    assert_eq!(bench.writer.statistics().failing_key_count, 1);
    bench.writer.create_keyspace("later").await.unwrap();
    bench.clock.sleep(Duration::from_secs(30)).await;
    bench.writer.duty_cycle().await.unwrap();
    assert_eq!((bench.writer.statistics().failing_key_count, bench.writer.statistics().buffered_item_count), (0, 0));
}

#[tokio::test]
async fn a_duty_cycle_tells_what_failed_after_all_had_their_turn() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = 1).await;
    bench.store.fail(1, denied(), commit_of("a"));
    let first = bench.append("a", &["1"]).await;
    let second = bench.append("b", &["2"]).await;
    let error = bench.writer.duty_cycle().await.unwrap_err();
    assert!(error.to_string().contains("`ks/a`"), "{error}");
    assert!(first.await.is_err());
    second.await.unwrap();
    bench.writer.close().await.unwrap();
    assert_eq!(bench.values("a"), ["1"]);
}

#[tokio::test]
async fn the_door_refuses_what_could_never_be_appended() {
    let bench = bench(|_| {}).await;
    let append = |keyspace: &'static str, key: &'static str, insertion: Insertion| {
        bench.writer.append_list(keyspace, key, vec![Insertion::new("good"), insertion])
    };
    let good = || Insertion::new("x");
    assert!(matches!(append("", "key", good()).await, Err(WriterError::InvalidName(_))));
    assert!(matches!(append("ks", "", good()).await, Err(WriterError::InvalidName(_))));
    let last = append("ks", "key", good().with_nonce(u128::MAX)).await;
    assert!(matches!(last, Err(WriterError::InvalidInsertion(InvalidInsertion::LastNonce { index: 1 }))));
    let future = append("ks", "key", good().with_timestamp(i64::MAX)).await;
    assert!(matches!(future, Err(WriterError::InvalidInsertion(InvalidInsertion::FutureTimestamp { .. }))));
    let large = append("ks", "key", Insertion::new(vec![0; (16 << 20) + 1])).await;
    assert!(matches!(large, Err(WriterError::InvalidInsertion(InvalidInsertion::ValueTooLarge { .. }))));
    assert!(matches!(bench.writer.flush_key("ks", "").await, Err(WriterError::InvalidName(_))));
    assert_eq!(bench.append("key", &[]).await.await.unwrap(), Appended::default());
    assert_eq!(bench.writer.statistics(), BatchingStatistics::default());
    assert!(bench.writer.statistics().buffered_bytes == 0 && bench.values("key").is_empty());
}

#[tokio::test]
async fn an_item_has_the_time_at_which_it_was_appended() {
    let bench = bench(|_| {}).await;
    bench.clock.sleep(Duration::from_millis(500)).await;
    drop(bench.append("key", &["x"]).await);
    bench.clock.sleep(Duration::from_secs(100)).await;
    bench.writer.flush_all().await.unwrap();
    assert_eq!(bench.store.items("key")[0].timestamp, 500);
}

#[tokio::test]
async fn memory_that_is_used_up_makes_callers_wait_and_batches_go() {
    const BUDGET: u64 = 10_000;
    // No batch would be due for an hour.
    let bench =
        bench(|config| (config.max_buffered_bytes, config.batch_flush_interval_millis) = (BUDGET, 3_600_000)).await;
    let value = "x".repeat(1_000);
    for number in 0..50 {
        drop(bench.append(["a", "b", "c"][number % 3], &[&value]).await);
        assert!(bench.writer.statistics().buffered_bytes <= BUDGET);
    }
    assert!(bench.writer.statistics().put_count > 3, "what was waited for has been sent");
    assert!(bench.writer.statistics().peak_buffered_bytes > BUDGET / 2);
    // What no budget holds is let in alone.
    let large = bench.append("a", &[&"y".repeat(2 * BUDGET as usize)]).await;
    assert_eq!(bench.writer.statistics().buffered_item_count, 1);
    bench.writer.close().await.unwrap();
    assert_eq!(large.await.unwrap().ranges, [17..18]);
    assert_eq!((bench.values("b").len(), bench.values("c").len()), (17, 16));
}

#[tokio::test]
async fn a_wait_for_memory_that_is_given_up_takes_nothing() {
    // Three calls fit.
    let bench = Arc::new(bench(|config| config.max_buffered_bytes = 2_500).await);
    bench.store.fail(1, Fault::Stall, is_commit);
    drop(bench.append("key", &["1"]).await);
    // From here on somebody drives the lane, and waits for the store.
    let flush = tokio::spawn({
        let bench = bench.clone();
        async move { bench.writer.flush_all().await }
    });
    while bench.store.take_requests().iter().all(|request| !is_commit(request)) {
        tokio::task::yield_now().await;
    }
    drop(bench.append("key", &["2"]).await);
    drop(bench.append("key", &["3"]).await);
    let before = bench.writer.statistics().buffered_bytes;
    for _ in 0..3 {
        let given_up = std::pin::pin!(bench.append("key", &["given up"]));
        assert!(futures::poll!(given_up).is_pending());
    }
    assert_eq!(bench.writer.statistics().buffered_bytes, before);
    let fourth = bench.append("key", &["4"]).await;
    assert!(flush.await.unwrap().is_err() || bench.writer.statistics().put_count > 0);
    bench.writer.close().await.unwrap();
    assert_eq!(fourth.await.unwrap().ranges, [3..4]);
    assert_eq!(bench.values("key"), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn close_keeps_what_it_cannot_make_durable_and_takes_nothing_more() {
    let bench = bench(|_| {}).await;
    bench.store.fail(usize::MAX, denied(), is_commit);
    drop(bench.append("key", &["kept"]).await);
    assert!(matches!(bench.writer.close().await, Err(WriterError::StillBuffered { .. })));
    let refused = bench.writer.append_list("ks", "key", vec![Insertion::new("late")]).await;
    assert!(matches!(refused, Err(WriterError::Closed)), "{refused:?}");
    bench.store.heal();
    bench.writer.close().await.unwrap();
    bench.writer.close().await.unwrap();
    assert_eq!(bench.values("key"), ["kept"]);
}

#[tokio::test]
async fn a_key_has_one_lane_and_the_keys_spread_over_all() {
    let bench = bench(|_| {}).await;
    let config = BatchingStoreWriterConfig { writer_thread_count: 4, ..Default::default() };
    let writer = BatchingStoreWriter::new(bench.writer.inner().clone(), config).unwrap();
    let mut keys = [0; 4];
    for key in 0..1_000 {
        let list = ListKey { keyspace: "ks".into(), key: key.to_string() };
        let lane = writer.shared.lane(&list);
        assert!(std::ptr::eq(lane, writer.clone().shared.lane(&list.clone())));
        let place = writer.shared.lanes.iter().position(|other| std::ptr::eq(other, lane)).unwrap();
        keys[place] += 1;
    }
    assert!(keys.iter().all(|keys| *keys > 150), "{keys:?}");
}

/// An inner writer with a defect: its first append panics.
struct PanicsOnce(S3StoreWriter, AtomicBool);

#[async_trait]
impl StoreWriter for PanicsOnce {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.0.create_keyspace(keyspace).await
    }

    async fn append_list(&self, ks: &str, key: &str, new: Vec<Insertion>) -> Result<AppendReceipt, WriterError> {
        assert!(self.1.swap(true, Ordering::Relaxed), "the first append");
        self.0.append_list(ks, key, new).await
    }

    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        self.0.flush_key(keyspace, key).await
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        self.0.flush_all().await
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        self.0.duty_cycle().await
    }
}

#[tokio::test]
async fn a_panic_inside_is_a_failure_like_any_other() {
    let bench = bench(|_| {}).await;
    for writer_thread_count in [0, 1] {
        let inner = PanicsOnce(bench.writer.inner().clone(), AtomicBool::new(false));
        let config = BatchingStoreWriterConfig { writer_thread_count, ..Default::default() };
        let clock = Arc::new(bench.clock.clone());
        let writer = BatchingStoreWriter::builder(inner, config).clock(clock).build().unwrap();
        let receipt = writer.append_list("ks", "key", vec![Insertion::new("x").with_nonce(1)]).await.unwrap();
        let error = writer.flush_all().await.unwrap_err();
        assert!(error.to_string().contains("the inner writer panicked"), "{error}");
        writer.close().await.unwrap();
        receipt.await.unwrap();
    }
    assert_eq!(bench.values("key"), ["x"]);
}

/// An inner writer whose flushes do not end, as on a writer whose compactions never pause.
struct NeverIdle(S3StoreWriter);

#[async_trait]
impl StoreWriter for NeverIdle {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.0.create_keyspace(keyspace).await
    }

    async fn append_list(&self, ks: &str, key: &str, new: Vec<Insertion>) -> Result<AppendReceipt, WriterError> {
        self.0.append_list(ks, key, new).await
    }

    async fn flush_key(&self, _: &str, _: &str) -> Result<(), WriterError> {
        std::future::pending().await
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        std::future::pending().await
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        self.0.duty_cycle().await
    }
}

#[tokio::test]
async fn flushes_end_at_durability_whatever_the_inner_writer_does_beside() {
    let bench = bench(|_| {}).await;
    let inner = NeverIdle(bench.writer.inner().clone());
    let config = BatchingStoreWriterConfig { writer_thread_count: 0, ..Default::default() };
    let writer = BatchingStoreWriter::builder(inner, config).clock(Arc::new(bench.clock.clone())).build().unwrap();
    for value in ["a", "b", "c"] {
        drop(writer.append_list("ks", "key", vec![Insertion::new(value)]).await.unwrap());
        let flush = async { if value == "a" { writer.flush_key("ks", "key").await } else { writer.flush_all().await } };
        tokio::time::timeout(Duration::from_secs(20), flush).await.expect("it ends").unwrap();
    }
    tokio::time::timeout(Duration::from_secs(20), writer.close()).await.expect("it ends").unwrap();
    assert_eq!(bench.values("key"), ["a", "b", "c"]);
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn dropping_a_writer_that_was_not_flushed_says_so() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    let flushed = bench(|_| {}).await;
    drop(flushed.append("key", &["x"]).await);
    flushed.writer.flush_all().await.unwrap();
    drop(flushed);
    assert_eq!(text(), "");

    let bench = bench(|_| {}).await;
    let receipt = bench.append("key", &["x", "y"]).await;
    drop(bench);
    assert!(text().contains("dropped a batching writer with items that are not durable"), "{}", text());
    assert!(text().contains("items=2"), "{}", text());
    assert!(matches!(receipt.await, Err(WriterError::DroppedUnflushed { .. })));
}

/// What was recorded last under each name, labels aside.
#[derive(Default, Clone)]
struct Recorded(Arc<Mutex<std::collections::BTreeMap<String, f64>>>);

struct Metric(Recorded, String);

impl metrics::CounterFn for Metric {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value as f64;
    }

    fn absolute(&self, value: u64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value as f64);
    }
}

impl metrics::GaugeFn for Metric {
    fn increment(&self, value: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn decrement(&self, value: f64) {
        metrics::GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl metrics::Recorder for Recorded {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        metrics::Counter::from_arc(Arc::new(Metric(self.clone(), key.name().to_owned())))
    }

    fn register_gauge(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(Arc::new(Metric(self.clone(), key.name().to_owned())))
    }

    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[test]
fn the_metrics_facade_tells_what_the_snapshot_does() {
    let recorded = Recorded::default();
    let value = |name: &str| recorded.0.lock().unwrap()[&format!("klstore_batching_{name}")];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    metrics::with_local_recorder(&recorded, || {
        runtime.block_on(async {
            let bench = bench(|_| {}).await;
            let nonce = |nonce| vec![Insertion::new("x").with_nonce(nonce)];
            for number in [1, 2, 2] {
                drop(bench.writer.append_list("ks", "key", nonce(number)).await.unwrap());
            }
            bench.writer.duty_cycle().await.unwrap();
            assert_eq!((value("buffered_items"), value("batches"), value("puts_total")), (3.0, 1.0, 0.0));
            assert_eq!(value("buffered_bytes"), bench.writer.statistics().buffered_bytes as f64);
            bench.clock.sleep(Duration::from_millis(900)).await;
            bench.writer.duty_cycle().await.unwrap();
            assert!((value("oldest_age_seconds") - 0.9).abs() < 0.01);
            bench.store.fail(1, denied(), is_commit);
            assert!(bench.writer.flush_all().await.is_err());
            assert_eq!(value("failing_keys"), 1.0);
            bench.writer.flush_all().await.unwrap();
            bench.writer.duty_cycle().await.unwrap();
            let names = ["buffered_items", "failing_keys", "in_flight", "puts_total", "retries_total"];
            assert_eq!(names.map(&value), [0.0, 0.0, 0.0, 2.0, 1.0]);
            assert_eq!((value("appended_items_total"), value("duplicates_total")), (2.0, 1.0));
            assert_eq!(value("conflicts_total"), 0.0);
        });
    });
}
