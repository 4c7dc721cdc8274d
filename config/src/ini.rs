//! The INI dialect: see the crate's documentation.

use crate::document::Document;
use crate::error::{ConfigFileError, Problem};

/// Reads all that can be read, and says what cannot.
pub(crate) fn parse(text: &str) -> (Document, Vec<ConfigFileError>) {
    let mut document = Document::default();
    let mut errors = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        errors.extend(read_line(line.trim(), index + 1, &mut document));
    }
    (document, errors)
}

fn read_line(line: &str, number: usize, document: &mut Document) -> Option<ConfigFileError> {
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    if let Some(heading) = line.strip_prefix('[') {
        return match section_name(heading) {
            Some(name) => document.begin(name, number),
            None => Some(ConfigFileError::new(Problem::BadSection).at(number)),
        };
    }
    let error = |problem| ConfigFileError::new(problem).at(number);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) if is_name(name.trim()) => (name.trim(), value.trim()),
        _ => return Some(error(Problem::NoSetting)),
    };
    match read_value(value) {
        Ok(value) => document.add(name, value, number),
        Err(problem) => {
            let error = error(problem).named(name);
            Some(match document.sections().last() {
                Some(section) => error.of(&section.name),
                None => error,
            })
        }
    }
}

fn section_name(heading: &str) -> Option<&str> {
    let (name, rest) = heading.split_once(']')?;
    let rest = rest.trim();
    (is_name(name.trim()) && (rest.is_empty() || rest.starts_with(['#', ';']))).then_some(name.trim())
}

/// Names of settings and sections hold no quotes, brackets or spaces; whatever else is wrong with one, its nearest
/// neighbour is named later.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['"', '\'', '[', ']', '#', ';']) && !name.contains(char::is_whitespace)
}

fn read_value(value: &str) -> Result<String, Problem> {
    match value.strip_prefix('"') {
        Some(quoted) => read_quoted(quoted),
        None => Ok(read_bare(value)),
    }
}

/// What begins behind the opening quote.
fn read_quoted(text: &str) -> Result<String, Problem> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next().ok_or(Problem::UnclosedQuote)? {
            '"' => break,
            '\\' if characters.as_str().starts_with(['"', '\\']) => value.extend(characters.next()),
            character => value.push(character),
        }
    }
    let rest = characters.as_str().trim_start();
    let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    if rest.is_empty() || rest.starts_with(['#', ';']) { Ok(value) } else { Err(Problem::AfterQuote) }
}

/// A comment begins only behind a space: keys and passwords may hold the characters themselves.
fn read_bare(value: &str) -> String {
    let comment = value.char_indices().find(|&(index, character)| {
        matches!(character, '#' | ';') && value[..index].chars().next_back().is_none_or(char::is_whitespace)
    });
    let value = comment.map_or(value, |(index, _)| &value[..index]).trim_end();
    value.strip_suffix(',').unwrap_or(value).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String, usize)> {
        let (document, errors) = parse(text);
        assert_eq!(errors, []);
        let entries = document.sections().iter().flat_map(|section| &section.entries);
        entries.map(|entry| (entry.name.clone(), entry.value.clone(), entry.line)).collect()
    }

    fn value(text: &str) -> String {
        values(&format!("[s]\nn={text}"))[0].1.clone()
    }

    fn problem(text: &str) -> (Problem, Option<usize>) {
        let (_, errors) = parse(text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        (errors[0].problem.clone(), errors[0].line)
    }

    #[test]
    fn quoted_and_bare_values_with_commas_and_comments() {
        let cases = [
            ("\"a b\"", "a b"),
            ("\"a # b; c\"  # comment", "a # b; c"),
            (r#""say \"hi\" \\ \n""#, r#"say "hi" \ \n"#),
            ("\"a\",", "a"),
            ("1,", "1"),
            ("1 , ; comment", "1"),
            ("a,b,,", "a,b,"),
            ("p#ss;w\"rd", "p#ss;w\"rd"),
            ("a b # c", "a b"),
            ("# all comment", ""),
            ("a=b=c", "a=b=c"),
            ("", ""),
            ("\"\"", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            let text =
                ["\u{feff}# comment", "[kafka] ; heading", "", "; comment", "  group.id = \"g\"  ", "b=1"].join(end);
            let expected = [("group.id".to_owned(), "g".to_owned(), 5), ("b".to_owned(), "1".to_owned(), 6)];
            assert_eq!(values(&text), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(problem("[s]\nn"), (Problem::NoSetting, Some(2)));
        assert_eq!(problem("[s]\n=v"), (Problem::NoSetting, Some(2)));
        assert_eq!(problem("n=v"), (Problem::NoSection, Some(1)));
        assert_eq!(problem("[s]\nn=\"v"), (Problem::UnclosedQuote, Some(2)));
        assert_eq!(problem("[s]\nn=\"v\\\""), (Problem::UnclosedQuote, Some(2)));
        assert_eq!(problem("[s]\nn=\"v\" w"), (Problem::AfterQuote, Some(2)));
        for heading in ["[s", "[]", "[s] x", "[[s]]"] {
            assert_eq!(problem(heading), (Problem::BadSection, Some(1)), "{heading}");
        }
        assert_eq!(problem("[s]\nn=1\n\nn=2"), (Problem::Duplicate { first: 2 }, Some(4)));
        assert_eq!(problem("[s]\n[t]\n[s]"), (Problem::DuplicateSection { first: 1 }, Some(3)));
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let (document, errors) = parse("[s]\nbad\na=1\na=2\nb=\"x");
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [Some(2), Some(4), Some(5)]);
        assert_eq!(document.section("s").unwrap().entries.len(), 1);
    }
}
