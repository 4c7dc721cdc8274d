//! The web page over HTTP: a folder of static files, and the connection that the page opens with.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower_http::services::ServeDir;
use tower_http::services::fs::ServeFileSystemResponseBody;

use crate::failure::{Failure, Kind};

/// The port that is taken where none is asked for.
pub const USUAL_PORT: u16 = 8080;
/// What the page asks for at its start.
const CONNECTION: &str = "/connection.json";
/// Below it a file's name has a hash of what is in it.
const HASHED: &str = "/assets/";
/// No code but the page's own, no frame around it; it may connect anywhere, since its user says where the lists are. What
/// the page's document says itself, and what only a header can.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self' http: https:; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'";
/// What each answer says beside its body.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::VARY, "Accept-Encoding"),
];
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A place for the page, taken before what the page says is known.
pub struct Place {
    listener: TcpListener,
    address: SocketAddr,
}

impl Place {
    /// Port `port` of 127.0.0.1, 0 for any free one; if none is asked for the usual one, or else any free one.
    pub async fn take(port: Option<u16>) -> Result<Self, Failure> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(USUAL_PORT)));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = match TcpListener::bind(asked).await {
            Err(_) if port.is_none() => TcpListener::bind(any).await,
            bound => bound,
        };
        let failed = |error| {
            Failure::io(&format!("cannot listen at {asked}"), error)
                .advice("choose another port with --port, or 0 for any free one")
        };
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The page's address as its users type it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The origins of a page that is opened here, by address and by name.
    pub fn origins(&self) -> Vec<String> {
        let port = self.address.port();
        vec![format!("http://{}", self.address), format!("http://localhost:{port}")]
    }

    /// Serves the page of `folder`, which connects to `connection`, until the answer is dropped.
    ///
    /// # Errors
    /// Where there is no page in the folder.
    pub fn serve(self, folder: &Path, connection: &Value) -> Result<WebPage, Failure> {
        if !folder.join("index.html").is_file() {
            return Err(Failure::new(Kind::Usage, format!("there is no index.html in {}", folder.display()))
                .advice("script/web-build builds the page into web-demo/dist"));
        }
        let url = self.url();
        let site = Arc::new(Site {
            files: TowerToHyperService::new(ServeDir::new(folder).precompressed_br().precompressed_gzip()),
            connection: connection.to_string().into(),
        });
        Ok(WebPage { url, connection: connection.clone(), task: tokio::spawn(accept(self.listener, site)) })
    }
}

/// The page while it is served.
pub struct WebPage {
    pub url: String,
    connection: Value,
    task: JoinHandle<()>,
}

impl Drop for WebPage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WebPage {
    /// Fetches the page and what it connects to, as a browser would at first. Answers the bytes of the page's document.
    ///
    /// # Errors
    /// Where it is not served as it should be.
    pub async fn check(&self) -> Result<usize, Failure> {
        let failed = |error: reqwest::Error| Failure::new(Kind::Failed, format!("the web page is not served: {error}"));
        let fetched = async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let page = client.get(&self.url).send().await?.error_for_status()?.bytes().await?;
            let connection = client.get(self.url.clone() + &CONNECTION[1..]).send().await?.error_for_status()?;
            Ok((page, connection.bytes().await?))
        };
        let (page, connection) = fetched.await.map_err(failed)?;
        match serde_json::from_slice::<Value>(&connection).is_ok_and(|found| found == self.connection) {
            true => Ok(page.len()),
            false => Err(Failure::new(Kind::Failed, "the web page is told another connection than it should")),
        }
    }
}

struct Site {
    files: TowerToHyperService<ServeDir>,
    connection: Bytes,
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Either<ServeFileSystemResponseBody, Full<Bytes>>> {
        let path = request.uri().path();
        let is_hashed = path.starts_with(HASHED);
        let mut response = if path == CONNECTION {
            let mut response = Response::new(Either::Right(Full::new(self.connection.clone())));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        } else {
            let Ok(response) = self.files.call(request).await;
            response.map(Either::Left)
        };
        let caching = if is_hashed && response.status().is_success() {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        dress(response.headers_mut(), caching);
        response
    }
}

fn dress(headers: &mut HeaderMap, caching: &'static str) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // Connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let site = site.clone();
        let answer = service_fn(move |request| {
            let site = site.clone();
            async move { Ok::<_, Infallible>(site.answer(request).await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
