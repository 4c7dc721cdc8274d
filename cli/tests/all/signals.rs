//! Ends that come from outside: signals, closed pipes, crashes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[cfg(target_os = "linux")]
use crate::support::interruptible;
use crate::support::{BUCKET, Ran, Served, Store, command, signal, spawn};
use klstore_s3_server::{Fault, Operation};
use serde_json::json;

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let store = Store::with_keyspace();
    let lines = "x".repeat(1_000) + "\n";
    store.klstore_reading(&["append", "ks", "k"], lines.repeat(2_000)).succeeds();
    let mut child = spawn(store.command(&["read", "ks", "k"]));
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn a_followed_list_shows_what_is_added_until_ctrl_c() {
    for name in ["INT", "TERM"] {
        let store = Store::with_keyspace();
        let mut child = spawn(store.command(&["read", "ks", "k", "--follow", "--output", "text"]));
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        for value in ["first", "second", "third"] {
            store.klstore_reading(&["append", "ks", "k"], value).succeeds();
            assert_eq!(out.next().unwrap().unwrap(), value);
        }
        signal(&child, name);
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{name}");
        assert!(out.next().is_none());
    }
}

#[test]
fn following_begins_at_the_start_and_ends_at_the_limit() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "a\nb\n").succeeds();
    let follow = ["read", "ks", "k", "--follow", "--start-offset", "1", "--limit", "2", "--output", "text"];
    let mut child = spawn(store.command(&follow));
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(out.next().unwrap().unwrap(), "b");
    store.klstore_reading(&["append", "ks", "k"], "c\nd\n").succeeds();
    assert_eq!(out.next().unwrap().unwrap(), "c");
    assert!(out.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_append_sends_what_it_has_while_its_input_pauses() {
    let store = Store::with_keyspace();
    let mut child = spawn(store.command(&["append", "ks", "k"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"early\nhalf a li").unwrap();
    let mut waited = Duration::ZERO;
    while store.items("ks", "k").is_empty() {
        assert!(waited < Duration::from_secs(20), "nothing was appended");
        thread::sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    stdin.write_all(b"ne\n").unwrap();
    drop(stdin);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.succeeds().text(), "appended 2 items to 1 key\n");
    assert_eq!(store.items("ks", "k")[1]["value"], "half a line");
}

#[test]
fn an_append_that_is_stopped_says_where_to_go_on() {
    let store = Store::with_keyspace();
    let mut child = spawn(store.command(&["append", "ks", "k", "--json"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").unwrap();
    while store.items("ks", "k").len() < 2 {
        thread::sleep(Duration::from_millis(100));
    }
    signal(&child, "INT");
    let ran: Ran = child.wait_with_output().unwrap().into();
    drop(stdin);
    let error = ran.fails(1, &["before line 3"]).json_error();
    assert_eq!(error["done"], json!({ "appended": 2, "duplicates": 0, "keys": 1 }));
}

#[test]
fn the_server_stops_cleanly() {
    for name in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut served = Served::start(folder.path());
        served.klstore(&["keyspace", "create", "ks"]).succeeds();
        signal(&served.child, name);
        assert_eq!(served.child.wait().unwrap().code(), Some(0), "{name}");
        let mut rest = String::new();
        served.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn the_server_says_when_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let arguments = ["s3", "--dir", path, "--addr", "127.0.0.1:0", "--bucket", BUCKET];
    let mut child = spawn(command("", &arguments));
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let expected = format!(", bucket {BUCKET}, folder {path}\n");
    assert!(ready.starts_with("S3 is ready at http://127.0.0.1:") && ready.ends_with(&expected), "{ready}");
    // Another one cannot have its port.
    let address = ready.trim_start_matches("S3 is ready at http://").split(',').next().unwrap();
    let other = tempfile::tempdir().unwrap();
    let second: Ran =
        command("", &["s3", "--dir", other.path().to_str().unwrap(), "--addr", address]).output().unwrap().into();
    second.fails(1, &[address, "choose another"]);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_server_needs_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command("", &["s3", "--dir", folder.path().to_str().unwrap(), "--addr", "127.0.0.1:0"]);
    let ran: Ran = command.env_remove("AWS_SECRET_ACCESS_KEY").stdin(Stdio::null()).output().unwrap().into();
    ran.fails(5, &["export AWS_ACCESS_KEY_ID=", "export AWS_SECRET_ACCESS_KEY="]);
}

#[test]
fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(folder.path());
    served.klstore(&["keyspace", "create", "ks"]).succeeds();
    // Each append is answered before the next begins; the server dies somewhere among them.
    let endpoint = served.endpoint.clone();
    let appends = thread::spawn(move || {
        let mut answered = 0;
        loop {
            let mut command = command(&endpoint, &["append", "ks", "k", "--json"]);
            command.env("KLSTORE_TEST", answered.to_string());
            let mut child = spawn(command);
            let line = json!({ "n": answered }).to_string();
            child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
            // It would try for a minute: the test is about those that were answered.
            let mut out = BufReader::new(child.stdout.take().unwrap());
            let mut answer = String::new();
            let read = thread::spawn(move || {
                out.read_line(&mut answer).unwrap();
                answer
            });
            let mut waited = 0;
            while !read.is_finished() && waited < 50 {
                thread::sleep(Duration::from_millis(100));
                waited += 1;
            }
            if !read.is_finished() || read.join().unwrap().is_empty() {
                child.kill().unwrap();
                child.wait().unwrap();
                return answered;
            }
            child.wait().unwrap();
            answered += 1;
        }
    });
    thread::sleep(Duration::from_millis(1_500));
    signal(&served.child, "KILL");
    served.child.wait().unwrap();
    let answered = appends.join().unwrap();
    assert!(answered > 0);

    let again = Served::start(folder.path());
    let values = again.klstore(&["read", "ks", "k", "--output", "text"]).succeeds().text();
    let expected: Vec<String> = (0..answered).map(|n| json!({ "n": n }).to_string()).collect();
    let values: Vec<&str> = values.lines().collect();
    // One more may have been written and not answered.
    assert_eq!(values[..answered], expected);
    assert!(values.len() <= answered + 1);
}

/// Waits until the child has ended, but not for ever.
fn ends(mut child: std::process::Child, seconds: u64) -> std::process::ExitStatus {
    for _ in 0..seconds * 20 {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it did not end");
}

fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..400 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not happen");
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_a_read_that_does_not_follow() {
    use std::os::unix::process::ExitStatusExt;
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let store = Store::with_keyspace();
        store.klstore_reading(&["append", "ks", "k"], "v\n").succeeds();
        // A page that takes its time.
        store.server.faults().set(|_| Fault::Hang);
        store.server.reset_counts();
        let child = spawn(interruptible(&store.command(&["read", "ks", "k"])));
        wait_for(|| store.server.counts().requests() > 0);
        signal(&child, name);
        assert_eq!(ends(child, 10).signal(), Some(number), "{name}");
    }
}

#[test]
fn a_second_ctrl_c_ends_an_append_at_once() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "before\n").succeeds();
    let commits = Arc::new(AtomicU64::new(0));
    let counted = commits.clone();
    store.server.faults().set(move |request| {
        let is_commit = request.key.as_ref().is_some_and(|key| key.contains("/log/"));
        match request.operation == Operation::PutObject && is_commit {
            true => {
                counted.fetch_add(1, Ordering::Relaxed);
                Fault::Hang
            }
            false => Fault::None,
        }
    });
    let mut child = spawn(store.command(&["append", "ks", "k"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a line\n").unwrap();
    wait_for(|| commits.load(Ordering::Relaxed) > 0);
    signal(&child, "INT");
    // It waits for what is under way, up to a minute.
    thread::sleep(Duration::from_millis(700));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "INT");
    assert_eq!(ends(child, 10).code(), Some(130));
    drop(stdin);
}
