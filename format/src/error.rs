//! The errors that pure code can find. Reader and writer wrap them into enums by what the caller should do.

use thiserror::Error;

/// A name that klstore refuses, before any request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// An empty keyspace, key or source.
    #[error("the {what} is empty: give it at least one character")]
    Empty {
        /// `keyspace`, `key` or `source`.
        what: &'static str,
    },
    /// A keyspace or key that is too long once escaped.
    #[error(
        "the {what} `{name}` takes {bytes} bytes in object names, {limit} at most: bytes other than A-Z a-z 0-9 - _ . take three each"
    )]
    TooLong {
        /// `keyspace` or `key`.
        what: &'static str,
        /// The name, cut to its first 64 characters.
        name: String,
        /// Bytes once escaped.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A source's name that is too long.
    #[error("the source `{name}` has a name of {bytes} bytes, {limit} at most: use a shorter name")]
    SourceTooLong {
        /// The name, cut to its first 64 characters.
        name: String,
        /// Bytes of the name.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A prefix with other characters than `A-Z a-z 0-9 - _ . /`, with an empty part or `.` or `..`, or too long.
    #[error("the object prefix `{prefix}` is not usable ({reason}): use at most {limit} bytes of A-Z a-z 0-9 - _ . /")]
    Prefix {
        /// The prefix, cut to its first 64 characters.
        prefix: String,
        /// What is wrong.
        reason: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
}

/// An object whose bytes are not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("object `{object}` is corrupt: {reason}. It was damaged or written by something else; nothing of it was used")]
pub struct CorruptObject {
    /// The object's full name.
    pub object: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A continuation that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the continuation is not usable: {reason}. Pass it unchanged, with the keyspace, key and order of the page that returned it, or start without one"
)]
pub struct InvalidContinuation {
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What reading or planning can find wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A name that is refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A damaged or foreign object.
    #[error(transparent)]
    Corrupt(#[from] CorruptObject),
    /// An object of a newer format.
    #[error(
        "object `{object}` needs format version {found}, and this release knows up to {supported}: upgrade klstore; nothing was written"
    )]
    UnsupportedVersion {
        /// The object's full name.
        object: String,
        /// The version found.
        found: u32,
        /// The newest version known.
        supported: u32,
    },
    /// A keyspace laid out in a way that this release does not know.
    #[error(
        "keyspace object `{object}` says that the keyspace is laid out as `{layout}`, and this release knows only `list`: upgrade klstore; nothing was written"
    )]
    UnsupportedLayout {
        /// The object's full name.
        object: String,
        /// The layout, cut to its first 64 characters.
        layout: String,
    },
    /// An object with a required part that this release does not know.
    #[error(
        "object `{object}` has {part} {number}, which this release does not know and must not ignore: upgrade klstore; nothing was written"
    )]
    UnknownPart {
        /// The object's full name.
        object: String,
        /// `section` or `flags`.
        part: &'static str,
        /// Its number.
        number: u32,
    },
    /// The keyspace does not exist.
    #[error("keyspace `{keyspace}` does not exist: create it first, or check bucket and prefix")]
    KeyspaceNotFound {
        /// Its name.
        keyspace: String,
    },
    /// A continuation that cannot be used.
    #[error(transparent)]
    InvalidContinuation(#[from] InvalidContinuation),
    /// A page of no items was asked for.
    #[error("max_size is 0: ask for at least one item, or leave it out for the default")]
    EmptyPage,
    /// The list kept changing between the requests of one read.
    #[error("the list `{list}` changed {attempts} times while it was read: try again")]
    Contended {
        /// Keyspace and key.
        list: String,
        /// Attempts made.
        attempts: u32,
    },
    /// The store hides a header that the protocol needs.
    #[error(
        "the store's answer for `{object}` has no ETag: in a browser, add `ETag` to ExposeHeaders in the bucket's CORS rules; elsewhere the store is not S3-compatible enough"
    )]
    HiddenEtag {
        /// The object's full name.
        object: String,
    },
    /// A list that too many sources feed.
    #[error(
        "the list `{list}` would keep the offsets of {sources} sources, and a commit has room for {limit} (fewer with long names): feed it from fewer partitions, or use a list for each partition. Nothing of this append is in the list"
    )]
    TooManySources {
        /// Keyspace and key.
        list: String,
        /// How many there would be.
        sources: usize,
        /// The limit.
        limit: usize,
    },
    /// An index that has grown to the format's limits.
    #[error(
        "the index page `{object}` cannot be written: {error}. Everything is still readable, but the list takes no more items: go on in another key, or trim it"
    )]
    IndexFull {
        /// The page's full name.
        object: String,
        /// Which limit.
        error: crate::wire::head::PageTooLarge,
    },
}
