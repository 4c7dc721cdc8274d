//! `klstore stat`: what is known of one list.

use clap::Args;
use klstore_format::KeyMetadata;
use klstore_reader::StoreReader;
use serde_json::json;

use crate::failure::Failure;
use crate::keys::no_key;
use crate::output::{Output, aligned, bytes_text, count_text, time_text};
use crate::settings::StoreArguments;
use crate::store;

/// Show what is known of one list: offsets, nonces, items, bytes, times
///
/// Takes two requests, whatever the list's size.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list
    key: String,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key } = arguments;
    let reader = store::reader(store).await?;
    let Some(known) = reader.read_key_metadata(keyspace, key).await? else {
        return Err(no_key(keyspace, key));
    };
    let json = json!({
        "keyspace": known.keyspace,
        "key": known.key,
        "first_offset": known.first_offset,
        "next_offset": known.next_offset,
        "next_nonce": known.next_nonce.to_string(),
        "item_count": known.item_count,
        "value_bytes": known.value_bytes,
        "min_timestamp": known.min_timestamp,
        "max_timestamp": known.max_timestamp,
    });
    output.answer(&json, &text(&known, output))
}

fn text(known: &KeyMetadata, output: &Output) -> String {
    let name = |name: &str| String::from_utf8_lossy(&output.shown(name.as_bytes())).into_owned();
    let time = |timestamp: Option<i64>| timestamp.map_or_else(|| "-".to_owned(), time_text);
    aligned(&[
        ("keyspace", name(&known.keyspace)),
        ("key", name(&known.key)),
        ("items", count_text(known.item_count)),
        ("values", format!("{} ({} bytes)", bytes_text(known.value_bytes), count_text(known.value_bytes))),
        ("first offset", known.first_offset.to_string()),
        ("next offset", known.next_offset.to_string()),
        ("next nonce", known.next_nonce.to_string()),
        ("earliest", time(known.min_timestamp)),
        ("latest", time(known.max_timestamp)),
    ])
}
