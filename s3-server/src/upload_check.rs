//! The body of a PUT: read whole, and compared with every digest that came with it.

use bytes::Bytes;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{PutObjectInput, StreamingBlob};
use s3s::{Body, S3Error, S3Result, TrailingHeaders, s3_error};

use crate::store::{ETag, ObjectChecksum};
use crate::upload;

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(body: Option<StreamingBlob>, length: Option<i64>, limit: usize) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let bytes = Body::from(body).store_all_limited(limit).await.map_err(|error| upload_error(&*error))?;
    match length.is_some_and(|length| u64::try_from(length) != Ok(bytes.len() as u64)) {
        true => Err(s3_error!(IncompleteBody, "The body is not as long as its Content-Length says.")),
        false => Ok(bytes),
    }
}

/// Compares a body with `Content-MD5` and with the checksum in its headers or trailer; gives the checksum.
pub(crate) fn check(
    input: &PutObjectInput,
    trailer: Option<&TrailingHeaders>,
    body: &Bytes,
) -> S3Result<Option<ObjectChecksum>> {
    if let Some(expected) = &input.content_md5
        && *expected != base64_md5(body)
    {
        return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
    }
    let sent = |header: Option<&String>, name: &str| {
        let in_trailer = || {
            let value = |headers: &http::HeaderMap| Some(headers.get(name)?.to_str().ok()?.to_owned());
            trailer.and_then(|trailer| trailer.read(value)).flatten()
        };
        header.cloned().or_else(in_trailer)
    };
    let crc32 = sent(input.checksum_crc32.as_ref(), "x-amz-checksum-crc32");
    let crc32c = sent(input.checksum_crc32c.as_ref(), "x-amz-checksum-crc32c");
    let crc64nvme = sent(input.checksum_crc64nvme.as_ref(), "x-amz-checksum-crc64nvme");
    let sha1 = sent(input.checksum_sha1.as_ref(), "x-amz-checksum-sha1");
    let sha256 = sent(input.checksum_sha256.as_ref(), "x-amz-checksum-sha256");
    let mut hasher = ChecksumHasher {
        crc32: crc32.as_ref().map(|_| Crc32::new()),
        crc32c: crc32c.as_ref().map(|_| Crc32c::new()),
        crc64nvme: crc64nvme.as_ref().map(|_| Crc64Nvme::new()),
        sha1: sha1.as_ref().map(|_| Sha1::new()),
        sha256: sha256.as_ref().map(|_| Sha256::new()),
    };
    hasher.update(body);
    let found = hasher.finalize();
    let right = (&crc32, &crc32c, &crc64nvme, &sha1, &sha256)
        == (
            &found.checksum_crc32,
            &found.checksum_crc32c,
            &found.checksum_crc64nvme,
            &found.checksum_sha1,
            &found.checksum_sha256,
        );
    if !right {
        return Err(s3_error!(BadDigest, "The checksum you specified did not match the calculated checksum."));
    }
    Ok(crc64nvme
        .map(ObjectChecksum::Crc64Nvme)
        .or(crc32.map(ObjectChecksum::Crc32))
        .or(crc32c.map(ObjectChecksum::Crc32c))
        .or(sha256.map(ObjectChecksum::Sha256))
        .or(sha1.map(ObjectChecksum::Sha1)))
}

/// The S3 error for a body that could not be read. The streams of s3s wrap errors in private types without a source,
/// so their texts are all there is to tell them by.
fn upload_error(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let text = error.to_string();
    if text.contains(upload::STOPPED) {
        return s3_error!(RequestTimeout, "The request's body stopped coming; send it again.");
    }
    if text.contains(upload::TOO_LARGE) || text.contains("length limit exceeded") {
        return s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size");
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk of the body is wrong.");
    }
    if text.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let code = s3s::S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    s3_error!(IncompleteBody, "The body could not be read: {error}")
}

fn base64_md5(body: &Bytes) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(24);
    for group in ETag::of(body).as_bytes().chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize % 64];
            text.push(if index <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_written_in_base64() {
        // From RFC 1864's form of the MD5 of an empty body.
        assert_eq!(base64_md5(&Bytes::new()), "1B2M2Y8AsgTpgAmY7PhCfg==");
    }
}
