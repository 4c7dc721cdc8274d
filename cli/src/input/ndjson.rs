//! One line of NDJSON: `{"key", "value" or "value_base64", "nonce", "timestamp"}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use klstore_format::Insertion;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Problem, TimestampFormat, parse_nonce, shortened};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    // As they stand in the text: a JSON number beyond 2^64 would lose digits on its way through serde_json.
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    /// What `read` writes; the new list numbers its items itself.
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
}

/// The key, where the line names one, and the item.
pub fn parse(line: &[u8], timestamps: &TimestampFormat) -> Result<(Option<String>, Insertion), Problem> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    let value = match (line.value, line.value_base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(text)) => Bytes::from(STANDARD.decode(text)?),
        (None, None) => return Err(Problem::NoValue),
        (Some(_), Some(_)) => return Err(Problem::TwoValues),
    };
    let nonce = line.nonce.map(|raw| nonce(raw.get())).transpose()?;
    let timestamp = line.timestamp.map(|raw| timestamp(raw.get(), timestamps)).transpose()?;
    Ok((line.key, Insertion { value, nonce, timestamp, source_offset: None }))
}

fn nonce(raw: &str) -> Result<u128, Problem> {
    parse_nonce(unquoted(raw)).map_err(|_| Problem::Nonce { text: shortened(raw) })
}

fn timestamp(raw: &str, timestamps: &TimestampFormat) -> Result<i64, Problem> {
    timestamps.parse(unquoted(raw)).map_err(|problem| match problem {
        Problem::Timestamp { .. } => Problem::Timestamp { text: shortened(raw) },
        problem => problem,
    })
}

/// The text of a string without escapes, or of a number. Neither nonce nor timestamp needs an escape.
fn unquoted(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, key: Option<&str>, expected: Insertion) {
        let (found, insertion) = parse(line.as_bytes(), &TimestampFormat::Auto).expect("good");
        assert_eq!((found.as_deref(), insertion), (key, expected), "{line}");
    }

    #[test]
    fn what_a_line_may_say() {
        check(r#"{"value":"a\u0000é"}"#, None, Insertion::new("a\0é"));
        check(r#"{"key":"k","value_base64":"/wA="}"#, Some("k"), Insertion::new(vec![255, 0]));
        check(r#"{"value":"","nonce":null,"timestamp":null,"key":null}"#, None, Insertion::new(""));
        check(
            r#"{"offset":9,"value":"","nonce":7,"timestamp":-1}"#,
            None,
            Insertion::new("").with_nonce(7).with_timestamp(-1),
        );
        check(r#"{"value":"","timestamp":"1970-01-01T00:00:01Z"}"#, None, Insertion::new("").with_timestamp(1_000));
    }

    #[test]
    fn nonces_keep_all_their_digits() {
        let largest = u128::MAX - 1;
        check(&format!(r#"{{"value":"","nonce":{largest}}}"#), None, Insertion::new("").with_nonce(largest));
        check(&format!(r#"{{"value":"","nonce":"{largest}"}}"#), None, Insertion::new("").with_nonce(largest));
    }
}
