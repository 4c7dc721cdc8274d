//! `klstore keyspace`: create and list keyspaces.

use clap::Subcommand;
use klstore_reader::{StoreReader, UnreadableKeyspace};
use klstore_writer::StoreWriter;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Listing, Output};
use crate::settings::StoreArguments;
use crate::store;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a keyspace; it is an error if it exists
    Create {
        /// Its name: any text of up to 255 bytes (other characters than A-Z a-z 0-9 - _ . count as three a byte)
        name: String,
    },
    /// List the keyspaces in the order of their names; of those that cannot be read it says why, and fails with code 7
    Ls,
}

pub async fn run(command: Command, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Create { name } => create(&name, store, output).await,
        Command::Ls => list(store, output).await,
    }
}

async fn create(name: &str, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let created = store::writer(store).await?.create_keyspace(name).await?;
    let json = json!({ "keyspace": created.keyspace, "created_timestamp": created.created_timestamp });
    output.answer(&json, &format!("created keyspace {name}"))
}

async fn list(store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let reader = store::reader(store).await?;
    let mut answer = Listing::begin(output, "keyspaces", None)?;
    let mut unreadable: Vec<UnreadableKeyspace> = Vec::new();
    let mut continuation = None;
    loop {
        let page = reader.list_keyspaces(None, continuation).await?;
        answer.add(page.keyspaces.iter().map(|found| found.keyspace.as_str()))?;
        unreadable.extend(page.unreadable);
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    answer.end()?;
    if unreadable.is_empty() { Ok(()) } else { Err(not_readable(&unreadable)) }
}

/// The others are listed; that some are missing must not go unnoticed.
fn not_readable(unreadable: &[UnreadableKeyspace]) -> Failure {
    let reasons: Vec<String> =
        unreadable.iter().map(|found| format!("keyspace `{}`: {}", found.keyspace, found.error)).collect();
    Failure::new(Kind::Corrupt, reasons.join("\n")).advice("all other keyspaces are listed and not affected")
}
