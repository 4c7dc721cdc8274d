//! What a value stands for: environment variables, and files that hold secrets.
//!
//! Only the file's own text is looked at. A variable that holds `${...}` or `file:...` stays what it is: who can set a
//! variable cannot have other variables or files read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::document::Entry;
use crate::error::Problem;

/// What marks a secret that is in a file of its own.
const FILE: &str = "file:";
/// The longest secret: 64 KiB.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// A setting with everything in its value replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The name.
    pub name: String,
    /// The value. It may be a secret: see `secret`.
    pub value: String,
    /// The line in the file.
    pub line: usize,
    /// Whether the value must not be shown.
    pub secret: bool,
}

impl fmt::Debug for Expanded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.secret { "***" } else { &self.value };
        formatter
            .debug_struct("Expanded")
            .field("name", &self.name)
            .field("value", &value)
            .field("line", &self.line)
            .finish()
    }
}

/// Whether the value of a setting must not be shown, and may come from a file.
pub(crate) fn is_secret(section: &str, name: &str) -> bool {
    match section {
        "s3" => matches!(name, "access_key" | "secret_key" | "security_token" | "session_token"),
        // As librdkafka calls them: sasl.password, ssl.key.password, ssl.key.pem, sasl.oauthbearer.client.secret, ...
        "kafka" => {
            let name = name.to_ascii_lowercase();
            let parts = ["password", "secret", "key.pem", "oauthbearer.config", "assertion.private.key"];
            parts.iter().any(|part| name.contains(part))
        }
        _ => false,
    }
}

/// Whether the file holds the secret itself.
pub(crate) fn is_literal(value: &str) -> bool {
    !value.is_empty() && !value.starts_with(FILE) && !value.contains("${")
}

/// The value of `entry`. `folder` is what the paths of secrets are relative to.
pub(crate) fn value_of(
    entry: &Entry,
    secret: bool,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Problem> {
    match entry.value.strip_prefix(FILE) {
        Some(path) if secret => read_secret(&folder.join(replace_variables(path.trim(), variable)?)),
        _ => replace_variables(&entry.value, variable),
    }
}

/// Whether a value asks for a file.
pub(crate) fn names_file(value: &str) -> bool {
    value.starts_with(FILE)
}

fn replace_variables(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            value.push_str(before);
            value.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(Problem::BadVariable)?;
        if !is_variable_name(name) {
            return Err(Problem::BadVariable);
        }
        value.push_str(before);
        value.push_str(&variable(name).ok_or_else(|| Problem::UnsetVariable { variable: name.to_owned() })?);
        rest = after;
    }
    value.push_str(rest);
    Ok(value)
}

fn is_variable_name(name: &str) -> bool {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn read_secret(path: &Path) -> Result<String, Problem> {
    let refuse = |reason: String| Problem::SecretFile { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse(format!("cannot be read ({error}): check path and permissions")))?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(refuse(format!("is longer than {MAX_SECRET_BYTES} bytes: it should hold the secret alone")));
    }
    let mut secret = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8: it should hold text".to_owned()))?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() { Err(refuse("is empty: put the secret into it".to_owned())) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "A" => "1",
            "NESTED" => "${A}",
            "FILE" => "file:/etc/passwd",
            "EMPTY" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn replaced(text: &str) -> Result<String, Problem> {
        replace_variables(text, &environment)
    }

    fn secret(folder: &Path, value: &str) -> Result<String, Problem> {
        let entry = Entry { name: "secret_key".into(), value: value.into(), line: 1 };
        value_of(&entry, true, folder, &environment)
    }

    #[test]
    fn variables_are_replaced_once() {
        let cases = [
            ("x${A}y${A}", "x1y1"),
            ("${NESTED}", "${A}"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("a$b$$c$", "a$b$$c$"),
            ("[${EMPTY}]", "[]"),
        ];
        for (text, expected) in cases {
            assert_eq!(replaced(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn variables_that_are_none() {
        assert_eq!(replaced("${B}"), Err(Problem::UnsetVariable { variable: "B".into() }));
        for text in ["${", "${A", "${}", "${1A}", "${A:-x}", "${A B}"] {
            assert_eq!(replaced(text), Err(Problem::BadVariable), "{text}");
        }
    }

    #[test]
    fn a_secret_is_read_from_the_file_that_the_text_itself_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("secret1", b"${A} hush \r\n");
        assert_eq!(secret(folder.path(), "file:secret${A}").unwrap(), "${A} hush ");
        let absolute = format!("file:{}", folder.path().join("secret1").display());
        assert_eq!(secret(Path::new("/elsewhere"), &absolute).unwrap(), "${A} hush ");
        assert_eq!(secret(folder.path(), "${FILE}").unwrap(), "file:/etc/passwd");

        write("long", &vec![b'x'; (64 << 10) + 1]);
        write("empty", b"\n");
        write("binary", b"\xff");
        for (name, words) in
            [("long", "longer than"), ("empty", "is empty"), ("binary", "UTF-8"), ("none", "cannot be read")]
        {
            let problem = secret(folder.path(), &format!("file:{name}")).unwrap_err().to_string();
            assert!(problem.contains(words) && problem.contains(name), "{problem}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert!(is_secret("kafka", name), "{name}");
        }
        for (section, name) in [("kafka", "group.id"), ("s3", "region"), ("batcher", "secret_key")] {
            assert!(!is_secret(section, name), "{name}");
        }
        assert!(is_literal("x") && !is_literal("") && !is_literal("file:x") && !is_literal("a${B}"));
    }
}
