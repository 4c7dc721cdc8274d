//! The real store: S3 and what speaks its protocol, by the AWS SDK.

mod failure;
mod put_headers;
mod whole_document;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use bytes::{Bytes, BytesMut};
use klstore_format::S3StoreConfig;
use klstore_format::config::Checksums;
use klstore_format::limits::MAX_PAGE_BYTES;
use klstore_format::plan::{Answer, ByteRange, Listed, Listing, Object, PutKind, Request};
use klstore_format::rules::{self, Rule};

use crate::error::WriterError;
use crate::store::{ObjectStore, StoreError};
use failure::Failure;
use put_headers::PutHeaders;
use whole_document::WholeDocument;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the begin of a request to its answer: room for 16 MiB over a slow line.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many empty but unfinished LIST answers are followed before the store is given up on.
const MAX_EMPTY_LISTINGS: u32 = 100;

/// An S3 bucket as an [`ObjectStore`]. Each request is sent once: the SDK's retries are off.
pub struct S3ObjectStore {
    client: Client,
    bucket: String,
    region: String,
    endpoint: String,
    put_headers: PutHeaders,
    /// Set once the store has said that it does not know DeleteObjects.
    deletes_singly: AtomicBool,
}

impl S3ObjectStore {
    /// The store that `config` describes. No request is sent yet.
    ///
    /// # Errors
    ///
    /// [`WriterError::Configuration`] where the settings contradict each other or name no credentials,
    /// [`WriterError::Credentials`] where the file of certificate authorities cannot be used.
    pub async fn new(config: &S3StoreConfig) -> Result<Self, WriterError> {
        Ok(Self::with_sdk_config(config, &klstore_credentials::sdk_config(config).await?))
    }

    /// The same over an SDK set-up of the caller's: credentials, endpoint, HTTP client, timer and clock are those of
    /// `shared`; of `config` what is about requests and objects counts.
    pub fn with_sdk_config(config: &S3StoreConfig, shared: &SdkConfig) -> Self {
        let (request_checksums, response_checksums) = match config.checksums {
            Checksums::WhenRequired => {
                (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired)
            }
            Checksums::Always => (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported),
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(ATTEMPT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut builder = Builder::from(shared)
            // A 412 may be the answer to our own earlier attempt: only the plan can tell (PROTOCOL rule 4).
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .force_path_style(config.path_style)
            .request_checksum_calculation(request_checksums)
            .response_checksum_validation(response_checksums)
            // A clock that far off spoils the timestamps too: better a clear error than a silent correction.
            .disable_clock_skew_correction(true);
        if config.anonymous {
            builder = builder.allow_no_auth();
        }
        Self {
            client: Client::from_conf(builder.build()),
            bucket: config.bucket_name.clone(),
            region: config.region.clone(),
            endpoint: config.endpoint.clone().unwrap_or_else(|| format!("AWS in {}", config.region)),
            put_headers: PutHeaders::new(config),
            deletes_singly: AtomicBool::new(false),
        }
    }

    async fn list(
        &self,
        prefix: String,
        start_after: Option<String>,
        max_keys: u32,
        delimiter: bool,
    ) -> Result<Answer, StoreError> {
        let mut continuation = None;
        for _ in 0..MAX_EMPTY_LISTINGS {
            let output = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&prefix)
                .set_start_after(start_after.clone().filter(|_| continuation.is_none()))
                .set_continuation_token(continuation)
                .max_keys(i32::try_from(max_keys).unwrap_or(1_000))
                .set_delimiter(delimiter.then(|| "/".to_owned()))
                // Foreign names may hold characters that XML cannot.
                .encoding_type(EncodingType::Url)
                .customize()
                .interceptor(WholeDocument { root: "ListBucketResult" })
                .send()
                .await
                .map_err(|error| self.error("ListObjectsV2", &prefix, error))?;
            let encoded = output.encoding_type() == Some(&EncodingType::Url);
            let objects = output.contents().iter().filter_map(|object| {
                Some(Listed {
                    name: decode_name(object.key()?, encoded)?,
                    etag: strip_etag(object.e_tag().unwrap_or_default()),
                    size: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                })
            });
            let common = output.common_prefixes().iter();
            let listing = Listing {
                objects: objects.collect(),
                common_prefixes: common.filter_map(|common| decode_name(common.prefix()?, encoded)).collect(),
                truncated: output.is_truncated().unwrap_or(false),
            };
            // An answer may be shorter than asked for, even empty; empty must mean that there is nothing.
            continuation = output.next_continuation_token;
            let empty = listing.objects.is_empty() && listing.common_prefixes.is_empty();
            if !(empty && listing.truncated && continuation.is_some() && rules::kept(Rule::ListGoesOn)) {
                return Ok(Answer::Listed(listing));
            }
        }
        let reason = format!("{MAX_EMPTY_LISTINGS} answers in a row held no name and said that more follow");
        Err(StoreError::Rejected { action: "ListObjectsV2", object: prefix, reason })
    }

    async fn get(&self, name: String, range: Option<ByteRange>) -> Result<Answer, StoreError> {
        let action = "GetObject";
        let limit = match range {
            Some(range) if range.end <= range.start => {
                let reason = "a range of no bytes was asked for".to_owned();
                return Err(StoreError::Rejected { action, object: name, reason });
            }
            Some(range) => range.end - range.start,
            None => MAX_PAGE_BYTES,
        };
        let header = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let sent = self.client.get_object().bucket(&self.bucket).key(&name).set_range(header).send().await;
        let mut output = match sent {
            Ok(output) => output,
            Err(error) => {
                return match self.failure(action, &name, error) {
                    Failure::NotFound | Failure::BeyondEnd => Ok(Answer::Missing),
                    other => Err(other.into_error(action, &name)),
                };
            }
        };
        let part = match (range, output.content_range()) {
            (Some(range), Some(header)) => {
                let part = parse_content_range(header).filter(|part| part.start == range.start);
                part.ok_or_else(|| {
                    let reason = format!("asked for bytes from {} on, the answer is `{header}`", range.start);
                    StoreError::Rejected { action, object: name.clone(), reason }
                })?
            }
            // The whole object, although perhaps a part was asked for.
            _ => Part { start: 0, size: output.content_length().and_then(|size| u64::try_from(size).ok()) },
        };
        let skipped = range.map_or(0, |range| range.start - part.start);
        let unavailable = |reason| StoreError::Unavailable { action, object: name.clone(), reason };
        let body = receive(&mut output.body, skipped, limit, range.is_some()).await.map_err(unavailable)?;
        if range.is_some() && skipped > 0 && body.is_empty() {
            return Ok(Answer::Missing);
        }
        if let Some(size) = part.size
            && range.is_none_or(|range| size > range.start)
        {
            let expected = size - range.map_or(0, |range| range.start);
            if (body.len() as u64) < expected.min(limit) && rules::kept(Rule::WriterBodyLength) {
                return Err(unavailable(format!("{} of {} bytes came", body.len(), expected.min(limit))));
            }
        }
        Ok(Answer::Got(Object { body, etag: output.e_tag.as_deref().map(strip_etag), size: part.size }))
    }

    async fn put(&self, name: String, body: Bytes, kind: PutKind) -> Result<Answer, StoreError> {
        let action = "PutObject";
        let request = self.client.put_object().bucket(&self.bucket).key(&name).body(ByteStream::from(body));
        let sent = self
            .put_headers
            .add_to(request, &name, kind)
            .set_if_none_match((kind == PutKind::Create).then(|| "*".to_owned()))
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Answer::Done { etag: output.e_tag().map(strip_etag) }),
            Err(error) => match self.failure(action, &name, error) {
                Failure::Exists if kind == PutKind::Create => Ok(Answer::Exists),
                other => Err(other.into_error(action, &name)),
            },
        }
    }

    async fn delete(&self, names: Vec<String>) -> Result<Answer, StoreError> {
        if names.len() > 1 && !self.deletes_singly.load(Ordering::Relaxed) {
            match self.delete_many(&names).await {
                Err(StoreError::NotSupported { reason, .. }) => {
                    tracing::info!(bucket = %self.bucket, %reason, "no DeleteObjects here: deleting one by one");
                    self.deletes_singly.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        for name in names {
            let sent = self.client.delete_object().bucket(&self.bucket).key(&name).send().await;
            if let Err(error) = sent {
                match self.failure("DeleteObject", &name, error) {
                    Failure::NotFound => {}
                    other => return Err(other.into_error("DeleteObject", &name)),
                }
            }
        }
        Ok(Answer::Done { etag: None })
    }

    async fn delete_many(&self, names: &[String]) -> Result<Answer, StoreError> {
        let action = "DeleteObjects";
        let first = names.first().map(String::as_str).unwrap_or_default();
        let rejected = |reason: String| StoreError::Rejected { action, object: first.to_owned(), reason };
        let identifiers: Result<Vec<_>, _> =
            names.iter().map(|name| ObjectIdentifier::builder().key(name).build()).collect();
        let delete = identifiers
            .and_then(|identifiers| Delete::builder().set_objects(Some(identifiers)).quiet(true).build())
            .map_err(|error| rejected(error.to_string()))?;
        let output = self
            .client
            .delete_objects()
            .bucket(&self.bucket)
            .delete(delete)
            .customize()
            .interceptor(WholeDocument { root: "DeleteResult" })
            .send()
            .await
            .map_err(|error| self.error(action, first, error))?;
        // DeleteObjects answers 200 with an error for each object that it did not delete.
        for error in output.errors() {
            let code = error.code().unwrap_or_default();
            if code == "NoSuchKey" {
                continue;
            }
            let name = error.key().unwrap_or(first);
            return Err(self.of_code(action, name, code, error.message().unwrap_or_default()));
        }
        Ok(Answer::Done { etag: None })
    }
}

#[async_trait]
impl ObjectStore for S3ObjectStore {
    async fn execute(&self, request: Request) -> Result<Answer, StoreError> {
        match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                self.list(prefix, start_after, max_keys, delimiter).await
            }
            Request::Get { name, range, cache: _ } => self.get(name, range).await,
            Request::Put { name, body, kind } => self.put(name, body, kind).await,
            Request::Delete { names } => self.delete(names).await,
        }
    }
}

/// Without the client: what it holds is no business of a log.
impl std::fmt::Debug for S3ObjectStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut output = formatter.debug_struct("S3ObjectStore");
        output.field("bucket", &self.bucket).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Reads a body: `limit` bytes after the first `skipped`. More is cut off where a part was asked for, and refused
/// where the whole object was.
async fn receive(body: &mut ByteStream, skipped: u64, limit: u64, cut: bool) -> Result<Bytes, String> {
    let mut skip = usize::try_from(skipped).unwrap_or(usize::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|error| format!("its body broke off: {error}"))?;
        let skipped_now = skip.min(chunk.len());
        skip -= skipped_now;
        let mut chunk = chunk.split_off(skipped_now);
        let room = limit - first.len() - joined.len();
        let full = chunk.len() > room;
        if full && !cut {
            return Err(format!("it is longer than {limit} bytes"));
        }
        chunk.truncate(room);
        // Most answers are one chunk: those are not copied.
        if first.is_empty() && joined.is_empty() {
            first = chunk;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&chunk);
        }
        if full {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

struct Part {
    start: u64,
    size: Option<u64>,
}

/// `bytes 0-99/1234` or `bytes 0-99/*`.
fn parse_content_range(header: &str) -> Option<Part> {
    let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some(Part { start: start.trim().parse().ok()?, size: size.trim().parse().ok() })
}

/// An ETag without quotes and without the mark of a weak one.
fn strip_etag(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// A name of a LIST with `encoding-type=url`. Names that are no UTF-8 are not klstore's.
///
/// Some servers write a space as `+`; klstore's names hold neither, so `+` stays what it is.
fn decode_name(name: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(name.to_owned());
    }
    percent_encoding::percent_decode_str(name).decode_utf8().ok().map(|name| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_lose_quotes_and_weakness() {
        for etag in ["\"abc\"", "W/\"abc\"", "abc", " \"abc\" "] {
            assert_eq!(strip_etag(etag), "abc", "{etag}");
        }
    }

    #[test]
    fn content_ranges_with_and_without_size() {
        let part = parse_content_range("bytes 5-9/100").unwrap();
        assert_eq!((part.start, part.size), (5, Some(100)));
        assert_eq!(parse_content_range("bytes 5-9/*").unwrap().size, None);
        assert!(parse_content_range("items 5-9/100").is_none());
    }

    #[test]
    fn names_are_decoded_only_where_the_answer_says_so() {
        assert_eq!(decode_name("a%2Fb~20c+d", true).unwrap(), "a/b~20c+d");
        assert_eq!(decode_name("a%2Fb", false).unwrap(), "a%2Fb");
        assert!(decode_name("%FF", true).is_none());
    }

    #[tokio::test]
    async fn no_secret_shows_in_debug_output() {
        let mut config = S3StoreConfig::new("bucket");
        config.access_key = Some("AKTEST".into());
        config.secret_key = Some("very-secret".into());
        config.session_token = Some("very-secret-token".into());
        let store = S3ObjectStore::new(&config).await.unwrap();
        let builder = crate::S3StoreWriter::builder(config.clone());
        let shown = format!("{store:?} {builder:?} {:?}", crate::S3StoreWriter::new(config).await.unwrap());
        assert!(shown.contains("bucket") && !shown.contains("very-secret"), "{shown}");
    }

    #[tokio::test]
    async fn a_body_is_bounded() {
        let body = || ByteStream::from_static(b"0123456789");
        assert_eq!(receive(&mut body(), 2, 3, true).await.unwrap(), "234");
        assert_eq!(receive(&mut body(), 12, 3, true).await.unwrap(), "");
        assert_eq!(receive(&mut body(), 0, 10, false).await.unwrap(), "0123456789");
        assert!(receive(&mut body(), 0, 9, false).await.is_err());
    }
}
