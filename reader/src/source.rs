//! The two things that the reader needs of a store: to list names and to get bytes.

use std::ops::Range;

use async_trait::async_trait;
use klstore_format::plan::{Listing, Object};

use crate::error::ReaderError;
use crate::list_objects::bare_etag;
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::transport::Body;

/// Lists and gets objects. S3 over HTTP is what a reader has by itself; implement it to read from a binding of an edge
/// runtime, a folder or anything else that holds the same objects.
///
/// Each call is one attempt: the reader tries again within its bounds, limits the time, and keeps what never changes in
/// memory.
///
/// ```
/// use std::collections::BTreeMap;
/// use klstore_format::plan::{Listed, Listing};
/// use klstore_reader::source::{GetObject, ListObjects, ObjectSource, SourceError, SourceObject};
///
/// struct InMemory(BTreeMap<String, bytes::Bytes>);
///
/// #[async_trait::async_trait]
/// impl ObjectSource for InMemory {
///     async fn list(&self, request: &ListObjects) -> Result<Listing, SourceError> {
///         let after = request.start_after.clone().unwrap_or_default();
///         let found = self.0.iter().filter(|(name, _)| name.starts_with(&request.prefix) && **name > after);
///         let objects = found.map(|(name, bytes)| Listed { name: name.clone(), etag: "1".into(), size: bytes.len() as u64 });
///         Ok(Listing { objects: objects.collect(), ..Listing::default() }) // and the delimiter
///     }
///
///     async fn get(&self, request: &GetObject) -> Result<Option<SourceObject>, SourceError> {
///         Ok(self.0.get(&request.name).map(|bytes| {
///             let range = request.range.clone().unwrap_or(0..bytes.len() as u64);
///             let (start, end) = (range.start as usize, (range.end as usize).min(bytes.len()));
///             let body = bytes.slice(start.min(end)..end);
///             SourceObject { received: body.len() as u64, body: body.into(), etag: Some("1".into()), size: None }
///         }))
///     }
///
///     fn describe(&self) -> String {
///         "the objects in memory".to_owned()
///     }
/// }
/// ```
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait ObjectSource: MaybeSend + MaybeSync {
    /// Lists names in the order of their bytes, with their present ETags.
    ///
    /// # Errors
    ///
    /// [`SourceError`]: whether it is worth another attempt.
    async fn list(&self, request: &ListObjects) -> Result<Listing, SourceError>;

    /// Gets an object or a part of it; `None` where it, or the range of it, does not exist.
    ///
    /// # Errors
    ///
    /// [`SourceError`]: whether it is worth another attempt.
    async fn get(&self, request: &GetObject) -> Result<Option<SourceObject>, SourceError>;

    /// Which store this is, for messages, without secrets.
    fn describe(&self) -> String;
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListObjects {
    /// Names start with it.
    pub prefix: String,
    /// Only names after this one.
    pub start_after: Option<String>,
    /// At most so many names and common prefixes together, from 1 to 1,000.
    pub max_keys: u32,
    /// Group names by `/` after the prefix.
    pub delimiter: bool,
}

/// What to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetObject {
    /// The object's full name.
    pub name: String,
    /// Which bytes, never none; the whole object where it is `None`.
    pub range: Option<Range<u64>>,
    /// Most bytes to take.
    pub limit: u64,
    /// Past every cache on the way: the object may be replaced, or what a cache held did not fit.
    pub reload: bool,
}

/// An object, or the part of it that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// The bytes from the range's start on; fewer than asked for only at the end of the object.
    pub body: Body,
    /// The ETag, as a LIST shows it, quoted or not.
    pub etag: Option<String>,
    /// Bytes of the whole object, where they are known.
    pub size: Option<u64>,
    /// Bytes that came over the network for it.
    pub received: u64,
}

impl SourceObject {
    /// In one piece, its first `length` bytes or all where there are fewer.
    pub(crate) fn first(self, length: u64) -> Object {
        let etag = self.etag.map(|etag| bare_etag(&etag).to_owned());
        Object { body: self.body.first(length), etag, size: self.size }
    }

    /// In one piece.
    pub(crate) fn whole(self) -> Object {
        self.first(u64::MAX)
    }
}

/// Why one attempt gave no answer.
#[derive(Debug, Clone)]
pub enum SourceError {
    /// Worth another attempt; the words end up in [`ReaderError::Unavailable`].
    Passing(String),
    /// Another attempt would fail as well.
    Final(ReaderError),
}
