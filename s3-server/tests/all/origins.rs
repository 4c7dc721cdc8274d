//! Browsers: cross-origin requests, and host names that are not the server's.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::support::{BUCKET, builder, http_client};
use klstore_s3_server::{AnonymousAccess, Cors, Limits, RunningServer, ServerBuilder};

const PAGE: &str = "https://example.org";

async fn start(builder: ServerBuilder) -> RunningServer {
    let open = AnonymousAccess { get: true, list: true };
    let server = builder.anonymous(BUCKET, open).start().await.unwrap();
    server.store().put(BUCKET, "k", "body".into(), Default::default(), &Default::default()).unwrap();
    server
}

fn header(answer: &reqwest::Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_listed_origin_sees_answers_and_errors() {
    let server = start(builder().cors(Cors::origin(PAGE))).await;
    let get = async |path: &str, origin: &str| {
        let request = http_client().get(format!("{}/{path}", server.endpoint())).header("origin", origin);
        request.send().await.unwrap()
    };
    for path in ["photos/k", "photos/none", "photos?list-type=2", "nowhere/k"] {
        let answer = get(path, PAGE).await;
        assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(PAGE), "{path}");
        let exposed = header(&answer, "access-control-expose-headers").unwrap();
        assert!(exposed.contains("ETag") && exposed.contains("Content-Range"), "{exposed}");
        assert_eq!(header(&answer, "vary").as_deref(), Some("Origin"));
        let answer = get(path, "https://elsewhere.example").await;
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{path}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_exposed_can_be_chosen() {
    let cors = Cors { exposed_headers: vec!["Content-Length".into()], ..Cors::origin("*") };
    let server = start(builder().cors(cors)).await;
    let request = http_client().get(format!("{}/photos/k", server.endpoint())).header("origin", PAGE);
    let answer = request.send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(header(&answer, "access-control-expose-headers").as_deref(), Some("Content-Length"));
    server.shutdown().await;
}

#[tokio::test]
async fn a_preflight_is_answered_and_counted() {
    let server = start(builder().cors(Cors::origin(PAGE))).await;
    let preflight = async |origin: &str| {
        let request = http_client().request(http::Method::OPTIONS, format!("{}/photos/k", server.endpoint()));
        let request = request.header("origin", origin).header("access-control-request-method", "GET");
        request.header("access-control-request-headers", "range,if-match").send().await.unwrap()
    };
    let answer = preflight(PAGE).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some(PAGE));
    assert_eq!(header(&answer, "access-control-allow-headers").as_deref(), Some("range,if-match"));
    assert!(header(&answer, "access-control-allow-methods").unwrap().contains("GET"));
    assert_eq!(preflight("https://elsewhere.example").await.status(), 403);
    assert_eq!((server.counts().options, server.counts().requests()), (2, 2));
    server.shutdown().await;
}

#[tokio::test]
async fn only_own_host_names_are_served() {
    let server = start(builder().host_name("s3.example.org")).await;
    let port = server.address().port();
    let get = async |path: &str, host: &str| {
        let request = http_client().get(format!("{}/{path}", server.endpoint())).header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("photos/k", &format!("localhost:{port}")).await, 200);
    assert_eq!(get("photos/k", "s3.example.org").await, 200);
    assert_eq!(get("k", &format!("photos.localhost:{port}")).await, 200);
    assert_eq!(get("k", "photos.s3.example.org").await, 200);
    assert_eq!(get("photos/k", &format!("evil.example:{port}")).await, 403);
    assert_eq!(get("photos/k", "localhost:1").await, 403);
    server.shutdown().await;
}

/// Sends bytes and gives what comes back until the server closes the connection, which it must.
async fn talk(server: &RunningServer, bytes: Vec<u8>) -> String {
    let address = server.address();
    let talk = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    talk.await.unwrap()
}

#[tokio::test]
async fn slow_and_oversized_requests_are_cut_off() {
    let time = Duration::from_millis(300);
    let limits = Limits { head_timeout: time, body_pause: time, max_head_size: 16 << 10, ..Limits::default() };
    let server = start(builder().limits(limits)).await;
    let host = server.address();
    assert_eq!(talk(&server, b"GET /photos/k HTTP/1.1\r\nHo".to_vec()).await, "");
    let long = format!("GET /photos/k HTTP/1.1\r\nHost: {host}\r\nX-Long: {}\r\n\r\n", "x".repeat(32 << 10));
    assert!(talk(&server, long.into_bytes()).await.starts_with("HTTP/1.1 431"));
    // A signed PUT whose body stops coming.
    let put = crate::support::Signer::new().request("PUT", &format!("http://{host}/photos/slow"), &[], b"whole body");
    let put = put.build().unwrap();
    let mut head = format!("PUT /photos/slow HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nConnection: close\r\n");
    for (name, value) in put.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let answer = talk(&server, format!("{head}\r\nwhole").into_bytes()).await;
    assert!(answer.contains("RequestTimeout"), "{answer}");
    assert_eq!(server.store().keys(BUCKET, "").unwrap(), ["k"]);
    server.shutdown().await;
}
