//! Why some mutants may live: a file for each part of the crate, a line for each mutant, `name<TAB>why`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result};

/// By name, without line and column.
pub fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let failed = |source| Error::Io { path: folder.display().to_string(), source };
    let mut explanations = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let text = crate::files::read(&path)?;
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        explanations.extend(lines.map(|(name, why)| (name.to_owned(), why.to_owned())));
    }
    Ok(explanations)
}
