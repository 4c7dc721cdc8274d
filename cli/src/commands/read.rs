//! `klstore read`: a list from a start to its end, page by page, and on as it grows.

use std::io::{self, BufWriter, Stdout, Write};

use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_format::limits::DEFAULT_MAX_RESULTS;
use klstore_reader::{S3StoreReader, StoreReader, StoreReaderExt};

use crate::failure::{Failure, Kind};
use crate::output::{ItemJson, Output, escaped, write_json_line};
use crate::page_arguments::{Order, PageArguments};
use crate::settings::StoreArguments;
use crate::{stop, store};

/// Its NDJSON is what `klstore append` reads: {"offset", "timestamp", "nonce", "value" or "value_base64"}, one item a
/// line. A key that does not exist has no items; with --follow its first ones are waited for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore read flights N14228 --output text | head
  klstore read flights N14228 --start-timestamp 2013-03-01T00:00:00Z --limit 100
  klstore read sensors kitchen --follow
  klstore read sensors kitchen | klstore append archive kitchen --format ndjson")]
pub struct Arguments {
    #[command(flatten)]
    page: PageArguments,
    /// Items at most; all if not given
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// At the end wait for more items; Ctrl-C ends it
    #[arg(long)]
    follow: bool,
    /// How items are written; on a terminal `text` shows control characters escaped
    #[arg(long, value_enum, default_value_t = ItemFormat::Ndjson)]
    output: ItemFormat,
    /// Write the key into each line of NDJSON, for an `append` without KEY
    #[arg(long)]
    with_key: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ItemFormat {
    /// One JSON object a line
    Ndjson,
    /// The value as it is, and a line end
    Text,
    /// The value's bytes in hexadecimal, and a line end
    Hex,
}

pub async fn run(arguments: Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Arguments { page, limit, follow, output: format, with_key } = arguments;
    if output.json && format != ItemFormat::Ndjson {
        return Err(Failure::new(Kind::Usage, "--json is not possible with --output text or hex: leave one out"));
    }
    if follow && page.order == Order::Backwards {
        return Err(Failure::new(Kind::Usage, "--follow reads forwards only: leave out --order backwards"));
    }
    let reader = store::reader(store).await?;
    let key = with_key.then(|| page.key.clone());
    let mut sink = Sink { out: BufWriter::new(io::stdout()), format, key, terminal: output.terminal, left: limit };
    // From here on, so that a Ctrl-C between two items is not lost.
    let stop = stop::requested()?;
    let reading = async {
        let next_offset = read_to_end(&reader, &page, &mut sink).await?;
        match follow && !sink.is_done() {
            true => follow_from(&reader, &page, next_offset, &mut sink).await,
            false => Ok(()),
        }
    };
    tokio::select! {
        done = reading => done,
        () = stop, if follow => Ok(()),
    }
}

/// Writes the pages from the start to the end of the list; the offset after the last item, if there was any.
async fn read_to_end(
    reader: &S3StoreReader,
    page: &PageArguments,
    sink: &mut Sink,
) -> Result<Option<u64>, Failure> {
    let PageArguments { keyspace, key, order, max_size, start } = page;
    // No more items than wanted, where that is less than a page.
    let max_size = match sink.left {
        Some(0) => return Ok(None),
        Some(left) if max_size.is_none_or(|size| size > left) && left < DEFAULT_MAX_RESULTS => Some(left),
        _ => *max_size,
    };
    let (filter, continuation) = (start.filter(), start.continuation.clone());
    let pages = reader.pages(keyspace, key, (*order).into(), max_size, filter, continuation);
    let mut pages = std::pin::pin!(pages);
    let mut next_offset = None;
    while let Some(page) = pages.try_next().await? {
        tracing::info!(items = page.items.len(), stats = ?page.stats, "read a page");
        sink.write(&page.items)?;
        next_offset = page.items.last().map(|item| item.offset + 1).or(next_offset);
        if sink.is_done() {
            break;
        }
    }
    Ok(next_offset)
}

/// Writes items as they are added, without end.
async fn follow_from(
    reader: &S3StoreReader,
    page: &PageArguments,
    next_offset: Option<u64>,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let mut next = next_offset.or(page.start.start_offset).unwrap_or(0);
    while !sink.is_done() {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let filter = ItemFilter { start_offset: Some(next), ..ItemFilter::default() };
        let added = reader
            .read_page(&page.keyspace, &page.key, IterationOrder::Forwards, None, Some(filter), None)
            .await?;
        next = added.items.last().map_or(next, |item| item.offset + 1);
        sink.write(&added.items)?;
    }
    Ok(())
}

/// Where items go, and how many may still.
struct Sink {
    out: BufWriter<Stdout>,
    format: ItemFormat,
    key: Option<String>,
    terminal: bool,
    left: Option<u64>,
}

impl Sink {
    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Writes items, as many as may be, and brings them to whoever reads.
    fn write(&mut self, items: &[Item]) -> Result<(), Failure> {
        let count = self.left.map_or(items.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(items.len()));
        for item in &items[..count] {
            self.write_item(item).map_err(Failure::output)?;
        }
        self.left = self.left.map(|left| left - count as u64);
        self.out.flush().map_err(Failure::output)
    }

    fn write_item(&mut self, item: &Item) -> io::Result<()> {
        match self.format {
            ItemFormat::Ndjson => return write_json_line(&mut self.out, &ItemJson::new(item, self.key.as_deref())),
            ItemFormat::Text if self.terminal => self.out.write_all(escaped(&item.value).as_bytes())?,
            ItemFormat::Text => self.out.write_all(&item.value)?,
            ItemFormat::Hex => item.value.iter().try_for_each(|byte| write!(self.out, "{byte:02x}"))?,
        }
        self.out.write_all(b"\n")
    }
}
