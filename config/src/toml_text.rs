//! The same from TOML. Dotted names are nested tables there, and become names with dots again.

use toml::de::{DeTable, DeValue};

use crate::document::Document;
use crate::error::{ConfigFileError, Problem};

/// Reads all that can be read, and says what cannot.
pub(crate) fn parse(text: &str) -> (Document, Vec<ConfigFileError>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    let mut document = Document::default();
    let mut errors = Vec::new();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = lines.of(error.span().map_or(0, |span| span.start));
            let reason = error.message().trim().to_owned();
            return (document, vec![ConfigFileError::new(Problem::Toml { reason }).at(line)]);
        }
    };
    let mut sections: Vec<_> = table.iter().collect();
    sections.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in sections {
        let line = lines.of(name.span().start);
        match value.get_ref() {
            DeValue::Table(table) => {
                errors.extend(document.begin(name.get_ref(), line));
                add_table(table, "", &lines, &mut document, &mut errors);
            }
            _ => errors.push(ConfigFileError::new(Problem::NoSection).at(line).named(name.get_ref())),
        }
    }
    (document, errors)
}

fn add_table(
    table: &DeTable<'_>,
    parent: &str,
    lines: &Lines,
    document: &mut Document,
    errors: &mut Vec<ConfigFileError>,
) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let line = lines.of(name.span().start);
        let name = format!("{parent}{}", name.get_ref());
        let text = match value.get_ref() {
            DeValue::Table(inner) => {
                add_table(inner, &format!("{name}."), lines, document, errors);
                continue;
            }
            DeValue::String(text) => text.to_string(),
            // Its sign and separators are as the file has them, as for a bare value of INI.
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(value) => value.to_string(),
            _ => {
                let section = document.sections().last().map(|section| section.name.clone()).unwrap_or_default();
                errors.push(ConfigFileError::new(Problem::TomlValue).at(line).of(&section).named(&name));
                continue;
            }
        };
        errors.extend(document.add(&name, text, line));
    }
}

/// Where the lines of a text end.
struct Lines {
    ends: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        Self { ends: text.match_indices('\n').map(|(end, _)| end).collect() }
    }

    /// The line of a byte, from 1 on.
    fn of(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_names_and_lines() {
        let text = "\u{feff}# c\n[s3]\nbucket_name = \"b\"\r\npath_style = true\ncarry_bytes = 65_536\n\n[kafka]\ngroup.id = 'g'\n\"session.timeout.ms\" = 1000\n";
        let (document, errors) = parse(text);
        assert_eq!(errors, []);
        let entries: Vec<_> = document.sections().iter().flat_map(|section| &section.entries).collect();
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.value.as_str(), e.line)).collect();
        let expected = [
            ("bucket_name", "b", 3),
            ("path_style", "true", 4),
            ("carry_bytes", "65536", 5),
            ("group.id", "g", 8),
            ("session.timeout.ms", "1000", 9),
        ];
        assert_eq!(found, expected);
        assert_eq!(document.section("kafka").unwrap().line, 7);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let problem = |text: &str| {
            let (_, errors) = parse(text);
            assert_eq!(errors.len(), 1, "{errors:?}");
            (errors[0].problem.clone(), errors[0].line)
        };
        assert!(matches!(problem("[s3]\n\nbucket_name = b"), (Problem::Toml { .. }, Some(3))));
        assert!(matches!(problem("[s3]\na = 1\na = 2"), (Problem::Toml { .. }, Some(3))));
        assert_eq!(problem("bucket_name = 'b'"), (Problem::NoSection, Some(1)));
        assert_eq!(problem("[s3]\na = [1]"), (Problem::TomlValue, Some(2)));
        assert_eq!(problem("[s3]\na = 1979-05-27"), (Problem::TomlValue, Some(2)));
        assert_eq!(problem("[kafka]\ngroup.id = 'a'\n'group.id' = 'b'"), (Problem::Duplicate { first: 2 }, Some(3)));
    }
}
