//! The settings of an S3 store, for reader and writer alike.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::NameError;
pub use crate::limits::MAX_CARRY_BYTES;
use crate::limits::{DEFAULT_CARRY_BYTES, DEFAULT_MAX_RESULTS, MAX_PAGE_ITEMS, MAX_TABLE_ENTRIES};
use crate::names::Prefix;
use crate::wire::compression::Codec;

/// When requests carry a checksum of their body beside the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksums {
    /// Only where S3 demands one: many S3-compatible stores refuse others.
    #[default]
    WhenRequired,
    /// On every PUT, as buckets with Object Lock demand.
    Always,
}

/// Where the lists are, who reads them, and how they are written.
///
/// Secrets are neither shown by `Debug` nor serialised.
///
/// ```
/// use klstore_format::S3StoreConfig;
/// let config = S3StoreConfig { region: "eu-central-1".to_owned(), ..S3StoreConfig::new("my-bucket") };
/// config.validate()?;
/// # Ok::<(), klstore_format::config::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3StoreConfig {
    /// What all object names begin with: "" or parts of `A-Z a-z 0-9 - _ .` between slashes.
    pub object_prefix: String,
    /// The bucket. Required.
    pub bucket_name: String,
    /// URL of an S3-compatible store; AWS where it is `None`.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// Whether the bucket stands in the URL's path instead of in its host name.
    pub path_style: bool,
    /// Whether the whole AWS chain is asked for credentials where no keys are set here.
    pub use_default_credentials: bool,
    /// Whether requests are not signed at all.
    pub anonymous: bool,
    /// Static credentials: the key's id. Wins over a profile.
    pub access_key: Option<String>,
    /// Static credentials: the secret.
    #[serde(skip_serializing)]
    pub secret_key: Option<String>,
    /// Static credentials: another name for `session_token`.
    #[serde(skip_serializing)]
    pub security_token: Option<String>,
    /// Static credentials: the token of temporary ones.
    #[serde(skip_serializing)]
    pub session_token: Option<String>,
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Items of a page where the caller says nothing.
    pub default_max_results: u64,
    /// Lists that a writer keeps in memory.
    pub max_cached_keys: usize,
    /// A commit or segment of so many items is complete: never rewritten.
    pub compact_items_threshold: u64,
    /// A commit or segment of so many bytes is complete: never rewritten.
    pub compact_size_threshold: u64,
    /// So many small commits are compacted even if they do not fill a complete segment.
    pub compact_objects_threshold: u64,
    /// How far ahead of the writer's clock a timestamp may be, in milliseconds; any where it is `None`.
    pub max_future_skew_millis: Option<u64>,
    /// Plain bytes of earlier items (with 35 for each beside its value) that a small commit repeats, so that a reader
    /// finds the newest page in one object.
    pub carry_bytes: usize,
    /// How items are compressed. Small commits and carries, which a compaction rewrites, take LZ4 where this is Zstandard.
    pub codec: Codec,
    /// When requests carry a checksum.
    pub checksums: Checksums,
}

impl Default for S3StoreConfig {
    fn default() -> Self {
        Self {
            object_prefix: String::new(),
            bucket_name: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: false,
            use_default_credentials: true,
            anonymous: false,
            access_key: None,
            secret_key: None,
            security_token: None,
            session_token: None,
            profile: None,
            default_max_results: DEFAULT_MAX_RESULTS,
            max_cached_keys: 100_000,
            compact_items_threshold: 1_000,
            compact_size_threshold: 1 << 20,
            compact_objects_threshold: 100,
            max_future_skew_millis: Some(24 * 60 * 60 * 1_000),
            carry_bytes: DEFAULT_CARRY_BYTES,
            codec: Codec::default(),
            checksums: Checksums::default(),
        }
    }
}

impl S3StoreConfig {
    /// The defaults, for a bucket.
    pub fn new(bucket_name: impl Into<String>) -> Self {
        Self { bucket_name: bucket_name.into(), ..Self::default() }
    }

    /// Checks that the settings make sense together, before any request.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_place()?;
        self.validate_credentials()?;
        self.validate_numbers()
    }

    /// The checked prefix.
    ///
    /// # Errors
    /// [`NameError::Prefix`].
    pub fn prefix(&self) -> Result<Prefix, NameError> {
        Prefix::new(&self.object_prefix)
    }

    /// The token of temporary credentials, under either name.
    pub fn token(&self) -> Option<&str> {
        set(&self.session_token).or(set(&self.security_token))
    }

    fn validate_place(&self) -> Result<(), ConfigError> {
        self.prefix()?;
        if self.bucket_name.is_empty() {
            return Err(ConfigError::MissingBucket);
        }
        if self.bucket_name.ends_with("--x-s3") {
            return Err(ConfigError::DirectoryBucket { bucket: self.bucket_name.clone() });
        }
        if self.bucket_name.contains('/') {
            return Err(ConfigError::BucketName { bucket: self.bucket_name.clone() });
        }
        if self.region.is_empty() {
            return Err(ConfigError::MissingRegion);
        }
        match set(&self.endpoint) {
            Some(endpoint) if !is_endpoint(endpoint) => Err(ConfigError::Endpoint),
            _ => Ok(()),
        }
    }

    fn validate_credentials(&self) -> Result<(), ConfigError> {
        if let (Some(session), Some(security)) = (set(&self.session_token), set(&self.security_token))
            && session != security
        {
            return Err(ConfigError::DifferentTokens);
        }
        let (id, secret) = (set(&self.access_key).is_some(), set(&self.secret_key).is_some());
        if id != secret {
            let missing = if id { "secret_key" } else { "access_key" };
            return Err(ConfigError::IncompleteKeys { missing });
        }
        if self.token().is_some() && !id {
            return Err(ConfigError::IncompleteKeys { missing: "access_key and secret_key" });
        }
        if self.anonymous && (id || set(&self.profile).is_some()) {
            return Err(ConfigError::AnonymousWithCredentials);
        }
        let any = id || self.anonymous || self.use_default_credentials || set(&self.profile).is_some();
        if any { Ok(()) } else { Err(ConfigError::NoCredentials) }
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        let limits = [
            ("default_max_results", self.default_max_results, 1, MAX_PAGE_ITEMS),
            ("max_cached_keys", self.max_cached_keys as u64, 1, u64::MAX),
            ("compact_items_threshold", self.compact_items_threshold, 1, u64::MAX),
            ("compact_size_threshold", self.compact_size_threshold, 1, u64::MAX),
            ("compact_objects_threshold", self.compact_objects_threshold, 1, MAX_TABLE_ENTRIES as u64),
            ("carry_bytes", self.carry_bytes as u64, 0, MAX_CARRY_BYTES as u64),
        ];
        for (setting, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::OutOfRange { setting, value, least, most });
            }
        }
        Ok(())
    }
}

/// A setting that is there and not empty: an empty one, as environments have it, counts as not set.
fn set(setting: &Option<String>) -> Option<&str> {
    setting.as_deref().filter(|value| !value.is_empty())
}

fn is_endpoint(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("https://").or(endpoint.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/') && !host.contains(['@', '?', '#', ' ']))
}

impl fmt::Debug for S3StoreConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        formatter
            .debug_struct("S3StoreConfig")
            .field("object_prefix", &self.object_prefix)
            .field("bucket_name", &self.bucket_name)
            .field(
                "endpoint",
                &self.endpoint.as_deref().map(|endpoint| if is_endpoint(endpoint) { endpoint } else { "***" }),
            )
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("use_default_credentials", &self.use_default_credentials)
            .field("anonymous", &self.anonymous)
            .field("access_key", &masked(&self.access_key))
            .field("secret_key", &masked(&self.secret_key))
            .field("security_token", &masked(&self.security_token))
            .field("session_token", &masked(&self.session_token))
            .field("profile", &self.profile)
            .field("default_max_results", &self.default_max_results)
            .field("max_cached_keys", &self.max_cached_keys)
            .field("compact_items_threshold", &self.compact_items_threshold)
            .field("compact_size_threshold", &self.compact_size_threshold)
            .field("compact_objects_threshold", &self.compact_objects_threshold)
            .field("max_future_skew_millis", &self.max_future_skew_millis)
            .field("carry_bytes", &self.carry_bytes)
            .field("codec", &self.codec)
            .field("checksums", &self.checksums)
            .finish()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut S3StoreConfig)) -> ConfigError {
        let mut config = S3StoreConfig::new("bucket");
        change(&mut config);
        config.validate().expect_err("settings that make no sense are refused")
    }

    fn some(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert_eq!(S3StoreConfig::new("bucket").validate(), Ok(()));
        assert_eq!(refused(|config| config.bucket_name.clear()), ConfigError::MissingBucket);
        let directory = refused(|config| config.bucket_name = "b--use1-az4--x-s3".to_owned());
        assert!(matches!(directory, ConfigError::DirectoryBucket { .. }));
        assert!(matches!(refused(|config| config.bucket_name = "b/p".to_owned()), ConfigError::BucketName { .. }));
        assert!(matches!(refused(|config| config.object_prefix = "/".to_owned()), ConfigError::Prefix(_)));
        assert_eq!(refused(|config| config.region.clear()), ConfigError::MissingRegion);
        for endpoint in ["localhost:9000", "ftp://host", "https://", "https://user:secret@host", "http://host?a"] {
            assert_eq!(refused(|config| config.endpoint = some(endpoint)), ConfigError::Endpoint);
        }
        let missing_secret = refused(|config| config.access_key = some("AKIA"));
        assert_eq!(missing_secret, ConfigError::IncompleteKeys { missing: "secret_key" });
        let missing_keys = refused(|config| config.session_token = some("token"));
        assert!(matches!(missing_keys, ConfigError::IncompleteKeys { .. }));
        let different = refused(|config| {
            (config.session_token, config.security_token) = (some("one"), some("other"));
        });
        assert_eq!(different, ConfigError::DifferentTokens);
        assert_eq!(refused(|config| config.use_default_credentials = false), ConfigError::NoCredentials);
        let both = refused(|config| (config.anonymous, config.profile) = (true, some("dev")));
        assert_eq!(both, ConfigError::AnonymousWithCredentials);
        let changes: [fn(&mut S3StoreConfig); 7] = [
            |config| config.default_max_results = 0,
            |config| config.max_cached_keys = 0,
            |config| config.compact_items_threshold = 0,
            |config| config.compact_size_threshold = 0,
            |config| config.compact_objects_threshold = 0,
            |config| config.compact_objects_threshold = 251,
            |config| config.carry_bytes = usize::MAX,
        ];
        for change in changes {
            assert!(matches!(refused(change), ConfigError::OutOfRange { .. }));
        }
    }

    #[test]
    fn one_token_under_either_name() {
        let keys = S3StoreConfig { access_key: some("a"), secret_key: some("b"), ..S3StoreConfig::new("bucket") };
        let security = S3StoreConfig { security_token: some("t"), session_token: some(""), ..keys.clone() };
        assert_eq!((security.validate(), security.token()), (Ok(()), Some("t")));
        let same = S3StoreConfig { session_token: some("t"), ..security };
        assert_eq!((same.validate(), same.token()), (Ok(()), Some("t")));
    }

    #[test]
    fn secrets_are_never_shown() {
        let config = S3StoreConfig {
            access_key: some("AKIAHUSH"),
            secret_key: some("hush"),
            security_token: some("hush"),
            session_token: some("hush"),
            endpoint: some("https://user:hush@host"),
            ..S3StoreConfig::new("bucket")
        };
        let shown = format!("{config:?}").to_lowercase();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(!format!("{}", config.validate().unwrap_err()).contains("hush"));
        let written = serde_json::to_value(&S3StoreConfig { endpoint: None, ..config }).unwrap();
        assert!(!written.to_string().contains("\"hush\""), "{written}");
    }

    #[test]
    fn settings_are_read_with_defaults_and_without_typing_errors() {
        let read: S3StoreConfig =
            serde_json::from_str(r#"{"bucket_name":"b","checksums":"always","codec":"lz4"}"#).unwrap();
        let expected = S3StoreConfig { checksums: Checksums::Always, codec: Codec::Lz4, ..S3StoreConfig::new("b") };
        assert_eq!(read, expected);
        assert!(serde_json::from_str::<S3StoreConfig>(r#"{"bucket":"b"}"#).is_err());
    }
}
