//! The folder: what was answered is there after a kill, one of many racing PUTs wins, and no key leads out of it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Signer, builder, client, client_with};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use klstore_s3_server::{ByteRange, ListRequest, ListStart, ObjectMetadata, Precondition, Server, Store, StoreError};

const CHILD_FOLDER: &str = "KLSTORE_TEST_FOLDER";

fn put(store: &Store, key: &str, body: &str) -> Result<(), StoreError> {
    store.put(BUCKET, key, body.to_owned().into(), Default::default(), &Precondition::Absent).map(|_| ())
}

fn stores(folder: &Path) -> [Store; 2] {
    let stores = [Store::in_memory(), Store::in_folder(folder.join("store")).unwrap()];
    stores.iter().for_each(|store| store.create_bucket(BUCKET).unwrap());
    stores
}

/// Not a test of its own: the server that [`what_was_answered_survives_a_kill`] kills.
#[tokio::test]
async fn server_to_be_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let server = builder().folder(folder).start().await.unwrap();
    println!("endpoint={}", server.endpoint());
    std::future::pending().await
}

fn start_child(folder: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::server_to_be_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("endpoint=")?.1.to_owned()));
    (child, endpoint.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = BTreeSet::new();
    for round in 0..5 {
        let (mut child, endpoint) = start_child(folder.path());
        let s3 = client_with(&endpoint, ACCESS_KEY, SECRET_KEY, "us-east-1", RequestChecksumCalculation::WhenRequired);
        // What earlier rounds were told is still refused to be written again.
        for key in answered.iter().take(5) {
            let again = s3.put_object().bucket(BUCKET).key(key).if_none_match("*").send().await.unwrap_err();
            assert_eq!(again.raw_response().unwrap().status().as_u16(), 412);
        }
        let writers = (0..8).map(|writer| {
            let s3 = s3.clone();
            tokio::spawn(async move {
                let mut keys = Vec::new();
                for count in 0.. {
                    let key = format!("{round}/{writer}/{count}");
                    let body = ByteStream::from(key.repeat(2_000).into_bytes());
                    let put = s3.put_object().bucket(BUCKET).key(&key).if_none_match("*").body(body);
                    if put.send().await.is_err() {
                        break;
                    }
                    keys.push(key);
                }
                keys
            })
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(Duration::from_millis(400 + 50 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }
    }
    assert!(answered.len() > 50, "the kills came in the middle of work: {}", answered.len());
    let store = Store::in_folder(folder.path()).unwrap();
    for key in &answered {
        let object = store.get(BUCKET, key, ByteRange::All).unwrap();
        assert!(object.body == key.repeat(2_000), "{key}");
    }
    // What was not answered is either not there or whole.
    for key in store.keys(BUCKET, "").unwrap() {
        assert!(store.get(BUCKET, &key, ByteRange::All).unwrap().body == key.repeat(2_000), "{key}");
    }
    let uploads = std::fs::read_dir(folder.path().join(BUCKET).join("tmp")).unwrap();
    assert_eq!(uploads.count(), 0, "left-over uploads are removed at the start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_many_racing_puts_wins() {
    let folder = tempfile::tempdir().unwrap();
    for server in [builder(), builder().folder(folder.path())] {
        let server = server.start().await.unwrap();
        let s3 = client(&server);
        for round in 0..40 {
            let puts = (0..16).map(|writer| {
                let put = s3.put_object().bucket(BUCKET).key(format!("race/{round}")).if_none_match("*");
                tokio::spawn(put.body(ByteStream::from(vec![writer; 100])).send())
            });
            let mut winners = Vec::new();
            for (writer, put) in puts.collect::<Vec<_>>().into_iter().enumerate() {
                match put.await.unwrap() {
                    Ok(_) => winners.push(writer),
                    Err(error) => assert_eq!(error.raw_response().unwrap().status().as_u16(), 412),
                }
            }
            assert_eq!(winners.len(), 1, "round {round}");
            let object = server.store().get(BUCKET, &format!("race/{round}"), ByteRange::All).unwrap();
            assert!(object.body.iter().all(|&byte| usize::from(byte) == winners[0]) && object.size == 100);
        }
        assert_eq!((server.counts().put, server.counts().put_refused), (640, 600));
        server.shutdown().await;
    }
}

/// Keys that would be trouble as file names.
fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "..",
        ".",
        "../../etc/passwd",
        "/",
        "//",
        "/a",
        "a/",
        "a//b",
        "a/../b",
        "a",
        "A",
        "\0",
        "a\0b",
        "con",
        "a:b",
        "\u{10FFFF}",
        "e\u{301}",
        "\u{e9}",
        " ",
        "\n",
        "%2e%2e",
        "klstore-s3",
        "objects",
        "-rf",
        "~",
        "\\..\\x",
    ]
    .map(str::to_owned)
    .into();
    keys.extend(["x".repeat(1_024), format!("{}/", "é".repeat(511)), "/".repeat(1_024)]);
    keys
}

#[test]
fn any_key_stays_in_the_folder_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = odd_keys();
    for store in &stores(folder.path()) {
        for key in &keys {
            put(store, key, key).unwrap();
            assert!(matches!(put(store, key, "other"), Err(StoreError::PreconditionFailed { .. })));
        }
        assert!(matches!(put(store, "", ""), Err(StoreError::InvalidKey { length: 0 })));
        assert!(matches!(put(store, &"x".repeat(1_025), ""), Err(StoreError::InvalidKey { length: 1_025 })));
    }
    keys.sort();
    let store = Store::in_folder(folder.path().join("store")).unwrap();
    assert_eq!(store.keys(BUCKET, "").unwrap(), keys);
    for key in &keys {
        assert_eq!(store.get(BUCKET, key, ByteRange::All).unwrap().body, key.as_bytes());
    }
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["store"]);
    let deleted = store.delete(BUCKET, &["..", "..", "a", "none"]).unwrap();
    assert_eq!(deleted, [true, false, true, false]);
    drop(store);
    let store = Store::in_folder(folder.path().join("store")).unwrap();
    assert_eq!(store.keys(BUCKET, "").unwrap().len(), keys.len() - 2);
}

/// As SigV4 wants a path.
fn encode(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[tokio::test]
async fn any_key_comes_through_http() {
    let server = builder().start().await.unwrap();
    for key in odd_keys() {
        let encoded: String = key.bytes().map(encode).collect();
        // A URL library would resolve `..` before it sends it, so this goes out as it is.
        let url = format!("{}/{BUCKET}/{encoded}", server.endpoint());
        let signed = Signer::new().request("PUT", &url, &[], b"x").build().unwrap();
        let mut head = format!("PUT /{BUCKET}/{encoded} HTTP/1.1\r\nHost: {}\r\n", server.address());
        for (name, value) in signed.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let request = format!("{head}Content-Length: 1\r\nConnection: close\r\n\r\nx");
        let address = server.address();
        let answer = tokio::task::spawn_blocking(move || {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{key:?}: {answer}");
    }
    let mut keys = odd_keys();
    keys.sort();
    assert_eq!(server.store().keys(BUCKET, "").unwrap(), keys);
    server.shutdown().await;
}

#[test]
fn no_symbolic_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let outside = folder.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let store = Store::in_folder(&path).unwrap();
    store.create_bucket(BUCKET).unwrap();
    put(&store, "k", "body").unwrap();
    let objects = path.join(BUCKET).join("objects");
    let file = std::fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    assert!(matches!(store.get(BUCKET, "k", ByteRange::All), Err(StoreError::Io { .. })));
    // A PUT replaces the link and leaves alone what it points to.
    store.put(BUCKET, "k", "new".into(), Default::default(), &Precondition::None).unwrap();
    assert_eq!(store.get(BUCKET, "k", ByteRange::All).unwrap().body, "new");
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "secret");
    drop(store);
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), path.join("linked")).unwrap();
    assert!(matches!(Store::in_folder(&path), Err(StoreError::Io { .. })));
}

#[test]
fn a_folder_is_served_by_one_process_and_holds_only_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_folder(folder.path()).unwrap();
    assert!(matches!(Store::in_folder(folder.path()), Err(StoreError::InUse { .. })));
    drop(store);
    drop(Store::in_folder(folder.path()).unwrap());
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("thesis.txt"), "all of it").unwrap();
    assert!(matches!(Store::in_folder(other.path()), Err(StoreError::NotAStore { .. })));
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_folder(folder.path()).unwrap();
    store.create_bucket(BUCKET).unwrap();
    put(&store, "k", "body").unwrap();
    drop(store);
    let objects = folder.path().join(BUCKET).join("objects");
    let file = std::fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    // A cut anywhere and any changed byte before the body; the body's own bytes are the client's to check.
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(matches!(Store::in_folder(folder.path()), Err(StoreError::Damaged { path, .. }) if path == file));
    }
    for index in 0..whole.len() - 4 {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        std::fs::write(&file, changed).unwrap();
        assert!(matches!(Store::in_folder(folder.path()), Err(StoreError::Damaged { .. })), "byte {index}");
    }
    std::fs::write(&file, whole).unwrap();
    assert!(Store::in_folder(folder.path()).is_ok());
}

#[test]
fn both_backings_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let told = stores(folder.path()).map(|store| {
        let metadata = ObjectMetadata {
            cache_control: Some("immutable".into()),
            user: [("a".to_owned(), "b".to_owned())].into(),
            ..Default::default()
        };
        store.put(BUCKET, "k", "0123456789".into(), metadata, &Precondition::None).unwrap();
        let object = store.get(BUCKET, "k", ByteRange::FromTo(3, 5)).unwrap();
        assert_eq!((object.body.as_ref(), object.range, object.size), (b"345".as_slice(), 3..6, 10));
        assert!(matches!(store.get(BUCKET, "k", ByteRange::From(10)), Err(StoreError::RangeNotSatisfiable { .. })));
        assert!(matches!(store.get(BUCKET, "j", ByteRange::All), Err(StoreError::NoSuchKey { .. })));
        assert!(matches!(store.delete_bucket(BUCKET), Err(StoreError::BucketNotEmpty { .. })));
        let etag = Precondition::ETag(object.etag.to_string());
        store.put(BUCKET, "k", "new".into(), Default::default(), &etag).unwrap();
        let stale = store.put(BUCKET, "k", "newer".into(), Default::default(), &etag);
        assert!(matches!(stale, Err(StoreError::PreconditionFailed { .. })));
        store.delete(BUCKET, &["k"]).unwrap();
        store.delete_bucket(BUCKET).unwrap();
        assert!(matches!(store.create_bucket("../x"), Err(StoreError::InvalidBucketName { .. })));
        object.metadata
    });
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn a_list_is_fast_among_a_million_keys() {
    let store = Arc::new(Store::in_memory());
    store.create_bucket(BUCKET).unwrap();
    for number in 0..1_000_000_u32 {
        let key = format!("log/{:016x}", u64::MAX - u64::from(number));
        store.put(BUCKET, &key, "x".into(), Default::default(), &Precondition::Absent).unwrap();
    }
    let server = Server::builder().store(store.clone()).start().await.unwrap();
    assert_eq!(server.counts().requests(), 0);
    // A look-up, not a scan: each of these would take a quarter of a second if it passed over what is skipped.
    let started = tokio::time::Instant::now();
    for number in 0..1_000 {
        let after = format!("log/{:016x}", u64::MAX - number * 1_000);
        let start = ListStart::After(after);
        let page = store.list(BUCKET, &ListRequest { start, max_keys: 1, ..ListRequest::prefix("log/") }).unwrap();
        assert_eq!(page.objects.len(), usize::from(number > 0));
        let folders = ListRequest { delimiter: "/".into(), ..ListRequest::default() };
        assert_eq!(store.list(BUCKET, &folders).unwrap().common_prefixes, ["log/"]);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    server.shutdown().await;
}
