//! `klstore verify`: reads everything and says whether it is sound.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use klstore_format::plan::{VerifyProgress, VerifyReport};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::lists::Lists;
use crate::output::{Output, bytes_text, count_text, plural};
use crate::settings::StoreArguments;
use crate::{progress, store};

/// Orphans and damages of one list that are shown as text; the JSON has more.
const SHOWN: usize = 20;
/// Damages, and orphans, of all lists that are named in JSON; more are only counted.
const MAX_NAMED: usize = 10_000;
const REFRESH: Duration = Duration::from_millis(200);

/// Check every object of a list, or of all lists of a keyspace
///
/// Reads everything: checksums, offsets, order, nonces, what index, table and handover ledger say of the data, totals,
/// and what nothing refers to. It changes nothing and may run beside writers; of a list that is compacted meanwhile it
/// starts over. It costs a GET for each object, and the traffic of all bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0: everything is sound. 7: something is damaged; stdout says which objects, what
is wrong with them and which lists they belong to; the JSON names up to 1,000 of a list and
10,000 in all. Lists that cannot be checked do not end it: they are named, and set the exit
code if nothing is damaged. Orphans, objects that nothing refers to, are no damage: `klstore
gc` frees them. Objects with names that klstore does not give are counted as foreign, and
stay.

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
    foreign: u64,
    in_preparation: u64,
    stubs: u64,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key } = arguments;
    let reader = store::reader(store).await?;
    let bar = progress::bar(None, "{spinner} {msg}  {elapsed}");
    let mut found = Found::default();
    let mut lists = Lists::new(&reader, keyspace, key.as_deref(), output, bar.clone());
    // Of the lists of a round.
    let progress = RefCell::new(Vec::new());
    let verify = async |key: &str| {
        let one: Arc<VerifyProgress> = Arc::default();
        progress.borrow_mut().push(one.clone());
        Ok(reader.verify(keyspace, key, one).await?)
    };
    loop {
        progress.borrow_mut().clear();
        let round = watched(lists.round(verify), &bar, &progress, &found.sums).await;
        let Some(reports) = round.map_err(|failure| failure.after(found.json(keyspace, lists.failed())))? else {
            break;
        };
        for (key, report) in reports {
            found.sums.add(&report);
            match output.json {
                true => found.name(&key, &report),
                false => bar.suspend(|| show(&key, &report, output)).map_err(Failure::output)?,
            }
        }
    }
    bar.finish_and_clear();
    let verdict = found.sums.verdict(lists.failed());
    let (damages, json) = (found.sums.damages, found.json(keyspace, lists.failed()));
    let ended = lists.end(output, json, &verdict);
    match damages {
        0 => ended,
        _ => Err(Failure::new(Kind::Corrupt, verdict)
            .advice("keep the objects as they are and report them; lists that are not named are not affected")),
    }
}

/// What all lists together have shown.
#[derive(Default)]
struct Found {
    sums: Sums,
    damages: Vec<Value>,
    orphans: Vec<Value>,
}

impl Found {
    /// Keeps what the JSON is to name.
    fn name(&mut self, key: &str, report: &VerifyReport) {
        let room = |named: &Vec<Value>| MAX_NAMED - named.len();
        let damages = report.damages.iter().take(room(&self.damages)).map(|damage| of_list(key, damage));
        self.damages.extend(damages);
        let orphans = report.orphans.iter().take(room(&self.orphans)).map(|orphan| of_list(key, orphan));
        self.orphans.extend(orphans);
    }

    fn json(&self, keyspace: &str, failed: u64) -> Value {
        let mut json = self.sums.json(keyspace, failed);
        json["damages"] = json!(self.damages);
        json["orphans"] = json!(self.orphans);
        json
    }
}

/// Waits for verifications and shows how far they are.
async fn watched<T>(
    verifying: impl Future<Output = T>,
    bar: &ProgressBar,
    progress: &RefCell<Vec<Arc<VerifyProgress>>>,
    sums: &Sums,
) -> T {
    let mut verifying = std::pin::pin!(verifying);
    let mut refresh = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            reports = &mut verifying => return reports,
            _ = refresh.tick() => {
                let sum = |of: fn(&VerifyProgress) -> u64| progress.borrow().iter().map(|one| of(one)).sum::<u64>();
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
            line(&[format!("  and {} more: --json shows more", count_text(more)).as_bytes()])?;
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
        self.foreign += report.foreign_count;
        self.in_preparation += report.in_preparation;
        self.stubs += report.stubs;
    }

    fn verdict(&self, failed: u64) -> String {
        let read = format!(
            "{} ({}) in {}",
            plural(self.items, "item"),
            bytes_text(self.value_bytes),
            plural(self.objects, "object")
        );
        let mut verdict = match self.damages {
            0 => format!("sound: {}, {read}", plural(self.lists, "list")),
            _ => format!(
                "damaged: {} of {}, {}; {read} are readable",
                count_text(self.damaged_lists),
                plural(self.lists, "list"),
                plural(self.damages, "damage"),
            ),
        };
        if failed > 0 {
            verdict += &format!("; {} could not be checked", plural(failed, "list"));
        }
        if self.foreign > 0 {
            verdict += &format!("; {} with foreign names", plural(self.foreign, "object"));
        }
        if self.orphans > 0 {
            let (orphans, bytes) = (plural(self.orphans, "orphan"), bytes_text(self.orphan_bytes));
            verdict += &format!("; {orphans} ({bytes}) can be freed with `klstore gc`");
        }
        verdict
    }

    fn json(&self, keyspace: &str, failed: u64) -> Value {
        json!({
            "keyspace": keyspace,
            "sound": self.damages == 0 && failed == 0,
            "lists": self.lists,
            "damaged_lists": self.damaged_lists,
            "objects": self.objects,
            "read_bytes": self.read_bytes,
            "items": self.items,
            "value_bytes": self.value_bytes,
            "damage_count": self.damages,
            "orphan_count": self.orphans,
            "orphan_bytes": self.orphan_bytes,
            "foreign_count": self.foreign,
            "in_preparation": self.in_preparation,
            "stubs": self.stubs,
        })
    }
}
