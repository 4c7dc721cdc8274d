//! Every command once, with what it answers.

use crate::support::{Store, command};
use serde_json::json;

#[test]
fn keyspaces_are_created_once_and_listed() {
    let store = Store::start();
    assert_eq!(store.klstore(&["keyspace", "ls"]).succeeds().text(), "");
    assert_eq!(store.klstore(&["keyspace", "create", "b"]).succeeds().text(), "created keyspace b\n");
    let created = store.klstore(&["keyspace", "create", "a ü", "--json"]).succeeds().json();
    assert_eq!(created["keyspace"], "a ü");
    assert!(created["created_timestamp"].as_i64() > Some(1_700_000_000_000));
    assert_eq!(store.klstore(&["keyspace", "ls"]).succeeds().text(), "a ü\nb\n");
    let listed = store.klstore(&["keyspace", "ls", "--json"]).succeeds().json();
    assert_eq!(listed, json!({ "keyspaces": ["a ü", "b"] }));
    store.klstore(&["keyspace", "create", "b"]).fails(4, &["keyspace `b` already exists"]);
}

#[test]
fn keys_are_listed_by_prefix_up_to_a_limit() {
    let store = Store::with_keyspace();
    let lines = ["a1", "a2", "b", "../x"].map(|key| json!({ "key": key, "value": "v" }).to_string());
    let answer = store.klstore_reading(&["append", "ks", "--json"], lines.join("\n")).succeeds().json();
    assert_eq!(answer, json!({ "appended": 4, "duplicates": 0, "keys": 4 }));
    assert_eq!(store.klstore(&["key", "ls", "ks"]).succeeds().text(), "../x\na1\na2\nb\n");
    assert_eq!(store.klstore(&["key", "ls", "ks", "--prefix", "a"]).succeeds().text(), "a1\na2\n");
    let listed = store.klstore(&["key", "ls", "ks", "--limit", "2", "--json"]).succeeds().json();
    assert_eq!(listed, json!({ "keyspace": "ks", "keys": ["../x", "a1"] }));
}

#[test]
fn the_object_prefix_is_prefix_everywhere_but_in_key_ls() {
    let store = Store::start();
    store.klstore(&["keyspace", "create", "ks", "--prefix", "team/x"]).succeeds();
    store.klstore_reading(&["append", "ks", "k", "--prefix", "team/x/"], "v\n").succeeds();
    for arguments in [
        &["key", "ls", "ks", "--object-prefix", "team/x"][..],
        &["--prefix", "team/x", "key", "ls", "ks", "--prefix", "k"],
    ] {
        assert_eq!(store.klstore(arguments).succeeds().text(), "k\n");
    }
    store.klstore(&["key", "ls", "ks"]).fails(3, &["keyspace `ks` does not exist"]);
}

#[test]
fn stat_shows_what_is_known_of_a_list() {
    let store = Store::with_keyspace();
    let lines = "{\"value\":\"abc\",\"nonce\":7,\"timestamp\":1000}\n{\"value\":\"de\",\"timestamp\":0}\n";
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines).succeeds();
    let expected = "keyspace      ks\n\
                    key           k\n\
                    items         2\n\
                    values        5 B (5 bytes)\n\
                    first offset  0\n\
                    next offset   2\n\
                    next nonce    8\n\
                    earliest      1970-01-01T00:00:00Z (0)\n\
                    latest        1970-01-01T00:00:01Z (1000)\n";
    assert_eq!(store.klstore(&["stat", "ks", "k"]).succeeds().text(), expected);
    let expected = json!({
        "keyspace": "ks", "key": "k", "first_offset": 0, "next_offset": 2, "next_nonce": "8", "item_count": 2,
        "value_bytes": 5, "min_timestamp": 0, "max_timestamp": 1000,
    });
    assert_eq!(store.klstore(&["stat", "ks", "k", "--json"]).succeeds().json(), expected);
    store.klstore(&["stat", "ks", "other"]).fails(3, &["key `other` does not exist in keyspace `ks`"]);
}

#[test]
fn lines_are_appended_as_they_are_read() {
    let store = Store::with_keyspace();
    let ran = store.klstore_reading(&["append", "ks", "k"], "one\n\ntwo\r\nthree").succeeds();
    assert_eq!((ran.text().as_str(), ran.err.as_str()), ("appended 4 items to 1 key\n", ""));
    let values: Vec<_> = store.items("ks", "k").iter().map(|item| item["value"].clone()).collect();
    assert_eq!(values, ["one", "", "two", "three"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\xff\x00\n").unwrap();
    store.klstore(&["append", "ks", "k", "--input", file.path().to_str().unwrap()]).succeeds();
    assert_eq!(store.items("ks", "k")[4]["value_base64"], "/wA=");
}

#[test]
fn what_has_a_nonce_is_appended_once() {
    let store = Store::with_keyspace();
    let lines: String = (0..2_500)
        .map(|n| json!({ "key": format!("k{}", n % 3), "value": n.to_string(), "nonce": n, "timestamp": n }))
        .map(|line| line.to_string() + "\n")
        .collect();
    let append = || store.klstore_reading(&["append", "ks"], &lines).succeeds().text();
    assert_eq!(append(), "appended 2,500 items to 3 keys\n");
    assert_eq!(append(), "appended 0 items to 3 keys, dropped 2,500 duplicates\n");
    for key in 0..3 {
        let items = store.items("ks", &format!("k{key}"));
        let values: Vec<String> = items.iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<String> = (key..2_500).step_by(3).map(|n| n.to_string()).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn a_page_is_one_json_object_from_any_start() {
    let store = Store::with_keyspace();
    let lines: String = (0..10)
        .map(|n| json!({ "value": n.to_string(), "nonce": (1_u128 << 100 | n).to_string(), "timestamp": n * 1000 }))
        .map(|line| line.to_string() + "\n")
        .collect();
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines).succeeds();
    let page = store.klstore(&["page", "ks", "k", "--max-size", "1"]).succeeds();
    assert_eq!(page.text().lines().count(), 1);
    let page = page.json();
    assert_eq!((&page["keyspace"], &page["key"]), (&json!("ks"), &json!("k")));
    let first = json!({ "offset": 0, "timestamp": 0, "nonce": (1_u128 << 100).to_string(), "value": "0" });
    assert_eq!(page["items"], json!([first]));
    assert_eq!(page["stats"]["list_operation_count"], 1);
    assert_eq!(page["stats"]["read_operation_count"], 1);

    let check = |start: &[&str], expected: &[&str]| {
        let arguments = [&["page", "ks", "k", "--max-size", "2"], start].concat();
        let page = store.klstore(&arguments).succeeds().json();
        let values: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["value"].clone()).collect();
        assert_eq!(values, expected, "{start:?}");
    };
    let nonce = (1_u128 << 100 | 7).to_string();
    check(&["--order", "backwards"], &["9", "8"]);
    check(&["--start-offset", "4"], &["4", "5"]);
    check(&["--start-offset", "4", "--order", "backwards"], &["4", "3"]);
    check(&["--start-timestamp", "1970-01-01T00:00:03.5Z"], &["4", "5"]);
    check(&["--start-timestamp", "3500", "--order", "backwards"], &["3", "2"]);
    check(&["--start-timestamp", "-1"], &["0", "1"]);
    check(&["--start-nonce", &nonce], &["7", "8"]);
    check(&["--start-nonce", &nonce, "--start-offset", "9"], &["9"]);
    let token = page["continuation"].as_str().unwrap();
    check(&["--continuation", token], &["1", "2"]);
    assert_eq!(store.items("ks", "other"), [] as [serde_json::Value; 0]);
}

#[test]
fn a_list_is_read_in_all_its_forms() {
    let store = Store::with_keyspace();
    let lines =
        "{\"value\":\"a\\u0007\",\"timestamp\":1,\"nonce\":\"5\"}\n{\"value_base64\":\"/w==\",\"timestamp\":2}\n";
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines).succeeds();
    let read = |more: &[&str]| store.klstore(&[&["read", "ks", "k"], more].concat()).succeeds();
    let both = "{\"offset\":0,\"timestamp\":1,\"nonce\":\"5\",\"value\":\"a\\u0007\"}\n\
                {\"offset\":1,\"timestamp\":2,\"value_base64\":\"/w==\"}\n";
    assert_eq!(read(&[]).text(), both);
    assert_eq!(read(&["--max-size", "1"]).text(), both);
    assert_eq!(read(&["--output", "text"]).out, b"a\x07\n\xff\n");
    assert_eq!(read(&["--output", "hex", "--order", "backwards"]).text(), "ff\n6107\n");
    assert_eq!(read(&["--output", "hex", "--limit", "1"]).text(), "6107\n");
    assert_eq!(read(&["--output", "hex", "--limit", "0"]).text(), "");
    let keyed = "{\"offset\":1,\"key\":\"k\",\"timestamp\":2,\"value_base64\":\"/w==\"}\n";
    assert_eq!(read(&["--with-key", "--start-offset", "1"]).text(), keyed);
}

#[test]
fn what_read_writes_append_reads() {
    let store = Store::with_keyspace();
    let last = json!({ "value": "", "nonce": (u128::MAX - 1).to_string() }).to_string();
    let lines: String = (0..2_345)
        .map(|n| match n % 3 {
            0 => json!({ "value": format!("\u{9b}{n}\n\"\\"), "timestamp": -n }),
            1 => json!({ "value_base64": "gP8=", "nonce": n, "timestamp": n }),
            _ => json!({ "value": "" }),
        })
        .map(|line| line.to_string() + "\n")
        .collect();
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines + &last).succeeds();
    let original = store.klstore(&["read", "ks", "k"]).succeeds();
    assert_eq!(original.text().lines().count(), 2_346);
    store.klstore_reading(&["append", "ks", "copy", "--format", "ndjson"], &original.out).succeeds();
    assert_eq!(store.klstore(&["read", "ks", "copy"]).succeeds().text(), original.text());

    store.klstore(&["keyspace", "create", "other"]).succeeds();
    let keyed = store.klstore(&["read", "ks", "k", "--with-key"]).succeeds();
    store.klstore_reading(&["append", "other"], &keyed.out).succeeds();
    assert_eq!(store.klstore(&["read", "other", "k"]).succeeds().text(), original.text());
}

#[test]
fn a_public_bucket_is_read_without_keys() {
    let store = Store::start();
    store.klstore(&["keyspace", "create", "ks", "--bucket", "public"]).succeeds();
    store.klstore_reading(&["append", "ks", "k", "--bucket", "public"], "v\n").succeeds();
    let mut anonymous = store.command(&["read", "ks", "k", "--bucket", "public", "--anonymous", "--output", "text"]);
    let ran: crate::support::Ran =
        anonymous.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").output().unwrap().into();
    assert_eq!(ran.succeeds().text(), "v\n");
    store.klstore(&["read", "ks", "k", "--anonymous"]).fails(5, &["AccessDenied"]);
}

#[test]
fn help_shows_a_newcomer_the_way() {
    let help: crate::support::Ran = command("", &["--help"]).output().unwrap().into();
    let text = help.succeeds().text();
    for part in ["demo", "append", "keyspace create", "Exit codes", "7  an object", "AWS_PROFILE", "--endpoint"] {
        assert!(text.contains(part), "{part}");
    }
    for name in ["demo", "s3", "keyspace", "key", "stat", "append", "page", "read"] {
        let help: crate::support::Ran = command("", &["help", name]).output().unwrap().into();
        assert!(help.succeeds().text().contains("Usage: klstore"), "{name}");
    }
    let version: crate::support::Ran = command("", &["--version"]).output().unwrap().into();
    assert_eq!(version.succeeds().text(), concat!("klstore ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Ten items with these timestamps: 1970-01-01, one second after the other.
fn ten_items(store: &Store) {
    let line = |n: u64| json!({ "value": n.to_string(), "nonce": n, "timestamp": n * 1_000 }).to_string() + "\n";
    let lines: String = (0..10).map(line).collect();
    store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], lines).succeeds();
}

#[test]
fn a_list_is_trimmed_before_an_offset_or_a_timestamp() {
    let store = Store::with_keyspace();
    ten_items(&store);
    let trimmed = store.klstore(&["trim", "ks", "k", "--before-offset", "3"]).succeeds();
    assert_eq!(trimmed.text(), "trimmed 3 items of ks/k, which begins at offset 3\n");
    let again = store.klstore(&["trim", "ks", "k", "--before-offset", "3", "--json"]).succeeds().json();
    assert_eq!(again, json!({ "keyspace": "ks", "key": "k", "first_offset": 3, "trimmed": 0 }));
    let trimmed = store.klstore(&["trim", "ks", "k", "--before-timestamp", "1970-01-01T00:00:07Z"]).succeeds();
    assert_eq!(trimmed.text(), "trimmed 4 items of ks/k, which begins at offset 7\n");
    let items = store.items("ks", "k");
    assert_eq!(items.iter().map(|item| item["offset"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8, 9]);
    for arguments in
        [&["trim", "ks", "unknown", "--before-timestamp", "5"][..], &["key", "delete", "ks", "unknown", "-y"]]
    {
        store.klstore(arguments).fails(3, &["key `unknown` does not exist"]);
    }

    store.klstore(&["trim", "none", "k", "--before-offset", "3"]).fails(3, &["keyspace `none` does not exist"]);
    store.klstore(&["trim", "ks", "k"]).fails(2, &["--before-offset <N>", "--before-timestamp"]);
    let both = ["trim", "ks", "k", "--before-offset", "3", "--before-timestamp", "5"];
    store.klstore(&both).fails(2, &["cannot be used with"]);
    store.klstore(&["trim", "ks", "k", "--before-timestamp", "yesterday"]).fails(2, &["`yesterday`"]);
}

#[test]
fn lists_that_nobody_appends_to_are_trimmed_by_retention() {
    let store = Store::with_keyspace();
    for (key, count) in [("a", 10), ("b", 3), ("c", 7)] {
        let lines: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        store.klstore_reading(&["append", "ks", key], lines.join("\n")).succeeds();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("retention.ini");
    std::fs::write(&file, "[s3]\nretention_max_items=5\n").unwrap();
    let file = file.to_str().unwrap();
    let trim = ["trim", "ks", "--retention", "--config", file];
    assert_eq!(store.klstore(&trim).succeeds().text(), "trimmed 7 items of 2 of 3 lists\n");
    assert_eq!(store.klstore(&trim).succeeds().text(), "trimmed 0 items of 0 of 3 lists\n");
    for (key, first) in [("a", 5), ("b", 0), ("c", 2)] {
        let known = store.klstore(&["stat", "ks", key, "--json"]).succeeds().json();
        assert_eq!(known["first_offset"], first, "{key}");
    }
    let one = ["trim", "ks", "a", "--retention", "--config", file];
    assert_eq!(store.klstore(&one).succeeds().text(), "trimmed 0 items of ks/a, which begins at offset 5\n");
    store.klstore(&["trim", "ks", "--retention"]).fails(2, &["no retention is configured", "retention_max_items"]);
    store.klstore(&["trim", "ks", "--before-offset", "3"]).fails(2, &["KEY"]);
}

#[test]
fn a_deleted_key_goes_on_where_it_was() {
    let store = Store::with_keyspace();
    ten_items(&store);
    store.klstore(&["key", "delete", "ks", "k"]).fails(2, &["nobody is there to confirm the deletion", "--yes"]);
    assert_eq!(store.items("ks", "k").len(), 10);
    let deleted = store.klstore(&["key", "delete", "ks", "k", "--yes"]).succeeds();
    assert_eq!(deleted.text(), "deleted 10 items of ks/k, which begins at offset 10\n");
    assert_eq!(store.items("ks", "k").len(), 0);
    assert_eq!(store.klstore(&["key", "ls", "ks"]).succeeds().text(), "k\n");

    // What has a nonce from before is a duplicate still.
    let line = |n: u64| json!({ "value": "v", "nonce": n }).to_string() + "\n";
    let appended = store.klstore_reading(&["append", "ks", "k", "--format", "ndjson"], line(9) + &line(10)).succeeds();
    assert_eq!(appended.text(), "appended 1 item to 1 key, dropped 1 duplicate\n");
    assert_eq!(store.items("ks", "k")[0]["offset"], 10);
    let deleted = store.klstore(&["key", "delete", "ks", "k", "--yes", "--json"]).succeeds().json();
    assert_eq!(deleted, json!({ "keyspace": "ks", "key": "k", "first_offset": 11, "trimmed": 1 }));
}
