//! `klstore export`: a list as a file for other programs.

mod csv;
mod parquet;

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use indicatif::ProgressBar;
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{S3StoreReader, StoreReader, StoreReaderExt};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::keys::no_key;
use crate::moment::Moment;
use crate::output::{ItemJson, Output, plural, write_json_line};
use crate::settings::StoreArguments;
use crate::{progress, store};

/// Write a list to a file: Parquet, NDJSON or CSV
///
/// The file appears once it is whole; until then it is FILE.partial.
#[derive(Debug, Args)]
#[command(after_help = "\
Parquet: offset (UINT64), timestamp (TIMESTAMP in ms, UTC), nonce (decimal STRING, null where
an item has none), value (BYTE_ARRAY); Snappy; row groups of up to 131,072 items or 64 MiB.

NDJSON: as `klstore read` writes it and `klstore append` reads it.

CSV: offset,timestamp,nonce,value,value_base64, the timestamp in ms since 1970; value is
empty where the bytes are not UTF-8, and value_base64 where they are. A value that begins
with = + - @, a tab or a CR would be run by a spreadsheet: it gets a leading apostrophe.

Examples:
  klstore export flights N14228 --output N14228.parquet
  klstore export sensors kitchen --since 1d --format csv > kitchen.csv")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list
    key: String,
    /// File to write; `-` or nothing is stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write; by the file's name (*.parquet, *.ndjson, *.jsonl, *.csv) if not given, on stdout ndjson
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
    /// Begin at the first item of this time or later: a time ago (90s, 15m, 1h, 2d, 1w), RFC 3339, or milliseconds
    /// since 1970
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    since: Option<Moment>,
    /// End before the first item after this time
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Columns for analysis: DuckDB, Spark, pandas...
    Parquet,
    /// One JSON object a line
    Ndjson,
    /// For spreadsheets
    Csv,
}

pub async fn run(arguments: Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { keyspace, key, .. } = &arguments;
    let path = arguments.output.as_deref().filter(|path| path.as_os_str() != "-");
    let format = arguments.format(path)?;
    if format == ExportFormat::Parquet && path.is_none() && io::stdout().is_terminal() {
        return Err(Failure::new(Kind::Usage, "Parquet is not for a terminal").advice("name a file with --output FILE"));
    }
    let reader = store::reader(store).await?;
    let Some(known) = reader.read_key_metadata(keyspace, key).await? else { return Err(no_key(keyspace, key)) };
    let bar = progress::bar(Some(known.item_count), "{bar:30} {pos}/{len} items  {per_sec}, {eta} left");
    let items = match path {
        None => {
            let mut sink = Sink::new(format, BufWriter::new(io::stdout()), output.terminal)?;
            let items = arguments.copy(&reader, &mut sink, &bar).await?;
            sink.finish().map_err(Failure::output)?;
            items
        }
        Some(path) => {
            let partial = partial(path);
            let failed = |error| Failure::io(&format!("cannot write {}", partial.display()), error);
            let mut sink = Sink::new(format, BufWriter::new(File::create(&partial).map_err(failed)?), false)?;
            let items = arguments.copy(&reader, &mut sink, &bar).await?;
            let file = sink.finish().and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error));
            file.and_then(|file| file.sync_all()).map_err(failed)?;
            fs::rename(&partial, path).map_err(failed)?;
            items
        }
    };
    bar.finish_and_clear();
    match path {
        // Stdout holds the items.
        None => Ok(()),
        Some(path) => {
            let bytes = fs::metadata(path).map_or(0, |found| found.len());
            let json = json!({ "keyspace": keyspace, "key": key, "file": path, "items": items, "bytes": bytes });
            output.answer(&json, &format!("exported {} to {}", plural(items, "item"), path.display()))
        }
    }
}

impl Arguments {
    fn format(&self, path: Option<&Path>) -> Result<ExportFormat, Failure> {
        let extension = path.and_then(Path::extension).and_then(|name| name.to_str());
        match (self.format, extension) {
            (Some(format), _) => Ok(format),
            (None, Some("parquet")) => Ok(ExportFormat::Parquet),
            (None, Some("csv")) => Ok(ExportFormat::Csv),
            (None, Some("ndjson" | "jsonl")) => Ok(ExportFormat::Ndjson),
            (None, _) if path.is_none() => Ok(ExportFormat::Ndjson),
            (None, _) => Err(Failure::new(Kind::Usage, "the file's name does not say what to write")
                .advice("say --format parquet, ndjson or csv")),
        }
    }

    /// Takes the list's items to the sink, and counts them.
    async fn copy<W: Write + Send>(
        &self,
        reader: &S3StoreReader,
        sink: &mut Sink<W>,
        bar: &ProgressBar,
    ) -> Result<u64, Failure> {
        let now = jiff::Timestamp::now().as_millisecond();
        let [since, until] = [self.since, self.until].map(|moment| moment.map(|moment| moment.at(now)));
        let filter = since.map(|since| ItemFilter { start_timestamp: Some(since), ..ItemFilter::default() });
        let pages = reader.pages(&self.keyspace, &self.key, IterationOrder::Forwards, None, filter, None);
        let mut pages = std::pin::pin!(pages);
        let mut count = 0;
        while let Some(mut page) = pages.try_next().await? {
            let end = page.items.iter().position(|item| until.is_some_and(|until| item.timestamp > until));
            page.items.truncate(end.unwrap_or(page.items.len()));
            count += page.items.len() as u64;
            bar.inc(page.items.len() as u64);
            sink.add(page.items).map_err(Failure::output)?;
            if end.is_some() {
                break;
            }
        }
        Ok(count)
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Writes items in one of the formats.
enum Sink<W: Write + Send> {
    Ndjson(W),
    Csv { out: W, terminal: bool },
    Parquet(Box<parquet::ParquetWriter<W>>),
}

impl<W: Write + Send> Sink<W> {
    fn new(format: ExportFormat, mut out: W, terminal: bool) -> Result<Self, Failure> {
        Ok(match format {
            ExportFormat::Ndjson => Self::Ndjson(out),
            ExportFormat::Csv => {
                csv::write_header(&mut out).map_err(Failure::output)?;
                Self::Csv { out, terminal }
            }
            ExportFormat::Parquet => {
                Self::Parquet(Box::new(parquet::ParquetWriter::new(out).map_err(Failure::output)?))
            }
        })
    }

    fn add(&mut self, items: Vec<Item>) -> io::Result<()> {
        match self {
            Self::Ndjson(out) => items.iter().try_for_each(|item| write_json_line(out, &ItemJson::new(item, None))),
            Self::Csv { out, terminal } => items.iter().try_for_each(|item| csv::write_item(out, item, *terminal)),
            Self::Parquet(writer) => writer.add(items),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Ndjson(mut out) | Self::Csv { mut out, .. } => out.flush().map(|()| out),
            Self::Parquet(writer) => writer.finish(),
        }
    }
}
