//! From an answer that is no success to what the caller should do.

use std::time::SystemTime;

use crate::date;
use crate::endpoint::Endpoint;
use crate::error::ReaderError;
use crate::transport::HttpResponse;
use crate::xml;

/// Characters of a store's own words that are repeated in a message.
const MAX_QUOTED: usize = 300;

/// What was asked for, for the messages.
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// The object's name, or a LIST's prefix.
    pub(crate) object: &'a str,
    pub(crate) is_list: bool,
    /// The time the request was signed at.
    pub(crate) at: SystemTime,
}

/// What an answer without success means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The object, or the range of it, does not exist.
    Missing,
    /// It may pass.
    Passing(String),
    /// It will not pass.
    Final(ReaderError),
}

/// S3's error document, as far as it is used. Everything in it is untrusted.
#[derive(Debug, Default)]
struct ErrorDocument {
    code: String,
    message: String,
    region: String,
    server_time: String,
}

/// Judges an answer with a status other than 2xx, or a success that carries an error document.
pub(crate) fn judge(asked: &Asked<'_>, response: &HttpResponse) -> Verdict {
    let document = ErrorDocument::read(&response.body.joined());
    let region = response.header("x-amz-bucket-region").map(quote).unwrap_or_else(|| document.region.clone());
    let store = || asked.endpoint.to_string();
    match (response.status, document.code.as_str()) {
        (_, "NoSuchBucket") => Verdict::Final(ReaderError::BucketNotFound {
            bucket: asked.endpoint.bucket.clone(),
            endpoint: asked.endpoint.origin.clone(),
        }),
        (404 | 416, _) if !asked.is_list => Verdict::Missing,
        (429 | 500.., _)
        | (_, "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable" | "Throttling") => {
            Verdict::Passing(describe(response.status, &document))
        }
        (_, "RequestTimeTooSkewed") => Verdict::Final(skewed(asked, response, &document)),
        (403, "AccessDenied") if document.is_about_time() => Verdict::Final(skewed(asked, response, &document)),
        (_, code) if credentials_advice(code).is_some() => Verdict::Final(ReaderError::Credentials {
            store: store(),
            reason: format!("{code}: {}", credentials_advice(code).unwrap_or_default()),
        }),
        (301 | 302 | 307 | 308, _) | (400, "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError")
            if response.status < 400 || !region.is_empty() =>
        {
            Verdict::Final(ReaderError::WrongRegion {
                bucket: asked.endpoint.bucket.clone(),
                configured: asked.endpoint.region.clone(),
                right: Some(region).filter(|region| !region.is_empty() && *region != asked.endpoint.region),
            })
        }
        (401 | 403, code) => Verdict::Final(ReaderError::AccessDenied {
            object: asked.object.to_owned(),
            store: store(),
            code: if code.is_empty() { format!("status {}", response.status) } else { code.to_owned() },
        }),
        (status, "") => Verdict::Final(ReaderError::Configuration {
            reason: format!(
                "{} answered status {status} without an S3 error document: check that the endpoint is an S3 store",
                asked.endpoint
            ),
        }),
        (status, code) => Verdict::Final(ReaderError::Refused {
            object: asked.object.to_owned(),
            store: store(),
            status,
            code: code.to_owned(),
            message: document.message,
        }),
    }
}

/// Whether a 200 carries an error document instead of what was asked for.
pub(crate) fn is_error_document(body: &[u8]) -> bool {
    !ErrorDocument::read(body).code.is_empty()
}

impl ErrorDocument {
    /// Whether a request that was signed in its URL came too late or too early.
    fn is_about_time(&self) -> bool {
        let message = self.message.as_str();
        !self.server_time.is_empty() || matches!(message, "Request has expired" | "Request is not yet valid")
    }

    /// Reads what is there; a document that is damaged or of another kind gives empty fields.
    fn read(body: &[u8]) -> Self {
        let mut document = Self::default();
        let walked = xml::walk(body, &mut |path, text| {
            let [root, field] = path else { return };
            if root != "Error" {
                return;
            }
            match field.as_str() {
                "Code" => document.code = quote(text),
                "Message" => document.message = quote(text),
                "Region" => document.region = quote(text),
                "ServerTime" => document.server_time = quote(text),
                _ => {}
            }
        });
        if walked.is_ok() { document } else { Self::default() }
    }
}

fn describe(status: u16, document: &ErrorDocument) -> String {
    match (document.code.as_str(), document.message.as_str()) {
        ("", _) => format!("status {status}"),
        (code, "") => format!("status {status} {code}"),
        (code, message) => format!("status {status} {code}: {message}"),
    }
}

fn skewed(asked: &Asked<'_>, response: &HttpResponse, document: &ErrorDocument) -> ReaderError {
    let there = match document.server_time.as_str() {
        "" => response.header("date").map_or_else(|| "something else".to_owned(), quote),
        time => time.to_owned(),
    };
    ReaderError::ClockSkew { here: date::rfc3339(asked.at), there, store: asked.endpoint.to_string() }
}

fn credentials_advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidAccessKeyId" => "the store does not know the access key; check access_key and endpoint",
        "SignatureDoesNotMatch" => "the secret key does not belong to the access key; check secret_key",
        "ExpiredToken" | "TokenRefreshRequired" => "the session token has expired; get new credentials",
        "InvalidToken" => "the session token does not belong to the keys; check session_token",
        "MissingAuthenticationToken" | "MissingSecurityHeader" => {
            "the store wants signed requests; set access_key and secret_key"
        }
        _ => return None,
    })
}

/// A store's words, short and on one line, without what a signed URL in them would give away.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    let mut is_secret = false;
    for character in text.chars().filter(|character| !character.is_control()).take(MAX_QUOTED) {
        is_secret &= !matches!(character, '&' | ',' | ' ' | '"' | '<');
        if is_secret {
            continue;
        }
        quoted.push(character);
        // `X-Amz-Signature`, and `Signature` in a header.
        if character == '='
            && ["Signature=", "Credential=", "Security-Token="].iter().any(|name| quoted.ends_with(name))
        {
            is_secret = true;
            quoted.push('…');
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use klstore_format::S3StoreConfig;
    use std::time::Duration;

    fn judged(status: u16, headers: &[(&'static str, &'static str)], body: &str, is_list: bool) -> Verdict {
        let mut config = S3StoreConfig::new("bucket");
        config.endpoint = Some("http://127.0.0.1:9".into());
        let endpoint = Endpoint::new(&config).expect("an endpoint");
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response =
            HttpResponse { status, headers, body: Bytes::copy_from_slice(body.as_bytes()).into(), received: 0 };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        judge(&Asked { endpoint: &endpoint, object: "p/name", is_list, at }, &response)
    }

    fn final_error(status: u16, code: &str, more: &str) -> ReaderError {
        let body = format!("<Error><Code>{code}</Code><Message>why\nnot</Message>{more}</Error>");
        match judged(status, &[], &body, false) {
            Verdict::Final(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_and_what_passes() {
        let no_key = "<Error><Code>NoSuchKey</Code></Error>";
        assert!(matches!(judged(404, &[], no_key, false), Verdict::Missing));
        assert!(matches!(judged(416, &[], "", false), Verdict::Missing));
        for status in [429, 500, 502, 503, 504] {
            assert!(matches!(judged(status, &[], "", true), Verdict::Passing(_)), "{status}");
        }
        let late = "<Error><Code>RequestTimeout</Code></Error>";
        assert!(matches!(judged(400, &[], late, false), Verdict::Passing(_)));
        assert!(matches!(judged(200, &[], "<Error><Code>InternalError</Code></Error>", true), Verdict::Passing(_)));
    }

    #[test]
    fn each_error_says_what_to_do() {
        let says = |error: ReaderError, words: &[&str]| {
            let message = error.to_string();
            for word in words {
                assert!(message.contains(word), "`{word}` is not in: {message}");
            }
        };
        says(final_error(404, "NoSuchBucket", ""), &["bucket `bucket`", "127.0.0.1:9", "create it"]);
        says(final_error(403, "AccessDenied", ""), &["p/name", "s3:ListBucket", "missing key is 403"]);
        says(final_error(403, "InvalidAccessKeyId", "<AWSAccessKeyId>AKID</AWSAccessKeyId>"), &["access_key"]);
        says(final_error(403, "SignatureDoesNotMatch", ""), &["secret_key"]);
        says(final_error(400, "ExpiredToken", ""), &["expired"]);
        let skew = "<ServerTime>2013-05-24T01:00:00Z</ServerTime>";
        says(final_error(403, "RequestTimeTooSkewed", skew), &["2013-05-24T00:00:00Z", "2013-05-24T01:00:00Z"]);
        says(final_error(403, "AccessDenied", skew), &["clocks", "2013-05-24T01:00:00Z"]);
        let region = "<Region>eu-west-3</Region>";
        says(final_error(400, "AuthorizationHeaderMalformed", region), &["`us-east-1`", "set region to `eu-west-3`"]);
        says(final_error(301, "PermanentRedirect", ""), &["the bucket's own"]);
        says(final_error(400, "KMS.DisabledException", ""), &["KMS.DisabledException", "whynot"]);
    }

    #[test]
    fn a_signed_url_that_has_expired_is_about_clocks() {
        let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        let verdict = judged(403, &[("date", "Fri, 24 May 2013 01:00:00 GMT")], body, false);
        let Verdict::Final(ReaderError::ClockSkew { there, .. }) = verdict else { panic!("{verdict:?}") };
        assert_eq!(there, "Fri, 24 May 2013 01:00:00 GMT");
    }

    #[test]
    fn a_redirect_names_the_region_of_its_header() {
        let verdict = judged(301, &[("x-amz-bucket-region", "eu-central-1"), ("location", "http://evil/")], "", true);
        let Verdict::Final(error @ ReaderError::WrongRegion { .. }) = verdict else { panic!("{verdict:?}") };
        assert!(error.to_string().contains("eu-central-1") && !error.to_string().contains("evil"));
    }

    #[test]
    fn an_answer_that_is_not_s3s_points_at_the_endpoint() {
        for is_list in [true, false] {
            let verdict = judged(405, &[], "<html>nginx</html>", is_list);
            assert!(matches!(verdict, Verdict::Final(ReaderError::Configuration { .. })), "{verdict:?}");
        }
        assert!(matches!(judged(404, &[], "", true), Verdict::Final(ReaderError::Configuration { .. })));
    }

    #[test]
    fn a_signed_url_in_a_stores_words_is_no_use_to_who_reads_the_error() {
        let url = "/b/n?X-Amz-Credential=AK%2F20130524&X-Amz-Security-Token=TOKEN&X-Amz-Signature=5ec2e7";
        let words =
            format!("<Error><Code>Odd</Code><Message>no: {}; and {url}</Message></Error>", url.replace('&', "&amp;"));
        let Verdict::Final(error) = judged(400, &[], &words.replace("&X", "&amp;X"), false) else { panic!("{words}") };
        let said = error.to_string();
        assert!(said.contains("X-Amz-Signature=…"), "{said}");
        for secret in ["TOKEN", "5ec2e7", "AK%2F"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
