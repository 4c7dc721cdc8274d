//! Keeping what users stored from steering a terminal.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Whether a terminal may act on a character rather than show it: control characters, and those that turn the
/// direction of what follows.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text for a terminal: `\n`, `\t`, `\u{9b}` and so on for characters that would steer it, `\xFF` for what is not
/// UTF-8, and `\\` for a backslash, so that each text has one reading.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                character if steers(character) => text.extend(character.escape_default()),
                character => text.push(character),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    text
}

/// A message for a terminal: what would steer it is escaped, and backslashes are as they are, which messages have of
/// their own.
pub fn message(text: &str) -> String {
    let shown = |character: char| match steers(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Writes JSON in which everything that could steer a terminal is escaped, which changes nothing for programs.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(&mut *out, SafeFormatter(CompactFormatter));
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// The same as a line of its own.
pub fn write_json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write_json(out, value)?;
    out.write_all(b"\n")
}

struct SafeFormatter(CompactFormatter);

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        // ASCII control characters are escaped by serde_json itself, but for DEL.
        while let Some(at) = rest.find(steers) {
            let (before, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(escaped(b"plain \xc3\xa9"), "plain é");
        assert_eq!(escaped(b"\x1b[31m\n\\"), "\\u{1b}[31m\\n\\\\");
        assert_eq!(escaped(b"\xc2\x9b2J\xff"), "\\u{9b}2J\\xFF");
        assert_eq!(escaped("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    }

    #[test]
    fn json_reads_back_the_same() {
        for text in ["", "plain", "\u{9b}31m\u{7f}", "a\u{2028}b\u{202e}", "\u{1b}\"\\"] {
            let mut line = Vec::new();
            write_json(&mut line, &text).expect("a Vec takes everything");
            let line = String::from_utf8(line).expect("JSON is UTF-8");
            assert!(!line.chars().any(steers), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), text);
        }
    }
}
