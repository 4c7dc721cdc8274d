//! Where a bucket's objects are: from endpoint, region and bucket to URLs.

use std::fmt;
use std::net::Ipv4Addr;

use klstore_format::S3StoreConfig;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::error::ReaderError;
use crate::list_objects::UNRESERVED;

/// Object names keep their slashes.
pub(crate) const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

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
        let Address { scheme, host, port, path } = Address::parse(&given)?;
        let origin = format!("{scheme}://{host}{port}");
        let base = if config.path_style || !virtual_host_works(scheme, &host, bucket) {
            format!("{origin}{path}/{bucket}/")
        } else {
            format!("{scheme}://{bucket}.{host}{port}{path}/")
        };
        Ok(Self { origin, bucket: bucket.clone(), region: region.clone(), base })
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

/// The parts of an endpoint's URL, as they stand in URLs that are signed.
struct Address {
    scheme: &'static str,
    /// In lower case.
    host: String,
    /// With its colon; empty where it is the scheme's own.
    port: String,
    /// Without a slash at its end.
    path: String,
}

impl Address {
    fn parse(endpoint: &str) -> Result<Self, ReaderError> {
        // What was given is not repeated as it is: it might hold a password.
        let refuse = |problem: &str| {
            let reason =
                format!("the endpoint {problem}: write it like `https://s3.example.com` or `http://127.0.0.1:9000`");
            ReaderError::Configuration { reason }
        };
        let Some((scheme, rest)) = split_scheme(endpoint) else { return Err(refuse("is no URL")) };
        let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", "80"),
            "https" => ("https", "443"),
            _ => return Err(refuse("is neither http nor https")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refuse("holds a user or password"));
        }
        if path.contains(['?', '#']) {
            return Err(refuse("has a query or fragment"));
        }
        // The colons of an IPv6 address are within its brackets.
        let (host, port) = match authority.rfind([':', ']']) {
            Some(colon) if authority.as_bytes()[colon] == b':' => (&authority[..colon], &authority[colon + 1..]),
            _ => (authority, ""),
        };
        let host = host.to_ascii_lowercase();
        if !is_host(&host) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("is no URL (of a host name that is in ASCII)"));
        }
        let port = match port.parse::<u16>() {
            _ if port.is_empty() || port == usual_port => String::new(),
            Ok(port) if port > 0 => format!(":{port}"),
            _ => return Err(refuse("has an impossible port")),
        };
        if host.is_empty() {
            return Err(refuse("names no host"));
        }
        Ok(Self { scheme, host, port, path: path.trim_end_matches('/').to_owned() })
    }
}

/// What stands before and after the `://` of a URL.
pub(crate) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| {
            address.contains(':') && address.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.'))
        }),
        None => {
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%'))
        }
    }
}

/// An IP address has no subdomains, those of `localhost` are known to browsers alone, and a certificate for `*.host` does not cover two of them.
fn virtual_host_works(scheme: &str, host: &str, bucket: &str) -> bool {
    let dots = scheme == "https" && bucket.contains('.');
    let name = !host.starts_with('[') && host != "localhost" && host.parse::<Ipv4Addr>().is_err();
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
            (Some("http://localhost:9000/"), "b", "r", false, "http://localhost:9000/b/n/~20"),
            (Some("https://h:443/s3/"), "b", "r", true, "https://h/s3/b/n/~20"),
            (Some("HTTPS://S3.Example.com:8443"), "b", "r", false, "https://b.s3.example.com:8443/n/~20"),
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
        for given in [
            "127.0.0.1:9000",
            "ftp://h",
            "http://user:SECRET@h",
            "http://h?x=SECRET",
            "SECRET",
            "http://h:SECRET",
            "http://:1",
            "http://h:99999",
        ] {
            let error = endpoint(Some(given), "b", "r", true).expect_err(given);
            assert!(matches!(error, ReaderError::Configuration { .. }));
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
        assert!(endpoint(None, "a/b", "r", true).is_err());
    }
}
