//! Signature Version 4 for S3: paths encoded once and not normalised, payload and `Range` not signed.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::utf8_percent_encode;

use crate::error::ReaderError;
use crate::list_objects::UNRESERVED;

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

/// Signs a GET of `url`, whose path and query are encoded already.
pub(crate) fn sign_get(
    url: String,
    credentials: &Credentials,
    region: &str,
    signing: Signing,
    now: SystemTime,
) -> Result<Signed, ReaderError> {
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
            settings.expires_in = Some((validity + quantum).min(MAX_VALIDITY));
            round_down(now, quantum)
        }
    };
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .map_err(internal)?
        .into();
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::UnsignedPayload)
        .map_err(internal)?;
    let (instructions, _) = sign(request, &parameters).map_err(internal)?.into_parts();
    let (headers, query) = instructions.into_parts();
    let headers = headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect();
    Ok(Signed { url: with_query(url, &query), headers })
}

fn with_query(mut url: String, parameters: &[(&'static str, std::borrow::Cow<'static, str>)]) -> String {
    for (name, value) in parameters {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, UNRESERVED));
    }
    url
}

fn round_down(now: SystemTime, quantum: Duration) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let beyond = match quantum.as_secs() {
        0 => Duration::ZERO,
        seconds => Duration::from_secs(since.as_secs() % seconds),
    };
    SystemTime::UNIX_EPOCH + (Duration::from_secs(since.as_secs()) - beyond)
}

fn internal(error: impl std::error::Error) -> ReaderError {
    ReaderError::Internal { reason: format!("a request could not be signed: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_presigned_get_that_aws_published() -> Result<(), ReaderError> {
        let day = Signing::Query { validity: Duration::from_secs(86_400), quantum: Duration::ZERO };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt".to_owned();
        let signed = sign_get(url, &example_credentials(None), "us-east-1", day, example_time())?;
        assert_eq!(
            signed.url,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        assert!(signed.headers.is_empty());
        Ok(())
    }

    #[test]
    fn headers_sign_host_date_payload_and_token_alone() -> Result<(), ReaderError> {
        let url = "https://b.s3.amazonaws.com/a//b/~20?list-type=2&prefix=x%2Fy".to_owned();
        let signed = sign_get(url.clone(), &example_credentials(Some("TOKEN")), "r", Signing::Headers, example_time())?;
        assert_eq!(signed.url, url);
        let header = |name| signed.headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
        assert_eq!(header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
        assert_eq!(header("x-amz-security-token"), Some("TOKEN"));
        assert_eq!(header("x-amz-date"), Some("20130524T000000Z"));
        let signed_headers = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
        assert!(header("authorization").is_some_and(|value| value.contains(signed_headers)));
        Ok(())
    }

    #[test]
    fn within_a_quantum_the_url_stays_and_still_is_valid_long_enough() -> Result<(), ReaderError> {
        let url = |second| {
            let now = example_time() + Duration::from_secs(second);
            let signed = sign_get("http://h/b/n".into(), &example_credentials(None), "r", Signing::BROWSER, now)?;
            Ok::<_, ReaderError>(signed.url)
        };
        assert_eq!(url(0)?, url(599)?);
        assert_ne!(url(599)?, url(600)?);
        assert!(url(599)?.contains("X-Amz-Expires=900&"));
        Ok(())
    }
}
