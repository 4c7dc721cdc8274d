//! Items as CSV that no spreadsheet runs.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use klstore_format::Item;

use crate::output::harmless;

pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"offset,timestamp,nonce,value,value_base64\r\n")
}

/// Writes an item; to a terminal without characters that would steer it.
pub fn write_item(out: &mut impl Write, item: &Item, terminal: bool) -> io::Result<()> {
    write!(out, "{},{},", item.offset, item.timestamp)?;
    if let Some(nonce) = item.nonce {
        write!(out, "{nonce}")?;
    }
    out.write_all(b",")?;
    match std::str::from_utf8(&item.value) {
        Ok(text) => {
            if terminal {
                write_cell(out, &harmless(text))?
            } else {
                write_cell(out, text)?
            }
            out.write_all(b",")?;
        }
        Err(_) => write!(out, ",{}", STANDARD.encode(&item.value))?,
    }
    out.write_all(b"\r\n")
}

/// A text, quoted where it must be, and with an apostrophe before what a spreadsheet would take for a formula.
fn write_cell(out: &mut impl Write, text: &str) -> io::Result<()> {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let apostrophe = if runs { "'" } else { "" };
    if !text.contains(['"', ',', '\n', '\r']) {
        return write!(out, "{apostrophe}{text}");
    }
    write!(out, "\"{apostrophe}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (value, expected) in [
            (&b"plain"[..], "7,-5,9,plain,\r\n"),
            (b"", "7,-5,9,,\r\n"),
            (b"a,\"b\"\n", "7,-5,9,\"a,\"\"b\"\"\n\",\r\n"),
            (b"=1+1", "7,-5,9,'=1+1,\r\n"),
            (b"+1", "7,-5,9,'+1,\r\n"),
            (b"-1", "7,-5,9,'-1,\r\n"),
            (b"@x", "7,-5,9,'@x,\r\n"),
            (b"\t=1", "7,-5,9,'\t=1,\r\n"),
            (b"\r=1", "7,-5,9,\"'\r=1\",\r\n"),
            (b"\xff", "7,-5,9,,/w==\r\n"),
        ] {
            let item = Item { offset: 7, timestamp: -5, nonce: Some(9), value: value.into() };
            let mut out = Vec::new();
            write_item(&mut out, &item, false).expect("written");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }

    #[test]
    fn no_value_steers_a_terminal() {
        let item = Item { offset: 0, timestamp: 0, nonce: None, value: "a\u{9b}31m\x1b[2J".into() };
        let mut out = Vec::new();
        write_item(&mut out, &item, true).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "0,0,,a\\u{9b}31m\\u{1b}[2J,\r\n");
    }
}
