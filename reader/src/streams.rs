//! Whole lists as streams, page by page behind the scenes.

use futures::stream::{self, Stream, TryStreamExt};
use klstore_format::{Item, ItemFilter, ItemList, IterationOrder};

use crate::error::ReaderError;
use crate::maybe_send::MaybeSend;
use crate::store_reader::StoreReader;

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
        let start = Some((filter, continuation));
        stream::try_unfold(start, move |start| async move {
            let Some((filter, continuation)) = start else {
                return Ok(None);
            };
            let page = self.read_page(keyspace, key, order, max_size, filter, continuation).await?;
            let next = page.continuation.clone().map(|continuation| (None, Some(continuation)));
            Ok(Some((page, next)))
        })
    }

    /// The items of a list up to its end. The arguments are those of [`StoreReader::read_page`]; `max_size` is that of
    /// the pages in which the items are fetched.
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
