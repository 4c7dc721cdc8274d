//! Appends at an expected offset: they take effect there, once, or nowhere.

use super::*;
use crate::TrimTo;

fn named(values: &[&'static str]) -> Vec<Insertion> {
    values.iter().map(|value| Insertion::new(*value)).collect()
}

impl Bench {
    async fn append_at(&self, offset: u64, values: &[&'static str]) -> Result<Appended, WriterError> {
        self.writer.append_list_at("ks", "key", offset, named(values)).await
    }

    fn check_values(&self, expected: &[&'static str]) {
        let values: Vec<_> = self.items("key").into_iter().map(|item| item.value).collect();
        assert_eq!(values, expected);
    }
}

/// The expected offset and the list's own, of an append that was refused.
fn refused(outcome: Result<Appended, WriterError>) -> (u64, u64) {
    match outcome {
        Err(WriterError::UnexpectedEnd { expected, next_offset, .. }) => (expected, next_offset),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_append_takes_effect_where_it_is_expected_to_or_nowhere() {
    let bench = bench(|builder| builder).await;
    assert_eq!(refused(bench.append_at(1, &["x"]).await), (1, 0));
    assert_eq!(bench.append_at(0, &["a", "b"]).await.unwrap().ranges, [0..2]);
    for offset in [0, 1, 3, u64::MAX] {
        assert_eq!(refused(bench.append_at(offset, &["x"]).await), (offset, 2));
        assert_eq!(refused(bench.append_at(offset, &[]).await), (offset, 2));
    }
    assert_eq!(bench.append_at(2, &["c"]).await.unwrap().ranges, [2..3]);
    bench.check_values(&["a", "b", "c"]);
}

#[tokio::test]
async fn what_another_writer_appended_meanwhile_counts() {
    let bench = bench(|builder| builder).await;
    let other = another(&bench.store, |builder| builder).await;
    bench.append_at(0, &["a"]).await.unwrap();
    append(&other, "key", named(&["b"])).await.unwrap();
    // This writer still believes that the list ends at 1.
    assert_eq!(refused(bench.append_at(1, &["x"]).await), (1, 2));
    append(&other, "key", named(&["c"])).await.unwrap();
    assert_eq!(bench.append_at(3, &["d"]).await.unwrap().ranges, [3..4]);
    // A commit without items leaves the end where it is.
    other.trim("ks", "key", TrimTo::Offset(2)).await.unwrap();
    let appended = bench.append_at(4, &["e"]).await.unwrap();
    assert_eq!((appended.ranges, appended.conflict_count), (vec![4..5], 1));
    bench.check_values(&["c", "d", "e"]);
}

#[tokio::test]
async fn a_copy_that_died_with_its_commit_on_the_way_is_not_made_twice() {
    let bench = bench(|builder| builder).await;
    bench.append_at(0, &["a"]).await.unwrap();
    let restarted = another(&bench.store, |builder| builder).await;
    // It has read the end, and loaded the list.
    assert_eq!(refused(restarted.append_list_at("ks", "key", 7, Vec::new()).await), (7, 1));
    bench.store.fail(1, Fault::Stall, is_commit);
    let given_up = bench.append_at(1, &["b", "c"]).await.unwrap_err();
    assert!(matches!(given_up, WriterError::Unavailable { may_have_appended: true, .. }), "{given_up:?}");
    assert_eq!(bench.store.land_stalled(), 1);
    let again = restarted.append_list_at("ks", "key", 1, named(&["b", "c"])).await;
    assert_eq!(refused(again), (1, 3));
    bench.check_values(&["a", "b", "c"]);
}

#[tokio::test]
async fn a_lost_answer_is_its_own() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        for warm in [false, true] {
            let bench = bench(|builder| builder).await;
            let first = u64::from(warm);
            if warm {
                bench.append_at(0, &["a"]).await.unwrap();
            }
            bench.store.fail(2, fault.clone(), is_commit);
            assert_eq!(bench.append_at(first, &["b", "c"]).await.unwrap().ranges, [first..first + 2]);
            bench.check_values(if warm { &["a", "b", "c"] } else { &["b", "c"] });
        }
    }
}

#[tokio::test]
async fn an_append_that_was_given_up_is_known_again_by_its_place_and_items() {
    for landed in [false, true] {
        let bench = bench(|builder| builder).await;
        bench.append_at(0, &["a"]).await.unwrap();
        bench.store.fail(1, Fault::Stall, is_commit);
        bench.append_at(1, &["b", "c"]).await.unwrap_err();
        if landed {
            assert_eq!(bench.store.land_stalled(), 1);
        }
        assert_eq!(bench.append_at(1, &["b", "c"]).await.unwrap().ranges, [1..3]);
        bench.store.land_stalled();
        bench.check_values(&["a", "b", "c"]);
    }
}

#[tokio::test]
async fn other_items_at_the_place_of_what_was_given_up_are_not_taken_for_it() {
    let bench = bench(|builder| builder).await;
    bench.append_at(0, &["a"]).await.unwrap();
    bench.store.fail(1, Fault::Stall, is_commit);
    bench.append_at(1, &["b"]).await.unwrap_err();
    assert_eq!(bench.store.land_stalled(), 1);
    assert_eq!(refused(bench.append_at(1, &["c"]).await), (1, 2));
    bench.check_values(&["a", "b"]);
}

#[tokio::test]
async fn the_rest_of_a_large_batch_goes_on_where_it_stopped() {
    let bench = bench(|builder| builder).await;
    // Two values a commit.
    let batch: Vec<_> = (0..5_u8).map(|number| Insertion::new(vec![number; 6 << 20])).collect();
    let second =
        |request: &Request| matches!(request, Request::Put { name, .. } if name.ends_with("/log/fffffffffffffffe"));
    bench.store.fail(1, Fault::Stall, second);
    let error = bench.writer.append_list_at("ks", "key", 0, batch.clone()).await.unwrap_err();
    let WriterError::PartlyAppended { insertions_done: 2, .. } = error else { panic!("{error:?}") };
    assert_eq!(bench.store.land_stalled(), 1);
    let rest = bench.writer.append_list_at("ks", "key", 2, batch[2..].to_vec()).await.unwrap();
    assert_eq!(rest.ranges, [2..5]);
    assert_eq!(refused(bench.append_at(9, &["x"]).await), (9, 5));
}
