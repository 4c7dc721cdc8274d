//! Credentials that expire: stand-ins for instance metadata, a container's agent and STS, and a store that knows only
//! keys that have not expired.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use klstore_s3_server::{Credential, RunningServer};
use klstore_writer::{Clock, SystemClock};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::conformance::Failure;
use crate::network::{Listening, header, read_head};

const TOKEN: &str = "metadata-session";
/// What a container must show.
pub const CONTAINER_TOKEN: &str = "container-authorization";
/// What STS must be shown.
pub const IDENTITY: &str = "web-identity-token";
/// Whose keys STS gives out.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/lists";

/// Gives out keys, and tells the store which ones are good. Dropping it ends that.
pub struct Issuer {
    desk: Arc<Desk>,
    listening: Listening,
    expiring: JoinHandle<()>,
}

impl Issuer {
    /// Starts it for this store. Each pair of keys lasts so long, in whole seconds.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(server: Arc<RunningServer>, life: Duration) -> Result<Self, Failure> {
        let desk = Arc::new(Desk { server, life, next: AtomicU64::new(0), valid: Mutex::default() });
        let answering = desk.clone();
        let listening = Listening::start(move |mut stream| {
            let desk = answering.clone();
            async move { desk.answer(&mut stream).await }
        });
        let (listening, clock) = (listening.await?, desk.clone());
        let expiring = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                clock.expire();
            }
        });
        Ok(Self { desk, listening, expiring })
    }

    /// `http://127.0.0.1:port`, under which all the stand-ins are; a container's agent at `/container`.
    pub fn address(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// Pairs that were given out.
    pub fn issued_count(&self) -> u64 {
        self.desk.next.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.expiring.abort();
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemClock::default().now().div_euclid(1_000)
}

/// A pair of keys that was given out.
#[derive(Clone)]
struct Issued {
    id: String,
    secret: String,
    token: String,
    expires: Timestamp,
}

struct Desk {
    server: Arc<RunningServer>,
    life: Duration,
    next: AtomicU64,
    valid: Mutex<Vec<Issued>>,
}

impl Desk {
    fn valid(&self) -> MutexGuard<'_, Vec<Issued>> {
        self.valid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issue(&self) -> Issued {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        // Expiries are told in whole seconds.
        let expires = now() + i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX);
        let expires = Timestamp::from_second(expires).unwrap_or(Timestamp::MAX);
        let [id, secret, token] = ["AKISSUED", "secret-", "token-"].map(|prefix| format!("{prefix}{number}"));
        let issued = Issued { id, secret, token, expires };
        self.valid().push(issued.clone());
        self.expire();
        issued
    }

    /// Takes back what has expired.
    fn expire(&self) {
        let mut valid = self.valid();
        valid.retain(|issued| issued.expires.as_second() > now());
        let known = valid.iter().map(|issued| Credential::new(&issued.id, &issued.secret).session_token(&issued.token));
        self.server.replace_credentials(known.collect());
    }

    /// Answers like instance metadata, a container's agent and STS.
    async fn answer(&self, stream: &mut TcpStream) -> io::Result<()> {
        let (head, mut body) = read_head(stream).await?;
        let length: usize = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while body.len() < length && stream.read_buf(&mut body).await? > 0 {}
        let (status, extra, text) = self.route(&head, &String::from_utf8_lossy(&body));
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n{text}", text.len());
        stream.write_all(answer.as_bytes()).await
    }

    fn route(&self, head: &str, body: &str) -> (&'static str, &'static str, String) {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let metadata = "/latest/meta-data/iam/security-credentials/";
        let in_session = header(head, "x-aws-ec2-metadata-token") == Some(TOKEN);
        match (head.split(' ').next().unwrap_or_default(), path) {
            ("PUT", "/latest/api/token") => ("200 OK", "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", TOKEN.into()),
            ("GET", path) if path == metadata && in_session => ("200 OK", "", "lists-role".into()),
            ("GET", path) if path.strip_prefix(metadata) == Some("lists-role") && in_session => {
                ("200 OK", "", self.metadata())
            }
            ("GET", "/container") if header(head, "authorization") == Some(CONTAINER_TOKEN) => {
                ("200 OK", "", self.metadata())
            }
            ("POST", "/") if body.contains("Action=AssumeRoleWithWebIdentity") && body.contains(IDENTITY) => {
                ("200 OK", "content-type: text/xml\r\n", self.assumed())
            }
            _ => ("404 Not Found", "", String::new()),
        }
    }

    fn metadata(&self) -> String {
        let Issued { id, secret, token, expires } = self.issue();
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": expires.to_string(),
        })
        .to_string()
    }

    fn assumed(&self) -> String {
        let Issued { id, secret, token, expires } = self.issue();
        format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>A:s</AssumedRoleId>\
             </AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
    }
}
