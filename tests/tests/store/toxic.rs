//! The real writer and reader through a bad network: no call outlasts its deadline, errors are typed, nothing is lost or
//! there twice, and once the network is well again the same writer and reader go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use klstore_format::{Insertion, ItemFilter, IterationOrder};
use klstore_reader::{ReaderError, S3StoreReader, StoreReader};
use klstore_tests::harness::{Harness, KEYSPACE};
use klstore_tests::seeded::{self, Random};
use klstore_tests::toxic::{Direction, Toxic, ToxicProxy};
use klstore_writer::{Appended, S3StoreWriter, StoreWriter, WriterError};
use rand::RngExt;
use tokio::time::Instant;

/// Of a step of the writer, and of a request of the reader.
const DEADLINE: Duration = Duration::from_secs(2);
/// A call's: an append loads and commits, and a compaction may be in its way; a page is a LIST and up to four rounds of
/// GETs. The rest is for a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(14);
/// How long the weather lasts.
const WEATHER: Duration = Duration::from_secs(10);

/// The two as they see the store through the proxy.
struct Clients {
    proxy: ToxicProxy,
    writer: S3StoreWriter,
    reader: S3StoreReader,
}

impl Clients {
    async fn of(harness: &Harness) -> Self {
        let proxy = ToxicProxy::start(harness.server.address()).await.unwrap();
        let mut config = harness.config();
        config.endpoint = Some(proxy.endpoint());
        // Compactions are under way most of the time.
        config.compact_objects_threshold = 8;
        config.compact_items_threshold = 300;
        let policy = klstore_writer::RetryPolicy {
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(200),
            deadline: DEADLINE,
            background_deadline: DEADLINE,
        };
        let writer = S3StoreWriter::builder(config.clone()).retry_policy(policy).build().await.unwrap();
        let policy = klstore_reader::RetryPolicy {
            attempts: 100,
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(200),
            attempt_timeout: Duration::from_millis(800),
            deadline: DEADLINE,
        };
        let reader = S3StoreReader::builder(config).retry_policy(policy).build().await.unwrap();
        Self { proxy, writer, reader }
    }

    /// Appends the items of these numbers, within the longest time that a call may take.
    async fn append(&self, key: &str, numbers: std::ops::Range<u64>) -> Result<Appended, WriterError> {
        let batch = numbers.map(|number| Insertion::new(number.to_string()).with_nonce(number.into())).collect();
        within(async { self.writer.append_list(KEYSPACE, key, batch).await?.await }).await
    }

    /// How many items there are from `start` on; each has to be what its offset says.
    async fn read_from(&self, key: &str, start: u64, max: u64) -> Result<u64, ReaderError> {
        let filter = ItemFilter { start_offset: Some(start), ..ItemFilter::default() };
        let page = self.reader.read_page(KEYSPACE, key, IterationOrder::Forwards, Some(max), Some(filter), None);
        let page = within(page).await?;
        for (offset, item) in (start..).zip(&page.items) {
            assert_eq!((item.offset, item.nonce), (offset, Some(offset.into())));
            assert_eq!(item.value, offset.to_string());
        }
        Ok(page.items.len() as u64)
    }
}

/// Fails where the call takes longer than a call may.
async fn within<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST_CALL, call).await.expect("a call outlasts its deadline")
}

/// Whether both get through, or both fail as calls to a store that does not answer do; then the network is well again.
async fn check(harness: &Harness, number: usize, toxic: Toxic, passes: bool) {
    let key = format!("toxic {number}");
    let clients = Clients::of(harness).await;
    clients.append(&key, 0..5).await.unwrap();
    assert_eq!(clients.read_from(&key, 0, 10).await.unwrap(), 5);

    clients.proxy.set(move || toxic);
    let began = Instant::now();
    // The same moment for both, and each alone has to keep its time.
    let (appended, read) = tokio::join!(clients.append(&key, 5..10), clients.read_from(&key, 0, 10));
    println!("{toxic:?}: {:?}; {appended:?}; {read:?}", began.elapsed());
    if passes {
        assert_eq!(appended.unwrap().appended_count, 5, "{toxic:?}");
        assert!(read.unwrap() >= 5, "{toxic:?}");
    } else {
        let (appended, read) = (appended.unwrap_err(), read.unwrap_err());
        assert!(matches!(appended.cause(), WriterError::Unavailable { .. }), "{toxic:?}: {appended:?}");
        assert!(matches!(read, ReaderError::Unavailable { .. }), "{toxic:?}: {read:?}");
    }
    assert!(clients.proxy.poisoned() >= 2, "{toxic:?} struck neither");

    clients.proxy.set(|| Toxic::None);
    // What was in doubt is there once.
    clients.append(&key, 5..12).await.unwrap();
    assert_eq!(clients.read_from(&key, 0, 100).await.unwrap(), 12, "{toxic:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "not seen to pass yet: deadlines of 2 s are missed on a busy machine, and good connections are kept too long"]
async fn every_toxic_ends_within_the_deadline_and_leaves_nothing_behind() {
    use Direction::{Answers, Requests};
    let harness = Harness::start().await;
    let toxics = [
        (Toxic::Latency(Duration::from_millis(60)), true),
        (Toxic::Latency(Duration::from_secs(5)), false),
        (Toxic::Reset(0), false),
        (Toxic::Reset(200), false),
        (Toxic::Reset(1_000), false),
        (Toxic::Cut(0), false),
        (Toxic::Cut(100), false),
        (Toxic::Silence(Requests, 0), false),
        (Toxic::Silence(Requests, 100), false),
        // The request took effect; its answer never comes.
        (Toxic::Silence(Answers, 0), false),
        (Toxic::Silence(Answers, 100), false),
        (Toxic::Trickle(Requests, Duration::from_millis(20)), false),
        (Toxic::Trickle(Answers, Duration::from_millis(20)), false),
    ];
    let checks = toxics.iter().enumerate().map(|(number, (toxic, passes))| check(&harness, number, *toxic, *passes));
    futures::future::join_all(checks).await;
}

/// Each connection is another one's luck.
fn weather(random: &mut Random) -> Toxic {
    let direction = if random.random_bool(0.5) { Direction::Requests } else { Direction::Answers };
    match random.random_range(0..100) {
        0..40 => Toxic::None,
        40..55 => Toxic::Latency(Duration::from_millis(random.random_range(1..60))),
        55..70 => Toxic::Reset(random.random_range(0..20_000)),
        70..82 => Toxic::Cut(random.random_range(0..5_000)),
        82..92 => Toxic::Silence(direction, random.random_range(0..5_000)),
        _ => Toxic::Trickle(direction, Duration::from_millis(2)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "not seen to pass yet: deadlines of 2 s are missed on a busy machine, and good connections are kept too long"]
async fn in_bad_weather_nothing_is_lost_or_there_twice() {
    let seed = seeded::seed("toxic weather");
    let harness = Harness::start().await;
    let mut lists = Vec::new();
    for list in 0..4 {
        let clients = Arc::new(Clients::of(&harness).await);
        let mut random = seeded::random(seed, list);
        clients.proxy.set(move || weather(&mut random));
        lists.push(tokio::spawn(one_list(clients, format!("weather {list}"), seeded::random(seed, 100 + list))));
    }
    let mut sums = Sums::default();
    for list in lists {
        sums.add(list.await.unwrap());
    }
    println!("{sums:?}");
    assert!(sums.appends > 20 && sums.pages > 20 && sums.poisoned > 20, "there was no weather: KLSTORE_SEED={seed}");
}

/// What one or all lists went through.
#[derive(Debug, Default)]
struct Sums {
    appends: u64,
    failed_appends: u64,
    pages: u64,
    failed_pages: u64,
    poisoned: u64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.appends += other.appends;
        self.failed_appends += other.failed_appends;
        self.pages += other.pages;
        self.failed_pages += other.failed_pages;
        self.poisoned += other.poisoned;
    }
}

/// A writer that tries each batch until it is acknowledged, beside a reader that has to see all that is.
async fn one_list(clients: Arc<Clients>, key: String, mut random: Random) -> Sums {
    let mut sums = Sums::default();
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let reading = tokio::spawn(read_on(clients.clone(), key.clone(), acknowledged.clone(), over.clone()));
    let began = Instant::now();
    let mut end = 0;
    while began.elapsed() < WEATHER {
        let batch = random.random_range(1..20);
        // A connection that is well would else be kept.
        if random.random_bool(0.2) {
            clients.proxy.close_all();
        }
        loop {
            match clients.append(&key, end..end + batch).await {
                Ok(_) => break,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            sums.failed_appends += 1;
        }
        sums.appends += 1;
        end += batch;
        acknowledged.store(end, Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
    (sums.pages, sums.failed_pages) = reading.await.unwrap();
    sums.poisoned = clients.proxy.poisoned();

    clients.proxy.set(|| Toxic::None);
    clients.append(&key, end..end + 1).await.unwrap();
    let mut read = 0;
    loop {
        match clients.read_from(&key, read, 1_000).await.unwrap() {
            0 => break,
            more => read += more,
        }
    }
    assert_eq!(read, end + 1, "{key}");
    sums
}

/// Pages read, and those that failed.
async fn read_on(
    clients: Arc<Clients>,
    key: String,
    acknowledged: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> (u64, u64) {
    let (mut pages, mut failed) = (0, 0);
    while !over.load(Ordering::SeqCst) {
        let before = acknowledged.load(Ordering::SeqCst);
        let start = before.saturating_sub(50);
        match clients.read_from(&key, start, 1_000).await {
            Ok(found) => {
                assert!(start + found >= before, "{before} were acknowledged, {found} seen from {start}");
                pages += 1;
            }
            Err(ReaderError::Unavailable { .. }) => failed += 1,
            Err(error) => panic!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (pages, failed)
}
