//! Lines that cannot be appended: where they go, and what is said of them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::input::{InputError, Rejected};
use crate::output::{Output, harmless, write_json_line};

/// What to do with a line that cannot be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    Stop,
    Skip,
    DeadLetter(PathBuf),
}

impl OnError {
    /// From the option's one or two values.
    ///
    /// # Errors
    /// Where they are others.
    pub fn parse(values: &[String]) -> Result<Self, Failure> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        match values[..] {
            [] | ["stop"] => Ok(Self::Stop),
            ["skip"] => Ok(Self::Skip),
            ["dead-letter", file] => Ok(Self::DeadLetter(file.into())),
            ["dead-letter"] => Err(Failure::new(Kind::Usage, "--on-error dead-letter names no file")
                .advice("write --on-error dead-letter FILE")),
            ["stop" | "skip", _] => Err(Failure::new(Kind::Usage, format!("--on-error {} takes no file", values[0]))
                .advice("put --on-error behind KEYSPACE and KEY")),
            _ => Err(Failure::new(Kind::Usage, format!("--on-error knows no `{}`", values[0]))
                .advice("write --on-error stop, skip, or dead-letter FILE")),
        }
    }
}

/// Takes the lines that cannot be appended.
pub struct Rejects {
    letters: Option<Letters>,
    stops: bool,
    json: bool,
    progress: ProgressBar,
    count: u64,
}

impl Rejects {
    /// Opens the file of dead letters, if there is to be one.
    ///
    /// # Errors
    /// Where that is not possible.
    pub fn open(on_error: &OnError, output: &Output, progress: ProgressBar) -> Result<Self, Failure> {
        let letters = match on_error {
            OnError::DeadLetter(path) => Some(Letters::open(path)?),
            OnError::Stop | OnError::Skip => None,
        };
        Ok(Self { letters, stops: *on_error == OnError::Stop, json: output.json, progress, count: 0 })
    }

    /// Whether a bad line does not stop the command.
    pub fn may_reject(&self) -> bool {
        !self.stops
    }

    /// Lines that were rejected.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Puts a line aside; `Ok(Some)` where the command is to stop at it.
    ///
    /// # Errors
    /// Where it cannot be kept as dead letter.
    pub fn take(&mut self, rejected: Rejected) -> Result<Option<InputError>, Failure> {
        if self.stops || rejected.error.as_ref().is_some_and(InputError::is_final) {
            return Ok(rejected.error);
        }
        if let Some(letters) = &mut self.letters {
            letters.add(&rejected)?;
        }
        if let Some(error) = rejected.error {
            self.count += 1;
            self.progress.suspend(|| self.say(&error));
        }
        Ok(None)
    }

    /// Brings the dead letters to the disk.
    ///
    /// # Errors
    /// Where that is not possible.
    pub fn close(&mut self) -> Result<(), Failure> {
        self.letters.as_mut().map_or(Ok(()), Letters::close)
    }

    fn say(&self, error: &InputError) {
        let mut err = io::stderr().lock();
        // Nowhere left to complain to.
        let _ = match self.json {
            true => write_json_line(
                &mut err,
                &json!({ "rejected": { "line": error.line, "reason": error.problem.to_string() } }),
            ),
            false => writeln!(err, "rejected: {}", harmless(&error.to_string())),
        };
    }
}

/// The file of dead letters: each ends with a line end, even where it was the input's last line and had none.
struct Letters {
    path: PathBuf,
    file: File,
    /// Whether the file's last line has no end yet: more of it may follow.
    within_line: bool,
}

impl Letters {
    fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io(&format!("cannot open {}", path.display()), error);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        // A command that was killed in the middle of a letter.
        let mut last = [b'\n'];
        if found.is_file() && found.len() > 0 {
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), file, within_line: last != [b'\n'] })
    }

    /// Adds a line, or what follows of one that is too long.
    fn add(&mut self, rejected: &Rejected) -> Result<(), Failure> {
        if rejected.error.is_some() {
            self.end_line()?;
        }
        self.file.write_all(&rejected.raw).map_err(|error| self.not_kept(error))?;
        if let Some(last) = rejected.raw.last() {
            self.within_line = *last != b'\n';
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.within_line) {
            self.file.write_all(b"\n").map_err(|error| self.not_kept(error))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.end_line()?;
        self.file.sync_all().map_err(|error| self.not_kept(error))
    }

    fn not_kept(&self, error: io::Error) -> Failure {
        Failure::io(&format!("cannot write the dead letter to {}", self.path.display()), error)
    }
}
