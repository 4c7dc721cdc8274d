//! `klstore trim`: take the oldest items of a list away.

use clap::Args;
use klstore_reader::StoreReader;
use klstore_writer::{TrimTo, Trimmed};
use serde_json::json;

use crate::failure::Failure;
use crate::input::parse_timestamp;
use crate::keys::no_key;
use crate::output::{Output, count_text};
use crate::settings::StoreArguments;
use crate::store;

/// Take the oldest items of a list away
///
/// Reads that begin from now on no longer see them; a continuation from before may, until their space is freed. Offsets
/// and nonces of the list go on where they were. Trimming again does no harm.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list
    key: String,
    #[command(flatten)]
    before: Before,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Before {
    /// Items below this offset go; beyond the end, all
    #[arg(long, value_name = "N")]
    before_offset: Option<u64>,
    /// Items before the first of this time or later go; all where there is none
    #[arg(
        long, value_name = "MS|RFC 3339", allow_negative_numbers = true,
        value_parser = |text: &str| parse_timestamp(text).map_err(|problem| problem.to_string())
    )]
    before_timestamp: Option<i64>,
}

impl Before {
    fn to(&self) -> TrimTo {
        match (self.before_offset, self.before_timestamp) {
            (Some(offset), _) => TrimTo::Offset(offset),
            (None, Some(timestamp)) => TrimTo::Timestamp(timestamp),
            // The command line has one of them; to trim nothing would be safe.
            (None, None) => TrimTo::Offset(0),
        }
    }
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, before } = arguments;
    // A name typed wrong is not a list without items.
    let known = store::reader(store).await?.read_key_metadata(keyspace, key).await?;
    known.ok_or_else(|| no_key(keyspace, key))?;
    let writer = store::writer(store).await?;
    let trimmed = writer.trim(keyspace, key, before.to()).await?;
    let answered = answer(output, keyspace, key, &trimmed, "trimmed");
    // Frees the space.
    writer.close().await?;
    answered
}

/// Says what went and where the list begins now.
pub fn answer(output: &Output, keyspace: &str, key: &str, trimmed: &Trimmed, done: &str) -> Result<(), Failure> {
    let Trimmed { start, trimmed_count } = *trimmed;
    let json = json!({ "keyspace": keyspace, "key": key, "first_offset": start, "trimmed": trimmed_count });
    let items = if trimmed_count == 1 { "item" } else { "items" };
    let name = String::from_utf8_lossy(&output.shown(format!("{keyspace}/{key}").as_bytes())).into_owned();
    let count = count_text(trimmed_count);
    output.answer(&json, &format!("{done} {count} {items} of {name}, which begins at offset {start}"))
}
