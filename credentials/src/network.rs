//! The network as enterprises have it: certificate authorities of their own, and proxies.
//!
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` hold for everything but the addresses at which a machine
//! asks for its own credentials: no proxy can answer for those.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use klstore_format::S3StoreConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

/// The longest file of certificate authorities that is read: 4 MiB, many times what operating systems ship.
const MAX_CA_BUNDLE_BYTES: u64 = 4 << 20;

/// Hosts that only this machine can ask: instance metadata, ECS, EKS pod identity.
const OWN_HOSTS: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"];

/// A file of certificate authorities that cannot be used.
#[derive(Debug, Error)]
#[error("ca_bundle {}: {problem}", path.display())]
pub struct CaBundleError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: CaBundleProblem,
}

/// What is wrong with a file of certificate authorities.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaBundleProblem {
    /// It cannot be read.
    #[error("it cannot be read ({0}): check path and permissions")]
    Unreadable(#[from] io::Error),
    /// It is longer than any bundle.
    #[error("it is longer than {MAX_CA_BUNDLE_BYTES} bytes: name a PEM file of certificates")]
    TooLong,
    /// It holds no certificate.
    #[error("it holds no certificate: name a PEM file with `-----BEGIN CERTIFICATE-----` in it")]
    Empty,
    /// A certificate in it is damaged.
    #[error("its certificate number {number} is damaged ({reason}): export it again")]
    Damaged {
        /// Which one, from 1 on.
        number: usize,
        /// What the parser says.
        reason: String,
    },
}

/// The PEM file that `config` names, checked; `None` where it names none.
///
/// # Errors
///
/// [`CaBundleError`] where the file is missing, too long (4 MiB), or is no PEM file of certificates.
pub fn ca_bundle(config: &S3StoreConfig) -> Result<Option<Vec<u8>>, CaBundleError> {
    let Some(path) = config.ca_bundle.as_deref().filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    let read = read_bundle(path).and_then(|pem| check_bundle(&pem).map(|()| pem));
    read.map(Some).map_err(|problem| CaBundleError { path: path.to_owned(), problem })
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, CaBundleProblem> {
    let mut pem = Vec::new();
    File::open(path)?.take(MAX_CA_BUNDLE_BYTES + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX_CA_BUNDLE_BYTES { Err(CaBundleProblem::TooLong) } else { Ok(pem) }
}

/// What the HTTP clients would stumble over later.
fn check_bundle(pem: &[u8]) -> Result<(), CaBundleProblem> {
    let mut roots = RootCertStore::empty();
    for (index, parsed) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let damaged = |reason: String| CaBundleProblem::Damaged { number: index + 1, reason };
        let certificate = parsed.map_err(|error| damaged(error.to_string()))?;
        roots.add(certificate).map_err(|error| damaged(error.to_string()))?;
    }
    if roots.is_empty() { Err(CaBundleProblem::Empty) } else { Ok(()) }
}

/// Why a server's certificate was refused, where that is what `error` comes from.
pub fn certificate_problem(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return Some(error.to_string());
        }
        // What an I/O error wraps, another I/O error perhaps, is not among its sources.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// The HTTP client of AWS's SDK as `config` wants it.
///
/// # Errors
///
/// As [`ca_bundle`].
pub(crate) fn http_client(config: &S3StoreConfig) -> Result<SharedHttpClient, CaBundleError> {
    let mut trusted = TrustStore::default();
    if let Some(pem) = ca_bundle(config)? {
        trusted.add_pem_certificate(pem);
    }
    Ok(SharedHttpClient::new(NetworkClient { trusted, connectors: Mutex::default() }))
}

type Timeouts = (Option<Duration>, Option<Duration>);

/// Makes one connector for each pair of time-outs, as a connector keeps its connections for later requests.
struct NetworkClient {
    trusted: TrustStore,
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

impl fmt::Debug for NetworkClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NetworkClient").finish_non_exhaustive()
    }
}

impl HttpClient for NetworkClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let connector = connectors.entry((settings.connect_timeout(), settings.read_timeout())).or_insert_with(|| {
            SharedHttpConnector::new(NetworkConnector {
                usual: connector(settings, components, ProxyConfig::from_env(), self.trusted.clone()),
                // Those addresses speak plain HTTP.
                direct: connector(settings, components, ProxyConfig::disabled(), TrustStore::empty()),
            })
        });
        connector.clone()
    }
}

fn connector(
    settings: &HttpConnectorSettings,
    components: &RuntimeComponents,
    proxies: ProxyConfig,
    trusted: TrustStore,
) -> SharedHttpConnector {
    let mut builder = Connector::builder().connector_settings(settings.clone()).proxy_config(proxies);
    builder.set_sleep_impl(components.sleep_impl());
    let mut builder = builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    // This has no way to fail yet; without it the system's authorities are trusted all the same.
    if let Ok(context) = TlsContext::builder().with_trust_store(trusted).build() {
        builder.set_tls_context(context);
    }
    SharedHttpConnector::new(builder.build())
}

#[derive(Debug)]
struct NetworkConnector {
    usual: SharedHttpConnector,
    direct: SharedHttpConnector,
}

impl HttpConnector for NetworkConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_own_host(request.uri()) { self.direct.call(request) } else { self.usual.call(request) }
    }
}

fn is_own_host(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    OWN_HOSTS
        .iter()
        .any(|host| rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(name: &str, contents: &[u8]) -> Result<Option<Vec<u8>>, CaBundleError> {
        let path = std::env::temp_dir().join(format!("klstore-{}-{name}.pem", std::process::id()));
        std::fs::write(&path, contents).expect("a temporary file");
        let read = ca_bundle(&S3StoreConfig { ca_bundle: Some(path.clone()), ..S3StoreConfig::new("b") });
        std::fs::remove_file(path).expect("the same file");
        read
    }

    #[test]
    fn a_bundle_that_is_none_says_what_it_should_be() {
        let problem = |name, contents: &[u8]| bundle(name, contents).expect_err("refused").problem;
        assert!(matches!(problem("empty", b""), CaBundleProblem::Empty));
        assert!(matches!(problem("text", b"# no certificate\n"), CaBundleProblem::Empty));
        let damaged = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(problem("damaged", damaged), CaBundleProblem::Damaged { number: 1, .. }));
        assert!(matches!(problem("long", &vec![b'#'; (4 << 20) + 1]), CaBundleProblem::TooLong));
        let missing = S3StoreConfig { ca_bundle: Some("/nonexistent.pem".into()), ..S3StoreConfig::new("b") };
        let error = ca_bundle(&missing).expect_err("no such file").to_string();
        assert!(error.contains("/nonexistent.pem") && error.contains("check path"), "{error}");
    }

    #[test]
    fn a_refused_certificate_is_found_however_it_is_wrapped() {
        let refused = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, refused));
        assert_eq!(certificate_problem(&wrapped).as_deref(), Some("invalid peer certificate: UnknownIssuer"));
        let other = io::Error::other(rustls::Error::HandshakeNotComplete);
        assert_eq!(certificate_problem(&other), None);
        assert_eq!(certificate_problem(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }

    #[test]
    fn no_bundle_is_none() -> Result<(), CaBundleError> {
        assert!(ca_bundle(&S3StoreConfig::new("b"))?.is_none());
        let unset = S3StoreConfig { ca_bundle: Some(PathBuf::new()), ..S3StoreConfig::new("b") };
        assert!(ca_bundle(&unset)?.is_none(), "an empty setting counts as unset");
        Ok(())
    }

    #[test]
    fn only_the_machine_s_own_addresses_go_past_the_proxy() {
        for own in ["http://169.254.169.254/latest/meta-data", "http://169.254.170.2:80/v2", "http://[fd00:ec2::254]/x"]
        {
            assert!(is_own_host(own), "{own}");
        }
        for other in ["http://169.254.169.254.example/", "https://s3.amazonaws.com/", "http://169.254.169.2540/", ""] {
            assert!(!is_own_host(other), "{other}");
        }
    }
}
