//! Clients for the tests: the AWS SDK, and bare HTTP with requests signed or not.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use klstore_s3_server::{Credential, RunningServer, Server, ServerBuilder};

pub const ACCESS_KEY: &str = "AKTEST";
pub const SECRET_KEY: &str = "a-secret-of-the-tests";
pub const BUCKET: &str = "photos";

/// A builder that knows the tests' key pair and bucket.
pub fn builder() -> ServerBuilder {
    Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY))
}

/// A client of the AWS SDK without retries.
pub fn client(server: &RunningServer) -> aws_sdk_s3::Client {
    client_with(&server.endpoint(), ACCESS_KEY, SECRET_KEY, "us-east-1", RequestChecksumCalculation::WhenSupported)
}

pub fn client_with(
    endpoint: &str,
    access_key: &str,
    secret_key: &str,
    region: &'static str,
    checksums: RequestChecksumCalculation,
) -> aws_sdk_s3::Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(20)).build();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static(region))
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "tests"))
        .request_checksum_calculation(checksums)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// What bare requests are signed with.
#[derive(Clone)]
pub struct Signer {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
    pub region: String,
    pub time: SystemTime,
    /// Sign in the query, for so long.
    pub presign: Option<Duration>,
}

impl Signer {
    #[allow(clippy::disallowed_methods, reason = "the server compares with the real time")]
    pub fn new() -> Self {
        Self {
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            session_token: None,
            region: "us-east-1".into(),
            time: SystemTime::now(),
            presign: None,
        }
    }

    /// A bare request, signed.
    pub fn request(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> reqwest::RequestBuilder {
        let credentials =
            Credentials::new(&self.access_key, &self.secret_key, self.session_token.clone(), None, "tests").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        if let Some(expires) = self.presign {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(expires);
        } else {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = v4::SigningParams::builder()
            .identity(&credentials)
            .region(&self.region)
            .name("s3")
            .time(self.time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signable = match self.presign {
            Some(_) => SignableBody::UnsignedPayload,
            None => SignableBody::Bytes(body),
        };
        let request = SignableRequest::new(method, url, headers.iter().copied(), signable).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let mut bare = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            bare = bare.header(*name, *value);
        }
        let mut bare = bare.body(()).unwrap();
        instructions.apply_to_request_http1x(&mut bare);
        let mut request =
            http_client().request(bare.method().clone(), bare.uri().to_string()).headers(bare.headers().clone());
        if !body.is_empty() {
            request = request.body(body.to_vec());
        }
        request
    }
}

pub fn http_client() -> reqwest::Client {
    let policy = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(policy).timeout(Duration::from_secs(20)).build().unwrap()
}

/// The text between the tags of an XML element's first occurrence.
pub fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// What a bucket with public objects opens to anybody.
pub const GET: klstore_s3_server::AnonymousAccess = klstore_s3_server::AnonymousAccess { get: true, list: false };
