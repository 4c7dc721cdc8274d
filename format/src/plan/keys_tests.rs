//! Listing keys whose names stores with paths would resolve away.

use bytes::Bytes;

use super::Request;
use super::keys::list_keys;
use super::test_store::TestStore;
use crate::names::{KeyspaceName, ListName, Prefix};

const KEYS: [&str; 14] = ["-", "-é", ".", "..", "...", "..b", ".-", ".-é", ".a", ".b/c", "/.", "0", "a", "a."];

fn store() -> TestStore {
    let mut store = TestStore::default();
    for key in KEYS {
        let list = ListName::new(&Prefix::default(), "flights", key).unwrap();
        store.objects.insert(list.commit(0), Bytes::from_static(b"x"));
    }
    for foreign in ["-", "-~~x/y", ".-~~x/y", "0/not~escaped"] {
        store.objects.insert(format!("flights/lists/{foreign}"), Bytes::from_static(b"not klstore's"));
    }
    store
}

#[test]
fn keys_that_begin_with_dots_are_listed_page_by_page_without_a_prefix_that_is_a_path() {
    for prefix in ["", ".", "..", "...", "/", "a", "a.", "nothing"] {
        for max in [1, 2, 3, 1_000] {
            let mut store = store();
            let (mut found, mut continuation) = (Vec::new(), None);
            for _ in 0..=KEYS.len() + 1 {
                let keyspace = KeyspaceName::new("flights").unwrap();
                let plan = list_keys(Prefix::default(), keyspace, prefix.to_owned(), continuation, max);
                let page = match store.run(plan) {
                    Ok(page) => page,
                    // Nothing found, and in this store no keyspace.json either.
                    Err(error) => {
                        assert_eq!(prefix, "nothing", "{error}");
                        break;
                    }
                };
                assert!(page.keys.len() <= max as usize);
                found.extend(page.keys);
                continuation = page.continuation;
                if continuation.is_none() {
                    break;
                }
            }
            found.sort();
            let mut expected: Vec<&str> = KEYS.into_iter().filter(|key| key.starts_with(prefix)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{prefix:?}, {max} a page");
            for request in &store.requests {
                let Request::List { prefix, start_after, .. } = request else { continue };
                for sent in [Some(prefix), start_after.as_ref()].into_iter().flatten() {
                    assert!(sent.split('/').all(|part| part != "." && part != ".."), "{request:?}");
                }
            }
        }
    }
}
