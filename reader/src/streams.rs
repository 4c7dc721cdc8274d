//! Whole lists as streams: pages behind the scenes, several at a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::stream::{self, FuturesOrdered, Stream, TryStreamExt};
use klstore_format::limits::MAX_PAGE_VALUE_BYTES;
use klstore_format::{Item, ItemFilter, ItemList, IterationOrder};

use crate::error::ReaderError;
use crate::maybe_send::{BoxedFuture, MaybeSend};
use crate::store_reader::StoreReader;

/// Pages that are read ahead of the one that the caller has.
const MAX_PAGES_AHEAD: usize = 6;
/// And of the first one: many callers want no more than a few.
const FIRST_PAGES_AHEAD: usize = 2;
/// How much larger a page may be than the one before it, where the caller leaves it open.
const GROWTH: u64 = 16;
/// Items of the largest such page.
const LARGE_PAGE_ITEMS: u64 = 1 << 16;
/// Bytes of values that a page is planned for: half of the most it may have, as values differ.
const LARGE_PAGE_BYTES: u64 = MAX_PAGE_VALUE_BYTES as u64 / 2;

/// Streams over any [`StoreReader`].
///
/// ```no_run
/// use futures::TryStreamExt;
/// use klstore_format::{IterationOrder, S3StoreConfig};
/// use klstore_reader::{S3StoreReader, StoreReaderExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let reader = S3StoreReader::new(S3StoreConfig::new("my-bucket")).await?;
/// let mut items = std::pin::pin!(reader.items("flights", "N14228", IterationOrder::Forwards, None, None, None));
/// while let Some(item) = items.try_next().await? {
///     println!("{}", item.offset);
/// }
/// # Ok::<(), klstore_reader::ReaderError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StoreReaderExt: StoreReader {
    /// The pages of a list up to its end. The arguments are those of [`StoreReader::read_page`], the last three for
    /// the first page. The stream ends after an error; the last page's continuation resumes it.
    ///
    /// Without `max_size` the first page is of the reader's default size, so that it comes soon, and the others grow up
    /// to 4 MiB of values or 65,536 items, as fewer of them ask for and decode less. From the second page on the stream
    /// reads ahead, up to six pages, and holds as many in memory; fewer for a caller who is so slow that their requests end
    /// for want of time.
    fn pages<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Stream<Item = Result<ItemList, ReaderError>> + MaybeSend + 'a {
        let pages = Pages {
            reader: self,
            list: (keyspace, key, order),
            max_size,
            start: Some((filter, continuation)),
            under_way: FuturesOrdered::new(),
            arrived: None,
            behind: None,
            most_ahead: MAX_PAGES_AHEAD,
            pages: 0,
            next_offset: None,
        };
        stream::try_unfold(pages, |mut pages| async { Ok(pages.next().await?.map(|page| (page, pages))) })
    }

    /// The items of a list up to its end: those of [`pages`](Self::pages), whose arguments it takes.
    fn items<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Stream<Item = Result<Item, ReaderError>> + MaybeSend + 'a {
        let pages = self.pages(keyspace, key, order, max_size, filter, continuation);
        pages.map_ok(|page| stream::iter(page.items.into_iter().map(Ok))).try_flatten()
    }
}

impl<R: StoreReader + ?Sized> StoreReaderExt for R {}

/// A page that was read ahead, and how many items it was to have.
type Arrived = (u64, Result<ItemList, ReaderError>);

struct Pages<'a, R: ?Sized> {
    reader: &'a R,
    list: (&'a str, &'a str, IterationOrder),
    /// Of all pages, where the caller says so.
    max_size: Option<u64>,
    /// Where the next page begins that is not read ahead.
    start: Option<(Option<ItemFilter>, Option<String>)>,
    /// Pages that follow each other if each has all the items that it is to have.
    under_way: FuturesOrdered<BoxedFuture<'a, Arrived>>,
    /// The first of them, where it came while nobody waited.
    arrived: Option<Arrived>,
    /// The continuation behind those under way.
    behind: Option<String>,
    /// How many pages may be under way.
    most_ahead: usize,
    /// Pages delivered.
    pages: usize,
    /// The offset that the next page begins with.
    next_offset: Option<u64>,
}

impl<'a, R: StoreReader + ?Sized> Pages<'a, R> {
    async fn next(&mut self) -> Result<Option<ItemList>, ReaderError> {
        let arrived = match self.arrived.take() {
            None => poll_fn(|context| Pin::new(&mut self.under_way).poll_next(context)).await,
            arrived => arrived,
        };
        let ahead = match arrived {
            Some((size, Ok(page))) => Some((Some(size), page)),
            None => None,
            // Its reading stood still while the caller was busy, and it may have come too late: it is read again. Whoever is
            // slower than the store needs less ahead.
            Some((_, Err(_))) => {
                self.under_way = FuturesOrdered::new();
                self.most_ahead /= 2;
                None
            }
        };
        let (expected, page) = match (ahead, self.start.take()) {
            (Some(ahead), _) => ahead,
            (None, Some((filter, continuation))) => {
                let (keyspace, key, order) = self.list;
                (None, self.reader.read_page(keyspace, key, order, self.max_size, filter, continuation).await?)
            }
            (None, None) => return Ok(None),
        };
        self.pages += 1;
        if !self.is_as_expected(&page, expected) {
            // Its values are larger than those before, or the list was trimmed: what was to follow does not.
            self.under_way = FuturesOrdered::new();
            self.behind.clone_from(&page.continuation);
        }
        self.next_offset = page.items.last().and_then(|item| following(item.offset, self.list.2));
        self.start = page.continuation.clone().map(|continuation| (None, Some(continuation)));
        self.read_ahead(&page)?;
        // The first page may be all that is wanted: nothing is sent for until the second was.
        if self.pages > 1 {
            let begin = poll_fn(|context| match Pin::new(&mut self.under_way).poll_next(context) {
                Poll::Ready(arrived) => Poll::Ready(arrived),
                Poll::Pending => Poll::Ready(None),
            });
            self.arrived = begin.await;
        }
        Ok(Some(page))
    }

    /// Whether it has all the items that it was to have: also of one that begins as it should, a trim may have taken the
    /// rest, so that it goes on elsewhere.
    fn is_as_expected(&self, page: &ItemList, expected: Option<u64>) -> bool {
        let (Some(first), Some(last)) = (page.items.first(), page.items.last()) else { return false };
        let items = page.items.len() as u64;
        expected == Some(items)
            && Some(first.offset) == self.next_offset
            && first.offset.abs_diff(last.offset) == items - 1
    }

    /// Plans the pages behind this one.
    fn read_ahead(&mut self, page: &ItemList) -> Result<(), ReaderError> {
        let (keyspace, key, order) = self.list;
        let size = self.size_after(page);
        let ahead = if self.pages == 1 { FIRST_PAGES_AHEAD } else { MAX_PAGES_AHEAD };
        while self.under_way.len() < ahead.min(self.most_ahead)
            && let Some(start) = self.behind.take()
        {
            let end = self.reader.skip(keyspace, key, order, &start, size)?;
            let (start, size) = match end {
                // The last item has a page of its own, which then looks whether the list goes on: beside the others.
                Some((behind, items)) if items == size || (items > 0 && !self.under_way.is_empty()) => {
                    self.behind = Some(behind);
                    (start, items)
                }
                _ => (start, size),
            };
            // The continuation of a page says how much to ask for where another one as large follows. A larger one is
            // looked up in the index.
            let start = match self.under_way.is_empty() && size > page.items.len() as u64 {
                true => self.reader.skip(keyspace, key, order, &start, 0)?.map_or(start, |(start, _)| start),
                false => start,
            };
            let reader = self.reader;
            self.under_way.push_back(Box::pin(async move {
                (size, reader.read_page(keyspace, key, order, Some(size), None, Some(start)).await)
            }));
        }
        Ok(())
    }

    fn size_after(&self, page: &ItemList) -> u64 {
        let items = page.items.len() as u64;
        let bytes: u64 = page.items.iter().map(|item| item.value.len() as u64).sum();
        let fits = (LARGE_PAGE_BYTES * items).checked_div(bytes).unwrap_or(u64::MAX);
        self.max_size.unwrap_or(LARGE_PAGE_ITEMS.min(items * GROWTH)).min(fits).max(1)
    }
}

/// The offset behind this one in this order.
fn following(offset: u64, order: IterationOrder) -> Option<u64> {
    match order {
        IterationOrder::Forwards => offset.checked_add(1),
        IterationOrder::Backwards => offset.checked_sub(1),
    }
}
