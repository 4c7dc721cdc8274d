//! Lists that sources feed, where they stand, and what is forgotten of them.

use klstore_format::Source;
use klstore_format::limits::MAX_SOURCES;
use klstore_format::plan::InvalidInsertion;

use super::*;

fn partition(number: u32) -> Source {
    Source::new("topic", number).unwrap()
}

fn values(count: usize) -> Vec<Insertion> {
    (0..count).map(|number| Insertion::new(format!("{number}"))).collect()
}

impl Bench {
    async fn append_from(&self, number: u32, next_offset: u64, count: usize) -> Result<Appended, WriterError> {
        self.writer.append_from("ks", "key", &partition(number), next_offset, values(count)).await
    }
}

#[tokio::test]
async fn records_of_each_source_are_there_once() {
    let bench = bench(|builder| builder).await;
    assert_eq!(bench.append_from(0, 10, 3).await.unwrap().ranges, [0..3]);
    assert_eq!(bench.append_from(1, 0, 2).await.unwrap().ranges, [3..5]);
    let again = bench.append_from(0, 9, 6).await.unwrap();
    assert_eq!((again.ranges, again.duplicates, again.duplicate_count), (vec![5..7], vec![0..4], 4));
    // Another instance goes by what the commit says.
    let other = another(&bench.store, |builder| builder).await;
    let read_again = other.append_from("ks", "key", &partition(1), 0, values(3)).await.unwrap();
    assert_eq!((read_again.ranges, read_again.duplicates), (vec![7..8], vec![0..2]));
    assert_eq!(bench.items("key").len(), 8);
}

#[tokio::test]
async fn a_position_is_what_the_last_append_went_by() {
    let bench = bench(|builder| builder).await;
    assert_eq!(bench.writer.position("ks", "key").await.unwrap(), ListPosition::default());
    let noted = Insertion::new("x").with_nonce(7).with_source_offset(partition(3), 41);
    bench.append("key", vec![noted]).await.unwrap();
    bench.store.take_requests();
    let position = bench.writer.position("ks", "key").await.unwrap();
    assert_eq!((position.next_offset, position.next_nonce), (1, 8));
    assert_eq!(position.sources.iter().collect::<Vec<_>>(), [(&partition(3), 42)]);
    assert_eq!(kinds(&bench.store.take_requests()), "", "a list in memory costs no request");

    // Another writer's duplicates make this one's position as new as what they were judged by.
    let other = another(&bench.store, |builder| builder).await;
    let taken = Insertion::new("y").with_nonce(8).with_source_offset(partition(4), 5);
    append(&other, "key", vec![taken.clone()]).await.unwrap();
    assert_eq!(bench.append("key", vec![taken]).await.unwrap().duplicate_count, 1);
    assert_eq!(bench.writer.position("ks", "key").await.unwrap(), other.position("ks", "key").await.unwrap());
    assert!(matches!(bench.writer.position("none", "key").await, Err(WriterError::KeyspaceNotFound { .. })));
}

#[tokio::test]
async fn records_that_cannot_be_are_refused_before_anything_is_sent() {
    let bench = bench(|builder| builder).await;
    let beyond = bench.append_from(0, u64::MAX - 1, 2).await.unwrap_err();
    assert!(matches!(beyond, WriterError::InvalidInsertion(InvalidInsertion::LastSourceOffset { index: 1 })));
    let own = |offset| vec![Insertion::new("x").with_source_offset(partition(0), offset)];
    let other = bench.writer.append_from("ks", "key", &partition(0), 4, own(5)).await.unwrap_err();
    assert!(matches!(other, WriterError::InvalidInsertion(InvalidInsertion::OtherRecord { index: 0 })));
    assert_eq!(kinds(&bench.store.take_requests()), "");
    bench.writer.append_from("ks", "key", &partition(0), 5, own(5)).await.unwrap();
}

#[tokio::test]
async fn a_list_takes_no_more_sources_than_a_commit_has_room_for() {
    let bench = bench(|builder| builder).await;
    let all = (0..MAX_SOURCES as u32).map(|number| Insertion::new("x").with_source_offset(partition(number), 0));
    bench.append("key", all.collect()).await.unwrap();
    let error = bench.append_from(MAX_SOURCES as u32, 0, 1).await.unwrap_err();
    let WriterError::TooManySources { sources, limit, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*sources, *limit), (MAX_SOURCES + 1, MAX_SOURCES));
    assert!(!error.is_transient());
    assert_eq!(bench.append_from(0, 1, 1).await.unwrap().appended_count, 1, "those that it has go on");
    assert_eq!(bench.items("key").len(), MAX_SOURCES + 1);
}

#[tokio::test]
async fn what_is_forgotten_is_loaded_again() {
    let bench = bench(|builder| builder).await;
    for key in ["given away", "kept"] {
        bench.append(key, numbered(0..3)).await.unwrap();
    }
    let held = bench.writer.statistics();
    assert_eq!(bench.writer.forget(|keyspace, key| keyspace == "ks" && key == "given away"), 1);
    let left = bench.writer.statistics();
    assert_eq!(left.cached_key_count, 1);
    assert!(left.cached_bytes < held.cached_bytes);
    bench.store.take_requests();
    bench.append("kept", numbered(3..4)).await.unwrap();
    assert_eq!(kinds(&bench.store.take_requests()), "P");
    bench.append("given away", numbered(2..4)).await.unwrap();
    // A load, the commit, and its resolution, for it is a new session's.
    assert_eq!(kinds(&bench.store.take_requests()), "LGPLG");
    bench.check_nonces("given away", 0..4);
    assert_eq!(bench.writer.forget(|_, _| false), 0);
}

#[tokio::test]
async fn a_list_in_use_is_not_forgotten() {
    let bench = bench(|builder| builder).await;
    bench.append("key", numbered(0..1)).await.unwrap();
    let lease = bench.writer.lease("ks", "key").await.unwrap();
    assert_eq!(bench.writer.forget(|_, _| true), 0);
    drop(lease);
    assert_eq!(bench.writer.forget(|_, _| true), 1);
}
