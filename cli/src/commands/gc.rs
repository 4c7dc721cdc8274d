//! `klstore gc`: frees what crashes have left.

use clap::Args;
use futures::future::try_join_all;
use klstore_writer::SweepReport;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::keys::keys_of;
use crate::output::{Output, bytes_text, plural};
use crate::settings::StoreArguments;
use crate::store;

/// US dollars for a gigabyte (10^9 bytes) and month in S3 Standard, us-east-1, the first 50 TB, as of 2025.
const DOLLARS_PER_GIGABYTE_MONTH: f64 = 0.023;

/// Free what nothing refers to, of a list or of all lists of a keyspace
///
/// Writers free what they replace; what is left after crashes and lost requests, this finds: commits, segments and
/// index pages. It is safe at any time, beside writers, readers and other sweeps. It does not compact: what a trim
/// has cut off is freed once the list is compacted.
#[derive(Debug, Args)]
#[command(after_help = "\
Commits at which one writer took over from another are not deleted but emptied: their
names must stay taken. The money is that of S3 Standard in us-east-1, USD 0.023 a GB and
month (2025).

Examples:
  klstore gc flights --dry-run
  klstore gc flights N14228 --json")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; all lists of the keyspace if not given
    key: Option<String>,
    /// Only say what would be freed
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, dry_run } = arguments;
    let reader = store::reader(store).await?;
    // Only what changes something needs to ask whether it may.
    let writer = if *dry_run { None } else { Some(store::writer(store).await?) };
    let (mut lists, mut sum) = (0, SweepReport::default());
    let mut keys = keys_of(&reader, keyspace, key.as_deref());
    loop {
        let some = keys.some().await?;
        if some.is_empty() {
            break;
        }
        let sweeping = some.iter().map(async |key| match &writer {
            None => reader.find_garbage(keyspace, key).await.map_err(Failure::from),
            Some(writer) => writer.sweep(keyspace, key).await.map_err(Failure::from),
        });
        let swept = try_join_all(sweeping).await;
        for one in swept.map_err(|failure| failure.after(json(keyspace, lists, &sum, *dry_run)))? {
            lists += 1;
            sum.stubbed += one.stubbed;
            sum.deleted += one.deleted;
            sum.freed_bytes += one.freed_bytes;
            sum.unreadable.extend(one.unreadable);
        }
    }
    output.answer(&json(keyspace, lists, &sum, *dry_run), &text(lists, &sum, *dry_run))
}

fn dollars_per_month(bytes: u64) -> f64 {
    bytes as f64 / 1e9 * DOLLARS_PER_GIGABYTE_MONTH
}

fn json(keyspace: &str, lists: u64, sum: &SweepReport, dry_run: bool) -> Value {
    json!({
        "keyspace": keyspace,
        "dry_run": dry_run,
        "lists": lists,
        "freed_objects": sum.stubbed + sum.deleted,
        "emptied_objects": sum.stubbed,
        "freed_bytes": sum.freed_bytes,
        "saved_dollars_per_month": dollars_per_month(sum.freed_bytes),
        "unreadable": sum.unreadable,
    })
}

fn text(lists: u64, sum: &SweepReport, dry_run: bool) -> String {
    let lists = plural(lists, "list");
    let objects = sum.stubbed + sum.deleted;
    let mut text = match objects {
        0 => format!("nothing to free in {lists}"),
        _ => format!(
            "{} {} of {lists}: {}, USD {:.4} a month",
            if dry_run { "would free" } else { "freed" },
            plural(objects, "object"),
            bytes_text(sum.freed_bytes),
            dollars_per_month(sum.freed_bytes),
        ),
    };
    for object in &sum.unreadable {
        text += &format!("\nleft as it is, as it cannot be read: {object}");
    }
    text
}
