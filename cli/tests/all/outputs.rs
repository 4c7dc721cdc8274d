//! What every command answers, as text and as JSON: one session, as a user would have it.

use std::fmt::Write;

use crate::support::{Store, snapshot};
use serde_json::json;

/// Three items with given times.
fn lines() -> String {
    let line = |n: u64| json!({ "value": format!("value {n}"), "nonce": n, "timestamp": n * 1_000 }).to_string() + "\n";
    (0..3).map(line).collect()
}

/// The commands with what they said on stdout.
#[derive(Default)]
struct Session(String);

impl Session {
    fn add(&mut self, arguments: &[&str], said: &str) {
        writeln!(self.0, "$ klstore {}\n{said}", arguments.join(" ")).unwrap();
    }
}

/// The same with N for each number: for what is measured or drawn by lot.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    let mut digits = false;
    for character in text.chars() {
        let part_of_number = character.is_ascii_digit() || (digits && matches!(character, '.' | ','));
        if part_of_number && !digits {
            result.push('N');
        } else if !part_of_number {
            result.push(character);
        }
        digits = part_of_number;
    }
    result
}

/// More is measured in larger units.
fn without_units(text: &str) -> String {
    ["KiB", "MiB", "GiB"].iter().fold(text.to_owned(), |text, unit| text.replace(unit, "B"))
}

/// Columns move with the numbers in them.
fn without_columns(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

#[test]
fn each_command_answers_as_it_is_kept() {
    let store = Store::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (input, csv, config) = (at("items.ndjson"), at("out.csv"), at("klstore.ini"));
    std::fs::write(&input, lines()).unwrap();
    std::fs::write(&config, "[s3]\nbucket_name=b\n").unwrap();
    let mut session = Session::default();
    for arguments in [
        &["keyspace", "create", "ks"][..],
        &["keyspace", "ls"],
        &["append", "ks", "k", "--input", &input],
        &["append", "ks", "k", "--input", &input],
        &["key", "ls", "ks"],
        &["stat", "ks", "k"],
        &["page", "ks", "k", "--max-size", "1", "--order", "backwards"],
        &["read", "ks", "k"],
        &["export", "ks", "k", "--output", &csv],
        &["copy", "ks", "--to-keyspace", "other"],
        &["trim", "ks", "k", "--before-offset", "1"],
        &["key", "delete", "other", "k", "--yes"],
        &["compact", "ks"],
        &["gc", "ks"],
        &["verify", "ks"],
        &["cost", "ks", "k"],
        &["config", "check", &config],
        &["completions", "fish"],
    ] {
        for json in [false, true] {
            // What happens once is said once.
            let once = matches!(arguments[0], "append" | "trim" | "compact") || arguments.contains(&"create");
            let no_json = matches!(arguments[0], "page" | "read" | "completions");
            if json && (once || no_json) {
                continue;
            }
            let more: &[&str] = if json { &["--json"] } else { &[] };
            let arguments = [arguments, more].concat();
            let said = store.klstore(&arguments).succeeds().text();
            let said = match arguments[0] {
                // As long as all commands together.
                "completions" => format!("{}\n...\n", said.lines().next().unwrap()),
                "page" => crate::support::replaced_between(&said, "\"continuation\":\"", "\"", "TOKEN"),
                _ => said,
            };
            // What is compressed may take a byte more with another release of the library.
            let sizes = ["\"read_bytes\":", "\"stored_bytes\":", "\"read_size_total\":"];
            let said = sizes.iter().fold(said, |said, size| crate::support::replaced_between(&said, size, ",", "N"));
            session.add(&arguments, &said);
        }
    }
    snapshot("session.txt", &session.0, &[(folder.path().to_str().unwrap(), "FOLDER")]);
}

#[test]
fn what_is_measured_keeps_its_form() {
    let store = Store::start();
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    let objects = objects.to_str().unwrap();
    let demo = ["demo", "--rows", "500", "--exit", "--dir", objects];
    let mut session = Session::default();
    for arguments in [&["bench", "--seconds", "1"][..], &["probe"], &demo] {
        for more in [&[][..], &["--json"]] {
            let arguments = [arguments, more].concat();
            let said = store.klstore(&arguments).succeeds().text().replace(objects, "FOLDER");
            let said = crate::support::replaced_between(&said, "klstore-probe-", "/", "RANDOM");
            session.add(&arguments, &without_columns(&without_units(&without_numbers(&said))));
            let _ = std::fs::remove_dir_all(objects);
        }
    }
    snapshot("measured.txt", &session.0, &[(objects, "FOLDER")]);
}
