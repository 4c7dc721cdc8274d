//! klstore's configuration file, as command, bridge and services read it.
//!
//! ```
//! use klstore_config::ConfigFile;
//!
//! let text = "
//! [s3]
//! bucket_name=\"my-bucket\"   # quoted or bare
//! region=${BUCKET_REGION}
//! ";
//! let environment = |name: &str| (name == "BUCKET_REGION").then(|| "eu-central-1".to_owned());
//! let file = ConfigFile::parse("klstore.ini".as_ref(), text)?;
//! let s3 = file.s3(&environment)?;
//! assert_eq!(s3.config.region, "eu-central-1");
//! assert_eq!((s3.line("region"), s3.line("endpoint")), (Some(4), None));
//! # Ok::<(), klstore_config::ConfigErrors>(())
//! ```
//!
//! A file whose name ends in `.toml` is TOML, any other one INI: `[section]`, `name=value` with the value quoted or
//! bare, comments from `#` or `;` at the start of a line or after a space. Inside quotes `\"` and `\\` stand for the
//! character behind the backslash; a comma after a value is ignored.
//!
//! `${NAME}` in a value is replaced by that environment variable (`$${` is a plain `${`), and a secret that begins with
//! `file:` is read from that file, relative to the configuration file's folder. Only what stands in the file itself is
//! replaced, never what came in by a replacement. Sections `[kafka]`, `[parser]` and `[bridge]` belong to the bridge:
//! they are read, and checked there.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod batcher;
mod document;
mod error;
mod expand;
mod exposure;
mod file;
mod ini;
mod s3;
mod settings;
mod toml_text;

pub use document::{Document, Entry, Section};
pub use error::{ConfigErrors, ConfigFileError, Problem};
pub use expand::Expanded;
pub use exposure::Warning;
pub use file::{ConfigFile, MAX_FILE_BYTES};
pub use settings::{Effective, Loaded, nearest};
