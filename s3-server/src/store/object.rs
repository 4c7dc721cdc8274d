//! An object as the store keeps it, and what can be asked of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};

/// The MD5 digest of an object's body: its ETag, as S3 gives single PUTs.
///
/// ```
/// use klstore_s3_server::ETag;
/// assert_eq!(ETag::of(b"hello").to_string(), "5d41402abc4b2a76b9719d911017c592");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ETag([u8; 16]);

impl ETag {
    /// The ETag of a body.
    pub fn of(body: &[u8]) -> Self {
        Self(Md5::checksum(body))
    }

    /// The 16 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether an ETag as a client wrote it (quoted, weak or bare) is this one.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.trim();
        text.strip_prefix("W/").unwrap_or(text).trim_matches('"') == self.to_string()
    }

    #[cfg(unix)]
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut digest = [0; 16];
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }
}

/// 32 lower-case hex digits, without the quotes that HTTP puts around them.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The headers that a PUT gave an object; every GET and HEAD answers them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectMetadata {
    /// `Content-Type`; where absent, `binary/octet-stream` is answered, as S3 does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without the `aws-chunked` of the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `x-amz-meta-*`, without that prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    /// The checksum that came with the upload and was found right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<ObjectChecksum>,
}

/// A checksum of a whole body, in base64 as S3's headers carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", content = "value")]
pub enum ObjectChecksum {
    /// `x-amz-checksum-crc32`
    Crc32(String),
    /// `x-amz-checksum-crc32c`
    Crc32c(String),
    /// `x-amz-checksum-crc64nvme`
    Crc64Nvme(String),
    /// `x-amz-checksum-sha1`
    Sha1(String),
    /// `x-amz-checksum-sha256`
    Sha256(String),
}

/// What a LIST tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// The object's key.
    pub key: String,
    /// The MD5 of the body.
    pub etag: ETag,
    /// Bytes of the body.
    pub size: u64,
    /// When it was put.
    pub last_modified: SystemTime,
}

/// An object with its headers and its body, or the part of it that was asked for.
#[derive(Clone, Debug)]
pub struct Object {
    /// The MD5 of the whole body.
    pub etag: ETag,
    /// Bytes of the whole body.
    pub size: u64,
    /// When it was put.
    pub last_modified: SystemTime,
    /// The headers given at the PUT.
    pub metadata: ObjectMetadata,
    /// The bytes of `range`.
    pub body: Bytes,
    /// Which bytes of the whole body these are.
    pub range: std::ops::Range<u64>,
}

/// The part of a body that a GET asks for, as in HTTP's `Range`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteRange {
    /// The whole body.
    #[default]
    All,
    /// No body at all, as HEAD.
    Nothing,
    /// `bytes=first-last`, both inclusive; cut at the end of the body.
    FromTo(u64, u64),
    /// `bytes=first-`
    From(u64),
    /// `bytes=-length`
    Last(u64),
}

impl ByteRange {
    /// The bytes that are meant in a body of `size`, or `None` where it has none of them (HTTP's 416).
    pub fn within(self, size: u64) -> Option<std::ops::Range<u64>> {
        match self {
            Self::All => Some(0..size),
            Self::Nothing => Some(0..0),
            Self::FromTo(first, last) if first < size && first <= last => Some(first..last.saturating_add(1).min(size)),
            Self::From(first) if first < size => Some(first..size),
            Self::Last(length) if length > 0 && size > 0 => Some(size.saturating_sub(length)..size),
            Self::FromTo(..) | Self::From(_) | Self::Last(_) => None,
        }
    }
}

/// What must hold at the moment when a PUT takes effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: there is no object of this key.
    Absent,
    /// `If-Match: *`: there is one.
    Present,
    /// `If-Match: "etag"`: there is one with this ETag.
    ETag(String),
}

impl Precondition {
    pub(super) fn holds(&self, current: Option<ETag>) -> bool {
        match (self, current) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => true,
            (Self::ETag(wanted), Some(etag)) => etag.matches(wanted),
            (Self::Absent, Some(_)) | (Self::Present | Self::ETag(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_refused_beyond_it() {
        assert_eq!(ByteRange::FromTo(2, 100).within(10), Some(2..10));
        assert_eq!(ByteRange::FromTo(9, u64::MAX).within(10), Some(9..10));
        assert_eq!(ByteRange::FromTo(10, 11).within(10), None);
        assert_eq!(ByteRange::FromTo(5, 4).within(10), None);
        assert_eq!(ByteRange::From(9).within(10), Some(9..10));
        assert_eq!(ByteRange::From(10).within(10), None);
        assert_eq!(ByteRange::Last(3).within(10), Some(7..10));
        assert_eq!(ByteRange::Last(30).within(10), Some(0..10));
        assert_eq!(ByteRange::Last(0).within(10), None);
        assert_eq!(ByteRange::Last(1).within(0), None);
        assert_eq!(ByteRange::All.within(0), Some(0..0));
    }

    #[test]
    fn an_etag_is_compared_without_quotes_and_weakness() {
        let etag = ETag::of(b"");
        assert_eq!(etag.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        assert!(etag.matches("\"d41d8cd98f00b204e9800998ecf8427e\""));
        assert!(etag.matches("W/\"d41d8cd98f00b204e9800998ecf8427e\""));
        assert!(!etag.matches("\"d41d8cd98f00b204e9800998ecf8427f\""));
    }

    #[test]
    fn a_precondition_is_judged_by_what_is_there() {
        let etag = ETag::of(b"x");
        assert!(Precondition::Absent.holds(None));
        assert!(!Precondition::Absent.holds(Some(etag)));
        assert!(Precondition::Present.holds(Some(etag)));
        assert!(!Precondition::Present.holds(None));
        assert!(Precondition::ETag(etag.to_string()).holds(Some(etag)));
        assert!(!Precondition::ETag(etag.to_string()).holds(Some(ETag::of(b"y"))));
    }
}
