//! The commands, one file each.

pub mod append;
pub mod bench;
pub mod compact;
pub mod completions;
pub mod config;
pub mod copy;
pub mod cost;
pub mod demo;
pub mod export;
pub mod gc;
pub mod key;
pub mod keyspace;
pub mod page;
pub mod probe;
pub mod read;
pub mod s3;
pub mod stat;
pub mod trim;
pub mod verify;

use crate::arguments::{Cli, Command};
use crate::failure::Failure;
use crate::output::Output;

/// Does what the command line says.
///
/// # Errors
/// Why it could not.
pub async fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let store = &cli.store;
    match cli.command {
        Command::Demo(arguments) => demo::run(arguments, output).await,
        Command::S3(arguments) => s3::run(arguments, store.bucket.as_deref(), output).await,
        Command::Config(command) => config::run(command, store, output),
        Command::Keyspace(command) => keyspace::run(command, store, output).await,
        Command::Key(command) => key::run(command, store, output).await,
        Command::Stat(arguments) => stat::run(&arguments, store, output).await,
        Command::Trim(arguments) => trim::run(&arguments, store, output).await,
        Command::Append(arguments) => append::run(arguments, store, output).await,
        Command::Page(arguments) => page::run(&arguments, store).await,
        Command::Read(arguments) => read::run(arguments, store, output).await,
        Command::Export(arguments) => export::run(arguments, store, output).await,
        Command::Copy(arguments) => copy::run(&arguments, store, output).await,
        Command::Verify(arguments) => verify::run(&arguments, store, output).await,
        Command::Compact(arguments) => compact::run(&arguments, store, output).await,
        Command::Gc(arguments) => gc::run(&arguments, store, output).await,
        Command::Probe(arguments) => probe::run(&arguments, store, output).await,
        Command::Cost(arguments) => cost::run(&arguments, store, output).await,
        Command::Bench(arguments) => bench::run(&arguments, store, output).await,
        Command::Completions(arguments) => completions::run(&arguments, output),
    }
}
