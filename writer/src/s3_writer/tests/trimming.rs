//! Trims over a network that loses and stalls, and a retention by the writer's clock.

use super::*;
use crate::TrimTo;

impl Bench {
    fn offsets(&self) -> Vec<u64> {
        self.items("key").iter().map(|item| item.offset).collect()
    }
}

#[tokio::test]
async fn a_trim_whose_answer_is_lost_is_done_once() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..5)).await.unwrap();
    bench.store.fail(1, Fault::LoseAnswer, is_commit);
    let trimmed = bench.writer.trim("ks", "key", TrimTo::Offset(2)).await.unwrap();
    assert_eq!(trimmed, Trimmed { start: 2, trimmed_count: 2 });
    assert_eq!((bench.writer.statistics().trimmed_count, bench.offsets()), (2, vec![2, 3, 4]));
}

#[tokio::test]
async fn a_trim_without_an_answer_may_have_happened_and_is_made_again() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..5)).await.unwrap();
    bench.store.fail(1, Fault::Stall, is_commit);
    let error = bench.writer.trim("ks", "key", TrimTo::Offset(2)).await.unwrap_err();
    assert!(matches!(error, WriterError::MayHaveTrimmed { .. }) && error.is_transient(), "{error:?}");
    assert_eq!(bench.offsets(), [0, 1, 2, 3, 4]);
    let trimmed = bench.writer.trim("ks", "key", TrimTo::Offset(3)).await.unwrap();
    assert_eq!(trimmed, Trimmed { start: 3, trimmed_count: 3 });
    // The older wish arrives late, and does nothing.
    assert_eq!(bench.store.land_stalled(), 1);
    assert_eq!(bench.offsets(), [3, 4]);
}

#[tokio::test]
async fn two_writers_that_trim_and_append_agree() {
    let bench = bench(|builder| builder).await;
    let other = another(&bench.store, |builder| builder.clock(Arc::new(bench.clock.clone()))).await;
    bench.append("key", numbered(0..5)).await.unwrap();
    append(&other, "key", numbered(5..7)).await.unwrap();
    // This writer does not know of them yet.
    let deleted = bench.writer.delete_key("ks", "key").await.unwrap();
    assert_eq!(deleted, Trimmed { start: 7, trimmed_count: 7 });
    append(&other, "key", numbered(7..9)).await.unwrap();
    let deleted = bench.writer.delete_key("ks", "key").await.unwrap();
    assert_eq!(deleted, Trimmed { start: 9, trimmed_count: 2 });
    assert_eq!(bench.offsets(), [0; 0]);
}

#[tokio::test]
async fn what_a_failed_compaction_left_of_a_trim_is_freed_by_a_duty_cycle() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..5 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    let refused = StoreError::Rejected { action: "PutObject", object: "some".into(), reason: "no".into() };
    let page = |request: &Request| matches!(request, Request::Put { name, .. } if name.contains("/idx/"));
    bench.store.fail(1, Fault::Refuse(refused), page);
    bench.writer.delete_key("ks", "key").await.unwrap();
    bench.writer.flush_all().await.unwrap();
    assert_eq!(bench.store.names(&list("key").commits()).len(), 6, "the compaction failed");
    for _ in 0..3 {
        bench.clock.sleep(Duration::from_secs(700)).await;
        bench.writer.duty_cycle().await.unwrap();
    }
    bench.writer.flush_all().await.unwrap();
    // The first commit's stub, the trim and the publication.
    let sizes: Vec<usize> = bench.store.names(&list("key").commits()).into_iter().map(|(_, size)| size).collect();
    assert!(sizes.len() == 3 && sizes[2] == 0 && sizes.iter().all(|&size| size < 400), "{sizes:?}");
}

#[tokio::test]
async fn a_trim_beside_a_compaction_frees_its_space_too() {
    for by_duty_cycles in [false, true] {
        let bench = bench(|builder| builder).await;
        // It goes on trying while nobody waits for it.
        bench.store.fail(3, Fault::LoseRequest, is_segment);
        let mut nonce = 0;
        while bench.writer.statistics().background_count == 0 {
            bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
            nonce += 1;
        }
        bench.writer.delete_key("ks", "key").await.unwrap();
        assert_eq!(bench.writer.statistics().compaction_count, 0, "the trim came first");
        if by_duty_cycles {
            // Far less than an idle list waits for its compaction.
            for _ in 0..5 {
                bench.clock.sleep(Duration::from_secs(11)).await;
                bench.writer.duty_cycle().await.unwrap();
            }
            bench.writer.flush_all().await.unwrap();
        } else {
            bench.writer.close().await.unwrap();
        }
        assert_eq!(bench.store.names(&list("key").segments()), []);
    }
}

#[tokio::test]
async fn the_retention_is_applied_to_a_list_that_nobody_appends_to() {
    let bench = bench(|builder| builder).await;
    for nonce in 0..5 {
        bench.append("key", numbered(nonce..nonce + 1)).await.unwrap();
    }
    let settings = S3StoreConfig { retention_max_items: Some(2), ..config() };
    let restarted = S3StoreWriter::builder(settings).store(bench.store.clone()).build().await.unwrap();
    assert_eq!(restarted.duty_cycle().await.unwrap().trimmed_count, 0, "it does not know the list");
    let trimmed = restarted.apply_retention("ks", "key").await.unwrap();
    assert_eq!((trimmed, bench.offsets()), (Trimmed { start: 3, trimmed_count: 3 }, vec![3, 4]));
    assert_eq!(restarted.apply_retention("ks", "key").await.unwrap(), Trimmed { start: 3, trimmed_count: 0 });
    let unlimited = bench.writer.apply_retention("ks", "key").await.unwrap();
    assert_eq!((unlimited.trimmed_count, bench.offsets()), (0, vec![3, 4]));
}

#[tokio::test]
async fn items_live_as_long_as_the_retention_says() {
    let store = Arc::new(MemoryStore::default());
    let clock = TestClock::start();
    let settings = S3StoreConfig { retention_max_age_millis: Some(60_000), ..config() };
    let builder = S3StoreWriter::builder(settings).store(store.clone()).clock(Arc::new(clock.clone()));
    let bench = Bench { store, clock, writer: builder.build().await.unwrap() };
    bench.writer.create_keyspace("ks").await.unwrap();
    bench.append("key", vec![Insertion::new("a")]).await.unwrap();
    bench.clock.sleep(Duration::from_secs(59)).await;
    bench.append("key", vec![Insertion::new("b")]).await.unwrap();
    assert_eq!(bench.offsets(), [0, 1]);
    bench.clock.sleep(Duration::from_secs(2)).await;
    bench.append("key", vec![Insertion::new("c")]).await.unwrap();
    assert_eq!(bench.offsets(), [1, 2]);
    assert_eq!(bench.writer.duty_cycle().await.unwrap().trimmed_count, 0, "not idle yet");
    bench.clock.sleep(Duration::from_secs(700)).await;
    assert_eq!(bench.writer.duty_cycle().await.unwrap().trimmed_count, 2);
    assert_eq!((bench.offsets(), bench.writer.statistics().trimmed_count), (Vec::new(), 3));
}
