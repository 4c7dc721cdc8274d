//! What is known of a keyspace or key without reading items.

use super::load::{Fetch, load};
use super::{Answer, ByteRange, Cache, Plan, Port, Request};
use crate::error::FormatError;
use crate::item::{KeyMetadata, KeyspaceMetadata};
use crate::names::{KeyspaceName, ListName, Prefix, keyspace_object};
use crate::wire::keyspace::{KeyspaceObject, MAX_KEYSPACE_OBJECT_BYTES};

/// Reads what is known of a key: one LIST and one GET of at most 16 KiB. `None` where nothing was ever appended.
///
/// # Errors
/// [`FormatError::KeyspaceNotFound`], and those of a Load.
pub fn read_key_metadata(list: ListName) -> Plan<Result<Option<KeyMetadata>, FormatError>> {
    Plan::new(|port| async move {
        let Some(snapshot) = load(&port, &list, Fetch::Header).await? else {
            return require_keyspace(&port, &list).await.map(|()| None);
        };
        let header = &snapshot.header;
        let totals = &header.totals;
        let any = totals.min_timestamp <= totals.max_timestamp;
        Ok(Some(KeyMetadata {
            keyspace: list.keyspace().to_owned(),
            key: list.key().to_owned(),
            next_offset: header.next_offset(),
            next_nonce: header.next_nonce(),
            first_offset: header.start,
            item_count: header.next_offset().saturating_sub(header.start),
            value_bytes: totals.value_bytes,
            min_timestamp: any.then_some(totals.min_timestamp),
            max_timestamp: any.then_some(totals.max_timestamp),
        }))
    })
}

/// Reads what is known of a keyspace: one GET.
///
/// # Errors
/// [`FormatError::KeyspaceNotFound`]; [`FormatError::UnsupportedVersion`] and the like where the keyspace was made by
/// something newer; [`FormatError::Corrupt`].
pub fn read_keyspace_metadata(prefix: Prefix, keyspace: KeyspaceName) -> Plan<Result<KeyspaceMetadata, FormatError>> {
    Plan::new(|port| async move {
        let object = keyspace_object(&prefix, &keyspace);
        read_existing(&port, &keyspace, &object).await
    })
}

/// Says that the keyspace of a list that has no commits does not exist, if so.
pub(super) async fn require_keyspace(port: &Port, list: &ListName) -> Result<(), FormatError> {
    let keyspace = KeyspaceName::new(list.keyspace())?;
    read_existing(port, &keyspace, &list.keyspace_object()).await.map(drop)
}

/// The keyspace whose object is `object`, which must exist.
pub(super) async fn read_existing(
    port: &Port,
    keyspace: &KeyspaceName,
    object: &str,
) -> Result<KeyspaceMetadata, FormatError> {
    let answer = port.send_one(get_keyspace(object.to_owned())).await;
    parse_keyspace(port, answer, keyspace, object)
        .await?
        .ok_or_else(|| FormatError::KeyspaceNotFound { keyspace: keyspace.as_str().to_owned() })
}

/// The GET of a keyspace's object.
pub(super) fn get_keyspace(name: String) -> Request {
    // One byte more than allowed, so that a longer one is noticed.
    let range = ByteRange::new(0, MAX_KEYSPACE_OBJECT_BYTES as u64 + 1);
    // Past all caches: nothing else would show that the bucket has been emptied, or filled again.
    Request::Get { name, range: Some(range), cache: Cache::Reload }
}

/// The keyspace in an answer to [`get_keyspace`]; `None` where there is none.
pub(super) async fn parse_keyspace(
    port: &Port,
    mut answer: Answer,
    keyspace: &KeyspaceName,
    object: &str,
) -> Result<Option<KeyspaceMetadata>, FormatError> {
    if !matches!(answer, Answer::Got(_)) {
        // No part of an empty object exists either, and a damaged keyspace is not to be taken for a missing one.
        let whole = Request::Get { name: object.to_owned(), range: None, cache: Cache::Reload };
        answer = port.send_one(whole).await;
    }
    match answer {
        Answer::Got(got) => KeyspaceObject::decode(&got.body, keyspace, object).map(Some),
        _ => Ok(None),
    }
}
