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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::Insertion;
    use crate::plan::read::test_list::{create_keyspace, list_name};
    use crate::plan::test_store::{Counts, TestStore};
    use crate::plan::{Session, SessionOptions, TrimTo};
    use crate::wire::identity::SessionId;

    fn space() -> KeyspaceName {
        KeyspaceName::new("space").unwrap()
    }

    fn keyspace(store: &mut TestStore) -> Result<KeyspaceMetadata, FormatError> {
        store.forget();
        store.run(read_keyspace_metadata(Prefix::default(), space()))
    }

    #[test]
    fn a_key_is_described_by_what_is_live_of_it() {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let options = Arc::new(SessionOptions::default());
        let session = store.run(Session::open(list_name(), SessionId(1), options)).unwrap();
        let item = |timestamp| Insertion::new("value").with_timestamp(timestamp).with_nonce(timestamp as u128);
        let (session, _) = store.run(session.append(vec![item(7), item(9)], 0)).unwrap();
        let read = |store: &mut TestStore| store.run(read_key_metadata(list_name())).unwrap();
        let two = KeyMetadata {
            keyspace: "space".to_owned(),
            key: "key".to_owned(),
            next_offset: 2,
            next_nonce: 10,
            first_offset: 0,
            item_count: 2,
            value_bytes: 10,
            min_timestamp: Some(7),
            max_timestamp: Some(9),
        };
        store.forget();
        assert_eq!(read(&mut store), Some(two.clone()));
        assert_eq!(store.counts(), Counts { lists: 1, gets: 1, ..Counts::default() });

        let (session, _) = store.run(session.trim(TrimTo::Offset(2))).unwrap();
        let none = KeyMetadata {
            first_offset: 2,
            item_count: 0,
            value_bytes: 0,
            min_timestamp: None,
            max_timestamp: None,
            ..two.clone()
        };
        assert_eq!(read(&mut store), Some(none));

        store.run(session.append(vec![item(10)], 0)).unwrap();
        let (timestamp, first_offset) = (Some(10), 2);
        let one = KeyMetadata {
            next_offset: 3,
            next_nonce: 11,
            first_offset,
            item_count: 1,
            value_bytes: 5,
            min_timestamp: timestamp,
            max_timestamp: timestamp,
            ..two
        };
        assert_eq!(read(&mut store), Some(one));
    }

    #[test]
    fn a_key_without_commits_is_not_there_and_neither_is_one_without_a_keyspace() {
        let mut store = TestStore::default();
        let missing = FormatError::KeyspaceNotFound { keyspace: "space".to_owned() };
        assert_eq!(store.run(read_key_metadata(list_name())), Err(missing.clone()));
        assert_eq!(keyspace(&mut store), Err(missing));
        create_keyspace(&mut store);
        assert_eq!(store.run(read_key_metadata(list_name())), Ok(None));
    }

    #[test]
    fn a_keyspace_takes_one_get_whatever_its_length() {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let (name, whole) = store.objects.first_key_value().map(|(name, body)| (name.clone(), body.clone())).unwrap();
        for length in [whole.len(), MAX_KEYSPACE_OBJECT_BYTES] {
            // As long as it is, its last byte counts.
            let padded = [&whole[..1], &vec![b' '; length - whole.len()], &whole[1..]].concat();
            store.objects.insert(name.clone(), padded.into());
            assert_eq!(keyspace(&mut store).map(|read| read.created_timestamp), Ok(7));
            assert_eq!(store.counts(), Counts { gets: 1, ..Counts::default() });
        }
        let padded = [&whole[..], &vec![b' '; MAX_KEYSPACE_OBJECT_BYTES + 1 - whole.len()]].concat();
        for (body, reason) in
            [(padded, "it is longer than the format allows"), (Vec::new(), "it is not a keyspace's JSON")]
        {
            store.objects.insert(name.clone(), body.into());
            let corrupt = crate::error::CorruptObject { object: name.clone(), reason };
            assert_eq!(keyspace(&mut store), Err(corrupt.into()));
        }
    }
}
