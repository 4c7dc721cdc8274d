//! The writer that appends at once, over a store in memory: sessions, keyspaces, and commits in doubt.

use klstore_format::S3StoreConfig;
use klstore_format::plan::{PutKind, Request};

use super::*;
use crate::memory_store::{Fault, MemoryStore};
use crate::s3_writer::S3StoreWriter;
use crate::store::RetryPolicy;

/// A writer that keeps one key in memory, and its store with the keyspace `ks`.
fn bench(deadline: Duration) -> (Arc<MemoryStore>, S3StoreWriter) {
    let store = Arc::new(MemoryStore::default());
    let mut config = S3StoreConfig::new("bucket");
    config.max_cached_keys = 1;
    let policy = RetryPolicy { deadline, background_deadline: time::FOR_EVER, ..RetryPolicy::default() };
    let builder = S3StoreWriter::builder(config)
        .store(store.clone())
        .clock(Arc::new(Stepwise))
        .random(Arc::new(Numbers::default()))
        .retry_policy(policy);
    let writer = block_on(async {
        let writer = builder.build().await.unwrap();
        writer.create_keyspace("ks").await.unwrap();
        writer
    });
    (store, writer)
}

/// Keys come and go in the cache, and are forgotten, while they are appended to: no session is opened beside another
/// one of the same key, so nobody ever comes in between.
pub fn sessions_are_dropped_while_keys_are_used() {
    time::begin(false);
    let (store, writer) = bench(time::FOR_EVER);
    let callers = ["x", "y"].map(|name| {
        let writer = writer.clone();
        caller(async move {
            for number in 0..2 {
                let value = Insertion::new(format!("{name} {number}"));
                let told = writer.append_list("ks", ["a", "b"][number], vec![value]).await.unwrap().await.unwrap();
                assert_eq!((told.appended_count, told.conflict_count), (1, 0), "nobody came in between");
            }
        })
    });
    let others = {
        let writer = writer.clone();
        caller(async move {
            writer.forget(|_, key| key == "a");
            writer.duty_cycle().await.unwrap();
            writer.flush_key("ks", "a").await.unwrap();
            writer.forget(|_, _| true);
        })
    };
    callers.into_iter().for_each(joined);
    joined(others);
    for (number, key) in ["a", "b"].into_iter().enumerate() {
        let mut values = store.values(key);
        values.sort();
        assert_eq!(values, [format!("x {number}"), format!("y {number}")]);
    }
    block_on(writer.close()).unwrap();
    writer.forget(|_, _| true);
    let told = writer.statistics();
    assert_eq!((told.appended_count, told.conflict_count), (4, 0), "{told:?}");
    assert_eq!((told.cached_key_count, told.cached_bytes, told.background_count), (0, 0, 0), "{told:?}");
}

/// Appends without nonces whose answers are lost or come too late are made again until they are acknowledged: each is
/// in its list once.
pub fn commits_in_doubt_are_taken_up_again() {
    time::begin(false);
    let (store, writer) = bench(Duration::from_secs(60));
    time::begin(true);
    let is_commit = |request: &Request| matches!(request, Request::Put { name, kind: PutKind::Create, .. } if name.contains("/log/"));
    store.fail(2, Fault::LoseAnswer, is_commit);
    let callers = [("a", 1), ("b", 2), ("c", 3)].map(|(key, idempotency_key)| {
        let writer = writer.clone();
        caller(async move {
            loop {
                let value = vec![Insertion::new(format!("{key} 0"))];
                match writer.append_list_idempotent("ks", key, value, idempotency_key).await {
                    Ok(receipt) => return receipt.await.unwrap(),
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        })
    });
    for told in callers.map(joined) {
        assert_eq!((told.first_offset, told.appended_count), (Some(0), 1));
    }
    for key in ["a", "b", "c"] {
        assert_eq!(store.values(key), [format!("{key} 0")]);
    }
    assert_eq!(writer.statistics().appended_count, 3);
}
