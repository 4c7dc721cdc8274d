//! What a reader says when the store, the network or the set-up fails.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    ACCESS_KEY, BUCKET, KEYSPACE, ListWriter, SECRET_KEY, WrongClock, config, create_keyspace, put, quick, reader,
    server,
};
use http::StatusCode;
use klstore_reader::{ItemList, IterationOrder, ReaderError, RetryPolicy, S3StoreReader, StoreReader};
use klstore_s3_server::{Credential, Fault, Operation, Permission, Refusal, RunningServer, ServerBuilder, WrongRegion};

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn started(server: ServerBuilder) -> Result<Arc<RunningServer>, Box<dyn std::error::Error>> {
    let server = Arc::new(server.start().await?);
    create_keyspace(&server, KEYSPACE);
    ListWriter::open(&server, KEYSPACE, "N14228", 1).append_numbered(3, 3);
    server.reset_counts();
    Ok(server)
}

async fn page(reader: &S3StoreReader) -> Result<ItemList, ReaderError> {
    reader.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, None, None).await
}

#[tokio::test]
async fn what_passes_is_tried_again() -> Outcome {
    let server = started(server()).await?;
    let faults = || {
        [
            Fault::refuse(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Fault::refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Fault::refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Fault::Drop,
            Fault::Truncate(10),
            Fault::ErrorBody(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        ]
    };
    for operation in [Operation::ListObjects, Operation::GetObject] {
        for (number, fault) in faults().into_iter().enumerate() {
            // S3 never answers a GET of an object so: it would be the object.
            if operation == Operation::GetObject && number == 5 {
                continue;
            }
            let reader = reader(&server).await;
            server.faults().next(move |request| request.operation == operation, fault);
            let before = server.counts();
            let page = page(&reader).await?;
            assert_eq!(page.items.len(), 9, "fault {number} of {operation:?}");
            let after = server.counts();
            let sent = (after.list - before.list, after.get - before.get);
            assert_eq!((page.stats.list_operation_count, page.stats.read_operation_count), sent, "fault {number}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_lasts_is_unavailable_after_bounded_attempts() -> Outcome {
    let server = started(server()).await?;
    server.faults().set(|_| Fault::refuse(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"));
    let error = page(&reader(&server).await).await.expect_err("always refused");
    assert!(matches!(error, ReaderError::Unavailable { attempts: 3, .. }), "{error}");
    for word in ["SlowDown", "503", BUCKET, server.endpoint().as_str(), "N14228"] {
        assert!(error.to_string().contains(word), "`{word}` is not in: {error}");
    }
    assert_eq!(server.counts().list, 3);
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_in_time() -> Outcome {
    let server = started(server()).await?;
    server.faults().set(|_| Fault::Hang);
    let short = |attempt, deadline| RetryPolicy {
        attempt_timeout: Duration::from_millis(attempt),
        deadline: Duration::from_millis(deadline),
        ..quick()
    };
    for (policy, attempts, words) in
        [(short(50, 10_000), 3, "within 50 ms"), (short(10_000, 50), 1, "within 50 ms in all")]
    {
        let reader = S3StoreReader::builder(config(&server)).retry_policy(policy).build().await?;
        let error = tokio::time::timeout(Duration::from_secs(5), page(&reader)).await?.expect_err("no answer");
        assert!(error.to_string().contains(words), "{error}");
        assert!(matches!(error, ReaderError::Unavailable { attempts: made, .. } if made == attempts), "{error}");
    }
    server.faults().clear();
    Ok(())
}

#[tokio::test]
async fn wrong_keys_name_the_setting() -> Outcome {
    let server = started(server()).await?;
    for (access_key, secret_key, setting) in
        [("AKOTHER", SECRET_KEY, "access_key"), (ACCESS_KEY, "hunter2", "secret_key")]
    {
        let mut config = config(&server);
        (config.access_key, config.secret_key) = (Some(access_key.into()), Some(secret_key.into()));
        let error = page(&S3StoreReader::new(config).await?).await.expect_err("wrong keys");
        assert!(matches!(error, ReaderError::Credentials { .. }), "{error}");
        assert!(error.to_string().contains(setting) && !format!("{error:?}{error}").contains("hunter2"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_is_named() -> Outcome {
    let credential = || Credential::new(ACCESS_KEY, SECRET_KEY);
    for denied in [Permission::ListBucket, Permission::GetObject] {
        let server = started(server()).await?;
        server.replace_credentials(vec![credential().deny(denied)]);
        let error = page(&reader(&server).await).await.expect_err("denied");
        assert!(matches!(error, ReaderError::AccessDenied { .. }), "{error}");
        assert!(error.to_string().contains("s3:ListBucket"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_clock_shows_both_times() -> Outcome {
    let server = started(server()).await?;
    let reader = S3StoreReader::builder(config(&server)).environment(WrongClock(5)).build().await?;
    let error = page(&reader).await.expect_err("a wrong clock");
    let ReaderError::ClockSkew { here, there, .. } = &error else { panic!("{error:?}") };
    assert_ne!(here, there);
    assert!(there.ends_with('Z') || there.ends_with("GMT"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_right_region_is_named() -> Outcome {
    for answer in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let server = started(server().region("eu-central-1", answer)).await?;
        let error = page(&reader(&server).await).await.expect_err("the wrong region");
        let ReaderError::WrongRegion { right, configured, .. } = &error else { panic!("{error:?}") };
        assert_eq!((right.as_deref(), configured.as_str()), (Some("eu-central-1"), "us-east-1"));
        assert_eq!(server.counts().requests(), 1, "not tried again, nothing followed");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_bucket_is_named() -> Outcome {
    let server = started(server()).await?;
    let mut config = config(&server);
    config.bucket_name = "elsewhere".into();
    let error = page(&S3StoreReader::new(config).await?).await.expect_err("no such bucket");
    assert!(matches!(&error, ReaderError::BucketNotFound { bucket, .. } if bucket == "elsewhere"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_hidden_etag_names_the_cors_rule() -> Outcome {
    let server = started(server()).await?;
    server.faults().set(|request| match request.operation {
        Operation::GetObject => Fault::HideETag,
        _ => Fault::None,
    });
    let error = page(&reader(&server).await).await.expect_err("no ETag");
    assert!(matches!(error, ReaderError::HiddenEtag { .. }), "{error}");
    assert!(error.to_string().contains("ExposeHeaders"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_not_s3_is_a_configuration_error() -> Outcome {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let web = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let page = "<html><body>It works!</body></html>";
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let mut config = klstore_reader::S3StoreConfig::new(BUCKET);
    (config.endpoint, config.anonymous) = (Some(format!("http://{address}")), true);
    let reader = S3StoreReader::builder(config).retry_policy(quick()).build().await?;
    let error = page(&reader).await.expect_err("a web server");
    assert!(matches!(error, ReaderError::Configuration { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    web.abort();
    Ok(())
}

#[tokio::test]
async fn damaged_objects_are_named() -> Outcome {
    let server = started(server()).await?;
    let names = server.store().keys(BUCKET, "")?;
    let newest = names.iter().find(|name| name.contains("/log/")).ok_or("no commit")?;
    put(&server, newest, bytes::Bytes::from_static(b"not a commit of klstore, but longer than any preamble"));
    let error = page(&reader(&server).await).await.expect_err("damaged");
    assert!(matches!(&error, ReaderError::Corrupt(corrupt) if corrupt.object == *newest), "{error}");
    Ok(())
}
