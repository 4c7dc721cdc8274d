//! What may be wrong with the settings.

use thiserror::Error;

use crate::error::NameError;

/// Settings that cannot be used. No message shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No bucket.
    #[error("bucket_name is not set: say in which bucket the lists are")]
    MissingBucket,
    /// An S3 directory bucket.
    #[error(
        "bucket `{bucket}` is an S3 directory bucket (`--x-s3`), which lists objects in no order: use a general purpose bucket"
    )]
    DirectoryBucket {
        /// The bucket.
        bucket: String,
    },
    /// A bucket with a slash in it.
    #[error("bucket_name `{bucket}` has a `/` in it: give the bucket alone, and the rest as object_prefix")]
    BucketName {
        /// The bucket.
        bucket: String,
    },
    /// An empty region.
    #[error("region is empty: give the bucket's region, or leave it out for us-east-1")]
    MissingRegion,
    /// An endpoint that is no plain URL. It may hold a password: it is not shown.
    #[error(
        "endpoint is not a plain URL: write http://HOST[:PORT] or https://HOST[:PORT], without user, query or fragment"
    )]
    Endpoint,
    /// Two tokens that differ.
    #[error("session_token and security_token differ: they are two names of one setting, set only one")]
    DifferentTokens,
    /// Static credentials of which a part is missing.
    #[error("static credentials are incomplete: {missing} is not set")]
    IncompleteKeys {
        /// What is missing.
        missing: &'static str,
    },
    /// Anonymous, and yet with credentials.
    #[error("anonymous is set together with keys or a profile: set only one of them")]
    AnonymousWithCredentials,
    /// Nowhere to take credentials from.
    #[error("no credentials: set access_key and secret_key, a profile, use_default_credentials or anonymous")]
    NoCredentials,
    /// A KMS key without the encryption that uses it.
    #[error("kms_key_id is set, but server_side_encryption is not: set it to aws:kms, or leave the key out")]
    KmsKeyWithoutKms,
    /// A KMS key whose name cannot be sent.
    #[error(
        "kms_key_id is no key's id, alias or ARN: it must be printable ASCII without spaces, 2,048 characters at most"
    )]
    KmsKeyId,
    /// A number beyond its limits.
    #[error("{setting} is {value}: it must be between {least} and {most}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: u64,
        /// The lowest that is allowed.
        least: u64,
        /// The highest that is allowed.
        most: u64,
    },
    /// A prefix that is refused.
    #[error(transparent)]
    Prefix(#[from] NameError),
}

impl ConfigError {
    /// The setting to change: the first where several are meant.
    ///
    /// ```
    /// use klstore_format::S3StoreConfig;
    /// let error = S3StoreConfig::default().validate().expect_err("there is no bucket");
    /// assert_eq!(error.setting(), "bucket_name");
    /// ```
    pub fn setting(&self) -> &'static str {
        match self {
            Self::MissingBucket | Self::DirectoryBucket { .. } | Self::BucketName { .. } => "bucket_name",
            Self::MissingRegion => "region",
            Self::Endpoint => "endpoint",
            Self::DifferentTokens => "session_token",
            Self::IncompleteKeys { missing: "secret_key" } => "access_key",
            Self::IncompleteKeys { missing: "access_key" } => "secret_key",
            Self::IncompleteKeys { .. } => "session_token",
            Self::AnonymousWithCredentials => "anonymous",
            Self::NoCredentials => "use_default_credentials",
            Self::KmsKeyWithoutKms | Self::KmsKeyId => "kms_key_id",
            Self::OutOfRange { setting, .. } => setting,
            Self::Prefix(_) => "object_prefix",
        }
    }
}
