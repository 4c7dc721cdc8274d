//! klstore's object layout, continuation tokens and every decision, without I/O, clock or randomness.
//!
//! Three layers, each depending only on those above it:
//!
//! - [`names`] and [`item`]: what users name and store, validated once into types;
//! - [`wire`]: one file for each object or token that leaves the process, with its encoding, its bounds and its
//!   round-trip property. The byte-exact description is `docs/FORMAT.md`;
//! - [`plan`]: appending, resolving, compaction, collection, sweeping, reading and following, as state machines
//!   that say which request they need next and are fed the answer. The rules they keep are those of
//!   `docs/PROTOCOL.md` and are cited by number.

pub mod config;
mod error;
pub mod item;
pub mod limits;
pub mod names;
pub mod plan;
pub mod rules;
mod sorted_map;
mod source;
pub mod wire;

pub use config::S3StoreConfig;
pub use error::{CorruptObject, FormatError, InvalidContinuation, NameError};
pub use item::{Insertion, Item, ItemFilter, ItemList, IterationOrder, KeyMetadata, KeyspaceMetadata, ListStats};
pub use sorted_map::SortedMap;
pub use source::{Source, SourceOffset};
