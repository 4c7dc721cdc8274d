//! Canaries in the keys of writer and reader, with everything logged that any crate has to say: klstore's crates show no
//! secret, token, signature or presigned URL, and the secret key is in nobody's log; nor are they in any error.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, Signing, StoreReader};
use klstore_s3_server::{Credential, Fault, Refusal, Server};
use klstore_tests::conformance::Store;
use klstore_tests::network::child;
use klstore_tests::servers::{ACCESS_KEY, BUCKET};
use klstore_writer::{BatchingStoreWriter, BatchingStoreWriterConfig, S3StoreWriter, StoreWriter, WriterError};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const SECRET: &str = "cAnArY+5ecret/key";
const TOKEN: &str = "cAnArYt0ken";
/// What only a secret, or a request that was signed with it, has in it.
const TELLTALES: [&str; 5] = ["cAnArY", "X-Amz-Signature", "Signature=", "X-Amz-Security-Token=", "Credential=AK"];

/// In a process of its own: what is logged is a whole process's.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_or_in_an_error() {
    child("secrets::child_of_canaries", &[("RUST_BACKTRACE", "1")]).await.unwrap();
}

/// A log of everything.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in an environment of its own"]
async fn child_of_canaries() {
    let (log, all) = (Log::default(), Log::default());
    let ours = filter_fn(|metadata| metadata.target().starts_with("klstore"));
    let layer = |log: &Log| {
        let log = log.clone();
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone())
    };
    tracing_subscriber::registry().with(vec![layer(&log).with_filter(ours).boxed(), layer(&all).boxed()]).init();

    let credential = Credential::new(ACCESS_KEY, SECRET).session_token(TOKEN);
    let server = Server::builder().bucket(BUCKET).credential(credential).start().await.unwrap();
    let mut config = Store::new(server.endpoint()).config();
    (config.secret_key, config.session_token) = (Some(SECRET.to_owned()), Some(TOKEN.to_owned()));
    hides(&config);

    use_all(&config).await.expect("all of it works");
    for fault in [
        Fault::Drop,
        Fault::Truncate(3),
        Fault::LoseAnswer,
        Fault::SLOW_DOWN,
        Fault::Refuse(Refusal::INTERNAL_ERROR),
        Fault::refuse(http::StatusCode::FORBIDDEN, "AccessDenied"),
        Fault::refuse(http::StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        Fault::refuse(http::StatusCode::FORBIDDEN, "ExpiredToken"),
        Fault::refuse(http::StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed"),
    ] {
        server.faults().set(move |_| fault.clone());
        use_all(&config).await.unwrap_err();
        server.faults().clear();
    }
    let wrong = S3StoreConfig { secret_key: Some(format!("{SECRET}2")), ..config.clone() };
    use_all(&wrong).await.unwrap_err();
    let nowhere = S3StoreConfig { endpoint: Some("http://127.0.0.1:1".into()), ..config };
    use_all(&nowhere).await.unwrap_err();

    let text = |log: &Log| String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let (ours, everybody) = (text(&log), text(&all));
    assert!(ours.contains("attempt failed") && ours.contains("no definite answer"), "klstore's crates did not log");
    for telltale in TELLTALES {
        let line = ours.lines().find(|line| line.contains(telltale));
        assert_eq!(line, None, "`{telltale}` is logged");
    }
    assert!(everybody.len() > ours.len(), "other crates did not log");
    let line = everybody.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None, "the secret key is logged");
}

/// Neither as a value is shown, nor as it is debugged.
#[track_caller]
fn hides(value: &impl Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        for telltale in TELLTALES {
            assert!(!shown.contains(telltale), "`{telltale}` is in {shown}");
        }
    }
}

#[track_caller]
fn hides_error<E: std::error::Error>(error: E) -> E {
    hides(&error);
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        let shown = error.to_string();
        assert!(!TELLTALES.iter().any(|telltale| shown.contains(telltale)), "{shown}");
        cause = error.source();
    }
    error
}

/// A writer, a batching writer, and readers of both kinds of signature; the last error, where there was one.
async fn use_all(config: &S3StoreConfig) -> Result<(), String> {
    let mut ended = Ok(());
    let mut failed = |error: String| ended = Err(error);
    let deadline = Duration::from_millis(150);
    let policy = klstore_writer::RetryPolicy {
        deadline,
        background_deadline: deadline,
        ..klstore_writer::RetryPolicy::default()
    };
    let writer = S3StoreWriter::builder(config.clone()).retry_policy(policy).build().await.unwrap();
    hides(&writer);
    match writer.create_keyspace("flights").await.map_err(hides_error) {
        Ok(_) | Err(WriterError::KeyspaceAlreadyExists { .. }) => {}
        Err(error) => failed(error.to_string()),
    }
    let append = async { writer.append_list("flights", "N14228", vec![Insertion::new("one")]).await?.await };
    if let Err(error) = append.await.map_err(hides_error) {
        failed(error.to_string());
    }
    if let Err(error) = writer.sweep("flights", "N14228").await.map_err(hides_error) {
        failed(error.to_string());
    }
    let builder = BatchingStoreWriter::builder(writer, BatchingStoreWriterConfig::default());
    let batching = builder.flush_deadline(deadline).build().unwrap();
    drop(batching.append_list("flights", "N14228", vec![Insertion::new("two")]).await.map_err(hides_error));
    if let Err(error) = batching.close().await.map_err(hides_error) {
        failed(error.to_string());
    }
    let in_url = Signing::Query { validity: Duration::from_secs(60), quantum: Duration::ZERO };
    for signing in [Signing::Headers, in_url] {
        let policy = klstore_reader::RetryPolicy { deadline, attempts: 2, ..klstore_reader::RetryPolicy::default() };
        let reader =
            S3StoreReader::builder(config.clone()).retry_policy(policy).signing(signing).build().await.unwrap();
        hides(&reader);
        let page = reader.read_page("flights", "N14228", IterationOrder::Backwards, Some(5), None, None).await;
        if let Err(error) = page.map_err(hides_error) {
            failed(error.to_string());
        }
    }
    ended
}
