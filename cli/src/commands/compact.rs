//! `klstore compact`: merges the small commits of lists now.

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::failure::Failure;
use crate::lists::Lists;
use crate::output::{Output, plural};
use crate::settings::StoreArguments;
use crate::store;

/// Merge the small commits of a list, or of all lists of a keyspace, now
///
/// Writers do so by themselves in the course of appending, and for lists that have been idle for ten minutes. Before a
/// list is left alone for long, or read as a whole many times, it makes reading cheaper. Beside a writer it is safe,
/// and costs that one two requests. Where one list fails, the others go on.
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
    let mut lists = Lists::new(&reader, keyspace, key.as_deref(), output, ProgressBar::hidden());
    let mut compacted = 0u64;
    let json = |lists: u64, compacted: u64| {
        let collected = writer.statistics().collected_count;
        json!({ "keyspace": keyspace, "lists": lists, "compacted": compacted, "collected_objects": collected })
    };
    let compact = async |key: &str| writer.compact(keyspace, key).await.map_err(Failure::from);
    loop {
        let round = lists.round(compact).await;
        let Some(did) = round.map_err(|failure| failure.after(json(lists.done(), compacted)))? else { break };
        compacted += did.into_iter().filter(|(_, did)| *did).count() as u64;
    }
    store::tidy_up_wholly(&writer).await;
    let text = match compacted {
        0 => format!("nothing to compact in {}", plural(lists.done(), "list")),
        _ => format!(
            "compacted {compacted} of {}, which replaced {}",
            plural(lists.done(), "list"),
            plural(writer.statistics().collected_count, "object")
        ),
    };
    let json = json(lists.done(), compacted);
    lists.end(output, json, &text)
}
