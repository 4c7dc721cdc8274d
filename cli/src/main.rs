//! The klstore command: appendable lists on S3, from a terminal.
//!
//! [`arguments`] is what users type; each command is a file of [`commands`]; [`settings`] finds the store,
//! [`input`] and [`output`] are the formats on stdin and stdout, [`failure`] is what is said and returned when
//! something goes wrong.

mod appender;
mod arguments;
mod commands;
mod failure;
mod input;
mod keys;
mod lists;
mod logging;
mod moment;
mod output;
mod page_arguments;
mod prices;
mod progress;
mod settings;
mod stop;
mod store;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use arguments::Cli;
use failure::{Failure, Kind};
use output::Output;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long background work may take to end after a command is done or has failed.
const STOP_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.general.verbose, cli.general.json);
    let output = Output::new(cli.general.json);
    let outcome = run(cli, &output);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.kind == Kind::OutputClosed => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(commands::run(cli, output));
    // A thread that waits for input must not hold up the end.
    runtime.shutdown_timeout(STOP_TIME);
    outcome
}
