//! Lists: create, append, page, seek, follow.

use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use klstore_format::limits::MAX_VALUE_BYTES;
use klstore_format::plan::InvalidInsertion;
use klstore_format::{ItemFilter, IterationOrder};
use klstore_reader::{FollowStart, Polling, ReaderError, StoreReader};
use klstore_writer::{Clock, Insertion, StoreWriter, SystemClock, WriterError};

use super::{
    BOTH_ORDERS, KEY, KEYSPACE, Outcome, Store, append, check_pages, check_whole, equal, fill, holds, numbered,
};
use crate::vec_model::VecModel;

pub(super) async fn a_keyspace_is_created_once(store: Store) -> Outcome {
    let writer = store.writer().await?;
    let before = SystemClock::default().now();
    let created = writer.create_keyspace(KEYSPACE).await?;
    holds(
        "the keyspace was created now",
        (before..=SystemClock::default().now()).contains(&created.created_timestamp),
    )?;
    for writer in [&writer, &store.writer().await?] {
        let again = writer.create_keyspace(KEYSPACE).await;
        holds("a second creation is refused", matches!(again, Err(WriterError::KeyspaceAlreadyExists { .. })))?;
    }
    let metadata = store.reader().await?.read_keyspace_metadata(KEYSPACE).await?;
    equal("the creation time read", metadata.created_timestamp, created.created_timestamp)?;
    equal("the name read", metadata.keyspace.as_str(), KEYSPACE)
}

pub(super) async fn what_does_not_exist_is_said_or_empty(store: Store) -> Outcome {
    let (reader, writer) = (store.reader().await?, store.writer().await?);
    let page = reader.read_page(KEYSPACE, KEY, IterationOrder::Forwards, None, None, None).await;
    holds("a page of no keyspace is refused", matches!(page, Err(ReaderError::KeyspaceNotFound { .. })))?;
    let keys = reader.list_keys(KEYSPACE, "", None, None).await;
    holds("keys of no keyspace are refused", matches!(keys, Err(ReaderError::KeyspaceNotFound { .. })))?;
    let appended = writer.append_list(KEYSPACE, KEY, vec![numbered(0)]).await;
    holds("no keyspace is appended to", matches!(appended, Err(WriterError::KeyspaceNotFound { .. })))?;
    equal("keyspaces", reader.list_keyspaces(None, None).await?.keyspaces.len(), 0)?;

    writer.create_keyspace(KEYSPACE).await?;
    for order in BOTH_ORDERS {
        let page = reader.read_page(KEYSPACE, KEY, order, None, None, None).await?;
        holds("the page of an unknown key is empty", page.items.is_empty() && page.continuation.is_none())?;
    }
    equal("an unknown key", reader.read_key_metadata(KEYSPACE, KEY).await?, None)?;
    equal("keys", reader.list_keys(KEYSPACE, "", None, None).await?.keys.len(), 0)
}

pub(super) async fn pages_in_both_orders(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let model = fill(&writer, KEY, 120, 9).await?;
    let reader = store.reader().await?;
    for max_size in [1, 7, 64, 1_000] {
        check_whole(&reader, KEY, &model.items, max_size).await?;
    }
    let Some(metadata) = reader.read_key_metadata(KEYSPACE, KEY).await? else { return Err("no metadata".into()) };
    equal("next offset and nonce", (metadata.next_offset, metadata.next_nonce), (120, model.next_nonce()))?;
    equal("items", metadata.item_count, 120)?;
    let timestamps = || model.items.iter().map(|item| item.timestamp);
    equal("timestamps", (metadata.min_timestamp, metadata.max_timestamp), (timestamps().min(), timestamps().max()))
}

pub(super) async fn seeks_by_offset_timestamp_and_nonce(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let mut model = fill(&writer, KEY, 60, 7).await?;
    holds("there is something to compact", writer.compact(KEYSPACE, KEY).await?)?;
    for first in (60..90).step_by(6) {
        append(&writer, KEY, (first..first + 6).map(numbered).collect(), &mut model).await?;
    }
    let reader = store.reader().await?;
    let mut filters = Vec::new();
    for offset in [0, 1, 33, 59, 60, 89, 90, u64::MAX] {
        filters.push(ItemFilter { start_offset: Some(offset), ..ItemFilter::default() });
    }
    for item in model.items.iter().step_by(11) {
        for step in [-1, 0, 1] {
            filters.push(ItemFilter { start_timestamp: Some(item.timestamp + step), ..ItemFilter::default() });
            let nonce = item.nonce.and_then(|nonce| nonce.checked_add_signed(i128::from(step)));
            filters.push(ItemFilter { start_nonce: nonce, ..ItemFilter::default() });
        }
        let start_timestamp = Some(item.timestamp);
        filters.push(ItemFilter { start_offset: Some(40), start_timestamp, start_nonce: Some(80) });
    }
    filters.push(ItemFilter { start_timestamp: Some(i64::MIN), ..ItemFilter::default() });
    filters.push(ItemFilter { start_timestamp: Some(i64::MAX), ..ItemFilter::default() });
    for filter in filters {
        for order in BOTH_ORDERS {
            check_pages(&reader, KEY, &model.items, order, 50, filter).await?;
        }
    }
    Ok(())
}

pub(super) async fn nonces_drop_what_is_there(store: Store) -> Outcome {
    let first = store.writer_with_keyspace().await?;
    let mut model = VecModel::default();
    let item = |nonce: Option<u128>| Insertion { nonce, ..numbered(0) };
    append(&first, KEY, vec![item(Some(5)), item(None), item(Some(5)), item(Some(6))], &mut model).await?;
    append(&first, KEY, vec![item(Some(0)), item(Some(6))], &mut model).await?;
    append(&first, KEY, vec![item(Some(1 << 100)), item(Some(7))], &mut model).await?;
    // A writer that has not seen any of it.
    let second = store.writer().await?;
    append(&second, KEY, vec![item(Some(1 << 100)), item(None), item(Some((1 << 100) + 1))], &mut model).await?;
    let last = second.append_list(KEYSPACE, KEY, vec![item(None), item(Some(u128::MAX))]).await;
    let refused = matches!(last, Err(WriterError::InvalidInsertion(InvalidInsertion::LastNonce { index: 1 })));
    holds("the last nonce is refused", refused)?;
    check_whole(&store.reader().await?, KEY, &model.items, 3).await
}

pub(super) async fn large_values(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let mut model = VecModel::default();
    let large = |seed: u64, bytes: usize| Insertion { value: noise(seed, bytes).into(), ..numbered(seed) };
    append(&writer, KEY, vec![large(0, 8 << 20)], &mut model).await?;
    append(&writer, KEY, vec![numbered(1), large(2, MAX_VALUE_BYTES), numbered(3)], &mut model).await?;
    // More than a commit holds.
    append(&writer, KEY, (4..9).map(|seed| large(seed, 5 << 20)).collect(), &mut model).await?;
    let over = writer.append_list(KEYSPACE, KEY, vec![numbered(9), large(10, MAX_VALUE_BYTES + 1)]).await;
    let expected = InvalidInsertion::ValueTooLarge { index: 1, bytes: MAX_VALUE_BYTES + 1, limit: MAX_VALUE_BYTES };
    match over {
        Err(WriterError::InvalidInsertion(error)) => equal("the refusal", error, expected)?,
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("a value over the limit was appended".into()),
    }
    let reader = store.reader().await?;
    check_whole(&reader, KEY, &model.items, 100).await?;
    holds("there is something to compact", writer.compact(KEYSPACE, KEY).await? || model.items.len() == 9)?;
    check_whole(&reader, KEY, &model.items, 2).await
}

/// Bytes that do not compress.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    });
    words.flat_map(u32::to_le_bytes).take(bytes).collect()
}

pub(super) async fn followers_see_each_item_once(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let mut model = fill(&writer, KEY, 40, 1).await?;
    let polling = Polling { interval: Duration::from_millis(5), max_interval: Duration::from_millis(50) };
    let reader = store.reader().await?;
    let mut all = pin!(reader.follow(KEYSPACE, KEY, FollowStart::Offset(0), polling));
    for item in &model.items {
        equal("an old item", all.try_next().await?.as_ref(), Some(item))?;
    }
    for round in 0..6 {
        let first = model.next_offset();
        append(&writer, KEY, (first..first + 3).map(numbered).collect(), &mut model).await?;
        if round == 2 {
            holds("there is something to compact", writer.compact(KEYSPACE, KEY).await?)?;
        }
        if round == 4 {
            // Another writer takes the list over.
            append(&store.writer().await?, KEY, vec![numbered(first + 3)], &mut model).await?;
        }
        for item in &model.items[first as usize..] {
            equal("a new item", all.try_next().await?.as_ref(), Some(item))?;
        }
    }
    Ok(())
}
