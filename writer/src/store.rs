//! The store as the writer needs it: four requests, and errors by what can be done about them.

use std::time::Duration;

use async_trait::async_trait;
use klstore_format::plan::{Answer, Request};
use thiserror::Error;

/// Where objects live. [`S3ObjectStore`](crate::S3ObjectStore) is the real one; tests and simulators bring their own.
///
/// An implementation sends each request once and never repeats it: the writer does that, because after a lost
/// answer a conditional PUT may be refused for its own earlier attempt (PROTOCOL rule 4).
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Sends one request.
    ///
    /// A LIST is answered by [`Answer::Listed`], a GET by [`Answer::Got`] or [`Answer::Missing`], a PUT by
    /// [`Answer::Done`], [`Answer::Exists`] (412) or [`Answer::Unknown`], a DELETE by [`Answer::Done`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where trying again may help; it leaves open whether a PUT or DELETE took effect.
    /// Every other error is a definite refusal.
    async fn execute(&self, request: Request) -> Result<Answer, StoreError>;
}

/// Why a request got no usable answer. No variant holds a credential or a signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No answer, or one that asks to come back later.
    #[error("{action} of `{object}` got no definite answer: {reason}")]
    Unavailable {
        /// The S3 operation.
        action: &'static str,
        /// The object or prefix.
        object: String,
        /// What happened: the endpoint that could not be reached, or the store's own words.
        reason: String,
    },
    /// The credentials are good but not for this.
    #[error(
        "{action} of `{object}` in bucket `{bucket}` is not allowed ({code}): grant {permissions}. Without \
         s3:ListBucket S3 answers 403 for an object that does not exist. A grant made just now takes a while"
    )]
    AccessDenied {
        /// The S3 operation.
        action: &'static str,
        /// The object or prefix.
        object: String,
        /// The bucket.
        bucket: String,
        /// The store's error code.
        code: String,
        /// What the policy must allow.
        permissions: &'static str,
    },
    /// No credentials, or the store does not know them or their signature.
    #[error("the credentials for bucket `{bucket}` are not usable: {reason}. Check keys, profile and session token")]
    InvalidCredentials {
        /// The bucket.
        bucket: String,
        /// The store's error code, or why none could be had.
        reason: String,
    },
    /// The store's certificate is not trusted; nothing was sent.
    #[error(
        "{endpoint} (bucket `{bucket}`) is not trusted, so nothing was sent: {reason}. Set ca_bundle to a PEM file with \
         the certificate authority that issued its certificate, or check the endpoint"
    )]
    UntrustedCertificate {
        /// The bucket.
        bucket: String,
        /// The endpoint asked.
        endpoint: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The bucket does not exist at this endpoint.
    #[error("bucket `{bucket}` does not exist at {endpoint}: create it, or check bucket_name and endpoint")]
    BucketNotFound {
        /// The bucket.
        bucket: String,
        /// The endpoint asked.
        endpoint: String,
    },
    /// The bucket is in another region.
    #[error("bucket `{bucket}` is not in region `{configured}`: set region to {}", .actual.as_deref().unwrap_or("the bucket's own (the store does not name it)"))]
    WrongRegion {
        /// The bucket.
        bucket: String,
        /// The region of the configuration.
        configured: String,
        /// The region that the store names.
        actual: Option<String>,
    },
    /// This machine's clock and the store's are too far apart for a signature.
    #[error(
        "this machine's clock differs too much from that of the store of bucket `{bucket}`: set it (the store says {server_time})"
    )]
    ClockSkew {
        /// The bucket.
        bucket: String,
        /// The store's time, as it says it.
        server_time: String,
    },
    /// The store does not know this operation or one of its conditions.
    #[error("the store of bucket `{bucket}` does not support {action} as `{object}` needs it: {reason}")]
    NotSupported {
        /// The S3 operation.
        action: &'static str,
        /// The object.
        object: String,
        /// The bucket.
        bucket: String,
        /// The store's own words.
        reason: String,
    },
    /// A definite refusal of another kind, or an answer that makes no sense.
    #[error("{action} of `{object}` failed: {reason}")]
    Rejected {
        /// The S3 operation.
        action: &'static str,
        /// The object or prefix.
        object: String,
        /// The store's code and message, or what was wrong with its answer.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed later.
    ///
    /// ```
    /// use klstore_writer::StoreError;
    /// let error = StoreError::BucketNotFound { bucket: "b".into(), endpoint: "http://127.0.0.1:9000".into() };
    /// assert!(!error.is_transient());
    /// ```
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// How long to wait between attempts, and for how long to go on.
///
/// The wait doubles from `base_delay` to `max_delay`; a random part of up to a half is taken off, so that many
/// writers do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failure.
    pub base_delay: Duration,
    /// The longest wait.
    pub max_delay: Duration,
    /// After so long each step that a caller waits for gives up: a load, one commit, a compaction in its way; the collection
    /// after a publication, once nothing was answered for so long.
    pub deadline: Duration,
    /// After so long a compaction or collection in the background gives up.
    pub background_deadline: Duration,
}

impl Default for RetryPolicy {
    /// 50 ms doubling to 5 s; one minute for callers, ten in the background.
    fn default() -> Self {
        Self {
            base_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
            background_deadline: Duration::from_secs(600),
        }
    }
}
