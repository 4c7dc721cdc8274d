//! klstore against the least that its work could take: the same server, the same bytes, in interleaved pairs.
//!
//! `script/bench` runs it. A ratio is klstore's speed through that of what it is compared with: 1.0 is the limit. The
//! server runs in this process, on threads of its own, and stores in memory, so that both sides are charged the same.
//! What is `far` goes through a proxy that is as late as S3.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod appending;
mod coding;
mod first_release;
mod flights;
mod latency;
mod pairs;
mod scanning;
mod wire;

use std::num::NonZero;
use std::path::PathBuf;

use clap::Parser;
use tokio::runtime::{Handle, Runtime};

use crate::pairs::Row;
use crate::wire::Wire;

/// Whatever ends a benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    /// Only the benchmarks whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Write the rows as JSON, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Interleaved pairs of each benchmark
    #[arg(long, default_value = "15")]
    pairs: NonZero<usize>,
    /// Run nothing: make one table of the rows in these files
    #[arg(long, num_args = 1..)]
    join: Vec<PathBuf>,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let rows = if arguments.join.is_empty() {
        let server_threads = Runtime::new()?;
        Runtime::new()?.block_on(measure(&arguments, server_threads.handle()))?
    } else {
        read(&arguments.join)?
    };
    if arguments.markdown {
        pairs::print_markdown(&rows)
    } else {
        pairs::print(&rows)
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments, server_threads: &Handle) -> Result<Vec<Row>, Failure> {
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let (values, pairs) = (flights::values()?, arguments.pairs.get());
    let wire = Wire::start(server_threads).await?;
    let mut rows: Vec<Row> = Vec::new();
    // Rows are told as they come: all together take half an hour.
    let mut note = |row: Row| {
        eprintln!("{}: {:.2} ({:.2} to {:.2})", row.name, row.ratio, row.p10, row.p90);
        rows.push(row);
    };
    for case in coding::cases().filter(|case| wanted(&case.name())) {
        note(case.run(&values, pairs)?);
    }
    for case in appending::cases().iter().filter(|case| wanted(&case.name())) {
        note(case.run(&wire, &values, pairs).await?);
    }
    if wanted(appending::TAIL) {
        note(appending::tail(&wire, &values, pairs).await?);
    }
    for case in scanning::CASES.iter().filter(|case| wanted(&case.name())) {
        note(case.run(&wire, &values, pairs).await?);
    }
    if wanted(first_release::NAME) {
        first_release::run(&wire, &values, pairs).await?.into_iter().for_each(&mut note);
    }
    wire.stop().await?;
    match &arguments.only {
        Some(only) if rows.is_empty() => Err(format!("no benchmark's name has `{only}` in it").into()),
        _ => Ok(rows),
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for file in files {
        let more: Vec<Row> = serde_json::from_slice(&std::fs::read(file)?)
            .map_err(|error| format!("{}: {error}: --join takes what --json wrote", file.display()))?;
        rows.extend(more);
    }
    Ok(rows)
}
