//! HTTP without a network: what reader and writer would send to S3 reaches the simulated store, with its status, its
//! headers and its body, and so does what it answers.

use std::fmt;

use async_trait::async_trait;
use aws_sdk_s3::config::{AsyncSleep, HttpClient, RuntimeComponents, SharedAsyncSleep, SharedHttpClient, Sleep};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest as SdkRequest, HttpResponse as SdkResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use klstore_reader::Environment;
use klstore_reader::transport::{BodyCollector, HttpRequest, HttpResponse, Transport, TransportError};
use std::time::{Duration, SystemTime};

use crate::http::{Asked, Head, Rendered};
use crate::process::Process;

/// The endpoint of every run.
pub const ENDPOINT: &str = "http://store.test:9000";

#[async_trait]
impl Transport for Process {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let range = request.range.as_ref().map(|range| (range.start, range.end));
        let head = Head { method: "GET", target: target_of(&request.url), range, if_none_match: false };
        let asked = Asked::parse(&head, Bytes::new()).map_err(|reason| TransportError::Invalid { reason })?;
        let reply = self.exchange_by_http(asked.request.clone()).await;
        let broken = || TransportError::Interrupted { reason: "the connection broke".to_owned() };
        let Rendered { status, headers, body } = asked.render(reply).ok_or_else(broken)?;
        let mut collector = BodyCollector::new(&request, status);
        collector.push(body)?;
        let (body, received) = collector.finish();
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(HttpResponse { status, headers, body, received })
    }
}

/// What the AWS SDK sends its requests by.
#[derive(Clone)]
pub struct SdkWire(pub Process);

impl fmt::Debug for SdkWire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SdkWire")
    }
}

impl SdkWire {
    /// The SDK's HTTP client, timer and clock of this process.
    pub fn parts(&self) -> (SharedHttpClient, SharedAsyncSleep, SharedTimeSource) {
        (SharedHttpClient::new(self.clone()), SharedAsyncSleep::new(self.clone()), SharedTimeSource::new(self.clone()))
    }

    async fn answer(self, request: SdkRequest) -> Result<SdkResponse, ConnectorError> {
        let user = |reason: String| ConnectorError::user(reason.into());
        let range = request.headers().get("range").and_then(range_of);
        let if_none_match = request.headers().get("if-none-match") == Some("*");
        let head = Head { method: request.method(), target: target_of(request.uri()), range, if_none_match };
        let body = request.body().bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        let asked = Asked::parse(&head, body).map_err(user)?;
        let reply = self.0.exchange_by_http(asked.request.clone()).await;
        let broken = || ConnectorError::io("the connection broke".into());
        let Rendered { status, headers, body } = asked.render(reply).ok_or_else(broken)?;
        let status = status.try_into().map_err(|error| user(format!("{error}")))?;
        let mut response = SdkResponse::new(status, SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

impl HttpConnector for SdkWire {
    fn call(&self, request: SdkRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

impl HttpClient for SdkWire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl AsyncSleep for SdkWire {
    fn sleep(&self, duration: Duration) -> Sleep {
        let process = self.0.clone();
        Sleep::new(async move { process.sleep(duration).await })
    }
}

impl TimeSource for SdkWire {
    fn now(&self) -> SystemTime {
        Environment::now(&self.0)
    }
}

/// Path and query of a URL.
fn target_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

/// `bytes=5-9`.
fn range_of(header: &str) -> Option<(u64, u64)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse::<u64>().ok()? + 1))
}
