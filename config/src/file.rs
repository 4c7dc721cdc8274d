//! A configuration file, from its bytes to settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use klstore_format::S3StoreConfig;
use klstore_format::config::ConfigError;
use klstore_writer::BatchingStoreWriterConfig;

use crate::batcher::BATCHER;
use crate::document::{Document, Section};
use crate::error::{ConfigErrors, ConfigFileError, MAX_ERRORS, Problem};
use crate::expand::{Expanded, is_secret, names_file, value_of};
use crate::exposure::{Warning, warning};
use crate::s3::S3;
use crate::settings::{Loaded, Setting, nearest};
use crate::{ini, toml_text};

/// The longest file that is read: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Sections that may stand in a file; the last three are the bridge's.
const SECTIONS: [&str; 5] = ["s3", "batcher", "kafka", "parser", "bridge"];

/// Looks up an environment variable.
type Variable<'v> = &'v dyn Fn(&str) -> Option<String>;

/// A file that was read: its grammar is right and its sections are known. What a section means is asked for by
/// [`s3`](Self::s3) and [`expand`](Self::expand).
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    document: Document,
    warnings: Vec<Warning>,
}

impl ConfigFile {
    /// Reads a file: TOML where its name ends in `.toml`, else INI.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its grammar and its sections' names, or why it cannot be read. A file of more
    /// than [`MAX_FILE_BYTES`] is refused.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let (file, mistakes) = Self::examine(path)?;
        mistakes.map_or(Ok(file), Err)
    }

    /// The same for somebody who wants to know of all mistakes: what could be understood of the file, and what is
    /// wrong with its grammar and its sections' names.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn examine(path: &Path) -> Result<(Self, Option<ConfigErrors>), ConfigErrors> {
        let fail = |error: ConfigFileError| ConfigErrors::of(path, error);
        let unreadable =
            |error: std::io::Error| fail(ConfigFileError::new(Problem::Unreadable { reason: error.to_string() }));
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(fail(ConfigFileError::new(Problem::TooLong { limit: MAX_FILE_BYTES })));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            fail(ConfigFileError::new(Problem::NotUtf8).at(line))
        })?;
        let (mut file, mistakes) = Self::read_text(path, text);
        file.warnings.extend(warning(path, &metadata, &file.document));
        Ok((file, mistakes))
    }

    /// The same from text that is in memory; `path` says its format, its name in messages and where `file:` paths
    /// begin.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let (file, mistakes) = Self::read_text(path, text);
        mistakes.map_or(Ok(file), Err)
    }

    fn read_text(path: &Path, text: &str) -> (Self, Option<ConfigErrors>) {
        let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let (document, mut errors) = if is_toml { toml_text::parse(text) } else { ini::parse(text) };
        let unknown = document.sections().iter().filter(|section| !SECTIONS.contains(&section.name.as_str()));
        for section in unknown.take(MAX_ERRORS) {
            let problem = Problem::UnknownSection { nearest: nearest(&section.name, SECTIONS) };
            errors.push(ConfigFileError::new(problem).at(section.line).of(&section.name));
        }
        let mistakes = ConfigErrors::check(path, errors).err();
        (Self { path: path.to_owned(), document, warnings: Vec::new() }, mistakes)
    }

    /// The file's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says, with nothing replaced.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What should be changed although it works.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The store, from section `[s3]`; all defaults where there is none. `variable` looks up an environment variable.
    ///
    /// Whether the settings make sense together is not checked here, as flags may still replace some:
    /// [`S3StoreConfig::mistakes`] says, and [`locate`](Self::locate) finds the line.
    ///
    /// # Errors
    ///
    /// Unknown names, values of the wrong kind, variables that are not set, secrets' files that cannot be read: all
    /// that there are.
    pub fn s3(&self, variable: Variable<'_>) -> Result<Loaded<S3StoreConfig>, ConfigErrors> {
        let mut loaded = self.read("s3", S3, variable)?;
        // As `file:` paths: the file means the same wherever the process was started.
        if let Some(bundle) = &mut loaded.config.ca_bundle {
            *bundle = self.folder().join(&*bundle);
        }
        Ok(loaded)
    }

    /// The batching writer, from section `[batcher]`; all defaults where there is none.
    ///
    /// # Errors
    ///
    /// As [`s3`](Self::s3), and numbers that cannot work.
    pub fn batcher(&self, variable: Variable<'_>) -> Result<Loaded<BatchingStoreWriterConfig>, ConfigErrors> {
        let loaded = self.read("batcher", BATCHER, variable)?;
        let mistakes = loaded.config.mistakes().into_iter().map(|error| self.locate("batcher", error));
        mistakes.reduce(ConfigErrors::and).map_or(Ok(loaded), Err)
    }

    /// What is wrong with a section's settings together, with the line of the one that it is about.
    pub fn locate(&self, section: &str, error: ConfigError) -> ConfigErrors {
        let name = error.setting();
        let mut found = ConfigFileError::new(Problem::Settings(error)).of(section);
        let section = self.document.section(section);
        found.line = section.map(|section| section.line);
        if let Some(entry) = section.and_then(|section| section.entry(name)) {
            found = found.at(entry.line).named(name);
        }
        ConfigErrors::of(&self.path, found)
    }

    /// A section of somebody else's, with variables and secrets replaced; empty where there is none. Names and values
    /// are not checked.
    ///
    /// # Errors
    ///
    /// Variables that are not set, secrets' files that cannot be read.
    pub fn expand(&self, section: &str, variable: Variable<'_>) -> Result<Vec<Expanded>, ConfigErrors> {
        let Some(section) = self.document.section(section) else { return Ok(Vec::new()) };
        let mut errors = Vec::new();
        let mut expanded = Vec::new();
        for entry in &section.entries {
            let secret = is_secret(&section.name, &entry.name);
            match value_of(entry, secret, &self.folder(), variable) {
                Ok(value) => expanded.push(Expanded { name: entry.name.clone(), value, line: entry.line, secret }),
                Err(problem) => {
                    errors.push(ConfigFileError::new(problem).at(entry.line).of(&section.name).named(&entry.name));
                }
            }
        }
        ConfigErrors::check(&self.path, errors)?;
        Ok(expanded)
    }

    fn folder(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn read<C: Default>(
        &self,
        section: &str,
        table: &'static [Setting<C>],
        variable: Variable<'_>,
    ) -> Result<Loaded<C>, ConfigErrors> {
        let mut loaded = Loaded { config: C::default(), lines: BTreeMap::new(), section: section.to_owned(), table };
        let Some(section) = self.document.section(section) else { return Ok(loaded) };
        let errors = self.read_entries(section, table, variable, &mut loaded);
        ConfigErrors::check(&self.path, errors)?;
        Ok(loaded)
    }

    fn read_entries<C>(
        &self,
        section: &Section,
        table: &'static [Setting<C>],
        variable: Variable<'_>,
        loaded: &mut Loaded<C>,
    ) -> Vec<ConfigFileError> {
        let mut errors = Vec::new();
        for entry in &section.entries {
            if errors.len() == MAX_ERRORS {
                break;
            }
            let mut refuse = |problem| {
                errors.push(ConfigFileError::new(problem).at(entry.line).of(&section.name).named(&entry.name));
            };
            let Some(setting) = table.iter().find(|setting| setting.name == entry.name) else {
                let nearest = nearest(&entry.name, table.iter().map(|setting| setting.name));
                refuse(Problem::UnknownName { nearest });
                continue;
            };
            let secret = is_secret(&section.name, setting.name);
            if !secret && names_file(&entry.value) {
                refuse(Problem::FileForPlain);
                continue;
            }
            match value_of(entry, secret, &self.folder(), variable) {
                Ok(value) if (setting.read)(&mut loaded.config, &value) => {
                    loaded.lines.insert(setting.name, entry.line);
                }
                Ok(_) => {
                    // The file's own text: what a variable holds may be a secret under any name.
                    let found = (!secret).then(|| entry.value.clone());
                    refuse(Problem::Value { expected: (setting.expected)(&loaded.config).to_owned(), found });
                }
                Err(problem) => refuse(problem),
            }
        }
        errors
    }
}
