//! All flights in, and all flights out again, with a bar while it lasts.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use klstore_format::{IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReaderExt};
use klstore_writer::S3StoreWriter;
use tokio::time::Instant;

use crate::appender::{Appender, AppenderLimits};
use crate::failure::Failure;
use crate::progress;

use super::flights::Flights;
use super::pages::{is_same, wrong};

/// Rows of one aircraft that are appended at once, as if they came in small bundles.
const ROWS_PER_APPEND: usize = 25;
/// Lists that are read at once.
const LISTS_AT_ONCE: usize = 16;

/// A result and how long it took.
pub struct Timed<T> {
    pub value: T,
    pub seconds: f64,
}

/// Appends all flights in the file's order, and waits for the compactions that this brought about.
///
/// # Errors
/// The first append that failed.
pub async fn append_all(writer: &Arc<S3StoreWriter>, keyspace: &str, flights: &Flights) -> Result<Timed<()>, Failure> {
    let started = Instant::now();
    let limits =
        AppenderLimits { batch_items: ROWS_PER_APPEND, buffered_bytes: usize::MAX, ..AppenderLimits::default() };
    let mut appender = Appender::new(writer.clone(), keyspace, limits);
    let bar = bar(flights.flights.len(), "append");
    for (number, flight) in flights.flights.iter().enumerate() {
        appender.push(number as u64, &flight.key, flight.insertion.clone()).await.map_err(|error| error.error)?;
        bar.set_position(appender.totals().appended);
    }
    appender.finish().await.map_err(|error| error.error)?;
    writer.close().await?;
    bar.finish_and_clear();
    Ok(Timed { value: (), seconds: started.elapsed().as_secs_f64() })
}

/// Reads every list from its first item to its last and compares each item; gives how many there were.
///
/// # Errors
/// The first list that cannot be read or is not what was appended.
pub async fn check_all(config: &S3StoreConfig, keyspace: &str, flights: &Flights) -> Result<Timed<u64>, Failure> {
    let started = Instant::now();
    let reader = S3StoreReader::new(config.clone()).await?;
    let bar = bar(flights.flights.len(), "check");
    let checks = stream::iter(flights.lists.keys()).map(|key| check_list(&reader, keyspace, key, flights, &bar));
    let count = checks.buffer_unordered(LISTS_AT_ONCE).try_fold(0, |sum, count| async move { Ok(sum + count) }).await?;
    bar.finish_and_clear();
    Ok(Timed { value: count, seconds: started.elapsed().as_secs_f64() })
}

async fn check_list(
    reader: &S3StoreReader,
    keyspace: &str,
    key: &str,
    flights: &Flights,
    bar: &ProgressBar,
) -> Result<u64, Failure> {
    let list = flights.list(key);
    let mut pages = std::pin::pin!(reader.pages(keyspace, key, IterationOrder::Forwards, None, None, None));
    let mut count = 0;
    while let Some(page) = pages.try_next().await? {
        for item in &page.items {
            let appended = usize::try_from(count).ok().and_then(|at| list.get(at));
            if !appended.is_some_and(|insertion| is_same(item, count, insertion)) {
                return Err(wrong(key, &format!("item {count} is not what was appended")));
            }
            count += 1;
        }
        bar.inc(page.items.len() as u64);
    }
    match count == list.len() as u64 {
        true => Ok(count),
        false => Err(wrong(key, &format!("{count} items came back of {} appended", list.len()))),
    }
}

fn bar(length: usize, name: &'static str) -> ProgressBar {
    let bar = progress::bar(Some(length as u64), "{msg:9} {bar:40} {human_pos}/{human_len}, {eta} left");
    bar.set_message(name);
    bar
}
