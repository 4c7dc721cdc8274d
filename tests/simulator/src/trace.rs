//! What happened in a run, in order, where somebody wants to know: the words, and a hash of them.

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
    /// A record of all that happens; the default one records nothing.
    pub fn in_words() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Adds what happened at `now` microseconds.
    pub fn note(&mut self, now: u64, what: impl FnOnce() -> String) {
        // Nobody reads the words of most runs: a tenth of their time.
        let Some(lines) = &mut self.lines else { return };
        let what = what();
        (now, &what).hash(&mut self.hasher);
        if lines.len() < MAX_LINES {
            lines.push(format!("{:>12.6} {what}", now as f64 / 1e6));
        }
    }

    /// A number for all that was recorded: equal for equal runs.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The words, where they were recorded.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
