//! What klstore needs of an S3 store, and what its users are promised on each: one list of cases, through the real
//! writer and reader, that every store has to pass.

mod lists;
mod names;
mod requests;
mod upkeep;

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;
use klstore_format::{Item, ItemFilter, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};

use crate::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use crate::vec_model::{self, VecModel};

/// Why a case failed.
pub type Failure = Box<dyn Error + Send + Sync>;
/// What a case ends with.
pub type Outcome = Result<(), Failure>;

/// A case that hangs fails; a slow server on a busy machine does not.
const CASE_TIMEOUT: Duration = Duration::from_secs(240);
/// The keyspace of most cases.
const KEYSPACE: &str = "flights";
/// The list of most cases.
const KEY: &str = "N14228";
const BOTH_ORDERS: [IterationOrder; 2] = [IterationOrder::Forwards, IterationOrder::Backwards];

/// An S3 store with an empty bucket.
#[derive(Debug, Clone)]
pub struct Store {
    /// `http://address:port`
    pub endpoint: String,
    /// The bucket; it exists.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// A key pair that may do everything.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Whether a PUT's condition holds on it when several race for a name: without it, it is tested without races.
    pub holds_in_races: bool,
    /// Where each case has its objects.
    prefix: String,
}

impl Store {
    /// The tests' bucket at `endpoint`, with the tests' keys.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            holds_in_races: true,
            prefix: String::new(),
        }
    }

    /// The settings of reader and writer.
    pub fn config(&self) -> S3StoreConfig {
        let mut config = S3StoreConfig::new(&self.bucket);
        config.endpoint = Some(self.endpoint.clone());
        config.region = self.region.clone();
        config.path_style = true;
        config.access_key = Some(self.access_key.clone());
        config.secret_key = Some(self.secret_key.clone());
        config.object_prefix = self.prefix.clone();
        config
    }

    async fn reader(&self) -> Result<S3StoreReader, Failure> {
        Ok(S3StoreReader::new(self.config()).await?)
    }

    async fn writer(&self) -> Result<S3StoreWriter, Failure> {
        Ok(S3StoreWriter::new(self.config()).await?)
    }

    /// A writer, and the keyspace of most cases.
    async fn writer_with_keyspace(&self) -> Result<S3StoreWriter, Failure> {
        let writer = self.writer().await?;
        writer.create_keyspace(KEYSPACE).await?;
        Ok(writer)
    }
}

/// A case: what a store must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it shows, in words that name it in the output.
    pub name: &'static str,
    run: fn(Store) -> BoxFuture<'static, Outcome>,
}

macro_rules! cases {
    ($($module:ident::$case:ident),+ $(,)?) => {
        &[$(Case { name: stringify!($case), run: |store| Box::pin($module::$case(store)) }),+]
    };
}

/// All cases but [`RACES`].
pub const CASES: &[Case] = cases![
    lists::a_keyspace_is_created_once,
    lists::what_does_not_exist_is_said_or_empty,
    lists::pages_in_both_orders,
    lists::seeks_by_offset_timestamp_and_nonce,
    lists::nonces_drop_what_is_there,
    lists::large_values,
    lists::followers_see_each_item_once,
    names::odd_keys_are_listed_and_read,
    names::odd_keyspaces_are_listed_and_read,
    upkeep::a_compacted_list_reads_the_same,
    upkeep::collected_commits_that_come_back_are_swept,
    requests::header_and_query_signatures,
    requests::virtual_hosted_style,
    requests::ranges_and_listings,
];

/// What several writers or PUTs do at once.
pub const RACES: &[Case] = cases![
    requests::one_of_racing_conditional_puts_wins,
    upkeep::racing_writers_lose_and_duplicate_nothing,
    upkeep::racing_writers_with_nonces_append_exactly_once,
];

/// Runs every case on `store`, each below a prefix of its own, and prints how it went.
///
/// # Errors
/// All cases that failed.
pub async fn run(name: &str, store: &Store) -> Outcome {
    let mut failures = Vec::new();
    let only = std::env::var("KLSTORE_TEST_CASE").ok();
    let races = if store.holds_in_races { RACES } else { &[] };
    let cases = CASES.iter().chain(races);
    for case in cases.filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))) {
        let began = tokio::time::Instant::now();
        let own = Store { prefix: format!("conformance/{}", case.name), ..store.clone() };
        let outcome = match tokio::time::timeout(CASE_TIMEOUT, (case.run)(own)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no end after {CASE_TIMEOUT:?}").into()),
        };
        let took = began.elapsed().as_millis();
        match outcome {
            Ok(()) => println!("{name}: {} passed in {took} ms", case.name),
            Err(failure) => {
                println!("{name}: {} FAILED after {took} ms: {failure}", case.name);
                failures.push(format!("{}: {failure}", case.name));
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected:?}").into()) }
}

fn holds(what: &str, condition: bool) -> Outcome {
    if condition { Ok(()) } else { Err(format!("it does not hold that {what}").into()) }
}

/// Item `offset` of a list whose nonces, timestamps and values follow from it; timestamps are not sorted.
fn numbered(offset: u64) -> Insertion {
    let jitter = if offset % 5 == 3 { -7_000 } else { 0 };
    Insertion::new(format!("value {offset}"))
        .with_nonce(u128::from(offset) * 2)
        .with_timestamp(1_357_034_400_000 + offset as i64 * 1_000 + jitter)
}

/// Appends batches of `size` numbered items until the list has `count`, and what the list is then.
async fn fill(writer: &S3StoreWriter, key: &str, count: u64, size: u64) -> Result<VecModel, Failure> {
    let mut model = VecModel::default();
    while model.next_offset() < count {
        let first = model.next_offset();
        let batch: Vec<_> = (first..count.min(first + size)).map(numbered).collect();
        append(writer, key, batch, &mut model).await?;
    }
    Ok(model)
}

/// Appends to list and model and compares the receipts. Insertions must have timestamps.
async fn append(writer: &S3StoreWriter, key: &str, batch: Vec<Insertion>, model: &mut VecModel) -> Outcome {
    let offered = batch.len() as u64;
    let expected = model.append(&batch, 0);
    let appended = writer.append_list(KEYSPACE, key, batch).await?.await?;
    let count = expected.end - expected.start;
    let found = (appended.first_offset, appended.appended_count, appended.duplicate_count);
    equal("the receipt", found, ((count > 0).then_some(expected.start), count, offered - count))
}

/// Reads page after page from `filter` to the end and compares each with the model.
async fn check_pages(
    reader: &S3StoreReader,
    key: &str,
    items: &[Item],
    order: IterationOrder,
    max_size: u64,
    filter: ItemFilter,
) -> Outcome {
    let mut at = vec_model::start(items, order, &filter);
    let mut continuation = None;
    loop {
        let page = reader.read_page(KEYSPACE, key, order, Some(max_size), Some(filter), continuation).await?;
        let expected = vec_model::page(items, order, at, max_size);
        vec_model::compare(&expected, &page.items, page.continuation.is_some())
            .map_err(|difference| format!("{order:?} from {filter:?} by {max_size}: {difference}"))?;
        let Some(next) = expected.next else { return Ok(()) };
        at = next;
        continuation = page.continuation;
    }
}

/// The whole list in both orders.
async fn check_whole(reader: &S3StoreReader, key: &str, items: &[Item], max_size: u64) -> Outcome {
    for order in BOTH_ORDERS {
        check_pages(reader, key, items, order, max_size, ItemFilter::default()).await?;
    }
    Ok(())
}
