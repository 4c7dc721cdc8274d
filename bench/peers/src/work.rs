//! What either side is asked to do, and what it answers: one task is one process, which knows nothing at its start.

use std::ops::Range;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::Failure;
use crate::content::{Content, is_record};
use crate::process::peak_resident_bytes;

/// Items of a page whose latency is measured.
pub const PAGE_ITEMS: u64 = 1_000;
/// Items of the newest page.
pub const NEWEST_ITEMS: u64 = 100;
/// Pages, one after the other, of which the median latency is taken.
pub const PAGES: u64 = 50;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// All records into one list, until the last is durable
    Write,
    /// All records of it
    Read,
    /// The first record from the middle, by a client that has no connection yet
    Seek,
    /// The newest page, by a client that has no connection yet
    Newest,
    /// Pages one after the other, from the middle
    Pages,
}

/// One task.
#[derive(Args, Clone)]
pub struct Work {
    #[arg(value_enum)]
    pub task: Task,
    /// Where the S3 server (klstore) or the peer's server listens
    #[arg(long)]
    pub endpoint: String,
    #[arg(long)]
    pub records: u64,
    /// Bytes of a record
    #[arg(long)]
    pub bytes: usize,
    #[arg(long, value_enum)]
    pub content: Content,
    /// Records of one call
    #[arg(long)]
    pub call: u64,
}

impl Work {
    /// The numbers of the records of each call.
    pub fn calls(&self) -> impl Iterator<Item = Range<u64>> {
        let (records, call) = (self.records, self.call.max(1));
        (0..records.div_ceil(call)).map(move |number| number * call..records.min((number + 1) * call))
    }
}

/// What came of a task.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Outcome {
    /// How long all of it took; of pages, how long one took at the median.
    pub seconds: f64,
    /// The most memory that the process had resident.
    pub peak_bytes: u64,
}

impl Outcome {
    /// Of a task that took so long, in this process.
    pub fn of(elapsed: Duration) -> Result<Self, Failure> {
        Ok(Self { seconds: elapsed.as_secs_f64(), peak_bytes: peak_resident_bytes(std::process::id())? })
    }

    /// Of something that was done several times.
    pub fn median(mut times: Vec<Duration>) -> Result<Self, Failure> {
        times.sort_unstable();
        Self::of(times.get(times.len() / 2).copied().ok_or("nothing was measured")?)
    }
}

/// For [`spawn`].
pub fn print(outcome: Outcome) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// Does the task in a process of its own; `side` is its subcommand.
pub async fn spawn(side: &str, work: &Work) -> Result<Outcome, Failure> {
    let value = |value: &dyn ValueEnumName| value.name();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(side).arg(value(&work.task)).arg("--endpoint").arg(&work.endpoint);
    command.arg("--records").arg(work.records.to_string()).arg("--bytes").arg(work.bytes.to_string());
    command.arg("--content").arg(value(&work.content)).arg("--call").arg(work.call.to_string());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        return Err(format!("{side} {}: {}", value(&work.task), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

trait ValueEnumName {
    fn name(&self) -> String;
}

impl<V: ValueEnum> ValueEnumName for V {
    fn name(&self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Checks that records come in their order and whole.
pub struct Check {
    next: u64,
    bytes: usize,
}

impl Check {
    pub fn from(first: u64, work: &Work) -> Self {
        Self { next: first, bytes: work.bytes }
    }

    pub fn record(&mut self, value: &[u8]) -> Result<(), Failure> {
        if !is_record(value, self.next) || value.len() != self.bytes {
            return Err(format!("another record than number {} of {} bytes was read", self.next, self.bytes).into());
        }
        self.next += 1;
        Ok(())
    }

    /// That these were all up to, and without, `end`.
    pub fn ended(&self, end: u64) -> Result<(), Failure> {
        if self.next == end { Ok(()) } else { Err(format!("records end at {}, not at {end}", self.next).into()) }
    }
}

/// Times some steps, one by one.
pub struct Laps {
    began: Instant,
    pub times: Vec<Duration>,
}

impl Laps {
    pub fn start() -> Self {
        Self { began: Instant::now(), times: Vec::new() }
    }

    pub fn lap(&mut self) {
        self.times.push(self.began.elapsed());
        self.began = Instant::now();
    }
}
