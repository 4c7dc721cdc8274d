//! Configuration files: what is understood of one can be shown, and the file that shows it means the same.
//!
//! The first byte is `t` for TOML and else for INI, the rest the file.

use std::path::Path;

use klstore_bridge::settings::BridgeConfig;
use klstore_config::{ConfigErrors, ConfigFile, Effective, Loaded};

/// Characters of all that is said about one file.
const MAX_ERROR_CHARACTERS: usize = 64 << 10;

/// The target.
pub fn run(data: &[u8]) {
    let Some((&grammar, file)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(file) else { return };
    let path = Path::new(if grammar == b't' { "klstore.toml" } else { "klstore.ini" });
    let file = match ConfigFile::parse(path, text) {
        Ok(file) => file,
        Err(errors) => return said(&errors),
    };
    for section in file.document().sections() {
        for (at, entry) in section.entries.iter().enumerate() {
            assert!(section.entries[..at].iter().all(|before| before.name != entry.name), "a name is there twice");
            assert!((1..=text.lines().count()).contains(&entry.line), "line {}", entry.line);
        }
    }
    // Nothing on this machine is read: a secret of a file's, which is named after `file:`, is not there.
    match file.s3(&variable) {
        Ok(s3) => shown_again("s3", &s3, |file| file.s3(&variable)),
        Err(errors) => said(&errors),
    }
    match file.batcher(&variable) {
        Ok(batcher) => shown_again("batcher", &batcher, |file| file.batcher(&variable)),
        Err(errors) => said(&errors),
    }
    for section in ["kafka", "parser", "bridge"] {
        if let Err(errors) = file.expand(section, &variable) {
            said(&errors);
        }
    }
    match BridgeConfig::read(&file, &variable) {
        Ok(config) => {
            for name in [config.parser.keyspace, config.parser.key] {
                assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
            }
        }
        Err(errors) => said(&errors),
    }
}

fn variable(name: &str) -> Option<String> {
    match name {
        "REGION" => Some("eu-central-1".to_owned()),
        "NESTED" => Some("${REGION} file:/etc/hostname \"#\\".to_owned()),
        _ => None,
    }
}

fn said(errors: &ConfigErrors) {
    let words = errors.to_string();
    assert!(!words.is_empty() && words.chars().count() <= MAX_ERROR_CHARACTERS, "{} characters", words.chars().count());
}

/// Writes the settings as they are shown, and reads them again.
fn shown_again<C: 'static>(
    section: &str,
    loaded: &Loaded<C>,
    read: impl Fn(&ConfigFile) -> Result<Loaded<C>, ConfigErrors>,
) {
    // What is masked, spans lines or would be replaced is not shown as a file can have it.
    let can_be_written = |value: &str| {
        value != "***" && !value.contains(['\n', '\r']) && !value.contains("${") && !value.starts_with("file:")
    };
    let rows: Vec<(&str, String)> = loaded
        .effective()
        .filter_map(|Effective { name, value, .. }| Some((name, value.filter(|value| can_be_written(value))?)))
        .collect();
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name}=\"{}\"\n", quoted(value))).collect();
    let text = format!("[{section}]\n{}", lines.concat());
    let file = ConfigFile::parse("shown.ini".as_ref(), &text).expect("what is shown can be parsed");
    let again = read(&file).expect("what is shown can be read");
    let again: Vec<(&str, String)> =
        again.effective().filter_map(|Effective { name, value, .. }| Some((name, value?))).collect();
    for row in &rows {
        assert!(again.contains(row), "{row:?} is shown by {text} as {again:?}");
    }
}
