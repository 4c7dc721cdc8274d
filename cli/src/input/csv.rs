//! Rows of CSV (RFC 4180), one after the other, each bounded.

use std::borrow::Cow;
use std::io::BufRead;

use bytes::Bytes;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use klstore_format::Insertion;
use klstore_format::limits::MAX_VALUE_BYTES;

use super::fields::Fields;
use super::timestamp::TimestampFormat;
use super::{Problem, shortened};

/// Bytes of the longest row: the largest value with each byte a doubled quote, and the other cells.
pub const MAX_ROW: u64 = 2 * MAX_VALUE_BYTES as u64 + (64 << 10);
const MAX_CELLS: usize = 1 << 14;

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvRules {
    /// What stands between cells.
    pub delimiter: u8,
    /// Whether the first row names the columns; else they are named 1, 2, 3...
    pub header: bool,
}

impl Default for CsvRules {
    fn default() -> Self {
        Self { delimiter: b',', header: true }
    }
}

/// The rows of an input.
pub struct CsvRows {
    core: Reader,
    delimiter: u8,
    /// The current line, its end included, and how much of it belongs to rows already.
    line: Vec<u8>,
    at: usize,
    cells: Vec<u8>,
    ends: Vec<usize>,
    ended: bool,
}

impl CsvRows {
    pub fn new(rules: CsvRules) -> Self {
        let core = ReaderBuilder::new().delimiter(rules.delimiter).build();
        let delimiter = rules.delimiter;
        Self { core, delimiter, line: Vec::new(), at: 0, cells: vec![0; 1 << 12], ends: vec![0; 1 << 6], ended: false }
    }

    /// Whether a part of the next row is in memory.
    pub fn has_rest(&self) -> bool {
        self.at < self.line.len()
    }

    /// Reads the next row into `raw`, byte for byte, and gives the number of its cells; `None` at the end.
    ///
    /// After [`Problem::TooLong`] the rest of the line is to be skipped, and the rows go on behind it.
    pub fn read_row(&mut self, input: &mut impl BufRead, raw: &mut Vec<u8>) -> Result<Option<usize>, Problem> {
        let (mut cells, mut count) = (0, 0);
        loop {
            if !self.has_rest() && !self.ended {
                self.read_line(input, MAX_ROW.saturating_sub(raw.len() as u64))?;
                if self.line.is_empty() && !self.ended {
                    self.core.reset();
                    return Err(Problem::TooLong { limit: MAX_ROW });
                }
            }
            let rest = self.line.get(self.at..).unwrap_or_default();
            let free = self.cells.get_mut(cells..).unwrap_or_default();
            let free_ends = self.ends.get_mut(count..).unwrap_or_default();
            let (result, taken, written, ended) = self.core.read_record(rest, free, free_ends);
            raw.extend_from_slice(rest.get(..taken).unwrap_or_default());
            (self.at, cells, count) = (self.at + taken, cells + written, count + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_CELLS => {
                    self.core.reset();
                    return Err(Problem::TooManyCells { limit: MAX_CELLS });
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    // The core ends a row at the CR and would take the LF for the begin of the next one.
                    if raw.last() == Some(&b'\r') && self.line.get(self.at) == Some(&b'\n') {
                        raw.push(b'\n');
                        self.at += 1;
                    }
                    check_quotes(raw, self.delimiter)?;
                    return Ok(Some(count));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn read_line(&mut self, input: &mut impl BufRead, limit: u64) -> Result<(), Problem> {
        self.line.clear();
        self.at = 0;
        if limit > 0 {
            let read = std::io::Read::take(input.by_ref(), limit).read_until(b'\n', &mut self.line)?;
            self.ended = read == 0;
        }
        Ok(())
    }

    /// What of the current line belongs to no row yet; it is taken.
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.line.split_off(self.at.min(self.line.len()));
        self.line.clear();
        self.at = 0;
        rest
    }

    /// A cell of the last row.
    fn cell(&self, index: usize) -> Option<&[u8]> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.cells.get(start..*self.ends.get(index)?)
    }

    fn text(&self, index: usize) -> Result<&str, Problem> {
        let cell = self.cell(index).unwrap_or_default();
        std::str::from_utf8(cell).map_err(|_| Problem::NotUtf8 { column: index + 1 })
    }
}

/// Whether the quotes of a row are as RFC 4180 has them: the core takes any, and the rest of the input for a cell that
/// is never closed.
fn check_quotes(row: &[u8], delimiter: u8) -> Result<(), Problem> {
    enum At {
        Begin,
        Plain,
        Quoted,
        /// Behind a quote within quotes: the cell's end, or the first half of a quote in it.
        Quote,
    }
    if !row.contains(&b'"') {
        return Ok(());
    }
    let (mut at, mut column) = (At::Begin, 1);
    for byte in row.strip_prefix(b"\xef\xbb\xbf").unwrap_or(row) {
        at = match (at, *byte) {
            (At::Begin | At::Quote, b'"') | (At::Quoted, b'\0'..=b'!' | b'#'..) => At::Quoted,
            (At::Quoted, _) => At::Quote,
            (_, byte) if byte == delimiter => {
                column += 1;
                At::Begin
            }
            (_, b'\r' | b'\n') => At::Begin,
            (At::Quote, _) => return Err(Problem::AfterQuote { column }),
            (At::Begin | At::Plain, _) => At::Plain,
        };
    }
    match at {
        At::Quoted => Err(Problem::UnclosedQuote { column }),
        _ => Ok(()),
    }
}

/// The names of the columns.
pub struct Columns {
    names: Vec<String>,
    /// As JSON, quoted.
    quoted: Vec<String>,
}

impl Columns {
    /// From the header that was read last.
    ///
    /// # Errors
    /// Names that occur twice, and fields that name no column.
    pub fn of_header(rows: &CsvRows, count: usize, fields: &Fields) -> Result<Self, Problem> {
        let names: Vec<String> =
            (0..count).map(|index| rows.text(index).map(str::to_owned)).collect::<Result<_, _>>()?;
        Self::of(names, fields)
    }

    /// 1, 2, 3...
    ///
    /// # Errors
    /// Fields that name no column.
    pub fn numbered(count: usize, fields: &Fields) -> Result<Self, Problem> {
        Self::of((1..=count).map(|number| number.to_string()).collect(), fields)
    }

    fn of(names: Vec<String>, fields: &Fields) -> Result<Self, Problem> {
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Problem::ColumnTwice { column: shortened(twice) });
        }
        let named = [&fields.key, &fields.nonce, &fields.timestamp, &fields.value];
        for field in named.into_iter().flatten() {
            if !names.contains(field) {
                let columns = shortened(&names.join(", "));
                return Err(Problem::NoColumn { column: shortened(field), columns });
            }
        }
        let quoted = names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
        Ok(Self { names, quoted })
    }

    /// The key, if a column holds it, and the item of the last row, which has `count` cells.
    pub fn take(
        &self,
        rows: &CsvRows,
        count: usize,
        fields: &Fields,
        format: &TimestampFormat,
    ) -> Result<(Option<String>, Insertion), Problem> {
        if count != self.names.len() {
            return Err(Problem::CellCount { found: count, expected: self.names.len() });
        }
        for index in 0..count {
            rows.text(index)?;
        }
        let find = |field: &str| match self.names.iter().position(|name| name == field) {
            Some(index) => Ok(Some(rows.text(index)?).filter(|text| !text.is_empty()).map(Cow::Borrowed)),
            None => Ok(None),
        };
        if fields.value.as_ref().is_some_and(|value| find(value).is_ok_and(|text| text.is_none())) {
            // An empty cell is an empty value; it is no key, nonce or timestamp.
            let others = Fields { value: None, ..fields.clone() };
            return others.take(format, find, Bytes::new);
        }
        fields.take(format, find, || self.object(rows))
    }

    /// The last row as a JSON object of texts.
    fn object(&self, rows: &CsvRows) -> Bytes {
        let mut object = Vec::new();
        for (index, name) in self.quoted.iter().enumerate() {
            object.push(if index == 0 { b'{' } else { b',' });
            object.extend_from_slice(name.as_bytes());
            object.push(b':');
            let text = rows.text(index).unwrap_or_default();
            object.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        }
        object.push(b'}');
        object.into()
    }
}
