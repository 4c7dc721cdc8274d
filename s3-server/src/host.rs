//! The `Host` header: whose requests are served, and which bucket a virtual host names.
//!
//! A page on any site can make a browser send requests to 127.0.0.1 once its own name resolves there (DNS rebinding);
//! its host name gives it away.

use std::net::{IpAddr, SocketAddr};

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The names under which the server answers.
#[derive(Clone, Debug)]
pub(crate) struct HostNames {
    bound: SocketAddr,
    /// Names of the configuration, lower case, without port: those of a proxy in front, say.
    names: Vec<String>,
}

/// What a host header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostMatch<'h> {
    /// One of our names or addresses; the bucket is in the path.
    PathStyle,
    /// `BUCKET.name`
    Bucket(&'h str),
    /// Somebody else's name.
    Foreign,
}

impl HostNames {
    pub(crate) fn new(bound: SocketAddr, names: &[String]) -> Self {
        Self { bound, names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    pub(crate) fn find<'h>(&self, host: &'h str) -> HostMatch<'h> {
        if let Ok(address) = host.parse::<SocketAddr>() {
            return self.address(address.ip(), Some(address.port()));
        }
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return self.address(address, None);
        }
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => match port.parse::<u16>() {
                Ok(port) => (name, Some(port)),
                Err(_) => return HostMatch::Foreign,
            },
            None => (host, None),
        };
        // A configured name may be a proxy's, at any port.
        for (own, any_port) in self.names.iter().map(|name| (name.as_str(), true)).chain([("localhost", false)]) {
            let Some(start) = name.len().checked_sub(own.len()) else { continue };
            let (Some(rest), Some(suffix)) = (name.get(..start), name.get(start..)) else { continue };
            if !suffix.eq_ignore_ascii_case(own) || !(any_port || self.is_bound_port(port)) {
                continue;
            }
            match rest.strip_suffix('.') {
                Some(bucket) if !bucket.is_empty() => return HostMatch::Bucket(bucket),
                _ if rest.is_empty() => return HostMatch::PathStyle,
                _ => {}
            }
        }
        HostMatch::Foreign
    }

    fn address(&self, address: IpAddr, port: Option<u16>) -> HostMatch<'static> {
        // Bound to all addresses, the server cannot know by which it is reached; an address cannot be rebound.
        let ours = self.bound.ip().is_unspecified() || address == self.bound.ip();
        match ours && self.is_bound_port(port) {
            true => HostMatch::PathStyle,
            false => HostMatch::Foreign,
        }
    }

    fn is_bound_port(&self, port: Option<u16>) -> bool {
        port.unwrap_or(80) == self.bound.port()
    }
}

impl S3Host for HostNames {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        match self.find(host) {
            HostMatch::PathStyle => Ok(VirtualHost::new(host)),
            HostMatch::Bucket(bucket) => Ok(VirtualHost::new(host).with_bucket(bucket)),
            HostMatch::Foreign => Err(s3s::s3_error!(AccessDenied, "This host name is not served here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_at_the_own_port_are_served() {
        let hosts = HostNames::new("127.0.0.1:9000".parse().unwrap(), &["s3.Example.org".into()]);
        for host in ["127.0.0.1:9000", "localhost:9000", "LocalHost:9000", "s3.example.org", "s3.example.org:443"] {
            assert_eq!(hosts.find(host), HostMatch::PathStyle, "{host}");
        }
        for host in ["photos.localhost:9000", "photos.s3.example.org"] {
            assert_eq!(hosts.find(host), HostMatch::Bucket("photos"), "{host}");
        }
        for host in [
            "",
            "localhost",
            "localhost:9001",
            "127.0.0.1",
            "127.0.0.2:9000",
            "evil.example",
            "evil.example:9000",
            "notlocalhost:9000",
            "localhost.evil.example:9000",
            "xs3.example.org",
            ".localhost:9000",
            "localhost:x",
            "é:9000",
        ] {
            assert_eq!(hosts.find(host), HostMatch::Foreign, "{host}");
        }
    }

    #[test]
    fn bound_to_all_addresses_any_address_is_served() {
        let hosts = HostNames::new("0.0.0.0:9000".parse().unwrap(), &[]);
        assert_eq!(hosts.find("192.168.1.7:9000"), HostMatch::PathStyle);
        assert_eq!(hosts.find("[::1]:9000"), HostMatch::PathStyle);
        assert_eq!(hosts.find("evil.example:9000"), HostMatch::Foreign);
    }
}
