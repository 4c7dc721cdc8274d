//! `klstore verify`: reads everything and says whether it is sound.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use klstore_format::plan::{VerifyProgress, VerifyReport};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::keys::keys_of;
use crate::output::{Output, bytes_text, count_text, plural};
use crate::settings::StoreArguments;
use crate::store;

/// Orphans and damages of one list that are shown as text; all are in the JSON.
const SHOWN: usize = 20;
const REFRESH: Duration = Duration::from_millis(200);

/// Check every object of a list, or of all lists of a keyspace
///
/// Reads everything: checksums, offsets, order, nonces, what index, table and handover ledger say of the data, totals,
/// and what nothing refers to. It changes nothing and may run beside writers; of a list that is compacted meanwhile it
/// starts over. It costs a GET for each object, and the traffic of all bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0: everything is sound. 7: something is damaged; stdout says which objects, what
is wrong with them and which lists they belong to. Orphans, objects that nothing refers to,
are no damage: `klstore gc` frees them.

Examples:
  klstore verify flights N14228
  klstore verify flights --json | jq '.damages[].object'")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; all lists of the keyspace if not given
    key: Option<String>,
}

/// Sums over all lists.
#[derive(Default)]
struct Sums {
    lists: u64,
    damaged_lists: u64,
    objects: u64,
    read_bytes: u64,
    items: u64,
    value_bytes: u64,
    damages: u64,
    orphans: u64,
    orphan_bytes: u64,
    in_preparation: u64,
    stubs: u64,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key } = arguments;
    let reader = store::reader(store).await?;
    let bar = progress_bar();
    let mut sums = Sums::default();
    let (mut damages, mut orphans) = (Vec::new(), Vec::new());
    let mut keys = keys_of(&reader, keyspace, key.as_deref());
    loop {
        let some = keys.some().await?;
        if some.is_empty() {
            break;
        }
        let progress: Vec<Arc<VerifyProgress>> = some.iter().map(|_| Arc::default()).collect();
        let verifying =
            some.iter().zip(&progress).map(|(key, progress)| reader.verify(keyspace, key, progress.clone()));
        let reports = watched(try_join_all(verifying), &bar, &progress, &sums).await?;
        for (key, report) in some.iter().zip(reports) {
            sums.add(&report);
            if output.json {
                damages.extend(report.damages.iter().map(|damage| of_list(key, damage)));
                orphans.extend(report.orphans.iter().map(|orphan| of_list(key, orphan)));
            } else {
                bar.suspend(|| show(key, &report, output)).map_err(Failure::output)?;
            }
        }
    }
    bar.finish_and_clear();
    let verdict = sums.verdict();
    if output.json {
        let mut answer = sums.json(keyspace);
        answer["damages"] = damages.into();
        answer["orphans"] = orphans.into();
        output.answer(&answer, "")?;
    } else {
        output.text(&verdict)?;
    }
    match sums.damages {
        0 => Ok(()),
        _ => Err(Failure::new(Kind::Corrupt, verdict)
            .advice("keep the objects as they are and report them; lists that are not named are not affected")),
    }
}

/// Waits for verifications and shows how far they are.
async fn watched<T>(
    verifying: impl Future<Output = T>,
    bar: &ProgressBar,
    progress: &[Arc<VerifyProgress>],
    sums: &Sums,
) -> T {
    let mut verifying = std::pin::pin!(verifying);
    let mut refresh = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            reports = &mut verifying => return reports,
            _ = refresh.tick() => {
                let sum = |of: fn(&VerifyProgress) -> u64| progress.iter().map(|one| of(one)).sum::<u64>();
                bar.set_message(format!(
                    "{} checked, {} of {} items in the current ones, {} read",
                    plural(sums.lists, "list"),
                    count_text(sum(VerifyProgress::items)),
                    count_text(sum(VerifyProgress::expected_items)),
                    bytes_text(sums.read_bytes + sum(VerifyProgress::bytes)),
                ));
            }
        }
    }
}

fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// A damage or orphan with the key of its list.
fn of_list(key: &str, found: &impl serde::Serialize) -> Value {
    let mut object = json!({ "key": key });
    if let (Some(object), Ok(Value::Object(fields))) = (object.as_object_mut(), serde_json::to_value(found)) {
        object.extend(fields);
    }
    object
}

/// What is to be said of one list; nothing of a sound one without orphans.
fn show(key: &str, report: &VerifyReport, output: &Output) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = |parts: &[&[u8]]| {
        parts.iter().try_for_each(|part| out.write_all(part))?;
        out.write_all(b"\n")
    };
    let key = output.shown(key.as_bytes());
    if report.damage_count > 0 {
        line(&[b"damaged: ", &key])?;
        for damage in report.damages.iter().take(SHOWN) {
            line(&[b"  ", damage.to_string().as_bytes()])?;
        }
        let more = report.damage_count.saturating_sub(SHOWN as u64);
        if more > 0 {
            line(&[format!("  and {} more: --json shows them", count_text(more)).as_bytes()])?;
        }
    }
    if report.orphan_count > 0 {
        let orphans = plural(report.orphan_count, "orphan");
        line(&[&key, format!(": {orphans} ({})", bytes_text(report.orphan_bytes)).as_bytes()])?;
        for orphan in report.orphans.iter().take(SHOWN) {
            line(&[b"  orphan: ", orphan.object.as_bytes()])?;
        }
    }
    out.flush()
}

impl Sums {
    fn add(&mut self, report: &VerifyReport) {
        self.lists += 1;
        self.damaged_lists += u64::from(!report.is_sound());
        self.objects += report.commits + report.segments + report.index_pages;
        self.read_bytes += report.read_bytes;
        self.items += report.items;
        self.value_bytes += report.value_bytes;
        self.damages += report.damage_count;
        self.orphans += report.orphan_count;
        self.orphan_bytes += report.orphan_bytes;
        self.in_preparation += report.in_preparation;
        self.stubs += report.stubs;
    }

    fn verdict(&self) -> String {
        let read = format!(
            "{} ({}) in {}",
            plural(self.items, "item"),
            bytes_text(self.value_bytes),
            plural(self.objects, "object")
        );
        let verdict = match self.damages {
            0 => format!("sound: {}, {read}", plural(self.lists, "list")),
            _ => format!(
                "damaged: {} of {}, {}; {read} are readable",
                count_text(self.damaged_lists),
                plural(self.lists, "list"),
                plural(self.damages, "damage"),
            ),
        };
        match self.orphans {
            0 => verdict,
            _ => format!(
                "{verdict}; {} ({}) can be freed with `klstore gc`",
                plural(self.orphans, "orphan"),
                bytes_text(self.orphan_bytes)
            ),
        }
    }

    fn json(&self, keyspace: &str) -> Value {
        json!({
            "keyspace": keyspace,
            "sound": self.damages == 0,
            "lists": self.lists,
            "damaged_lists": self.damaged_lists,
            "objects": self.objects,
            "read_bytes": self.read_bytes,
            "items": self.items,
            "value_bytes": self.value_bytes,
            "damage_count": self.damages,
            "orphan_count": self.orphans,
            "orphan_bytes": self.orphan_bytes,
            "in_preparation": self.in_preparation,
            "stubs": self.stubs,
        })
    }
}
