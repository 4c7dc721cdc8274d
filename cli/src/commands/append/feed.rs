//! Takes the input to the appender.

use std::time::Duration;

use indicatif::ProgressBar;
use klstore_writer::{S3StoreWriter, WriterError};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::rejects::Rejects;
use super::source::Chunk;
use crate::appender::{AppendError, Appender};
use crate::failure::{Failure, Kind};
use crate::input::{InputError, InputItem};
use crate::output::count_text;
use crate::stop;

/// Where the input pauses for so long, what was read is appended in batches that are not full.
const PAUSE: Duration = Duration::from_millis(200);
/// So often they are also where the input trickles without a pause.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

pub struct Feed<'a> {
    appender: &'a mut Appender<S3StoreWriter>,
    key: Option<&'a str>,
    progress: &'a ProgressBar,
    rejects: &'a mut Rejects,
    may_trickle: bool,
    /// The line after the last one taken.
    next_line: u64,
}

impl<'a> Feed<'a> {
    pub fn new(
        appender: &'a mut Appender<S3StoreWriter>,
        key: Option<&'a str>,
        progress: &'a ProgressBar,
        rejects: &'a mut Rejects,
        may_trickle: bool,
    ) -> Self {
        Self { appender, key, progress, rejects, may_trickle, next_line: 1 }
    }

    /// Appends everything; until the end, a line that stops the command, or Ctrl-C.
    ///
    /// # Errors
    /// What ended it early, with the line where to go on.
    pub async fn take_all(&mut self, mut chunks: mpsc::Receiver<Chunk>) -> Result<(), Failure> {
        let stop = stop::requested()?;
        tokio::pin!(stop);
        let mut waited = tokio::time::interval(LONGEST_WAIT);
        waited.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = waited.tick(), if self.may_trickle => self.appender.send_waiting().await.map_err(not_appended)?,
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
                Err(rejected) => {
                    let Some(error) = self.rejects.take(rejected)? else { continue };
                    self.finish().await?;
                    return Err(bad_line(error));
                }
            };
            self.next_line = line + 1;
            let Some(key) = key.as_deref().or(self.key) else { continue };
            self.appender.push(line, key, insertion).await.map_err(not_appended)?;
        }
        Ok(())
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
