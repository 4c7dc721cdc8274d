//! `/metrics`, `/live` and `/ready` over HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::health::Health;

/// Connections at once; others wait.
const MAX_CONNECTIONS: usize = 16;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The poll thread stands still for as long as a drain and the questions of a rebalance take, and no longer.
const LIVE_INTERVAL: Duration = Duration::from_secs(120);
const HISTOGRAMS: &[(&str, &[f64])] = &[
    ("klstore_bridge_put_seconds", &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0]),
    ("klstore_bridge_batch_items", &[1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0]),
    ("klstore_bridge_batch_bytes", &[1e3, 1e4, 1e5, 1e6, 4e6, 16e6]),
];
/// How often counters that nobody looked at are tidied up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Makes the metrics that this process records available. Once a process.
///
/// # Errors
///
/// Another recorder is there already.
pub fn install_recorder() -> io::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in HISTOGRAMS {
        let matcher = Matcher::Full((*name).to_owned());
        builder = builder.set_buckets_for_metric(matcher, buckets).map_err(io::Error::other)?;
    }
    let handle = builder.install_recorder().map_err(io::Error::other)?;
    metrics::describe_counter!("klstore_bridge_records_total", "Records taken from Kafka");
    metrics::describe_counter!("klstore_bridge_duplicates_total", "Records that their list had already");
    metrics::describe_counter!("klstore_bridge_poison_total", "Records that could not go where they should, by kind");
    metrics::describe_counter!("klstore_bridge_rebalances_total", "Assignments, revocations and losses of partitions");
    metrics::describe_counter!("klstore_bridge_commit_failures_total", "Commits of offsets that failed");
    metrics::describe_counter!("klstore_bridge_regressions_total", "Records of lists that something else has fed");
    metrics::describe_histogram!(
        "klstore_bridge_put_seconds",
        "How long an append to S3 took, with what it had to load"
    );
    metrics::describe_histogram!("klstore_bridge_batch_items", "Records of an append");
    metrics::describe_histogram!("klstore_bridge_batch_bytes", "Bytes of an append's values");
    metrics::describe_gauge!("klstore_bridge_lag_records", "From what is durable to the end of the partition");
    metrics::describe_gauge!(
        "klstore_bridge_frontier_age_seconds",
        "How long the oldest record not durable has waited"
    );
    metrics::describe_gauge!("klstore_bridge_buffered_bytes", "Bytes in memory that are not durable");
    // Counters that nothing has happened to are there from the start: a query then has data.
    metrics::counter!("klstore_bridge_records_total").absolute(0);
    metrics::counter!("klstore_bridge_duplicates_total").absolute(0);
    metrics::counter!("klstore_bridge_commit_failures_total").absolute(0);
    metrics::counter!("klstore_bridge_regressions_total").absolute(0);
    for kind in ["unreadable", "tombstone", "not_appendable", "other_source"] {
        metrics::counter!("klstore_bridge_poison_total", "kind" => kind).absolute(0);
    }
    for kind in ["assigned", "revoked", "lost"] {
        metrics::counter!("klstore_bridge_rebalances_total", "kind" => kind).absolute(0);
    }
    Ok(handle)
}

/// Binds the address, and serves on the current runtime until that ends. The address it has.
///
/// # Errors
///
/// The address is not to be had.
pub async fn serve(address: SocketAddr, metrics: PrometheusHandle, health: Health) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (alive, is_alive) = watch::channel(true);
    let watched = health.clone();
    tokio::spawn(async move {
        loop {
            let before = watched.poll_count();
            tokio::time::sleep(LIVE_INTERVAL).await;
            if alive.send(watched.poll_count() > before).is_err() {
                return;
            }
        }
    });
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    let pages = Arc::new(Pages { metrics, health, is_alive });
    tokio::spawn(accept(listener, pages));
    Ok(address)
}

async fn accept(listener: TcpListener, pages: Arc<Pages>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                // No file descriptors, for example: not again at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let answer = service_fn(|request| {
                let page = pages.answer(&request);
                async move { Ok::<_, Infallible>(page) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

struct Pages {
    metrics: PrometheusHandle,
    health: Health,
    is_alive: watch::Receiver<bool>,
}

impl Pages {
    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let state =
            |good: bool| if good { (StatusCode::OK, "yes\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "no\n") };
        let (status, body) = match request.uri().path() {
            "/metrics" => (StatusCode::OK, self.metrics.render()),
            "/live" => owned(state(*self.is_alive.borrow())),
            "/ready" => owned(state(self.health.is_assigned())),
            _ => (StatusCode::NOT_FOUND, "there are /metrics, /live and /ready\n".to_owned()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        response
    }
}

fn owned((status, body): (StatusCode, &str)) -> (StatusCode, String) {
    (status, body.to_owned())
}
