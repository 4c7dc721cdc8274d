//! Faults on demand do what they say, and to the requests they were meant for.

use std::time::Duration;

use crate::support::{BUCKET, builder, client, http_client};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use http::StatusCode;
use klstore_s3_server::{Cors, Fault, Gate, Operation, Refusal, RunningServer};

const BODY: &[u8] = b"0123456789";

async fn put(s3: &aws_sdk_s3::Client, key: &str) -> Result<(), u16> {
    let put = s3.put_object().bucket(BUCKET).key(key).if_none_match("*").body(ByteStream::from_static(BODY));
    let answer = put.send().await;
    // 0: no answer at all.
    answer.map(|_| ()).map_err(|error| error.raw_response().map_or(0, |answer| answer.status().as_u16()))
}

fn keys(server: &RunningServer) -> Vec<String> {
    server.store().keys(BUCKET, "").unwrap()
}

#[tokio::test]
async fn an_answer_before_the_effect_leaves_nothing_behind() {
    let server = builder().request_log(100).start().await.unwrap();
    let s3 = client(&server);
    let is_put = |request: &klstore_s3_server::RequestInfo| request.operation == Operation::PutObject;
    server.faults().next(is_put, Fault::refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"));
    server.faults().next(is_put, Fault::Drop);
    server.faults().next(is_put, Fault::Delay(Duration::from_millis(1), Box::new(Fault::Drop)));
    assert_eq!(s3.list_objects_v2().bucket(BUCKET).send().await.unwrap().key_count(), Some(0));
    assert_eq!(put(&s3, "k").await, Err(429));
    assert_eq!(put(&s3, "k").await, Err(0));
    assert_eq!(put(&s3, "k").await, Err(0));
    assert!(keys(&server).is_empty());
    assert_eq!(put(&s3, "k").await, Ok(()), "each was for one request");
    let log: Vec<_> =
        server.take_requests().into_iter().map(|record| record.status.map(|status| status.as_u16())).collect();
    assert_eq!(log, [Some(200), Some(429), None, None, Some(200)]);
    assert_eq!(server.counts().put, 4);
    server.shutdown().await;
}

#[tokio::test]
async fn a_large_upload_is_told_of_its_refusal() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    server.faults().set(|_| Fault::SLOW_DOWN);
    let put = s3.put_object().bucket(BUCKET).key("k").body(vec![0; 16 << 20].into());
    assert_eq!(put.send().await.unwrap_err().code(), Some("SlowDown"));
    server.shutdown().await;
}

#[tokio::test]
async fn an_effect_without_its_answer_is_there() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    server.faults().set(|request| match request.key.as_deref() {
        Some("lost") => Fault::LoseAnswer,
        Some("failed") => Fault::FailAfter(Refusal::INTERNAL_ERROR),
        _ => Fault::None,
    });
    assert_eq!(put(&s3, "lost").await, Err(0));
    assert_eq!(put(&s3, "failed").await, Err(500));
    assert_eq!(keys(&server), ["failed", "lost"]);
    server.faults().clear();
    assert_eq!(put(&s3, "lost").await, Err(412));
    server.shutdown().await;
}

#[tokio::test]
async fn a_late_effect_comes_when_its_gate_opens() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let (late, held) = (Gate::new(), Gate::new());
    server.faults().next(|_| true, Fault::Late(Refusal::INTERNAL_ERROR, late.clone()));
    assert_eq!(put(&s3, "late").await, Err(500));
    late.wait_arrived(1).await;
    assert!(keys(&server).is_empty());
    late.open();
    late.wait_passed(1).await;
    assert_eq!(keys(&server), ["late"]);

    server.faults().next(|_| true, Fault::Hold(held.clone()));
    let (answer, ()) = tokio::join!(put(&s3, "held"), async {
        held.wait_arrived(1).await;
        assert_eq!(put(&s3, "meanwhile").await, Ok(()));
        assert_eq!(keys(&server), ["late", "meanwhile"]);
        held.open();
    });
    assert_eq!(answer, Ok(()));
    server.shutdown().await;
}

#[tokio::test]
async fn a_store_that_knows_no_preconditions_overwrites() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    server.faults().set(|_| Fault::IgnorePreconditions);
    assert_eq!((put(&s3, "k").await, put(&s3, "k").await), (Ok(()), Ok(())));
    server.shutdown().await;
}

#[tokio::test]
async fn bodies_are_cut_and_changed() {
    let server = builder().anonymous(BUCKET, crate::support::GET).start().await.unwrap();
    assert_eq!(put(&client(&server), "k").await, Ok(()));
    let get = async || http_client().get(format!("{}/{BUCKET}/k", server.endpoint())).send().await.unwrap();
    server.faults().next(|_| true, Fault::Truncate(4));
    let cut = get().await;
    assert_eq!((cut.status().as_u16(), cut.content_length()), (200, Some(10)));
    assert!(cut.bytes().await.is_err());
    server.faults().next(|_| true, Fault::ErrorBody(Refusal::INTERNAL_ERROR));
    let error = get().await;
    assert_eq!(error.status(), 200);
    assert_eq!(crate::support::element(&error.text().await.unwrap(), "Code"), Some("InternalError"));
    server.faults().next(|_| true, Fault::Corrupt(13));
    assert_eq!(get().await.bytes().await.unwrap(), b"012\xcc456789".as_slice());
    assert_eq!(get().await.bytes().await.unwrap(), BODY);
    server.shutdown().await;
}

#[tokio::test]
async fn the_etag_is_hidden() {
    let server = builder().anonymous(BUCKET, crate::support::GET).cors(Cors::origin("*")).start().await.unwrap();
    assert_eq!(put(&client(&server), "k").await, Ok(()));
    server.faults().set(|_| Fault::HideETag);
    let get = http_client().get(format!("{}/{BUCKET}/k", server.endpoint())).header("origin", "https://example.org");
    let answer = get.send().await.unwrap();
    assert!(answer.headers().get("etag").is_none());
    assert!(!answer.headers()["access-control-expose-headers"].to_str().unwrap().contains("ETag"));
    server.shutdown().await;
}

#[tokio::test]
async fn lists_are_short_and_deletions_partial() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    for key in ["a", "b", "c"] {
        assert_eq!(put(&s3, key).await, Ok(()));
    }
    server.faults().next(|_| true, Fault::ShortList(2));
    let page = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!((page.key_count(), page.max_keys(), page.is_truncated()), (Some(2), Some(1000), Some(true)));
    server.faults().next(|_| true, Fault::KeepKeys("b".into()));
    let name = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let names = Delete::builder().objects(name("a")).objects(name("b")).build().unwrap();
    let deleted = s3.delete_objects().bucket(BUCKET).delete(names).send().await.unwrap();
    assert_eq!((deleted.deleted()[0].key(), deleted.errors()[0].key()), (Some("a"), Some("b")));
    assert_eq!(keys(&server), ["b", "c"]);
    server.shutdown().await;
}

#[tokio::test]
async fn a_delay_and_a_silence_are_up_to_the_client() {
    let server = builder().anonymous(BUCKET, crate::support::GET).start().await.unwrap();
    let get = |timeout| http_client().get(format!("{}/{BUCKET}/k", server.endpoint())).timeout(timeout).send();
    server.faults().set(|_| Fault::Delay(Duration::from_millis(100), Box::new(Fault::SLOW_DOWN)));
    assert_eq!(get(Duration::from_secs(10)).await.unwrap().status(), 503);
    server.faults().set(|_| Fault::Hang);
    assert!(get(Duration::from_millis(100)).await.unwrap_err().is_timeout());
    server.faults().clear();
    server.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_under_way_and_an_abort_does_not() {
    let server = builder().start().await.unwrap();
    let (s3, store) = (client(&server), server.store().clone());
    server.faults().set(|_| Fault::Delay(Duration::from_millis(300), Box::new(Fault::None)));
    let (answer, ()) = tokio::join!(put(&s3, "k"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.shutdown().await;
    });
    assert_eq!(answer, Ok(()));
    assert_eq!(store.keys(BUCKET, "").unwrap(), ["k"]);

    let server = builder().store(store.clone()).start().await.unwrap();
    let s3 = client(&server);
    let gate = Gate::new();
    server.faults().next(|_| true, Fault::Hold(gate.clone()));
    let (answer, ()) = tokio::join!(put(&s3, "never"), async {
        gate.wait_arrived(1).await;
        server.abort().await;
    });
    assert_eq!(answer, Err(0));
    gate.open();
    assert_eq!(store.keys(BUCKET, "").unwrap(), ["k"]);
}
