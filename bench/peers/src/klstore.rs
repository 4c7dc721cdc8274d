//! klstore's side, as its README shows it: a batching writer, and a reader that knows nothing.

use std::time::Instant;

use futures::TryStreamExt;
use klstore_reader::{ItemFilter, ItemList, IterationOrder, S3StoreConfig, S3StoreReader, StoreReader, StoreReaderExt};
use klstore_writer::{BatchingStoreWriter, BatchingStoreWriterConfig, Insertion, S3StoreWriter, StoreWriter};

use crate::Failure;
use crate::content::Records;
use crate::minio::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use crate::work::{Check, Laps, NEWEST_ITEMS, Outcome, PAGE_ITEMS, PAGES, Task, Work};

const KEYSPACE: &str = "bench";
const KEY: &str = "list";
/// Bytes of values that become one commit: a program that has a lot of one list sends large ones.
const BATCH_BYTES: u64 = 4 << 20;
/// Everything that is not durable yet: some batches; more gains nothing.
const BUFFERED_BYTES: u64 = 16 << 20;

pub async fn run(work: &Work) -> Result<Outcome, Failure> {
    match work.task {
        Task::Write => write(work).await,
        Task::Read => read(work).await,
        Task::Seek => seek(work).await,
        Task::Newest => newest(work).await,
        Task::Pages => pages(work).await,
    }
}

fn config(work: &Work) -> S3StoreConfig {
    S3StoreConfig {
        endpoint: Some(work.endpoint.clone()),
        path_style: true,
        region: REGION.to_owned(),
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        ..S3StoreConfig::new(BUCKET)
    }
}

async fn write(work: &Work) -> Result<Outcome, Failure> {
    let s3 = S3StoreWriter::new(config(work)).await?;
    s3.create_keyspace(KEYSPACE).await?;
    let batching = BatchingStoreWriterConfig {
        batch_flush_size_threshold: BATCH_BYTES,
        max_buffered_bytes: BUFFERED_BYTES,
        ..BatchingStoreWriterConfig::default()
    };
    let writer = BatchingStoreWriter::new(s3, batching)?;
    let records = Records::new(work.content, work.bytes);
    let started = Instant::now();
    for numbers in work.calls() {
        let insertion = |number| Insertion::new(records.record(number)).with_nonce(u128::from(number));
        // Its receipt: close waits for all.
        drop(writer.append_list(KEYSPACE, KEY, numbers.map(insertion).collect()).await?);
    }
    writer.close().await?;
    let elapsed = started.elapsed();
    writer.inner().close().await?;
    Outcome::of(elapsed)
}

async fn read(work: &Work) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let reader = S3StoreReader::new(config(work)).await?;
    let mut items = std::pin::pin!(reader.items(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None));
    let mut check = Check::from(0, work);
    while let Some(item) = items.try_next().await? {
        check.record(&item.value)?;
    }
    check.ended(work.records)?;
    Outcome::of(started.elapsed())
}

fn from(offset: u64) -> ItemFilter {
    ItemFilter { start_offset: Some(offset), ..ItemFilter::default() }
}

async fn page(
    reader: &S3StoreReader,
    order: IterationOrder,
    size: u64,
    filter: Option<ItemFilter>,
) -> Result<ItemList, Failure> {
    Ok(reader.read_page(KEYSPACE, KEY, order, Some(size), filter, None).await?)
}

async fn seek(work: &Work) -> Result<Outcome, Failure> {
    let middle = work.records / 2;
    let started = Instant::now();
    let reader = S3StoreReader::new(config(work)).await?;
    let page = page(&reader, IterationOrder::Forwards, 1, Some(from(middle))).await?;
    let elapsed = started.elapsed();
    let mut check = Check::from(middle, work);
    page.items.iter().try_for_each(|item| check.record(&item.value))?;
    check.ended(middle + 1)?;
    Outcome::of(elapsed)
}

async fn newest(work: &Work) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let reader = S3StoreReader::new(config(work)).await?;
    let page = page(&reader, IterationOrder::Backwards, NEWEST_ITEMS, None).await?;
    let elapsed = started.elapsed();
    let mut check = Check::from(work.records - NEWEST_ITEMS, work);
    page.items.iter().rev().try_for_each(|item| check.record(&item.value))?;
    check.ended(work.records)?;
    Outcome::of(elapsed)
}

async fn pages(work: &Work) -> Result<Outcome, Failure> {
    let middle = work.records / 2;
    let reader = S3StoreReader::new(config(work)).await?;
    let (order, filter) = (IterationOrder::Forwards, Some(from(middle)));
    let mut pages = std::pin::pin!(reader.pages(KEYSPACE, KEY, order, Some(PAGE_ITEMS), filter, None));
    let (mut laps, mut check) = (Laps::start(), Check::from(middle, work));
    for _ in 0..PAGES {
        let page = pages.try_next().await?.ok_or("there are too few pages")?;
        page.items.iter().try_for_each(|item| check.record(&item.value))?;
        laps.lap();
    }
    check.ended(middle + PAGES * PAGE_ITEMS)?;
    Outcome::median(laps.times)
}
