//! `klstore trim`: take the oldest items of a list away.

use clap::Args;
use indicatif::ProgressBar;
use klstore_format::plan::Retention;
use klstore_writer::{TrimTo, Trimmed};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::input::parse_timestamp;
use crate::lists::Lists;
use crate::output::{Output, plural};
use crate::settings::StoreArguments;
use crate::store;

/// Take the oldest items of a list away
///
/// Reads that begin from now on no longer see them; a continuation from before may, until their space is freed. Offsets
/// and nonces of the list go on where they were. Trimming again does no harm.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore trim sensors kitchen --before-offset 1000000
  klstore trim sensors --retention --config klstore.ini")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; with --retention all lists of the keyspace if not given
    #[arg(required_unless_present = "retention")]
    key: Option<String>,
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
    /// What the configuration's retention does not keep goes: for lists that no writer appends to any more
    #[arg(long)]
    retention: bool,
}

impl Before {
    /// `None`: what retention says.
    fn to(&self) -> Option<TrimTo> {
        self.before_offset.map(TrimTo::Offset).or(self.before_timestamp.map(TrimTo::Timestamp))
    }
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, before } = arguments;
    let config = store::config(store).await?;
    if before.retention && Retention::from(&config).is_unlimited() {
        return Err(Failure::new(Kind::Usage, "no retention is configured").advice(
            "set retention_max_age_millis, retention_max_items or retention_max_bytes in [s3] of the file that --config names",
        ));
    }
    let reader = store::reader_of(config.clone(), store).await?;
    let writer = store::writer_of(config, store).await?;
    let mut lists = Lists::new(&reader, keyspace, key.as_deref(), output, ProgressBar::hidden());
    let trim = async |key: &str| match before.to() {
        Some(to) => writer.trim(keyspace, key, to).await.map_err(Failure::from),
        None => writer.apply_retention(keyspace, key).await.map_err(Failure::from),
    };
    let (mut trimmed_count, mut trimmed_lists, mut only) = (0, 0u64, None);
    while let Some(done) = lists.round(trim).await? {
        for (_, trimmed) in done {
            trimmed_count += trimmed.trimmed_count;
            trimmed_lists += u64::from(trimmed.trimmed_count > 0);
            only = Some(trimmed);
        }
    }
    // Frees the space.
    store::tidy_up_wholly(&writer).await;
    if let (Some(key), Some(trimmed)) = (key, only) {
        let (json, text) = answer(output, keyspace, key, &trimmed, "trimmed");
        return output.answer(&json, &text);
    }
    let done = lists.done();
    let text = format!("trimmed {} of {trimmed_lists} of {}", plural(trimmed_count, "item"), plural(done, "list"));
    let json = json!({ "keyspace": keyspace, "lists": done, "trimmed_lists": trimmed_lists, "trimmed": trimmed_count });
    lists.end(output, json, &text)
}

/// What went and where the list begins now.
pub fn answer(output: &Output, keyspace: &str, key: &str, trimmed: &Trimmed, done: &str) -> (Value, String) {
    let Trimmed { start, trimmed_count } = *trimmed;
    let json = json!({ "keyspace": keyspace, "key": key, "first_offset": start, "trimmed": trimmed_count });
    let name = String::from_utf8_lossy(&output.shown(format!("{keyspace}/{key}").as_bytes())).into_owned();
    let items = plural(trimmed_count, "item");
    (json, format!("{done} {items} of {name}, which begins at offset {start}"))
}
