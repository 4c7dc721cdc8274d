//! The tasks by s2-sdk: an append session that pipelines the largest batches it takes, and read sessions.

use std::time::Instant;

use futures::TryStreamExt;
use s2_sdk::append_session::AppendSessionConfig;
use s2_sdk::producer::ProducerConfig;
use s2_sdk::types::{
    AppendInput, AppendRecord, AppendRecordBatch, BasinName, EnsureBasinInput, EnsureStreamInput, ReadFrom, ReadInput,
    ReadLimits, ReadSessionConfig, ReadStart, ReadStop, S2Config, S2Endpoints, StreamName,
};
use s2_sdk::{S2, S2Stream};

use crate::Failure;
use crate::content::Records;
use crate::work::{Check, Laps, NEWEST_ITEMS, Outcome, PAGE_ITEMS, PAGES, Task, Work};

const BASIN: &str = "bench-basin";
const STREAM: &str = "list";
/// What may be on the way: more than the SDK's 5 MiB, so that the server is never waited for.
const UNACKED_BYTES: u32 = 64 << 20;

pub async fn run(work: &Work) -> Result<Outcome, Failure> {
    match work.task {
        Task::Write => write(work).await,
        Task::Read => read(work).await,
        Task::Seek => seek(work).await,
        Task::Newest => newest(work).await,
        Task::Pages => pages(work).await,
    }
}

fn client(work: &Work) -> Result<S2, Failure> {
    Ok(S2::new(S2Config::new("ignored").with_endpoints(S2Endpoints::for_endpoint(&work.endpoint)?))?)
}

fn stream(work: &Work) -> Result<S2Stream, Failure> {
    Ok(client(work)?.basin(BASIN.parse::<BasinName>()?).stream(STREAM.parse::<StreamName>()?))
}

async fn write(work: &Work) -> Result<Outcome, Failure> {
    let s2 = client(work)?;
    s2.ensure_basin(EnsureBasinInput::new(BASIN.parse()?)).await?;
    s2.basin(BASIN.parse()?).ensure_stream(EnsureStreamInput::new(STREAM.parse()?)).await?;
    let stream = stream(work)?;
    let records = Records::new(work.content, work.bytes);
    let started = Instant::now();
    if work.call == 1 {
        produce(work, &stream, &records).await?
    } else {
        append(work, &stream, &records).await?
    }
    let elapsed = started.elapsed();
    let end = stream.check_tail().await?.seq_num;
    if end == work.records { Outcome::of(elapsed) } else { Err(format!("the stream ends at {end}").into()) }
}

/// One record a call: the SDK makes the batches.
async fn produce(work: &Work, stream: &S2Stream, records: &Records) -> Result<(), Failure> {
    let producer = stream.producer(ProducerConfig::new().with_max_unacked_bytes(UNACKED_BYTES)?);
    for number in 0..work.records {
        // Its ticket: closing the producer waits for all.
        drop(producer.submit(AppendRecord::new(records.record(number))?).await?);
    }
    Ok(producer.close().await?)
}

/// Batches, pipelined.
async fn append(work: &Work, stream: &S2Stream, records: &Records) -> Result<(), Failure> {
    let session = stream.append_session(AppendSessionConfig::new().with_max_unacked_bytes(UNACKED_BYTES)?);
    for numbers in work.calls() {
        let batch = numbers.map(|number| AppendRecord::new(records.record(number))).collect::<Result<Vec<_>, _>>()?;
        drop(session.submit(AppendInput::new(AppendRecordBatch::try_from_iter(batch)?)).await?);
    }
    Ok(session.close().await?)
}

fn input(from: ReadFrom, count: u64) -> ReadInput {
    let stop = ReadStop::new().with_limits(ReadLimits::new().with_count(count as usize));
    ReadInput::new().with_start(ReadStart::new().with_from(from)).with_stop(stop)
}

async fn read(work: &Work) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let input = input(ReadFrom::SeqNum(0), work.records);
    let mut batches = stream(work)?.read_session(input, ReadSessionConfig::default()).await?;
    let mut check = Check::from(0, work);
    while let Some(batch) = batches.try_next().await? {
        batch.records.iter().try_for_each(|record| check.record(&record.body))?;
    }
    check.ended(work.records)?;
    Outcome::of(started.elapsed())
}

async fn seek(work: &Work) -> Result<Outcome, Failure> {
    let middle = work.records / 2;
    let started = Instant::now();
    let batch = stream(work)?.read(input(ReadFrom::SeqNum(middle), 1)).await?;
    let elapsed = started.elapsed();
    let mut check = Check::from(middle, work);
    batch.records.iter().try_for_each(|record| check.record(&record.body))?;
    check.ended(middle + 1)?;
    Outcome::of(elapsed)
}

async fn newest(work: &Work) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let batch = stream(work)?.read(input(ReadFrom::TailOffset(NEWEST_ITEMS), NEWEST_ITEMS)).await?;
    let elapsed = started.elapsed();
    let mut check = Check::from(work.records - NEWEST_ITEMS, work);
    batch.records.iter().try_for_each(|record| check.record(&record.body))?;
    check.ended(work.records)?;
    Outcome::of(elapsed)
}

async fn pages(work: &Work) -> Result<Outcome, Failure> {
    let middle = work.records / 2;
    let stream = stream(work)?;
    let (mut laps, mut check) = (Laps::start(), Check::from(middle, work));
    for page in 0..PAGES {
        let first = middle + page * PAGE_ITEMS;
        let batch = stream.read(input(ReadFrom::SeqNum(first), PAGE_ITEMS)).await?;
        batch.records.iter().try_for_each(|record| check.record(&record.body))?;
        laps.lap();
    }
    check.ended(middle + PAGES * PAGE_ITEMS)?;
    Outcome::median(laps.times)
}
