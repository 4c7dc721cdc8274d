//! Signature Version 4 for S3: paths encoded once and not normalised, payload and `Range` not signed.
//!
//! Key and signature are aws-sigv4's. The canonical request is our own: the only ones are GETs without a body, and what
//! aws-sigv4 brings for all others is 5 % of what a web page would download.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::utf8_percent_encode;
use sha2::{Digest, Sha256};

use crate::date;
use crate::endpoint::split_scheme;
use crate::list_objects::UNRESERVED;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The longest validity that S3 takes: seven days.
const MAX_VALIDITY: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Where a request carries its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// In its headers: the usual way natively.
    Headers,
    /// In its query string (a presigned GET): in a browser such a request is simple and needs no CORS preflight.
    Query {
        /// How long a signed request stays valid at least.
        validity: Duration,
        /// The signing time is rounded down to a multiple of this, so that the same request has the same URL for a
        /// while and a browser's cache can answer it. Zero: not rounded.
        quantum: Duration,
    },
}

impl Signing {
    /// Signed in the query string for five minutes at least, with a new URL every ten minutes.
    pub const BROWSER: Self = Self::Query { validity: Duration::from_secs(300), quantum: Duration::from_secs(600) };
}

/// A request's URL and headers once signed.
pub(crate) struct Signed {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Signs a GET of `url`, whose path and query are encoded already: upper-case hexadecimal, a space as `%20`.
pub(crate) fn sign_get(
    url: String,
    credentials: &Credentials,
    region: &str,
    signing: Signing,
    now: SystemTime,
) -> Signed {
    match signing {
        Signing::Headers => in_headers(url, &Scope::new(credentials, region, now)),
        Signing::Query { validity, quantum } => {
            let scope = Scope::new(credentials, region, round_down(now, quantum));
            in_query(url, &scope, validity.saturating_add(quantum).min(MAX_VALIDITY))
        }
    }
}

fn in_headers(url: String, scope: &Scope<'_>) -> Signed {
    let mut headers = vec![("x-amz-content-sha256", UNSIGNED_PAYLOAD.to_owned()), ("x-amz-date", scope.time.clone())];
    headers.extend(scope.credentials.session_token().map(|token| ("x-amz-security-token", token.trim().to_owned())));
    let (signed_headers, signature) = scope.signature(&parts(&url), &headers);
    let authorization =
        format!("{ALGORITHM} Credential={}, SignedHeaders={signed_headers}, Signature={signature}", scope.credential());
    headers.push(("authorization", authorization));
    Signed { url, headers }
}

fn in_query(mut url: String, scope: &Scope<'_>, validity: Duration) -> Signed {
    let encode = |value| utf8_percent_encode(value, UNRESERVED);
    let separator = if url.contains('?') { '&' } else { '?' };
    let credential = scope.credential();
    url.push_str(&format!(
        "{separator}X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={}",
        encode(&credential),
        scope.time,
        validity.as_secs()
    ));
    if let Some(token) = scope.credentials.session_token() {
        url.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
    }
    url.push_str("&X-Amz-SignedHeaders=host");
    let (_, signature) = scope.signature(&parts(&url), &[]);
    url.push_str(&format!("&X-Amz-Signature={signature}"));
    Signed { url, headers: Vec::new() }
}

/// Host, path and query of an absolute URL. The endpoint has left a port out where it is the scheme's own.
fn parts(url: &str) -> [&str; 3] {
    let rest = split_scheme(url).map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = rest.find('/').unwrap_or(rest.len());
    [&rest[..path], &rest[path..], query]
}

/// What a signature is for, beside the request.
struct Scope<'a> {
    credentials: &'a Credentials,
    region: &'a str,
    at: SystemTime,
    /// `at`, as signatures write it.
    time: String,
}

impl<'a> Scope<'a> {
    fn new(credentials: &'a Credentials, region: &'a str, at: SystemTime) -> Self {
        // The signing key's day is written by a calendar that ends with 9999.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(date::seconds(at));
        Self { credentials, region, at, time: date::basic(at) }
    }

    fn day_and_service(&self) -> String {
        format!("{}/{}/{SERVICE}/aws4_request", &self.time[..8], self.region)
    }

    fn credential(&self) -> String {
        format!("{}/{}", self.credentials.access_key_id(), self.day_and_service())
    }

    /// The names of the signed headers, and the signature of the request with these headers (in order) and its host.
    fn signature(&self, [host, path, query]: &[&str; 3], headers: &[(&'static str, String)]) -> (String, String) {
        let mut parameters: Vec<&str> = query.split('&').filter(|parameter| !parameter.is_empty()).collect();
        // By name, then by value.
        parameters.sort_unstable_by_key(|parameter| parameter.split_once('=').unwrap_or((*parameter, "")));
        let mut signed_headers = "host".to_owned();
        let mut lines = format!("host:{host}\n");
        for (name, value) in headers {
            signed_headers.push_str(&format!(";{name}"));
            lines.push_str(&format!("{name}:{value}\n"));
        }
        let query = parameters.join("&");
        let request = format!("GET\n{path}\n{query}\n{lines}\n{signed_headers}\n{UNSIGNED_PAYLOAD}");
        let digest: String = Sha256::digest(request).iter().map(|byte| format!("{byte:02x}")).collect();
        let to_sign = format!("{ALGORITHM}\n{}\n{}\n{digest}", self.time, self.day_and_service());
        let key = generate_signing_key(self.credentials.secret_access_key(), self.at, self.region, SERVICE);
        (signed_headers, calculate_signature(key, to_sign.as_bytes()))
    }
}

fn round_down(now: SystemTime, quantum: Duration) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let beyond = match quantum.as_secs() {
        0 => Duration::ZERO,
        seconds => Duration::from_secs(since.as_secs() % seconds),
    };
    SystemTime::UNIX_EPOCH + (Duration::from_secs(since.as_secs()) - beyond)
}

#[cfg(test)]
mod tests {
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4;
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::PATH;
    use crate::list_objects;

    /// 2013-05-24T00:00:00Z, the time of AWS's examples.
    const EXAMPLE_TIME: u64 = 1_369_353_600;

    fn example_time() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(EXAMPLE_TIME)
    }

    fn example_credentials(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    /// The example of "Authenticating Requests: Using Query Parameters" in the S3 API reference.
    #[test]
    fn the_presigned_get_that_aws_published() {
        let day = Signing::Query { validity: Duration::from_secs(86_400), quantum: Duration::ZERO };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt".to_owned();
        let signed = sign_get(url, &example_credentials(None), "us-east-1", day, example_time());
        assert_eq!(
            signed.url,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        assert!(signed.headers.is_empty());
    }

    #[test]
    fn headers_sign_host_date_payload_and_token_alone() {
        let url = "https://b.s3.amazonaws.com/a//b/~20?list-type=2&prefix=x%2Fy".to_owned();
        let signed = sign_get(url.clone(), &example_credentials(Some("TOKEN")), "r", Signing::Headers, example_time());
        assert_eq!(signed.url, url);
        let header = |name| signed.headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
        assert_eq!(header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
        assert_eq!(header("x-amz-security-token"), Some("TOKEN"));
        assert_eq!(header("x-amz-date"), Some("20130524T000000Z"));
        let signed_headers = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
        assert!(header("authorization").is_some_and(|value| value.contains(signed_headers)));
    }

    #[test]
    fn within_a_quantum_the_url_stays_and_still_is_valid_long_enough() {
        let url = |second| {
            let now = example_time() + Duration::from_secs(second);
            let signed = sign_get("http://h/b/n".into(), &example_credentials(None), "r", Signing::BROWSER, now);
            signed.url
        };
        assert_eq!(url(0), url(599));
        assert_ne!(url(599), url(600));
        assert!(url(599).contains("X-Amz-Expires=900&"));
    }

    #[test]
    fn a_clock_beyond_all_calendars_signs() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        let signed = sign_get("http://h/b/n".into(), &example_credentials(None), "r", Signing::BROWSER, far);
        assert!(signed.url.contains("X-Amz-Date=99991231T235959Z&"), "{}", signed.url);
    }

    proptest! {
        #[test]
        fn as_aws_sigv4_signs_whole_requests(
            // An endpoint leaves the usual ports out.
            host in "[a-z]{1,9}(:[1-9][0-9]{3})?",
            name in "(/|[ -~]|é){0,20}",
            prefix in proptest::option::of("([ -~]|é){0,20}"),
            token in proptest::option::of("[ -~]{1,30}"),
            seconds in 0_u64..253_402_300_800,
            query in any::<bool>(),
        ) {
            let mut url = format!("http://{host}/{}", utf8_percent_encode(&name, PATH));
            if let Some(prefix) = prefix {
                url.push('?');
                url.push_str(&list_objects::query(&prefix, Some(&prefix), 9, true));
            }
            let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.contains("  "));
            let (credentials, now) = (example_credentials(token.as_deref()), SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let signing = if query { Signing::BROWSER } else { Signing::Headers };
            let signed = sign_get(url.clone(), &credentials, "r-1", signing, now);
            prop_assert_eq!(signature_in(&signed), signature_of_aws_sigv4(&url, &credentials, signing, now));
        }
    }

    fn signature_in(signed: &Signed) -> String {
        let authorization = signed.headers.iter().find(|(name, _)| *name == "authorization");
        let text = authorization.map_or(&signed.url, |(_, value)| value);
        text.rsplit('=').next().unwrap_or_default().to_owned()
    }

    fn signature_of_aws_sigv4(url: &str, credentials: &Credentials, signing: Signing, now: SystemTime) -> String {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let time = match signing {
            Signing::Headers => {
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
                now
            }
            Signing::Query { validity, quantum } => {
                settings.signature_location = SignatureLocation::QueryParams;
                settings.expires_in = Some(validity + quantum);
                round_down(now, quantum)
            }
        };
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder().identity(&identity).region("r-1").name("s3").time(time);
        let parameters = parameters.settings(settings).build().expect("all are given").into();
        let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::UnsignedPayload);
        let (_, signature) = sign(request.expect("a URL"), &parameters).expect("a signature").into_parts();
        signature
    }
}
