//! Items as CSV that no spreadsheet runs.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use klstore_format::Item;

pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"offset,timestamp,nonce,value,value_base64\r\n")
}

pub fn write_item(out: &mut impl Write, item: &Item) -> io::Result<()> {
    write!(out, "{},{},", item.offset, item.timestamp)?;
    if let Some(nonce) = item.nonce {
        write!(out, "{nonce}")?;
    }
    out.write_all(b",")?;
    match std::str::from_utf8(&item.value) {
        Ok(text) => {
            write_cell(out, text)?;
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
            write_item(&mut out, &item).expect("written");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }
}
