//! Keyspaces are created once, and on no store that is not safe.

use super::*;

#[tokio::test]
async fn keyspaces_are_created_once_and_must_exist() {
    let bench = bench(|builder| builder).await;
    let again = bench.writer.create_keyspace("ks").await;
    assert!(matches!(again, Err(WriterError::KeyspaceAlreadyExists { .. })), "{again:?}");
    let missing = bench.writer.append_list("nowhere", "key", numbered(0..1)).await;
    assert!(matches!(missing, Err(WriterError::KeyspaceNotFound { .. })), "{missing:?}");
    assert!(bench.store.names("nowhere").is_empty());
}

#[tokio::test]
async fn a_keyspace_whose_creation_got_no_answer_is_still_ones_own() {
    let bench = bench(|builder| builder).await;
    bench.store.fail(1, Fault::LoseAnswer, |request| matches!(request, Request::Put { .. }));
    let created = bench.writer.create_keyspace("other").await.unwrap();
    assert_eq!(created.keyspace, "other");
}

#[tokio::test]
async fn of_two_creators_in_one_millisecond_that_got_no_answer_one_has_created_the_keyspace() {
    let bench = bench(|builder| builder).await;
    let rival = another(&bench.store, |builder| builder.clock(Arc::new(bench.clock.clone()))).await;
    bench.store.fail(2, Fault::LoseAnswer, |request| matches!(request, Request::Put { .. }));
    let (one, two) = tokio::join!(bench.writer.create_keyspace("other"), rival.create_keyspace("other"));
    let creations = bench.store.take_requests();
    assert!(kinds(&creations).starts_with("GGPP"), "both looked before either created it: {}", kinds(&creations));
    for outcome in [&one, &two] {
        assert!(matches!(outcome, Ok(_) | Err(WriterError::KeyspaceAlreadyExists { .. })), "{outcome:?}");
    }
    assert_eq!((one.is_ok(), two.is_ok()), (true, false));
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused() {
    let store = Arc::new(MemoryStore::default());
    let fit = another(&store, |builder| builder).await;
    fit.create_keyspace("older").await.unwrap();
    let before = store.names("");
    store.fail(usize::MAX, Fault::IgnoreCondition, |_| true);
    for _ in 0..2 {
        let writer = another(&store, |builder| builder).await;
        let created = writer.create_keyspace("ks").await;
        assert!(matches!(created, Err(WriterError::UnsafeStore { .. })), "{created:?}");
        let appended = writer.append_list("older", "key", numbered(0..1)).await;
        assert!(matches!(appended, Err(WriterError::UnsafeStore { .. })), "{appended:?}");
        assert_eq!(store.names(""), before, "nothing is left of what was refused");
    }
}

/// A store that ignores conditions may have hidden it from the GET, too.
#[tokio::test]
async fn a_keyspace_with_lists_is_not_withdrawn() {
    let store = Arc::new(MemoryStore::default());
    let fit = another(&store, |builder| builder).await;
    fit.create_keyspace("ks").await.unwrap();
    drop(append(&fit, "key", numbered(0..1)).await.unwrap());
    let before = store.names("");
    store.run(Plan::new(|port| async move {
        port.send_one(Request::Delete { names: vec!["ks/keyspace.json".to_owned()] }).await;
    }));
    store.fail(usize::MAX, Fault::IgnoreCondition, |_| true);
    let created = another(&store, |builder| builder).await.create_keyspace("ks").await;
    assert!(matches!(created, Err(WriterError::UnsafeStore { .. })), "{created:?}");
    assert_eq!(store.names(""), before);
}

#[tokio::test]
async fn a_store_that_does_not_know_the_condition_is_refused() {
    let store = Arc::new(MemoryStore::default());
    let unknown = StoreError::NotSupported {
        action: "PutObject",
        object: "ks/keyspace.json".into(),
        bucket: "bucket".into(),
        reason: "NotImplemented".into(),
    };
    store.fail(1, Fault::Refuse(unknown), |request| matches!(request, Request::Put { .. }));
    let created = another(&store, |builder| builder).await.create_keyspace("ks").await;
    assert!(matches!(created, Err(WriterError::UnsafeStore { .. })), "{created:?}");
}
