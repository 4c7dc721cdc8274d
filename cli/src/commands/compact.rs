//! `klstore compact`: merges the small commits of lists now.

use clap::Args;
use futures::future::try_join_all;
use serde_json::json;

use crate::failure::Failure;
use crate::keys::keys_of;
use crate::output::{Output, plural};
use crate::settings::StoreArguments;
use crate::store;

/// Merge the small commits of a list, or of all lists of a keyspace, now
///
/// Writers do so by themselves in the course of appending, and for lists that have been idle for ten minutes. Before a
/// list is left alone for long, or read as a whole many times, it makes reading cheaper. Beside a writer it is safe,
/// and costs that one two requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore compact flights N14228
  klstore compact flights && klstore gc flights")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; all lists of the keyspace if not given
    key: Option<String>,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key } = arguments;
    let reader = store::reader(store).await?;
    let writer = store::writer(store).await?;
    let (mut lists, mut compacted) = (0, 0u64);
    let mut keys = keys_of(&reader, keyspace, key.as_deref());
    loop {
        let some = keys.some().await?;
        if some.is_empty() {
            break;
        }
        let done = json!({ "keyspace": keyspace, "lists": lists, "compacted": compacted });
        let did = try_join_all(some.iter().map(|key| writer.compact(keyspace, key))).await;
        let did = did.map_err(|error| Failure::from(error).after(done))?;
        lists += did.len() as u64;
        compacted += did.into_iter().filter(|did| *did).count() as u64;
    }
    writer.close().await?;
    let collected = writer.statistics().collected_count;
    let json = json!({
        "keyspace": keyspace, "lists": lists, "compacted": compacted, "collected_objects": collected,
    });
    let text = match compacted {
        0 => format!("nothing to compact in {}", plural(lists, "list")),
        _ => format!(
            "compacted {compacted} of {}, which replaced {}",
            plural(lists, "list"),
            plural(collected, "object")
        ),
    };
    output.answer(&json, &text)
}
