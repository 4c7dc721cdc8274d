//! What a request asks for, read from its first line and headers before anything else looks at it.

use http::{HeaderMap, Method, Uri, header};

/// The S3 operation that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `GET /`
    ListBuckets,
    /// `PUT /bucket`
    CreateBucket,
    /// `DELETE /bucket`
    DeleteBucket,
    /// `HEAD /bucket`
    HeadBucket,
    /// `GET /bucket?location`
    GetBucketLocation,
    /// `GET /bucket?list-type=2`
    ListObjects,
    /// `GET /bucket/key`
    GetObject,
    /// `HEAD /bucket/key`
    HeadObject,
    /// `PUT /bucket/key`
    PutObject,
    /// `PUT /bucket/key` with `x-amz-copy-source`
    CopyObject,
    /// `DELETE /bucket/key`
    DeleteObject,
    /// `POST /bucket?delete`
    DeleteObjects,
    /// `OPTIONS`: a browser's preflight.
    Options,
    /// Anything else; the server answers `NotImplemented`.
    Other,
}

/// A request as fault hooks and the request log see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestInfo {
    /// Counts from 1 at the start of the server; also in the answer's `x-amz-request-id`.
    pub id: u64,
    /// The HTTP method.
    pub method: Method,
    /// What is asked for.
    pub operation: Operation,
    /// The bucket, from the path or from the host.
    pub bucket: Option<String>,
    /// The object's key, decoded.
    pub key: Option<String>,
    /// The query as sent.
    pub query: Option<String>,
    /// The `Range` header as sent.
    pub range: Option<String>,
    /// Whether it has `If-Match` or `If-None-Match`.
    pub conditional: bool,
    /// The access key that it claims to be signed with; not yet checked.
    pub access_key: Option<String>,
    /// The region that it claims to be signed for; not yet checked.
    pub region: Option<String>,
    /// All headers as sent.
    pub headers: HeaderMap,
}

impl RequestInfo {
    /// `host_bucket` is the bucket that the host names, in virtual-hosted style.
    pub(crate) fn new(id: u64, method: &Method, uri: &Uri, headers: &HeaderMap, host_bucket: Option<&str>) -> Self {
        let path = uri.path().strip_prefix('/').unwrap_or(uri.path());
        let (bucket, key) = match host_bucket {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let decoded = |text: &str| {
            (!text.is_empty()).then(|| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned())
        };
        let (bucket, key) = (decoded(bucket), decoded(key));
        let query = uri.query();
        let scope = Scope::of(query, headers);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            id,
            operation: operation(method, bucket.is_some(), key.is_some(), query, headers),
            method: method.clone(),
            bucket,
            key,
            range: text(header::RANGE).map(str::to_owned),
            conditional: headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH),
            access_key: scope.as_ref().map(|scope| scope.access_key.clone()),
            region: scope.map(|scope| scope.region),
            query: query.map(str::to_owned),
            headers: without_secrets_in_debug(headers.clone()),
        }
    }

    /// The first value of a query parameter, decoded.
    ///
    /// ```
    /// # use klstore_s3_server::{Fault, Operation, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().bucket("photos").start().await?;
    /// // Only the LIST of one folder is slow.
    /// server.faults().set(|request| match request.query_value("prefix").as_deref() {
    ///     Some("2013/") => Fault::SLOW_DOWN,
    ///     _ => Fault::None,
    /// });
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_value(&self, name: &str) -> Option<String> {
        query_value(self.query.as_deref(), name)
    }
}

/// The part of a SigV4 credential that says who signed, for where.
struct Scope {
    access_key: String,
    region: String,
}

impl Scope {
    fn of(query: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        let in_header = || {
            let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
            let credential = authorization.split_once("Credential=")?.1;
            credential.split([',', ' ']).next().map(str::to_owned)
        };
        let credential = query_value(query, "X-Amz-Credential").or_else(in_header)?;
        // ACCESS_KEY/DATE/REGION/SERVICE/aws4_request, where an access key may hold slashes of its own.
        let mut parts = credential.rsplitn(5, '/');
        let region = parts.nth(2)?.to_owned();
        let access_key = parts.nth(1)?.to_owned();
        Some(Self { access_key, region })
    }
}

fn without_secrets_in_debug(mut headers: HeaderMap) -> HeaderMap {
    for name in ["authorization", "x-amz-security-token"] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    headers
}

fn operation(method: &Method, bucket: bool, key: bool, query: Option<&str>, headers: &HeaderMap) -> Operation {
    let asks_for = |name| has_query(query, name);
    match (method.as_str(), bucket, key) {
        ("OPTIONS", ..) => Operation::Options,
        ("GET", false, _) => Operation::ListBuckets,
        ("GET", true, false) if asks_for("location") => Operation::GetBucketLocation,
        ("GET", true, false) if asks_for("list-type") => Operation::ListObjects,
        ("HEAD", true, false) => Operation::HeadBucket,
        ("PUT", true, false) if query.is_none_or(str::is_empty) || asks_for("x-id") => Operation::CreateBucket,
        ("DELETE", true, false) => Operation::DeleteBucket,
        ("POST", true, false) if asks_for("delete") => Operation::DeleteObjects,
        (_, true, true) if ["uploadId", "uploads", "acl", "tagging", "attributes"].into_iter().any(asks_for) => {
            Operation::Other
        }
        ("GET", true, true) => Operation::GetObject,
        ("HEAD", true, true) => Operation::HeadObject,
        ("PUT", true, true) if headers.contains_key("x-amz-copy-source") => Operation::CopyObject,
        ("PUT", true, true) => Operation::PutObject,
        ("DELETE", true, true) => Operation::DeleteObject,
        _ => Operation::Other,
    }
}

fn has_query(query: Option<&str>, name: &str) -> bool {
    pairs(query).any(|(found, _)| found == name)
}

fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let value = pairs(query).find(|(found, _)| *found == name)?.1.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn info(method: Method, uri: &'static str) -> RequestInfo {
        RequestInfo::new(1, &method, &Uri::from_static(uri), &HeaderMap::new(), None)
    }

    #[test]
    fn operations_are_told_apart() {
        let operation = |method, uri| info(method, uri).operation;
        assert_eq!(operation(Method::GET, "/"), Operation::ListBuckets);
        assert_eq!(operation(Method::PUT, "/b"), Operation::CreateBucket);
        assert_eq!(operation(Method::GET, "/b?list-type=2&prefix=x"), Operation::ListObjects);
        assert_eq!(operation(Method::GET, "/b/?location"), Operation::GetBucketLocation);
        assert_eq!(operation(Method::POST, "/b/?delete"), Operation::DeleteObjects);
        assert_eq!(operation(Method::GET, "/b/k?x-id=GetObject"), Operation::GetObject);
        assert_eq!(operation(Method::PUT, "/b/k?partNumber=1&uploadId=2"), Operation::Other);
        assert_eq!(operation(Method::OPTIONS, "/b/k"), Operation::Options);
    }

    #[test]
    fn keys_and_query_values_are_decoded() {
        let info = info(Method::GET, "/b/a%2Fb%00/+?prefix=x+y%2B&list-type=2");
        assert_eq!(info.key.as_deref(), Some("a/b\0/+"));
        assert_eq!(info.query_value("prefix").as_deref(), Some("x y+"));
    }

    #[test]
    fn the_signer_is_read_from_header_and_query() {
        let mut headers = HeaderMap::new();
        let value =
            "AWS4-HMAC-SHA256 Credential=AK/I/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        let signed = RequestInfo::new(1, &Method::GET, &Uri::from_static("/b/k"), &headers, None);
        assert_eq!((signed.access_key.as_deref(), signed.region.as_deref()), (Some("AK/I"), Some("eu-west-1")));
        let presigned = info(Method::GET, "/b/k?X-Amz-Credential=AK%2F20260101%2Fus-west-2%2Fs3%2Faws4_request");
        assert_eq!((presigned.access_key.as_deref(), presigned.region.as_deref()), (Some("AK"), Some("us-west-2")));
    }
}
