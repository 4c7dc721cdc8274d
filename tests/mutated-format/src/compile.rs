//! The crate with its mutants, as many as compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::files::{self, LIBRARY, read, replace};
use crate::mutant::{Mutant, Outcome};
use crate::sites;
use crate::source::{SWITCHES, Switched};
use crate::{Error, Folders, Result};

/// Far more than it has ever taken: the compiler tells of types first, then of names and borrows.
const MOST_TURNS: usize = 20;

/// Writes them into the tree, and leaves out what the compiler refuses, until it does not. The numbers of those that are in,
/// and what is to be said of the others.
pub fn compile_with_switches(folders: &Folders, mutants: &[Mutant]) -> Result<(Vec<usize>, BTreeMap<usize, Outcome>)> {
    let mut refused = BTreeSet::new();
    for _ in 0..MOST_TURNS {
        let (files, others) = write(folders, mutants, &refused)?;
        let errors = check(&folders.tree)?;
        if errors.is_empty() {
            let mut outcomes: BTreeMap<_, _> = refused.iter().map(|number| (*number, Outcome::NotViable)).collect();
            outcomes.extend(others);
            let switched = (0..mutants.len()).filter(|number| !outcomes.contains_key(number)).collect();
            return Ok((switched, outcomes));
        }
        let before = refused.len();
        for error in &errors {
            let found = error.places.iter().find_map(|(file, line)| files.get(file)?.mutants_at(*line));
            refused.extend(found.into_iter().flat_map(|lines| &lines.mutants));
        }
        if refused.len() == before {
            return Err(Error::NotByAMutant(
                errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("\n"),
            ));
        }
    }
    Err(Error::NotByAMutant(format!("still not after {MOST_TURNS} turns")))
}

type Others = Vec<(usize, Outcome)>;

fn write(
    folders: &Folders,
    mutants: &[Mutant],
    refused: &BTreeSet<usize>,
) -> Result<(BTreeMap<String, Switched>, Others)> {
    let (mut switched_files, mut others) = (BTreeMap::new(), Vec::new());
    for name in files::of(mutants) {
        let source = read(&folders.root.join(name))?;
        let parsed = syn::parse_file(&source).map_err(|source| Error::Parse { path: name.to_owned(), source })?;
        let of_file =
            mutants.iter().enumerate().filter(|(number, mutant)| mutant.file == name && !refused.contains(number));
        let of_file = of_file.map(|(number, mutant)| {
            (number, sites::bytes_of(&source, mutant), mutant.genre, mutant.replacement.clone())
        });
        let (sites, left) = sites::find(&source, &parsed, of_file);
        others.extend(left);
        let switched = Switched::of(&source, &sites);
        replace(&folders.tree.join(name), &switched.text)?;
        switched_files.insert(name.to_owned(), switched);
    }
    replace(&folders.tree.join("format/src/switches.rs"), SWITCHES)?;
    let library = format!("{}\nmod switches;\n", read(&folders.root.join(LIBRARY))?);
    replace(&folders.tree.join(LIBRARY), &library)?;
    Ok((switched_files, others))
}

/// What the compiler has against it.
struct CompilerError {
    message: String,
    /// Where it is first, then what has to do with it: file and line.
    places: Vec<(String, usize)>,
}

fn check(tree: &Path) -> Result<Vec<CompilerError>> {
    let command = "cargo check";
    let output = Command::new("cargo")
        .args(["check", "-p", "klstore-format", "--lib", "--features", "mutants", "--locked", "--message-format=json"])
        .current_dir(tree)
        .output()
        .map_err(|source| Error::Command { command: command.to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors: Vec<_> = messages
        .filter(|message| message["message"]["level"] == "error")
        .map(|message| compiler_error(&message["message"]))
        .collect();
    if !output.status.success() && errors.is_empty() {
        return Err(Error::NotByAMutant(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(errors)
}

fn compiler_error(message: &Value) -> CompilerError {
    let spans = message["spans"].as_array().cloned().unwrap_or_default();
    let (first, others): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| span["is_primary"] == true);
    let places = first.iter().chain(&others).filter_map(|span| {
        Some((span["file_name"].as_str()?.to_owned(), usize::try_from(span["line_start"].as_u64()?).ok()?))
    });
    CompilerError { places: places.collect(), message: message["rendered"].as_str().unwrap_or_default().to_owned() }
}
