//! The objects and tokens that leave the process, one file each, byte for byte as in `docs/FORMAT.md`.
//!
//! Every decoder bounds each length before it allocates, checks the checksum before it believes, and answers a
//! [`Malformed`] that the caller turns into an error with the object's name.

#[cfg(test)]
mod arbitrary;
pub mod block;
pub mod carried_block;
mod checksum;
pub mod commit;
mod commit_table;
pub mod compression;
pub mod cursor;
mod directory;
pub mod head;
pub mod identity;
pub mod index_entry;
pub mod keyspace;
pub mod leaf;
pub mod ledger;
pub mod preamble;
pub mod run;
pub mod segment;
mod session_table;
pub mod sources;
pub mod token;

use crate::error::{CorruptObject, FormatError};

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Damaged, cut short or foreign.
    Corrupt(&'static str),
    /// Of a newer version.
    Version(u32),
    /// With a required part that this version does not know.
    Unknown {
        /// What kind of part.
        part: &'static str,
        /// Its number.
        number: u32,
    },
}

impl Malformed {
    /// The error for the object of this name.
    pub fn of(self, object: &str) -> FormatError {
        match self {
            Self::Corrupt(reason) => CorruptObject { object: object.to_owned(), reason }.into(),
            Self::Version(found) => FormatError::UnsupportedVersion {
                object: object.to_owned(),
                found,
                supported: preamble::FORMAT_VERSION,
            },
            Self::Unknown { part, number } => FormatError::UnknownPart { object: object.to_owned(), part, number },
        }
    }
}
