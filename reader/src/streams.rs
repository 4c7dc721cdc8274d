//! Whole lists as streams, page by page behind the scenes.

use futures::stream::{self, Stream, TryStreamExt};
use klstore_format::{Item, ItemFilter, ItemList, IterationOrder};

use crate::error::ReaderError;
use crate::maybe_send::MaybeSend;
use crate::store_reader::StoreReader;

/// Items of the second page and the following where a stream of items leaves it open. A page ends within a block, which
/// the next one decodes again: of a page of this size that is a few percent.
const LATER_PAGE_ITEMS: u64 = 4_000;

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
    fn pages<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Stream<Item = Result<ItemList, ReaderError>> + MaybeSend + 'a {
        pages_of(self, keyspace, key, order, [max_size, max_size], filter, continuation)
    }

    /// The items of a list up to its end. The arguments are those of [`StoreReader::read_page`]; `max_size` is that of
    /// the pages in which the items are fetched; without it the first is of the reader's default size, so that its items
    /// come soon, and the others are larger, as fewer of them ask for and decode less.
    fn items<'a>(
        &'a self,
        keyspace: &'a str,
        key: &'a str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> impl Stream<Item = Result<Item, ReaderError>> + MaybeSend + 'a {
        let sizes = [max_size, max_size.or(Some(LATER_PAGE_ITEMS))];
        let pages = pages_of(self, keyspace, key, order, sizes, filter, continuation);
        pages.map_ok(|page| stream::iter(page.items.into_iter().map(Ok))).try_flatten()
    }
}

impl<R: StoreReader + ?Sized> StoreReaderExt for R {}

/// The pages, the first one and the others each of at most such a size.
fn pages_of<'a, R: StoreReader + ?Sized>(
    reader: &'a R,
    keyspace: &'a str,
    key: &'a str,
    order: IterationOrder,
    [first_size, later_size]: [Option<u64>; 2],
    filter: Option<ItemFilter>,
    continuation: Option<String>,
) -> impl Stream<Item = Result<ItemList, ReaderError>> + MaybeSend + 'a {
    let start = Some((first_size, filter, continuation));
    stream::try_unfold(start, move |start| async move {
        let Some((max_size, filter, continuation)) = start else {
            return Ok(None);
        };
        let page = reader.read_page(keyspace, key, order, max_size, filter, continuation).await?;
        let size = later_size.map(|size| size.max(page.items.len() as u64));
        let next = page.continuation.clone().map(|continuation| (size, None, Some(continuation)));
        Ok(Some((page, next)))
    })
}
