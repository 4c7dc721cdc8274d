//! Callers and lanes of an open writer.

use std::pin::pin;

use futures::future::{Either, select};

use super::*;
use crate::environment::Clock;
use crate::inner::GATED;

/// Three callers, two keys, and room for two appends: whoever waits is woken.
pub fn callers_share_a_small_budget() {
    let bench = bench(|_| {});
    bench.flush_and_check(bench.appended_by(["x", "y", "z"], &["a", "b"], 2));
}

/// Two callers and room for one append: what the first one gives back may come between the other's look and its waiting.
pub fn room_comes_while_a_caller_begins_to_wait() {
    let bench = bench(|config| config.max_buffered_bytes = APPEND_BYTES);
    bench.flush_and_check(bench.appended_by(["x", "y"], &["a"], 1));
}

/// Nothing is due but because others wait for memory.
pub fn batches_are_sent_because_memory_is_short() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = u64::MAX);
    bench.flush_and_check(bench.appended_by(["x", "y"], &["a", "b"], 3));
}

/// A flush ends once what came before it is durable, whoever else appends and flushes.
pub fn a_flush_waits_for_what_came_before() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = u64::MAX);
    let callers = ["x", "y", "z"].map(|name| {
        let (writer, lists) = (bench.writer.clone(), bench.lists.clone());
        caller(async move {
            let mut all = Vec::new();
            for number in 0..2 {
                let taken = append(&writer, "a", format!("{name} {number}")).await.unwrap();
                if name == "z" {
                    writer.flush_all().await.unwrap();
                } else {
                    writer.flush_key("ks", "a").await.unwrap();
                }
                assert!(lists.values("a").contains(&taken.1.clone().into()), "durable");
                all.push(taken);
            }
            all
        })
    });
    let taken = callers.into_iter().flat_map(joined).collect();
    block_on(bench.check(taken));
}

/// What a caller who has been told of its append sees in the statistics.
pub fn statistics_tell_of_what_callers_were_told() {
    let bench = bench(|_| {});
    let callers = ["a", "b"].map(|key| {
        let writer = bench.writer.clone();
        caller(async move {
            for number in 1..=2 {
                let (_, _, receipt) = append(&writer, key, format!("x {number}")).await.unwrap();
                receipt.await.unwrap();
                let told = writer.statistics();
                assert!(told.appended_count >= number && told.put_count >= number, "{told:?}");
            }
        })
    });
    callers.into_iter().for_each(joined);
    let told = bench.writer.statistics();
    assert_eq!((told.appended_count, told.put_count), (4, 4), "{told:?}");
    assert_eq!((told.batch_count, told.in_flight_count, told.buffered_bytes), (0, 0, 0), "{told:?}");
    assert!(told.peak_buffered_bytes <= BUDGET, "{told:?}");
}

/// Of callers who wait for memory behind one who gives up, nobody waits longer than there is no room.
pub fn whoever_gives_up_holds_up_nobody() {
    let bench = bench(|_| {});
    let slow = block_on(append(&bench.writer, GATED, "slow 0".into())).unwrap();
    let impatient = {
        let writer = bench.writer.clone();
        caller(async move {
            // Beside the other one there is no room for it.
            let large = append(&writer, "a", "large 0".to_owned() + &"x".repeat(2 * APPEND_BYTES as usize));
            let Either::Right(((), _)) = select(pin!(large), pin!(a_while())).await else {
                panic!("there was no room")
            };
        })
    };
    let patient = {
        let writer = bench.writer.clone();
        caller(async move {
            let taken = append(&writer, "b", "small 0".into()).await.unwrap();
            writer.flush_key("ks", "b").await.unwrap();
            taken
        })
    };
    joined(impatient);
    // While the first append still hangs.
    let small = joined(patient);
    bench.lists.open_gate();
    bench.flush_and_check(vec![slow, small]);
}

/// Callers who give up somewhere: what was taken in is appended, what was not is not, and no memory is lost.
pub fn callers_give_up_anywhere() {
    let bench = bench(|config| config.writer_thread_queue_capacity = Some(1));
    let callers = ["x", "y", "z"].map(|name| {
        let writer = bench.writer.clone();
        caller(async move {
            let mut taken = Vec::new();
            for number in 0..2 {
                let call = append(&writer, "a", format!("{name} {number}"));
                if let Either::Left((outcome, _)) = select(pin!(call), pin!(a_while())).await {
                    taken.push(outcome.unwrap());
                }
            }
            taken
        })
    });
    let taken = callers.into_iter().flat_map(joined).collect();
    bench.flush_and_check(taken);
}

/// Appends that fail, wait and are made again, while callers wait for memory beside and behind them.
pub fn failing_appends_are_made_again() {
    time::begin(true);
    let bench = bench_around(Lists::new(3), |_| {});
    let taken = bench.appended_by(["x", "y", "z"], &["a", "b"], 2);
    block_on(async {
        // A flush ends with the attempt that it waited for.
        while bench.writer.flush_all().await.is_err() {}
        bench.check(taken).await;
        assert_eq!(bench.writer.statistics().retry_count, 3);
    });
}

/// What is discarded is handed back and not appended, or was appended before: never both, never neither.
pub fn a_discard_races_with_appends() {
    let bench = bench(|config| config.batch_flush_item_count_threshold = u64::MAX);
    let appends = {
        let writer = bench.writer.clone();
        caller(async move { append_some(&writer, "x", &["a"], 3).await })
    };
    let discards = {
        let writer = bench.writer.clone();
        caller(async move {
            let mut given_up = writer.discard_key("ks", "a").await.unwrap();
            given_up.extend(writer.discard_key("ks", "a").await.unwrap());
            given_up
        })
    };
    let (taken, given_up) = (joined(appends), joined(discards));
    block_on(async {
        bench.writer.flush_all().await.unwrap();
        let mut kept = Vec::new();
        let mut given_up = given_up.into_iter().map(|insertion| insertion.value);
        for (key, value, receipt) in taken {
            match receipt.await {
                Ok(appended) => {
                    kept.push((key, value, AppendReceipt::durable_now(appended)));
                }
                Err(WriterError::Discarded { .. }) => assert_eq!(given_up.next().unwrap(), value, "in order"),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(given_up.next(), None);
        bench.check(kept).await;
    });
}

/// Calls that drive a writer without threads together; some are dropped on the way.
pub fn calls_drive_a_lane_together() {
    time::begin(true);
    let bench = bench_around(Lists::new(1), |config| config.writer_thread_count = 0);
    let appends = ["x", "y"].map(|name| {
        let writer = bench.writer.clone();
        caller(async move { append_some(&writer, name, &["a", "b"], 2).await })
    });
    let duties = {
        let writer = bench.writer.clone();
        caller(async move {
            // What fails is made again later.
            drop(writer.duty_cycle().await);
            drop(select(pin!(writer.flush_all()), pin!(a_while())).await);
        })
    };
    let taken: Vec<Taken> = appends.into_iter().flat_map(joined).collect();
    joined(duties);
    block_on(async {
        while bench.writer.flush_all().await.is_err() {}
        bench.check(taken).await;
    });
}

/// The inner writer's duty cycles come one after the other, while appends come and the writer closes.
pub fn one_duty_cycle_at_a_time() {
    time::begin(true);
    // A lane that has nothing to do waits as long as the duties are apart.
    let bench = bench_around(Lists::new(0), |_| {});
    let writer = bench.writer.clone();
    let appends = caller(async move {
        let mut taken = Vec::new();
        for number in 0..2 {
            taken.push(append(&writer, "a", format!("x {number}")).await.unwrap());
            Stepwise.sleep(LONG).await;
        }
        taken
    });
    let taken = joined(appends);
    block_on(async {
        bench.writer.close().await.unwrap();
        bench.check(taken).await;
    });
    assert!(!bench.lists.duties().1, "two at once");
}
