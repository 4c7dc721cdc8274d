//! Items and pages as JSON. Nonces are decimal strings, as JSON's numbers lose digits beyond 2^53.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use klstore_format::{Item, ItemList, ListStats};
use serde::{Serialize, Serializer};

/// One item: `{"offset","key","timestamp","nonce","value" or "value_base64"}`, as `append` reads it. `key` is left
/// out where it is `None`, and `nonce` where the item has none.
#[derive(Debug, Serialize)]
pub struct ItemJson<'a> {
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "decimal")]
    nonce: Option<u128>,
    #[serde(flatten)]
    value: ValueJson<'a>,
}

#[derive(Debug, Serialize)]
enum ValueJson<'a> {
    #[serde(rename = "value")]
    Text(&'a str),
    #[serde(rename = "value_base64", serialize_with = "base64_text")]
    Bytes(&'a [u8]),
}

impl<'a> ItemJson<'a> {
    pub fn new(item: &'a Item, key: Option<&'a str>) -> Self {
        let value = match std::str::from_utf8(&item.value) {
            Ok(text) => ValueJson::Text(text),
            Err(_) => ValueJson::Bytes(&item.value),
        };
        Self { offset: item.offset, key, timestamp: item.timestamp, nonce: item.nonce, value }
    }
}

/// One page.
#[derive(Debug, Serialize)]
pub struct ItemListJson<'a> {
    keyspace: &'a str,
    key: &'a str,
    items: Vec<ItemJson<'a>>,
    continuation: Option<&'a str>,
    stats: ListStats,
}

impl<'a> From<&'a ItemList> for ItemListJson<'a> {
    fn from(list: &'a ItemList) -> Self {
        Self {
            keyspace: &list.keyspace,
            key: &list.key,
            items: list.items.iter().map(|item| ItemJson::new(item, None)).collect(),
            continuation: list.continuation.as_deref(),
            stats: list.stats,
        }
    }
}

fn decimal<S: Serializer>(nonce: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
    match nonce {
        Some(nonce) => serializer.collect_str(nonce),
        None => serializer.serialize_none(),
    }
}

fn base64_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &'static [u8], nonce: Option<u128>, key: Option<&str>, expected: &str) {
        let item = Item { offset: 7, timestamp: -1, nonce, value: value.into() };
        assert_eq!(serde_json::to_string(&ItemJson::new(&item, key)).expect("JSON"), expected);
    }

    #[test]
    fn text_stays_text_and_bytes_become_base64() {
        check(b"a\"", None, None, r#"{"offset":7,"timestamp":-1,"value":"a\""}"#);
        check(b"\xff\x00", None, None, r#"{"offset":7,"timestamp":-1,"value_base64":"/wA="}"#);
        check(b"", None, Some("k"), r#"{"offset":7,"key":"k","timestamp":-1,"value":""}"#);
    }

    #[test]
    fn nonces_keep_all_their_digits() {
        let expected = r#"{"offset":7,"timestamp":-1,"nonce":"340282366920938463463374607431768211454","value":""}"#;
        check(b"", Some(u128::MAX - 1), None, expected);
    }
}
