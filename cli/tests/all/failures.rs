//! Hostile input and stores that refuse: what is said, and the exit code.

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{BLIND_ACCESS_KEY, Ran, Store, command};
use klstore_s3_server::{ByteRange, Precondition};
use serde_json::json;

#[test]
fn a_bad_line_stops_the_append_after_everything_before_it() {
    let store = Store::with_keyspace();
    let append = |lines: &str| store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines);
    let failed =
        append("{\"value\":\"a\"}\n\n{\"value\":\"b\"}\n{\"value\":\"c\",\"nonce\":\"x\"}\n{\"value\":\"d\"}\n");
    failed.fails(2, &["line 4: the nonce \"x\"", "everything before line 4 was appended", "\"appended\":2"]);
    assert_eq!(store.items("ks", "k").len(), 2);

    let lines = "{\"value\":\"a\"}\n{";
    let arguments = ["append", "ks", "k", "--format", "ndjson", "--json"];
    let error = store.klstore_reading(&arguments, lines).fails(2, &[]).json_error();
    assert_eq!(error["done"], json!({ "appended": 1, "duplicates": 0, "keys": 1 }));
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&json!("usage"), &json!(2)));
    assert!(error["error"]["message"].as_str().unwrap().starts_with("line 2: "));
}

#[test]
fn an_append_that_fails_says_where_to_go_on_and_going_on_completes_it() {
    let store = Store::with_keyspace();
    let line = |n: usize| {
        let key = if n % 7 == 3 && n > 4_000 { "closed".to_owned() } else { format!("k{}", n % 5) };
        json!({ "key": key, "value": n.to_string(), "nonce": n }).to_string() + "\n"
    };
    let lines: Vec<String> = (1..=9_000).map(line).collect();
    let child = {
        let mut command = store.command(&["append", "ks", "--json"]);
        command.env("AWS_ACCESS_KEY_ID", crate::support::CLOSED_ACCESS_KEY);
        let mut child = crate::support::spawn(command);
        let _ = child.stdin.take().unwrap().write_all(lines.concat().as_bytes());
        child
    };
    let error = Ran::from(child.wait_with_output().unwrap()).fails(5, &["key `closed`"]).json_error();
    let advice = error["error"]["advice"].as_str().unwrap();
    let resume: usize = advice.split("before line ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1..=4_007).contains(&resume), "{advice}");

    // Everything before that line is there, and from it on the same input completes the lists.
    let values = |key: &str| -> Vec<usize> {
        let text = store.klstore(&["read", "ks", key, "--output", "text"]).succeeds().text();
        text.lines().map(|value| value.parse().unwrap()).collect()
    };
    let expected =
        |key: usize| -> Vec<usize> { (1..=9_000).filter(|n| n % 5 == key && !(n % 7 == 3 && *n > 4_000)).collect() };
    for key in 0..5 {
        let found = values(&format!("k{key}"));
        assert_eq!(found, expected(key)[..found.len()]);
        assert!(expected(key).iter().take_while(|n| **n < resume).count() <= found.len());
    }
    store.klstore_reading(&["append", "ks"], lines[resume - 1..].concat()).succeeds();
    for key in 0..5 {
        assert_eq!(values(&format!("k{key}")), expected(key));
    }
    assert_eq!(values("closed"), (4_001..=9_000).filter(|n| n % 7 == 3).collect::<Vec<_>>());
}

#[test]
fn what_the_writer_would_refuse_is_refused_by_its_line() {
    let store = Store::with_keyspace();
    let check = |line: &str, part: &str| {
        let lines = format!("{{\"value\":\"\"}}\n{line}\n");
        let ran = store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines);
        ran.fails(2, &["line 2: ", part]);
    };
    check(&json!({ "value": "", "nonce": u128::MAX.to_string() }).to_string(), "2^128-2");
    check(&json!({ "value": "", "timestamp": "2999-01-01T00:00:00Z" }).to_string(), "a day ahead");
    check(&json!({ "value": "x".repeat((16 << 20) + 1) }).to_string(), "16777216 at most");
    check(&json!({ "value": "", "key": "k" }).to_string(), "key `k`");
    let ran = store.klstore_reading(&["append", "ks"], "{\"value\":\"\"}\n");
    ran.fails(2, &["line 1: has no `key`"]);
    let long = json!({ "key": "k".repeat(256), "value": "" }).to_string();
    store.klstore_reading(&["append", "ks"], long).fails(2, &["the key", "255 at most"]);
    store.klstore_reading(&["append", "ks", "--format", "lines"], "x").fails(2, &["lines of text name no key"]);
    store.klstore(&["append", "ks", "k", "--input", "/nonexistent"]).fails(1, &["cannot open /nonexistent"]);
}

#[test]
fn the_largest_value_comes_back() {
    let store = Store::with_keyspace();
    let value = "x".repeat(16 << 20);
    store.klstore_reading(&["append", "ks", "k"], &value).succeeds();
    assert!(store.klstore(&["read", "ks", "k", "--output", "text"]).succeeds().text() == value + "\n");
}

#[test]
fn command_lines_that_make_no_sense_are_usage_errors() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "v\nw\n").succeeds();
    for arguments in [
        &["nonsense"][..],
        &["page", "ks"],
        &["page", "ks", "k", "--max-size", "0"],
        &["page", "ks", "k", "--max-size", "-1"],
        &["page", "ks", "k", "--order", "sideways"],
        &["page", "ks", "k", "--start-timestamp", "yesterday"],
        &["page", "ks", "k", "--start-nonce", "340282366920938463463374607431768211456"],
        &["page", "ks", "k", "--continuation", "forged"],
        &["page", "ks", "k", "--continuation", ""],
        &["page", "", "k"],
        &["read", "ks", "k", "--follow", "--order", "backwards"],
        &["read", "ks", "k", "--json", "--output", "hex"],
        &["append", "ks", "k", "--format", "xml"],
        &["demo", "--rows", "0"],
        &["s3", "--dir", "/tmp", "--addr", "nowhere"],
    ] {
        let ran = store.klstore(arguments);
        assert_eq!((ran.code, ran.text().as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    let page = store.klstore(&["page", "ks", "k", "--max-size", "1"]).succeeds().json();
    let token = page["continuation"].as_str().unwrap();
    let elsewhere = ["page", "ks", "other", "--continuation", token];
    store.klstore(&elsewhere).fails(2, &["the continuation is not usable"]);
    let backwards = ["page", "ks", "k", "--order", "backwards", "--continuation", token];
    store.klstore(&backwards).fails(2, &["the continuation is not usable"]);
}

#[test]
fn what_does_not_exist_is_not_found() {
    let store = Store::start();
    for arguments in [
        &["page", "nowhere", "k"][..],
        &["read", "nowhere", "k"],
        &["stat", "nowhere", "k"],
        &["key", "ls", "nowhere"],
        &["append", "nowhere", "k"],
    ] {
        let ran = store.klstore(arguments);
        ran.fails(3, &["keyspace `nowhere` does not exist\n", "klstore keyspace create"]);
    }
    for arguments in
        [&["page", "ks", "k"][..], &["keyspace", "create", "ks"], &["append", "ks", "k"], &["keyspace", "ls"]]
    {
        let ran = store.klstore(&[arguments, &["--bucket", "no-such-bucket"]].concat());
        ran.fails(3, &["bucket `no-such-bucket` does not exist", "--bucket"]);
    }
}

#[test]
fn access_is_refused_with_what_to_set() {
    let store = Store::with_keyspace();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| -> Ran {
        let mut command = store.command(arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap().into()
    };
    for arguments in [&["page", "ks", "k"][..], &["append", "ks", "k"], &["keyspace", "create", "new"]] {
        let wrong = [("AWS_SECRET_ACCESS_KEY", "wrong")];
        run(&wrong, arguments).fails(5, &["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]);
        run(&[("AWS_ACCESS_KEY_ID", "AKNOBODY")], arguments).fails(5, &["InvalidAccessKeyId"]);
        let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        run(&none, arguments).fails(5, &["AWS_ACCESS_KEY_ID"]);
        run(&[("KLSTORE_BUCKET", "")], arguments).fails(5, &["no bucket is set", "--bucket"]);
    }
    run(&[("AWS_ACCESS_KEY_ID", BLIND_ACCESS_KEY)], &["page", "ks", "k"]).fails(5, &["s3:ListBucket"]);
    let bad_prefix = ["page", "ks", "k", "--prefix", "../x"];
    run(&[], &bad_prefix).fails(5, &["object prefix"]);
}

#[test]
fn an_unreachable_store_is_unavailable() {
    // A port that was free just now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let ran: Ran = command(&endpoint, &["page", "ks", "k", "--json"]).output().unwrap().into();
    let error = ran.fails(6, &[&endpoint]).json_error();
    assert_eq!(error["error"]["kind"], "unavailable");
    assert!(error["error"]["advice"].as_str().unwrap().contains("try again"));

    // It would try for a minute.
    let append = command(&endpoint, &["append", "ks", "k", "--deadline", "2"]);
    let mut child = crate::support::spawn(append);
    child.stdin.take().unwrap().write_all(b"value\n").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.fails(6, &[&endpoint, "Nothing was written: try again", "check --endpoint and the network"]);
}

#[test]
fn a_damaged_object_is_named() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "value\n").succeeds();
    let objects = store.server.store();
    let name = objects.keys(crate::support::BUCKET, "ks/lists/k/log/").unwrap().remove(0);
    let object = objects.get(crate::support::BUCKET, &name, ByteRange::All).unwrap();
    let mut body = object.body.to_vec();
    body[20] ^= 0xff;
    objects.put(crate::support::BUCKET, &name, body.into(), object.metadata, &Precondition::None).unwrap();
    for arguments in [&["page", "ks", "k"][..], &["append", "ks", "k"]] {
        let ran = store.klstore_reading(arguments, "another\n");
        ran.fails(7, &[&name, "corrupt", "keep the object as it is and report it; other lists are not affected"]);
    }
    assert_eq!(objects.keys(crate::support::BUCKET, "ks/lists/k/log/").unwrap(), [name]);
}

#[test]
fn a_damaged_keyspace_is_named_and_the_others_are_listed() {
    let store = Store::with_keyspace();
    for keyspace in ["a", "z"] {
        store.klstore(&["keyspace", "create", keyspace]).succeeds();
    }
    let put = |body: &'static [u8]| {
        let objects = store.server.store();
        let object = objects.get(crate::support::BUCKET, "ks/keyspace.json", ByteRange::All).unwrap();
        let body = bytes::Bytes::from_static(body);
        objects.put(crate::support::BUCKET, "ks/keyspace.json", body, object.metadata, &Precondition::None).unwrap();
    };
    for damaged in [&b""[..], b"{}"] {
        put(damaged);
        let listed = store.klstore(&["keyspace", "ls"]);
        assert_eq!((listed.code, listed.text().as_str()), (Some(7), "a\nz\n"), "{}", listed.err);
        for part in ["keyspace `ks`: object `ks/keyspace.json` is corrupt", "all other keyspaces are listed"] {
            assert!(listed.err.contains(part), "{}", listed.err);
        }
        store.klstore(&["page", "ks", "k"]).fails(7, &["ks/keyspace.json", "corrupt"]);
    }
}
