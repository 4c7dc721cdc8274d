//! S3's XML answers, as far as the reader needs them: elements that hold text, each with its path.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deepest nesting that is followed; S3's answers need four.
const MAX_DEPTH: usize = 16;

/// Calls `element` at the end of each element with its path (from the root, without namespaces) and its own text.
///
/// # Errors
///
/// A short reason where the document is not well-formed, ends too early or nests too deeply.
pub(crate) fn walk(document: &[u8], element: &mut dyn FnMut(&[String], &str)) -> Result<(), &'static str> {
    let text = std::str::from_utf8(document).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = true;
    let mut path: Vec<String> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut elements = 0_usize;
    loop {
        match reader.read_event().map_err(|_| "it is not well-formed XML")? {
            Event::Start(start) => {
                if path.len() == MAX_DEPTH {
                    return Err("it nests too deeply");
                }
                path.push(start.local_name().as_ref().to_owned());
                texts.push(String::new());
            }
            Event::Text(part) => append(&mut texts, &part.xml10_content()),
            Event::CData(part) => append(&mut texts, &part.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character.to_string(),
                    Ok(None) => quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
                        .ok_or("it uses an entity that XML does not define")?
                        .to_owned(),
                    Err(_) => return Err("it holds an impossible character reference"),
                };
                append(&mut texts, &resolved);
            }
            Event::End(_) => {
                let text = texts.pop().ok_or("it is not well-formed XML")?;
                element(&path, &text);
                path.pop();
                elements += 1;
            }
            Event::Eof if !path.is_empty() || elements == 0 => return Err("it ends too early"),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn append(texts: &mut [String], part: &str) {
    if let Some(text) = texts.last_mut() {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(document: &str) -> Result<Vec<(String, String)>, &'static str> {
        let mut found = Vec::new();
        walk(document.as_bytes(), &mut |path, text| found.push((path.join("/"), text.to_owned())))?;
        Ok(found)
    }

    #[test]
    fn texts_references_and_namespaces() -> Result<(), &'static str> {
        let found = elements(r#"<?xml version="1.0"?><r xmlns:x="u"><x:a>1 &lt; &#50;<![CDATA[ & 3]]></x:a><b/></r>"#)?;
        let expected = [("r/a", "1 < 2 & 3"), ("r/b", ""), ("r", "")];
        assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        Ok(())
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for document in ["", "<a><b></b>", "<a></b>", "<a>&unknown;</a>", "<html", "plain text"] {
            assert!(elements(document).is_err(), "{document}");
        }
        assert_eq!(elements(&"<a>".repeat(1_000)), Err("it nests too deeply"));
    }
}
