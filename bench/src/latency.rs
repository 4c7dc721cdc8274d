//! A proxy that is as late as S3: it holds each request back as long as S3 would take for it, and passes it on unchanged.
//!
//! Delays are log-normal: long ones are more frequent than in a normal distribution, none is negative. They come from a
//! seed, so that both sides of a pair wait equally long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, LogNormal};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use crate::Failure;

/// Milliseconds of the median and the 99th percentile.
const GET: (f64, f64) = (60.0, 80.0);
const PUT: (f64, f64) = (100.0, 200.0);
/// Of a LIST only the median is given: as spread as a GET.
const LIST: (f64, f64) = (100.0, 133.0);
/// How many standard deviations the 99th percentile of a normal distribution is from its median.
const P99: f64 = 2.326;

/// A proxy in front of a server.
pub struct Proxy {
    port: u16,
    delays: Arc<Delays>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, delays) = (listener.local_addr()?.port(), Arc::new(Delays::new()?));
        let accepting = tokio::spawn(accept(listener, server, delays.clone()));
        Ok(Self { port, delays, accepting })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins the delays of this seed.
    pub fn reseed(&self, seed: u64) {
        self.delays.reseed(seed);
    }

    /// How many requests were under way at a time since this was asked last.
    pub fn take_most_at_once(&self) -> usize {
        self.delays.most_at_once.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who waits how long.
struct Delays {
    get: LogNormal<f64>,
    put: LogNormal<f64>,
    list: LogNormal<f64>,
    /// One source of chance for each kind of request: what one kind draws changes nothing for the others.
    random: Mutex<[StdRng; 3]>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Delays {
    fn new() -> Result<Self, Failure> {
        let of = |(median, p99): (f64, f64)| LogNormal::new(median.ln(), (p99 / median).ln() / P99);
        Ok(Self {
            get: of(GET)?,
            put: of(PUT)?,
            list: of(LIST)?,
            random: Mutex::new(sources(0)),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    fn reseed(&self, seed: u64) {
        *self.random.lock().unwrap_or_else(PoisonError::into_inner) = sources(seed);
    }

    fn of<B>(&self, request: &Request<B>) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let [get, put, list] = &mut *random;
        let lists = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let milliseconds = match *request.method() {
            Method::GET if lists => self.list.sample(list),
            Method::GET | Method::HEAD => self.get.sample(get),
            _ => self.put.sample(put),
        };
        Duration::from_secs_f64(milliseconds / 1e3)
    }
}

fn sources(seed: u64) -> [StdRng; 3] {
    [0, 1, 2].map(|kind| StdRng::seed_from_u64(seed.wrapping_mul(3).wrapping_add(kind)))
}

async fn accept(listener: TcpListener, server: SocketAddr, delays: Arc<Delays>) {
    while let Ok((client, _)) = listener.accept().await {
        let delays = delays.clone();
        // What goes wrong with a connection its client is told by its end.
        tokio::spawn(async move { carry(client, server, delays).await.ok() });
    }
}

/// Carries one connection, by one of its own to the server.
async fn carry(client: TcpStream, server: SocketAddr, delays: Arc<Delays>) -> Result<(), Failure> {
    client.set_nodelay(true)?;
    let upstream = TcpStream::connect(server).await?;
    upstream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(upstream)).await?;
    tokio::spawn(connection);
    let sender = Arc::new(AsyncMutex::new(sender));
    let service = service_fn(move |request: Request<Incoming>| {
        let (delays, delay, sender) = (delays.clone(), delays.of(&request), sender.clone());
        async move {
            let at_once = delays.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            delays.most_at_once.fetch_max(at_once, Ordering::Relaxed);
            tokio::time::sleep(delay).await;
            delays.at_once.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Infallible>(pass_on(request, &sender).await)
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await?;
    Ok(())
}

async fn pass_on(
    request: Request<Incoming>,
    sender: &AsyncMutex<SendRequest<Incoming>>,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let mut sender = sender.lock().await;
    let answer = match sender.ready().await {
        Ok(()) => sender.send_request(request).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => answer.map(BodyExt::boxed),
        Err(_) => {
            let mut gone = Response::new(Empty::new().map_err(|never| match never {}).boxed());
            *gone.status_mut() = StatusCode::BAD_GATEWAY;
            gone
        }
    }
}
