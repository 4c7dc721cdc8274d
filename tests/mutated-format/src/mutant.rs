//! The mutants, as cargo-mutants lists them.

use std::path::Path;

use crate::{Error, Result};

/// One change of one place.
#[derive(Debug, serde::Deserialize)]
pub struct Mutant {
    pub file: String,
    pub genre: Genre,
    pub name: String,
    pub replacement: String,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub enum Genre {
    BinaryOperator,
    FnValue,
    MatchArm,
    MatchArmGuard,
    StructField,
    UnaryOperator,
}

#[derive(Debug, serde::Deserialize)]
pub struct Span {
    pub start: Place,
    pub end: Place,
}

/// Both count from 1, the column in characters.
#[derive(Debug, serde::Deserialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A test fails, or does not end.
    Caught,
    /// All tests pass.
    Missed,
    /// The crate does not compile with it.
    NotViable,
    /// It cannot have a switch: to be compiled by itself.
    Alone,
}

impl Mutant {
    /// Its name without line and column, which change with every edit.
    pub fn without_place(&self) -> String {
        let mut parts = self.name.splitn(4, ':');
        match (parts.next(), parts.nth(2)) {
            (Some(file), Some(what)) => format!("{file}:{what}"),
            _ => self.name.clone(),
        }
    }
}

pub fn read_list(path: &Path) -> Result<Vec<Mutant>> {
    let text = crate::files::read(path)?;
    serde_json::from_str(&text).map_err(|source| Error::List { path: path.display().to_string(), source })
}
