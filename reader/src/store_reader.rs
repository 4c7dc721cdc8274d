//! What any reader of lists can do.

use async_trait::async_trait;
use klstore_format::plan::keys::{KeyList, KeyspaceList};
use klstore_format::plan::timeline::{Timeline, TimelineWindow};
use klstore_format::{ItemFilter, ItemList, IterationOrder, KeyMetadata, KeyspaceMetadata};

use crate::error::ReaderError;
use crate::maybe_send::{MaybeSend, MaybeSync};

/// Reads lists. Readers hold no state of the store, so any number of them may read while a writer appends; each call
/// sees the list as it was at one moment during the call.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait StoreReader: MaybeSend + MaybeSync {
    /// What is known of a keyspace.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`] where it does not exist.
    async fn read_keyspace_metadata(&self, keyspace: &str) -> Result<KeyspaceMetadata, ReaderError>;

    /// What is known of a key, by one LIST and one GET of at most 16 KiB; `None` where nothing was ever appended.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`] where the keyspace does not exist.
    async fn read_key_metadata(&self, keyspace: &str, key: &str) -> Result<Option<KeyMetadata>, ReaderError>;

    /// Reads one page of a list: an empty one where the key does not exist.
    ///
    /// Without `filter` and `continuation` it starts at the first item, or backwards at the last. `max_size` is the
    /// most items (the configured default where it is `None`); a page holds 8 MiB of values at most, but at least one
    /// item. Pass the continuation of a page to read on; the filter is ignored then.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`]; [`ReaderError::InvalidContinuation`] for one that is malformed or of
    /// another list or order; [`ReaderError::InvalidArgument`] for a `max_size` of 0 or a bad name.
    async fn read_page(
        &self,
        keyspace: &str,
        key: &str,
        order: IterationOrder,
        max_size: Option<u64>,
        filter: Option<ItemFilter>,
        continuation: Option<String>,
    ) -> Result<ItemList, ReaderError>;

    /// The continuation of a page that begins up to `items` items behind where the one of `continuation` does, in the
    /// same snapshot of the list, and how many: no further than the snapshot's last item. `None` where the snapshot ends
    /// there. No request: with it streams read pages that follow each other at the same time. A reader that cannot tell
    /// says `None`, as this default does.
    ///
    /// # Errors
    ///
    /// [`ReaderError::InvalidContinuation`].
    fn skip(
        &self,
        keyspace: &str,
        key: &str,
        order: IterationOrder,
        continuation: &str,
        items: u64,
    ) -> Result<Option<(String, u64)>, ReaderError> {
        let _ = (keyspace, key, order, continuation, items);
        Ok(None)
    }

    /// What the list holds and when, by its index alone: a LIST, a GET of at most 16 KiB and one of the index page, also
    /// for a million segments; and up to eight more GETs at once where `window` shows a part of the time. `None` where
    /// nothing was ever appended.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`] where the keyspace does not exist; [`ReaderError::Corrupt`] where a page of the
    /// index is damaged or lost.
    async fn read_timeline(
        &self,
        keyspace: &str,
        key: &str,
        window: TimelineWindow,
    ) -> Result<Option<Timeline>, ReaderError>;

    /// Lists keyspaces, `max_size` (1,000 where it is `None`) at most, after the one that a former answer's
    /// continuation names. There may be fewer although more follow. A keyspace whose object is damaged, or was written
    /// by a newer release, is in `unreadable`, and does not keep the others from being listed.
    ///
    /// # Errors
    ///
    /// Those of the store.
    async fn list_keyspaces(
        &self,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyspaceList, ReaderError>;

    /// Lists the keys of a keyspace that begin with `prefix`, `max_size` (1,000 where it is `None`) at most, after the
    /// one that a former answer's continuation names.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`] where the keyspace does not exist.
    async fn list_keys(
        &self,
        keyspace: &str,
        prefix: &str,
        max_size: Option<u32>,
        continuation: Option<String>,
    ) -> Result<KeyList, ReaderError>;
}
