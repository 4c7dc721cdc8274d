//! What `append` reads: lines, NDJSON or CSV, one item after the other, each line bounded.

mod csv;
mod fields;
mod ndjson;
mod timestamp;

use std::io::{self, BufRead};

use bytes::Bytes;
use clap::ValueEnum;
use klstore_format::limits::MAX_VALUE_BYTES;
use klstore_format::names::KeyName;
use klstore_format::plan::{InvalidInsertion, validate};
use klstore_format::{Insertion, NameError};
use thiserror::Error;

pub use csv::CsvRules;
use csv::{Columns, CsvRows};
pub use fields::Fields;
pub use timestamp::{TimestampFormat, parse_timestamp};

/// Bytes of the longest line of text: the largest value and its line end.
const MAX_TEXT_LINE: u64 = MAX_VALUE_BYTES as u64 + 2;
/// Bytes of the longest line of NDJSON: the largest value, each byte written as `\u0000`, and the other fields.
const MAX_NDJSON_LINE: u64 = 6 * MAX_VALUE_BYTES as u64 + (64 << 10);
/// A line buffer beyond this is not kept for the next line.
const KEPT_BUFFER: usize = 1 << 20;
/// How much of an endless line is taken at once while it is skipped.
const SKIPPED_BYTES: u64 = 1 << 20;

/// How the input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Each line is a value, without its line end (LF or CRLF)
    Lines,
    /// Each line is a JSON object, see the command's help
    Ndjson,
    /// Each row is a value, see the command's help
    Csv,
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

/// A line that cannot be appended.
#[derive(Debug)]
pub struct Rejected {
    /// Why; `None` for what follows of a line that is too long.
    pub error: Option<InputError>,
    /// It, as it was read, its end included.
    pub raw: Vec<u8>,
}

/// Why a line cannot be appended.
#[derive(Debug, Error)]
#[error("line {line}: {problem}")]
pub struct InputError {
    /// The line's number, from 1.
    pub line: u64,
    pub problem: Problem,
}

impl InputError {
    /// Whether nothing behind the line can be read either.
    pub fn is_final(&self) -> bool {
        use Problem as P;
        matches!(self.problem, P::Read(_) | P::NoColumn { .. } | P::ColumnTwice { .. } | P::Header { .. })
    }
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
    #[error("has a key that cannot be one: {0}")]
    Key(#[from] NameError),
    #[error("has the nonce {nonce}, but --nonce line numbers the lines: leave one of them out")]
    TwoNonces { nonce: u128 },
    #[error("has no field `{field}`, or nothing in it")]
    NoField { field: String },
    #[error("its field `{field}` is neither text nor a number")]
    FieldKind { field: String },
    #[error("has {found} cells, the rows before have {expected}")]
    CellCount { found: usize, expected: usize },
    #[error("has more than {limit} cells")]
    TooManyCells { limit: usize },
    #[error("its cell {column} opens a quote that nothing closes, so all that follows would be part of it: close it")]
    UnclosedQuote { column: usize },
    #[error("its cell {column} goes on behind a closing quote: double the quotes within the cell")]
    AfterQuote { column: usize },
    #[error("its cell {column} is not UTF-8: convert the file, for example with iconv")]
    NotUtf8 { column: usize },
    #[error("names the column `{column}` twice: rename one, or use --no-header and columns 1, 2, 3...")]
    ColumnTwice { column: String },
    #[error("has no column `{column}`; the columns are {columns}")]
    NoColumn { column: String, columns: String },
    #[error("cannot be used as header: it {reason}")]
    Header { reason: String },
    #[error("the nonce {text} is no whole number from 0 to 2^128-2, as number or decimal string")]
    Nonce { text: String },
    #[error("the timestamp {text} is neither milliseconds since 1970 nor RFC 3339 such as 2013-01-01T10:15:00Z")]
    Timestamp { text: String },
    #[error("the timestamp {text} is not RFC 3339 such as 2013-01-01T10:15:00Z")]
    TimestampRfc3339 { text: String },
    #[error("the timestamp {text} is no count since 1970 that fits into the calendar")]
    TimestampCount { text: String },
    #[error("the timestamp {text} is not written as `{pattern}`")]
    TimestampPattern { text: String, pattern: String },
    #[error("{0}")]
    Refused(InvalidInsertion),
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
#[derive(Debug, Clone)]
pub struct InputRules {
    pub format: InputFormat,
    /// Whether each line names its key, or none does.
    pub keys_in_lines: bool,
    /// Which fields of NDJSON or CSV hold what. Without any, NDJSON is of klstore's own form.
    pub fields: Fields,
    pub timestamps: TimestampFormat,
    /// Whether a line's number, from 0, is its nonce (of CSV the row's, the header not counted).
    pub numbered: bool,
    pub csv: CsvRules,
    /// How far ahead of the clock timestamps may be, as the writer has it.
    pub max_future_skew_millis: Option<u64>,
}

/// The items of an input. After an error it goes on with the next line, unless nothing more can be read.
pub struct InputReader<R, C> {
    input: R,
    rules: InputRules,
    /// Milliseconds since 1970.
    clock: C,
    /// The last line that was read, from 1, and how many lines it has: a row of CSV may have several.
    line: u64,
    height: u64,
    /// Rows or lines before the current one, the header not counted.
    number: u64,
    /// The line, its end included.
    raw: Vec<u8>,
    rows: CsvRows,
    columns: Option<Columns>,
    /// Whether the rest of a line that is too long follows.
    skipping: bool,
    ended: bool,
}

impl<R: BufRead, C: Fn() -> i64> InputReader<R, C> {
    pub fn new(input: R, rules: InputRules, clock: C) -> Self {
        let rows = CsvRows::new(rules.csv);
        let (line, height, number, raw) = (0, 1, 0, Vec::new());
        Self { input, rules, clock, line, height, number, raw, rows, columns: None, skipping: false, ended: false }
    }

    fn next_item(&mut self) -> Result<Option<InputItem>, Problem> {
        let read = match self.rules.format {
            InputFormat::Lines => self.next_line()?,
            InputFormat::Ndjson => self.next_json()?,
            InputFormat::Csv => self.next_row()?,
        };
        let Some((key, mut insertion)) = read else { return Ok(None) };
        match &key {
            Some(key) if !self.rules.keys_in_lines => return Err(Problem::TwoKeys { key: shortened(key) }),
            Some(key) => drop(KeyName::new(key)?),
            None if self.rules.keys_in_lines => return Err(Problem::NoKey),
            None => {}
        }
        if self.rules.numbered {
            if let Some(nonce) = insertion.nonce {
                return Err(Problem::TwoNonces { nonce });
            }
            insertion.nonce = Some(u128::from(self.number) - 1);
        }
        self.check(&insertion)?;
        Ok(Some(InputItem { line: self.line, key, insertion }))
    }

    fn next_line(&mut self) -> Result<Option<(Option<String>, Insertion)>, Problem> {
        if !self.read_line(MAX_TEXT_LINE)? {
            return Ok(None);
        }
        Ok(Some((None, Insertion::new(Bytes::copy_from_slice(without_end(&self.raw))))))
    }

    fn next_json(&mut self) -> Result<Option<(Option<String>, Insertion)>, Problem> {
        loop {
            if !self.read_line(MAX_NDJSON_LINE)? {
                return Ok(None);
            }
            // Editors leave empty lines between and after JSON objects; among lines of text they are values.
            if !self.raw.trim_ascii().is_empty() {
                break;
            }
        }
        let line = without_end(&self.raw);
        let InputRules { fields, timestamps, .. } = &self.rules;
        let read = if fields.any() { fields.take_json(line, timestamps) } else { ndjson::parse(line, timestamps) };
        read.map(Some)
    }

    fn next_row(&mut self) -> Result<Option<(Option<String>, Insertion)>, Problem> {
        if self.columns.is_none() && self.rules.csv.header {
            let Some(count) = self.read_row().map_err(in_header)? else { return Ok(None) };
            self.number = 0;
            let columns = Columns::of_header(&self.rows, count, &self.rules.fields).map_err(in_header)?;
            self.columns = Some(columns);
        }
        let Some(count) = self.read_row()? else { return Ok(None) };
        let fields = &self.rules.fields;
        if self.columns.is_none() {
            self.columns = Some(Columns::numbered(count, fields)?);
        }
        let Some(columns) = &self.columns else { return Ok(None) };
        columns.take(&self.rows, count, fields, &self.rules.timestamps).map(Some)
    }

    fn read_row(&mut self) -> Result<Option<usize>, Problem> {
        self.begin_line();
        let read = self.rows.read_row(&mut self.input, &mut self.raw);
        // Empty lines are no rows: they stand before this one.
        let blank = self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
        let blank = blank.count() as u64;
        let ends = self.raw.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.line += blank;
        self.height = ends.saturating_sub(blank).max(1);
        if !matches!(read, Ok(None)) {
            self.number += 1;
        }
        self.skipping = matches!(read, Err(Problem::TooLong { .. } | Problem::TooManyCells { .. }));
        read
    }

    /// Reads a line with its end; whether there was one.
    fn read_line(&mut self, limit: u64) -> Result<bool, Problem> {
        self.begin_line();
        let read = io::Read::take(self.input.by_ref(), limit).read_until(b'\n', &mut self.raw)?;
        self.number += u64::from(read > 0);
        self.skipping = read as u64 == limit && self.raw.last() != Some(&b'\n');
        match self.skipping {
            true => Err(Problem::TooLong { limit }),
            false => Ok(read > 0),
        }
    }

    fn begin_line(&mut self) {
        self.line += self.height;
        self.height = 1;
        self.raw.clear();
        self.raw.shrink_to(KEPT_BUFFER);
    }

    /// What follows of a line that is too long; `None` behind its end.
    fn skip(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let mut raw = self.rows.take_rest();
        if raw.last() != Some(&b'\n') {
            io::Read::take(self.input.by_ref(), SKIPPED_BYTES).read_until(b'\n', &mut raw)?;
        }
        self.skipping = raw.last().is_some_and(|last| *last != b'\n');
        Ok(Some(raw).filter(|raw| !raw.is_empty()))
    }

    /// What the writer would refuse is refused here already, by its line.
    fn check(&self, insertion: &Insertion) -> Result<(), Problem> {
        let checked = validate(std::slice::from_ref(insertion), (self.clock)(), self.rules.max_future_skew_millis);
        checked.map_err(|invalid| match invalid {
            InvalidInsertion::ValueTooLarge { bytes, limit, .. } => Problem::ValueTooLarge { bytes, limit },
            InvalidInsertion::LastNonce { .. } => Problem::Nonce { text: u128::MAX.to_string() },
            InvalidInsertion::FutureTimestamp { timestamp, now, .. } => Problem::FutureTimestamp { timestamp, now },
            other => Problem::Refused(other),
        })
    }
}

impl<R: BufRead, C: Fn() -> i64> Iterator for InputReader<R, C> {
    type Item = Result<InputItem, Rejected>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.skipping {
            match self.skip() {
                Ok(None) => {}
                Ok(Some(raw)) => return Some(Err(Rejected { error: None, raw })),
                Err(problem) => return Some(Err(self.rejected(problem))),
            }
        }
        match self.next_item() {
            Ok(item) => item.map(Ok),
            Err(problem) => Some(Err(self.rejected(problem))),
        }
    }
}

impl<R, C> InputReader<R, C> {
    fn rejected(&mut self, problem: Problem) -> Rejected {
        let error = InputError { line: self.line, problem };
        self.ended = error.is_final();
        Rejected { error: Some(error), raw: std::mem::take(&mut self.raw) }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

/// Nothing can be read without a header.
fn in_header(problem: Problem) -> Problem {
    use Problem as P;
    match problem {
        P::Read(_) | P::NoColumn { .. } | P::ColumnTwice { .. } => problem,
        problem => P::Header { reason: problem.to_string() },
    }
}

/// A nonce in decimal digits.
///
/// # Errors
/// [`Problem::Nonce`].
fn parse_nonce(digits: &str) -> Result<u128, Problem> {
    let bad = || Problem::Nonce { text: shortened(digits) };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    digits.parse().map_err(|_| bad())
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
mod tests;
