//! What klstore takes as lists, keys, readers and followers become more: requests, memory and time as functions of size.
//!
//! `script/scale` runs it and draws the results. A server in memory, as late as S3, runs in this process; whatever is
//! measured is a client in a process of its own, so that its peak memory is its own.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod client;
mod followers;
mod keys;
mod list;
mod readers;
mod results;
mod store;
mod task;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use klstore_workloads::Failure;

use crate::results::Results;
use crate::task::Task;

#[derive(Parser)]
struct Arguments {
    /// Only the series whose name contains this: list, keys, readers, followers
    #[arg(long)]
    only: Option<String>,
    /// Write the results as JSON, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fewer sizes, smaller ones, and shorter runs
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// One client, as this program starts it
    #[command(hide = true)]
    Client { task: String },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if let Some(Command::Client { task }) = &arguments.command {
        let task: Task = serde_json::from_str(task)?;
        println!("{}", client::run(task).await?);
        return Ok(());
    }
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut results = Results::default();
    if wanted("list") {
        list::run(arguments.quick, &mut results).await?;
    }
    if wanted("keys") {
        keys::run(arguments.quick, &mut results).await?;
    }
    if wanted("readers") {
        readers::run(arguments.quick, &mut results).await?;
    }
    if wanted("followers") {
        followers::run(arguments.quick, &mut results).await?;
    }
    if let Some(path) = &arguments.json {
        results.write(path)?;
    }
    Ok(())
}
