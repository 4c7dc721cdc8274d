//! A bad network between client and store: a TCP proxy that is late, cuts, resets, falls silent, or lets bytes trickle.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::network::Listening;

/// What is wrong with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    /// Nothing.
    None,
    /// Every piece, either way, comes so much later.
    Latency(Duration),
    /// Reset (RST) after so many bytes, either way.
    Reset(u64),
    /// Closed after so many bytes in this direction, as a server does that ends, or whatever stands in between.
    Cut(Direction, u64),
    /// Half open: after so many bytes nothing passes any more in this direction, and nobody is told.
    Silence(Direction, u64),
    /// Slow loris: so many bytes at a time, with so long between them.
    Trickle(Direction, usize, Duration),
}

/// One way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the store.
    Requests,
    /// From the store to the client.
    Answers,
}

/// The proxy. It ends with all its connections when it is dropped.
pub struct ToxicProxy {
    listening: Listening,
    state: Arc<State>,
}

struct State {
    store: SocketAddr,
    choose: Mutex<Box<dyn FnMut() -> Toxic + Send>>,
    connections: Mutex<Vec<AbortHandle>>,
    poisoned: AtomicU64,
    /// Bytes, either way, after which a connection is closed.
    longest: AtomicU64,
}

impl ToxicProxy {
    /// Stands before `store`, harmless at first.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn start(store: SocketAddr) -> io::Result<Self> {
        let state = Arc::new(State {
            store,
            choose: Mutex::new(Box::new(|| Toxic::None)),
            connections: Mutex::default(),
            poisoned: AtomicU64::new(0),
            longest: AtomicU64::new(u64::MAX),
        });
        let serving = state.clone();
        let serve = move |client| {
            let state = serving.clone();
            async move {
                let connection = tokio::spawn(connection(client, state.clone()));
                lock(&state.connections).push(connection.abort_handle());
                connection.await.unwrap_or(Ok(()))
            }
        };
        Ok(Self { listening: Listening::start(serve).await?, state })
    }

    /// Where it listens, by the name that the store knows itself under.
    pub fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.listening.address.port())
    }

    /// Asks `choose` for each new connection; those that are open are closed.
    pub fn set(&self, choose: impl FnMut() -> Toxic + Send + 'static) {
        *lock(&self.state.choose) = Box::new(choose);
        self.close_all();
    }

    /// From now on closes each connection after so many bytes, either way, at the latest: else one that lets everything
    /// through would be kept, and no other one tried.
    pub fn close_after(&self, bytes: u64) {
        self.state.longest.store(bytes, Ordering::Relaxed);
    }

    /// How many connections had something wrong with them.
    pub fn poisoned(&self) -> u64 {
        self.state.poisoned.load(Ordering::Relaxed)
    }

    /// Closes all connections, as what stands in between does now and then.
    pub fn close_all(&self) {
        lock(&self.state.connections).drain(..).for_each(|connection| connection.abort());
    }
}

impl Drop for ToxicProxy {
    fn drop(&mut self) {
        self.close_all();
    }
}

impl fmt::Debug for ToxicProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ToxicProxy").field("listening", &self.listening).finish_non_exhaustive()
    }
}

async fn connection(mut client: TcpStream, state: Arc<State>) -> io::Result<()> {
    let toxic = (*lock(&state.choose))();
    state.poisoned.fetch_add(u64::from(toxic != Toxic::None), Ordering::Relaxed);
    let mut store = TcpStream::connect(state.store).await?;
    client.set_nodelay(true)?;
    store.set_nodelay(true)?;
    if matches!(toxic, Toxic::Reset(_)) {
        // What is then dropped is reset.
        client.set_zero_linger()?;
        store.set_zero_linger()?;
    }
    let (from_client, to_client) = client.split();
    let (from_store, to_store) = store.split();
    let life = Life { toxic, passed: AtomicU64::new(0), longest: state.longest.load(Ordering::Relaxed) };
    // Whichever side ends, both do: HTTP's clients close no half.
    tokio::select! {
        ended = pump(from_client, to_store, Direction::Requests, &life) => ended,
        ended = pump(from_store, to_client, Direction::Answers, &life) => ended,
    }
}

/// What both ways of a connection share.
struct Life {
    toxic: Toxic,
    /// Bytes of both.
    passed: AtomicU64,
    longest: u64,
}

/// Takes bytes one way until it is over, or for ever where nobody is to know that it is.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    life: &Life,
) -> io::Result<()> {
    let toxic = life.toxic;
    let mut buffer = vec![0; 16 << 10];
    let mut own = 0;
    loop {
        let length = from.read(&mut buffer).await?;
        let piece = &buffer[..length];
        if length == 0 {
            return Ok(());
        }
        let before = life.passed.fetch_add(length as u64, Ordering::Relaxed);
        let end = life.longest.saturating_sub(before);
        let limit = match toxic {
            Toxic::Reset(after) => after.saturating_sub(before),
            Toxic::Cut(of, after) | Toxic::Silence(of, after) if direction == of => after.saturating_sub(own),
            _ => u64::MAX,
        };
        own += length as u64;
        let passing = length.min(usize::try_from(limit.min(end)).unwrap_or(length));
        match toxic {
            Toxic::Trickle(of, bytes, pause) if direction == of => {
                for few in piece[..passing].chunks(bytes) {
                    to.write_all(few).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Toxic::Latency(delay) => {
                tokio::time::sleep(delay).await;
                to.write_all(&piece[..passing]).await?;
            }
            _ => to.write_all(&piece[..passing]).await?,
        }
        if passing < length {
            match toxic {
                Toxic::Silence(..) if limit <= end => std::future::pending().await,
                _ => return Ok(()),
            }
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
