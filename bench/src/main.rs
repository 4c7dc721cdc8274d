//! klstore against raw requests over the wire: the same server, the same bytes, in interleaved pairs.
//!
//! `script/bench` runs it. A ratio is klstore's throughput through that of the raw requests: 1.0 is the limit. The
//! server runs in this process, on threads of its own, and stores in memory, so that both sides are charged the same.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod appending;
mod flights;
mod pairs;
mod scanning;
mod wire;

use std::path::PathBuf;

use clap::Parser;

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
    #[arg(long, default_value_t = 15)]
    pairs: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let values = flights::values()?;
    let wire = Wire::start().await?;
    let mut rows: Vec<Row> = Vec::new();
    for keys in [1, 64] {
        for payload_only in [false, true] {
            let name = appending::name(keys, payload_only);
            if wanted(&name) {
                rows.push(appending::run(&wire, &values, keys, payload_only, arguments.pairs, name).await?);
            }
        }
    }
    for case in scanning::CASES {
        let name = scanning::name(case);
        if wanted(&name) {
            rows.push(scanning::run(&wire, &values, case, arguments.pairs, name).await?);
        }
    }
    pairs::print(&rows);
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&pairs::json(&rows))?)?;
    }
    wire.stop().await
}
