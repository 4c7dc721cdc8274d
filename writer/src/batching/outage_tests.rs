//! The batching writer without threads while the store fails: how long calls take, and who goes on.

use std::time::Duration;

use futures::future::Either;

use super::tests::{Bench, bench, commit_of, denied, is_commit};
use super::*;
use crate::memory_store::Fault;

fn one(value: &str) -> Vec<Insertion> {
    vec![Insertion::new(value.to_owned())]
}

#[tokio::test]
async fn in_an_outage_a_close_ends_after_a_deadline_and_says_how_much_is_left() {
    const KEYS: u64 = 200;
    let bench = bench(|config| config.max_puts_in_flight = 2).await;
    bench.store.fail(usize::MAX, Fault::Stall, is_commit);
    for key in 0..KEYS {
        drop(bench.append(&format!("key{key}"), &["x", "y"]).await);
    }
    let begun = bench.clock.elapsed();
    // Each attempt takes a second, a hundred seconds or more together.
    let error = bench.writer.close().await.unwrap_err();
    let took = bench.clock.elapsed() - begun;
    assert!(took >= Duration::from_secs(59) && took < Duration::from_secs(62), "{took:?}");
    let WriterError::StillBuffered { item_count, key_count, .. } = &error else { panic!("{error}") };
    assert_eq!((*item_count, *key_count), (2 * KEYS, KEYS));
    assert!(error.is_transient() && error.to_string().starts_with("400 items for 200 keys, `ks/key"), "{error}");

    bench.store.heal();
    bench.store.land_stalled();
    bench.writer.close().await.unwrap();
    for key in 0..KEYS {
        assert_eq!(bench.values(&format!("key{key}")), ["x", "y"]);
    }
}

#[tokio::test]
async fn in_an_outage_a_duty_cycle_returns_after_an_attempt_of_each_key() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = 1).await;
    bench.store.fail(usize::MAX, Fault::Stall, is_commit);
    for key in ["a", "b", "c"] {
        drop(bench.append(key, &["x"]).await);
    }
    let begun = bench.clock.elapsed();
    for attempts in [3, 6] {
        let error = bench.writer.duty_cycle().await.unwrap_err();
        assert!(matches!(error, WriterError::StillBuffered { item_count: 3, key_count: 3, .. }), "{error}");
        let state = bench.writer.statistics();
        assert_eq!((state.put_count, state.in_flight_count), (attempts, 0));
        bench.clock.sleep(Duration::from_secs(1)).await;
    }
    assert!(bench.clock.elapsed() - begun < Duration::from_secs(6));
    bench.store.heal();
    bench.writer.close().await.unwrap();
}

#[tokio::test]
async fn a_flush_that_is_not_polled_holds_up_no_duty_cycle() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = 1).await;
    bench.store.fail(1, Fault::Stall, is_commit);
    drop(bench.append("key", &["x"]).await);
    let flush = std::pin::pin!(bench.writer.flush_all());
    let tick = std::pin::pin!(bench.clock.sleep(Duration::from_millis(300)));
    let Either::Right(((), flush)) = futures::future::select(flush, tick).await else { panic!("it waits") };
    // As in the arm of a `select!` that borrows the flush.
    drop(bench.append("other", &["y"]).await);
    drop(bench.writer.duty_cycle().await);
    assert_eq!(bench.values("other"), ["y"]);
    drop(flush.await);
    bench.writer.close().await.unwrap();
    assert_eq!(bench.values("key"), ["x"]);
}

async fn append_for_ever(bench: &Bench, key: &str) -> WriterError {
    loop {
        if let Err(error) = bench.writer.append_list("ks", key, one(&"x".repeat(1_000))).await {
            return error;
        }
        drop(bench.writer.duty_cycle().await);
        bench.clock.sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_key_that_fails_for_ever_leaves_memory_to_others_and_can_be_given_up() {
    const BUDGET: u64 = 40_000;
    let bench = bench(|config| config.max_buffered_bytes = BUDGET).await;
    bench.store.fail(usize::MAX, denied(), commit_of("bad"));
    let refused = append_for_ever(&bench, "bad").await;
    assert!(matches!(refused, WriterError::FailingKeysFull { .. }) && !refused.is_transient(), "{refused}");
    let held = bench.writer.statistics();
    assert!((BUDGET / 3..=BUDGET / 2).contains(&held.buffered_bytes), "{held:?}");
    for number in 0..100 {
        drop(bench.append("good", &[&format!("{number}{}", " ".repeat(1_000))]).await);
    }
    bench.writer.flush_key("ks", "good").await.unwrap();
    assert_eq!(bench.values("good").len(), 100);

    assert!(matches!(bench.writer.close().await, Err(WriterError::StillBuffered { key_count: 1, .. })));
    let given_back = bench.writer.discard_key("ks", "bad").await.unwrap();
    assert_eq!(given_back.len() as u64, held.buffered_item_count);
    assert!(given_back.iter().all(|insertion| insertion.timestamp.is_some()));
    let left = bench.writer.statistics();
    assert_eq!((left.buffered_bytes, left.buffered_item_count, left.failing_key_count), (0, 0, 0));
    bench.writer.close().await.unwrap();
    assert_eq!(bench.values("bad"), Vec::<String>::new());
}

#[tokio::test]
async fn an_append_to_a_key_that_fails_for_now_waits_until_it_works() {
    let bench = bench(|config| config.max_buffered_bytes = 40_000).await;
    bench.store.fail(usize::MAX, Fault::LoseRequest, commit_of("bad"));
    let wait = std::pin::pin!(append_for_ever(&bench, "bad"));
    let time = std::pin::pin!(bench.clock.sleep(Duration::from_secs(600)));
    let Either::Right(((), wait)) = futures::future::select(wait, time).await else { panic!("it waits") };
    assert!(bench.writer.statistics().buffered_bytes <= 20_000);
    drop(bench.append("good", &["x"]).await);
    bench.writer.flush_key("ks", "good").await.unwrap();
    bench.store.heal();
    let time = std::pin::pin!(bench.clock.sleep(Duration::from_secs(100)));
    let Either::Right(((), _)) = futures::future::select(wait, time).await else { panic!("it appends") };
    assert!(bench.values("bad").len() > 50);
}

#[tokio::test]
async fn once_closed_appends_are_refused_though_memory_is_used_up_and_those_that_wait_hear_of_it() {
    let bench = bench(|config| config.max_buffered_bytes = 3_000).await;
    bench.store.fail(usize::MAX, denied(), is_commit);
    let full = bench.append("key", &[&"x".repeat(1_500)]).await;
    let waits = bench.writer.append_list("ks", "key", one(&"x".repeat(1_500)));
    let closed = async {
        bench.clock.sleep(Duration::from_millis(50)).await;
        bench.writer.close().await
    };
    let (waits, closed) = futures::join!(waits, closed);
    assert!(matches!(waits, Err(WriterError::Closed | WriterError::FailingKeysFull { .. })), "{waits:?}");
    assert!(matches!(closed, Err(WriterError::StillBuffered { key_count: 1, .. })), "{closed:?}");
    for key in ["key", "other"] {
        let refused = bench.writer.append_list("ks", key, one(&"x".repeat(1_500))).await;
        assert!(matches!(refused, Err(WriterError::Closed)), "{refused:?}");
    }
    drop(full);
}
