//! What a configuration file says, before anybody asks what it means.

use std::collections::HashMap;

use crate::error::{ConfigFileError, Problem};

/// Sections in the order of the file. No two have the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    sections: Vec<Section>,
    /// The line on which each section begins first.
    section_lines: HashMap<String, usize>,
    /// The line of each name in the section begun last.
    name_lines: HashMap<String, usize>,
}

/// A section: names with values, in the order of the file. No name is there twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Section {
    /// The name between the brackets.
    pub name: String,
    /// The line of its heading, from 1 on.
    pub line: usize,
    /// What it holds.
    pub entries: Vec<Entry>,
}

/// A name and its value as the file has it: without quotes, but with nothing replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; it may have dots in it.
    pub name: String,
    /// The value. It may be a secret.
    pub value: String,
    /// The line it begins on, from 1 on.
    pub line: usize,
}

impl Document {
    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// All sections.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Begins a section, or says where that name was used before.
    pub(crate) fn begin(&mut self, name: &str, line: usize) -> Option<ConfigFileError> {
        let first = self.section_lines.get(name).copied();
        self.section_lines.entry(name.to_owned()).or_insert(line);
        self.name_lines.clear();
        self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
        first.map(|first| ConfigFileError::new(Problem::DuplicateSection { first }).at(line).of(name))
    }

    /// Adds to the section begun last, or says what is wrong with that.
    pub(crate) fn add(&mut self, name: &str, value: String, line: usize) -> Option<ConfigFileError> {
        let Some(section) = self.sections.last_mut() else {
            return Some(ConfigFileError::new(Problem::NoSection).at(line).named(name));
        };
        if let Some(&first) = self.name_lines.get(name) {
            let problem = Problem::Duplicate { first };
            return Some(ConfigFileError::new(problem).at(line).of(&section.name).named(name));
        }
        self.name_lines.insert(name.to_owned(), line);
        section.entries.push(Entry { name: name.to_owned(), value, line });
        None
    }
}

impl Section {
    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// Without values: there may be secrets among them.
impl std::fmt::Debug for Section {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        formatter
            .debug_struct("Section")
            .field("name", &self.name)
            .field("line", &self.line)
            .field("names", &names)
            .finish()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Entry").field("name", &self.name).field("line", &self.line).finish_non_exhaustive()
    }
}
