//! `klstore append`: lines, NDJSON or CSV into a list, or into many.

mod feed;
mod rejects;
mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use klstore_writer::StoreWriter;
use serde_json::{Value, json};

use crate::appender::{Appender, AppenderLimits, Totals};
use crate::failure::{Failure, Kind};
use crate::input::{CsvRules, Fields, InputFormat, InputRules, TimestampFormat};
use crate::output::{Output, plural};
use crate::settings::StoreArguments;
use crate::store;

use feed::Feed;
use rejects::{OnError, Rejects};
use source::Source;

/// Append lines, NDJSON or CSV to a list, or to many
///
/// Items go in batches of up to 1,000 items or 1 MiB, many keys at once, each key's items in their order; where the
/// input pauses, at once, and from a pipe within a second. A line that cannot be used stops the command with its
/// number, after everything before it was appended, unless --on-error says otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
NDJSON, without any of the --*-field options: one object a line, and no other fields than
  \"key\"           the list; required where KEY is not given, refused where it is
  \"value\"         text, or instead \"value_base64\": any bytes
  \"nonce\"         a number or a decimal string, 0 to 2^128-2. In a list nonces increase:
                  an item whose nonce is below the list's next one is there already and
                  dropped as a duplicate, so that an import can simply be started again
  \"timestamp\"     milliseconds since 1970, or RFC 3339; now, if left out
  \"offset\"        is ignored (`klstore read` writes it)

NDJSON with one of them: objects of any shape. A field is a name, or a JSON pointer such
as /device/id. The whole line is the value, unless --value-field names a field.

CSV (RFC 4180, UTF-8): the first row names the columns, which the --*-field options name.
The value is the row as JSON object, {\"column\":\"cell\",...}, unless --value-field names a
column. A row must have as many cells as the header.

Started again: with --nonce line the number of a line is its nonce, from 0 (of CSV the
row's, the header not counted). After whatever stop, the same command on the same input
goes on where it was: what is there already is dropped as duplicate.

Rejected lines (--on-error skip or dead-letter) do not change the exit code; the summary
counts them. Dead letters are added to FILE as they were read, each with a line end and
without the CSV header. An import that is started again reads from the beginning and so
adds the dead letters that it had added before once more: give it a new FILE.

Examples:
  echo 21.5 | klstore append sensors kitchen
  klstore append sensors kitchen --input readings.txt
  echo '{\"key\":\"kitchen\",\"value\":\"21.5\",\"nonce\":1}' | klstore append sensors
  klstore append flights all --input flights.csv --nonce line --timestamp-field time_hour
  klstore append flights --input flights.csv --key-field tailnum --nonce line \\
    --on-error dead-letter rejected.csv
  tail -F app.log | klstore append logs app --format ndjson --timestamp-field /time")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; without it each line names its own: in "key", or in --key-field
    key: Option<String>,
    /// File to read; `-` or nothing is stdin
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How the input is written; by the file's name (*.ndjson, *.jsonl, *.csv), else lines with KEY and ndjson without
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// What to do with a line that cannot be used: `stop`, `skip` it, or `dead-letter FILE`: append it to FILE as it
    /// was read. The reason goes to stderr, with the line's number
    #[arg(long, value_name = "stop|skip|dead-letter FILE", num_args = 1..=2)]
    on_error: Vec<String>,
    #[command(flatten)]
    fields: FieldArguments,
    #[command(flatten)]
    csv: CsvArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Fields of NDJSON or CSV")]
struct FieldArguments {
    /// Field or column with the key of the list
    #[arg(long, value_name = "FIELD", conflicts_with = "key")]
    key_field: Option<String>,
    /// Field or column with the nonce
    #[arg(long, value_name = "FIELD", conflicts_with = "nonce")]
    nonce_field: Option<String>,
    /// Field or column with the timestamp
    #[arg(long, value_name = "FIELD")]
    timestamp_field: Option<String>,
    /// Field or column with the value; without it the whole line, or the row as JSON object, is the value
    #[arg(long, value_name = "FIELD")]
    value_field: Option<String>,
    /// How timestamps are written: rfc3339 or milliseconds (both if not given), seconds, microseconds, nanoseconds, or
    /// a pattern such as '%d.%m.%Y %H:%M:%S %z' (UTC where it has no %z)
    #[arg(long, value_name = "FORMAT")]
    timestamp_format: Option<TimestampFormat>,
    /// `line`: number the lines, so that a restarted import goes on where it was
    #[arg(long, value_enum)]
    nonce: Option<Numbering>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Numbering {
    /// A line's number, from 0, is its nonce
    Line,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "CSV")]
struct CsvArguments {
    /// What stands between cells: one ASCII character, or `tab`
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// The first row is data too: columns are named 1, 2, 3...
    #[arg(long)]
    no_header: bool,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [one] if *one != b'"' && !one.is_ascii_control() => Ok(*one),
        b"tab" | b"\\t" | b"\t" => Ok(b'\t'),
        _ => Err("give one ASCII character, or `tab`".to_owned()),
    }
}

pub async fn run(arguments: Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let input = arguments.input.as_deref().filter(|path| path.as_os_str() != "-");
    let config = store::config(store).await?;
    let rules = arguments.rules(input, config.max_future_skew_millis)?;
    let on_error = OnError::parse(&arguments.on_error)?;
    let source = Source::open(input)?;
    // Before anything is read: a typing error in the store's name is not to cost a pipe its data.
    let writer = Arc::new(store::writer_of(config, store).await?);
    let mut appender = Appender::new(writer.clone(), &arguments.keyspace, AppenderLimits::default());
    // An input without items finds out too whether the keyspace exists.
    writer.append_list(&arguments.keyspace, arguments.key.as_deref().unwrap_or("-"), Vec::new()).await?.await?;

    let progress = source.progress().clone();
    let mut rejects = Rejects::open(&on_error, output, progress.clone())?;
    let key = arguments.key.as_deref();
    let mut feed = Feed::new(&mut appender, key, &progress, &mut rejects, source.may_trickle());
    let ended = feed.take_all(source.read(rules)).await;
    progress.finish_and_clear();
    let answer = json(appender.totals(), &rejects);
    // Whatever ended it: the letters so far are to stay.
    let kept = rejects.close();
    ended.and(kept).map_err(|failure| failure.after(answer.clone()))?;
    store::tidy_up(&writer, store).await;
    output.answer(&answer, &text(appender.totals(), &rejects))
}

impl Arguments {
    fn rules(&self, input: Option<&Path>, max_future_skew_millis: Option<u64>) -> Result<InputRules, Failure> {
        let FieldArguments { key_field, nonce_field, timestamp_field, value_field, timestamp_format, nonce } =
            &self.fields;
        let fields = Fields {
            key: key_field.clone(),
            nonce: nonce_field.clone(),
            timestamp: timestamp_field.clone(),
            value: value_field.clone(),
        };
        let format = self.format(input, &fields);
        let usage = |what: &str, advice: &str| Err(Failure::new(Kind::Usage, what).advice(advice));
        match format {
            InputFormat::Lines if self.key.is_none() => {
                return usage(
                    "lines of text name no key",
                    "give KEY after the keyspace, or use --format ndjson with a \"key\" in each line",
                );
            }
            InputFormat::Lines if fields.any() => {
                return usage("lines of text have no fields", "say --format ndjson or --format csv");
            }
            InputFormat::Csv if self.key.is_none() && fields.key.is_none() => {
                return usage(
                    "no column is named that holds the key",
                    "name it with --key-field, or give KEY after the keyspace",
                );
            }
            InputFormat::Ndjson if self.key.is_none() && fields.any() && fields.key.is_none() => {
                return usage(
                    "no field is named that holds the key",
                    "name it with --key-field, or give KEY after the keyspace",
                );
            }
            _ => {}
        }
        Ok(InputRules {
            format,
            keys_in_lines: self.key.is_none(),
            fields,
            timestamps: timestamp_format.clone().unwrap_or_default(),
            numbered: nonce.is_some(),
            csv: CsvRules { delimiter: self.csv.delimiter, header: !self.csv.no_header },
            max_future_skew_millis,
        })
    }

    fn format(&self, input: Option<&Path>, fields: &Fields) -> InputFormat {
        let extension = input.and_then(Path::extension).and_then(|name| name.to_str());
        match (self.format, extension) {
            (Some(format), _) => format,
            (None, Some("ndjson" | "jsonl")) => InputFormat::Ndjson,
            (None, Some("csv")) => InputFormat::Csv,
            (None, _) if self.key.is_some() && !fields.any() => InputFormat::Lines,
            (None, _) => InputFormat::Ndjson,
        }
    }
}

fn json(totals: Totals, rejects: &Rejects) -> Value {
    let Totals { appended, duplicates, keys } = totals;
    let mut answer = json!({ "appended": appended, "duplicates": duplicates, "keys": keys });
    // Where a bad line stops the command, none is rejected.
    if rejects.may_reject() {
        answer["rejected"] = rejects.count().into();
    }
    answer
}

fn text(totals: Totals, rejects: &Rejects) -> String {
    let Totals { appended, duplicates, keys } = totals;
    let mut text = format!("appended {} to {}", plural(appended, "item"), plural(keys, "key"));
    if duplicates > 0 {
        text += &format!(", dropped {}", plural(duplicates, "duplicate"));
    }
    if rejects.count() > 0 {
        text += &format!(", rejected {}", plural(rejects.count(), "line"));
    }
    text
}
