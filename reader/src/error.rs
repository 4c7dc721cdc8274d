//! What can go wrong in a read, by what the caller should do.

use klstore_format::config::ConfigError;
use klstore_format::{CorruptObject, FormatError, InvalidContinuation, NameError};
use thiserror::Error;

/// Why a read failed. Each message says what happened, to which object, and what to do; none holds a secret, a
/// signature or a token.
///
/// ```
/// use klstore_reader::ReaderError;
/// fn advice(error: &ReaderError) -> &'static str {
///     match error {
///         ReaderError::KeyspaceNotFound { .. } => "create it",
///         ReaderError::InvalidContinuation(_) => "start again without a continuation",
///         ReaderError::Unavailable { .. } => "try again later",
///         _ => "show the message to the operator",
///     }
/// }
/// # let error = ReaderError::KeyspaceNotFound { keyspace: "flights".into() };
/// # assert_eq!(advice(&error), "create it");
/// ```
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// The keyspace does not exist: create it.
    #[error("keyspace `{keyspace}` does not exist: create it first, or check bucket and prefix")]
    KeyspaceNotFound {
        /// Its name.
        keyspace: String,
    },
    /// The continuation is not usable here: start without one.
    #[error(transparent)]
    InvalidContinuation(#[from] InvalidContinuation),
    /// An argument is refused: fix the call.
    #[error("{reason}")]
    InvalidArgument {
        /// What is wrong with which argument.
        reason: String,
    },
    /// The configuration is contradictory or does not lead to an S3 store: fix it.
    #[error("{reason}")]
    Configuration {
        /// What is wrong with it.
        reason: String,
    },
    /// There are no usable credentials: set them.
    #[error("{store} refused the credentials or got none: {reason}")]
    Credentials {
        /// Bucket and endpoint.
        store: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The credentials do not allow the request: grant it.
    #[error(
        "access denied to `{object}` in {store} ({code}): allow s3:GetObject on the objects and s3:ListBucket on the \
         bucket. Without s3:ListBucket a missing key is 403, not 404; a grant may take a few seconds to work"
    )]
    AccessDenied {
        /// The object or prefix that was asked for.
        object: String,
        /// Bucket and endpoint.
        store: String,
        /// The store's error code.
        code: String,
    },
    /// The bucket does not exist: create it or fix its name.
    #[error("bucket `{bucket}` does not exist at {endpoint}: create it, or check bucket_name, endpoint and path_style")]
    BucketNotFound {
        /// The bucket.
        bucket: String,
        /// The endpoint.
        endpoint: String,
    },
    /// The bucket is in another region: set it.
    #[error("bucket `{bucket}` is not in region `{configured}`: set region to {right}", right = right_region(.right))]
    WrongRegion {
        /// The bucket.
        bucket: String,
        /// The region that was configured.
        configured: String,
        /// The right one, where the store named it.
        right: Option<String>,
    },
    /// This machine's clock or the store's is wrong: set it.
    #[error("the clocks differ too much: this machine says {here}, {store} says {there}: set the one that is wrong")]
    ClockSkew {
        /// Time of this machine when the request was signed.
        here: String,
        /// Time at the store, where it told.
        there: String,
        /// Bucket and endpoint.
        store: String,
    },
    /// The store's certificate is not trusted: trust who issued it.
    #[error(
        "{store} is not trusted, so nothing was sent: {reason}. Set ca_bundle to a PEM file with the certificate \
         authority that issued its certificate, or check the endpoint"
    )]
    UntrustedCertificate {
        /// Bucket and endpoint.
        store: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The bucket has no CORS rule for the page's origin: set one.
    #[error(
        "{store} does not allow pages of {origin} to read it: give the bucket a CORS rule with AllowedOrigins \
         [\"{origin}\"], AllowedMethods [\"GET\"], AllowedHeaders [\"range\"] and ExposeHeaders [\"ETag\", \
         \"Content-Range\"]"
    )]
    CrossOrigin {
        /// The page's origin.
        origin: String,
        /// Bucket and endpoint.
        store: String,
    },
    /// The store's answers lack a header that the protocol needs: expose it.
    #[error(
        "the answer for `{object}` has no ETag: in a browser, add `ETag` to ExposeHeaders in the bucket's CORS rules; \
         elsewhere the store is not S3-compatible enough"
    )]
    HiddenEtag {
        /// The object.
        object: String,
    },
    /// No answer, or only failures that pass, within the bounds of the retry policy: try again.
    #[error("{store} did not answer for `{object}` in {attempts} attempts, the last: {reason}. Try again")]
    Unavailable {
        /// The object or prefix that was asked for.
        object: String,
        /// Bucket and endpoint.
        store: String,
        /// Attempts made.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The list kept changing between the requests of one read: try again.
    #[error("the list `{list}` changed {attempts} times while it was read: try again")]
    Contended {
        /// Keyspace and key.
        list: String,
        /// Attempts made.
        attempts: u32,
    },
    /// An object is damaged: report it.
    #[error(transparent)]
    Corrupt(#[from] CorruptObject),
    /// An object was written by a newer release: upgrade.
    #[error(
        "object `{object}` needs format version {found}, and this release knows up to {supported}: upgrade klstore"
    )]
    UnsupportedVersion {
        /// The object.
        object: String,
        /// The version (or required section) found.
        found: u32,
        /// The newest version known.
        supported: u32,
    },
    /// A newer release wrote something that this one does not know and must not ignore: upgrade.
    #[error("{reason}")]
    UnsupportedLayout {
        /// What it is, in which object, and what to do.
        reason: String,
    },
    /// The store refused for a reason of its own: see its code.
    #[error("{store} refused `{object}` with status {status} ({code}): {message}")]
    Refused {
        /// The object or prefix that was asked for.
        object: String,
        /// Bucket and endpoint.
        store: String,
        /// The HTTP status.
        status: u16,
        /// The store's error code; empty where it gave none.
        code: String,
        /// The store's message, shortened.
        message: String,
    },
    /// A blocking call inside an async runtime: use the async reader there.
    #[error("a blocking call inside an async runtime would stop the runtime: use S3StoreReader there")]
    InsideRuntime,
    /// A fault in klstore itself: report it.
    #[error("klstore made a mistake ({reason}): please report it")]
    Internal {
        /// What it did.
        reason: String,
    },
}

fn right_region(right: &Option<String>) -> String {
    match right {
        Some(right) => format!("`{right}`"),
        None => "the bucket's own (the store did not name it)".to_owned(),
    }
}

impl From<FormatError> for ReaderError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Name(name) => name.into(),
            FormatError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            FormatError::UnsupportedVersion { object, found, supported } => {
                Self::UnsupportedVersion { object, found, supported }
            }
            FormatError::KeyspaceNotFound { keyspace } => Self::KeyspaceNotFound { keyspace },
            FormatError::InvalidContinuation(invalid) => Self::InvalidContinuation(invalid),
            FormatError::Contended { list, attempts } => Self::Contended { list, attempts },
            FormatError::HiddenEtag { object } => Self::HiddenEtag { object },
            newer @ (FormatError::UnsupportedLayout { .. } | FormatError::UnknownPart { .. }) => {
                Self::UnsupportedLayout { reason: newer.to_string() }
            }
            other @ FormatError::EmptyPage => Self::InvalidArgument { reason: other.to_string() },
            other => Self::Internal { reason: other.to_string() },
        }
    }
}

impl From<NameError> for ReaderError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Prefix { .. } => Self::Configuration { reason: error.to_string() },
            other => Self::InvalidArgument { reason: other.to_string() },
        }
    }
}

impl From<ConfigError> for ReaderError {
    fn from(error: ConfigError) -> Self {
        Self::Configuration { reason: error.to_string() }
    }
}
