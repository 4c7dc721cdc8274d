//! A record as JSON: the value of an item with `value=envelope`, and of a dead letter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::record::Record;

/// The record with key, headers, coordinates, timestamp and value. Bytes that are UTF-8 are a string, others an object
/// `{"base64": "..."}`, and what is not there is `null`.
///
/// ```
/// use klstore_bridge::envelope::envelope;
/// use klstore_bridge::record::Record;
/// let record = Record { topic: "t", offset: 7, key: Some(b"k"), value: Some(&[0xff]), ..Record::default() };
/// let expected = r#"{"headers":[],"key":"k","offset":7,"partition":0,"timestamp":null,"topic":"t","value":{"base64":"/w=="}}"#;
/// assert_eq!(serde_json::Value::Object(envelope(&record)).to_string(), expected);
/// ```
pub fn envelope(record: &Record<'_>) -> Map<String, Json> {
    let headers = record.headers.iter().map(|(name, value)| json!([name, bytes(*value)])).collect();
    let fields = [
        ("topic", record.topic.into()),
        ("partition", record.partition.into()),
        ("offset", record.offset.into()),
        ("timestamp", record.timestamp.into()),
        ("key", bytes(record.key)),
        ("headers", Json::Array(headers)),
        ("value", bytes(record.value)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn bytes(bytes: Option<&[u8]>) -> Json {
    let Some(bytes) = bytes else { return Json::Null };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order_and_nulls() {
        let headers: &[(&str, Option<&[u8]>)] = &[("b", Some(b"1")), ("a", None), ("b", Some(&[0xfe]))];
        let record = Record { headers, value: None, timestamp: Some(-5), ..Record::default() };
        let envelope = envelope(&record);
        assert_eq!(envelope["headers"], json!([["b", "1"], ["a", null], ["b", { "base64": "/g==" }]]));
        assert_eq!((&envelope["value"], &envelope["timestamp"]), (&Json::Null, &json!(-5)));
    }
}
