//! Which mutants of the crate `format` no test notices (`script/mutants-of-format`, docs/RELIABILITY.md).
//!
//! cargo-mutants says what the mutants are, and would compile each of them by itself: hours. Here they are all compiled into
//! one copy of the crate, each behind a switch (`sites`, `source`), those that cannot be are left out (`compile`), and the
//! tests' programs are run once for each mutant, with its number in the environment (`trial`). A mutant that cannot have a
//! switch, such as one of a constant, is compiled by itself.

mod compile;
mod explained;
mod files;
mod mutant;
mod sites;
mod source;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mutant::{Mutant, Outcome};

/// What keeps the mutants from being tried.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{path} cannot be read or written: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}, a list by `cargo mutants --list --json`, cannot be understood: {source}")]
    List { path: String, source: serde_json::Error },
    #[error("{path} cannot be parsed: {source}")]
    Parse { path: String, source: syn::Error },
    #[error("{command} cannot be run: {source}")]
    Command { command: String, source: std::io::Error },
    #[error("the crate does not compile with the mutants in it, and not for one of them:\n{0}")]
    NotByAMutant(String),
    #[error("a test fails without any mutant: {0}")]
    Broken(String),
    #[error("{0}")]
    Usage(&'static str),
}

type Result<T> = std::result::Result<T, Error>;

/// Where everything is.
struct Folders {
    /// The repository, which is only read.
    root: PathBuf,
    /// A copy of it, in which the crate is changed.
    tree: PathBuf,
}

const USAGE: &str = "mutated-format ROOT TREE LIST.json [NAME]: ROOT is the repository, TREE a copy of it that is changed, \
                     LIST.json what `cargo mutants -p klstore-format --list --json` says; NAME limits it to mutants whose \
                     names contain it";

fn main() -> ExitCode {
    match all() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutated-format: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tries them all and says what became of them; how many survive unexplained.
fn all() -> Result<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (root, tree, list, name) = match &arguments[..] {
        [root, tree, list] => (root, tree, list, ""),
        [root, tree, list, name] => (root, tree, list, name.as_str()),
        _ => return Err(Error::Usage(USAGE)),
    };
    let folders = Folders { root: root.into(), tree: tree.into() };
    let mutants = mutant::read_list(Path::new(list))?;
    let explanations = explained::read(&folders.root.join("tests/mutated-format/explained"))?;

    let (switched, mut outcomes) = compile::compile_with_switches(&folders, &mutants)?;
    outcomes.retain(|number, _| mutants[*number].name.contains(name));
    let wanted: Vec<usize> = switched.into_iter().filter(|number| mutants[*number].name.contains(name)).collect();
    println!("{} mutants are behind switches", wanted.len());
    let tried = trial::try_switched(&folders, &wanted)?;
    tell_survivors(&mutants, &tried, &explanations);
    outcomes.extend(tried);
    let alone: Vec<usize> =
        outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Alone).map(|(number, _)| *number).collect();
    let tried = trial::try_alone(&folders, &mutants, &alone)?;
    tell_survivors(&mutants, &tried, &explanations);
    outcomes.extend(tried);
    Ok(report(&mutants, &outcomes, &explanations))
}

type Outcomes = BTreeMap<usize, Outcome>;
type Explanations = BTreeMap<String, String>;

fn tell_survivors(mutants: &[Mutant], outcomes: &Outcomes, explanations: &Explanations) {
    let missed = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Missed);
    let unexplained = missed
        .map(|(number, _)| &mutants[*number])
        .filter(|mutant| !explanations.contains_key(&mutant.without_place()));
    unexplained.for_each(|mutant| println!("survives: {}", mutant.name));
}

fn report(mutants: &[Mutant], outcomes: &BTreeMap<usize, Outcome>, explanations: &BTreeMap<String, String>) -> usize {
    let (mut caught, mut not_viable, mut explained, mut survived) = (0, 0, 0, 0);
    let mut unused = explanations.clone();
    for (number, outcome) in outcomes {
        let mutant = &mutants[*number];
        match outcome {
            Outcome::Caught => caught += 1,
            Outcome::NotViable => not_viable += 1,
            Outcome::Missed | Outcome::Alone if explanations.contains_key(&mutant.without_place()) => {
                unused.remove(&mutant.without_place());
                explained += 1;
            }
            Outcome::Missed | Outcome::Alone => survived += 1,
        }
    }
    if outcomes.len() == mutants.len() {
        unused.keys().for_each(|name| println!("explained, but no longer missed: {name}"));
    }
    println!(
        "mutants of format: {caught} caught, {explained} explained, {survived} survived; {not_viable} do not compile"
    );
    survived
}
