//! What stands between a client and its store in some networks: TLS with a private authority, a proxy; and a child
//! process, since what a proxy is called is said by the environment, which is a whole process's.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BufMut;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::conformance::Failure;

/// The longest head of a request that a proxy takes.
const MAX_HEAD: usize = 16 << 10;

/// A certificate authority of the test's own, and a certificate of it for `localhost`.
pub struct Authority {
    /// The authority, as `ca_bundle` wants it.
    pub pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    ///
    /// # Errors
    /// What the cryptography says.
    pub fn new() -> Result<Self, Failure> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
        Ok(Self {
            pem: authority.pem(),
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der())?,
        })
    }
}

/// Something that listens until it is dropped.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    /// Gives each connection to `serve`, at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn start<S, F>(serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that breaks is the client's to complain of.
                tokio::spawn(serve(stream));
            }
        });
        Ok(Self { address, task })
    }
}

/// Ends TLS with the authority's certificate, and passes the rest on to `store`.
///
/// # Errors
/// A certificate that cannot be served, and the operating system's.
pub async fn tls_front(authority: &Authority, store: SocketAddr) -> Result<Listening, Failure> {
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![authority.certificate.clone()], authority.key.clone_key())?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serve = move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut tls = acceptor.accept(stream).await?;
            let mut plain = TcpStream::connect(store).await?;
            copy_bidirectional(&mut tls, &mut plain).await.map(|_| ())
        }
    };
    Ok(Listening::start(serve).await?)
}

/// A proxy for CONNECT that asks for a password.
#[derive(Debug)]
pub struct Proxy {
    listening: Listening,
    tunnels: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one that knows `user:password` in Base64.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn start(basic: &'static str) -> io::Result<Self> {
        let tunnels = Arc::new(Mutex::new(Vec::new()));
        let seen = tunnels.clone();
        let listening = Listening::start(move |stream| tunnel(stream, basic, seen.clone())).await?;
        Ok(Self { listening, tunnels })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// To where tunnels were asked for since the last call.
    pub fn take_tunnels(&self) -> Vec<String> {
        std::mem::take(&mut self.tunnels.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn tunnel(mut client: TcpStream, basic: &str, tunnels: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let head = read_head(&mut client).await?.0;
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let authorization = header(&head, "proxy-authorization");
    if !head.starts_with("CONNECT ") || authorization != Some(&format!("Basic {basic}")) {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    }
    tunnels.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let mut server = TcpStream::connect(target.replace("localhost", "127.0.0.1")).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// The head of an HTTP request, and what came of its body with it.
///
/// # Errors
/// The operating system's, and a head without end.
pub async fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), body));
        }
        let room = MAX_HEAD.saturating_sub(bytes.len());
        if room == 0 || stream.read_buf(&mut (&mut bytes).limit(room)).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// A header of such a head.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Runs one ignored test of this test binary in a process of its own, with these variables and none of AWS's,
/// klstore's or a proxy's beside them.
///
/// # Errors
/// Where it does not succeed: all that it printed.
pub async fn child(test: &str, variables: &[(&str, &str)]) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().to_ascii_uppercase();
        if name.starts_with("AWS_") || name.starts_with("KLSTORE_") || name.ends_with("_PROXY") {
            command.env_remove(&name).env_remove(name.to_ascii_lowercase());
        }
    }
    command.args(["--exact", test, "--ignored", "--nocapture"]).envs(variables.iter().copied());
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    if output.status.success() && printed.contains("1 passed") {
        return Ok(());
    }
    Err(format!("{test} ended with {}:\n{printed}", output.status).into())
}
