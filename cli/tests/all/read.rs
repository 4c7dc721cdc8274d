//! `klstore read` between two times, and on a terminal.

use std::process::{Command, Stdio};

use crate::support::{Ran, Store};

#[test]
fn a_list_is_read_since_and_until() {
    let store = Store::with_keyspace();
    let now = jiff::Timestamp::now().as_millisecond();
    let minute = 60_000;
    // The one of 90 minutes ago comes late.
    let ages = [300, 200, 50, 90, 40, 1];
    let lines = ages.map(|age| format!("{{\"value\":\"{age}\",\"timestamp\":{}}}\n", now - age * minute));
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines.concat()).succeeds();
    let check = |more: &[&str], expected: &[&str]| {
        let ran = store.klstore(&[&["read", "ks", "k", "--output", "text"], more].concat()).succeeds();
        assert_eq!(ran.text().lines().collect::<Vec<_>>(), expected, "{more:?}");
    };
    let back = ["--order", "backwards"];
    check(&["--since", "1h"], &["50", "90", "40", "1"]);
    check(&["--since", "3600s", "--until", "30m"], &["50", "90", "40"]);
    check(&["--until", "1h"], &["300", "200"]);
    check(&["--until", "1w"], &[]);
    check(&["--since", "0s"], &[]);
    check(&[&["--since", "1h"], &back[..]].concat(), &["1", "40", "90", "50"]);
    check(&[&["--since", "4h", "--until", "45m"], &back[..]].concat(), &["90", "50", "200"]);
    check(&[&["--until", "45m", "--limit", "2"], &back[..]].concat(), &["90", "50"]);
    check(&[&["--since", "0s"], &back[..]].concat(), &[]);
    check(&["--since", "1970-01-01T00:00:00Z", "--until", "100"], &[]);
    // It ends at the first item that is too late, without waiting for more.
    check(&["--follow", "--since", "1h", "--until", "30m"], &["50", "90", "40"]);
    let read = |more: &[&str]| store.klstore(&[&["read", "ks", "k"], more].concat());
    read(&["--since", "yesterday"]).fails(2, &["90s, 15m, 1h, 2d or 1w", "2013-01-01T10:15:00Z"]);
    read(&["--since", "1h", "--start-timestamp", "5"]).fails(2, &["cannot be used with"]);
}

#[test]
fn a_terminal_is_not_steered_and_a_pipe_gets_the_bytes() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "\x1b[31mred\x07 \\ \u{9b}2J").succeeds();
    let piped = store.klstore(&["read", "ks", "k", "--output", "text"]).succeeds();
    assert_eq!(piped.text(), "\x1b[31mred\x07 \\ \u{9b}2J\n");
    // util-linux's script runs a command on a terminal of its own, and copies what it shows.
    let on_terminal = |line: &str| {
        let shell = format!("{} {line}", env!("CARGO_BIN_EXE_klstore"));
        let plain = store.command(&[]);
        let mut script = Command::new("script");
        script.args(["-qec", &shell, "/dev/null"]);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let ran: Ran = script.env_remove("NO_COLOR").stdin(Stdio::null()).output().unwrap().into();
        ran
    };
    let shown = on_terminal("read ks k --output text").succeeds();
    assert_eq!(shown.text(), "\\u{1b}[31mred\\u{7} \\\\ \\u{9b}2J\r\n");
    let shown = on_terminal("stat ks none");
    assert_eq!(shown.code, Some(3));
    assert!(shown.text().starts_with("\x1b[1;31merror:\x1b[0m key `none` does not exist"), "{}", shown.text());
    assert!(!store.klstore(&["stat", "ks", "none"]).err.contains('\x1b'));
}
