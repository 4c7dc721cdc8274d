//! Answers on stdout: JSON for programs, plain text for people.

mod escape;
mod json_items;
mod listing;

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::failure::Failure;

pub use escape::{escaped, message, write_json, write_json_line};
pub use json_items::{ItemJson, ItemListJson};
pub use listing::Listing;

/// How answers are to look.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Whether they are wanted as JSON.
    pub json: bool,
    /// Whether somebody reads stdout from a terminal.
    pub terminal: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    /// Answers with one JSON object, or else with text as it is.
    pub fn answer(&self, json: &Value, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = match self.json {
            true => write_json_line(&mut out, json),
            false if text.is_empty() => Ok(()),
            false => writeln!(out, "{text}"),
        };
        written.and_then(|()| out.flush()).map_err(Failure::output)
    }

    /// Says something on the way to the answer; nothing where that is to be one JSON object.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        match self.json {
            true => Ok(()),
            false => self.answer(&Value::Null, text),
        }
    }

    /// Says on stderr why the command failed.
    pub fn failure(&self, failure: &Failure) {
        let mut err = io::stderr().lock();
        // Nowhere left to complain to.
        let _ = match self.json {
            true => write_json_line(&mut err, &failure.json()),
            false => write_failure(&mut err, failure),
        };
    }

    /// A user's name or value for a line of text: as it is, but on a terminal without control characters.
    pub fn shown(&self, bytes: &[u8]) -> Vec<u8> {
        match self.terminal {
            true => escaped(bytes).into_bytes(),
            false => bytes.to_vec(),
        }
    }
}

fn write_failure(err: &mut impl Write, failure: &Failure) -> io::Result<()> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (red, bold_off) = if colours { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // Names and a store's own words may be in the message.
    let mut lines = failure.what.lines().map(message);
    writeln!(err, "{red}error:{bold_off} {}", lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| writeln!(err, "{line}"))?;
    if let Some(done) = &failure.done {
        writeln!(err, "  done before: {done}")?;
    }
    match &failure.advice {
        Some(advice) => advice.lines().try_for_each(|line| writeln!(err, "  {line}")),
        None => Ok(()),
    }
}

/// Names with their values, one a line, in two columns.
pub fn aligned(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// Milliseconds since 1970 for people: RFC 3339, or the number where no calendar reaches.
pub fn time_text(timestamp: i64) -> String {
    match jiff::Timestamp::from_millisecond(timestamp) {
        Ok(time) => format!("{time} ({timestamp})"),
        Err(_) => timestamp.to_string(),
    }
}

/// A count with a separator between thousands.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted, whose plural ends with an s.
pub fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", count_text(count), if count == 1 { "" } else { "s" })
}

/// Bytes in the largest binary unit that keeps them above 1.
pub fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        _ => indicatif::HumanBytes(bytes).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (336_776, "336,776"), (1_000_000, "1,000,000")]
        {
            assert_eq!(count_text(count), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(aligned(&[("a", "1".into()), ("bcd", "2".into())]), "a    1\nbcd  2");
    }

    #[test]
    fn times_beyond_the_calendar_stay_numbers() {
        assert_eq!(time_text(0), "1970-01-01T00:00:00Z (0)");
        assert_eq!(time_text(i64::MIN), i64::MIN.to_string());
    }
}
