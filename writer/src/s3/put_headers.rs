//! What PUTs say beside the object: how long caches may keep it, how it is encrypted, how it is stored.

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types;
use klstore_format::S3StoreConfig;
use klstore_format::config::{ServerSideEncryption, StorageClass};
use klstore_format::names::is_segment_name;
use klstore_format::plan::PutKind;

/// What never changes may be kept for ever.
const CACHE_IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// A commit may be replaced by a stub, or be collected and created again: ask the store each time.
const CACHE_NOTHING: &str = "no-cache";

/// The settings that become headers.
pub(super) struct PutHeaders {
    encryption: Option<types::ServerSideEncryption>,
    kms_key: Option<String>,
    segment_class: Option<types::StorageClass>,
}

impl PutHeaders {
    pub(super) fn new(config: &S3StoreConfig) -> Self {
        let encryption = match config.server_side_encryption {
            ServerSideEncryption::None => None,
            ServerSideEncryption::Aes256 => Some(types::ServerSideEncryption::Aes256),
            ServerSideEncryption::AwsKms => Some(types::ServerSideEncryption::AwsKms),
        };
        let segment_class = match config.storage_class {
            // Not said, as not every store knows the name.
            StorageClass::Standard => None,
            StorageClass::StandardIa => Some(types::StorageClass::StandardIa),
            StorageClass::OnezoneIa => Some(types::StorageClass::OnezoneIa),
            StorageClass::IntelligentTiering => Some(types::StorageClass::IntelligentTiering),
            StorageClass::GlacierIr => Some(types::StorageClass::GlacierIr),
        };
        Self { encryption, kms_key: config.kms_key().map(str::to_owned), segment_class }
    }

    /// The PUT of the object `name` with them.
    pub(super) fn add_to(&self, put: PutObjectFluentBuilder, name: &str, kind: PutKind) -> PutObjectFluentBuilder {
        let cache = if kind == PutKind::Immutable { CACHE_IMMUTABLE } else { CACHE_NOTHING };
        let class = self.segment_class.clone().filter(|_| kind == PutKind::Immutable && is_segment_name(name));
        put.cache_control(cache)
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key.clone())
            .set_storage_class(class)
    }
}
