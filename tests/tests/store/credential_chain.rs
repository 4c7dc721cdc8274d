//! Credentials that expire every few seconds, from each of the places where machines get theirs: a writer and a
//! reader go on over the expiry. The store knows only keys that have not expired.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{Credential, Fault, RunningServer, Server};
use klstore_tests::network::{Listening, child, header, read_head};
use klstore_tests::servers::BUCKET;
use klstore_writer::{S3StoreWriter, StoreWriter};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a key lasts. Expiries are told in whole seconds.
const LIFE: Duration = Duration::from_secs(6);
/// How long writer and reader go on: several lives.
const RUN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);
const TOKEN: &str = "metadata-session";
const CONTAINER_TOKEN: &str = "container-authorization";
const IDENTITY: &str = "web-identity-token";
const ROLE: &str = "arn:aws:iam::123456789012:role/lists";

/// A pair of keys that was given out.
#[derive(Clone)]
struct Issued {
    id: String,
    secret: String,
    token: String,
    expires: Timestamp,
}

/// Gives out keys, and tells the store which ones are good.
struct Issuer {
    server: RunningServer,
    next: AtomicU64,
    valid: Mutex<Vec<Issued>>,
}

impl Issuer {
    fn issue(&self) -> Issued {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let life = SignedDuration::try_from(LIFE).unwrap();
        let expires = Timestamp::from_second((Timestamp::now() + life).as_second()).unwrap();
        let [id, secret, token] = ["AKISSUED", "secret-", "token-"].map(|prefix| format!("{prefix}{number}"));
        let issued = Issued { id, secret, token, expires };
        self.valid.lock().unwrap().push(issued.clone());
        self.expire();
        issued
    }

    /// Takes back what has expired.
    fn expire(&self) {
        let mut valid = self.valid.lock().unwrap();
        valid.retain(|issued| issued.expires > Timestamp::now());
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

/// Runs the child with these variables, in which `{}` is the stand-in's address.
async fn goes_on_over_expiry(variables: &[(&str, &str)]) {
    let server = Server::builder().bucket(BUCKET).start().await.unwrap();
    let endpoint = server.endpoint();
    let used = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = used.clone();
    server.faults().set(move |request| {
        seen.lock().unwrap().extend(request.access_key.clone());
        Fault::None
    });
    let issuer = Arc::new(Issuer { server, next: AtomicU64::new(0), valid: Mutex::default() });
    let stand_in = issuer.clone();
    let listening = Listening::start(move |mut stream| {
        let stand_in = stand_in.clone();
        async move { stand_in.answer(&mut stream).await }
    });
    let listening = listening.await.unwrap();
    let clock = issuer.clone();
    let expiring = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            clock.expire();
        }
    });

    let address = format!("http://{}", listening.address);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.replace("{}", &address))).collect();
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("KLSTORE_TEST_ENDPOINT", &endpoint));
    child("credential_chain::child_of_the_chain", &variables).await.unwrap();
    expiring.abort();

    let (issued, used) = (issuer.next.load(Ordering::SeqCst), used.lock().unwrap().len() as u64);
    println!("    {issued} keys were given out and {used} were used");
    // Writer and reader have keys of their own; each pair lasts six seconds of fifteen.
    assert!(used >= 6, "{used} keys were used");
    assert!(issued <= 60, "{issued} keys were asked for: once for each half of a life would do");
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_metadata() {
    goes_on_over_expiry(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "{}")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_endpoint() {
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "{}/container"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    goes_on_over_expiry(&variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_identity() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), IDENTITY).unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", "{}"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    goes_on_over_expiry(&variables).await;
}

/// A writer that appends and a reader that reads, for several lives of a key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in an environment of its own"]
async fn child_of_the_chain() {
    let Ok(endpoint) = std::env::var("KLSTORE_TEST_ENDPOINT") else { return };
    let config = S3StoreConfig { endpoint: Some(endpoint), path_style: true, ..S3StoreConfig::new(BUCKET) };
    let writer = S3StoreWriter::new(config.clone()).await.unwrap();
    writer.create_keyspace("ks").await.unwrap();
    let reader = S3StoreReader::new(config).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < RUN {
        let batch = vec![Insertion::new(count.to_string())];
        writer.append_list("ks", "k", batch).await.unwrap().await.unwrap();
        let page = reader.read_page("ks", "k", IterationOrder::Backwards, Some(1), None, None).await.unwrap();
        assert_eq!((page.items[0].offset, &page.items[0].value[..]), (count, count.to_string().as_bytes()));
        count += 1;
        tokio::time::sleep(PAUSE).await;
    }
    println!("    {count} items");
}
