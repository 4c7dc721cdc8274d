//! How the store keeps what is put into it.

use serde::{Deserialize, Serialize};

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

/// How S3 is asked to encrypt objects. Reading needs no setting: S3 knows how it encrypted each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ServerSideEncryption {
    /// Nothing is asked for: the bucket's own setting holds (on AWS never less than SSE-S3).
    #[default]
    #[serde(rename = "none")]
    None,
    /// SSE-S3: keys that S3 manages.
    #[serde(rename = "AES256")]
    Aes256,
    /// SSE-KMS: a key in AWS KMS. Readers need kms:Decrypt, the writer kms:GenerateDataKey as well.
    #[serde(rename = "aws:kms")]
    AwsKms,
}

/// The storage class of segments. Only classes that answer a GET at once: GLACIER and DEEP_ARCHIVE do not, and a list
/// with a part in them could not be read.
///
/// The cheaper classes charge for retrieval, for 128 KiB at least and for 30 days at least (90 in `GlacierIr`):
/// worth it for lists that are written once and seldom read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClass {
    /// The store's standard class; nothing is asked for.
    #[default]
    Standard,
    /// Infrequent access.
    StandardIa,
    /// Infrequent access, in one availability zone.
    OnezoneIa,
    /// Moved between tiers by S3.
    IntelligentTiering,
    /// Glacier with instant retrieval.
    GlacierIr,
}
