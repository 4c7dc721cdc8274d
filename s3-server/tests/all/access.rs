//! Who is let in: signatures in header and query, permissions, anonymous reading, regions.

use std::time::Duration;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Signer, builder, element, http_client};
use klstore_s3_server::{AnonymousAccess, Credential, Permission, RunningServer, WrongRegion};

/// Status and S3's code.
async fn outcome(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    (status, element(&body, "Code").unwrap_or_default().to_owned())
}

fn object_url(server: &RunningServer) -> String {
    format!("{}/{BUCKET}/k%20+~?x-id=GetObject", server.endpoint())
}

fn put_object(server: &RunningServer) {
    server.store().put(BUCKET, "k +~", "body".into(), Default::default(), &Default::default()).unwrap();
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn signatures_in_header_and_query_are_checked() {
    let server = builder().start().await.unwrap();
    put_object(&server);
    let url = object_url(&server);
    let in_header = Signer::new();
    let in_query = Signer { presign: Some(Duration::from_secs(60)), ..Signer::new() };
    for signer in [in_header, in_query] {
        let get = async |signer: Signer| outcome(signer.request("GET", &url, &[], b"")).await;
        assert_eq!(get(signer.clone()).await, refused(200, ""));
        let unknown = Signer { access_key: "AKNOBODY".into(), ..signer.clone() };
        assert_eq!(get(unknown).await, refused(403, "InvalidAccessKeyId"));
        let wrong = Signer { secret_key: "not-the-secret".into(), ..signer.clone() };
        assert_eq!(get(wrong).await, refused(403, "SignatureDoesNotMatch"));
        let fast = Signer { time: signer.time + Duration::from_secs(3_600), ..signer.clone() };
        assert_eq!(get(fast).await, refused(403, "RequestTimeTooSkewed"));
        let slow = Signer { time: signer.time - Duration::from_secs(3_600), ..signer.clone() };
        let late = if signer.presign.is_some() { "AccessDenied" } else { "RequestTimeTooSkewed" };
        assert_eq!(get(slow).await, refused(403, late));
        let forged = signer.request("GET", &url, &[], b"").build().unwrap();
        let other = forged.url().as_str().replace("/k%20", "/j%20");
        let mut forged = http_client().request(forged.method().clone(), other).headers(forged.headers().clone());
        assert_eq!(outcome(forged).await, refused(403, "SignatureDoesNotMatch"));
        forged = signer.request("GET", &url, &[], b"").header("x-amz-meta-added", "later");
        assert_eq!(outcome(forged).await, refused(403, "AccessDenied"));
    }
    let week = Signer { presign: Some(Duration::from_secs(604_800)), ..Signer::new() };
    assert_eq!(outcome(week.request("GET", &url, &[], b"")).await, refused(200, ""));
    let longer = week.request("GET", &url, &[], b"").build().unwrap();
    let longer = longer.url().as_str().replace("X-Amz-Expires=604800", "X-Amz-Expires=604801");
    assert_eq!(outcome(http_client().get(longer)).await, refused(400, "AuthorizationQueryParametersError"));
    server.shutdown().await;
}

#[tokio::test]
async fn the_old_signature_and_html_forms_are_refused() {
    let server = builder().start().await.unwrap();
    let url = object_url(&server);
    let old = http_client().get(&url).header("authorization", format!("AWS {ACCESS_KEY}:c2lnbmF0dXJl"));
    assert_eq!(outcome(old).await, refused(400, "InvalidRequest"));
    let old = http_client().get(format!("{url}&AWSAccessKeyId={ACCESS_KEY}&Signature=x&Expires=9999999999"));
    assert_eq!(outcome(old).await, refused(400, "InvalidRequest"));
    let form = http_client().post(format!("{}/{BUCKET}", server.endpoint()));
    let form = form.header("content-type", "multipart/form-data; boundary=x").body("--x--");
    assert_eq!(outcome(form).await, refused(501, "NotImplemented"));
    server.shutdown().await;
}

#[tokio::test]
async fn temporary_credentials_need_their_token_and_can_be_exchanged() {
    let temporary = Credential::new("AKTEMP", "s").session_token("a/token+of=bytes");
    let server = builder().credential(temporary).start().await.unwrap();
    put_object(&server);
    let url = object_url(&server);
    for presign in [None, Some(Duration::from_secs(60))] {
        let get = async |token: Option<&str>| {
            let session_token = token.map(str::to_owned);
            let signer =
                Signer { access_key: "AKTEMP".into(), secret_key: "s".into(), session_token, presign, ..Signer::new() };
            outcome(signer.request("GET", &url, &[], b"")).await
        };
        assert_eq!(get(Some("a/token+of=bytes")).await, refused(200, ""));
        assert_eq!(get(Some("another")).await, refused(400, "InvalidToken"));
        assert_eq!(get(None).await, refused(400, "InvalidToken"));
    }
    server.replace_credentials(vec![Credential::new("AKNEW", "s")]);
    assert_eq!(outcome(Signer::new().request("GET", &url, &[], b"")).await, refused(403, "InvalidAccessKeyId"));
    let new = Signer { access_key: "AKNEW".into(), secret_key: "s".into(), ..Signer::new() };
    assert_eq!(outcome(new.request("GET", &url, &[], b"")).await, refused(200, ""));
    server.shutdown().await;
}

#[tokio::test]
async fn anybody_reads_only_what_is_open_and_writes_nothing() {
    let open = AnonymousAccess { get: true, list: true };
    let server =
        builder().bucket("closed").bucket("read").anonymous(BUCKET, open).anonymous("read", crate::support::GET);
    let server = server.start().await.unwrap();
    put_object(&server);
    let at = |path: &str| format!("{}/{path}", server.endpoint());
    let get = async |path: &str| outcome(http_client().get(at(path))).await;
    assert_eq!(get("photos/k%20+~").await, refused(200, ""));
    assert_eq!(get("photos?list-type=2").await, refused(200, ""));
    assert_eq!(get("photos/none").await, refused(404, "NoSuchKey"));
    // Without the right to list, a missing key is hidden.
    assert_eq!(get("read/none").await, refused(403, "AccessDenied"));
    assert_eq!(get("read?list-type=2").await, refused(403, "AccessDenied"));
    assert_eq!(get("closed/none").await, refused(403, "AccessDenied"));
    assert_eq!(get("closed?list-type=2").await, refused(403, "AccessDenied"));
    assert_eq!(get("").await, refused(403, "AccessDenied"));
    let client = http_client();
    for write in [
        client.put(at("photos/k")).body("x"),
        client.put(at("photos/k")).header("x-amz-copy-source", "/photos/k%20+~"),
        client.delete(at("photos/k%20+~")),
        client.put(at("another")),
        client.delete(at("closed")),
    ] {
        assert_eq!(outcome(write).await, refused(403, "AccessDenied"));
    }
    let many = "<Delete><Object><Key>k +~</Key></Object></Delete>";
    assert_eq!(outcome(client.post(at("photos?delete")).body(many)).await, refused(403, "AccessDenied"));
    assert_eq!(server.store().keys(BUCKET, "").unwrap(), ["k +~"]);
    server.shutdown().await;
}

#[tokio::test]
async fn a_key_pair_does_only_what_it_may() {
    let blind = Credential::new("AKBLIND", "s").deny(Permission::ListBucket);
    let narrow = Credential::new("AKNARROW", "s").policy(|(_, _, key)| key.is_none_or(|key| key.starts_with("mine/")));
    let server = builder().credential(blind).credential(narrow).start().await.unwrap();
    put_object(&server);
    let at = |path: &str| format!("{}/{BUCKET}{path}", server.endpoint());
    let ask = async |who: &str, method: &str, path: &str, body: &[u8]| {
        let signer = Signer { access_key: who.into(), secret_key: "s".into(), ..Signer::new() };
        outcome(signer.request(method, &at(path), &[], body)).await
    };
    assert_eq!(ask("AKBLIND", "GET", "?list-type=2", b"").await, refused(403, "AccessDenied"));
    assert_eq!(ask("AKBLIND", "GET", "/none", b"").await, refused(403, "AccessDenied"));
    assert_eq!(ask("AKBLIND", "HEAD", "/none", b"").await, refused(403, ""));
    assert_eq!(ask("AKBLIND", "GET", "/k%20+~", b"").await, refused(200, ""));
    assert_eq!(ask("AKBLIND", "PUT", "/k", b"x").await, refused(200, ""));
    assert_eq!(ask("AKNARROW", "PUT", "/mine/k", b"x").await, refused(200, ""));
    assert_eq!(ask("AKNARROW", "PUT", "/k", b"x").await, refused(403, "AccessDenied"));

    let signer = Signer { access_key: "AKNARROW".into(), secret_key: "s".into(), ..Signer::new() };
    let names = b"<Delete><Object><Key>mine/k</Key></Object><Object><Key>k</Key></Object></Delete>";
    let md5 = [("content-md5", "d7mK38mmK3oEWHoAKw02dg==")];
    let answer = signer.request("POST", &at("?delete="), &md5, names).send().await.unwrap();
    let answer = answer.text().await.unwrap();
    assert_eq!(element(&answer, "Error").and_then(|error| element(error, "Key")), Some("k"), "{answer}");
    assert_eq!(element(&answer, "Deleted").and_then(|deleted| element(deleted, "Key")), Some("mine/k"));
    assert_eq!(server.store().keys(BUCKET, "").unwrap(), ["k", "k +~"]);
    server.shutdown().await;
}

#[tokio::test]
async fn another_region_is_told_the_right_one() {
    for (otherwise, status, code) in [
        (WrongRegion::Redirect, 301, "PermanentRedirect"),
        (WrongRegion::Malformed, 400, "AuthorizationHeaderMalformed"),
    ] {
        let server = builder().region("eu-west-1", otherwise).start().await.unwrap();
        put_object(&server);
        let url = object_url(&server);
        for presign in [None, Some(Duration::from_secs(60))] {
            let signer = Signer { presign, ..Signer::new() };
            let answer = signer.request("GET", &url, &[], b"").send().await.unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers().get("x-amz-bucket-region").unwrap(), "eu-west-1");
            let body = answer.text().await.unwrap();
            assert_eq!((element(&body, "Code"), element(&body, "Region")), (Some(code), Some("eu-west-1")));
            let right = Signer { region: "eu-west-1".into(), presign, ..Signer::new() };
            assert_eq!(outcome(right.request("GET", &url, &[], b"")).await, refused(200, ""));
        }
        server.shutdown().await;
    }
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let server = builder().start().await.unwrap();
    assert!(!format!("{server:?} {:?}", builder()).contains(SECRET_KEY));
    server.shutdown().await;
}
