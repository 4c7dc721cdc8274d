//! What the tests say of each mutant.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::files::{self, LIBRARY, read, replace};
use crate::mutant::{Mutant, Outcome};
use crate::sites::bytes_of;
use crate::{Error, Folders, Result};

/// Tests that a mutant makes endless are caught by it, too.
const LONGEST: Duration = Duration::from_secs(20);
/// Compiling the crate and its tests, or running them; a mutant may make either endless.
const LONGEST_COMPILATION: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const TOLD_EVERY: usize = 250;
/// A mutant may ask for any amount of memory.
const MEMORY_KIBIBYTES: &str = "6000000";

/// Programs to be run with each mutant, the quickest first, with the arguments of each; any failure is a catch.
const PROGRAMS: [(&[&str], &[&str]); 4] = [
    (&["test", "-p", "klstore-format", "--features", "mutants", "--locked", "--lib", "--no-run"], &["klstore_format"]),
    (
        &["test", "-p", "klstore-format", "--features", "mutants", "--locked", "--test", "golden", "--no-run"],
        &["golden"],
    ),
    (
        &["build", "--workspace", "--locked", "--bin", "simulate"],
        &["simulate", "--operations", "1500", "--seed", "1", "--threads", "1"],
    ),
    (
        &["test", "--workspace", "--exclude", "klstore-simulator", "--locked", "--test", "protocol", "--no-run"],
        // What takes seconds of its own.
        &["protocol", "--skip", "model::", "--skip", "explorer", "--skip", "a_writer_of_a_long_list"],
    ),
];

struct Program {
    path: String,
    arguments: Vec<String>,
}

/// Runs the programs with each of these, two at a time on two cores.
pub fn try_switched(folders: &Folders, wanted: &[usize]) -> Result<BTreeMap<usize, Outcome>> {
    let mut programs = Vec::new();
    for (build, run) in PROGRAMS {
        programs.push(build_program(&folders.tree, build, run)?);
    }
    for program in &programs {
        if !passes(program, None)? {
            return Err(Error::Broken(program.path.clone()));
        }
    }
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || -> Result<()> {
        while let Some(number) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut outcome = Outcome::Missed;
            for program in &programs {
                if !passes(program, Some(*number))? {
                    outcome = Outcome::Caught;
                    break;
                }
            }
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.insert(*number, outcome);
            if outcomes.len() % TOLD_EVERY == 0 || outcomes.len() == wanted.len() {
                let missed = outcomes.values().filter(|outcome| **outcome == Outcome::Missed).count();
                println!("{} of {} are tried: {missed} missed", outcomes.len(), wanted.len());
            }
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(Error::Broken("a thread of this program".to_owned())))
        })
    })?;
    Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn build_program(tree: &Path, build: &[&str], run: &[&str]) -> Result<Program> {
    let (name, arguments) = run.split_first().ok_or(Error::Usage("a program has a name"))?;
    let output = cargo(tree, build).arg("--message-format=json").output();
    let output = output.map_err(|source| Error::Command { command: "cargo".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let artifacts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built =
        artifacts.filter(|artifact| artifact["target"]["name"] == *name && artifact["executable"].is_string());
    let path = built.next_back().and_then(|artifact| Some(artifact["executable"].as_str()?.to_owned()));
    let path = path.ok_or_else(|| Error::NotByAMutant(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    let mut arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    if build[0] == "test" {
        arguments.extend(["-q", "-Zunstable-options", "--fail-fast"].map(str::to_owned));
    }
    Ok(Program { path, arguments })
}

fn cargo(tree: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(tree).stdin(Stdio::null());
    command
}

fn passes(program: &Program, mutant: Option<usize>) -> Result<bool> {
    // The shell bounds the memory, and is replaced by the program.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v \"$0\"; exec \"$@\"", MEMORY_KIBIBYTES, &program.path]).args(&program.arguments);
    // The first is for `--fail-fast`; more cases of a property find hardly more. Nothing is kept of what fails: not in `/`.
    command.env("RUSTC_BOOTSTRAP", "1").env("PROPTEST_CASES", "32").current_dir("/");
    if let Some(number) = mutant {
        command.env("MUTANT", number.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |source| Error::Command { command: program.path.clone(), source };
    let child = command.spawn().map_err(failed)?;
    ends_well(child, LONGEST).map_err(failed)
}

fn ends_well(mut child: Child, longest: Duration) -> std::io::Result<bool> {
    let mut waited = Duration::ZERO;
    while waited < longest {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

/// Compiles each of these by itself, without any switch, and runs the crate's unit tests.
pub fn try_alone(folders: &Folders, mutants: &[Mutant], numbers: &[usize]) -> Result<BTreeMap<usize, Outcome>> {
    for file in files::of(mutants).into_iter().chain([LIBRARY]) {
        replace(&folders.tree.join(file), &read(&folders.root.join(file))?)?;
    }
    // Compiled for one run: optimising would take longer than it saves.
    let config = ["--config", "profile.dev.package.klstore-format.opt-level=0"];
    let test = [&["test", "-p", "klstore-format", "--locked", "--lib"][..], &config].concat();
    let build = [&test[..], &["--no-run"]].concat();
    let mut outcomes = BTreeMap::new();
    for number in numbers {
        let mutant = &mutants[*number];
        let path = folders.tree.join(&mutant.file);
        let source = read(&folders.root.join(&mutant.file))?;
        let range = bytes_of(&source, mutant);
        replace(&path, &[&source[..range.start], &mutant.replacement, &source[range.end..]].concat())?;
        let outcome = if !run_cargo(&folders.tree, &build)? {
            Outcome::NotViable
        } else if run_cargo(&folders.tree, &test)? {
            Outcome::Missed
        } else {
            Outcome::Caught
        };
        outcomes.insert(*number, outcome);
        replace(&path, &source)?;
    }
    Ok(outcomes)
}

fn run_cargo(tree: &Path, arguments: &[&str]) -> Result<bool> {
    let failed = |source| Error::Command { command: "cargo".to_owned(), source };
    let child = cargo(tree, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
    ends_well(child, LONGEST_COMPILATION).map_err(failed)
}
