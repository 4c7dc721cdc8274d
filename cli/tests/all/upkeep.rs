//! `klstore verify`, `compact` and `gc`, on sound lists, damaged ones, and those that crashes left things in.

use crate::support::{BUCKET, Store};
use klstore_s3_server::{ByteRange, Fault, ObjectMetadata, Operation, Precondition};
use serde_json::json;

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
        "value_bytes": 19, "failed_lists": 0, "failed": [], "foreign_count": 0, "damage_count": 0, "damages": [], "orphan_count": 0, "orphan_bytes": 0, "orphans": [],
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
    let dollars = freed["saved_per_month"].as_f64().unwrap();
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

/// Whoever asks for anything in folders of this name is refused.
fn close_folder(store: &Store, folder: &str) {
    let (in_keys, in_queries) = (format!("/{folder}/"), format!("%2F{folder}%2F"));
    store.server.faults().set(move |request| {
        let named = |name: &Option<String>, part: &str| name.as_ref().is_some_and(|name| name.contains(part));
        let listed = |query: &str| query.starts_with("prefix=") && query.contains(&in_queries);
        let lists = request.query.as_ref().is_some_and(|query| query.split('&').any(listed));
        match named(&request.key, &in_keys) || lists {
            true => Fault::refuse(http::StatusCode::FORBIDDEN, "AccessDenied"),
            false => Fault::None,
        }
    });
}

#[test]
fn a_list_that_fails_does_not_end_the_work_on_the_others() {
    let store = Store::with_keyspace();
    for key in ["a", "closed", "z"] {
        append_one_by_one(&store, key, 2);
    }
    let orphan = "ks/lists/z/seg/".to_owned() + &"0".repeat(16) + &"7".repeat(32);
    let put = |name: &str| {
        let body = bytes::Bytes::from_static(b"left over");
        store.server.store().put(BUCKET, name, body, ObjectMetadata::default(), &Precondition::None).unwrap();
    };
    put(&orphan);
    // Somebody else's.
    put("ks/lists/z/seg/README.txt");
    close_folder(&store, "closed");
    let failed = |ran: &crate::support::Ran, code| {
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        let told = "error: 1 of 3 lists failed, the others are done; the first: key `closed`: ";
        assert!(ran.err.starts_with("failed: key `closed`: ") && ran.err.contains(told), "{}", ran.err);
    };

    let ran = store.klstore(&["verify", "ks"]);
    failed(&ran, 5);
    let text = ran.text();
    let verdict =
        "sound: 2 lists, 4 items (24 B) in 4 objects; 1 list could not be checked; 1 object with foreign names";
    assert!(text.contains(verdict), "{text}");
    assert!(text.starts_with("z: 1 orphan (9 B)"), "{text}");
    let answer = store.klstore(&["verify", "ks", "--json"]).json();
    assert_eq!((&answer["sound"], &answer["failed"][0]["key"]), (&false.into(), &"closed".into()));
    assert_eq!((&answer["foreign_count"], &answer["orphan_count"]), (&1.into(), &1.into()));

    let ran = store.klstore(&["gc", "ks"]);
    failed(&ran, 5);
    assert_eq!(ran.text(), "freed 1 object of 2 lists: 9 B, USD 0.0000 a month\n");
    assert_eq!(objects(&store, "ks/lists/z/seg/"), ["ks/lists/z/seg/README.txt"]);
    let answer = store.klstore(&["gc", "ks", "--json"]).json();
    assert_eq!((&answer["lists"], &answer["failed_lists"]), (&2.into(), &1.into()));
    let ran = store.klstore(&["compact", "ks"]);
    failed(&ran, 5);
    assert!(ran.text().starts_with("compacted 2 of 2 lists"), "{}", ran.text());
    // One list alone: its own failure.
    let ran = store.klstore(&["gc", "ks", "closed"]);
    ran.fails(5, &["AccessDenied"]);
}

#[test]
fn no_list_after_the_first_ones_is_tried_where_nothing_is_allowed() {
    let store = Store::with_keyspace();
    let lines: String = (0..20).map(|n| json!({ "key": format!("k{n}"), "value": "v" }).to_string() + "\n").collect();
    store.klstore_reading(&["append", "ks"], lines).succeeds();
    close_folder(&store, "log");
    let ran = store.klstore(&["verify", "ks"]);
    assert!(ran.err.contains("8 of 8 lists failed, others were not tried"), "{}", ran.err);
    assert_eq!(ran.code, Some(5));
}

#[test]
fn money_is_by_the_table_of_prices() {
    let store = Store::with_keyspace();
    append_one_by_one(&store, "a", 1);
    let orphan = "ks/lists/a/seg/".to_owned() + &"0".repeat(16) + &"7".repeat(32);
    let body = bytes::Bytes::from(vec![7; 1_000_000]);
    store.server.store().put(BUCKET, &orphan, body, ObjectMetadata::default(), &Precondition::None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    let mut prices = store.klstore(&["cost", "--print-prices", "--json"]).succeeds().json();
    prices["currency"] = "EUR".into();
    prices["storage_per_gb_month"] = json!([{ "price": 50.0 }]);
    std::fs::write(&file, prices.to_string()).unwrap();
    let gc = ["gc", "ks", "--dry-run", "--price-file", file.to_str().unwrap()];
    let text = store.klstore(&gc).succeeds().text();
    assert_eq!(text, "would free 1 object of 1 list: 976.56 KiB, EUR 0.0500 a month\n");
}
