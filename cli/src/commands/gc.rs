//! `klstore gc`: frees what crashes have left.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use klstore_writer::SweepReport;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::lists::Lists;
use crate::output::{Output, bytes_text, plural};
use crate::prices::Prices;
use crate::settings::StoreArguments;
use crate::store;

/// Objects that could not be read and are named; more are only counted.
const MAX_NAMED: usize = 1_000;

/// Free what nothing refers to, of a list or of all lists of a keyspace
///
/// Writers free what they replace; what is left after crashes and lost requests, this finds: commits, segments and
/// index pages. It is safe at any time, beside writers, readers and other sweeps. It does not compact: what a trim
/// has cut off is freed once the list is compacted. Where one list fails, the others go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Commits at which one writer took over from another are not deleted but emptied: their
names must stay taken. The money is that of S3 Standard in us-east-1, or of --price-file.

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
    /// Table of prices, as JSON; `klstore cost --print-prices` shows the form
    #[arg(long, value_name = "FILE")]
    price_file: Option<PathBuf>,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, dry_run, price_file } = arguments;
    let prices = Prices::of(price_file.as_deref())?;
    let reader = store::reader(store).await?;
    // Only what changes something needs to ask whether it may.
    let writer = if *dry_run { None } else { Some(store::writer(store).await?) };
    let mut lists = Lists::new(&reader, keyspace, key.as_deref(), output, ProgressBar::hidden());
    let mut freed = Freed::default();
    let sweep = async |key: &str| match &writer {
        None => reader.find_garbage(keyspace, key).await.map_err(Failure::from),
        Some(writer) => writer.sweep(keyspace, key).await.map_err(Failure::from),
    };
    loop {
        let round = lists.round(sweep).await;
        let Some(swept) = round.map_err(|failure| failure.after(freed.json(arguments, lists.done(), &prices)))? else {
            break;
        };
        swept.into_iter().for_each(|(_, report)| freed.add(report));
    }
    let (json, text) = (freed.json(arguments, lists.done(), &prices), freed.text(*dry_run, lists.done(), &prices));
    lists.end(output, json, &text)
}

/// What was freed of all lists.
#[derive(Default)]
struct Freed {
    sum: SweepReport,
    unreadable: u64,
}

impl Freed {
    fn add(&mut self, report: SweepReport) {
        self.unreadable += report.unreadable.len() as u64;
        self.sum.add(report);
        self.sum.unreadable.truncate(MAX_NAMED);
    }

    fn objects(&self) -> u64 {
        self.sum.stubbed + self.sum.deleted
    }

    fn money(&self, prices: &Prices) -> f64 {
        prices.storage(self.sum.freed_bytes as f64)
    }

    fn json(&self, arguments: &Arguments, lists: u64, prices: &Prices) -> Value {
        json!({
            "keyspace": arguments.keyspace,
            "dry_run": arguments.dry_run,
            "lists": lists,
            "freed_objects": self.objects(),
            "emptied_objects": self.sum.stubbed,
            "freed_bytes": self.sum.freed_bytes,
            "saved_per_month": self.money(prices),
            "currency": prices.currency,
            "unreadable_count": self.unreadable,
            "unreadable": self.sum.unreadable,
        })
    }

    fn text(&self, dry_run: bool, lists: u64, prices: &Prices) -> String {
        let lists = plural(lists, "list");
        let mut text = match self.objects() {
            0 => format!("nothing to free in {lists}"),
            objects => format!(
                "{} {} of {lists}: {}, {} {:.4} a month",
                if dry_run { "would free" } else { "freed" },
                plural(objects, "object"),
                bytes_text(self.sum.freed_bytes),
                prices.currency,
                self.money(prices),
            ),
        };
        for object in &self.sum.unreadable {
            text += &format!("\nleft as it is, as it cannot be read: {object}");
        }
        let more = self.unreadable - self.sum.unreadable.len() as u64;
        if more > 0 {
            text += &format!("\nand {} more", plural(more, "object"));
        }
        text
    }
}
