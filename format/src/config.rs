//! The settings of an S3 store, for reader and writer alike.

mod error;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::NameError;
pub use crate::limits::MAX_CARRY_BYTES;
use crate::limits::{DEFAULT_CARRY_BYTES, DEFAULT_MAX_RESULTS, MAX_PAGE_ITEMS, MAX_TABLE_ENTRIES};
use crate::names::Prefix;
use crate::wire::compression::Codec;

pub use error::ConfigError;
pub use storage::{Checksums, ServerSideEncryption, StorageClass};

/// AWS's own bound on the name of a KMS key.
const MAX_KMS_KEY_ID_LENGTH: usize = 2_048;

/// Memory for the carries of all keys together, where nothing else is said: 64 MiB.
pub const DEFAULT_CARRY_BUDGET_BYTES: usize = 64 << 20;

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
    /// A writer trims what is older: milliseconds before its clock. All stays where it is `None`.
    pub retention_max_age_millis: Option<u64>,
    /// A writer trims all but so many items, the newest. All stay where it is `None`.
    pub retention_max_items: Option<u64>,
    /// A writer trims all but the newest items of so many value bytes together. All stay where it is `None`.
    pub retention_max_bytes: Option<u64>,
    /// Plain bytes of earlier items (with 35 for each beside its value) that a small commit repeats, so that a reader
    /// finds the newest page in one object.
    pub carry_bytes: usize,
    /// Bytes of memory that the carries and recent items of all of a writer's keys may take together. Keys beyond that
    /// are written without carry, and read again for their compaction.
    pub carry_budget_bytes: usize,
    /// How items are compressed. Small commits and carries, which a compaction rewrites, take LZ4 where this is Zstandard.
    pub codec: Codec,
    /// When requests carry a checksum.
    pub checksums: Checksums,
    /// How S3 encrypts what is put; as the bucket says where it is [`ServerSideEncryption::None`].
    pub server_side_encryption: ServerSideEncryption,
    /// The key for [`ServerSideEncryption::AwsKms`]: id, alias or ARN. AWS's own key for S3 where it is `None`.
    pub kms_key_id: Option<String>,
    /// The storage class of segments. Commits and index pages are small and may be short-lived: they stay in the
    /// store's standard class.
    pub storage_class: StorageClass,
    /// A PEM file of certificate authorities to trust beside those of the operating system.
    pub ca_bundle: Option<PathBuf>,
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
            retention_max_age_millis: None,
            retention_max_items: None,
            retention_max_bytes: None,
            carry_bytes: DEFAULT_CARRY_BYTES,
            carry_budget_bytes: DEFAULT_CARRY_BUDGET_BYTES,
            codec: Codec::default(),
            checksums: Checksums::default(),
            server_side_encryption: ServerSideEncryption::default(),
            kms_key_id: None,
            storage_class: StorageClass::default(),
            ca_bundle: None,
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
    /// The first of [`mistakes`](Self::mistakes).
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.mistakes().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that does not make sense together; of what follows from a mistake, only that mistake.
    ///
    /// ```
    /// use klstore_format::S3StoreConfig;
    /// let config = S3StoreConfig { region: String::new(), ..S3StoreConfig::default() };
    /// let settings: Vec<_> = config.mistakes().iter().map(|mistake| mistake.setting()).collect();
    /// assert_eq!(settings, ["bucket_name", "region"]);
    /// ```
    pub fn mistakes(&self) -> Vec<ConfigError> {
        let prefix = self.prefix().err().map(ConfigError::from);
        let region = self.region.is_empty().then_some(ConfigError::MissingRegion);
        let endpoint = set(&self.endpoint).filter(|endpoint| !is_endpoint(endpoint)).map(|_| ConfigError::Endpoint);
        let place = [prefix, self.validate_bucket().err(), region, endpoint];
        let others = [self.validate_credentials().err(), self.validate_encryption().err()];
        place.into_iter().chain(others).flatten().chain(self.numbers_out_of_range()).collect()
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

    /// The KMS key to name, if any.
    pub fn kms_key(&self) -> Option<&str> {
        set(&self.kms_key_id)
    }

    fn validate_bucket(&self) -> Result<(), ConfigError> {
        let bucket = || self.bucket_name.clone();
        match self.bucket_name.as_str() {
            "" => Err(ConfigError::MissingBucket),
            name if name.ends_with("--x-s3") => Err(ConfigError::DirectoryBucket { bucket: bucket() }),
            name if name.contains('/') => Err(ConfigError::BucketName { bucket: bucket() }),
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

    fn validate_encryption(&self) -> Result<(), ConfigError> {
        let Some(key) = self.kms_key() else { return Ok(()) };
        if self.server_side_encryption != ServerSideEncryption::AwsKms {
            return Err(ConfigError::KmsKeyWithoutKms);
        }
        // It is sent in a header.
        let plain = key.len() <= MAX_KMS_KEY_ID_LENGTH && key.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(()) } else { Err(ConfigError::KmsKeyId) }
    }

    fn numbers_out_of_range(&self) -> impl Iterator<Item = ConfigError> {
        let limits = [
            ("default_max_results", self.default_max_results, 1, MAX_PAGE_ITEMS),
            ("max_cached_keys", self.max_cached_keys as u64, 1, u64::MAX),
            ("compact_items_threshold", self.compact_items_threshold, 1, u64::MAX),
            ("compact_size_threshold", self.compact_size_threshold, 1, u64::MAX),
            ("compact_objects_threshold", self.compact_objects_threshold, 1, MAX_TABLE_ENTRIES as u64),
            ("carry_bytes", self.carry_bytes as u64, 0, MAX_CARRY_BYTES as u64),
            ("retention_max_age_millis", self.retention_max_age_millis.unwrap_or(u64::MAX), 1, u64::MAX),
            ("retention_max_items", self.retention_max_items.unwrap_or(u64::MAX), 1, u64::MAX),
            ("retention_max_bytes", self.retention_max_bytes.unwrap_or(u64::MAX), 1, u64::MAX),
        ];
        out_of_range(limits)
    }
}

/// Of settings with their values and limits, those that are beyond.
pub fn out_of_range<const N: usize>(limits: [(&'static str, u64, u64, u64); N]) -> impl Iterator<Item = ConfigError> {
    let beyond = limits.into_iter().filter(|(_, value, least, most)| !(least..=most).contains(&value));
    beyond.map(|(setting, value, least, most)| ConfigError::OutOfRange { setting, value, least, most })
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
            .field("retention_max_age_millis", &self.retention_max_age_millis)
            .field("retention_max_items", &self.retention_max_items)
            .field("retention_max_bytes", &self.retention_max_bytes)
            .field("carry_bytes", &self.carry_bytes)
            .field("carry_budget_bytes", &self.carry_budget_bytes)
            .field("codec", &self.codec)
            .field("checksums", &self.checksums)
            .field("server_side_encryption", &self.server_side_encryption)
            .field("kms_key_id", &self.kms_key_id)
            .field("storage_class", &self.storage_class)
            .field("ca_bundle", &self.ca_bundle)
            .finish()
    }
}
