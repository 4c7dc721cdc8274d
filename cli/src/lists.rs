//! Work on one list, or on all of a keyspace: some at once, and what fails with one does not end the others.

use futures::future::join_all;
use indicatif::ProgressBar;
use klstore_reader::S3StoreReader;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::keys::{Keys, keys_of};
use crate::output::{Output, harmless, plural};

/// Failed lists that are named in JSON; more are only counted.
const MAX_NAMED: usize = 1_000;

/// Goes through lists in rounds and keeps what failed.
pub struct Lists<'a> {
    keys: Keys<'a>,
    /// Keys that were looked up before their round.
    waiting: Option<Vec<String>>,
    /// Whether one list is meant, by its key.
    single: bool,
    bar: ProgressBar,
    json: bool,
    done: u64,
    failed: u64,
    first: Option<Failure>,
    named: Vec<Value>,
    /// Whether the failures are of several kinds.
    mixed: bool,
    gave_up: bool,
}

impl<'a> Lists<'a> {
    /// The list of the key, which has to exist, or all of the keyspace. Failures are told beside the bar.
    pub fn new(
        reader: &'a S3StoreReader,
        keyspace: &'a str,
        key: Option<&'a str>,
        output: &Output,
        bar: ProgressBar,
    ) -> Self {
        Self {
            keys: keys_of(reader, keyspace, key),
            waiting: None,
            single: key.is_some(),
            bar,
            json: output.json,
            done: 0,
            failed: 0,
            first: None,
            named: Vec::new(),
            mixed: false,
            gave_up: false,
        }
    }

    /// Lists whose work is done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Lists whose work failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Looks up the first keys: whether the keyspace, or the key, exists.
    ///
    /// # Errors
    /// Where it does not, and those of a LIST.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        if self.waiting.is_none() {
            self.waiting = Some(self.keys.some().await?);
        }
        Ok(())
    }

    /// Does the work for some lists at once, and gives what came out for those where it succeeded; `None` at the end.
    /// Where all of a round failed for want of an answer or of access, there is no further one.
    ///
    /// # Errors
    /// No such keyspace or key, and those of a LIST; not those of the work.
    pub async fn round<T>(
        &mut self,
        work: impl AsyncFn(&str) -> Result<T, Failure>,
    ) -> Result<Option<Vec<(String, T)>>, Failure> {
        if self.gave_up {
            return Ok(None);
        }
        self.begin().await?;
        let keys = self.waiting.take().unwrap_or_default();
        if keys.is_empty() {
            return Ok(None);
        }
        let results = join_all(keys.iter().map(|key| work(key))).await;
        let mut done = Vec::with_capacity(keys.len());
        let mut hopeless = true;
        for (key, result) in keys.into_iter().zip(results) {
            match result {
                Ok(output) => {
                    hopeless = false;
                    done.push((key, output));
                }
                Err(failure) => {
                    hopeless = hopeless && matches!(failure.kind, Kind::Unavailable | Kind::Access);
                    self.add(&key, failure);
                }
            }
        }
        self.done += done.len() as u64;
        self.gave_up = hopeless;
        Ok(Some(done))
    }

    fn add(&mut self, key: &str, failure: Failure) {
        self.failed += 1;
        if self.json {
            if self.named.len() < MAX_NAMED {
                self.named.push(json!({ "key": key, "kind": failure.kind.name(), "message": failure.what }));
            }
        } else if !self.single {
            let line = format!("failed: key `{key}`: {}", failure.what);
            self.bar.suspend(|| eprintln!("{}", harmless(&line)));
        }
        match &self.first {
            Some(first) => self.mixed = self.mixed || first.kind != failure.kind,
            None => self.first = Some(Failure { what: format!("key `{key}`: {}", failure.what), ..failure }),
        }
    }

    /// Answers, and says what failed: with one list its own failure alone, which tells what was done before.
    ///
    /// # Errors
    /// Where something failed.
    pub fn end(self, output: &Output, mut json: Value, text: &str) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if let (Some(first), true) = (&self.first, self.single) {
            return Err(Failure { done: Some(json), ..first.clone() });
        }
        json["failed_lists"] = self.failed.into();
        json["failed"] = self.named.into();
        output.answer(&json, text)?;
        let Some(first) = self.first else { return Ok(()) };
        let kind = if self.mixed { Kind::Failed } else { first.kind };
        let of = plural(self.done + self.failed, "list");
        let others = match self.gave_up {
            true => "others were not tried",
            false => "the others are done",
        };
        let what = format!("{} of {of} failed, {others}; the first: {}", self.failed, first.what);
        Err(Failure { kind, what, ..first })
    }
}
