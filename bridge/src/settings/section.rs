//! A section of the file, read name by name: what nobody asked for is an error that names the nearest known name.

use klstore_config::{ConfigErrors, ConfigFile, ConfigFileError, Expanded, Problem, nearest};

pub(super) struct SectionReader<'f> {
    file: &'f ConfigFile,
    name: &'static str,
    entries: Vec<Expanded>,
    known: Vec<&'static str>,
    errors: Vec<ConfigFileError>,
}

impl<'f> SectionReader<'f> {
    pub(super) fn new(
        file: &'f ConfigFile,
        name: &'static str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let entries = file.expand(name, variable)?;
        Ok(Self { file, name, entries, known: Vec::new(), errors: Vec::new() })
    }

    /// Takes the setting out, where the file has it.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Expanded> {
        self.known.push(name);
        let position = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(position))
    }

    /// Takes a setting that must be there, and is text.
    pub(super) fn required(&mut self, name: &'static str, example: &str) -> String {
        match self.take(name) {
            Some(entry) if !entry.value.is_empty() => entry.value,
            _ => {
                let reason = format!("it is missing: write for example {name}={example}");
                self.errors.push(self.problem(Problem::NotAccepted { reason }).named(name));
                String::new()
            }
        }
    }

    /// Takes a setting that `read` understands; `default` where there is none.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        default: T,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(entry) = self.take(name) else { return default };
        read(&entry.value).unwrap_or_else(|| {
            let found = (!entry.secret).then(|| entry.value.clone());
            self.refuse(&entry, Problem::Value { expected: expected.to_owned(), found });
            default
        })
    }

    /// Takes one of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], default: T) -> T {
        let expected: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.read(name, default, &format!("one of {}", expected.join(", ")), |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
        })
    }

    pub(super) fn refuse(&mut self, entry: &Expanded, problem: Problem) {
        self.errors.push(self.problem(problem).at(entry.line).named(&entry.name));
    }

    /// What is wrong with no setting alone.
    pub(super) fn refuse_all(&mut self, reason: String) {
        self.errors.push(self.problem(Problem::NotAccepted { reason }));
    }

    /// All that was not taken.
    pub(super) fn take_rest(&mut self) -> Vec<Expanded> {
        std::mem::take(&mut self.entries)
    }

    /// The errors that were found, unknown names among them.
    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        for entry in self.take_rest() {
            let nearest = nearest(&entry.name, self.known.iter().copied());
            self.refuse(&entry, Problem::UnknownName { nearest });
        }
        ConfigErrors::check(self.file.path(), self.errors)
    }

    fn problem(&self, problem: Problem) -> ConfigFileError {
        ConfigFileError::new(problem).of(self.name)
    }
}

/// Digits alone.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
