//! What AWS demands of a signature beyond that it is right; s3s does not look at it.

use http::{HeaderMap, Response, StatusCode, header};
use s3s::Body;

use crate::answer;
use crate::request::RequestInfo;

/// The longest life of a presigned URL, in seconds.
const MAX_EXPIRES: u64 = 7 * 24 * 3_600;

/// What a request signed for another region than the server's is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrongRegion {
    /// 301 `PermanentRedirect`, as AWS answers for a bucket that lives elsewhere.
    #[default]
    Redirect,
    /// 400 `AuthorizationHeaderMalformed`, as AWS answers for a signature of another region than its endpoint's.
    Malformed,
}

/// The refusal of a request whose signature is not of the form that AWS takes, or for another region.
pub(crate) fn check(request: &RequestInfo, region: Option<&(String, WrongRegion)>) -> Option<Response<Body>> {
    let authorization = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presigned = request.query_value("X-Amz-SignedHeaders");
    let old = authorization.is_some_and(|value| !value.starts_with("AWS4-HMAC-SHA256"));
    if old || request.query_value("Signature").is_some() || request.query_value("AWSAccessKeyId").is_some() {
        let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        return Some(answer::error(StatusCode::BAD_REQUEST, "InvalidRequest", message, &[]));
    }
    // A form's fields would be read into memory before their signature is looked at.
    let content_type = request.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with(b"multipart/form-data")) {
        let message = "Uploads from HTML forms are not implemented";
        return Some(answer::error(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message, &[]));
    }
    if let (Some((own, answer)), Some(signed)) = (region, &request.region)
        && own != signed
    {
        return Some(wrong_region(request, own, signed, *answer));
    }
    let in_header = authorization.and_then(|value| {
        let names = value.split_once("SignedHeaders=")?.1;
        names.split([',', ' ']).next().map(str::to_owned)
    });
    if let Some(signed) = in_header.or_else(|| presigned.clone())
        && let Some(name) = unsigned(&request.headers, &signed, presigned.is_some())
    {
        let message = "There were headers present in the request which were not signed";
        let details = [("HeadersNotSigned", name.as_str())];
        return Some(answer::error(StatusCode::FORBIDDEN, "AccessDenied", message, &details));
    }
    if presigned.is_some() {
        let expires = request.query_value("X-Amz-Expires").and_then(|value| value.parse::<u64>().ok());
        if expires.is_none_or(|seconds| seconds > MAX_EXPIRES) {
            let message = "X-Amz-Expires must be a number of seconds of at most a week";
            let code = "AuthorizationQueryParametersError";
            return Some(answer::error(StatusCode::BAD_REQUEST, code, message, &[]));
        }
    }
    None
}

/// A header that must be signed and is not.
fn unsigned(headers: &HeaderMap, signed: &str, presigned: bool) -> Option<String> {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed.eq_ignore_ascii_case(name));
    if !is_signed("host") {
        return Some("host".to_owned());
    }
    let names = headers.keys().map(http::HeaderName::as_str);
    let mut names = names.filter(|name| name.starts_with("x-amz-") && !is_signed(name));
    // The hash of a body that was unknown when the URL was signed.
    names.find(|name| !(presigned && *name == "x-amz-content-sha256")).map(str::to_owned)
}

fn wrong_region(request: &RequestInfo, own: &str, signed: &str, answer: WrongRegion) -> Response<Body> {
    let mut response = match answer {
        WrongRegion::Redirect => {
            let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                           Please send all future requests to this endpoint.";
            let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            let bucket = request.bucket.as_deref().unwrap_or_default();
            let details = [("Endpoint", host), ("Bucket", bucket), ("Region", own)];
            answer::error(StatusCode::MOVED_PERMANENTLY, "PermanentRedirect", message, &details)
        }
        WrongRegion::Malformed => {
            let message =
                format!("The authorization header is malformed; the region '{signed}' is wrong; expecting '{own}'");
            let details = [("Region", own)];
            answer::error(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed", &message, &details)
        }
    };
    if let Ok(region) = own.parse() {
        response.headers_mut().insert("x-amz-bucket-region", region);
    }
    response
}
