//! The real writer and reader through a bad network: no call outlasts its deadline, errors are typed, nothing is lost or
//! there twice, and once the network is well again the same writer and reader go on.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use klstore_format::rules::{self, Rule};
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
/// The same where they are to get through, on a busy machine, too.
const PATIENT: Duration = Duration::from_secs(30);
/// What a busy machine may add to a call.
const BUSY: Duration = Duration::from_secs(5);
/// Steps of a call with nothing beside it: an append loads and commits; a page is a LIST, and a GET or two at once.
const STEPS: u32 = 2;
/// In the weather a compaction may be in an append's way, and a page takes up to four rounds of GETs.
const STEPS_IN_WEATHER: u32 = 5;
/// Until a call gets through a network that is well.
const RECOVERY: Duration = Duration::from_secs(30);

/// Of a value, 16 bytes each: bodies are several times as long as heads.
const RANDOM_NUMBERS: usize = 64;
/// After so many bytes each request and answer without such a body has passed, and none with one.
const IN_THE_BODY: u64 = 3_000;

/// The two as they see the store through the proxy.
struct Clients {
    proxy: ToxicProxy,
    writer: S3StoreWriter,
    reader: S3StoreReader,
    once: Once,
    /// How long a call may take.
    longest_append: Duration,
    longest_page: Duration,
}

/// How the two are set up.
struct Setup {
    once: Once,
    steps: u32,
    /// The writer's and the reader's.
    deadlines: (Duration, Duration),
    cache_bytes: u64,
}

/// By what an append that is made again takes effect once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    Nonces,
    IdempotencyKey,
}

impl Clients {
    async fn of(harness: &Harness, setup: Setup) -> Self {
        let Setup { once, steps, deadlines: (append, page), cache_bytes } = setup;
        let proxy = ToxicProxy::start(harness.server.address()).await.unwrap();
        let mut config = harness.config();
        config.endpoint = Some(proxy.endpoint());
        // Compactions are under way most of the time.
        config.compact_objects_threshold = 8;
        config.compact_items_threshold = 300;
        let policy = klstore_writer::RetryPolicy {
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(200),
            deadline: append,
            background_deadline: append,
        };
        let writer = S3StoreWriter::builder(config.clone()).retry_policy(policy).build().await.unwrap();
        let policy = klstore_reader::RetryPolicy {
            attempts: 1_000,
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(200),
            attempt_timeout: Duration::from_millis(800),
            deadline: page,
        };
        let reader = S3StoreReader::builder(config).retry_policy(policy).cache_bytes(cache_bytes);
        let reader = reader.build().await.unwrap();
        let longest = |deadline: Duration| deadline.saturating_mul(steps).saturating_add(BUSY);
        Self { proxy, writer, reader, once, longest_append: longest(append), longest_page: longest(page) }
    }

    /// Appends the items of these numbers; the same ones again are the same append. Says how long it took.
    async fn append(&self, key: &str, numbers: Range<u64>) -> (Result<Appended, WriterError>, Duration) {
        let idempotency_key = numbers.start.into();
        let insertions = numbers.map(|number| {
            let insertion = Insertion::new(value(number));
            if self.once == Once::Nonces { insertion.with_nonce(number.into()) } else { insertion }
        });
        let batch = insertions.collect();
        let call = async {
            match self.once {
                Once::Nonces => self.writer.append_list(KEYSPACE, key, batch).await?.await,
                Once::IdempotencyKey => {
                    self.writer.append_list_idempotent(KEYSPACE, key, batch, idempotency_key).await?.await
                }
            }
        };
        timed(self.longest_append, call).await
    }

    /// How many items there are from `start` on; each has to be what its offset says.
    async fn read_from(&self, key: &str, start: u64) -> (Result<u64, ReaderError>, Duration) {
        let filter = ItemFilter { start_offset: Some(start), ..ItemFilter::default() };
        let page = self.reader.read_page(KEYSPACE, key, IterationOrder::Forwards, Some(1_000), Some(filter), None);
        let (page, took) = timed(self.longest_page, page).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return (Err(error), took),
        };
        for (offset, item) in (start..).zip(&page.items) {
            let nonce = (self.once == Once::Nonces).then_some(offset.into());
            assert_eq!((item.offset, item.nonce), (offset, nonce));
            assert!(item.value == value(offset), "item {offset} is another one");
        }
        (Ok(page.items.len() as u64), took)
    }

    /// The same, until they get through: on a busy machine a deadline may pass although nothing is wrong.
    async fn append_at_last(&self, key: &str, numbers: Range<u64>) {
        let began = Instant::now();
        while let (Err(error), _) = self.append(key, numbers.clone()).await {
            assert!(error.is_transient() && began.elapsed() < RECOVERY, "{key}: {error:?}");
        }
    }

    async fn read_at_last(&self, key: &str, start: u64) -> u64 {
        let began = Instant::now();
        loop {
            match self.read_from(key, start).await.0 {
                Ok(found) => return found,
                Err(error) => assert!(is_passing(&error) && began.elapsed() < RECOVERY, "{key}: {error:?}"),
            }
        }
    }
}

fn value(number: u64) -> String {
    let mut random = seeded::random(number, 0);
    (0..RANDOM_NUMBERS).map(|_| format!("{:016x}", random.random::<u64>())).collect()
}

fn is_passing(error: &ReaderError) -> bool {
    matches!(error, ReaderError::Unavailable { .. })
}

/// What a call came to and how long it took; fails where that is longer than such a call may take.
async fn timed<T>(longest: Duration, call: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let outcome = tokio::time::timeout(longest, call).await.expect("a call outlasts its deadline");
    (outcome, began.elapsed())
}

/// What becomes of a call in such a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    /// At its deadline, as calls to a store that does not answer do.
    Unavailable,
}

impl Ends {
    fn deadline(self) -> Duration {
        if self == Self::Well { PATIENT } else { DEADLINE }
    }
}

/// One network, and what becomes of an append and a page in it; then it is well again.
async fn check(harness: &Harness, number: usize, toxic: Toxic, append: Ends, page: Ends) {
    let key = format!("toxic {number}");
    let deadlines = (append.deadline(), page.deadline());
    let setup = Setup { once: Once::Nonces, steps: STEPS, deadlines, cache_bytes: 0 };
    let clients = Clients::of(harness, setup).await;
    clients.append_at_last(&key, 0..5).await;
    assert_eq!(clients.read_at_last(&key, 0).await, 5);

    clients.proxy.set(move || toxic);
    let (appended, took) = clients.append(&key, 5..10).await;
    println!("{toxic:?}: append {took:?} {appended:?}");
    match (append, appended) {
        (Ends::Well, Ok(appended)) => assert_eq!(appended.appended_count, 5, "{toxic:?}"),
        (Ends::Unavailable, Err(WriterError::Unavailable { .. })) => {
            assert!(took >= DEADLINE, "{toxic:?}: given up after {took:?}");
        }
        (append, appended) => panic!("{toxic:?}: not {append:?}, but {appended:?}"),
    }
    let poisoned = clients.proxy.poisoned();
    assert!(poisoned >= 1, "{toxic:?} did not strike the append");
    clients.proxy.close_all();
    let (found, took) = clients.read_from(&key, 0).await;
    println!("{toxic:?}: page {took:?} {found:?}");
    match (page, found) {
        (Ends::Well, Ok(found)) => assert_eq!(found, if append == Ends::Well { 10 } else { 5 }, "{toxic:?}"),
        (Ends::Unavailable, Err(error)) if is_passing(&error) => {
            assert!(took >= DEADLINE, "{toxic:?}: given up after {took:?}");
        }
        (page, found) => panic!("{toxic:?}: not {page:?}, but {found:?}"),
    }
    assert!(clients.proxy.poisoned() > poisoned, "{toxic:?} did not strike the page");

    clients.proxy.set(|| Toxic::None);
    // What was in doubt is there once.
    clients.append_at_last(&key, 5..12).await;
    assert_eq!(clients.read_at_last(&key, 0).await, 12, "{toxic:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_toxic_ends_within_the_deadline_and_leaves_nothing_behind() {
    use Direction::{Answers, Requests};
    use Ends::{Unavailable, Well};
    let harness = Harness::start().await;
    let (brief, long) = (Duration::from_millis(5), Duration::from_millis(50));
    let toxics = [
        (Toxic::Latency(Duration::from_millis(60)), Well, Well),
        (Toxic::Latency(Duration::from_secs(5)), Unavailable, Unavailable),
        (Toxic::Reset(0), Unavailable, Unavailable),
        (Toxic::Reset(200), Unavailable, Unavailable),
        (Toxic::Reset(IN_THE_BODY), Unavailable, Unavailable),
        (Toxic::Cut(Requests, 100), Unavailable, Unavailable),
        (Toxic::Cut(Requests, IN_THE_BODY), Unavailable, Well),
        (Toxic::Cut(Answers, 0), Unavailable, Unavailable),
        (Toxic::Cut(Answers, 100), Unavailable, Unavailable),
        (Toxic::Cut(Answers, IN_THE_BODY), Well, Unavailable),
        (Toxic::Silence(Requests, 0), Unavailable, Unavailable),
        (Toxic::Silence(Requests, IN_THE_BODY), Unavailable, Well),
        // The request took effect; its answer never comes.
        (Toxic::Silence(Answers, 0), Unavailable, Unavailable),
        (Toxic::Silence(Answers, IN_THE_BODY), Well, Unavailable),
        (Toxic::Trickle(Requests, 128, brief), Well, Well),
        (Toxic::Trickle(Requests, 1, long), Unavailable, Unavailable),
        (Toxic::Trickle(Answers, 128, brief), Well, Well),
        (Toxic::Trickle(Answers, 1, long), Unavailable, Unavailable),
    ];
    let checks = toxics.iter().enumerate();
    let checks = checks.map(|(number, (toxic, append, read))| check(&harness, number, *toxic, *append, *read));
    futures::future::join_all(checks).await;
}

/// How long the weather lasts, and what of it there has to be for each list: on a busy machine that takes longer.
const WEATHER: Duration = Duration::from_secs(8);
const POISONED: u64 = 15;
const LONGEST_WEATHER: Duration = Duration::from_secs(60);
/// Of a connection that nothing else ends: several times a commit with its carry, which is to get through.
const LONGEST_BYTES: u64 = 200_000;

/// Each connection is another one's luck.
fn weather(random: &mut Random) -> Toxic {
    let direction = if random.random_bool(0.5) { Direction::Requests } else { Direction::Answers };
    // As often in the head of the first answer as far behind it.
    let magnitude = random.random_range(5..16);
    let after = random.random_range(0..1 << magnitude);
    match random.random_range(0..100) {
        0..15 => Toxic::None,
        15..40 => Toxic::Latency(Duration::from_millis(random.random_range(1..60))),
        40..55 => Toxic::Reset(after),
        55..80 => Toxic::Cut(direction, after),
        80..90 => Toxic::Silence(direction, after),
        _ => Toxic::Trickle(direction, random.random_range(1..256), Duration::from_millis(random.random_range(1..5))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_bad_weather_nothing_is_lost_or_there_twice() {
    let seed = seeded::seed("toxic weather");
    let lists = [Once::Nonces, Once::IdempotencyKey, Once::Nonces, Once::IdempotencyKey];
    let sums = lists_in_weather(seed, &lists, WEATHER).await;
    println!("{sums:?}");
    assert!(sums.appends >= 20 && sums.pages >= 20, "there was no getting through: KLSTORE_SEED={seed}");
    assert!(sums.poisoned >= 4 * POISONED, "there was no weather: KLSTORE_SEED={seed}");
}

/// Rule 4: where the answer to a commit is lost and it is sent again, it is refused for its own sake.
#[test]
fn the_weather_tells_where_a_refused_commit_is_taken_for_another_ones() {
    let seed = seeded::seed("toxic weather without a rule");
    // A rule is switched off on one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let list = || runtime.block_on(lists_in_weather(seed, &[Once::IdempotencyKey], LONGEST_WEATHER));
    let ended = rules::without(Rule::ResolveRefused, || catch_unwind(AssertUnwindSafe(list)));
    let noticed = ended.expect_err("nobody noticed");
    let noticed = noticed.downcast_ref::<String>().map_or("", String::as_str);
    assert!(noticed.contains("is another one"), "KLSTORE_SEED={seed}: {noticed}");
}

async fn lists_in_weather(seed: u64, lists: &[Once], shortest: Duration) -> Sums {
    let harness = Harness::start().await;
    let mut running = Vec::new();
    for (list, once) in (0..).zip(lists.iter().copied()) {
        let setup = Setup { once, steps: STEPS_IN_WEATHER, deadlines: (DEADLINE, DEADLINE), cache_bytes: 1 << 20 };
        let clients = Arc::new(Clients::of(&harness, setup).await);
        let mut random = seeded::random(seed, list);
        clients.proxy.close_after(LONGEST_BYTES);
        clients.proxy.set(move || weather(&mut random));
        let random = seeded::random(seed, 100 + list);
        running.push(tokio::spawn(one_list(clients, format!("weather {list}"), random, shortest)));
    }
    let mut sums = Sums::default();
    for list in running {
        sums.add(list.await.unwrap());
    }
    sums
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
async fn one_list(clients: Arc<Clients>, key: String, mut random: Random, shortest: Duration) -> Sums {
    let mut sums = Sums::default();
    let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let reading = tokio::spawn(read_on(clients.clone(), key.clone(), acknowledged.clone(), over.clone()));
    let began = Instant::now();
    let mut end = 0;
    let goes_on = |poisoned| began.elapsed() < shortest || (poisoned < POISONED && began.elapsed() < LONGEST_WEATHER);
    while !reading.is_finished() && goes_on(clients.proxy.poisoned()) {
        let batch = random.random_range(1..10);
        let began = Instant::now();
        while let (Err(error), _) = clients.append(&key, end..end + batch).await {
            assert!(error.is_transient() && began.elapsed() < LONGEST_WEATHER, "{key}: {error:?}");
            sums.failed_appends += 1;
        }
        sums.appends += 1;
        end += batch;
        acknowledged.store(end, Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
    (sums.pages, sums.failed_pages) = reading.await.unwrap();
    sums.poisoned = clients.proxy.poisoned();

    clients.proxy.close_after(u64::MAX);
    clients.proxy.set(|| Toxic::None);
    clients.append_at_last(&key, end..end + 1).await;
    let mut read = 0;
    loop {
        match clients.read_at_last(&key, read).await {
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
        match clients.read_from(&key, start).await.0 {
            Ok(found) => {
                assert!(start + found >= before, "{before} were acknowledged, {found} seen from {start}");
                pages += 1;
            }
            Err(error) => {
                assert!(is_passing(&error), "{error:?}");
                failed += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (pages, failed)
}
