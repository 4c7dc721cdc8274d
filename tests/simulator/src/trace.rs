//! What happened in a run, in order: a hash of it, and on demand the words.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines that are kept of a long run.
const MAX_LINES: usize = 200_000;

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A record of the words, too.
    pub fn in_words() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Adds what happened at `now` microseconds.
    pub fn note(&mut self, now: u64, what: impl FnOnce() -> String) {
        let what = what();
        (now, &what).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines
            && lines.len() < MAX_LINES
        {
            lines.push(format!("{:>12.6} {what}", now as f64 / 1e6));
        }
    }

    /// A number for all that happened: equal for equal runs.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The words, where they were recorded.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
