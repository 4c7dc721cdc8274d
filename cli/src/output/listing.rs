//! Names as they come in: one a line, or one JSON object that is written bit by bit.

use std::io::{self, BufWriter, Stdout, Write};

use crate::failure::Failure;
use crate::output::{Output, write_json};

/// An answer that may be too long to keep in memory.
pub struct Listing {
    output: Output,
    out: BufWriter<Stdout>,
    is_first: bool,
}

impl Listing {
    /// Begins `{"keyspace": KEYSPACE, "NAME": [`, the keyspace only where there is one.
    pub fn begin(output: &Output, name: &str, keyspace: Option<&str>) -> Result<Self, Failure> {
        let mut listing = Self { output: *output, out: BufWriter::new(io::stdout()), is_first: true };
        if output.json {
            listing.write_head(name, keyspace).map_err(Failure::output)?;
        }
        Ok(listing)
    }

    /// Adds names and brings them to the reader.
    pub fn add<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        for name in names {
            self.write_name(name).map_err(Failure::output)?;
            self.is_first = false;
        }
        self.out.flush().map_err(Failure::output)
    }

    pub fn end(mut self) -> Result<(), Failure> {
        let end = if self.output.json { "]}\n" } else { "" };
        self.out.write_all(end.as_bytes()).and_then(|()| self.out.flush()).map_err(Failure::output)
    }

    fn write_head(&mut self, name: &str, keyspace: Option<&str>) -> io::Result<()> {
        self.out.write_all(b"{")?;
        if let Some(keyspace) = keyspace {
            self.out.write_all(b"\"keyspace\":")?;
            write_json(&mut self.out, &keyspace)?;
            self.out.write_all(b",")?;
        }
        write_json(&mut self.out, &name)?;
        self.out.write_all(b":[")
    }

    fn write_name(&mut self, name: &str) -> io::Result<()> {
        if !self.output.json {
            self.out.write_all(&self.output.shown(name.as_bytes()))?;
            return self.out.write_all(b"\n");
        }
        if !self.is_first {
            self.out.write_all(b",")?;
        }
        write_json(&mut self.out, &name)
    }
}
