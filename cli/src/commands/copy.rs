//! `klstore copy`: lists from one store to another, item by item, with their offsets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use futures::TryStreamExt;
use indicatif::ProgressBar;
use klstore_format::{Insertion, Item, ItemFilter, IterationOrder};
use klstore_reader::{S3StoreReader, StoreReader, StoreReaderExt};
use klstore_writer::{S3StoreWriter, StoreWriter, WriterError};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::lists::Lists;
use crate::output::{Output, plural};
use crate::settings::StoreArguments;
use crate::{progress, store};

/// How often the destination's end may move under the copy of one list.
const MAX_MOVES: u32 = 8;

/// Copy a list, or all lists of a keyspace, to another bucket, store or keyspace
///
/// Items keep their offsets, timestamps and nonces. A copy that was interrupted goes on where it was when it is started
/// again, after a check that the last item at the destination is the source's; what was added to the source since is
/// copied too. Nobody else may append to the lists at the destination meanwhile. Where one list fails, the others go on;
/// what failed is said at the end, and by the exit code.
#[derive(Debug, Args)]
#[command(after_help = "\
The destination is the source's store, or that of --to-config, but for what the other --to
options change. Both are accessed with the same credentials unless --to-config or
--to-profile names others. The keyspace is created at the destination if it does not exist.

A list that was trimmed begins at an offset above 0, which a copy cannot keep: such a list
is refused (use `klstore read | klstore append`, which numbers from 0), unless the
destination already has the items up to there, from a copy before the trim. The other lists
are copied all the same.

Examples:
  klstore copy flights --to-bucket backup
  klstore copy flights N14228 --to-keyspace flights-2013
  klstore copy flights --to-endpoint http://127.0.0.1:9000 --to-bucket local --to-path-style")]
pub struct Arguments {
    /// Keyspace at the source
    keyspace: String,
    /// Key of the list; all lists of the keyspace if not given
    key: Option<String>,
    #[command(flatten)]
    to: Destination,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Destination")]
struct Destination {
    /// Configuration file of the destination, instead of the source's store
    #[arg(long, value_name = "FILE")]
    to_config: Option<PathBuf>,
    /// Bucket
    #[arg(long, value_name = "BUCKET")]
    to_bucket: Option<String>,
    /// Keyspace, if it is to have another name
    #[arg(long, value_name = "KEYSPACE")]
    to_keyspace: Option<String>,
    /// URL of an S3-compatible store
    #[arg(long, value_name = "URL")]
    to_endpoint: Option<String>,
    /// What all object names begin with
    #[arg(long, value_name = "PREFIX")]
    to_prefix: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    to_region: Option<String>,
    /// Put the bucket into the URL's path
    #[arg(long)]
    to_path_style: bool,
    /// Profile of ~/.aws to take credentials from
    #[arg(long, value_name = "PROFILE")]
    to_profile: Option<String>,
}

pub async fn run(arguments: &Arguments, source: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, to } = arguments;
    let destination = to.store(source);
    let to_keyspace = to.to_keyspace.as_deref().unwrap_or(keyspace);
    let (from, mut into) = (store::config(source).await?, store::config(&destination).await?);
    let place = |config: &klstore_format::S3StoreConfig| {
        let prefix = config.object_prefix.trim_end_matches('/').to_owned();
        (config.bucket_name.clone(), config.endpoint.clone(), prefix)
    };
    if place(&from) == place(&into) && to_keyspace == keyspace {
        return Err(Failure::new(Kind::Usage, "source and destination are the same lists")
            .advice("name another --to-config, --to-bucket, --to-endpoint, --to-prefix or --to-keyspace"));
    }
    // What one store took is not refused by the other, and what the source still has is copied.
    into.max_future_skew_millis = None;
    (into.retention_max_age_millis, into.retention_max_items, into.retention_max_bytes) = (None, None, None);
    let reader = store::reader_of(from, source).await?;
    let copier = Copier {
        reader: &reader,
        keyspace,
        writer: store::writer_of(into.clone(), source).await?,
        to_reader: store::reader_of(into, source).await?,
        to_keyspace,
        copied: AtomicU64::new(0),
        bar: progress::bar(None, "{spinner} {msg}, {human_pos} items, {per_sec}  {elapsed}"),
    };
    let mut lists = Lists::new(&reader, keyspace, key.as_deref(), output, copier.bar.clone());
    lists.begin().await?;
    // Only now: the source is there.
    copier.create_keyspace().await?;
    let json = |lists: u64| json!({ "keyspace": keyspace, "to_keyspace": to_keyspace, "lists": lists, "items": copier.copied() });
    let copy = async |key: &str| copier.copy(key).await;
    loop {
        copier.bar.set_message(format!("{} copied", plural(lists.done(), "list")));
        let round = lists.round(copy).await;
        if round.map_err(|failure| failure.after(json(lists.done())))?.is_none() {
            break;
        }
    }
    store::tidy_up(&copier.writer, source).await;
    let text = format!("copied {} of {}", plural(copier.copied(), "item"), plural(lists.done(), "list"));
    let json = json(lists.done());
    lists.end(output, json, &text)
}

impl Destination {
    fn store(&self, source: &StoreArguments) -> StoreArguments {
        let mut store = match &self.to_config {
            Some(file) => StoreArguments { config: Some(file.clone()), ..StoreArguments::default() },
            None => source.clone(),
        };
        let or = |to: &Option<String>, from: Option<String>| to.clone().or(from);
        store.bucket = or(&self.to_bucket, store.bucket);
        store.endpoint = or(&self.to_endpoint, store.endpoint);
        store.object_prefix = or(&self.to_prefix, store.object_prefix);
        store.region = or(&self.to_region, store.region);
        store.path_style = self.to_path_style.then_some(true).or(store.path_style);
        store.profile = or(&self.to_profile, store.profile);
        if self.to_config.is_none() {
            // Nobody writes to a bucket without keys.
            store.anonymous = Some(false);
        }
        store
    }
}

struct Copier<'a> {
    reader: &'a S3StoreReader,
    keyspace: &'a str,
    writer: S3StoreWriter,
    to_reader: S3StoreReader,
    to_keyspace: &'a str,
    /// Items of all lists, those that failed later included.
    copied: AtomicU64,
    bar: ProgressBar,
}

impl Copier<'_> {
    fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    async fn create_keyspace(&self) -> Result<(), Failure> {
        match self.writer.create_keyspace(self.to_keyspace).await {
            Ok(_) | Err(WriterError::KeyspaceAlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies one list from where the destination ends. What an earlier copy had on its way when it was killed may
    /// arrive meanwhile: then it goes on behind that.
    async fn copy(&self, key: &str) -> Result<(), Failure> {
        for _ in 0..MAX_MOVES {
            if !self.copy_from_the_end(key).await? {
                return Ok(());
            }
        }
        Err(differs("somebody else appends at the destination"))
    }

    /// Whether the destination's end moved, so that not all was copied.
    async fn copy_from_the_end(&self, key: &str) -> Result<bool, Failure> {
        let Some(known) = self.reader.read_key_metadata(self.keyspace, key).await? else { return Ok(false) };
        let there = self.to_reader.read_key_metadata(self.to_keyspace, key).await?;
        let begin = there.map_or(0, |there| there.next_offset);
        if begin > known.next_offset {
            return Err(differs(&format!("the destination has {begin} items, the source {}", known.next_offset)));
        }
        if known.first_offset > begin {
            return Err(Failure::new(
                Kind::Failed,
                format!("the source begins at offset {}, which a copy cannot keep", known.first_offset),
            )
            .advice(format!(
                "its items up to there were trimmed; `klstore read {} {key} | klstore append ... --format ndjson` copies \
                 the others, numbered from 0",
                self.keyspace
            )));
        }
        // Where the source was trimmed up to there, nothing is left to compare.
        if let Some(last) = begin.checked_sub(1).filter(|last| *last >= known.first_offset) {
            self.check_last(key, last).await?;
        }
        self.copy_from(key, begin).await
    }

    /// Whether both have the same item at the end of the destination.
    async fn check_last(&self, key: &str, offset: u64) -> Result<(), Failure> {
        let item_at = async |reader: &S3StoreReader, keyspace: &str| {
            let filter = ItemFilter { start_offset: Some(offset), ..ItemFilter::default() };
            let page = reader.read_page(keyspace, key, IterationOrder::Forwards, Some(1), Some(filter), None).await?;
            Ok::<Option<Item>, Failure>(page.items.into_iter().next())
        };
        let source = item_at(self.reader, self.keyspace).await?;
        // One that was trimmed at the destination cannot be compared.
        match item_at(&self.to_reader, self.to_keyspace).await? {
            Some(there) if source.as_ref() != Some(&there) => {
                Err(differs(&format!("the items at offset {offset} are not the same")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the destination's end moved, so that not all was copied.
    async fn copy_from(&self, key: &str, begin: u64) -> Result<bool, Failure> {
        let filter = ItemFilter { start_offset: Some(begin), ..ItemFilter::default() };
        let pages = self.reader.pages(self.keyspace, key, IterationOrder::Forwards, None, Some(filter), None);
        let mut pages = std::pin::pin!(pages);
        let mut next = begin;
        while let Some(page) = pages.try_next().await? {
            let count = page.items.len() as u64;
            if count == 0 {
                continue;
            }
            if page.items.first().is_some_and(|item| item.offset != next) {
                return Err(differs(&format!("the source was trimmed beyond offset {next} meanwhile")));
            }
            let insertions = page.items.into_iter().map(|item| Insertion {
                value: item.value,
                nonce: item.nonce,
                timestamp: Some(item.timestamp),
                source_offset: None,
            });
            let appended = match self.writer.append_list_at(self.to_keyspace, key, next, insertions.collect()).await {
                Err(error) if matches!(error.cause(), WriterError::UnexpectedEnd { .. }) => return Ok(true),
                appended => appended?,
            };
            if appended.appended_count != count {
                return Err(differs(&format!(
                    "the destination takes other nonces than the source after offset {next}"
                )));
            }
            next += count;
            self.copied.fetch_add(count, Ordering::Relaxed);
            self.bar.inc(count);
        }
        Ok(false)
    }
}

fn differs(what: &str) -> Failure {
    Failure::new(Kind::Failed, format!("{what}: it is no copy of this list"))
        .advice("copy to another keyspace or prefix with --to-keyspace or --to-prefix")
}
