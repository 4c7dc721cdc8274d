//! What may be wrong with a configuration file: where, what, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use klstore_format::config::ConfigError;
use thiserror::Error;

/// Mistakes of one file that are told; one with more is something else.
pub(crate) const MAX_ERRORS: usize = 1_000;

/// Everything that is wrong with a file, in the order of its lines: at least one thing, and 1,000 at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigFileError>,
}

impl ConfigErrors {
    /// `Ok` where there is nothing wrong. The errors are put in the order of their lines, and said to be of `file`.
    ///
    /// # Errors
    ///
    /// Those that were found.
    pub fn check(file: &Path, mut errors: Vec<ConfigFileError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        for error in &mut errors {
            error.file = file.to_owned();
        }
        errors.sort_by_key(|error| error.line);
        errors.truncate(MAX_ERRORS);
        Err(Self { errors })
    }

    /// These and others of the same file.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.errors.extend(others.errors);
        self.errors.sort_by_key(|error| error.line);
        self.errors.truncate(MAX_ERRORS);
        self
    }

    /// A single one.
    pub(crate) fn of(file: &Path, mut error: ConfigFileError) -> Self {
        error.file = file.to_owned();
        Self { errors: vec![error] }
    }

    /// What is wrong, by line.
    pub fn errors(&self) -> &[ConfigFileError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong with a file. Its message never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFileError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1 on, where there is one to point at.
    pub line: Option<usize>,
    /// The section.
    pub section: Option<String>,
    /// The setting.
    pub name: Option<String>,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

impl ConfigFileError {
    /// A problem somewhere in the file.
    pub fn new(problem: Problem) -> Self {
        Self { file: PathBuf::new(), line: None, section: None, name: None, problem }
    }

    /// The same on a line, from 1 on.
    #[must_use]
    pub fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// The same in a section.
    #[must_use]
    pub fn of(mut self, section: &str) -> Self {
        self.section = Some(section.to_owned());
        self
    }

    /// The same about a setting.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

/// `FILE:LINE: [section] name: what is wrong`, as editors know it from compilers.
impl fmt::Display for ConfigFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(formatter, "{line}:")?;
        }
        match (&self.section, &self.name) {
            (Some(section), Some(name)) => write!(formatter, " [{section}] {name}:")?,
            (Some(section), None) => write!(formatter, " [{section}]:")?,
            (None, Some(name)) => write!(formatter, " {name}:")?,
            (None, None) => {}
        }
        write!(formatter, " {}", self.problem)
    }
}

/// Without a source: its message is all of it.
impl std::error::Error for ConfigFileError {}

/// What is wrong at that place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("the file cannot be read ({reason}): check path and permissions")]
    Unreadable {
        /// The operating system's words.
        reason: String,
    },
    /// The file is larger than any configuration.
    #[error("the file is longer than {limit} bytes: is it a configuration file?")]
    TooLong {
        /// The most that is read.
        limit: u64,
    },
    /// The file is no text.
    #[error("the line is not UTF-8: save the file as UTF-8")]
    NotUtf8,
    /// A setting outside of all sections.
    #[error("it stands before the first section: put a line like [s3] above it")]
    NoSection,
    /// A line that is neither section nor setting.
    #[error("this is no setting: write NAME=VALUE, [SECTION], or # before a comment")]
    NoSetting,
    /// A section's heading without its end, or without a name.
    #[error("this is no section: write [NAME] and nothing else on the line but a comment")]
    BadSection,
    /// A quoted value without its end.
    #[error("the quoted value does not end on its line: write a \" behind it (and \\\" for one inside it)")]
    UnclosedQuote,
    /// Something after a quoted value.
    #[error("there is more behind the quoted value: put all of it inside the quotes, with \\\" for a quote")]
    AfterQuote,
    /// What TOML's parser says.
    #[error("this is not TOML: {reason}")]
    Toml {
        /// Its words.
        reason: String,
    },
    /// A TOML value that no setting has.
    #[error("a list, date or table is no value here: write a string, a number, true or false")]
    TomlValue,
    /// A name that was there before.
    #[error("it is set on line {first} already: remove one of the two")]
    Duplicate {
        /// The line of the first.
        first: usize,
    },
    /// A section that was there before.
    #[error("the section begins on line {first} already: put its settings together")]
    DuplicateSection {
        /// The line of the first.
        first: usize,
    },
    /// A section that nobody reads.
    #[error("there is no such section: did you mean [{nearest}]?")]
    UnknownSection {
        /// The known one most like it.
        nearest: String,
    },
    /// A name that nobody reads.
    #[error("there is no such setting: did you mean {nearest}?")]
    UnknownName {
        /// The known one most like it.
        nearest: String,
    },
    /// A value of the wrong kind.
    #[error("{expected} is expected{}", found.as_ref().map(|found| format!(", not `{found}`")).unwrap_or_default())]
    Value {
        /// What is expected.
        expected: String,
        /// What the file has, unless that may be a secret.
        found: Option<String>,
    },
    /// `${NAME}` of a variable that is not set.
    #[error("the environment variable {variable} is not set: set it, or write the value itself")]
    UnsetVariable {
        /// Its name.
        variable: String,
    },
    /// `${` without a name and `}` behind it.
    #[error("`${{` begins a variable: write ${{NAME}} with letters, digits and _, or $${{ for a plain ${{")]
    BadVariable,
    /// `file:` where there is no secret.
    #[error("`file:` is for secrets alone: write the value itself, or ${{NAME}} for an environment variable")]
    FileForPlain,
    /// A secret's file that cannot be used.
    #[error("the secret's file {} {reason}", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A value that whoever uses it does not take.
    #[error("{reason}")]
    NotAccepted {
        /// Why not, and what to do.
        reason: String,
    },
    /// Settings that do not make sense together.
    #[error(transparent)]
    Settings(#[from] ConfigError),
}
