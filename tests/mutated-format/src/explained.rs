//! Why some mutants may live: a file for each part of the crate, a line for each mutant, `name<TAB>why`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result};

/// By name, without line and column.
pub fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        |source| Error::Io { path, source }
    };
    let mut explanations = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        explanations.extend(lines.map(|(name, why)| (name.to_owned(), why.to_owned())));
    }
    Ok(explanations)
}
