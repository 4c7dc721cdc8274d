//! The S3 operations over the store. s3s has read and authorised a request before it comes here.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::*;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::sync::Semaphore;

use crate::access::{Access, Permission, access_denied};
use crate::counts::Meter;
use crate::store::{
    self, ByteRange, ListRequest, ListStart, MAX_KEYS, Object as StoredObject, ObjectChecksum, ObjectMetadata,
    Precondition, Store, StoreError,
};
use crate::upload_check;

/// What faults bend in the course of an operation; travels in the request's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bent {
    pub(crate) ignore_preconditions: bool,
    pub(crate) list_limit: Option<usize>,
    pub(crate) list_reversed: bool,
    pub(crate) keep_keys: Option<String>,
}

pub(crate) struct Operations {
    pub(crate) store: Arc<Store>,
    pub(crate) access: Access,
    pub(crate) meter: Arc<Meter>,
    pub(crate) max_object_size: u64,
    /// KiB of uploads that may be in memory at once.
    pub(crate) upload_memory: Arc<Semaphore>,
    pub(crate) upload_memory_size: u32,
}

impl Operations {
    /// Runs a method of the store where it may block.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> S3Result<T> {
        let store = self.store.clone();
        let result = match store.is_folder() {
            false => work(&store),
            true => tokio::task::spawn_blocking(move || work(&store)).await.map_err(S3Error::internal_error)?,
        };
        result.map_err(s3_error)
    }

    async fn read<T>(
        &self,
        request: &S3Request<T>,
        bucket: &str,
        key: &str,
        range: ByteRange,
    ) -> S3Result<StoredObject> {
        let (bucket_name, key_name) = (bucket.to_owned(), key.to_owned());
        let found = self.on_store(move |store| store.get(&bucket_name, &key_name, range)).await;
        match found {
            // Whoever may not list may not learn either which keys exist.
            Err(error) if *error.code() == S3ErrorCode::NoSuchKey => {
                let signer = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
                let allowed = self.access.allows(signer, (Permission::ListBucket, bucket, None));
                Err(if allowed { error } else { access_denied() })
            }
            found => found,
        }
    }

    /// Waits for room for an upload of so many bytes.
    async fn room(&self, bytes: Option<i64>) -> S3Result<tokio::sync::SemaphorePermit<'_>> {
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(self.max_object_size);
        if bytes > self.max_object_size {
            return Err(too_large(self.max_object_size));
        }
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.upload_memory_size);
        self.upload_memory.acquire_many(kibibytes).await.map_err(S3Error::internal_error)
    }

    async fn store_object(
        &self,
        bucket: String,
        key: String,
        body: bytes::Bytes,
        metadata: ObjectMetadata,
        precondition: Precondition,
    ) -> S3Result<store::ObjectSummary> {
        let length = body.len() as u64;
        let put = move |store: &Store| store.put(&bucket, &key, body, metadata, &precondition);
        let summary = self.on_store(put).await?;
        self.meter.stored(length);
        Ok(summary)
    }
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |bucket: store::BucketSummary| Bucket {
            name: Some(bucket.name),
            creation_date: Some(bucket.created.into()),
            ..Bucket::default()
        };
        let buckets = Some(self.store.buckets().into_iter().map(bucket).collect());
        Ok(S3Response::new(ListBucketsOutput { buckets, ..ListBucketsOutput::default() }))
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = request.input.bucket;
        let location = Some(format!("/{name}"));
        self.on_store(move |store| store.create_bucket(&name)).await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        let name = request.input.bucket;
        self.on_store(move |store| store.delete_bucket(&name)).await?;
        Ok(S3Response::with_status(DeleteBucketOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.require_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.require_bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let bent = request.extensions.get::<Bent>().cloned().unwrap_or_default();
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS as i32);
        let asked =
            usize::try_from(max_keys).map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
        let start = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => ListStart::from_token(token)
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            (None, Some(key)) if !key.is_empty() => ListStart::After(key.clone()),
            (None, _) => ListStart::First,
        };
        let list = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            start,
            max_keys: asked.min(bent.list_limit.unwrap_or(usize::MAX)),
        };
        let bucket = input.bucket.clone();
        // Of memory alone, also where the objects are files.
        let page = self.store.list(&bucket, &list).map_err(s3_error)?;

        let encode = input.encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
        let written = |text: String| if encode { encode_key(&text) } else { text };
        let next_continuation_token = page.next.as_ref().map(ListStart::to_token);
        let mut contents: Vec<Object> = page.objects.into_iter().map(|object| summary(object, written)).collect();
        if bent.list_reversed {
            contents.reverse();
        }
        let common_prefixes: Vec<CommonPrefix> =
            page.common_prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(written(prefix)) }).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(bucket),
            prefix: Some(written(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()).map(written),
            start_after: input.start_after.map(written),
            max_keys: Some(max_keys.min(MAX_KEYS as i32)),
            key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
            is_truncated: Some(next_continuation_token.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token,
            encoding_type: input.encoding_type,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            request_charged: None,
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &request.input;
        let object = self.read(&request, &input.bucket, &input.key, byte_range(input.range)).await?;
        check_conditions(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let partial = input.range.is_some();
        let sums = match input.checksum_mode.is_some() && !partial {
            true => checksums(object.metadata.checksum.as_ref()),
            false => Checksum::default(),
        };
        let content_range =
            || format!("bytes {}-{}/{}", object.range.start, object.range.end.saturating_sub(1), object.size);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(object.body.len()).ok(),
            content_range: partial.then(content_range),
            body: Some(StreamingBlob::from(Body::from(object.body))),
            e_tag: Some(ETag::Strong(object.etag.to_string())),
            last_modified: Some(object.last_modified.into()),
            cache_control: object.metadata.cache_control,
            content_disposition: object.metadata.content_disposition,
            content_encoding: object.metadata.content_encoding,
            content_language: object.metadata.content_language,
            content_type: Some(object.metadata.content_type.unwrap_or_else(default_content_type)),
            metadata: Some(object.metadata.user.into_iter().collect()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &request.input;
        let object = self.read(&request, &input.bucket, &input.key, ByteRange::Nothing).await?;
        check_conditions(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(object.size).ok(),
            e_tag: Some(ETag::Strong(object.etag.to_string())),
            last_modified: Some(object.last_modified.into()),
            cache_control: object.metadata.cache_control,
            content_disposition: object.metadata.content_disposition,
            content_encoding: object.metadata.content_encoding,
            content_language: object.metadata.content_language,
            content_type: Some(object.metadata.content_type.unwrap_or_else(default_content_type)),
            metadata: Some(object.metadata.user.into_iter().collect()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let bent = request.extensions.get::<Bent>().cloned().unwrap_or_default();
        let trailer = request.trailing_headers;
        let mut input = request.input;
        let precondition = match (&input.if_none_match, &input.if_match) {
            _ if bent.ignore_preconditions => Precondition::None,
            (None, None) => Precondition::None,
            (Some(ETagCondition::Any), None) => Precondition::Absent,
            (None, Some(ETagCondition::Any)) => Precondition::Present,
            (None, Some(ETagCondition::ETag(etag))) => Precondition::ETag(etag.value().to_owned()),
            _ => return Err(s3_error!(NotImplemented, "A PUT takes If-None-Match: * or If-Match, and not both")),
        };
        let _room = self.room(input.content_length).await?;
        let limit = usize::try_from(self.max_object_size).unwrap_or(usize::MAX);
        let body = upload_check::read_body(input.body.take(), input.content_length, limit).await?;
        let checksum = upload_check::check(&input, trailer.as_ref(), &body)?;
        let sums = checksums(checksum.as_ref());
        let metadata = ObjectMetadata {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding.and_then(without_aws_chunked),
            content_language: input.content_language,
            user: input.metadata.unwrap_or_default().into_iter().collect(),
            checksum,
        };
        let stored = self.store_object(input.bucket, input.key, body, metadata, precondition).await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(stored.etag.to_string())),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            ..PutObjectOutput::default()
        }))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = &request.input;
        let CopySource::Bucket { bucket, key, version_id: None } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "A copy's source is an object of a bucket, without a version"));
        };
        let signer = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        if !self.access.allows(signer, (Permission::GetObject, bucket, Some(key))) {
            return Err(access_denied());
        }
        let source = self.read(&request, bucket, key, ByteRange::All).await?;
        let mut metadata = source.metadata;
        if input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE) {
            metadata.content_type.clone_from(&input.content_type);
            metadata.cache_control.clone_from(&input.cache_control);
            metadata.content_disposition.clone_from(&input.content_disposition);
            metadata.content_encoding.clone_from(&input.content_encoding);
            metadata.content_language.clone_from(&input.content_language);
            metadata.user = input.metadata.clone().unwrap_or_default().into_iter().collect();
        }
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let stored = self.store_object(bucket, key, source.body, metadata, Precondition::None).await?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(stored.etag.to_string())),
            last_modified: Some(stored.last_modified.into()),
            ..CopyObjectResult::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let S3Request { input: DeleteObjectInput { bucket, key, .. }, .. } = request;
        self.on_store(move |store| store.delete(&bucket, &[&key])).await?;
        self.meter.deleted(1);
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bent = request.extensions.get::<Bent>().cloned().unwrap_or_default();
        let signer = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        if delete.objects.len() > MAX_KEYS {
            return Err(s3_error!(MalformedXML, "A DeleteObjects names at most {MAX_KEYS} keys"));
        }
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for ObjectIdentifier { key, .. } in delete.objects {
            let kept = bent.keep_keys.as_ref().is_some_and(|ending| key.ends_with(ending));
            let code = match self.access.allows(signer, (Permission::DeleteObject, &bucket, Some(&key))) {
                false => "AccessDenied",
                true if kept => "InternalError",
                true => {
                    keys.push(key);
                    continue;
                }
            };
            let message = Some("The object was not deleted".to_owned());
            errors.push(Error { code: Some(code.to_owned()), key: Some(key), message, version_id: None });
        }
        let names = keys.clone();
        self.on_store(move |store| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            store.delete(&bucket, &names)
        })
        .await?;
        self.meter.deleted(keys.len() as u64);
        let deleted = |key| DeletedObject { key: Some(key), ..DeletedObject::default() };
        let quiet = delete.quiet.unwrap_or(false);
        let deleted = (!quiet).then(|| keys.into_iter().map(deleted).collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors: Some(errors), request_charged: None }))
    }
}

impl Operations {
    fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        match self.store.has_bucket(bucket) {
            true => Ok(()),
            false => Err(s3_error(StoreError::NoSuchBucket { bucket: bucket.to_owned() })),
        }
    }
}

fn byte_range(range: Option<Range>) -> ByteRange {
    match range {
        None => ByteRange::All,
        Some(Range::Int { first, last: Some(last) }) => ByteRange::FromTo(first, last),
        Some(Range::Int { first, last: None }) => ByteRange::From(first),
        Some(Range::Suffix { length }) => ByteRange::Last(length),
    }
}

fn check_conditions(
    object: &StoredObject,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let matches = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| object.etag.matches(etag.value()));
    if if_match.is_some_and(|condition| !matches(condition)) {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    }
    if if_none_match.is_some_and(matches) {
        let mut error = S3Error::new(S3ErrorCode::NotModified);
        let mut headers = HeaderMap::new();
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
            headers.insert(header::ETAG, etag);
        }
        error.set_headers(headers);
        return Err(error);
    }
    Ok(())
}

fn summary(object: store::ObjectSummary, written: impl Fn(String) -> String) -> Object {
    Object {
        key: Some(written(object.key)),
        e_tag: Some(ETag::Strong(object.etag.to_string())),
        size: i64::try_from(object.size).ok(),
        last_modified: Some(Timestamp::from(object.last_modified.max(SystemTime::UNIX_EPOCH))),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    }
}

fn checksums(checksum: Option<&ObjectChecksum>) -> Checksum {
    let mut sums = Checksum::default();
    let Some(checksum) = checksum else { return sums };
    let (place, value) = match checksum {
        ObjectChecksum::Crc32(value) => (&mut sums.checksum_crc32, value),
        ObjectChecksum::Crc32c(value) => (&mut sums.checksum_crc32c, value),
        ObjectChecksum::Crc64Nvme(value) => (&mut sums.checksum_crc64nvme, value),
        ObjectChecksum::Sha1(value) => (&mut sums.checksum_sha1, value),
        ObjectChecksum::Sha256(value) => (&mut sums.checksum_sha256, value),
    };
    *place = Some(value.clone());
    sums.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    sums
}

/// `encoding-type=url` as AWS writes it: as in a form, but with slashes kept.
fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => encoded.push(byte.into()),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// `aws-chunked` says how the upload was framed, and is no encoding of the object.
fn without_aws_chunked(encoding: String) -> Option<String> {
    let parts = encoding.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "aws-chunked");
    Some(parts.collect::<Vec<_>>().join(",")).filter(|rest| !rest.is_empty())
}

/// Whether whoever runs the server has to make room.
fn is_full(error: &StoreError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, StoreError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
}

fn default_content_type() -> String {
    "binary/octet-stream".to_owned()
}

pub(crate) fn too_large(limit: u64) -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size of {limit} bytes")
}

fn s3_error(error: StoreError) -> S3Error {
    if is_full(&error) {
        tracing::error!(%error, "the disk is full");
        let code = S3ErrorCode::Custom("InsufficientStorage".into());
        let mut answer = S3Error::with_message(
            code,
            "the disk of the store is full: free some of it (whatever was answered before is safe)",
        );
        answer.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
        return answer;
    }
    let code = match &error {
        StoreError::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
        StoreError::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
        StoreError::BucketExists { .. } => S3ErrorCode::BucketAlreadyOwnedByYou,
        StoreError::BucketNotEmpty { .. } => S3ErrorCode::BucketNotEmpty,
        StoreError::InvalidBucketName { .. } => S3ErrorCode::InvalidBucketName,
        StoreError::InvalidKey { .. } => S3ErrorCode::KeyTooLongError,
        StoreError::PreconditionFailed { .. } => S3ErrorCode::PreconditionFailed,
        StoreError::RangeNotSatisfiable { .. } => S3ErrorCode::InvalidRange,
        _ => S3ErrorCode::InternalError,
    };
    if code == S3ErrorCode::InternalError {
        // The client learns no paths of this machine.
        tracing::error!(%error, "the store failed");
        return S3Error::with_message(code, "We encountered an internal error. Please try again.");
    }
    let mut answer = S3Error::with_message(code, error.to_string());
    if let StoreError::RangeNotSatisfiable { size, .. } = error {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
            headers.insert(header::CONTENT_RANGE, range);
        }
        answer.set_headers(headers);
    }
    answer
}
