//! klstore against s2-lite: one list of many records, written, read back, and looked into.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;
use crate::content::Content;
use crate::minio::Minio;
use crate::pairs::{self, Goal, Row};
use crate::requests::Requests;
use crate::s2::Lite;
use crate::work::{Outcome, Task, Work, spawn};

#[derive(Args)]
pub struct Options {
    /// The command of MinIO
    #[arg(long, env = "KLSTORE_BENCH_MINIO")]
    minio: PathBuf,
    /// The command of s2
    #[arg(long, env = "KLSTORE_BENCH_S2")]
    s2: PathBuf,
    /// Pairs of rounds of each size of record
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Write the rows as JSON, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Bytes that the records of a round have together, in MiB
    #[arg(long, default_value_t = 200)]
    mebibytes: u64,
    /// Bytes of a record
    #[arg(long, value_delimiter = ',', default_values_t = [128, 1_024])]
    sizes: Vec<usize>,
    /// What the records are of
    #[arg(long, value_enum, default_value = "random")]
    content: Content,
    /// Records of one call on both sides: s2 takes 1,000 at most; with 1 its SDK makes the batches
    #[arg(long, default_value_t = 1_000)]
    call: u64,
}

/// What one side came to in one round.
struct Round {
    write: Outcome,
    read: Outcome,
    /// By a server that was started after the records were written.
    read_cold: Outcome,
    seek: Outcome,
    newest: Outcome,
    pages: Outcome,
    /// Of klstore's process, or of the server alone.
    write_peak_bytes: u64,
    read_peak_bytes: u64,
    writing: Requests,
    reading: Requests,
}

/// One measure, from a round of so many records of so many bytes.
type Of = fn(&Round, f64, f64) -> f64;

const MEBIBYTE: f64 = 1_048_576.0;

/// Three times the throughput, writing at a tenth of the memory; the rest not worse.
const MEASURES: [(Measure, Of); 13] = [
    (at_least("write", "records/s", 3.0), |round, records, _| records / round.write.seconds),
    (at_least("write, bytes", "MiB/s", 3.0), |round, records, bytes| records * bytes / MEBIBYTE / round.write.seconds),
    (at_least("read back", "records/s", 3.0), |round, records, _| records / round.read.seconds),
    (at_least("read back, bytes", "MiB/s", 3.0), |round, records, bytes| {
        records * bytes / MEBIBYTE / round.read.seconds
    }),
    (at_least("read back, cold", "records/s", 3.0), |round, records, _| records / round.read_cold.seconds),
    (at_most("memory to write", "MiB", 0.1), |round, _, _| round.write_peak_bytes as f64 / MEBIBYTE),
    (at_most("memory to read, cold", "MiB", 1.0), |round, _, _| round.read_peak_bytes as f64 / MEBIBYTE),
    (at_most("write cost", "USD/million", 1.0), |round, records, _| round.writing.dollars() / records * 1e6),
    (at_most("read cost", "USD/million", 1.0), |round, records, _| round.reading.dollars() / records * 1e6),
    (at_most("bytes put", "of payload", 1.0), |round, records, bytes| {
        round.writing.bytes_in as f64 / (records * bytes)
    }),
    (at_most("cold seek", "ms", 1.0), |round, _, _| round.seek.seconds * 1e3),
    (at_most("newest page", "ms", 1.0), |round, _, _| round.newest.seconds * 1e3),
    (at_most("page of 1,000", "ms", 1.0), |round, _, _| round.pages.seconds * 1e3),
];

/// What of a side is compared, and how it is to be.
struct Measure {
    name: &'static str,
    unit: &'static str,
    goal: Goal,
}

const fn at_least(name: &'static str, unit: &'static str, goal: f64) -> Measure {
    Measure { name, unit, goal: Goal::AtLeast(goal) }
}

const fn at_most(name: &'static str, unit: &'static str, goal: f64) -> Measure {
    Measure { name, unit, goal: Goal::AtMost(goal) }
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for bytes in &options.sizes {
        rows.extend(compare(options, *bytes).await?);
    }
    pairs::print(&rows);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

async fn compare(options: &Options, bytes: usize) -> Result<Vec<Row>, Failure> {
    let records = (options.mebibytes << 20) / bytes as u64;
    let work = Work {
        task: Task::Write,
        endpoint: String::new(),
        records,
        bytes,
        content: options.content,
        call: options.call,
    };
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let pair = (ours(options, &work).await?, theirs(options, &work).await?);
        for (name, round) in [("klstore", &pair.0), ("s2-lite", &pair.1)] {
            let (writing, reading) = (round.writing.text(), round.reading.text());
            let (write, read) = (round.write.seconds, round.read.seconds);
            println!("{number}: {name}, {records} records of {bytes} bytes");
            println!("  written in {write:.2} s: {writing}");
            println!("  read in {read:.2} s; cold: {reading}");
        }
        rounds.push(pair);
    }
    let (count, size) = (records as f64, bytes as f64);
    let rows = MEASURES.iter().map(|(measure, of)| {
        let pairs = rounds.iter().map(|(ours, theirs)| (of(ours, count, size), of(theirs, count, size)));
        Row::of(
            format!("s2-lite {bytes} bytes: {}", measure.name),
            measure.unit,
            measure.goal,
            &pairs.collect::<Vec<_>>(),
        )
    });
    Ok(rows.collect())
}

/// klstore has no server: all of it is in the processes that write and read.
async fn ours(options: &Options, work: &Work) -> Result<Round, Failure> {
    let minio = Minio::start(&options.minio).await?;
    let task = |task| Work { task, endpoint: minio.endpoint.clone(), ..work.clone() };
    let side = "klstore-work";
    let start = minio.requests().await?;
    let write = spawn(side, &task(Task::Write)).await?;
    let written = minio.requests().await?;
    let read = spawn(side, &task(Task::Read)).await?;
    let all_read = minio.requests().await?;
    let seek = spawn(side, &task(Task::Seek)).await?;
    let newest = spawn(side, &task(Task::Newest)).await?;
    let pages = spawn(side, &task(Task::Pages)).await?;
    minio.stop().await?;
    let (write_peak_bytes, read_peak_bytes) = (write.peak_bytes, read.peak_bytes);
    let (writing, reading) = (&written - &start, &all_read - &written);
    // It is cold always: there is no server, and the reader knows nothing.
    let read_cold = read;
    Ok(Round { write, read, read_cold, seek, newest, pages, write_peak_bytes, read_peak_bytes, writing, reading })
}

/// Of s2-lite the server's memory counts alone, without its clients'. It reads back what it has just written, mostly from
/// memory; the rest, and the requests of reading, are of a server that was started anew.
async fn theirs(options: &Options, work: &Work) -> Result<Round, Failure> {
    let minio = Minio::start(&options.minio).await?;
    let start = minio.requests().await?;
    let lite = Lite::start(&options.s2, &minio).await?;
    let side = "s2-work";
    let task = |task, lite: &Lite| Work { task, endpoint: lite.endpoint.clone(), ..work.clone() };
    let write = spawn(side, &task(Task::Write, &lite)).await?;
    let written = minio.requests().await?;
    let write_peak_bytes = lite.peak_bytes()?;
    let read = spawn(side, &task(Task::Read, &lite)).await?;
    let all_read = minio.requests().await?;
    lite.stop().await?;
    let settled = minio.requests().await?;
    let lite = Lite::start(&options.s2, &minio).await?;
    let seek = spawn(side, &task(Task::Seek, &lite)).await?;
    let newest = spawn(side, &task(Task::Newest, &lite)).await?;
    let pages = spawn(side, &task(Task::Pages, &lite)).await?;
    let before = minio.requests().await?;
    let read_cold = spawn(side, &task(Task::Read, &lite)).await?;
    let reading = &minio.requests().await? - &before;
    let read_peak_bytes = lite.peak_bytes()?;
    lite.kill().await?;
    minio.stop().await?;
    // What it does at its end is still part of writing, as klstore's last compaction is.
    let writing = &(&written - &start) + &(&settled - &all_read);
    Ok(Round { write, read, read_cold, seek, newest, pages, write_peak_bytes, read_peak_bytes, writing, reading })
}
