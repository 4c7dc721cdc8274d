//! Listing keyspaces and keys, those among them whose names stores with paths would resolve away.

use bytes::Bytes;

use super::Request;
use super::keys::{KeyList, list_keys, list_keyspaces};
use super::test_store::{Counts, TestStore};
use crate::names::{KeyspaceName, ListName, Prefix, keyspace_object};
use crate::wire::keyspace::KeyspaceObject;

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

#[test]
fn a_page_of_keys_takes_one_list() {
    let mut store = TestStore::default();
    let mut check = |prefix: &str, after: Option<&str>, max, expected: (&[&str], Option<&str>), counts: Counts| {
        let keyspace = KeyspaceName::new("flights").unwrap();
        for key in ["a", ".b", "c"].into_iter().map(str::to_owned).chain((0..40).map(|number| format!("n{number:02}")))
        {
            let list = ListName::new(&Prefix::default(), "flights", &key).unwrap();
            store.objects.insert(list.commit(0), Bytes::from_static(b"x"));
        }
        store.objects.insert(keyspace_object(&Prefix::default(), &keyspace), KeyspaceObject::encode(&keyspace, 7, 1));
        store.forget();
        let after = after.map(str::to_owned);
        let page = store.run(list_keys(Prefix::default(), keyspace, prefix.to_owned(), after, max)).unwrap();
        let (keys, continuation) = expected;
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(page, KeyList { keys, continuation: continuation.map(str::to_owned) }, "{prefix:?}");
        assert_eq!(store.counts(), counts, "{prefix:?}");
    };
    let lists = |lists| Counts { lists, ..Counts::default() };
    check("", None, 2, (&[".b", "a"], Some("a")), lists(1));
    check("", Some("n37"), 2, (&["n38", "n39"], None), lists(1));
    check("", Some("n37"), 3, (&["n38", "n39"], None), lists(1));
    check("n1", None, 10, (&["n10", "n11", "n12", "n13", "n14", "n15", "n16", "n17", "n18", "n19"], None), lists(1));
    // Nothing found: does the keyspace exist?
    check("x", None, 2, (&[], None), Counts { lists: 1, gets: 1, ..Counts::default() });
    // Names that begin with dots are listed without such a prefix, no further than they go; then those that are escaped.
    check(".", None, 2, (&[".b"], None), lists(2));
    check(".", Some(".b"), 1, (&[], None), Counts { lists: 2, gets: 1, ..Counts::default() });
    check("..", None, 1, (&[], None), Counts { lists: 2, gets: 1, ..Counts::default() });
}

#[test]
fn keyspaces_are_listed_page_by_page_with_those_that_cannot_be_read() {
    let mut store = TestStore::default();
    for name in ["a b", "c", "d", "e"] {
        let keyspace = KeyspaceName::new(name).unwrap();
        store.objects.insert(keyspace_object(&Prefix::default(), &keyspace), KeyspaceObject::encode(&keyspace, 7, 1));
    }
    store.objects.insert("d/keyspace.json".to_owned(), Bytes::from_static(b"damaged"));
    store.objects.insert("dd/nothing/of/klstore".to_owned(), Bytes::from_static(b"x"));
    let mut check = |after: Option<&str>, keyspaces: &[&str], unreadable: &[&str], continuation: Option<&str>, gets| {
        store.forget();
        let page = store.run(list_keyspaces(Prefix::default(), after.map(str::to_owned), 2));
        assert_eq!(page.keyspaces.iter().map(|found| &found.keyspace).collect::<Vec<_>>(), keyspaces);
        assert_eq!(page.unreadable.iter().map(|found| &found.keyspace).collect::<Vec<_>>(), unreadable);
        assert_eq!(page.continuation.as_deref(), continuation);
        assert_eq!(store.counts(), Counts { lists: 1, gets, ..Counts::default() });
    };
    check(None, &["a b", "c"], &[], Some("c"), 2);
    // For what has no keyspace.json it is asked for twice: an empty one would be damaged.
    check(Some("c"), &[], &["d"], Some("dd"), 3);
    check(Some("dd"), &["e"], &[], None, 1);
    check(Some("e"), &[], &[], None, 0);
}
