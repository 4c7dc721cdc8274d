//! `klstore cost`: its requests are those that a server counts, its money that of the table.

use std::time::Duration;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Store, command};
use futures::StreamExt;
use klstore_reader::{FollowStart, ItemFilter, IterationOrder, Polling, S3StoreReader, StoreReader};
use klstore_s3_server::Counts;
use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Without any store: nothing is asked.
fn cost(arguments: &[&str]) -> crate::support::Ran {
    command("http://127.0.0.1:1", &[&["cost"][..], arguments].concat()).output().unwrap().into()
}

fn config(store: &Store) -> S3StoreConfig {
    S3StoreConfig {
        endpoint: Some(store.server.endpoint()),
        path_style: true,
        access_key: Some(ACCESS_KEY.into()),
        secret_key: Some(SECRET_KEY.into()),
        ..S3StoreConfig::new(BUCKET)
    }
}

/// Appends so often, one after the other, each with what follows from it.
async fn append(store: &Store, key: &str, appends: u64, items: u64, bytes: usize) -> Counts {
    let writer = S3StoreWriter::new(config(store)).await.unwrap();
    // The keyspace and the store are looked at once a writer.
    writer.append_list("ks", "another", vec![Insertion::new("x")]).await.unwrap().await.unwrap();
    store.server.reset_counts();
    append_with(&writer, key, appends, items, bytes).await;
    store.server.reset_counts()
}

async fn append_with(writer: &S3StoreWriter, key: &str, appends: u64, items: u64, bytes: usize) {
    for number in 0..appends {
        let value = |item: u64| {
            let mut state = (number * items + item + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let step = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            };
            Insertion::new((0..bytes).map(step).collect::<Vec<u8>>())
        };
        let insertions = (0..items).map(value).collect();
        writer.append_list("ks", key, insertions).await.unwrap().await.unwrap();
        writer.flush_key("ks", key).await.unwrap();
    }
    while writer.statistics().background_count > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn the_requests_are_those_that_the_server_counts() {
    let store = Store::with_keyspace();
    let runtime = Runtime::new().unwrap();
    // Small commits with segments that are merged; segments that are complete at once; complete commits; more than
    // the writer remembers.
    for (items, bytes, appends) in [(1, 100, 1_050), (100, 100, 140), (1_000, 100, 230), (10, 10_000, 80)] {
        let key = format!("{items} of {bytes}");
        let counted = runtime.block_on(append(&store, &key, appends, items, bytes));
        let arguments = ["--appends", &appends.to_string(), "--items-per-append", &items.to_string()];
        let predicted = cost(&[&arguments[..], &["--item-bytes", &bytes.to_string(), "--json"]].concat()).json();
        println!("{appends} appends of {items} x {bytes} B: server {counted:?}, predicted {}", predicted["requests"]);
        let counted = json!({
            "put": counted.put as f64, "list": counted.list as f64,
            "get": counted.get as f64, "delete": counted.delete as f64,
        });
        assert_eq!(predicted["requests"], counted, "{appends} appends of {items} x {bytes} B");
    }
    pages_are_those_that_the_server_counts(&store, &runtime);
}

fn pages_are_those_that_the_server_counts(store: &Store, runtime: &Runtime) {
    for (key, items, page_items) in [("1 of 100", 1, 20), ("100 of 100", 100, 250)] {
        store.server.reset_counts();
        let pages = 7;
        runtime.block_on(async {
            for _ in 0..pages {
                let reader = S3StoreReader::new(config(store)).await.unwrap();
                let order = IterationOrder::Backwards;
                let page = reader.read_page("ks", key, order, Some(page_items), None, None).await.unwrap();
                assert_eq!(page.items.len() as u64, page_items);
            }
        });
        let counted = store.server.reset_counts();
        let [items, page_items, pages] = [items, page_items, pages].map(|number: u64| number.to_string());
        let predicted =
            cost(&["--pages", &pages, "--page-items", &page_items, "--items-per-append", &items, "--json"]).json();
        let requests = &predicted["requests"];
        let counted = (json!(counted.list as f64), json!(counted.get as f64), counted.put);
        assert_eq!((requests["list"].clone(), requests["get"].clone(), 0), counted, "pages of {key}");
    }
}

/// What was asked of the server, of which a month's report says so much.
#[track_caller]
fn is_close(counted: u64, predicted: f64, what: &str) {
    println!("{what}: server {counted}, predicted {predicted:.1}");
    let counted = counted as f64;
    assert!((counted - predicted).abs() <= 1.0 + counted * 0.01, "{what}: server {counted}, predicted {predicted}");
}

fn requests(arguments: &[&str]) -> impl Fn(&str) -> f64 + use<> {
    let answer = cost(&[arguments, &["--json"]].concat()).succeeds().json();
    move |name| answer["requests"][name].as_f64().unwrap()
}

#[test]
fn appends_to_several_keys_are_those_that_the_server_counts() {
    let store = Store::with_keyspace();
    let runtime = Runtime::new().unwrap();
    // 140 appends to three keys: 47, 47 and 46.
    let mut counted = Counts::default();
    for (key, appends) in [("a", 47), ("b", 47), ("c", 46)] {
        let one = runtime.block_on(append(&store, key, appends, 100, 100));
        counted.put += one.put;
        counted.get += one.get;
        counted.list += one.list;
        counted.delete += one.delete;
    }
    let shape = ["--appends", "140", "--keys", "3", "--items-per-append", "100", "--item-bytes", "100"];
    let predicted = requests(&shape);
    for (name, counted) in
        [("put", counted.put), ("get", counted.get), ("list", counted.list), ("delete", counted.delete)]
    {
        assert_eq!(predicted(name), counted as f64, "{name}");
    }
}

#[test]
fn a_rate_is_what_the_server_counts_of_a_list_that_goes_on() {
    let store = Store::with_keyspace();
    let runtime = Runtime::new().unwrap();
    // Whole cycles of ten merges, of complete segments, and of complete commits.
    for (items, bytes, cycle) in [(1, 100, 1_000), (100, 100, 320), (1_000, 20, 300)] {
        let key = format!("{items} of {bytes}");
        let counted = runtime.block_on(async {
            let writer = S3StoreWriter::new(config(&store)).await.unwrap();
            append_with(&writer, &key, cycle / 10 + 1, items, bytes).await;
            store.server.reset_counts();
            append_with(&writer, &key, cycle, items, bytes).await;
            store.server.reset_counts()
        });
        let [items, bytes] = [items, bytes as u64].map(|number: u64| number.to_string());
        let of_month = requests(&["--appends-per-second", "1", "--items-per-append", &items, "--item-bytes", &bytes]);
        let share = cycle as f64 / (730.0 * 3_600.0);
        for (name, counted) in [("put", counted.put), ("get", counted.get), ("delete", counted.delete)] {
            is_close(counted, of_month(name) * share, &format!("{name} of {cycle} appends of {key}"));
        }
        assert_eq!((counted.list, of_month("list")), (0, 0.0));
    }
}

#[test]
fn seeks_are_at_most_what_the_report_says() {
    let store = Store::with_keyspace();
    let runtime = Runtime::new().unwrap();
    // 1,100 complete commits: more than a leaf of the index.
    runtime.block_on(append(&store, "k", 1_100, 1_000, 1));
    store.server.reset_counts();
    let seeks = 10;
    runtime.block_on(async {
        for seek in 0..seeks {
            let reader = S3StoreReader::new(config(&store)).await.unwrap();
            let filter = ItemFilter { start_offset: Some(seek * 100_000 + 500), ..ItemFilter::default() };
            let page =
                reader.read_page("ks", "k", IterationOrder::Forwards, Some(20), Some(filter), None).await.unwrap();
            assert_eq!(page.items.len(), 20);
        }
    });
    let counted = store.server.reset_counts();
    let of_month = requests(&["--seeks-per-second", "1"]);
    let predicted = |name: &str| of_month(name) / (730.0 * 3_600.0) * seeks as f64;
    println!("{seeks} seeks: server {counted:?}, predicted {} LIST, {} GET", predicted("list"), predicted("get"));
    assert_eq!((counted.list, counted.put), (seeks, 0));
    is_close(counted.list, predicted("list"), "LIST");
    assert!(counted.get as f64 <= predicted("get") && counted.get >= 2 * seeks, "{counted:?}");
}

#[test]
fn polls_of_a_quiet_list_are_those_that_the_server_counts() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "x\n").succeeds();
    let runtime = Runtime::new().unwrap();
    let counted = runtime.block_on(async {
        let reader = S3StoreReader::new(config(&store)).await.unwrap();
        let polling = Polling { interval: Duration::from_millis(2), max_interval: Duration::from_millis(2) };
        let mut followed = std::pin::pin!(reader.follow("ks", "k", FollowStart::End, polling));
        // The first poll looks for the end.
        let first = async {
            while store.server.counts().list == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await
            }
        };
        tokio::select! { _ = followed.next() => panic!("nothing was appended"), () = first => {} }
        store.server.reset_counts();
        let enough = async {
            while store.server.counts().list < 10 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! { _ = followed.next() => panic!("nothing was appended"), () = enough => {} }
        store.server.reset_counts()
    });
    let of_month = requests(&["--followers", "1", "--poll-seconds", "1"]);
    // Ten LISTs, and the GETs between them; those before the first began with the first poll.
    let gets = of_month("get") / of_month("list") * counted.list as f64;
    assert!((counted.get as f64 - gets).abs() <= 15.0, "server {counted:?}, predicted {gets} GETs");
    // Each append that is found takes two more.
    let of_appends = requests(&["--followers", "1", "--poll-seconds", "1", "--appends-per-second", "0.01"]);
    let appends = requests(&["--appends-per-second", "0.01"]);
    let gets = of_appends("get") - appends("get");
    let found = 0.01 * 730.0 * 3_600.0;
    assert!((gets + of_appends("list") - 730.0 * 3_600.0 - 2.0 * found).abs() < 2.0, "{gets}");
}

#[test]
fn what_followers_download_is_traffic_to_the_internet() {
    let arguments = ["--appends-per-second", "1", "--items-per-append", "10", "--item-bytes", "100"];
    let arguments = [&arguments[..], &["--keys", "4", "--followers", "8", "--internet", "--json"]].concat();
    let answer = cost(&arguments).succeeds().json();
    let line = answer["lines"].as_array().unwrap().iter().find(|line| line["what"] == "traffic").unwrap().clone();
    // Each of the four lists has two followers, so that every append goes out twice.
    assert_eq!(line["amount"].as_f64().unwrap(), 2.0 * 730.0 * 3_600.0 * 1_000.0 / 1e9);
}

#[test]
fn the_memory_of_the_writer_is_that_of_the_settings() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "x\n").succeeds();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("klstore.ini");
    std::fs::write(&path, "[s3]\ncarry_budget_bytes=1000\n").unwrap();
    let shape = ["cost", "ks", "k", "--appends", "1000", "--items-per-append", "100", "--json"];
    let gets = |more: &[&str]| {
        store.klstore(&[&shape[..], more].concat()).succeeds().json()["requests"]["get"].as_f64().unwrap()
    };
    // With no room for what it has written, a compaction reads all of it.
    assert!(gets(&["--config", path.to_str().unwrap()]) >= gets(&[]) + 31.0 * 32.0);
}

#[test]
fn a_month_is_told_line_by_line() {
    let arguments = [
        "--appends-per-second",
        "10",
        "--items-per-append",
        "100",
        "--item-bytes",
        "200",
        "--keys",
        "100",
        "--pages-per-second",
        "3",
        "--seeks-per-second",
        "1",
        "--followers",
        "200",
        "--internet",
    ];
    let text = cost(&arguments).succeeds().text();
    crate::support::snapshot("cost.txt", &text, &[]);
    let json = cost(&[&arguments[..], &["--json"]].concat()).succeeds().json();
    let sum: f64 = json["lines"].as_array().unwrap().iter().map(|line| line["cost"].as_f64().unwrap()).sum();
    assert!((json["total"].as_f64().unwrap() - sum).abs() < 1e-9);
    // 10 a second are 26,280,000 in 730 hours, at 5 USD a million.
    assert_eq!((&json["lines"][0]["unit"], &json["lines"][0]["amount"]), (&json!("PUT"), &json!(26_280_000.0)));
    assert!((json["lines"][0]["cost"].as_f64().unwrap() - 131.4).abs() < 1e-9);
}

#[test]
fn prices_come_from_a_file_in_the_form_they_are_printed() {
    let printed = cost(&["--print-prices"]).succeeds().text();
    let mut prices: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&prices["currency"], &prices["put_per_thousand"]), (&json!("USD"), &json!(0.005)));
    prices["currency"] = "EUR".into();
    prices["put_per_thousand"] = 1.0.into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    let path = file.to_str().unwrap();
    std::fs::write(&file, prices.to_string()).unwrap();
    let json = cost(&["--appends", "1000", "--price-file", path, "--json"]).succeeds().json();
    assert_eq!((&json["currency"], &json["lines"][0]["cost"]), (&json!("EUR"), &json!(1.0)));
    prices["get_per_thousand"] = (-1.0).into();
    std::fs::write(&file, prices.to_string()).unwrap();
    cost(&["--appends", "1", "--price-file", path]).fails(2, &["is no table of prices", "negative", "--print-prices"]);
    std::fs::write(&file, "{").unwrap();
    cost(&["--price-file", path]).fails(2, &["is no table of prices"]);
    cost(&["--price-file", "/nonexistent"]).fails(1, &["cannot read /nonexistent"]);
    cost(&["--appends", "1", "--items-per-append", "1000", "--item-bytes", "20000"]).fails(2, &["is split", "at most"]);
    cost(&["--appends-per-second=-1"]).fails(2, &["--appends-per-second"]);
}

#[test]
fn a_list_costs_what_it_takes_up_and_how_it_grows() {
    let store = Store::with_keyspace();
    // An item a second, of 10 bytes.
    let lines: String =
        (0..101).map(|second| format!("{{\"timestamp\": {}, \"value\": \"0123456789\"}}\n", 1_000 * second)).collect();
    store.klstore_reading(&["append", "ks", "a", "--format", "ndjson"], lines).succeeds();
    let answer = store.klstore(&["cost", "ks", "a", "--items-per-append", "10", "--json"]).succeeds().json();
    let objects = store.server.store().keys(BUCKET, "ks/lists/a/").unwrap();
    assert_eq!((&answer["list"]["objects"], &answer["list"]["items"]), (&objects.len().into(), &101.into()));
    assert_eq!(answer["list"]["stored_bytes"], answer["stored_bytes"].as_f64().unwrap() as u64);
    // 101 items in 100 s, ten an append: 0.101 appends a second.
    assert_eq!(answer["lines"][0]["amount"].as_f64().unwrap().round(), 265_428.0);
    store.klstore(&["cost", "ks", "none"]).fails(3, &["key `none` does not exist"]);
    store.klstore(&["cost", "ks"]).fails(2, &["<KEY>"]);
}
