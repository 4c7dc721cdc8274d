//! What `append` reads: lines, or NDJSON, one item after the other, each line bounded.

mod ndjson;

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use clap::ValueEnum;
use klstore_format::Insertion;
use klstore_format::limits::MAX_VALUE_BYTES;
use klstore_format::plan::{InvalidInsertion, validate};
use thiserror::Error;

/// Bytes of the longest line of text: the largest value and its line end.
const MAX_TEXT_LINE: u64 = MAX_VALUE_BYTES as u64 + 2;
/// Bytes of the longest line of NDJSON: the largest value, each byte written as `\u0000`, and the other fields.
const MAX_NDJSON_LINE: u64 = 6 * MAX_VALUE_BYTES as u64 + (64 << 10);
/// A line buffer beyond this is not kept for the next line.
const KEPT_BUFFER: usize = 1 << 20;

/// How the input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Each line is a value, without its line end (LF or CRLF)
    Lines,
    /// Each line is a JSON object, see the command's help
    Ndjson,
}

/// One item of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct InputItem {
    /// The line that it stood on, from 1.
    pub line: u64,
    /// The list it goes to, where the line names one.
    pub key: Option<String>,
    pub insertion: Insertion,
}

/// Why a line cannot be appended.
#[derive(Debug, Error)]
#[error("line {line}: {problem}")]
pub struct InputError {
    /// The line's number, from 1.
    pub line: u64,
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is longer than {limit} bytes: a value may have up to 16 MiB")]
    TooLong { limit: u64 },
    #[error("is no object of the expected form: {reason} (column {column})")]
    Json { reason: String, column: usize },
    #[error("has neither `value` nor `value_base64`: give one of them")]
    NoValue,
    #[error("has both `value` and `value_base64`: give one of them")]
    TwoValues,
    #[error("`value_base64` is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("has no `key`, and none is given on the command line: add one of them")]
    NoKey,
    #[error("has the key `{key}`, but all lines go to the key given on the command line: leave one of them out")]
    TwoKeys { key: String },
    #[error("the nonce {text} is no whole number from 0 to 2^128-2, as number or decimal string")]
    Nonce { text: String },
    #[error("the timestamp {text} is neither milliseconds since 1970 nor RFC 3339 such as 2013-01-01T10:15:00Z")]
    Timestamp { text: String },
    #[error("the value has {bytes} bytes, {limit} at most: split it, or store it elsewhere and append its name")]
    ValueTooLarge { bytes: usize, limit: usize },
    #[error("the timestamp {timestamp} is more than a day ahead of this machine's clock ({now}): correct one of them")]
    FutureTimestamp { timestamp: i64, now: i64 },
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        let (message, column) = (error.to_string(), error.column());
        // It was given one line and numbers that one.
        let reason = message.split(" at line 1 column ").next().unwrap_or(&message).to_owned();
        Self::Json { reason, column }
    }
}

/// What all lines have in common.
#[derive(Debug, Clone, Copy)]
pub struct InputRules {
    pub format: InputFormat,
    /// Whether each line names its key, or none does.
    pub keys_in_lines: bool,
    /// How far ahead of the clock timestamps may be, as the writer has it.
    pub max_future_skew_millis: Option<u64>,
}

/// The items of an input. It ends after the first error.
pub struct InputReader<R, C> {
    input: R,
    rules: InputRules,
    /// Milliseconds since 1970.
    clock: C,
    line: u64,
    buffer: Vec<u8>,
    failed: bool,
}

impl<R: BufRead, C: Fn() -> i64> InputReader<R, C> {
    pub fn new(input: R, rules: InputRules, clock: C) -> Self {
        Self { input, rules, clock, line: 0, buffer: Vec::new(), failed: false }
    }

    fn next_item(&mut self) -> Result<Option<InputItem>, Problem> {
        loop {
            self.line += 1;
            if !self.read_line()? {
                return Ok(None);
            }
            // Editors leave empty lines between and after JSON objects; among lines of text they are values.
            if self.rules.format == InputFormat::Lines || !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        let (key, insertion) = match self.rules.format {
            InputFormat::Lines => (None, Insertion::new(Bytes::copy_from_slice(&self.buffer))),
            InputFormat::Ndjson => ndjson::parse(&self.buffer)?,
        };
        match &key {
            Some(key) if !self.rules.keys_in_lines => return Err(Problem::TwoKeys { key: shortened(key) }),
            None if self.rules.keys_in_lines => return Err(Problem::NoKey),
            _ => {}
        }
        self.check(&insertion)?;
        Ok(Some(InputItem { line: self.line, key, insertion }))
    }

    /// Reads a line without its end into the buffer; whether there was one.
    fn read_line(&mut self) -> Result<bool, Problem> {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        let limit = match self.rules.format {
            InputFormat::Lines => MAX_TEXT_LINE,
            InputFormat::Ndjson => MAX_NDJSON_LINE,
        };
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.pop_if(|last| *last == b'\n').is_some() {
            self.buffer.pop_if(|last| *last == b'\r');
        } else if read as u64 == limit {
            return Err(Problem::TooLong { limit });
        }
        Ok(read > 0)
    }

    /// What the writer would refuse is refused here already, by its line.
    fn check(&self, insertion: &Insertion) -> Result<(), Problem> {
        let checked = validate(std::slice::from_ref(insertion), (self.clock)(), self.rules.max_future_skew_millis);
        checked.map_err(|invalid| match invalid {
            InvalidInsertion::ValueTooLarge { bytes, limit, .. } => Problem::ValueTooLarge { bytes, limit },
            InvalidInsertion::LastNonce { .. } => Problem::Nonce { text: u128::MAX.to_string() },
            InvalidInsertion::FutureTimestamp { timestamp, now, .. } => Problem::FutureTimestamp { timestamp, now },
        })
    }
}

impl<R: Read, C> InputReader<BufReader<R>, C> {
    /// Whether the next line can be read without waiting for the input.
    pub fn has_next_line_at_hand(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }
}

impl<R: BufRead, C: Fn() -> i64> Iterator for InputReader<R, C> {
    type Item = Result<InputItem, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.next_item().map_err(|problem| InputError { line: self.line, problem });
        self.failed = item.is_err();
        item.transpose()
    }
}

/// A moment: milliseconds since 1970, or RFC 3339.
///
/// # Errors
/// [`Problem::Timestamp`].
pub fn parse_timestamp(text: &str) -> Result<i64, Problem> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let bad = || Problem::Timestamp { text: format!("`{}`", shortened(text)) };
    let time: jiff::Timestamp = text.parse().map_err(|_| bad())?;
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).map_err(|_| bad())
}

/// The beginning of a user's text, for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: InputRules =
        InputRules { format: InputFormat::Lines, keys_in_lines: false, max_future_skew_millis: Some(10) };

    fn read(rules: InputRules, input: &[u8]) -> Vec<Result<InputItem, InputError>> {
        InputReader::new(input, rules, || 1_000).collect()
    }

    #[test]
    fn lines_are_values_without_their_ends() {
        let check = |input: &[u8], expected: &[&[u8]]| {
            let items: Vec<_> =
                read(RULES, input).into_iter().map(|item| item.expect("good").insertion.value).collect();
            assert_eq!(items, expected, "{input:?}");
        };
        check(b"", &[]);
        check(b"\n", &[b""]);
        check(b"a\nb", &[b"a", b"b"]);
        check(b"a\r\n\r\n\xff\rb\n", &[b"a", b"", b"\xff\rb"]);
    }

    #[test]
    fn a_line_may_hold_the_largest_value_and_no_more() {
        for (length, end, good) in [
            (MAX_VALUE_BYTES, "\n", true),
            (MAX_VALUE_BYTES, "", true),
            (MAX_VALUE_BYTES + 1, "\n", false),
            (MAX_VALUE_BYTES + 2, "", false),
            (MAX_VALUE_BYTES + 9, "", false),
        ] {
            let mut input = vec![b'x'; length];
            input.extend_from_slice(end.as_bytes());
            let items = read(RULES, &input);
            assert_eq!((items.len(), items[0].is_ok()), (1, good), "{length}");
        }
    }

    #[test]
    fn errors_name_their_line_and_end_the_input() {
        let rules = InputRules { format: InputFormat::Ndjson, ..RULES };
        let check = |bad: &str, expected: &str| {
            let input = format!("{{\"value\":\"a\"}}\n\n{bad}\n{{\"value\":\"never\"}}\n");
            let items = read(rules, input.as_bytes());
            assert_eq!(items.len(), 2, "{bad}");
            let message = items[1].as_ref().expect_err("bad").to_string();
            assert!(message.starts_with("line 3: ") && message.contains(expected), "{message}");
        };
        check("{", "no object");
        check("[]", "no object");
        check("{}", "neither");
        check(r#"{"value":"a","value_base64":"YQ=="}"#, "both");
        check(r#"{"value_base64":"?"}"#, "not base64");
        check(r#"{"value":1}"#, "no object");
        check(r#"{"value":"a","tiemstamp":1}"#, "tiemstamp");
        check(r#"{"value":"a","key":"k"}"#, "key `k`");
        check(r#"{"value":"a","nonce":-1}"#, "nonce -1");
        check(r#"{"value":"a","nonce":1e3}"#, "nonce 1e3");
        check(r#"{"value":"a","nonce":"+1"}"#, "nonce");
        check(r#"{"value":"a","nonce":"340282366920938463463374607431768211455"}"#, "2^128-2");
        check(r#"{"value":"a","timestamp":"yesterday"}"#, "yesterday");
        check(r#"{"value":"a","timestamp":1011}"#, "ahead");
        check("{\"value\":\"\u{0}\"}", "no object");
    }

    #[test]
    fn keys_stand_in_all_lines_or_in_none() {
        let rules = InputRules { format: InputFormat::Ndjson, keys_in_lines: true, ..RULES };
        let items = read(rules, b"{\"key\":\"k\",\"value\":\"a\"}\n{\"value\":\"a\"}");
        assert_eq!(items[0].as_ref().expect("good").key.as_deref(), Some("k"));
        assert!(items[1].as_ref().expect_err("bad").to_string().contains("no `key`"));
    }

    #[test]
    fn moments_are_milliseconds_or_rfc_3339() {
        for (text, millis) in [
            ("-5", -5),
            ("1357035300000", 1_357_035_300_000),
            ("2013-01-01T10:15:00Z", 1_357_035_300_000),
            ("2013-01-01T05:15:00.0009-05:00", 1_357_035_300_000),
            ("1969-12-31T23:59:59.9999Z", -1),
        ] {
            assert_eq!(parse_timestamp(text).expect("good"), millis, "{text}");
        }
        for text in ["", "2013-01-01", "now", "99999999999999999999"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}
