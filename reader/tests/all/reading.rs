//! Lists read over HTTP from a real server: pages, streams, names, requests counted, cache.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{BUCKET, CREATED, KEYSPACE, ListWriter, config, create_keyspace, quick, reader, server};
use futures::TryStreamExt;
use klstore_reader::{
    FollowStart, ItemFilter, IterationOrder, Polling, ReaderError, S3StoreReader, Signing, StoreReader, StoreReaderExt,
};
use klstore_s3_server::{AnonymousAccess, RunningServer};

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn with_list(commits: u64, items: u64) -> Result<Arc<RunningServer>, Box<dyn std::error::Error>> {
    let server = Arc::new(server().start().await?);
    create_keyspace(&server, KEYSPACE);
    ListWriter::open(&server, KEYSPACE, "N14228", 1).append_numbered(commits, items);
    server.reset_counts();
    Ok(server)
}

#[tokio::test]
async fn a_page_in_either_order() -> Outcome {
    let server = with_list(3, 4).await?;
    let reader = reader(&server).await;
    let page = reader.read_page(KEYSPACE, "N14228", IterationOrder::Backwards, Some(5), None, None).await?;
    let offsets: Vec<_> = page.items.iter().map(|item| item.offset).collect();
    assert_eq!(offsets, [11, 10, 9, 8, 7]);
    assert_eq!((&page.items[0].value[..], page.items[0].nonce), (&b"v11"[..], Some(11)));
    assert_eq!((page.keyspace.as_str(), page.key.as_str()), (KEYSPACE, "N14228"));
    let counts = server.counts();
    assert_eq!((page.stats.list_operation_count, page.stats.read_operation_count), (counts.list, counts.get));
    assert_eq!(page.stats.read_size_total, counts.object_bytes_out);
    assert_eq!((counts.list, counts.options, counts.errors), (1, 0, 0));

    let filter = ItemFilter { start_timestamp: Some(CREATED + 9_000), ..ItemFilter::default() };
    let page = reader.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, Some(filter), None).await?;
    let offsets: Vec<_> = page.items.iter().map(|item| item.offset).collect();
    assert_eq!((offsets, page.continuation), (vec![9, 10, 11], None));
    Ok(())
}

#[tokio::test]
async fn streams_visit_every_item_once_whatever_the_page_size() -> Outcome {
    let server = with_list(5, 7).await?;
    let reader = reader(&server).await;
    for page_size in [1, 3, 7, 34, 35, 100] {
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            let items = reader.items(KEYSPACE, "N14228", order, Some(page_size), None, None);
            let mut offsets: Vec<_> = items.map_ok(|item| item.offset).try_collect().await?;
            if order == IterationOrder::Backwards {
                offsets.reverse();
            }
            assert_eq!(offsets, (0..35).collect::<Vec<_>>(), "pages of {page_size}");
            let pages = reader.pages(KEYSPACE, "N14228", order, Some(page_size), None, None);
            let counts: Vec<_> = pages.map_ok(|page| page.items.len() as u64).try_collect().await?;
            assert_eq!(counts.iter().sum::<u64>(), 35);
            assert!(counts.iter().all(|count| *count <= page_size));
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_names() -> Outcome {
    let server = with_list(1, 1).await?;
    let reader = reader(&server).await;
    let order = IterationOrder::Forwards;
    let page = reader.read_page(KEYSPACE, "unknown", order, None, None, None).await?;
    assert_eq!((page.items, page.continuation), (vec![], None));
    assert_eq!(reader.read_key_metadata(KEYSPACE, "unknown").await?, None);
    let error = reader.read_page("unknown", "key", order, None, None, None).await.expect_err("no such keyspace");
    assert!(matches!(error, ReaderError::KeyspaceNotFound { .. }), "{error}");
    let error = reader.read_keyspace_metadata("unknown").await.expect_err("no such keyspace");
    assert!(matches!(error, ReaderError::KeyspaceNotFound { .. }), "{error}");
    for (keyspace, key) in [("", "k"), (KEYSPACE, ""), (KEYSPACE, &"k".repeat(256))] {
        let error = reader.read_page(keyspace, key, order, None, None, None).await.expect_err("a bad name");
        assert!(matches!(error, ReaderError::InvalidArgument { .. }), "{error}");
    }
    let error = reader.read_page(KEYSPACE, "N14228", order, Some(0), None, None).await.expect_err("an empty page");
    assert!(matches!(error, ReaderError::InvalidArgument { .. }), "{error}");
    let token = Some("forged".to_owned());
    let error = reader.read_page(KEYSPACE, "N14228", order, None, None, token).await.expect_err("a forged token");
    assert!(matches!(error, ReaderError::InvalidContinuation(_)), "{error}");
    Ok(())
}

#[tokio::test]
async fn names_and_metadata() -> Outcome {
    let server = with_list(2, 3).await?;
    for keyspace in ["zürich", "a b"] {
        create_keyspace(&server, keyspace);
    }
    for key in ["room/1", "room/2", "100% + ~", ".."] {
        ListWriter::open(&server, KEYSPACE, key, 2).append_numbered(1, 1);
    }
    let reader = reader(&server).await;
    let mut keyspaces = Vec::new();
    let mut continuation = None;
    loop {
        let list = reader.list_keyspaces(Some(1), continuation).await?;
        keyspaces.extend(list.keyspaces.into_iter().map(|keyspace| keyspace.keyspace));
        continuation = list.continuation;
        if continuation.is_none() {
            break;
        }
    }
    keyspaces.sort();
    assert_eq!(keyspaces, ["a b", KEYSPACE, "zürich"]);
    let mut keys = reader.list_keys(KEYSPACE, "", None, None).await?.keys;
    keys.sort();
    assert_eq!(keys, ["..", "100% + ~", "N14228", "room/1", "room/2"]);
    assert_eq!(reader.list_keys(KEYSPACE, "room/", None, None).await?.keys, ["room/1", "room/2"]);
    assert_eq!(reader.read_keyspace_metadata("zürich").await?.created_timestamp, CREATED);
    let metadata = reader.read_key_metadata(KEYSPACE, "N14228").await?.ok_or("no metadata")?;
    assert_eq!((metadata.next_offset, metadata.next_nonce, metadata.item_count), (6, 6, 6));
    assert_eq!((metadata.value_bytes, metadata.max_timestamp), (12, Some(CREATED + 5_000)));
    Ok(())
}

#[tokio::test]
async fn a_keyspace_that_was_made_again_is_not_shown_from_memory() -> Outcome {
    let server = with_list(1, 1).await?;
    let reader = reader(&server).await;
    reader.read_keyspace_metadata(KEYSPACE).await?;
    let names = server.store().keys(BUCKET, "")?;
    server.store().delete(BUCKET, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let error = reader.read_keyspace_metadata(KEYSPACE).await.expect_err("it was deleted");
    assert!(matches!(error, ReaderError::KeyspaceNotFound { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_never_changes_is_fetched_once() -> Outcome {
    let server = with_list(4, 4).await?;
    let reader = reader(&server).await;
    let read = || reader.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, None, None);
    let first = read().await?;
    let before = server.counts();
    let second = read().await?;
    assert_eq!(first.items, second.items);
    assert!(second.stats.cache_hit_count > 0);
    assert_eq!(server.counts().get - before.get, second.stats.read_operation_count);
    assert!(second.stats.read_operation_count < first.stats.read_operation_count);

    let uncached = S3StoreReader::builder(config(&server)).cache_bytes(0).retry_policy(quick()).build().await?;
    for _ in 0..2 {
        let page = uncached.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, None, None).await?;
        assert_eq!((page.items, page.stats.cache_hit_count), (first.items.clone(), 0));
    }
    Ok(())
}

#[tokio::test]
async fn signed_in_the_query_nothing_else_marks_the_request() -> Outcome {
    let server = Arc::new(server().request_log(100).start().await?);
    create_keyspace(&server, KEYSPACE);
    let mut writer = ListWriter::open(&server, KEYSPACE, "N14228", 1);
    writer.append_numbered(2, 2);
    for quantum in [0, 600] {
        let signing = Signing::Query { validity: Duration::from_secs(60), quantum: Duration::from_secs(quantum) };
        let reader = S3StoreReader::builder(config(&server)).signing(signing).retry_policy(quick()).build().await?;
        let page = reader.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, None, None).await?;
        assert_eq!(page.items.len(), 4);
    }
    Ok(())
}

#[tokio::test]
async fn an_anonymous_reader_of_a_public_bucket() -> Outcome {
    let access = AnonymousAccess { get: true, list: true };
    let server = Arc::new(server().anonymous(BUCKET, access).start().await?);
    create_keyspace(&server, KEYSPACE);
    ListWriter::open(&server, KEYSPACE, "N14228", 1).append_numbered(1, 3);
    let mut config = config(&server);
    (config.access_key, config.secret_key, config.anonymous) = (None, None, true);
    let reader = S3StoreReader::new(config).await?;
    let page = reader.read_page(KEYSPACE, "N14228", IterationOrder::Forwards, None, None, None).await?;
    assert_eq!(page.items.len(), 3);
    Ok(())
}

#[test]
fn the_blocking_reader_needs_no_runtime() -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(with_list(3, 3))?;
    let reader = klstore_reader::blocking::S3StoreReader::new(config(&server))?;
    let items = reader.items(KEYSPACE, "N14228", IterationOrder::Forwards, Some(2), None, None);
    let offsets = items.map(|item| item.map(|item| item.offset)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(offsets, (0..9).collect::<Vec<_>>());
    assert_eq!(reader.list_keys(KEYSPACE, "", None, None)?.keys, ["N14228"]);
    Ok(())
}

#[tokio::test]
async fn a_follower_sees_what_is_appended() -> Outcome {
    let server = with_list(2, 2).await?;
    let reader = reader(&server).await;
    let polling = Polling { interval: Duration::from_millis(5), max_interval: Duration::from_millis(20) };
    let mut live = std::pin::pin!(reader.follow(KEYSPACE, "N14228", FollowStart::Offset(1), polling));
    for offset in 1..4 {
        assert_eq!(live.try_next().await?.map(|item| item.offset), Some(offset));
    }
    let mut writer = ListWriter::open(&server, KEYSPACE, "N14228", 2);
    for offset in 4..10 {
        let nothing_new = tokio::time::timeout(Duration::from_millis(30), live.try_next()).await;
        assert!(nothing_new.is_err(), "{nothing_new:?}");
        writer.append_numbered(1, 1);
        let item = tokio::time::timeout(Duration::from_secs(5), live.try_next()).await??.ok_or("the end")?;
        assert_eq!((item.offset, &item.value[..]), (offset, format!("v{offset}").as_bytes()));
    }
    Ok(())
}
