//! Starting, using and stopping a server.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::access::{Access, AnonymousAccess, Credential};
use crate::cors::Cors;
use crate::counts::{Counts, Meter, RequestRecord};
use crate::faults::Faults;
use crate::host::HostNames;
use crate::operations::Operations;
use crate::service::Service;
use crate::signature::WrongRegion;
use crate::store::{Store, StoreError};

/// The largest body of requests that carry XML: a deletion of 1,000 keys of 1,024 bytes, each written as an entity.
const MAX_XML: usize = 8 << 20;

/// An S3 server; begin with [`Server::builder`].
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// The settings of a server to start: in memory, at a free port of 127.0.0.1, with no bucket and no key.
    ///
    /// ```
    /// use klstore_s3_server::{Credential, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder()
    ///     .bucket("photos")
    ///     .credential(Credential::new("AKEXAMPLE", "secret"))
    ///     .start()
    ///     .await?;
    /// println!("S3 at {}", server.endpoint());
    /// server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// Bounds that keep one client from using up the server.
///
/// ```
/// use klstore_s3_server::Limits;
/// let small = Limits { max_object_size: 1 << 20, ..Limits::default() };
/// # assert!(small.max_object_size < Limits::default().max_object_size);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest object: 64 MiB. Each is in memory while it is put or read.
    pub max_object_size: u64,
    /// Bytes of uploads that may be in memory at once: 1 GiB. Others wait.
    pub upload_memory: u64,
    /// Connections at once: 1,024. Others wait.
    pub max_connections: usize,
    /// Bytes of a request's head: 64 KiB.
    pub max_head_size: usize,
    /// How long a request's head may take, and a connection may idle: 60 seconds.
    pub head_timeout: Duration,
    /// How long a request's body may pause: 30 seconds.
    pub body_pause: Duration,
    /// How long a shutdown waits for requests under way: 10 seconds.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_object_size: 64 << 20,
            upload_memory: 1 << 30,
            max_connections: 1_024,
            max_head_size: 64 << 10,
            head_timeout: Duration::from_secs(60),
            body_pause: Duration::from_secs(30),
            drain_time: Duration::from_secs(10),
        }
    }
}

/// The settings of a server to start.
#[derive(Debug)]
#[must_use = "a server serves when it is started"]
pub struct ServerBuilder {
    address: SocketAddr,
    storage: Storage,
    buckets: Vec<String>,
    credentials: Vec<Credential>,
    anonymous: HashMap<String, AnonymousAccess>,
    region: Option<(String, WrongRegion)>,
    cors: Cors,
    host_names: Vec<String>,
    limits: Limits,
    request_log: usize,
}

#[derive(Debug)]
enum Storage {
    Memory,
    Folder(PathBuf),
    Shared(Arc<Store>),
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            storage: Storage::Memory,
            buckets: Vec::new(),
            credentials: Vec::new(),
            anonymous: HashMap::new(),
            region: None,
            cors: Cors::default(),
            host_names: Vec::new(),
            limits: Limits::default(),
            request_log: 0,
        }
    }
}

impl ServerBuilder {
    /// Where to listen. Port 0 is any free one. Anything but the loopback opens the server to the network.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Keeps the objects in this folder, created where it is missing, instead of in memory.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage = Storage::Folder(path.into());
        self
    }

    /// Serves a store that the caller has, such as that of a server that was stopped.
    pub fn store(mut self, store: Arc<Store>) -> Self {
        self.storage = Storage::Shared(store);
        self
    }

    /// Creates this bucket at the start where it is missing.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Knows this key pair.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Opens a bucket to requests without a signature.
    pub fn anonymous(mut self, bucket: impl Into<String>, access: AnonymousAccess) -> Self {
        self.anonymous.insert(bucket.into(), access);
        self
    }

    /// Opens all buckets to requests without a signature.
    pub fn anonymous_everywhere(self, access: AnonymousAccess) -> Self {
        self.anonymous("", access)
    }

    /// Takes only requests signed for this region. Without it the region does not matter.
    pub fn region(mut self, region: impl Into<String>, otherwise: WrongRegion) -> Self {
        self.region = Some((region.into(), otherwise));
        self
    }

    /// Lets pages of other origins use the server.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// Answers to this host name too, and to `BUCKET.name`: that of a proxy in front, say.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.host_names.push(name.into());
        self
    }

    /// Bounds other than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the last so many requests for [`RunningServer::take_requests`].
    pub fn request_log(mut self, requests: usize) -> Self {
        self.request_log = requests;
        self
    }

    /// Opens the store and serves it until [`RunningServer::shutdown`].
    ///
    /// # Errors
    /// [`StartError`] where the address or the store cannot be opened.
    pub async fn start(self) -> Result<RunningServer, StartError> {
        let store = match self.storage {
            Storage::Memory => Arc::new(Store::in_memory()),
            Storage::Shared(store) => store,
            Storage::Folder(path) => {
                let opened = tokio::task::spawn_blocking(move || Store::in_folder(path)).await;
                Arc::new(opened.map_err(|error| StartError::Task(error.into()))??)
            }
        };
        for bucket in &self.buckets {
            match store.create_bucket(bucket) {
                Ok(()) | Err(StoreError::BucketExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let bind = |source| StartError::Bind { address: self.address, source };
        let listener = TcpListener::bind(self.address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;

        let limits = self.limits;
        let meter = Arc::new(Meter::new(self.request_log));
        let faults = Faults::default();
        let access = Access::new(self.credentials, self.anonymous);
        let hosts = HostNames::new(address, &self.host_names);
        let kibibytes = u32::try_from(limits.upload_memory / 1024).unwrap_or(u32::MAX).max(1);
        let operations = Operations {
            store: store.clone(),
            access: access.clone(),
            meter: meter.clone(),
            max_object_size: limits.max_object_size,
            upload_memory: Arc::new(Semaphore::new(kibibytes as usize)),
            upload_memory_size: kibibytes,
        };
        let mut s3 = S3ServiceBuilder::new(operations);
        s3.set_auth(access.clone());
        s3.set_access(access.clone());
        s3.set_host(hosts.clone());
        let mut config = S3Config::default();
        config.xml_max_body_size = MAX_XML;
        s3.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let service = Arc::new(Service {
            s3: s3.build(),
            hosts,
            meter: meter.clone(),
            faults: faults.clone(),
            cors: self.cors,
            region: self.region,
            max_object_size: limits.max_object_size,
            body_pause: limits.body_pause,
            next_id: AtomicU64::new(1),
            late: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(Stop::No);
        let task = tokio::spawn(serve(listener, service, limits, stopped));
        Ok(RunningServer { address, store, meter, faults, access, stop, task })
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store could not be opened, or a bucket not created.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address could not be bound.
    #[error("cannot listen at {address}: {source}; choose another address or port")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// The runtime stopped while the store was opened.
    #[error("the store was not opened, as the runtime is stopping: {0}")]
    Task(io::Error),
}

/// A server at work. It stops when this is dropped; [`shutdown`](Self::shutdown) lets requests under way finish first.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct RunningServer {
    address: SocketAddr,
    store: Arc<Store>,
    meter: Arc<Meter>,
    faults: Faults,
    access: Access,
    stop: watch::Sender<Stop>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// Finish what is under way, but not for longer than the drain time.
    Gently,
}

impl RunningServer {
    /// The URL for S3 clients, without a slash at its end: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address and port it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What was asked of it so far.
    pub fn counts(&self) -> Counts {
        self.meter.counts()
    }

    /// Counts from 0 again; gives what was counted so far.
    pub fn reset_counts(&self) -> Counts {
        self.meter.reset()
    }

    /// The requests since the last call, oldest first, as far as [`ServerBuilder::request_log`] keeps them.
    pub fn take_requests(&self) -> Vec<RequestRecord> {
        self.meter.take_log()
    }

    /// What it does wrong on demand.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Knows these key pairs from now on, and no others.
    pub fn replace_credentials(&self, credentials: Vec<Credential>) {
        self.access.replace_credentials(credentials);
    }

    /// Takes no more requests, finishes those under way within the drain time, and returns.
    pub async fn shutdown(self) {
        self.stop.send_replace(Stop::Gently);
        // The task's panic would have nobody to tell of; the server is down either way.
        let _ = self.task.await;
    }

    /// Closes all connections at once, as a crash would. What a request has begun in the store may still come to its
    /// end.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>, limits: Limits, mut stopped: watch::Receiver<Stop>) {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.max_head_size.max(8192));
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accept = async {
            let permit = room.clone().acquire_owned().await;
            (accept(&listener).await, permit)
        };
        let (stream, permit) = tokio::select! {
            accepted = accept => accepted,
            // An error: the server's handle was dropped.
            _ = stopped.wait_for(|stop| *stop != Stop::No) => break,
        };
        let service = service.clone();
        let answer = move |request| {
            let service = service.clone();
            async move { service.serve(request).await }
        };
        let connection = http.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if stopped.has_changed().is_ok() {
        // Whatever has not finished in time ends with its connection, when `connections` is dropped.
        let _ = tokio::time::timeout(limits.drain_time, graceful.shutdown()).await;
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Else small answers wait for the client's acknowledgement of the ones before.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait until some connection ends.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
