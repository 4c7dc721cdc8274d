//! What it takes to wait for new items.

use std::time::Duration;

use futures::StreamExt;
use klstore_format::IterationOrder;
use klstore_reader::{FollowStart, Polling};
use klstore_tests::harness::KEYSPACE;
use tokio::time::timeout;

use super::meter::{append, cold_reader, expected, forget, harness, spent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_poll_is_one_get_and_every_sixteenth_a_list() {
    const POLLS: u64 = 160;
    let harness = harness().await;
    let writer = harness.writer(harness.config()).build().await.expect("a writer");
    for (key, items) in [("short", 1), ("long", 140)] {
        for offset in 0..items {
            append(&writer, key, offset..offset + 1).await;
        }
        let reader = cold_reader(&harness).await;
        let polling = Polling { interval: Duration::from_millis(1), max_interval: Duration::from_millis(2) };
        let mut live = Box::pin(reader.follow(KEYSPACE, key, FollowStart::End, polling));
        // The first poll loads.
        assert!(timeout(Duration::from_millis(300), live.next()).await.is_err());
        forget(&harness);
        for _ in 0..600 {
            let idle = timeout(Duration::from_millis(100), live.next()).await;
            assert!(idle.is_err(), "nothing was appended, and yet it says {idle:?}");
            if harness.server.counts().requests() >= POLLS {
                break;
            }
        }
        let counts = spent(&harness).counts;
        println!(
            "{} idle polls: {} GETs, {} (of {}) LISTs, {} (of 0) bytes of objects",
            counts.requests(),
            counts.get,
            counts.list,
            counts.requests() / 16 + 1,
            counts.object_bytes_out
        );
        assert!(counts.requests() >= POLLS, "it polls too seldom");
        assert_eq!(counts.requests(), counts.get + counts.list);
        assert!(counts.list >= counts.requests() / 16, "silence must be checked by a LIST now and then");
        assert!(counts.list <= counts.requests() / 16 + 1);
        assert_eq!(counts.object_bytes_out, 0);

        append(&writer, key, items..items + 1).await;
        let item = live.next().await.expect("a stream without end").expect("the new item");
        assert_eq!([item], expected(IterationOrder::Forwards, items, 1)[..]);
    }
}
