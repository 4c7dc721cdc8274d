//! `klstore config`: the configuration file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use klstore_config::{ConfigErrors, ConfigFile, Effective};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Kind};
use crate::output::{Output, harmless};
use crate::settings::{StoreArguments, invalid_file};
use crate::store::variable;

#[derive(Debug, Subcommand)]
pub enum Command {
    Check(CheckArguments),
}

/// Say what a configuration file means: every setting with its value and where that is from
///
/// Secrets are masked. All mistakes are named, each with its line; then the exit code is 5. No store is asked.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// File to check; that of --config if not given
    file: Option<PathBuf>,
}

pub fn run(command: Command, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Command::Check(arguments) = command;
    let Some(path) = arguments.file.as_deref().or(store.config.as_deref()) else {
        return Err(Failure::new(Kind::Usage, "no file to check").advice("name it: `klstore config check FILE`"));
    };
    let (file, mistakes) = ConfigFile::examine(path).map_err(invalid_file)?;
    for warning in file.warnings() {
        tracing::warn!("{warning}");
    }
    let sections = understand(&file, mistakes).map_err(invalid_file)?;
    let warnings: Vec<String> = file.warnings().iter().map(ToString::to_string).collect();
    let json = json!({
        "file": path,
        "sections": sections.iter().map(|section| (section.name.clone(), section.json())).collect::<Map<_, _>>(),
        "warnings": warnings,
    });
    output.answer(&json, &text(path, &sections))
}

/// A section as it is to be shown.
struct Shown {
    name: String,
    rows: Rows,
}

/// Name, value, line.
type Rows = Vec<(String, Option<String>, Option<usize>)>;

/// All sections; or all mistakes, those included that were found before.
fn understand(file: &ConfigFile, mut mistakes: Option<ConfigErrors>) -> Result<Vec<Shown>, ConfigErrors> {
    let is_whole = mistakes.is_none();
    let mut sections = Vec::new();
    for section in file.document().sections() {
        match section_rows(file, &section.name, is_whole) {
            Ok(rows) => sections.push(Shown { name: section.name.clone(), rows }),
            Err(errors) => {
                mistakes = Some(match mistakes {
                    Some(before) => before.and(errors),
                    None => errors,
                });
            }
        }
    }
    mistakes.map_or(Ok(sections), Err)
}

/// What a section says. Whether its settings make sense together can be said only where none is missing for another
/// reason.
fn section_rows(file: &ConfigFile, section: &str, is_whole: bool) -> Result<Rows, ConfigErrors> {
    match section {
        "s3" => {
            let loaded = file.s3(&variable)?;
            let mistakes = if is_whole { loaded.config.mistakes() } else { Vec::new() };
            let located = mistakes.into_iter().map(|mistake| file.locate(section, mistake));
            located.reduce(ConfigErrors::and).map_or_else(|| Ok(rows(loaded.effective())), Err)
        }
        "batcher" => Ok(rows(file.batcher(&variable)?.effective())),
        // The bridge's own: names and values are checked there.
        other => {
            let entries = file.expand(other, &variable)?.into_iter();
            let shown = |value, secret| if secret { "***".to_owned() } else { value };
            Ok(entries.map(|entry| (entry.name, Some(shown(entry.value, entry.secret)), Some(entry.line))).collect())
        }
    }
}

fn rows(settings: impl Iterator<Item = Effective>) -> Rows {
    settings.map(|setting| (setting.name.to_owned(), setting.value, setting.line)).collect()
}

impl Shown {
    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, value, line)| (name.clone(), json!({ "value": value, "line": line })));
        Value::Object(rows.collect())
    }

    fn text(&self) -> String {
        // Also into a file: a value with a line end must not look like two settings.
        let shown = |value: &Option<String>| harmless(value.as_deref().unwrap_or("-"));
        let rows: Vec<_> = self.rows.iter().map(|(name, value, line)| (name, shown(value), line)).collect();
        let name_width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let value_width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
        let mut text = format!("[{}]", self.name);
        for (name, value, line) in rows {
            let source = line.map_or_else(|| "default".to_owned(), |line| format!("line {line}"));
            text.push_str(&format!("\n  {name:name_width$}  {value:value_width$}  {source}"));
        }
        text
    }
}

fn text(path: &Path, sections: &[Shown]) -> String {
    let mut parts = vec![format!("{} is right", path.display())];
    parts.extend(sections.iter().map(|section| section.text()));
    parts.join("\n\n")
}
