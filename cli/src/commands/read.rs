//! `klstore read`: a list from a start to its end, page by page, and on as it grows.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt};
use klstore_format::limits::DEFAULT_MAX_RESULTS;
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{FollowStart, Polling, ReaderError, S3StoreReader, StoreReader, StoreReaderExt};

use crate::failure::{Failure, Kind};
use crate::moment::Moment;
use crate::output::{ItemJson, Output, escaped, write_json_line};
use crate::page_arguments::{Order, PageArguments};
use crate::settings::StoreArguments;
use crate::{stop, store};

/// A poll that finds nothing is one GET.
const POLLING: Polling = Polling { interval: Duration::from_millis(500), max_interval: Duration::from_secs(5) };
/// Items that are written at once, where so many were added.
const ITEMS_AT_ONCE: usize = 256;

/// Read a list from a start to its end, and follow it
///
/// Its NDJSON is what `klstore append` reads: {"offset", "timestamp", "nonce", "value" or "value_base64"}, one item a
/// line. A key that does not exist has no items; with --follow its first ones are waited for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore read flights N14228 --output text | head
  klstore read flights N14228 --start-timestamp 2013-03-01T00:00:00Z --limit 100
  klstore read sensors kitchen --since 1h
  klstore read sensors kitchen --since 2013-03-01T00:00:00Z --until 2013-03-02T00:00:00Z
  klstore read sensors kitchen --follow
  klstore read sensors kitchen | klstore append archive kitchen --format ndjson")]
pub struct Arguments {
    #[command(flatten)]
    page: PageArguments,
    /// Begin at the first item of this time or later: a time ago (90s, 15m, 1h, 2d, 1w), RFC 3339, or milliseconds
    /// since 1970
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true, conflicts_with_all = ["start_timestamp", "continuation"])]
    since: Option<Moment>,
    /// End before the first item after this time; with --order backwards begin there
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true, conflicts_with_all = ["start_timestamp", "continuation"])]
    until: Option<Moment>,
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
    let Arguments { mut page, since, until, limit, follow, output: format, with_key } = arguments;
    if output.json && format != ItemFormat::Ndjson {
        return Err(Failure::new(Kind::Usage, "--json is not possible with --output text or hex: leave one out"));
    }
    if follow && page.order == Order::Backwards {
        return Err(Failure::new(Kind::Usage, "--follow reads forwards only: leave out --order backwards"));
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let [since, until] = [since, until].map(|moment| moment.map(|moment| moment.at(now)));
    let reader = store::reader(store).await?;
    let key = with_key.then(|| page.key.clone());
    let end = match page.order {
        Order::Forwards => {
            page.start.start_timestamp = since.or(page.start.start_timestamp);
            until.map(End::After)
        }
        Order::Backwards => {
            page.start.start_timestamp = until.or(page.start.start_timestamp);
            match since {
                Some(since) => Some(End::Below(first_offset_since(&reader, &page, since).await?)),
                None => None,
            }
        }
    };
    let mut sink = Sink { out: BufWriter::new(io::stdout()), format, key, terminal: output.terminal, left: limit, end };
    // From here on, so that a Ctrl-C between two items is not lost. Without --follow it ends the process, as it does
    // where nobody listens.
    let listening = if follow { Some(stop::requested()?) } else { None };
    let stop = async {
        match listening {
            Some(stop) => stop.await,
            None => std::future::pending().await,
        }
    };
    let reading = async {
        // Asked first: what is added after it is either read or followed.
        let end = if follow { end_of_list(&reader, &page).await? } else { 0 };
        let last = read_to_end(&reader, &page, &mut sink).await?;
        match follow && !sink.is_done() {
            true => follow_from(&reader, &page, last, end, &mut sink).await,
            false => Ok(()),
        }
    };
    tokio::select! {
        done = reading => done,
        () = stop => Ok(()),
    }
}

/// The offset of the first item of this time or later; beyond all where there is none.
/// Items need not be in order of time: none of them shows by itself on which side it lies.
async fn first_offset_since(reader: &S3StoreReader, page: &PageArguments, since: i64) -> Result<u64, Failure> {
    let PageArguments { keyspace, key, .. } = page;
    let filter = ItemFilter { start_timestamp: Some(since), ..ItemFilter::default() };
    let found = reader.read_page(keyspace, key, IterationOrder::Forwards, Some(1), Some(filter), None).await?;
    Ok(found.items.first().map_or(u64::MAX, |item| item.offset))
}

/// The offset that the next item appended will have; 0 where the start is that of the list, and it does not matter.
async fn end_of_list(reader: &S3StoreReader, page: &PageArguments) -> Result<u64, Failure> {
    if page.start.filter().is_none() && page.start.continuation.is_none() {
        return Ok(0);
    }
    let known = reader.read_key_metadata(&page.keyspace, &page.key).await?;
    Ok(known.map_or(0, |known| known.next_offset))
}

/// Writes the pages from the start to the end of the list; gives the offset of the last item, if there was any.
async fn read_to_end(reader: &S3StoreReader, page: &PageArguments, sink: &mut Sink) -> Result<Option<u64>, Failure> {
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
    let mut last = None;
    while let Some(page) = pages.try_next().await? {
        tracing::info!(items = page.items.len(), stats = ?page.stats, "read a page");
        page.items.iter().try_for_each(|item| sink.add(item))?;
        sink.flush()?;
        last = page.items.last().map(|item| item.offset).or(last);
        if sink.is_done() {
            break;
        }
    }
    Ok(last)
}

/// Writes items as they are added, up to the limit if there is one. `last` is the last item that was read; where there
/// was none, the start lies beyond `end`.
async fn follow_from(
    reader: &S3StoreReader,
    page: &PageArguments,
    last: Option<u64>,
    end: u64,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let start = page.start.filter().unwrap_or_default();
    let next = match last {
        Some(last) => last + 1,
        None => end.max(start.start_offset.unwrap_or(0)),
    };
    let mut is_before_start = last.is_none();
    let added = reader.follow(&page.keyspace, &page.key, FollowStart::Offset(next), POLLING);
    let mut added = std::pin::pin!(added.ready_chunks(ITEMS_AT_ONCE));
    while let Some(results) = added.next().await {
        for result in results {
            match result {
                Ok(item) => {
                    is_before_start = is_before_start && !reaches(&start, &item);
                    if !is_before_start {
                        sink.add(&item)?;
                    }
                }
                // The stream goes on where it stood.
                Err(error @ (ReaderError::Unavailable { .. } | ReaderError::Contended { .. })) => {
                    tracing::warn!(%error, "cannot see what was added; trying on");
                }
                Err(error) => return Err(error.into()),
            }
        }
        sink.flush()?;
        if sink.is_done() {
            break;
        }
    }
    Ok(())
}

/// Whether an item is at or behind a start.
fn reaches(start: &ItemFilter, item: &Item) -> bool {
    start.start_timestamp.is_none_or(|timestamp| item.timestamp >= timestamp)
        && start.start_nonce.is_none_or(|nonce| item.nonce >= Some(nonce))
}

/// Where items go, and how many may still.
struct Sink {
    out: BufWriter<Stdout>,
    format: ItemFormat,
    key: Option<String>,
    terminal: bool,
    left: Option<u64>,
    end: Option<End>,
}

/// Where reading ends before the list does.
#[derive(Debug, Clone, Copy)]
enum End {
    /// At the first item after this time.
    After(i64),
    /// At the first item below this offset.
    Below(u64),
}

impl End {
    fn is_reached(self, item: &Item) -> bool {
        match self {
            Self::After(timestamp) => item.timestamp > timestamp,
            Self::Below(offset) => item.offset < offset,
        }
    }
}

impl Sink {
    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Writes an item, unless there were enough.
    fn add(&mut self, item: &Item) -> Result<(), Failure> {
        if self.end.is_some_and(|end| end.is_reached(item)) {
            self.left = Some(0);
        }
        if self.is_done() {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        self.write_item(item).map_err(Failure::output)
    }

    fn flush(&mut self) -> Result<(), Failure> {
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
