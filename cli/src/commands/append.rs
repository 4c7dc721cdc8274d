//! `klstore append`: lines or NDJSON into a list, or into many.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use klstore_format::Insertion;
use klstore_writer::{S3StoreWriter, StoreWriter, WriterError};
use serde_json::json;
use tokio::sync::mpsc;

use crate::appender::{AppendError, Appender, AppenderLimits, Totals};
use crate::failure::{Failure, Kind};
use crate::input::{InputError, InputFormat, InputItem, InputReader, InputRules};
use crate::output::{Output, count_text};
use crate::settings::StoreArguments;
use crate::stop;
use crate::store;

/// Items and bytes that the reading thread hands over at once.
const CHUNK_ITEMS: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that may wait between the reading thread and the appender.
const WAITING_CHUNKS: usize = 4;
/// Where the input pauses for so long, what was read is appended in batches that are not full.
const PAUSE: Duration = Duration::from_millis(200);
const INPUT_BUFFER: usize = 256 << 10;

/// Append lines or NDJSON to a list, or to many
///
/// Items go in batches of up to 1,000 items or 1 MiB, many keys at once, each key's items in their order; where the
/// input pauses, at once. A line that cannot be used stops the command with its number, after everything before it
/// was appended.
#[derive(Debug, Args)]
#[command(after_help = "\
NDJSON: one object a line, and no other fields than these:
  \"key\"           the list; required where KEY is not given, refused where it is
  \"value\"         text, or instead \"value_base64\": any bytes
  \"nonce\"         a number or a decimal string, 0 to 2^128-2. In a list nonces increase:
                  an item whose nonce is below the list's next one is there already and
                  dropped as a duplicate, so that an import can simply be started again
  \"timestamp\"     milliseconds since 1970, or RFC 3339; now, if left out
  \"offset\"        is ignored (`klstore read` writes it)

Examples:
  echo 21.5 | klstore append sensors kitchen
  klstore append sensors kitchen --input readings.txt
  echo '{\"key\":\"kitchen\",\"value\":\"21.5\",\"nonce\":1}' | klstore append sensors
  klstore read sensors kitchen | klstore append archive kitchen --format ndjson")]
pub struct Arguments {
    /// Keyspace
    keyspace: String,
    /// Key of the list; without it each line of NDJSON names its own
    key: Option<String>,
    /// File to read; `-` or nothing is stdin
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How the input is written; `lines` if not given, but `ndjson` without KEY or for *.ndjson and *.jsonl
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
}

pub async fn run(arguments: Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let input = arguments.input.as_deref().filter(|path| path.as_os_str() != "-");
    let config = store::config(store).await?;
    let rules = InputRules {
        format: format(&arguments, input)?,
        keys_in_lines: arguments.key.is_none(),
        max_future_skew_millis: config.max_future_skew_millis,
    };
    let progress = progress(input);
    let source = open(input, &progress)?;
    // Before anything is read: a typing error in the store's name is not to cost a pipe its data.
    let writer = Arc::new(S3StoreWriter::new(config).await?);
    let mut appender = Appender::new(writer.clone(), &arguments.keyspace, AppenderLimits::default());
    // An input without items finds out too whether the keyspace exists.
    writer.append_list(&arguments.keyspace, arguments.key.as_deref().unwrap_or("-"), Vec::new()).await?.await?;

    let mut feed = Feed { appender: &mut appender, key: arguments.key.as_deref(), progress: &progress, next_line: 1 };
    let ended = feed.take_all(read_in_thread(source, rules)).await;
    progress.finish_and_clear();
    let totals = appender.totals();
    let answer = json!({ "appended": totals.appended, "duplicates": totals.duplicates, "keys": totals.keys });
    ended.map_err(|failure| failure.after(answer.clone()))?;
    close(&writer).await;
    output.answer(&answer, &text(totals))
}

fn format(arguments: &Arguments, input: Option<&Path>) -> Result<InputFormat, Failure> {
    let by_name = input.and_then(Path::extension).is_some_and(|name| name == "ndjson" || name == "jsonl");
    match (arguments.format, &arguments.key) {
        (Some(InputFormat::Lines), None) => Err(Failure::new(Kind::Usage, "lines of text name no key")
            .advice("give KEY after the keyspace, or use --format ndjson with a \"key\" in each line")),
        (Some(format), _) => Ok(format),
        (None, Some(_)) if !by_name => Ok(InputFormat::Lines),
        (None, _) => Ok(InputFormat::Ndjson),
    }
}

fn open(input: Option<&Path>, progress: &ProgressBar) -> Result<Box<dyn Read + Send>, Failure> {
    let Some(path) = input else {
        if io::stdin().is_terminal() {
            eprintln!("reading from the terminal: end with Ctrl-D on a line of its own");
        }
        return Ok(Box::new(progress.wrap_read(io::stdin())));
    };
    let file = File::open(path).map_err(|error| Failure::io(&format!("cannot open {}", path.display()), error))?;
    Ok(Box::new(progress.wrap_read(file)))
}

/// A bar where the input's size is known, else a count; nothing unless stderr is a terminal.
fn progress(input: Option<&Path>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let size = input.and_then(|path| path.metadata().ok()).filter(|found| found.is_file()).map(|found| found.len());
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:30} {bytes}/{total_bytes}  {msg}  {bytes_per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} read  {msg}  {bytes_per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

type Chunk = Vec<Result<InputItem, InputError>>;

/// Reads in a thread of its own, as reading may block for ever.
fn read_in_thread(source: Box<dyn Read + Send>, rules: InputRules) -> mpsc::Receiver<Chunk> {
    let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
    std::thread::spawn(move || {
        let clock = || jiff::Timestamp::now().as_millisecond();
        let mut items = InputReader::new(BufReader::with_capacity(INPUT_BUFFER, source), rules, clock);
        loop {
            let (mut chunk, mut bytes) = (Chunk::new(), 0);
            while let Some(item) = items.next() {
                bytes += item.as_ref().map_or(0, |item| item.insertion.value.len());
                chunk.push(item);
                if chunk.len() == CHUNK_ITEMS || bytes >= CHUNK_BYTES || !items.has_next_line_at_hand() {
                    break;
                }
            }
            if chunk.is_empty() || sender.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Takes the input to the appender.
struct Feed<'a> {
    appender: &'a mut Appender<S3StoreWriter>,
    key: Option<&'a str>,
    progress: &'a ProgressBar,
    /// The line after the last one taken.
    next_line: u64,
}

impl Feed<'_> {
    async fn take_all(&mut self, mut chunks: mpsc::Receiver<Chunk>) -> Result<(), Failure> {
        let stop = stop::requested()?;
        tokio::pin!(stop);
        loop {
            let pause = tokio::time::sleep(PAUSE);
            tokio::select! {
                chunk = chunks.recv() => match chunk {
                    Some(chunk) => self.take(chunk).await?,
                    None => return self.finish().await,
                },
                () = pause, if self.appender.is_busy() => {
                    self.appender.send_waiting().await.map_err(not_appended)?;
                }
                () = &mut stop => {
                    self.finish().await?;
                    return Err(stopped(self.next_line));
                }
            }
            self.progress.set_message(format!("{} appended", count_text(self.appender.totals().appended)));
        }
    }

    async fn take(&mut self, chunk: Chunk) -> Result<(), Failure> {
        for item in chunk {
            let InputItem { line, key, insertion } = match item {
                Ok(item) => item,
                Err(error) => {
                    self.finish().await?;
                    return Err(bad_line(error));
                }
            };
            self.next_line = line + 1;
            let Some(key) = key.as_deref().or(self.key) else { continue };
            self.push(line, key, insertion).await?;
        }
        Ok(())
    }

    async fn push(&mut self, line: u64, key: &str, insertion: Insertion) -> Result<(), Failure> {
        self.appender.push(line, key, insertion).await.map_err(not_appended)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        self.appender.finish().await.map_err(not_appended)
    }
}

fn bad_line(error: InputError) -> Failure {
    let line = error.line;
    Failure::new(Kind::Usage, error.to_string())
        .advice(format!("everything before line {line} was appended: correct it and go on from there"))
}

fn not_appended(error: AppendError) -> Failure {
    let AppendError { error, key, resume_line } = error;
    let is_name = matches!(error.cause(), WriterError::InvalidName(_));
    let mut failure = Failure::from(error);
    if !is_name {
        failure.what = format!("key `{key}`: {}", failure.what);
    }
    let resume = format!(
        "everything before line {resume_line} was appended; of that line and those after it some may be, which \
         nonces keep from being appended twice"
    );
    failure.advice = Some(match failure.advice {
        Some(advice) => format!("{advice}\n{resume}"),
        None => resume,
    });
    failure
}

fn stopped(next_line: u64) -> Failure {
    Failure::new(Kind::Failed, "stopped before the end of the input")
        .advice(format!("everything before line {next_line} was appended: go on from there"))
}

/// The items are in the store already; what may fail here is only tidying up, which a later append does as well.
async fn close(writer: &S3StoreWriter) {
    if let Err(error) = writer.close().await {
        tracing::warn!(%error, "the lists were not tidied up; a later append does that");
    }
}

fn text(totals: Totals) -> String {
    let Totals { appended, duplicates, keys } = totals;
    let items = if appended == 1 { "item" } else { "items" };
    let keys = if keys == 1 { "1 key".to_owned() } else { format!("{} keys", count_text(keys)) };
    match duplicates {
        0 => format!("appended {} {items} to {keys}", count_text(appended)),
        _ => format!(
            "appended {} {items} to {keys}, dropped {} duplicates",
            count_text(appended),
            count_text(duplicates)
        ),
    }
}
