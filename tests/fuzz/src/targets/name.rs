//! Names: what is taken comes back from the names of objects, and from nothing else.

use klstore_format::Source;
use klstore_format::limits::{MAX_NAME_BYTES, MAX_PREFIX_BYTES};
use klstore_format::names::{KeyName, KeyspaceName, ListName, Prefix, escape, is_segment_name, unescape};
use klstore_format::wire::identity::ObjectId;

/// Bytes of the longest object name that S3 takes.
const MAX_OBJECT_NAME_BYTES: usize = 1_024;

/// The target: a prefix, a keyspace, a key and an object's name, one a line.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let [prefix, keyspace, key, object] = [(); 4].map(|()| lines.next().unwrap_or_default());
    for name in [prefix, keyspace, key, object] {
        one_name(name);
    }
    let Ok(prefix) = Prefix::new(prefix) else { return };
    assert!(prefix.as_str().len() <= MAX_PREFIX_BYTES);
    assert!(prefix.as_str().is_empty() || prefix.as_str().ends_with('/'));
    assert_eq!(Prefix::new(prefix.as_str()).as_ref(), Ok(&prefix));
    let Ok(list) = ListName::new(&prefix, keyspace, key) else {
        assert!(KeyspaceName::new(keyspace).is_err() || KeyName::new(key).is_err());
        return;
    };
    one_list(&list, object);
    if keyspace != key
        && let Ok(swapped) = ListName::new(&prefix, key, keyspace)
    {
        assert_ne!(swapped.commits(), list.commits());
        assert_ne!(swapped.hash(), list.hash());
    }
}

fn one_name(name: &str) {
    let escaped = escape(name);
    assert!(escaped.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)));
    assert!(escaped != "." && escaped != "..");
    assert_eq!(unescape(&escaped).as_deref(), Some(name));
    if let Some(unescaped) = unescape(name) {
        assert_eq!(escape(&unescaped), name, "two escaped forms of a name");
    }
    if let Ok(key) = KeyName::new(name) {
        assert!(!name.is_empty() && key.escaped().len() <= MAX_NAME_BYTES);
        assert_eq!((key.as_str(), key.escaped()), (name, escaped.as_str()));
    } else {
        assert!(name.is_empty() || escaped.len() > MAX_NAME_BYTES);
    }
    if let Ok(source) = Source::new(name, 7) {
        assert_eq!((source.name(), source.partition()), (name, 7));
    }
}

fn one_list(list: &ListName, object: &str) {
    let id = ObjectId { x: u64::MAX, id: 5 };
    for (name, found) in [
        (list.segment(id), list.parse_segment(&list.segment(id))),
        (list.index_page(id), list.parse_index_page(&list.index_page(id))),
    ] {
        assert_eq!(found, Some(id));
        assert!(name.len() <= MAX_OBJECT_NAME_BYTES && list.parse_commit(&name).is_none());
    }
    assert!(is_segment_name(&list.segment(id)) && !is_segment_name(&list.index_page(id)));
    for seq in [0, 1, u64::MAX] {
        assert_eq!(list.parse_commit(&list.commit(seq)), Some(seq));
    }
    assert!(list.commit(1) < list.commit(0), "the newest is listed first");
    // What is taken for one of its objects is exactly that object's name.
    for name in [object.to_owned(), format!("{}{object}", list.commits()), format!("{}{object}", list.segments())] {
        if let Some(seq) = list.parse_commit(&name) {
            assert_eq!(list.commit(seq), name);
        }
        if let Some(id) = list.parse_segment(&name) {
            assert_eq!(list.segment(id), name);
        }
        if let Some(id) = list.parse_index_page(&name) {
            assert_eq!(list.index_page(id), name);
        }
    }
}
