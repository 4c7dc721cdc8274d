//! `klstore append` from CSV and from objects of any shape, what it does with bad lines, and that it can be killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Ran, Store, signal, spawn};
use klstore_s3_server::{Fault, Operation};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/flights.csv.zst");

fn file(text: impl AsRef<[u8]>, suffix: &str) -> tempfile::TempPath {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file.into_temp_path()
}

#[test]
fn rows_of_csv_become_json_objects() {
    let store = Store::with_keyspace();
    let input = file("id,at,note\nx,1970-01-01T00:00:01Z,\"a, \"\"b\"\"\"\ny,5,\n", ".csv");
    let input = input.to_str().unwrap();
    let append = ["append", "ks", "k", "--input", input, "--nonce", "line", "--timestamp-field", "at"];
    assert_eq!(store.klstore(&append).succeeds().text(), "appended 2 items to 1 key\n");
    let expected = json!([
        { "offset": 0, "timestamp": 1000, "nonce": "0",
          "value": r#"{"id":"x","at":"1970-01-01T00:00:01Z","note":"a, \"b\""}"# },
        { "offset": 1, "timestamp": 5, "nonce": "1", "value": r#"{"id":"y","at":"5","note":""}"# },
    ]);
    assert_eq!(Value::from(store.items("ks", "k")), expected);
    assert_eq!(store.klstore(&append).succeeds().text(), "appended 0 items to 1 key, dropped 2 duplicates\n");

    let by_key = ["append", "ks", "--input", input, "--key-field", "id", "--value-field", "note"];
    assert_eq!(store.klstore(&by_key).succeeds().text(), "appended 2 items to 2 keys\n");
    assert_eq!(store.items("ks", "x")[0]["value"], "a, \"b\"");
    assert_eq!(store.items("ks", "y")[0]["value"], "");
    let dates = ["append", "ks", "dates", "--format", "csv", "--delimiter", ";", "--no-header"];
    let dates = [&dates[..], &["--timestamp-field", "1", "--timestamp-format", "%d.%m.%Y %H:%M"]].concat();
    store.klstore_reading(&dates, "01.02.1970 00:01;a,b\n").succeeds();
    assert_eq!(store.items("ks", "dates")[0]["timestamp"], 2_678_460_000_i64);
    assert_eq!(store.items("ks", "dates")[0]["value"], r#"{"1":"01.02.1970 00:01","2":"a,b"}"#);
}

#[test]
fn objects_of_any_shape_are_values() {
    let store = Store::with_keyspace();
    let line = r#"{ "device": {"id": 7}, "seq": 340282366920938463463374607431768211454, "at": 1.5 }"#;
    let fields = ["--key-field", "/device/id", "--nonce-field", "seq", "--timestamp-field", "at"];
    let append = [&["append", "ks", "--timestamp-format", "seconds"], &fields[..]].concat();
    store.klstore_reading(&append, format!("{line}\n")).succeeds();
    let expected = json!([
        { "offset": 0, "timestamp": 1500, "nonce": "340282366920938463463374607431768211454", "value": line },
    ]);
    assert_eq!(Value::from(store.items("ks", "7")), expected);
}

#[test]
fn what_does_not_fit_together_is_said() {
    let store = Store::with_keyspace();
    let input = file("a,b\n1,2\n", ".csv");
    let input = input.to_str().unwrap();
    let check = |more: &[&str], expected: &[&str]| {
        store.klstore(&[&["append", "ks"], more].concat()).fails(2, expected);
    };
    check(&["--input", input], &["no column is named that holds the key", "--key-field"]);
    check(&["k", "--input", input, "--nonce-field", "c"], &["line 1: has no column `c`; the columns are a, b"]);
    check(&["k", "--format", "lines", "--value-field", "a"], &["lines of text have no fields", "--format csv"]);
    check(&["--nonce-field", "a"], &["no field is named that holds the key"]);
    check(&["k", "--on-error", "ignore"], &["--on-error knows no `ignore`", "stop, skip, or dead-letter FILE"]);
    check(&["k", "--on-error", "dead-letter"], &["names no file"]);
    check(&["k", "--on-error", "skip", "k"], &["--on-error skip takes no file"]);
    check(&["k", "--input", input, "--delimiter", "ab"], &["one ASCII character"]);
    check(&["k", "--input", input, "--timestamp-format", "dd.mm"], &["rfc3339, seconds"]);
    check(&["k", "--key-field", "a"], &["cannot be used with"]);
}

#[test]
fn bad_lines_stop_are_skipped_or_become_dead_letters() {
    let store = Store::with_keyspace();
    let input = "n,v\n1,a\nx,b\n2,c\n3\n4,\"d\ne\"\n";
    let append = |key: &str, more: &[&str]| {
        let fields = ["append", "ks", key, "--format", "csv", "--nonce-field", "n", "--value-field", "v"];
        store.klstore_reading(&[&fields[..], more].concat(), input)
    };
    let values =
        |key: &str| -> Vec<Value> { store.items("ks", key).iter().map(|item| item["value"].clone()).collect() };
    append("stop", &[]).fails(2, &["line 3: the nonce x is no whole number", "everything before line 3 was appended"]);
    assert_eq!(values("stop"), ["a"]);

    let ran = append("skip", &["--on-error", "skip"]).succeeds();
    assert_eq!(ran.text(), "appended 3 items to 1 key, rejected 2 lines\n");
    let rejected = "rejected: line 3: the nonce x is no whole number from 0 to 2^128-2, as number or decimal string\n\
                    rejected: line 5: has 1 cells, the rows before have 2\n";
    assert_eq!(ran.err, rejected);
    assert_eq!(values("skip"), ["a", "c", "d\ne"]);

    let letters = file("", "");
    let letters = letters.to_str().unwrap();
    let ran = append("letters", &["--json", "--on-error", "dead-letter", letters]).succeeds();
    assert_eq!(ran.json(), json!({ "appended": 3, "duplicates": 0, "keys": 1, "rejected": 2 }));
    let first: Value = serde_json::from_str(ran.err.lines().next().unwrap()).unwrap();
    assert_eq!(first["rejected"]["line"], 3);
    assert_eq!(std::fs::read_to_string(letters).unwrap(), "x,b\n3\n");
    append("letters", &["--on-error", "dead-letter", "/nonexistent/file"]).fails(1, &["/nonexistent/file"]);
}

#[test]
fn a_line_without_end_is_a_dead_letter_too() {
    let store = Store::with_keyspace();
    let letters = file("", "");
    let long = "x".repeat((16 << 20) + 5_000_000);
    let input = format!("a\n{long}\nb\n");
    let append = ["append", "ks", "k", "--nonce", "line", "--on-error", "dead-letter", letters.to_str().unwrap()];
    let ran = store.klstore_reading(&append, &input).succeeds();
    assert_eq!(ran.err, "rejected: line 2: is longer than 16777218 bytes: a value may have up to 16 MiB\n");
    assert!(std::fs::read_to_string(&letters).unwrap() == format!("{long}\n"));
    let items: Vec<_> =
        store.items("ks", "k").iter().map(|item| (item["value"].clone(), item["nonce"].clone())).collect();
    assert_eq!(items, [("a".into(), "0".into()), ("b".into(), "2".into())]);
}

#[test]
fn lines_that_trickle_are_appended_within_a_second_or_so() {
    let store = Store::with_keyspace();
    let mut child = spawn(store.command(&["append", "ks", "k"]));
    let mut stdin = child.stdin.take().unwrap();
    let follow = ["read", "ks", "k", "--follow", "--output", "text"];
    let mut follower = spawn(store.command(&follow));
    let mut out = BufReader::new(follower.stdout.take().unwrap()).lines();
    // Never a pause of 200 ms, for six seconds.
    let feeding = thread::spawn(move || {
        for number in 0..100 {
            writeln!(stdin, "{number}").unwrap();
            thread::sleep(Duration::from_millis(60));
        }
    });
    assert_eq!(out.next().unwrap().unwrap(), "0");
    assert!(!feeding.is_finished(), "the first line was seen only at the end");
    feeding.join().unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.succeeds().text(), "appended 100 items to 1 key\n");
    signal(&follower, "INT");
    follower.wait().unwrap();
}

/// The rows as the command makes values of them. No cell of the file holds a quote.
fn values_of(csv: &str) -> Vec<String> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let value = |row: &str| {
        let cells = names.iter().zip(row.split(',')).map(|(name, cell)| format!("\"{name}\":\"{cell}\""));
        format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
    };
    lines.map(value).collect()
}

/// Kills the import of `path` at `kills` random moments, lets it end, and compares.
fn import_killed(path: &Path, expected: &[String], kills: usize, most_requests: u64) {
    let store = Store::with_keyspace();
    // So that there is something to be killed in the middle of.
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    store.server.faults().set(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        match request.operation {
            Operation::PutObject => Fault::Delay(Duration::from_millis(40), Box::default()),
            _ => Fault::None,
        }
    });
    let append = ["append", "ks", "all", "--input", path.to_str().unwrap(), "--nonce", "line"];
    let append = [&append[..], &["--timestamp-field", "time_hour"]].concat();
    let mut random = rand::rngs::StdRng::seed_from_u64(20);
    let mut reached = Vec::new();
    for _ in 0..kills {
        // Moments are counted in requests, whatever the machine's pace, and lie anywhere within one.
        let last = requests.load(Ordering::Relaxed) + random.random_range(0..most_requests);
        let mut child = spawn(store.command(&append));
        while requests.load(Ordering::Relaxed) < last && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(random.random_range(0..45)));
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = store.klstore(&["stat", "ks", "all", "--json"]);
        reached.push(if ran.code == Some(0) { ran.json()["next_offset"].as_u64().unwrap() } else { 0 });
    }
    println!("items after each kill: {reached:?}");
    assert!(reached.iter().any(|count| *count > 0 && *count < expected.len() as u64), "no kill hit the import");
    store.klstore(&append).succeeds();
    let read = store.klstore(&["read", "ks", "all"]).succeeds().text();
    let items: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items.len(), expected.len());
    for (number, (item, value)) in items.iter().zip(expected).enumerate() {
        let found = (item["offset"].as_u64(), item["nonce"].as_str(), item["value"].as_str());
        assert_eq!(found, (Some(number as u64), Some(number.to_string().as_str()), Some(value.as_str())));
    }
}

fn flights() -> String {
    let packed = std::fs::read(FLIGHTS).unwrap();
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

#[test]
fn an_import_killed_20_times_ends_with_exactly_the_rows() {
    let text: String = flights().lines().take(12_001).map(|line| line.to_owned() + "\n").collect();
    import_killed(&file(&text, ".csv"), &values_of(&text), 20, 16);
}

#[test]
#[ignore = "all 336,776 flights: for script/test-long"]
fn the_import_of_all_flights_killed_20_times_ends_with_exactly_the_rows() {
    let text = flights();
    import_killed(&file(&text, ".csv"), &values_of(&text), 20, 60);
}

#[test]
fn a_key_that_cannot_be_one_is_a_bad_line() {
    let store = Store::with_keyspace();
    let long = "k".repeat(256);
    let line = |key: &str, value: &str| json!({ "key": key, "value": value }).to_string() + "\n";
    let input = line("a", "1") + &line("", "2") + &line(&long, "3") + &line("a", "4");
    let ran = store.klstore_reading(&["append", "ks", "--on-error", "skip"], &input).succeeds();
    assert_eq!(ran.text(), "appended 2 items to 1 key, rejected 2 lines\n");
    let mut errors = ran.err.lines();
    let empty = "rejected: line 2: has a key that cannot be one: the key is empty: give it at least one character";
    assert_eq!(errors.next(), Some(empty));
    assert!(errors.next().unwrap().contains("line 3: has a key that cannot be one: the key `kkk"));
    store.klstore_reading(&["append", "ks"], &input).fails(2, &["line 2: has a key that cannot be one"]);
    let by_column = ["append", "ks", "--format", "csv", "--key-field", "k", "--on-error", "skip"];
    let ran = store.klstore_reading(&by_column, format!("k,v\n{long},1\nb,2\n")).succeeds();
    assert_eq!(ran.text(), "appended 1 item to 1 key, rejected 1 line\n");
}

#[test]
fn each_dead_letter_ends_with_a_line_end() {
    let store = Store::with_keyspace();
    let letters = file("of a command that was killed", "");
    let letters = letters.to_str().unwrap();
    let append = ["append", "ks", "k", "--format", "ndjson", "--on-error", "dead-letter", letters];
    for input in ["bad 1\nbad 2", "bad 3", "bad 4\r\n"] {
        store.klstore_reading(&append, input).succeeds();
    }
    let expected = "of a command that was killed\nbad 1\nbad 2\nbad 3\nbad 4\r\n";
    assert_eq!(std::fs::read_to_string(letters).unwrap(), expected);

    // Also where the command fails, or is stopped.
    let mut child = spawn(store.command(&append));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"bad 5\n").unwrap();
    let held = || std::fs::read_to_string(letters).unwrap();
    while !held().ends_with("bad 5\n") {
        thread::sleep(Duration::from_millis(20));
    }
    stdin.write_all(b"bad 6").unwrap();
    thread::sleep(Duration::from_millis(200));
    signal(&child, "INT");
    let ran: Ran = child.wait_with_output().unwrap().into();
    ran.fails(1, &["stopped before the end of the input", "\"rejected\":1"]);
    drop(stdin);
    assert!(held().ends_with("bad 5\n"));
}
