//! Key, nonce, timestamp and value out of fields with names of the user's choice.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use klstore_format::Insertion;
use serde_json::value::RawValue;

use super::timestamp::TimestampFormat;
use super::{Problem, parse_nonce, shortened};

/// Which field holds what: names of columns, or of the fields of a JSON object (`/a/b` is a JSON pointer).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub key: Option<String>,
    pub nonce: Option<String>,
    pub timestamp: Option<String>,
    /// Without it the whole row or object is the value.
    pub value: Option<String>,
}

impl Fields {
    /// Whether any is named.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// The key, if a field holds it, and the item. `find` looks a field up, `whole` makes the value without a field.
    pub fn take<'a>(
        &self,
        format: &TimestampFormat,
        find: impl Fn(&str) -> Result<Option<Cow<'a, str>>, Problem>,
        whole: impl FnOnce() -> Bytes,
    ) -> Result<(Option<String>, Insertion), Problem> {
        let required = |field: &Option<String>| match field {
            None => Ok(None),
            Some(field) => match find(field)? {
                Some(text) => Ok(Some(text)),
                None => Err(Problem::NoField { field: shortened(field) }),
            },
        };
        let key = required(&self.key)?.map(Cow::into_owned);
        let nonce = required(&self.nonce)?.map(|text| parse_nonce(&text)).transpose()?;
        let timestamp = required(&self.timestamp)?.map(|text| format.parse(&text)).transpose()?;
        let value = match required(&self.value)? {
            Some(text) => Bytes::from(text.into_owned()),
            None => whole(),
        };
        Ok((key, Insertion { value, nonce, timestamp, source_offset: None }))
    }

    /// From a line that holds one JSON object of any shape.
    pub fn take_json(&self, line: &[u8], format: &TimestampFormat) -> Result<(Option<String>, Insertion), Problem> {
        let line = line.trim_ascii();
        let object: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(line)?;
        let find = |field: &str| match field.strip_prefix('/') {
            None => object.get(field).map_or(Ok(None), |raw| text_of(raw, field)),
            Some(pointer) => {
                let (first, rest) = split_pointer(pointer);
                let Some(raw) = object.get(first.as_str()) else { return Ok(None) };
                descend(raw, rest).map_or(Ok(None), |raw| text_of(raw, field))
            }
        };
        self.take(format, find, || Bytes::copy_from_slice(line))
    }
}

/// The first name of a JSON pointer, unescaped, and what follows it.
fn split_pointer(pointer: &str) -> (String, Option<&str>) {
    let (first, rest) = match pointer.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pointer, None),
    };
    (first.replace("~1", "/").replace("~0", "~"), rest)
}

fn descend<'a>(raw: &'a RawValue, pointer: Option<&str>) -> Option<&'a RawValue> {
    let Some(pointer) = pointer else { return Some(raw) };
    let (first, rest) = split_pointer(pointer);
    let inner = match raw.get().as_bytes().first() {
        Some(b'{') => {
            let object: HashMap<Cow<'_, str>, &'a RawValue> = serde_json::from_str(raw.get()).ok()?;
            object.get(first.as_str()).copied()
        }
        Some(b'[') => {
            let array: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
            array.get(first.parse::<usize>().ok()?).copied()
        }
        _ => None,
    };
    descend(inner?, rest)
}

/// A string's text, or a number as it is written: one beyond 2^53 would lose digits on its way through serde_json.
fn text_of<'a>(raw: &'a RawValue, field: &str) -> Result<Option<Cow<'a, str>>, Problem> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => Ok(Some(Cow::Owned(serde_json::from_str(text)?))),
        Some(b'-' | b'0'..=b'9') => Ok(Some(Cow::Borrowed(text))),
        _ if text == "null" => Ok(None),
        _ => Err(Problem::FieldKind { field: shortened(field) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(key: Option<&str>, nonce: Option<&str>, timestamp: Option<&str>, value: Option<&str>) -> Fields {
        let [key, nonce, timestamp, value] = [key, nonce, timestamp, value].map(|field| field.map(str::to_owned));
        Fields { key, nonce, timestamp, value }
    }

    #[test]
    fn fields_are_found_by_name_and_by_pointer() {
        let line = br#" {"id":"a\"b","at":5,"n":{"a/b":[0,18446744073709551616]},"/":"x"} "#;
        let all = fields(Some("id"), Some("/n/a~1b/1"), Some("/at"), Some("/~1"));
        let (key, insertion) = all.take_json(line, &TimestampFormat::Auto).expect("good");
        assert_eq!(key.as_deref(), Some("a\"b"));
        assert_eq!(insertion, Insertion::new("x").with_nonce(1 << 64).with_timestamp(5));
        let (_, whole) = fields(None, None, Some("at"), None).take_json(line, &TimestampFormat::Auto).expect("good");
        assert_eq!(whole.value, line.trim_ascii());
    }

    #[test]
    fn what_is_not_there_or_no_text_is_named() {
        for (field, expected) in [
            ("x", "no field `x`"),
            ("null", "no field `null`"),
            ("/list/9", "no field `/list/9`"),
            ("/text/0", "no field `/text/0`"),
            ("list", "`list` is neither text nor a number"),
        ] {
            let line = br#"{"null":null,"list":[],"text":"t"}"#;
            let problem = fields(Some(field), None, None, None).take_json(line, &TimestampFormat::Auto);
            let message = problem.expect_err("bad").to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
