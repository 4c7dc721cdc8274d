//! Sources, of the repository and of its copy.

use std::collections::BTreeSet;
use std::path::Path;

use crate::mutant::Mutant;
use crate::{Error, Result};

/// The crate's own, which gets the switches.
pub const LIBRARY: &str = "format/src/lib.rs";

/// The files that have mutants.
pub fn of(mutants: &[Mutant]) -> BTreeSet<&str> {
    mutants.iter().map(|mutant| mutant.file.as_str()).collect()
}

pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
}

/// Leaves a file alone that is so already: cargo would compile it again.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|source| Error::Io { path: path.display().to_string(), source })
}
