//! Where a bucket's objects are: from endpoint, region and bucket to URLs.

use std::fmt;

use klstore_format::S3StoreConfig;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::Url;

use crate::error::ReaderError;
use crate::list_objects::UNRESERVED;

/// Object names keep their slashes.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// One bucket at one endpoint. Shown as both in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `scheme://host[:port]`, as in messages.
    pub(crate) origin: String,
    pub(crate) bucket: String,
    pub(crate) region: String,
    /// What URLs begin with, up to and with the `/` before the object's name.
    base: String,
}

impl Endpoint {
    pub(crate) fn new(config: &S3StoreConfig) -> Result<Self, ReaderError> {
        let (bucket, region) = (&config.bucket_name, &config.region);
        let encoded = utf8_percent_encode(bucket, UNRESERVED).to_string();
        if encoded != *bucket || bucket.is_empty() || region.is_empty() {
            let reason = format!("bucket_name `{bucket}` or region `{region}` is not usable: see S3's naming rules");
            return Err(ReaderError::Configuration { reason });
        }
        let given = match &config.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://s3.{region}.{}", partition_domain(region)),
        };
        let mut url = parse(&given)?;
        if config.path_style || !virtual_host_works(&url, bucket) {
            let path = format!("{}/{bucket}/", url.path().trim_end_matches('/'));
            let origin = origin(&url);
            url.set_path(&path);
            return Ok(Self { origin, bucket: bucket.clone(), region: region.clone(), base: url.into() });
        }
        let origin = origin(&url);
        let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
        if url.set_host(Some(&host)).is_err() {
            let reason = format!("`{host}` is no host name: set path_style, or check endpoint and bucket_name");
            return Err(ReaderError::Configuration { reason });
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { origin, bucket: bucket.clone(), region: region.clone(), base: url.into() })
    }

    /// The URL of an object.
    pub(crate) fn object_url(&self, name: &str) -> String {
        format!("{}{}", self.base, utf8_percent_encode(name, PATH))
    }

    /// The URL of a LIST.
    pub(crate) fn list_url(&self, query: &str) -> String {
        format!("{}?{query}", self.base)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "bucket `{}` at {}", self.bucket, self.origin)
    }
}

fn parse(endpoint: &str) -> Result<Url, ReaderError> {
    // What was given is not repeated as it is: it might hold a password.
    let refuse = |problem: &str| {
        let reason =
            format!("the endpoint {problem}: write it like `https://s3.example.com` or `http://127.0.0.1:9000`");
        ReaderError::Configuration { reason }
    };
    let url = Url::parse(endpoint).map_err(|error| refuse(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("holds a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("has a query or fragment"));
    }
    Ok(url)
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// An IP address has no subdomains, and a certificate for `*.host` does not cover two of them.
fn virtual_host_works(url: &Url, bucket: &str) -> bool {
    let dots = url.scheme() == "https" && bucket.contains('.');
    let name = url.domain().is_some();
    let lower_case = !bucket.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_');
    name && !dots && lower_case
}

/// The partitions of AWS by what their regions begin with; `us-gov-` is at the same domain as the commercial one.
const PARTITION_DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

fn partition_domain(region: &str) -> &'static str {
    let partition = PARTITION_DOMAINS.iter().find(|(start, _)| region.starts_with(start));
    partition.map_or("amazonaws.com", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(endpoint: Option<&str>, bucket: &str, region: &str, path_style: bool) -> Result<Endpoint, ReaderError> {
        let mut config = S3StoreConfig::new(bucket);
        config.endpoint = endpoint.map(str::to_owned);
        config.region = region.to_owned();
        config.path_style = path_style;
        Endpoint::new(&config)
    }

    #[test]
    fn the_styles() -> Result<(), ReaderError> {
        let cases = [
            (None, "b", "us-east-1", false, "https://b.s3.us-east-1.amazonaws.com/n/~20"),
            (None, "b", "cn-north-1", false, "https://b.s3.cn-north-1.amazonaws.com.cn/n/~20"),
            (None, "b", "us-gov-west-1", false, "https://b.s3.us-gov-west-1.amazonaws.com/n/~20"),
            (None, "b", "eusc-de-east-1", false, "https://b.s3.eusc-de-east-1.amazonaws.eu/n/~20"),
            (None, "b", "us-iso-east-1", false, "https://b.s3.us-iso-east-1.c2s.ic.gov/n/~20"),
            (None, "b", "us-isob-east-1", false, "https://b.s3.us-isob-east-1.sc2s.sgov.gov/n/~20"),
            (None, "b", "us-isof-south-1", false, "https://b.s3.us-isof-south-1.csp.hci.ic.gov/n/~20"),
            (None, "b", "eu-isoe-west-1", false, "https://b.s3.eu-isoe-west-1.cloud.adc-e.uk/n/~20"),
            (None, "b", "us-east-1", true, "https://s3.us-east-1.amazonaws.com/b/n/~20"),
            (None, "b.c", "us-east-1", false, "https://s3.us-east-1.amazonaws.com/b.c/n/~20"),
            (Some("http://127.0.0.1:9000"), "b", "r", false, "http://127.0.0.1:9000/b/n/~20"),
            (Some("http://[::1]:80/"), "b", "r", false, "http://[::1]/b/n/~20"),
            (Some("http://localhost:9000/"), "b", "r", false, "http://b.localhost:9000/n/~20"),
            (Some("https://h:443/s3/"), "b", "r", true, "https://h/s3/b/n/~20"),
        ];
        for (given, bucket, region, path_style, url) in cases {
            assert_eq!(endpoint(given, bucket, region, path_style)?.object_url("n/~20"), url);
        }
        Ok(())
    }

    #[test]
    fn names_are_encoded_and_never_leave_the_bucket() -> Result<(), ReaderError> {
        let endpoint = endpoint(Some("http://127.0.0.1:1"), "b", "r", true)?;
        assert_eq!(endpoint.object_url("a b?c#d"), "http://127.0.0.1:1/b/a%20b%3Fc%23d");
        assert_eq!(endpoint.list_url("list-type=2"), "http://127.0.0.1:1/b/?list-type=2");
        assert_eq!(endpoint.to_string(), "bucket `b` at http://127.0.0.1:1");
        Ok(())
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_repeating_a_password() {
        for given in ["127.0.0.1:9000", "ftp://h", "http://user:SECRET@h", "http://h?x=SECRET", "SECRET"] {
            let error = endpoint(Some(given), "b", "r", true).expect_err(given);
            assert!(matches!(error, ReaderError::Configuration { .. }));
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
        assert!(endpoint(None, "a/b", "r", true).is_err());
    }
}
