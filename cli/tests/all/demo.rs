//! `klstore demo` with a part of the flights.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::support::{Ran, command, signal, spawn};

#[test]
fn the_demo_shows_pages_and_a_summary() {
    let ran: Ran = command("", &["demo", "--exit", "--rows", "5000"]).output().unwrap().into();
    let text = ran.succeeds().text();
    for part in [
        "5,000 rows",
        "each equal to what was appended",
        "first page",
        "last page",
        "offset ",
        "time 2013-01-",
        "nonce ",
        "\nSummary\n",
        "5,000 flights compared, all equal",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("stays up"));
}

/// A page of two files, of which `.br` is told apart by what is in it.
fn built_page(folder: &Path) {
    fs::create_dir(folder.join("assets")).unwrap();
    for (name, text) in [("index.html", "<!doctype html>"), ("assets/page-1a2b.js", "'use strict'"), ("a.wasm", "")] {
        fs::write(folder.join(name), text).unwrap();
        fs::write(folder.join(format!("{name}.br")), "brotli").unwrap();
    }
}

#[tokio::test]
async fn the_demo_serves_the_web_page_over_lists_that_anybody_may_read() {
    let folder = tempfile::tempdir().unwrap();
    built_page(folder.path());
    let page = folder.path().to_str().unwrap();
    let mut child = spawn(command("", &["demo", "--rows", "1000", "--page", page, "--port", "0"]));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let url = lines.find_map(|line| line.strip_prefix("In a browser: ").map(str::to_owned)).expect("its address");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let document = client.get(&url).send().await.unwrap();
    let header = |response: &reqwest::Response, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let policy = header(&document, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    assert_eq!(header(&document, "referrer-policy"), "no-referrer");
    assert_eq!(header(&document, "x-content-type-options"), "nosniff");
    assert_eq!(
        (header(&document, "content-type"), header(&document, "cache-control")),
        ("text/html".into(), "no-cache".into())
    );
    assert_eq!(document.text().await.unwrap(), "<!doctype html>");
    let hashed =
        client.get(format!("{url}assets/page-1a2b.js")).header("accept-encoding", "gzip, br").send().await.unwrap();
    assert_eq!(header(&hashed, "content-encoding"), "br");
    assert_eq!(header(&hashed, "content-type"), "text/javascript");
    assert_eq!(header(&hashed, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(hashed.text().await.unwrap(), "brotli");
    let module = client.get(format!("{url}a.wasm")).send().await.unwrap();
    assert_eq!(header(&module, "content-type"), "application/wasm");
    for missing in ["nothing", "assets/", "..%2f..%2fetc/passwd"] {
        assert_eq!(client.get(format!("{url}{missing}")).send().await.unwrap().status(), 404, "{missing}");
    }

    // What the page opens with leads to the lists, from its own origin and without keys, and to nothing more.
    let connection = client.get(format!("{url}connection.json")).send().await.unwrap().text().await.unwrap();
    let connection: serde_json::Value = serde_json::from_str(&connection).unwrap();
    assert_eq!((&connection["keyspace"], &connection["pathStyle"]), (&"flights".into(), &true.into()));
    let bucket = format!("{}/{}", connection["endpoint"].as_str().unwrap(), connection["bucket"].as_str().unwrap());
    let origin = url.trim_end_matches('/');
    let listed = client.get(format!("{bucket}?list-type=2")).header("origin", origin).send().await.unwrap();
    assert_eq!(listed.status(), 200);
    assert_eq!(header(&listed, "access-control-allow-origin"), origin);
    let object = client.get(format!("{bucket}/flights/keyspace.json")).header("origin", origin).send().await.unwrap();
    assert_eq!(
        (object.status(), header(&object, "access-control-expose-headers").contains("ETag")),
        (http::StatusCode::OK, true)
    );
    let elsewhere =
        client.get(format!("{bucket}?list-type=2")).header("origin", "http://127.0.0.1:1").send().await.unwrap();
    assert_eq!(header(&elsewhere, "access-control-allow-origin"), "");
    assert_eq!(client.put(format!("{bucket}/flights/keyspace.json")).body("{}").send().await.unwrap().status(), 403);
    assert_eq!(client.delete(format!("{bucket}/flights/keyspace.json")).send().await.unwrap().status(), 403);

    // Another demo takes another port than one that is taken, but for one that was asked for.
    let port = origin.rsplit(':').next().unwrap();
    let second: Ran = command("", &["demo", "--exit", "--page", page, "--port", port]).output().unwrap().into();
    second.fails(1, &[port, "choose another"]);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(client.get(&url).send().await.is_err(), "the page is gone with the server");
}

#[test]
fn the_demo_says_what_is_wrong_with_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().to_str().unwrap();
    let ran: Ran = command("", &["demo", "--exit", "--page", page, "--port", "0"]).output().unwrap().into();
    ran.fails(2, &["no index.html", "script/web-build"]);
    built_page(folder.path());
    let ran: Ran = command("", &["demo", "--exit", "--rows", "500", "--page", page]).output().unwrap().into();
    assert!(ran.succeeds().text().contains("web page  at http://127.0.0.1:"));
}

#[test]
fn the_demo_answers_in_json() {
    let ran: Ran = command("", &["demo", "--exit", "--rows", "20000", "--json"]).output().unwrap().into();
    let answer = ran.succeeds().json();
    assert_eq!((&answer["append"]["appended"], &answer["check"]["equal_rows"]), (&20_000.into(), &20_000.into()));
    let pages = answer["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 8);
    for page in pages {
        assert!(page["stats"]["list_operation_count"].as_u64() <= Some(1), "{page}");
        assert!(page["stats"]["read_operation_count"].as_u64() <= Some(4), "{page}");
    }
    assert_eq!(pages[0]["items"], 20);
}

#[test]
fn the_demo_stays_up_for_the_commands_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("objects");
    let mut child = spawn(command("", &["demo", "--rows", "1000", "--dir", dir.to_str().unwrap()]));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut environment = Vec::new();
    let mut commands = Vec::new();
    while commands.len() < 3 {
        let line = lines.next().expect("three commands");
        if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            environment.push((name.to_owned(), value.to_owned()));
        } else if let Some(command) = line.trim().strip_prefix("klstore ") {
            commands.push(command.split(" |").next().unwrap().to_owned());
        }
    }
    assert_eq!(environment.len(), 4);
    for line in commands {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = command("", &arguments);
        for (name, value) in &environment {
            command.env(name, value);
        }
        let ran: Ran = command.output().unwrap().into();
        assert!(ran.succeeds().text().contains('N'), "{line}");
    }
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    // What it leaves is there, and not to be written over.
    let again: Ran = command("", &["demo", "--exit", "--dir", dir.to_str().unwrap()]).output().unwrap().into();
    again.fails(2, &["is not empty"]);
}
