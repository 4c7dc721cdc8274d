//! `klstore verify`, `compact` and `gc`, on sound lists, damaged ones, and those that crashes left things in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

mod support;

use klstore_s3_server::{ByteRange, Fault, ObjectMetadata, Operation, Precondition};
use serde_json::json;
use support::{BUCKET, Store};

/// A list of so many commits, each of one line.
fn append_one_by_one(store: &Store, key: &str, count: usize) {
    for number in 0..count {
        store.klstore_reading(&["append", "ks", key], format!("line {number}\n")).succeeds();
    }
}

fn objects(store: &Store, folder: &str) -> Vec<String> {
    store.server.store().keys(BUCKET, folder).unwrap()
}

#[test]
fn a_sound_keyspace_is_said_to_be_sound() {
    let store = Store::with_keyspace();
    assert_eq!(store.klstore(&["verify", "ks"]).succeeds().text(), "sound: 0 lists, 0 items (0 B) in 0 objects\n");
    append_one_by_one(&store, "a", 3);
    store.klstore_reading(&["append", "ks", "b/ü"], "x\n").succeeds();
    assert_eq!(store.klstore(&["verify", "ks", "a"]).succeeds().text(), "sound: 1 list, 3 items (18 B) in 3 objects\n");
    assert_eq!(store.klstore(&["verify", "ks"]).succeeds().text(), "sound: 2 lists, 4 items (19 B) in 4 objects\n");
    let mut answer = store.klstore(&["verify", "ks", "--json"]).succeeds().json();
    assert!(answer["read_bytes"].as_u64() > Some(400), "{answer}");
    answer["read_bytes"] = 0.into();
    let expected = json!({
        "keyspace": "ks", "sound": true, "lists": 2, "damaged_lists": 0, "objects": 4, "read_bytes": 0, "items": 4,
        "value_bytes": 19, "damage_count": 0, "damages": [], "orphan_count": 0, "orphan_bytes": 0, "orphans": [],
        "in_preparation": 0, "stubs": 0,
    });
    assert_eq!(answer, expected);
    store.klstore(&["verify", "ks", "none"]).fails(3, &["key `none` does not exist"]);
    store.klstore(&["verify", "none"]).fails(3, &["keyspace `none` does not exist", "keyspace create"]);
}

#[test]
fn damage_is_named_and_sets_the_exit_code() {
    let store = Store::with_keyspace();
    append_one_by_one(&store, "a", 3);
    append_one_by_one(&store, "b", 1);
    let commits = objects(&store, "ks/lists/a/log/");
    let (gone, cut) = (commits[2].as_str(), commits[1].as_str());
    let objects = store.server.store();
    let mut body = objects.get(BUCKET, cut, ByteRange::All).unwrap().body.to_vec();
    // The last byte of the first block's checksum is behind the header, whose length stands at byte 8.
    let header = u32::from_le_bytes(body[8..12].try_into().unwrap()) as usize;
    body[header + 7] ^= 1;
    objects.put(BUCKET, cut, body.into(), ObjectMetadata::default(), &Precondition::None).unwrap();
    objects.delete(BUCKET, &[gone]).unwrap();

    let ran = store.klstore(&["verify", "ks"]);
    let verdict = "damaged: 1 of 2 lists, 2 damages; 2 items (12 B) in 3 objects are readable";
    let expected = format!(
        "damaged: a\n  missing: {gone}: it does not exist, or has no bytes\n  \
         corrupt: {cut}: the checksum of a block is wrong\n{verdict}\n"
    );
    assert_eq!((ran.code, ran.text()), (Some(7), expected));
    assert!(ran.err.starts_with(&format!("error: {verdict}\n  keep the objects as they are")), "{}", ran.err);

    let ran = store.klstore(&["verify", "ks", "a", "--json"]);
    assert_eq!(ran.code, Some(7));
    let answer = ran.json();
    assert_eq!((&answer["sound"], &answer["damage_count"]), (&false.into(), &2.into()));
    let first = json!({
        "key": "a", "kind": "missing", "object": gone, "reason": "it does not exist, or has no bytes",
    });
    assert_eq!(answer["damages"][0], first);
    assert_eq!(ran.json_error()["error"]["exit_code"], 7);
    assert_eq!(store.klstore(&["verify", "ks", "b"]).code, Some(0));
}

#[test]
fn small_commits_are_compacted_on_demand() {
    let store = Store::with_keyspace();
    append_one_by_one(&store, "a", 4);
    append_one_by_one(&store, "b", 1);
    let before = store.klstore(&["read", "ks", "a"]).succeeds().text();
    assert_eq!(
        store.klstore(&["compact", "ks", "a"]).succeeds().text(),
        "compacted 1 of 1 list, which replaced 3 objects\n"
    );
    assert_eq!(store.klstore(&["read", "ks", "a"]).succeeds().text(), before);
    assert_eq!(objects(&store, "ks/lists/a/seg/").len(), 1);
    assert_eq!(store.klstore(&["compact", "ks", "b"]).succeeds().text(), "nothing to compact in 1 list\n");
    let answer = store.klstore(&["compact", "ks", "--json"]).succeeds().json();
    assert_eq!((&answer["keyspace"], &answer["lists"]), (&"ks".into(), &2.into()));
    assert_eq!(store.klstore(&["verify", "ks"]).succeeds().text().split(':').next(), Some("sound"));
    store.klstore(&["compact", "ks", "none"]).fails(3, &["key `none` does not exist"]);
}

#[test]
fn what_crashes_left_is_found_and_freed() {
    let store = Store::with_keyspace();
    append_one_by_one(&store, "a", 4);
    // A compaction whose collection gets nowhere: three commits stay below C.
    store.server.faults().set(|request| {
        let is_stub = request.operation == Operation::PutObject
            && !request.conditional
            && request.key.as_ref().is_some_and(|key| key.contains("/log/"));
        match is_stub || request.operation == Operation::DeleteObjects {
            true => Fault::refuse(http::StatusCode::FORBIDDEN, "AccessDenied"),
            false => Fault::None,
        }
    });
    store.klstore(&["compact", "ks", "a"]).succeeds();
    store.server.faults().clear();
    let before = store.klstore(&["read", "ks", "a"]).succeeds().text();

    let verified = store.klstore(&["verify", "ks", "a"]).succeeds().text();
    let left: Vec<&str> = verified.lines().filter(|line| line.starts_with("  orphan: ")).collect();
    assert!(verified.starts_with("a: 3 orphans (") && left.len() == 3, "{verified}");
    assert!(verified.contains("sound: 1 list, 4 items") && verified.contains("can be freed with `klstore gc`"));

    let all = objects(&store, "ks/lists/a/");
    let rehearsed = store.klstore(&["gc", "ks", "a", "--dry-run"]).succeeds().text();
    assert!(rehearsed.starts_with("would free 3 objects of 1 list: "), "{rehearsed}");
    assert_eq!(objects(&store, "ks/lists/a/"), all);
    let freed = store.klstore(&["gc", "ks", "--json"]).succeeds().json();
    // Each append was another writer's: their names stay taken.
    assert_eq!((&freed["freed_objects"], &freed["emptied_objects"]), (&3.into(), &3.into()));
    let bytes = freed["freed_bytes"].as_u64().unwrap();
    let dollars = freed["saved_dollars_per_month"].as_f64().unwrap();
    assert!((dollars - bytes as f64 * 0.023 / 1e9).abs() < 1e-15 && bytes > 300, "{freed}");
    assert_eq!(store.klstore(&["gc", "ks"]).succeeds().text(), "nothing to free in 1 list\n");
    assert_eq!(store.klstore(&["read", "ks", "a"]).succeeds().text(), before);
    let verified = store.klstore(&["verify", "ks", "--json"]).succeeds().json();
    assert_eq!((&verified["orphan_count"], &verified["stubs"]), (&0.into(), &3.into()));
}

#[test]
fn each_command_explains_itself() {
    let store = Store::start();
    for (name, part) in [
        ("verify", "Exit code 0: everything is sound. 7: something is damaged"),
        ("compact", "Merge the small commits"),
        ("gc", "--dry-run"),
        ("copy", "goes on where it was"),
        ("export", "it gets a leading apostrophe"),
    ] {
        let help = store.klstore(&["help", name]).succeeds().text();
        assert!(help.contains("Usage: klstore") && help.contains("Examples:"), "{name}");
        assert!(help.contains(part), "{name}: {help}");
    }
}
