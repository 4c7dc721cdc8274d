//! Files that others on the machine can read although they hold secrets.

use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::document::Document;
use crate::expand::{is_literal, is_secret};

/// Something that works, but should not stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The file holds secrets, and its group or everybody may read it.
    ReadableSecrets {
        /// The file.
        file: PathBuf,
        /// Its permissions, as `chmod` has them.
        mode: u32,
        /// The settings whose values are secrets.
        names: Vec<String>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::ReadableSecrets { file, mode, names } = self;
        write!(
            formatter,
            "{} holds secrets ({}) and others may read it (mode {mode:04o}): `chmod 600` it, or write ${{NAME}} or \
             file:PATH in place of the secrets",
            file.display(),
            names.join(", ")
        )
    }
}

/// The warning that a file of these permissions deserves.
pub(crate) fn warning(file: &Path, metadata: &Metadata, document: &Document) -> Option<Warning> {
    let mode = mode(metadata)?;
    let names: Vec<String> = document
        .sections()
        .iter()
        .flat_map(|section| section.entries.iter().map(move |entry| (section, entry)))
        .filter(|(section, entry)| is_secret(&section.name, &entry.name) && is_literal(&entry.value))
        .map(|(_, entry)| entry.name.clone())
        .collect();
    let readable = mode & 0o044 != 0;
    (readable && !names.is_empty()).then(|| Warning::ReadableSecrets { file: file.to_owned(), mode, names })
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

/// Elsewhere permissions are not told so simply.
#[cfg(not(unix))]
fn mode(_: &Metadata) -> Option<u32> {
    None
}
