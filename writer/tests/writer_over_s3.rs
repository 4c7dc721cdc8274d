//! The writer against an S3 server: what it sends, and what it says when the server misbehaves or refuses.

#![allow(clippy::single_range_in_vec_init, reason = "receipts hold ranges")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

use std::time::Duration;

use http::StatusCode;
use klstore_s3_server::{
    ByteRange, Credential, Fault, Operation, Permission, Refusal, RequestInfo, RunningServer, Server, ServerBuilder,
    WrongRegion,
};
use klstore_writer::{
    Insertion, RetryPolicy, S3StoreConfig, S3StoreWriter, S3StoreWriterBuilder, StoreError, StoreWriter, WriterError,
};

const BUCKET: &str = "lists";

async fn start(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> RunningServer {
    let server = Server::builder().bucket(BUCKET).credential(Credential::new("AKTEST", "secret")).request_log(1_000);
    change(server).start().await.unwrap()
}

fn config(server: &RunningServer) -> S3StoreConfig {
    let mut config = S3StoreConfig::new(BUCKET);
    config.endpoint = Some(server.endpoint());
    config.path_style = true;
    config.access_key = Some("AKTEST".into());
    config.secret_key = Some("secret".into());
    config
}

/// With waits that suit a test.
fn builder(config: S3StoreConfig) -> S3StoreWriterBuilder {
    let policy = RetryPolicy {
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(20),
        deadline: Duration::from_secs(20),
        background_deadline: Duration::from_secs(2),
    };
    S3StoreWriter::builder(config).retry_policy(policy)
}

async fn writer(server: &RunningServer) -> S3StoreWriter {
    builder(config(server)).build().await.unwrap()
}

fn numbered(nonces: std::ops::Range<u128>) -> Vec<Insertion> {
    nonces.map(|nonce| Insertion::new(format!("value {nonce}")).with_nonce(nonce)).collect()
}

fn is_commit(request: &RequestInfo) -> bool {
    request.operation == Operation::PutObject && request.key.as_ref().is_some_and(|key| key.contains("/log/"))
}

/// What creating a keyspace fails with.
async fn refusal(config: S3StoreConfig) -> WriterError {
    refusal_of("flights", config).await
}

async fn refusal_of(keyspace: &str, config: S3StoreConfig) -> WriterError {
    let writer = builder(config).build().await.unwrap();
    writer.create_keyspace(keyspace).await.unwrap_err()
}

#[tokio::test]
async fn a_warm_append_is_one_conditional_put() {
    let server = start(|server| server).await;
    let writer = writer(&server).await;
    writer.create_keyspace("flights").await.unwrap();
    writer.append_list("flights", "N14228", numbered(0..3)).await.unwrap().await.unwrap();
    server.reset_counts();
    let appended = writer.append_list("flights", "N14228", numbered(2..5)).await.unwrap().await.unwrap();
    assert_eq!((appended.first_offset, appended.appended_count, appended.duplicate_count), (Some(3), 2, 1));
    let counts = server.counts();
    assert_eq!((counts.put, counts.requests()), (1, 1));
    server.shutdown().await;
}

#[tokio::test]
async fn objects_say_how_they_may_be_cached() {
    let server = start(|server| server).await;
    let writer = writer(&server).await;
    writer.create_keyspace("flights").await.unwrap();
    for nonce in 0..3 {
        let _ = writer.append_list("flights", "N14228", numbered(nonce..nonce + 1)).await.unwrap().await.unwrap();
    }
    assert!(writer.compact("flights", "N14228").await.unwrap());
    for (folder, expected) in [("seg", "immutable"), ("idx", "immutable"), ("log", "no-cache")] {
        let prefix = format!("flights/lists/N14228/{folder}/");
        let names = server.store().keys(BUCKET, &prefix).unwrap();
        assert!(!names.is_empty(), "{prefix}");
        for name in names {
            let object = server.store().get(BUCKET, &name, ByteRange::All).unwrap();
            // The stub of a collected commit is as changeable as the commit.
            let cache = object.metadata.cache_control.unwrap();
            assert!(cache.contains(expected), "{name}: {cache}");
        }
    }
    server.shutdown().await;
}

#[tokio::test]
async fn faults_of_the_network_append_exactly_once() {
    let faults = [
        Fault::LoseAnswer,
        Fault::Drop,
        Fault::FailAfter(Refusal::INTERNAL_ERROR),
        Fault::refuse(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        // A code that only this store has says no less than its status.
        Fault::FailAfter(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDownWrite")),
        Fault::refuse(StatusCode::INSUFFICIENT_STORAGE, "XMinioStorageFull"),
        Fault::refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Fault::refuse(StatusCode::CONFLICT, "ConditionalRequestConflict"),
        Fault::refuse(StatusCode::CONFLICT, "XStoreHealing"),
        Fault::refuse(StatusCode::REQUEST_TIMEOUT, "XStoreWaited"),
        Fault::refuse(StatusCode::BAD_REQUEST, "RequestTimeout"),
    ];
    let server = start(|server| server).await;
    let writer = writer(&server).await;
    writer.create_keyspace("flights").await.unwrap();
    let mut next = 0;
    for fault in faults {
        for _ in 0..2 {
            server.faults().next(is_commit, fault.clone());
        }
        // Without nonces only the protocol keeps an item from appearing twice.
        let batch = vec![Insertion::new("a"), Insertion::new("b")];
        let appended = writer.append_list("flights", "N14228", batch).await.unwrap().await.unwrap();
        assert_eq!(appended.ranges, [next..next + 2], "{fault:?}");
        next += 2;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let server = start(|server| server).await;
    let first = writer(&server).await;
    first.create_keyspace("flights").await.unwrap();
    drop(first.append_list("flights", "N14228", numbered(0..50)).await.unwrap());
    let is_get = |request: &RequestInfo| request.operation == Operation::GetObject;
    server.faults().next(is_get, Fault::Truncate(5));
    let second = writer(&server).await;
    let appended = second.append_list("flights", "N14228", numbered(0..60)).await.unwrap().await.unwrap();
    assert_eq!((appended.first_offset, appended.duplicate_count), (Some(50), 50));
    assert!(second.statistics().retry_count >= 1);
    server.shutdown().await;
}

#[tokio::test]
async fn a_damaged_commit_stops_the_append_and_is_named() {
    let server = start(|server| server).await;
    let first = writer(&server).await;
    first.create_keyspace("flights").await.unwrap();
    drop(first.append_list("flights", "N14228", numbered(0..5)).await.unwrap());
    server.faults().set(|request| match &request.key {
        Some(key) if key.contains("/log/") && request.operation == Operation::GetObject => Fault::Corrupt(40),
        _ => Fault::None,
    });
    let error = writer(&server).await.append_list("flights", "N14228", numbered(5..6)).await.unwrap_err();
    assert!(matches!(error, WriterError::Corrupt(_)), "{error:?}");
    assert!(error.to_string().contains("flights/lists/N14228/log/ffffffffffffffff"), "{error}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_store_without_safe_conditions_is_refused() {
    let server = start(|server| server).await;
    server.faults().set(|_| Fault::IgnorePreconditions);
    let error = refusal(config(&server)).await;
    assert!(matches!(error, WriterError::UnsafeStore { .. }), "{error:?}");
    server.faults().set(|request| match request.conditional {
        true => Fault::refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        false => Fault::None,
    });
    let error = refusal_of("trains", config(&server)).await;
    assert!(matches!(error, WriterError::UnsafeStore { .. }), "{error:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn an_unsafe_store_is_found_out_before_the_first_append_too() {
    let server = start(|server| server).await;
    writer(&server).await.create_keyspace("flights").await.unwrap();
    server.faults().set(|_| Fault::IgnorePreconditions);
    let error = writer(&server).await.append_list("flights", "N14228", numbered(0..1)).await.unwrap_err();
    assert!(matches!(error, WriterError::UnsafeStore { .. }), "{error:?}");
    assert!(server.store().keys(BUCKET, "flights/lists/").unwrap().is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let server = start(|server| server).await;
    let mut other_bucket = config(&server);
    other_bucket.bucket_name = "nowhere".into();
    let error = refusal(other_bucket).await;
    assert!(matches!(error, WriterError::Store(StoreError::BucketNotFound { .. })), "{error:?}");

    let mut wrong_key = config(&server);
    wrong_key.secret_key = Some("not the secret".into());
    let error = refusal(wrong_key).await;
    assert!(matches!(error, WriterError::Store(StoreError::InvalidCredentials { .. })), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("not the secret"));

    server.faults().set(|_| Fault::refuse(StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
    let error = refusal(config(&server)).await;
    assert!(matches!(error, WriterError::Store(StoreError::ClockSkew { .. })), "{error:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn without_the_permission_to_list_the_error_says_so() {
    let server =
        start(|server| server.credential(Credential::new("AKBLIND", "secret").deny(Permission::ListBucket))).await;
    let mut blind = config(&server);
    blind.access_key = Some("AKBLIND".into());
    let error = refusal(blind).await;
    assert!(matches!(error, WriterError::Store(StoreError::AccessDenied { .. })), "{error:?}");
    assert!(error.to_string().contains("s3:ListBucket"), "{error}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_region_is_named() {
    for answer in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let server = start(|server| server.region("eu-west-1", answer)).await;
        let error = refusal(config(&server)).await;
        let WriterError::Store(StoreError::WrongRegion { actual, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(actual.as_deref(), Some("eu-west-1"));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn an_unreachable_endpoint_is_named() {
    let server = start(|server| server).await;
    let config = config(&server);
    let endpoint = server.endpoint();
    server.shutdown().await;
    let policy = RetryPolicy { deadline: Duration::from_millis(300), ..RetryPolicy::default() };
    let writer = S3StoreWriter::builder(config).retry_policy(policy).build().await.unwrap();
    let error = writer.create_keyspace("flights").await.unwrap_err();
    assert!(matches!(error, WriterError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[tokio::test]
async fn a_hidden_etag_is_an_error_not_a_skipped_check() {
    let server = start(|server| server).await;
    let first = writer(&server).await;
    first.create_keyspace("flights").await.unwrap();
    drop(first.append_list("flights", "N14228", numbered(0..5)).await.unwrap());
    server.faults().set(|request| match request.operation {
        Operation::GetObject => Fault::HideETag,
        _ => Fault::None,
    });
    let error = writer(&server).await.append_list("flights", "N14228", numbered(5..6)).await.unwrap_err();
    assert!(error.to_string().contains("ETag"), "{error}");
    server.shutdown().await;
}

/// A list with 40 commits of which one compaction replaces most.
async fn filled(server: &RunningServer) -> S3StoreWriter {
    let writer = writer(server).await;
    writer.create_keyspace("flights").await.unwrap();
    for nonce in 0..40 {
        drop(writer.append_list("flights", "N14228", numbered(nonce..nonce + 1)).await.unwrap());
    }
    writer
}

#[tokio::test]
async fn a_store_without_delete_objects_is_served_one_by_one() {
    let server = start(|server| server).await;
    let writer = filled(&server).await;
    server.faults().set(|request| match request.operation {
        Operation::DeleteObjects => Fault::refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        _ => Fault::None,
    });
    assert!(writer.compact("flights", "N14228").await.unwrap());
    let left = server.store().keys(BUCKET, "flights/lists/N14228/log/").unwrap();
    // The newest, the one that published, and the stub of the first.
    assert!(left.len() <= 3, "{left:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn errors_for_single_keys_of_a_delete_are_not_missed() {
    let server = start(|server| server).await;
    let writer = filled(&server).await;
    server.faults().set(|request| match request.operation {
        Operation::DeleteObjects => Fault::KeepKeys("e".into()),
        _ => Fault::None,
    });
    assert!(writer.compact("flights", "N14228").await.unwrap());
    let statistics = writer.statistics();
    assert_eq!((statistics.failed_collection_count, statistics.collected_count), (1, 0), "{statistics:?}");
    // What was given up may still be under way when the fault ends: the sweep finds it gone, or deletes it.
    let second_commit = "flights/lists/N14228/log/fffffffffffffffe";
    let is_left = || server.store().keys(BUCKET, second_commit).unwrap().len() == 1;
    assert!(is_left());
    server.faults().clear();
    writer.sweep("flights", "N14228").await.unwrap();
    assert!(!is_left());
    server.shutdown().await;
}

#[tokio::test]
async fn two_writers_over_http_lose_and_duplicate_nothing() {
    let server = start(|server| server).await;
    let first = writer(&server).await;
    first.create_keyspace("flights").await.unwrap();
    let second = writer(&server).await;
    let race = |writer: S3StoreWriter| async move {
        let mut appended = 0;
        for nonce in 0..60 {
            appended += writer
                .append_list("flights", "N14228", numbered(nonce..nonce + 1))
                .await
                .unwrap()
                .await
                .unwrap()
                .appended_count;
        }
        appended
    };
    let (one, other) = tokio::join!(race(first), race(second));
    assert_eq!(one + other, 60);
    server.shutdown().await;
}

#[test]
fn the_blocking_writer_needs_no_runtime_and_refuses_to_stop_one() {
    use klstore_writer::blocking;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(start(|server| server));
    let writer = blocking::S3StoreWriter::build(builder(config(&server))).unwrap();
    writer.create_keyspace("flights").unwrap();
    let appended = writer.append_list("flights", "N14228", numbered(0..3)).unwrap();
    assert_eq!(appended.appended_count, 3);
    let inside = runtime.block_on(async { writer.append_list("flights", "N14228", numbered(3..4)) });
    assert!(matches!(inside, Err(WriterError::BlockingInsideRuntime)), "{inside:?}");
    writer.close().unwrap();
    // Dropped inside a runtime it must not panic either.
    runtime.block_on(async move { drop(writer) });
    runtime.block_on(server.shutdown());
}
