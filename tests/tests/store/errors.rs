//! Bad input gets a typed error that names what is wrong and says what to do, and nothing is lost by it. Each message
//! is printed, so that the output can be read as a user would.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::InvalidInsertion;
use klstore_format::wire::commit::IndexReference;
use klstore_format::wire::identity::{BlockOwner, ObjectId};
use klstore_format::wire::token::{NewestCommit, Place, Token};
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{FollowStart, Polling, ReaderError, S3StoreReader, StoreReader};
use klstore_s3_server::{
    Credential, Fault, ObjectMetadata, Operation, Permission, Precondition, RunningServer, ServerBuilder, WrongRegion,
};
use klstore_tests::conformance::Outcome;
use klstore_tests::embedded::{config, reader_of, server, values, writer_of};
use klstore_tests::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use klstore_writer::{Insertion, S3StoreWriter, StoreError, StoreWriter, WriterError};

const KEYSPACE: &str = "flights";
const KEY: &str = "N14228";

async fn append(writer: &S3StoreWriter, key: &str, values: &[&str]) {
    let batch = values.iter().map(|value| Insertion::new(value.to_string())).collect();
    let _ = writer.append_list(KEYSPACE, key, batch).await.unwrap().await.unwrap();
}

/// A server with a list of three items.
async fn with_a_list(builder: ServerBuilder) -> RunningServer {
    let server = builder.start().await.unwrap();
    let writer = writer_of(config(&server)).await;
    writer.create_keyspace(KEYSPACE).await.unwrap();
    append(&writer, KEY, &["one", "two", "three"]).await;
    server
}

async fn page(reader: &S3StoreReader) -> Result<Vec<Item>, ReaderError> {
    Ok(reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None).await?.items)
}

async fn append_one(writer: &S3StoreWriter) -> WriterError {
    writer.append_list(KEYSPACE, KEY, vec![Insertion::new("four")]).await.unwrap_err()
}

/// versitygw lists the file that it writes a PUT's body to, `.NAME.sgwtmp.NUMBER`, beside the objects.
#[tokio::test]
async fn a_store_s_temporary_files_are_passed_over() {
    let server = with_a_list(server()).await;
    let list = ListName::new(&Prefix::default(), KEYSPACE, KEY).unwrap();
    for name in [".fffffffffffffffe.sgwtmp.1", ".fffffffffffffffe.sgwtmp.2"] {
        let (name, none) = (format!("{}{name}", list.commits()), Precondition::None);
        server.store().put(BUCKET, &name, Bytes::from_static(b"half"), ObjectMetadata::default(), &none).unwrap();
    }
    assert_eq!(page(&reader_of(config(&server)).await).await.unwrap().len(), 3);
    append(&writer_of(config(&server)).await, KEY, &["four"]).await;
    assert_eq!(page(&reader_of(config(&server)).await).await.unwrap().len(), 4);
    // Of a list that has no commit yet, only such a file.
    let other = ListName::new(&Prefix::default(), KEYSPACE, "other").unwrap();
    let name = format!("{}.ffffffffffffffff.sgwtmp.3", other.commits());
    server.store().put(BUCKET, &name, Bytes::new(), ObjectMetadata::default(), &Precondition::None).unwrap();
    append(&writer_of(config(&server)).await, "other", &["one"]).await;
}

/// Prints the message; it must hold these words and no secret.
#[track_caller]
fn says(error: &dyn Error, words: &[&str]) {
    let message = error.to_string();
    println!("    {message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!format!("{error:?} {message}").contains(SECRET_KEY), "the secret is in: {error:?}");
}

/// The error is of this variant, and its message holds these words.
macro_rules! refused {
    ($result:expr, $variant:pat, [$($word:expr),* $(,)?]) => {{
        let error = $result.err().expect("it must be refused");
        assert!(matches!(error, $variant), "{error:?}");
        says(&error, &[$($word),*]);
    }};
}

/// The list's three items are there, and no more.
async fn nothing_lost(server: &RunningServer) {
    server.faults().clear();
    server.replace_credentials(vec![Credential::new(ACCESS_KEY, SECRET_KEY)]);
    let items = page(&reader_of(config(server)).await).await.unwrap();
    assert_eq!(values(&items), ["one", "two", "three"]);
}

#[tokio::test]
async fn unknown_keyspaces() -> Outcome {
    let server = with_a_list(server()).await;
    let (reader, writer) = (reader_of(config(&server)).await, writer_of(config(&server)).await);
    let forwards = IterationOrder::Forwards;
    let words = ["`trains`", "create it"];
    let page = reader.read_page("trains", KEY, forwards, None, None, None).await;
    refused!(page, ReaderError::KeyspaceNotFound { .. }, [words[0], words[1]]);
    let metadata = reader.read_keyspace_metadata("trains").await;
    refused!(metadata, ReaderError::KeyspaceNotFound { .. }, [words[0], words[1]]);
    let metadata = reader.read_key_metadata("trains", KEY).await;
    refused!(metadata, ReaderError::KeyspaceNotFound { .. }, [words[0], words[1]]);
    let keys = reader.list_keys("trains", "", None, None).await;
    refused!(keys, ReaderError::KeyspaceNotFound { .. }, [words[0], words[1]]);
    let appended = writer.append_list("trains", KEY, vec![Insertion::new("lost?")]).await;
    refused!(appended, WriterError::KeyspaceNotFound { .. }, [words[0], words[1]]);
    refused!(writer.sweep("trains", KEY).await, WriterError::KeyspaceNotFound { .. }, [words[0]]);
    let again = writer.create_keyspace(KEYSPACE).await;
    refused!(again, WriterError::KeyspaceAlreadyExists { .. }, ["`flights`", "use it"]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn bad_names_and_arguments() -> Outcome {
    let server = with_a_list(server()).await;
    let (reader, writer) = (reader_of(config(&server)).await, writer_of(config(&server)).await);
    let forwards = IterationOrder::Forwards;
    server.reset_counts();
    let (long, escaped) = ("k".repeat(256), "é".repeat(43));
    for (name, words) in [
        ("", ["empty", "at least one character"]),
        (long.as_str(), ["256 bytes", "255 at most"]),
        (escaped.as_str(), ["258 bytes", "take three each"]),
    ] {
        let page = reader.read_page(KEYSPACE, name, forwards, None, None, None).await;
        refused!(page, ReaderError::InvalidArgument { .. }, ["key", words[0], words[1]]);
        let page = reader.read_page(name, KEY, forwards, None, None, None).await;
        refused!(page, ReaderError::InvalidArgument { .. }, ["keyspace", words[0], words[1]]);
        let appended = writer.append_list(KEYSPACE, name, vec![Insertion::new("v")]).await;
        refused!(appended, WriterError::InvalidName(_), ["key", words[0], words[1]]);
        refused!(writer.create_keyspace(name).await, WriterError::InvalidName(_), ["keyspace", words[0], words[1]]);
    }
    let none = reader.read_page(KEYSPACE, KEY, forwards, Some(0), None, None).await;
    refused!(none, ReaderError::InvalidArgument { .. }, ["max_size", "at least one"]);
    assert_eq!(server.counts().requests(), 0, "refused before any request");
    let mut bad_prefix = config(&server);
    bad_prefix.object_prefix = "a/../b".into();
    refused!(S3StoreReader::new(bad_prefix.clone()).await, ReaderError::Configuration { .. }, ["a/../b"]);
    let error = S3StoreWriter::new(bad_prefix).await.err().unwrap();
    says(&error, &["a/../b"]);
    let mut directory_bucket = config(&server);
    directory_bucket.bucket_name = "lists--use1-az4--x-s3".into();
    refused!(S3StoreReader::new(directory_bucket).await, ReaderError::Configuration { .. }, ["--x-s3"]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn insertions_over_the_limits() -> Outcome {
    let server = with_a_list(server()).await;
    let writer = writer_of(config(&server)).await;
    let try_batch = |bad: Insertion| writer.append_list(KEYSPACE, KEY, vec![Insertion::new("fine"), bad]);
    let large = try_batch(Insertion::new(vec![7; (16 << 20) + 1])).await;
    refused!(
        large,
        WriterError::InvalidInsertion(InvalidInsertion::ValueTooLarge { index: 1, .. }),
        ["insertion 1", "16777217", "16777216 at most", "split it"]
    );
    let last = try_batch(Insertion::new("v").with_nonce(u128::MAX)).await;
    refused!(
        last,
        WriterError::InvalidInsertion(InvalidInsertion::LastNonce { index: 1 }),
        ["insertion 1", "2^128-1", "use a lower one"]
    );
    let future = try_batch(Insertion::new("v").with_timestamp(i64::MAX)).await;
    refused!(
        future,
        WriterError::InvalidInsertion(InvalidInsertion::FutureTimestamp { index: 1, .. }),
        ["insertion 1", "ahead", "max_future_skew"]
    );
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn forged_and_foreign_continuations() -> Outcome {
    let server = with_a_list(server()).await;
    let writer = writer_of(config(&server)).await;
    append(&writer, "other", &["a", "b", "c"]).await;
    let reader = reader_of(config(&server)).await;
    let (forwards, backwards) = (IterationOrder::Forwards, IterationOrder::Backwards);
    let first = reader.read_page(KEYSPACE, KEY, forwards, Some(1), None, None).await?;
    let token = first.continuation.ok_or("no continuation")?;
    let read =
        |key: &'static str, order, token: String| reader.read_page(KEYSPACE, key, order, None, None, Some(token));

    let words = ["continuation is not usable", "start without one"];
    refused!(read("other", forwards, token.clone()).await, ReaderError::InvalidContinuation(_), [words[0], words[1]]);
    refused!(read(KEY, backwards, token.clone()).await, ReaderError::InvalidContinuation(_), [words[0], words[1]]);
    for bad in ["", "x", "!!!!", "a b", "é", &"A".repeat(256), &"A".repeat(1 << 20)] {
        refused!(read(KEY, forwards, bad.to_owned()).await, ReaderError::InvalidContinuation(_), [words[0]]);
    }
    let mut changed = 0;
    for position in 0..token.len() {
        for other in (0x20..0x7f).map(char::from).filter(|other| !token[position..].starts_with(*other)) {
            let mut forged = token.clone();
            forged.replace_range(position..=position, &other.to_string());
            let result = read(KEY, forwards, forged.clone()).await;
            assert!(matches!(result, Err(ReaderError::InvalidContinuation(_))), "{forged}: {result:?}");
            changed += 1;
        }
        let cut = read(KEY, forwards, token[..position].to_owned()).await;
        assert!(matches!(cut, Err(ReaderError::InvalidContinuation(_))), "cut at {position}: {cut:?}");
    }
    println!("    {changed} tokens with one character changed and {} cut ones: all refused", token.len());
    assert_eq!(values(&read(KEY, forwards, token.clone()).await?.items), ["two", "three"]);

    // Forged with a right checksum: whatever its numbers say, only the list's own items come, or an error.
    let name = ListName::new(&Prefix::new("")?, KEYSPACE, KEY)?;
    let honest = Token::decode(&token, &name.hash(), forwards)?;
    let Some(Place::Commit { seq, owner, .. }) = honest.place else { return Err("no place in a commit".into()) };
    let at = |position| Some(Place::Commit { seq, owner, position });
    let segment = |position| Some(Place::Segment { id: ObjectId { x: 1, id: 1 }, position });
    let places = [honest.place, None, at(0), at(u64::MAX), segment(0), segment(u64::MAX)];
    let index = |length| Some(IndexReference { id: ObjectId { x: u64::MAX, id: 7 }, length });
    let newest = |seq, owner| NewestCommit { seq, owner };
    let mut forgeries = Vec::new();
    for next in [0, 2, 3, 4, u64::MAX] {
        for end in [0, 3, 4, u64::MAX] {
            for page_bytes in [0, u32::MAX] {
                for place in &places {
                    forgeries.push(Token { next, end, page_bytes, place: *place, ..honest });
                    for index in [index(0), index(1), index(u64::MAX)] {
                        forgeries.push(Token { next, end, page_bytes, place: *place, index, ..honest });
                    }
                    for newest in [newest(0, owner), newest(u64::MAX, owner), newest(seq, BlockOwner([0; 8]))] {
                        forgeries.push(Token { next, end, page_bytes, place: *place, newest, ..honest });
                    }
                }
            }
        }
    }
    for forgery in forgeries {
        match read(KEY, forwards, forgery.encode(&name.hash())).await {
            Ok(page) => {
                for item in &page.items {
                    let index = usize::try_from(item.offset)?;
                    assert_eq!(values(std::slice::from_ref(item)), [["one", "two", "three"][index]], "{forgery:?}");
                }
            }
            Err(error) => assert!(matches!(error, ReaderError::InvalidContinuation(_)), "{forgery:?}: {error:?}"),
        }
    }
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn missing_buckets() -> Outcome {
    let server = with_a_list(server()).await;
    let mut elsewhere = config(&server);
    elsewhere.bucket_name = "elsewhere".into();
    let endpoint = server.endpoint();
    let read = page(&reader_of(elsewhere.clone()).await).await;
    refused!(read, ReaderError::BucketNotFound { .. }, ["`elsewhere`", &endpoint, "create it"]);
    let error = append_one(&writer_of(elsewhere.clone()).await).await;
    refused!(Err::<(), _>(error), WriterError::Store(StoreError::BucketNotFound { .. }), ["`elsewhere`", &endpoint]);
    let created = writer_of(elsewhere).await.create_keyspace("trains").await;
    refused!(created, WriterError::Store(StoreError::BucketNotFound { .. }), ["`elsewhere`", "create it"]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn wrong_credentials() -> Outcome {
    let server = with_a_list(server()).await;
    let (mut unknown, mut wrong) = (config(&server), config(&server));
    unknown.access_key = Some("AKUNKNOWN".into());
    wrong.secret_key = Some("not-the-secret".into());
    for (config, setting, code) in [(unknown, "access_key", "InvalidAccessKeyId"), (wrong, "secret_key", "Signature")] {
        let read = page(&reader_of(config.clone()).await).await;
        refused!(read, ReaderError::Credentials { .. }, [BUCKET, setting]);
        let error = append_one(&writer_of(config).await).await;
        refused!(
            Err::<(), _>(error),
            WriterError::Store(StoreError::InvalidCredentials { .. }),
            [BUCKET, code, "Check keys"]
        );
    }
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn missing_permissions() -> Outcome {
    let server = with_a_list(server()).await;
    for (denied, name) in [(Permission::ListBucket, "s3:ListBucket"), (Permission::GetObject, "s3:GetObject")] {
        server.replace_credentials(vec![Credential::new(ACCESS_KEY, SECRET_KEY).deny(denied)]);
        let read = page(&reader_of(config(&server)).await).await;
        refused!(read, ReaderError::AccessDenied { .. }, [KEYSPACE, BUCKET, name, "404"]);
    }
    server.replace_credentials(vec![Credential::new(ACCESS_KEY, SECRET_KEY).deny(Permission::ListBucket)]);
    let error = append_one(&writer_of(config(&server)).await).await;
    let word = "s3:ListBucket";
    refused!(Err::<(), _>(error), WriterError::Store(StoreError::AccessDenied { .. }), [KEYSPACE, BUCKET, word]);
    server.replace_credentials(vec![Credential::new(ACCESS_KEY, SECRET_KEY).deny(Permission::PutObject)]);
    let error = append_one(&writer_of(config(&server)).await).await;
    let word = "s3:PutObject";
    refused!(Err::<(), _>(error), WriterError::Store(StoreError::AccessDenied { .. }), [KEYSPACE, BUCKET, word]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn clock_skew() -> Outcome {
    let server = with_a_list(server()).await;
    server.faults().set(|_| Fault::refuse(StatusCode::FORBIDDEN, "RequestTimeTooSkewed"));
    let read = page(&reader_of(config(&server)).await).await;
    refused!(read, ReaderError::ClockSkew { .. }, [BUCKET, "clocks", "set the one that is wrong"]);
    let error = append_one(&writer_of(config(&server)).await).await;
    refused!(Err::<(), _>(error), WriterError::Store(StoreError::ClockSkew { .. }), [BUCKET, "clock", "set it"]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn wrong_regions() -> Outcome {
    for answer in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let server = server().region("eu-west-1", answer).start().await?;
        let read = page(&reader_of(config(&server)).await).await;
        refused!(read, ReaderError::WrongRegion { .. }, [BUCKET, "`us-east-1`", "set region to", "eu-west-1"]);
        let error = append_one(&writer_of(config(&server)).await).await;
        let words = [BUCKET, "us-east-1", "set region to"];
        refused!(
            Err::<(), _>(error),
            WriterError::Store(StoreError::WrongRegion { .. }),
            [words[0], words[1], words[2], "eu-west-1"]
        );
    }
    Ok(())
}

#[tokio::test]
async fn hidden_etags() -> Outcome {
    let server = with_a_list(server()).await;
    server.faults().set(|request| match request.operation {
        Operation::GetObject => Fault::HideETag,
        _ => Fault::None,
    });
    let read = page(&reader_of(config(&server)).await).await;
    refused!(read, ReaderError::HiddenEtag { .. }, [KEY, "ETag", "ExposeHeaders"]);
    let error = append_one(&writer_of(config(&server)).await).await;
    says(&error, &["ETag"]);
    nothing_lost(&server).await;
    Ok(())
}

#[tokio::test]
async fn unreachable_endpoints() -> Outcome {
    let server = with_a_list(server()).await;
    let (config, endpoint) = (config(&server), server.endpoint());
    server.shutdown().await;
    let read = page(&reader_of(config.clone()).await).await;
    refused!(read, ReaderError::Unavailable { .. }, [&endpoint, BUCKET, KEY, "Try again"]);
    let error = append_one(&writer_of(config).await).await;
    refused!(Err::<(), _>(error), WriterError::Unavailable { .. }, [&endpoint, KEYSPACE, "try again"]);
    Ok(())
}

#[tokio::test]
async fn stores_that_ignore_conditions() -> Outcome {
    let server = with_a_list(server()).await;
    let before = server.store().keys(BUCKET, "")?;
    server.faults().set(|_| Fault::IgnorePreconditions);
    let error = append_one(&writer_of(config(&server)).await).await;
    refused!(Err::<(), _>(error), WriterError::UnsafeStore { .. }, ["If-None-Match", "412", "use a store"]);
    assert_eq!(server.store().keys(BUCKET, "")?, before, "nothing was written");
    let created = writer_of(config(&server)).await.create_keyspace("trains").await;
    refused!(created, WriterError::UnsafeStore { .. }, ["If-None-Match", "412", "use a store"]);
    assert_eq!(server.store().keys(BUCKET, "")?, before, "nothing is left");
    nothing_lost(&server).await;
    Ok(())
}

/// Readers and followers with everything cached, when the bucket becomes another one under them.
#[tokio::test]
async fn a_bucket_that_is_emptied_and_filled_again() -> Outcome {
    for (new_count, compacted) in [(2, false), (5, false), (60, true), (60, false)] {
        let server = server().start().await?;
        let old = fill(&server, "old", 50, true).await;
        let reader = reader_of(config(&server)).await;
        let forwards = IterationOrder::Forwards;
        let first = reader.read_page(KEYSPACE, KEY, forwards, Some(10), None, None).await?;
        assert_eq!(values(&first.items), old[..10]);
        // Everything into the cache.
        for order in [forwards, IterationOrder::Backwards] {
            reader.read_page(KEYSPACE, KEY, order, None, None, None).await?;
        }
        let names = server.store().keys(BUCKET, "")?;
        server.store().delete(BUCKET, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let emptied = page(&reader).await;
        refused!(emptied, ReaderError::KeyspaceNotFound { .. }, [KEYSPACE, "check bucket"]);

        let new = fill(&server, "new", new_count, compacted).await;
        for order in [forwards, IterationOrder::Backwards] {
            let mut expected = new.clone();
            if order == IterationOrder::Backwards {
                expected.reverse();
            }
            let page = reader.read_page(KEYSPACE, KEY, order, None, None, None).await?;
            assert_eq!(values(&page.items), expected, "{new_count} new items, {order:?}");
            for offset in [0, new_count as u64 - 1] {
                let filter = Some(ItemFilter { start_offset: Some(offset), ..ItemFilter::default() });
                let page = reader.read_page(KEYSPACE, KEY, order, Some(1), filter, None).await?;
                assert_eq!(values(&page.items), [new[offset as usize].as_str()]);
            }
        }
        // A continuation of before may go on by its offset, in what is there now.
        match reader.read_page(KEYSPACE, KEY, forwards, None, None, first.continuation).await {
            Ok(page) => assert_eq!(values(&page.items), new[10.min(new.len())..]),
            Err(error) => assert!(matches!(error, ReaderError::InvalidContinuation(_)), "{error:?}"),
        }
        server.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_follower_of_a_bucket_that_is_filled_again() -> Outcome {
    use futures::StreamExt;
    let server = server().start().await?;
    fill(&server, "old", 5, false).await;
    let reader = reader_of(config(&server)).await;
    let polling = Polling { interval: Duration::from_millis(2), max_interval: Duration::from_millis(4) };
    let mut followed = std::pin::pin!(reader.follow(KEYSPACE, KEY, FollowStart::Offset(0), polling));
    for number in 0..5 {
        let item = followed.next().await.ok_or("an end")??;
        assert_eq!(values(&[item]), [format!("old {number}")]);
    }
    let names = server.store().keys(BUCKET, "")?;
    server.store().delete(BUCKET, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let limit = Duration::from_secs(20);
    let gone = tokio::time::timeout(limit, followed.next()).await?.ok_or("an end")?;
    refused!(gone, ReaderError::KeyspaceNotFound { .. }, [KEYSPACE]);
    // It stands at offset 5, and goes on there as soon as there is such an item again.
    fill(&server, "new", 8, false).await;
    let mut found = Vec::new();
    while found.len() < 3 {
        match tokio::time::timeout(limit, followed.next()).await?.ok_or("an end")? {
            Ok(item) => found.extend(values(&[item])),
            Err(error) => assert!(matches!(error, ReaderError::KeyspaceNotFound { .. }), "{error:?}"),
        }
    }
    assert_eq!(found, ["new 5", "new 6", "new 7"]);
    Ok(())
}

/// The list anew, item by item; its values.
async fn fill(server: &RunningServer, what: &str, count: usize, compact: bool) -> Vec<String> {
    let writer = writer_of(config(server)).await;
    writer.create_keyspace(KEYSPACE).await.unwrap();
    let values: Vec<_> = (0..count).map(|number| format!("{what} {number}")).collect();
    for value in &values {
        append(&writer, KEY, &[value]).await;
    }
    if compact {
        assert!(writer.compact(KEYSPACE, KEY).await.unwrap());
    }
    values
}
