//! TLS with an authority of the test's own, and proxies: reader and writer both.

use std::time::Duration;

use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{ReaderError, S3StoreReader, StoreReader};
use klstore_s3_server::{Credential, RunningServer, Server};
use klstore_tests::conformance::Store;
use klstore_tests::network::{Authority, Listening, Proxy, child, tls_front};
use klstore_tests::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use klstore_writer::{S3StoreWriter, StoreError, StoreWriter, WriterError};
use tempfile::NamedTempFile;

const KEYSPACE: &str = "flights";
const KEY: &str = "N14228";
/// `user:p@ss` as a proxy sees it, and as it stands in a URL.
const PROXY_BASIC: &str = "dXNlcjpwQHNz";
const PROXY_USER: &str = "user:p%40ss";

/// A store behind TLS.
struct Secured {
    _server: RunningServer,
    front: Listening,
    authority: NamedTempFile,
}

impl Secured {
    async fn start() -> Self {
        let server = Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY));
        let server = server.host_name("localhost").start().await.unwrap();
        let authority = Authority::new().unwrap();
        let front = tls_front(&authority, server.address()).await.unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &authority.pem).unwrap();
        Self { _server: server, front, authority: file }
    }

    fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.front.address.port())
    }

    fn config(&self) -> S3StoreConfig {
        let ca_bundle = Some(self.authority.path().to_owned());
        S3StoreConfig { ca_bundle, ..Store::new(self.endpoint()).config() }
    }
}

/// Appends and reads back; the errors of both.
async fn write_and_read(config: S3StoreConfig) {
    let writer = S3StoreWriter::new(config.clone()).await.unwrap();
    match writer.create_keyspace(KEYSPACE).await {
        Ok(_) | Err(WriterError::KeyspaceAlreadyExists { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let batch = vec![Insertion::new("one"), Insertion::new("two")];
    let appended = writer.append_list(KEYSPACE, KEY, batch).await.unwrap().await.unwrap();
    assert_eq!(appended.appended_count, 2);
    let reader = S3StoreReader::new(config).await.unwrap();
    let page = reader.read_page(KEYSPACE, KEY, IterationOrder::Backwards, Some(2), None, None).await.unwrap();
    assert_eq!(page.items.iter().map(|item| &item.value[..]).collect::<Vec<_>>(), [b"two", b"one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_where_ca_bundle_names_it() {
    let secured = Secured::start().await;
    write_and_read(secured.config()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused_at_once_with_what_to_set() {
    let secured = Secured::start().await;
    let other = NamedTempFile::new().unwrap();
    std::fs::write(other.path(), Authority::new().unwrap().pem).unwrap();
    for ca_bundle in [None, Some(other.path().to_owned())] {
        let config = S3StoreConfig { ca_bundle, ..secured.config() };
        let refused = async {
            let writer = S3StoreWriter::new(config.clone()).await.unwrap();
            let written = writer.create_keyspace(KEYSPACE).await.unwrap_err();
            let reader = S3StoreReader::new(config).await.unwrap();
            (written, reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None).await.unwrap_err())
        };
        // A retry would not help: none is made.
        let (written, read) = tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
        println!("    {written}\n    {read}");
        assert!(matches!(written, WriterError::Store(StoreError::UntrustedCertificate { .. })), "{written:?}");
        assert!(matches!(read, ReaderError::UntrustedCertificate { .. }), "{read:?}");
        for message in [written.to_string(), read.to_string()] {
            for words in [&*secured.endpoint(), "invalid peer certificate", "Set ca_bundle"] {
                assert!(message.contains(words), "`{words}` is not in: {message}");
            }
        }
    }
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_is_named_before_any_request() {
    let config =
        S3StoreConfig { ca_bundle: Some("/nonexistent.pem".into()), ..Store::new("https://h".into()).config() };
    let written = S3StoreWriter::new(config.clone()).await.unwrap_err().to_string();
    let read = S3StoreReader::new(config).await.unwrap_err().to_string();
    for message in [written, read] {
        assert!(message.starts_with("ca_bundle /nonexistent.pem: it cannot be read"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_goes_through_the_proxy_of_the_environment_unless_no_proxy_names_the_host() {
    let secured = Secured::start().await;
    let proxy = Proxy::start(PROXY_BASIC).await.unwrap();
    let url = format!("http://{PROXY_USER}@{}", proxy.address());
    let endpoint = secured.endpoint();
    let authority = secured.authority.path().to_str().unwrap();
    let run = async |variables: &[(&str, &str)]| {
        let place = [("KLSTORE_TEST_ENDPOINT", endpoint.as_str()), ("KLSTORE_TEST_AUTHORITY", authority)];
        child("network::child_of_proxies", &[&place, variables].concat()).await.unwrap();
        proxy.take_tunnels()
    };
    let target = format!("localhost:{}", secured.front.address.port());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let tunnels = run(&[(name, &url)]).await;
        assert!(tunnels.len() >= 2, "{name}: one of the writer's and one of the reader's: {tunnels:?}");
        assert!(tunnels.iter().all(|tunnel| *tunnel == target), "{tunnels:?}");
    }
    for no_proxy in ["localhost", "example.com,localhost", "*"] {
        assert_eq!(run(&[("HTTPS_PROXY", &url), ("NO_PROXY", no_proxy)]).await, Vec::<String>::new(), "{no_proxy}");
    }
    assert!(run(&[("HTTPS_PROXY", &url), ("NO_PROXY", "example.com")]).await.len() >= 2);
}

/// What the processes of the proxies' test do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in an environment of its own"]
async fn child_of_proxies() {
    let Ok(endpoint) = std::env::var("KLSTORE_TEST_ENDPOINT") else { return };
    let ca_bundle = Some(std::env::var_os("KLSTORE_TEST_AUTHORITY").unwrap().into());
    write_and_read(S3StoreConfig { ca_bundle, ..Store::new(endpoint).config() }).await;
}
