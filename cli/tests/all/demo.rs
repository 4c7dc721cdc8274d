//! `klstore demo` with a part of the flights.

use std::io::{BufRead, BufReader};

use crate::support::{Ran, command, signal, spawn};

#[test]
fn the_demo_shows_pages_and_a_summary() {
    let ran: Ran = command("", &["demo", "--exit", "--rows", "5000"]).output().unwrap().into();
    let text = ran.succeeds().text();
    for part in [
        "5,000 rows",
        "each equal to what was appended",
        "first page",
        "last page",
        "offset ",
        "time 2013-01-",
        "nonce ",
        "\nSummary\n",
        "5,000 flights compared, all equal",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("stays up"));
}

#[test]
fn the_demo_answers_in_json() {
    let ran: Ran = command("", &["demo", "--exit", "--rows", "20000", "--json"]).output().unwrap().into();
    let answer = ran.succeeds().json();
    assert_eq!((&answer["append"]["appended"], &answer["check"]["equal_rows"]), (&20_000.into(), &20_000.into()));
    let pages = answer["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 8);
    for page in pages {
        assert!(page["stats"]["list_operation_count"].as_u64() <= Some(1), "{page}");
        assert!(page["stats"]["read_operation_count"].as_u64() <= Some(4), "{page}");
    }
    assert_eq!(pages[0]["items"], 20);
}

#[test]
fn the_demo_stays_up_for_the_commands_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("objects");
    let mut child = spawn(command("", &["demo", "--rows", "1000", "--dir", dir.to_str().unwrap()]));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut environment = Vec::new();
    let mut commands = Vec::new();
    while commands.len() < 3 {
        let line = lines.next().expect("three commands");
        if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            environment.push((name.to_owned(), value.to_owned()));
        } else if let Some(command) = line.trim().strip_prefix("klstore ") {
            commands.push(command.split(" |").next().unwrap().to_owned());
        }
    }
    assert_eq!(environment.len(), 4);
    for line in commands {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = command("", &arguments);
        for (name, value) in &environment {
            command.env(name, value);
        }
        let ran: Ran = command.output().unwrap().into();
        assert!(ran.succeeds().text().contains('N'), "{line}");
    }
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    // What it leaves is there, and not to be written over.
    let again: Ran = command("", &["demo", "--exit", "--dir", dir.to_str().unwrap()]).output().unwrap().into();
    again.fails(2, &["is not empty"]);
}
