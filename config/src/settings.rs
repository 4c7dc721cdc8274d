//! Tables of settings: one row a setting, for reading it, naming it and showing it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use klstore_format::config::{Checksums, ServerSideEncryption, StorageClass};
use klstore_format::wire::compression::Codec;
use serde::Serialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::expand::is_secret;

/// In place of a secret.
const MASK: &str = "***";

/// A section as it was understood.
#[derive(Debug, Clone)]
pub struct Loaded<C: 'static> {
    /// The settings; those that the file does not name have their defaults.
    pub config: C,
    pub(crate) lines: BTreeMap<&'static str, usize>,
    pub(crate) section: String,
    pub(crate) table: &'static [Setting<C>],
}

impl<C> Loaded<C> {
    /// All settings as they are now, for people to look at: secrets are masked.
    pub fn effective(&self) -> impl Iterator<Item = Effective> {
        self.table.iter().map(|row| {
            let value = (row.show)(&self.config);
            let secret = is_secret(&self.section, row.name);
            let value = if secret { value.map(|_| MASK.to_owned()) } else { value };
            Effective { name: row.name, value, line: self.line(row.name) }
        })
    }

    /// The line on which the file sets this; `None` where it does not.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.lines.get(name).copied()
    }
}

/// A setting's value, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The name.
    pub name: &'static str,
    /// The value as the file could have it; `***` for a secret, `None` where there is none.
    pub value: Option<String>,
    /// The line of the file; `None` for a default.
    pub line: Option<usize>,
}

/// One row of a table of settings.
pub(crate) struct Setting<C: 'static> {
    pub(crate) name: &'static str,
    /// What a value should be.
    pub(crate) expected: fn(&C) -> &'static str,
    /// Takes the value, or says that it is none.
    pub(crate) read: fn(&mut C, &str) -> bool,
    pub(crate) show: fn(&C) -> Option<String>,
}

impl<C> fmt::Debug for Setting<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// A table of the fields of a configuration, each under its own name.
macro_rules! settings {
    ($config:ty: $($field:ident),* $(,)?) => {
        &[$($crate::settings::Setting {
            name: stringify!($field),
            expected: |config: &$config| $crate::settings::expected_of(&config.$field),
            read: |config: &mut $config, text: &str| match $crate::settings::Value::read(text) {
                Some(value) => {
                    config.$field = value;
                    true
                }
                None => false,
            },
            show: |config: &$config| $crate::settings::Value::show(&config.$field),
        }),*]
    };
}
pub(crate) use settings;

/// What a file can set.
pub(crate) trait Value: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
    fn show(&self) -> Option<String>;
}

pub(crate) fn expected_of<T: Value>(_: &T) -> &'static str {
    T::EXPECTED
}

impl Value for String {
    const EXPECTED: &'static str = "text";
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn show(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.clone())
    }
}

impl Value for Option<String> {
    const EXPECTED: &'static str = "text";
    fn read(text: &str) -> Option<Self> {
        Some((!text.is_empty()).then(|| text.to_owned()))
    }
    fn show(&self) -> Option<String> {
        self.clone().filter(|text| !text.is_empty())
    }
}

impl Value for Option<PathBuf> {
    const EXPECTED: &'static str = "a path";
    fn read(text: &str) -> Option<Self> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn show(&self) -> Option<String> {
        self.as_ref().map(|path| path.display().to_string())
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Digits alone: no sign, no unit.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Value for u64 {
    const EXPECTED: &'static str = "a whole number";
    fn read(text: &str) -> Option<Self> {
        digits(text)
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for usize {
    const EXPECTED: &'static str = "a whole number";
    fn read(text: &str) -> Option<Self> {
        digits(text)?.try_into().ok()
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Option<u64> {
    const EXPECTED: &'static str = "a whole number or none";
    fn read(text: &str) -> Option<Self> {
        if text == "none" { Some(None) } else { digits(text).map(Some) }
    }
    fn show(&self) -> Option<String> {
        self.map(|number| number.to_string())
    }
}

impl Value for Option<usize> {
    const EXPECTED: &'static str = "a whole number or none";
    fn read(text: &str) -> Option<Self> {
        <Option<u64> as Value>::read(text)?.map(usize::try_from).transpose().ok()
    }
    fn show(&self) -> Option<String> {
        self.map(|number| number.to_string())
    }
}

/// A choice by the names that serde knows.
macro_rules! choices {
    ($($type:ty: $expected:literal),* $(,)?) => {
        $(impl Value for $type {
            const EXPECTED: &'static str = $expected;
            fn read(text: &str) -> Option<Self> {
                choice(text)
            }
            fn show(&self) -> Option<String> {
                choice_name(self)
            }
        })*
    };
}

choices! {
    Codec: "none, lz4 or zstd",
    Checksums: "when_required or always",
    ServerSideEncryption: "none, AES256 or aws:kms",
    StorageClass: "STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING or GLACIER_IR (classes that answer at once)",
}

fn choice<T: DeserializeOwned>(text: &str) -> Option<T> {
    let deserializer: StrDeserializer<'_, ValueError> = text.into_deserializer();
    T::deserialize(deserializer).ok()
}

fn choice_name(choice: &impl Serialize) -> Option<String> {
    serde_json::to_value(choice).ok()?.as_str().map(str::to_owned)
}

/// More of a name than this does not make it more like another.
const COMPARED_CHARACTERS: usize = 64;

/// The known name that is most like `name`.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let name: String = name.chars().take(COMPARED_CHARACTERS).map(|character| character.to_ascii_lowercase()).collect();
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&name, known);
    known.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other))).unwrap_or_default().to_owned()
}
