//! Writers that end while they are used.

use super::*;

/// How many appends each caller makes; some come too late.
const EACH: usize = 2;

/// Each append is acknowledged and in its list, or refused and not.
pub fn a_close_races_with_appends() {
    closes(|_| {});
}

/// The same where callers wait for a place in the queue as well.
pub fn a_close_races_with_appends_for_places() {
    closes(|config| config.writer_thread_queue_capacity = Some(1));
}

fn closes(change: impl FnOnce(&mut BatchingStoreWriterConfig)) {
    let bench = bench(change);
    let callers = ["x", "y", "z"].map(|name| {
        let writer = bench.writer.clone();
        caller(async move { append_until_closed(&writer, name).await })
    });
    let closers = [(); 2].map(|()| {
        let (writer, lists) = (bench.writer.clone(), bench.lists.clone());
        caller(async move {
            writer.close().await.unwrap();
            let told = writer.statistics();
            assert_eq!((told.batch_count, told.appended_count), (0, lists.item_count() as u64), "all durable");
            assert!(matches!(append(&writer, "a", "late 0".into()).await, Err(WriterError::Closed)));
        })
    });
    closers.into_iter().for_each(joined);
    let taken = callers.into_iter().flat_map(joined).collect();
    block_on(bench.check(taken));
}

async fn append_until_closed(writer: &Writer, caller: &str) -> Vec<Taken> {
    let mut taken = Vec::new();
    for number in 0..EACH {
        match append(writer, ["a", "b"][number % 2], format!("{caller} {number}")).await {
            Ok(one) => taken.push(one),
            Err(WriterError::Closed) => break,
            Err(other) => panic!("{other}"),
        }
    }
    taken
}

/// The last clone is dropped while receipts are open: each resolves, and its items are in the list once or not at all.
pub fn the_last_clone_is_dropped_with_open_receipts() {
    let Bench { lists, writer } = bench(|_| {});
    let callers = ["x", "y"].map(|name| {
        let writer = writer.clone();
        caller(async move {
            let taken = append_some(&writer, name, &["a", "b"], EACH).await;
            drop(writer);
            let mut told = Vec::new();
            for (key, value, receipt) in taken {
                told.push((key, value, receipt.await));
            }
            told
        })
    });
    drop(writer);
    for (key, value, told) in callers.into_iter().flat_map(joined) {
        let values = lists.values(key);
        match told {
            Ok(appended) => assert_eq!(values[appended.first_offset.unwrap() as usize], value),
            Err(WriterError::DroppedUnflushed { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        assert!(values.iter().filter(|other| **other == value).count() <= 1);
    }
}

/// A lane ends while flushes and discards are on their way to it: nobody waits for an answer that never comes.
pub fn lanes_end_while_others_ask() {
    let bench = bench(|_| {});
    let asking = {
        let writer = bench.writer.clone();
        caller(async move {
            writer.flush_key("ks", "a").await.unwrap();
            let given_up = writer.discard_key("ks", "a").await.unwrap();
            writer.flush_all().await.unwrap();
            given_up.len()
        })
    };
    let appends = {
        let writer = bench.writer.clone();
        caller(async move { append_until_closed(&writer, "x").await })
    };
    // A flush of what is discarded says so.
    while let Err(error) = block_on(bench.writer.close()) {
        assert!(matches!(error, WriterError::Discarded { .. }), "{error}");
    }
    let (given_up, taken) = (joined(asking), joined(appends));
    let appended = block_on(async {
        let mut appended = 0;
        for (_, _, receipt) in taken {
            match receipt.await {
                Ok(told) => appended += told.appended_count as usize,
                Err(WriterError::Discarded { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        appended
    });
    assert_eq!(appended, bench.lists.item_count());
    assert!(given_up + appended <= EACH, "never both");
    assert_eq!(bench.writer.statistics().buffered_bytes, 0);
}
