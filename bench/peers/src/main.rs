//! klstore against peers: the same server, the same records, in interleaved rounds.
//!
//! `script/bench-peers` runs it. This program starts an S3 server (MinIO) anew for each side of each round, lets one side
//! work in processes of its own, and counts what the server was asked. The parts that work are the same program.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod compare;
mod content;
mod klstore;
mod minio;
#[path = "../../src/pairs.rs"]
#[allow(dead_code, reason = "script/bench alone joins tables, and times both sides itself")]
mod pairs;
mod process;
mod requests;
mod s2;
mod work;

use clap::{Parser, Subcommand};

/// Whatever ends a comparison.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Both sides in turn, and a table of the ratios
    S2(compare::Options),
    /// One task of klstore's side
    #[command(hide = true)]
    KlstoreWork(work::Work),
    /// One task of s2-lite's side
    #[command(hide = true)]
    S2Work(work::Work),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Command::S2(options) => compare::run(&options).await,
        Command::KlstoreWork(work) => work::print(klstore::run(&work).await?),
        Command::S2Work(work) => work::print(s2::client::run(&work).await?),
    }
}
