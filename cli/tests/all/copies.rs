//! `klstore copy` between buckets, and `klstore export`.

use std::thread;
use std::time::Duration;

use crate::support::{Store, spawn};
use klstore_s3_server::{Fault, Operation};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

fn lines(count: u64) -> String {
    let line = |n: u64| match n % 3 {
        0 => json!({ "value": format!("value {n}"), "timestamp": n * 7 % 100 }),
        _ => json!({ "value_base64": "gP8=", "nonce": (u128::from(n) << 70).to_string(), "timestamp": n }),
    };
    (0..count).map(|n| line(n).to_string() + "\n").collect()
}

fn append(store: &Store, key: &str, lines: &str) {
    store.klstore_reading(&["append", "ks", key, "--format", "ndjson"], lines).succeeds();
}

#[test]
fn a_keyspace_is_copied_with_its_offsets_and_later_goes_on() {
    let store = Store::with_keyspace();
    let all = lines(2_700);
    let first: String = all.lines().take(2_500).map(|line| line.to_owned() + "\n").collect();
    append(&store, "a", &first);
    append(&store, "b", &lines(3));
    let copy = ["copy", "ks", "--to-bucket", "public"];
    assert_eq!(store.klstore(&copy).succeeds().text(), "copied 2,503 items of 2 lists\n");
    let read = |bucket: &str, key: &str| store.klstore(&["read", "ks", key, "--bucket", bucket]).succeeds().text();
    for key in ["a", "b"] {
        assert_eq!(read("public", key), read(crate::support::BUCKET, key));
    }
    let rest: String = all.lines().skip(2_500).map(|line| line.to_owned() + "\n").collect();
    append(&store, "a", &rest);
    let answer = store.klstore(&[&copy[..], &["--json"]].concat()).succeeds().json();
    let expected = json!({
        "keyspace": "ks", "to_keyspace": "ks", "lists": 2, "items": 200, "failed_lists": 0, "failed": [],
    });
    assert_eq!(answer, expected);
    assert_eq!(read("public", "a"), read(crate::support::BUCKET, "a"));
    assert_eq!(store.klstore(&copy).succeeds().text(), "copied 0 items of 2 lists\n");
    store.klstore(&["verify", "ks", "--bucket", "public"]).succeeds();
}

#[test]
fn the_destination_may_have_a_file_of_its_own() {
    let (store, other) = (Store::with_keyspace(), Store::start());
    append(&store, "a", &lines(5));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.ini");
    let (endpoint, bucket) = (other.server.endpoint(), crate::support::BUCKET);
    let keys = format!("access_key={}\nsecret_key={}\n", crate::support::ACCESS_KEY, crate::support::SECRET_KEY);
    // Nothing of the source holds there: neither its flags nor its keys. What the destination keeps later on is none of
    // a copy's business.
    let place = format!("[s3]\nendpoint={endpoint}\nbucket_name={bucket}\nretention_max_items=2\n{keys}");
    std::fs::write(&path, place).unwrap();
    let copy = ["copy", "ks", "--to-config", path.to_str().unwrap()];
    assert_eq!(store.klstore(&copy).succeeds().text(), "copied 5 items of 1 list\n");
    assert_eq!(
        other.klstore(&["read", "ks", "a"]).succeeds().text(),
        store.klstore(&["read", "ks", "a"]).succeeds().text()
    );
    let none = ["copy", "ks", "--to-config", "/nonexistent.ini"];
    store.klstore(&none).fails(5, &["/nonexistent.ini: the file cannot be read"]);
}

#[test]
fn a_copy_that_was_killed_goes_on() {
    let store = Store::with_keyspace();
    append(&store, "a", &lines(8_000));
    store.server.faults().set(|request| match request.operation {
        Operation::PutObject => Fault::Delay(Duration::from_millis(60), Box::default()),
        _ => Fault::None,
    });
    let copy = ["copy", "ks", "a", "--to-keyspace", "other"];
    let reached = || {
        let ran = store.klstore(&["stat", "other", "a", "--json"]);
        if ran.code == Some(0) { ran.json()["next_offset"].as_u64().unwrap() } else { 0 }
    };
    let mut kills = 0;
    while reached() < 4_000 {
        let before = reached();
        let mut child = spawn(store.command(&copy));
        // In the middle of it, whatever the machine's pace.
        while reached() <= before && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 40, "it does not get on");
    }
    store.klstore(&copy).succeeds();
    let read = |keyspace: &str| store.klstore(&["read", keyspace, "a"]).succeeds().text();
    assert!(read("other") == read("ks"));
}

#[test]
fn what_is_no_copy_is_refused() {
    let store = Store::with_keyspace();
    append(&store, "a", &lines(5));
    store.klstore(&["copy", "ks"]).fails(2, &["source and destination are the same lists", "--to-bucket"]);
    store.klstore(&["copy", "none", "--to-bucket", "public"]).fails(3, &["keyspace `none` does not exist"]);
    store.klstore(&["copy", "ks", "none", "--to-bucket", "public"]).fails(3, &["key `none` does not exist"]);
    let copy = ["copy", "ks", "a", "--to-keyspace", "other"];
    store.klstore(&["keyspace", "create", "other"]).succeeds();
    store.klstore_reading(&["append", "other", "a"], "another\n").succeeds();
    store.klstore(&copy).fails(1, &["key `a`: the items at offset 0 are not the same", "--to-keyspace"]);
    store.klstore_reading(&["append", "other", "a"], "1\n2\n3\n4\n5\n").succeeds();
    store.klstore(&copy).fails(1, &["the destination has 6 items, the source 5"]);
}

#[test]
fn ndjson_and_csv_are_exported() {
    let store = Store::with_keyspace();
    let folder = tempfile::tempdir().unwrap();
    let input = "{\"value\":\"=1+1\",\"timestamp\":5}\n{\"value_base64\":\"gP8=\",\"nonce\":7,\"timestamp\":6}\n\
                 {\"value\":\"a, \\\"b\\\"\",\"timestamp\":7}\n";
    append(&store, "k", input);
    let csv = "offset,timestamp,nonce,value,value_base64\r\n0,5,,'=1+1,\r\n1,6,7,,gP8=\r\n2,7,,\"a, \"\"b\"\"\",\r\n";
    assert_eq!(store.klstore(&["export", "ks", "k", "--format", "csv"]).succeeds().text(), csv);
    let read = store.klstore(&["read", "ks", "k"]).succeeds().text();
    assert_eq!(store.klstore(&["export", "ks", "k"]).succeeds().text(), read);
    let path = folder.path().join("k.csv");
    let file = path.to_str().unwrap();
    let ran = store.klstore(&["export", "ks", "k", "--output", file]).succeeds();
    assert_eq!(ran.text(), format!("exported 3 items to {file}\n"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), csv);
    let part = ["export", "ks", "k", "--output", file, "--since", "6", "--until", "6", "--json"];
    let expected = json!({ "keyspace": "ks", "key": "k", "file": file, "items": 1, "bytes": 56 });
    assert_eq!(store.klstore(&part).succeeds().json(), expected);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    store.klstore(&["export", "ks", "k", "--output", "k.xls"]).fails(2, &["--format parquet, ndjson or csv"]);
    store.klstore(&["export", "ks", "none"]).fails(3, &["key `none` does not exist"]);
    store.klstore(&["export", "ks", "k", "--output", "/nonexistent/k.csv"]).fails(1, &["/nonexistent/k.csv.partial"]);
}

#[test]
fn parquet_holds_every_item() {
    let store = Store::with_keyspace();
    append(&store, "k", &lines(3_000));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.parquet");
    store.klstore(&["export", "ks", "k", "--output", path.to_str().unwrap()]).succeeds();
    let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let names: Vec<String> = file
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    assert_eq!(names, ["offset", "timestamp", "nonce", "value"]);
    let read = store.klstore(&["read", "ks", "k"]).succeeds().text();
    let items: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut rows = 0;
    for (row, item) in file.get_row_iter(None).unwrap().zip(&items) {
        let row = row.unwrap();
        let columns: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let nonce = match &item["nonce"] {
            Value::String(nonce) => Field::Str(nonce.clone()),
            _ => Field::Null,
        };
        let value = item["value"].as_str().map_or(vec![0x80, 0xff], |text| text.as_bytes().to_vec());
        let expected = [
            Field::ULong(item["offset"].as_u64().unwrap()),
            Field::TimestampMillis(item["timestamp"].as_i64().unwrap()),
            nonce,
            Field::Bytes(value.into()),
        ];
        assert_eq!(columns, expected.iter().collect::<Vec<_>>());
        rows += 1;
    }
    assert_eq!((rows, items.len()), (3_000, 3_000));
}

#[test]
fn a_list_that_cannot_be_copied_does_not_hold_up_the_others() {
    let store = Store::with_keyspace();
    for key in ["a", "b", "c"] {
        append(&store, key, &lines(6));
    }
    let copy = ["copy", "ks", "--to-bucket", "public"];
    // At the destination already, up to where the source begins: what follows is copied.
    store.klstore(&["copy", "ks", "c", "--to-bucket", "public"]).succeeds();
    append(&store, "c", "{\"value\":\"x\"}\n{\"value\":\"y\"}\n");
    store.klstore(&["trim", "ks", "c", "--before-offset", "6"]).succeeds();
    store.klstore(&["trim", "ks", "a", "--before-offset", "4"]).succeeds();
    for _ in 0..2 {
        let ran = store.klstore(&copy);
        let reason = "key `a`: the source begins at offset 4, which a copy cannot keep";
        assert!(ran.err.starts_with(&format!("failed: {reason}\nerror: 1 of 3 lists failed")), "{}", ran.err);
        assert!(ran.err.contains(reason) && ran.err.contains("were trimmed; `klstore read ks a |"), "{}", ran.err);
        assert_eq!(ran.code, Some(1));
    }
    let items = |key: &str| store.klstore(&["read", "ks", key, "--bucket", "public"]).succeeds().text();
    assert_eq!(items("b"), store.klstore(&["read", "ks", "b"]).succeeds().text());
    assert_eq!(items("c").lines().count(), 8);

    let ran = store.klstore(&[&copy[..], &["--json"]].concat());
    let message = "the source begins at offset 4, which a copy cannot keep";
    let expected = json!({
        "keyspace": "ks", "to_keyspace": "ks", "lists": 2, "items": 0, "failed_lists": 1,
        "failed": [{ "key": "a", "kind": "failed", "message": message }],
    });
    assert_eq!((ran.code, ran.json()), (Some(1), expected));
    assert_eq!(ran.json_error()["error"]["exit_code"], 1);
}
