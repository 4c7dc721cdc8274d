//! Compaction, collection, sweeps, and writers that race for one list.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::try_join_all;
use klstore_format::{ItemFilter, IterationOrder};
use klstore_reader::{StoreReader, StoreReaderExt};
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};

use super::{BOTH_ORDERS, Failure, KEY, KEYSPACE, Outcome, Store, append, check_whole, equal, fill, holds, numbered};
use crate::servers::plain_client;
use crate::vec_model;

pub(super) async fn a_compacted_list_reads_the_same(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let mut model = fill(&writer, KEY, 45, 1).await?;
    let reader = store.reader().await?;
    let mut begun = Vec::new();
    for order in BOTH_ORDERS {
        let page = reader.read_page(KEYSPACE, KEY, order, Some(10), None, None).await?;
        begun.push((order, page.continuation));
    }
    holds("there is something to compact", writer.compact(KEYSPACE, KEY).await?)?;
    let left = commits(&store).await?.len();
    holds(&format!("few commits are left ({left})"), left <= 4)?;
    check_whole(&reader, KEY, &model.items, 10).await?;
    check_whole(&store.reader().await?, KEY, &model.items, 13).await?;
    // Pages that were begun before go on exactly.
    for (order, continuation) in begun {
        let page = reader.read_page(KEYSPACE, KEY, order, Some(20), None, continuation).await?;
        let at = if order == IterationOrder::Forwards { 10 } else { 35 };
        vec_model::compare(&vec_model::page(&model.items, order, at, 20), &page.items, page.continuation.is_some())?;
    }
    for first in 45..50 {
        append(&writer, KEY, vec![numbered(first)], &mut model).await?;
    }
    // By a writer that has to read everything that it compacts.
    let second = store.writer().await?;
    append(&second, KEY, vec![numbered(50)], &mut model).await?;
    holds("there is something to compact again", second.compact(KEYSPACE, KEY).await?)?;
    check_whole(&reader, KEY, &model.items, 10).await
}

/// What a late request does: it creates a name again after it was collected.
pub(super) async fn collected_commits_that_come_back_are_swept(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let mut model = fill(&writer, KEY, 40, 1).await?;
    let client = plain_client(&store);
    let before = commits(&store).await?;
    holds("there is something to compact", writer.compact(KEYSPACE, KEY).await?)?;
    let after = commits(&store).await?;
    let collected: BTreeMap<_, _> = before.into_iter().filter(|(name, _)| !after.contains_key(name)).collect();
    holds("commits were collected", collected.len() >= 30)?;
    for (name, body) in &collected {
        client.put_object().bucket(&store.bucket).key(name).body(body.clone().into()).send().await?;
    }
    let reader = store.reader().await?;
    check_whole(&reader, KEY, &model.items, 10).await?;
    let report = store.writer().await?.sweep(KEYSPACE, KEY).await?;
    holds(&format!("all are swept and readable: {report:?}"), report.deleted >= 30 && report.unreadable.is_empty())?;
    let left = commits(&store).await?;
    equal("commits after the sweep", left.keys().collect::<Vec<_>>(), after.keys().collect())?;
    append(&writer, KEY, vec![numbered(40)], &mut model).await?;
    check_whole(&reader, KEY, &model.items, 10).await
}

/// The list's commits with their bodies, by name.
async fn commits(store: &Store) -> Result<BTreeMap<String, Bytes>, Failure> {
    let client = plain_client(store);
    let prefix = format!("{}/{KEYSPACE}/lists/{KEY}/log/", store.prefix);
    let listed = client.list_objects_v2().bucket(&store.bucket).prefix(prefix).send().await?;
    let mut bodies = BTreeMap::new();
    for name in listed.contents().iter().filter_map(|object| object.key()) {
        let got = client.get_object().bucket(&store.bucket).key(name).send().await?;
        bodies.insert(name.to_owned(), got.body.collect().await?.into_bytes());
    }
    Ok(bodies)
}

const RACING: u64 = 3;
const APPENDS: u64 = 40;

pub(super) async fn racing_writers_lose_and_duplicate_nothing(store: Store) -> Outcome {
    store.writer_with_keyspace().await?;
    let race = |racer: u64| {
        let store = store.clone();
        async move {
            let writer = store.writer().await?;
            let mut acknowledged = Vec::new();
            for number in 0..APPENDS {
                let value = format!("{racer}:{number}");
                let batch = vec![Insertion::new(value.clone())];
                let appended = writer.append_list(KEYSPACE, KEY, batch).await?.await?;
                acknowledged.push((appended.first_offset.unwrap_or(u64::MAX), value));
            }
            writer.close().await?;
            Ok::<_, Failure>(acknowledged)
        }
    };
    let mut acknowledged: Vec<_> = try_join_all((0..RACING).map(race)).await?.into_iter().flatten().collect();
    acknowledged.sort();
    let read = read_all(&store).await?;
    equal("what was read", read, acknowledged)
}

pub(super) async fn racing_writers_with_nonces_append_exactly_once(store: Store) -> Outcome {
    store.writer_with_keyspace().await?;
    let race = |writer: S3StoreWriter| async move {
        let mut appended = 0;
        for nonce in (0..2 * APPENDS).step_by(2) {
            // Each batch overlaps the one before.
            let batch = (nonce.saturating_sub(1)..nonce + 2)
                .map(|nonce| Insertion::new(format!("{nonce}")).with_nonce(u128::from(nonce)));
            appended += writer.append_list(KEYSPACE, KEY, batch.collect()).await?.await?.appended_count;
        }
        Ok::<_, Failure>(appended)
    };
    let (one, other) = futures::try_join!(race(store.writer().await?), race(store.writer().await?))?;
    equal("items appended by both", one + other, 2 * APPENDS)?;
    let expected = (0..2 * APPENDS).map(|number| (number, number.to_string())).collect::<Vec<_>>();
    equal("what was read", read_all(&store).await?, expected)
}

/// Offsets and values.
async fn read_all(store: &Store) -> Result<Vec<(u64, String)>, Failure> {
    use futures::TryStreamExt;
    let reader = store.reader().await?;
    let filter = Some(ItemFilter::default());
    let items = reader.items(KEYSPACE, KEY, IterationOrder::Forwards, Some(50), filter, None);
    let items: Vec<_> = items.try_collect().await?;
    Ok(items.into_iter().map(|item| (item.offset, String::from_utf8_lossy(&item.value).into_owned())).collect())
}
