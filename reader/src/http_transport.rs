//! The native transport, over reqwest.

use async_trait::async_trait;
use futures::StreamExt;
use http::header::{HeaderName, HeaderValue, RANGE};

use crate::transport::{BodyCollector, HttpRequest, HttpResponse, Transport, TransportError};

/// Sends requests by [`reqwest`], through the proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
/// `NO_PROXY` name.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    /// A transport with a client of its own, which keeps connections open for a while.
    ///
    /// # Errors
    ///
    /// [`TransportError::Invalid`] where the system's TLS set-up cannot be read.
    pub fn new() -> Result<Self, TransportError> {
        Self::build(reqwest::Client::builder())
    }

    /// The same, trusting these certificate authorities (PEM, one or many) beside those of the operating system.
    ///
    /// # Errors
    ///
    /// [`TransportError::Invalid`] where they are not PEM, or as [`new`](Self::new).
    pub fn trusting(ca_bundle: &[u8]) -> Result<Self, TransportError> {
        let authorities = reqwest::Certificate::from_pem_bundle(ca_bundle)
            .map_err(|error| TransportError::Invalid { reason: format!("the certificate authorities: {error}") })?;
        Self::build(reqwest::Client::builder().tls_certs_merge(authorities))
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, TransportError> {
        let builder = builder
            // A redirect could take credentials to another host; the reader names the right region instead.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("klstore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(5))
            // Shorter than S3's own, so that a request seldom meets a connection that is just being closed.
            .pool_idle_timeout(std::time::Duration::from_secs(15));
        let client =
            builder.build().map_err(|error| TransportError::Invalid { reason: error.without_url().to_string() })?;
        Ok(Self { client })
    }

    /// A transport over a client that was set up elsewhere. It must not follow redirects.
    pub fn with_client(client: reqwest::Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut builder = self.client.get(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(range) = &request.range {
            builder = builder.header(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        }
        let response = builder.send().await.map_err(connection_error)?;
        let status = response.status().as_u16();
        let text =
            |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
        let headers = response.headers().iter().filter_map(text).collect();
        let mut body = BodyCollector::new(&request, status);
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            if body.push(chunk.map_err(interruption)?)? {
                break;
            }
        }
        let (body, received) = body.finish();
        Ok(HttpResponse { status, headers, body, received })
    }
}

fn connection_error(error: reqwest::Error) -> TransportError {
    if error.is_builder() {
        return TransportError::Invalid { reason: reason(error) };
    }
    if let Some(reason) = klstore_credentials::network::certificate_problem(&error) {
        return TransportError::UntrustedCertificate { reason };
    }
    if !error.is_connect() {
        return interruption(error);
    }
    TransportError::Connect { reason: reason(error) }
}

fn interruption(error: reqwest::Error) -> TransportError {
    TransportError::Interrupted { reason: reason(error) }
}

/// The innermost cause says most; the URL is left out, as its query may hold a signature.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
