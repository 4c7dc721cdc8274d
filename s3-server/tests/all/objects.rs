//! Objects through the AWS SDK, as klstore's writer uses it: PUT, GET, HEAD, LIST, DELETE, and what they answer.

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Signer, builder, client, client_with, http_client};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, EncodingType, MetadataDirective, ObjectIdentifier};
use klstore_s3_server::{ETag, Limits};

#[tokio::test]
async fn an_object_comes_back_with_its_headers() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let body: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let put = s3.put_object().bucket(BUCKET).key("a/b c+d~e%f").body(body.clone().into());
    let put = put.cache_control("immutable").content_type("text/plain").metadata("made-by", "test");
    let put = put.send().await.unwrap();
    let etag = format!("\"{}\"", ETag::of(&body));
    assert_eq!(put.e_tag(), Some(etag.as_str()));
    assert!(put.checksum_crc32().is_some(), "the SDK's default checksum is answered");

    let got = s3.get_object().bucket(BUCKET).key("a/b c+d~e%f").send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.cache_control(), Some("immutable"));
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.metadata().unwrap().get("made-by").map(String::as_str), Some("test"));
    assert_eq!(got.content_encoding(), None);
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), body);

    let head = s3.head_object().bucket(BUCKET).key("a/b c+d~e%f").send().await.unwrap();
    assert_eq!(head.content_length(), Some(300_000));
    assert_eq!(head.e_tag(), Some(etag.as_str()));

    let counts = server.counts();
    assert_eq!((counts.put, counts.get, counts.head, counts.requests()), (1, 1, 1, 3));
    assert_eq!((counts.object_bytes_in, counts.object_bytes_out, counts.bytes_out), (300_000, 300_000, 300_000));
    server.shutdown().await;
}

#[tokio::test]
async fn every_way_of_uploading_stores_the_same_bytes() {
    let server = builder().start().await.unwrap();
    let body = vec![7_u8; 200_000];
    for checksums in [RequestChecksumCalculation::WhenSupported, RequestChecksumCalculation::WhenRequired] {
        let s3 = client_with(&server.endpoint(), ACCESS_KEY, SECRET_KEY, "us-east-1", checksums);
        s3.put_object().bucket(BUCKET).key("plain").body(body.clone().into()).send().await.unwrap();
        for algorithm in [
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32C,
            ChecksumAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256,
        ] {
            let put = s3.put_object().bucket(BUCKET).key(algorithm.as_str()).body(body.clone().into());
            put.checksum_algorithm(algorithm).send().await.unwrap();
        }
        // A streamed body is framed: aws-chunked with the checksum in the trailer.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &body).unwrap();
        let streamed = ByteStream::from_path(file.path()).await.unwrap();
        s3.put_object().bucket(BUCKET).key("streamed").body(streamed).send().await.unwrap();
    }
    let presigner = Signer { presign: Some(std::time::Duration::from_secs(60)), ..Signer::new() };
    let url = format!("{}/{BUCKET}/presigned", server.endpoint());
    let answer = presigner.request("PUT", &url, &[], &body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let keys = server.store().keys(BUCKET, "").unwrap();
    assert_eq!(keys.len(), 8);
    for key in keys {
        let object = server.store().get(BUCKET, &key, Default::default()).unwrap();
        assert!(object.body == body, "{key}");
        assert_eq!(object.metadata.content_encoding, None, "{key}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn ranges_are_answered_as_http_says() {
    let server = builder().anonymous(BUCKET, crate::support::GET).start().await.unwrap();
    let put = |key: &str, body: &'static [u8]| {
        server.store().put(BUCKET, key, body.into(), Default::default(), &Default::default()).unwrap();
    };
    put("ten", b"0123456789");
    put("empty", b"");
    let get = async |key: &str, range: &str| {
        let request = http_client().get(format!("{}/{BUCKET}/{key}", server.endpoint())).header("range", range);
        let answer = request.send().await.unwrap();
        let content_range = answer.headers().get("content-range").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), content_range.unwrap_or_default(), answer.text().await.unwrap())
    };
    let part = |range: &str, body: &str| (206, format!("bytes {range}/10"), body.to_owned());
    assert_eq!(get("ten", "bytes=2-4").await, part("2-4", "234"));
    assert_eq!(get("ten", "bytes=8-100").await, part("8-9", "89"));
    assert_eq!(get("ten", "bytes=7-").await, part("7-9", "789"));
    assert_eq!(get("ten", "bytes=-3").await, part("7-9", "789"));
    assert_eq!(get("ten", "bytes=-30").await, part("0-9", "0123456789"));
    for (key, range, size) in [("ten", "bytes=10-11", 10), ("ten", "bytes=-0", 10), ("empty", "bytes=0-", 0)] {
        let (status, content_range, body) = get(key, range).await;
        assert_eq!((status, content_range), (416, format!("bytes */{size}")), "{key} {range}");
        assert_eq!(crate::support::element(&body, "Code"), Some("InvalidRange"));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn conditional_gets_and_puts_are_judged_by_the_etag() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let put = |body: &'static [u8]| s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(body));
    let first = put(b"1").if_none_match("*").send().await.unwrap();
    let refused = put(b"2").if_none_match("*").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("PreconditionFailed"));
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 412);
    let second = put(b"3").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(put(b"4").if_match(first.e_tag().unwrap()).send().await.unwrap_err().code(), Some("PreconditionFailed"));

    let get = || s3.get_object().bucket(BUCKET).key("k");
    let unchanged = get().if_none_match(second.e_tag().unwrap()).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let changed = get().if_match(first.e_tag().unwrap()).send().await.unwrap_err();
    assert_eq!(changed.raw_response().unwrap().status().as_u16(), 412);
    let counts = server.counts();
    assert_eq!((counts.put, counts.put_refused, counts.object_bytes_in), (4, 2, 2));
    server.shutdown().await;
}

#[tokio::test]
async fn a_missing_object_is_404_and_a_missing_bucket_says_so() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let missing = s3.get_object().bucket(BUCKET).key("none").send().await.unwrap_err();
    assert_eq!((missing.code(), missing.raw_response().unwrap().status().as_u16()), (Some("NoSuchKey"), 404));
    let missing = s3.put_object().bucket("nowhere").key("k").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchBucket"));
    let missing = s3.list_objects_v2().bucket("nowhere").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchBucket"));
    assert!(s3.head_bucket().bucket("nowhere").send().await.is_err());
    s3.create_bucket().bucket("nowhere").send().await.unwrap();
    s3.head_bucket().bucket("nowhere").send().await.unwrap();
    let buckets = s3.list_buckets().send().await.unwrap();
    let names: Vec<&str> = buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["nowhere", BUCKET]);
    s3.delete_bucket().bucket("nowhere").send().await.unwrap();
    assert!(s3.get_bucket_location().bucket("nowhere").send().await.is_err());
    server.shutdown().await;
}

#[tokio::test]
async fn a_list_pages_over_awkward_keys() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let mut keys = ["d/a b", "d/a+b", "d/a%2Fb", "d/a~b", "d/ä", "d/sub/1", "d/sub/2", "d//", "d/<&>\"'", "e"];
    for key in keys {
        s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    keys.sort_unstable();
    for encoding in [None, Some(EncodingType::Url)] {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let list = s3.list_objects_v2().bucket(BUCKET).prefix("d/").delimiter("/").max_keys(2);
            let list = list.set_continuation_token(token).set_encoding_type(encoding.clone());
            let page = list.send().await.unwrap();
            assert!(page.key_count().unwrap() <= 2);
            for object in page.contents() {
                assert_eq!((object.size(), object.e_tag()), (Some(1), Some("\"9dd4e461268c8034f5c8564e155c67a6\"")));
                found.push(object.key().unwrap().to_owned());
            }
            found.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
            assert_eq!(page.is_truncated(), Some(page.next_continuation_token().is_some()));
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        // Objects come before common prefixes in each page.
        found.sort_unstable();
        let mut expected: Vec<&str> = match encoding {
            None => vec!["d//", "d/<&>\"'", "d/a b", "d/a%2Fb", "d/a+b", "d/a~b", "d/sub/", "d/ä"],
            Some(_) => {
                vec!["d//", "d/%3C%26%3E%22%27", "d/a+b", "d/a%252Fb", "d/a%2Bb", "d/a%7Eb", "d/sub/", "d/%C3%A4"]
            }
        };
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
    let page = s3.list_objects_v2().bucket(BUCKET).start_after("d/sub/1").max_keys(1).send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("d/sub/2"));
    server.shutdown().await;
}

#[tokio::test]
async fn objects_are_deleted_one_by_one_and_many_at_once() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    for key in ["a", "b", "c", "d"] {
        s3.put_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    s3.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    s3.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    let name = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let names = Delete::builder().objects(name("b")).objects(name("c")).objects(name("none")).build().unwrap();
    let deleted = s3.delete_objects().bucket(BUCKET).delete(names).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    assert_eq!(server.store().keys(BUCKET, "").unwrap(), ["d"]);
    assert_eq!((server.counts().delete, server.counts().deleted_names), (3, 5));
    server.shutdown().await;
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_the_headers() {
    let server = builder().start().await.unwrap();
    let s3 = client(&server);
    let put = s3.put_object().bucket(BUCKET).key("a b").cache_control("immutable");
    put.body(ByteStream::from_static(b"body")).send().await.unwrap();
    let copy = || s3.copy_object().bucket(BUCKET).copy_source(format!("{BUCKET}/a%20b"));
    copy().key("kept").send().await.unwrap();
    copy().key("replaced").metadata_directive(MetadataDirective::Replace).send().await.unwrap();
    let control = |key: &str| {
        let object = server.store().get(BUCKET, key, Default::default()).unwrap();
        assert_eq!(object.body, "body");
        object.metadata.cache_control
    };
    assert_eq!(control("kept").as_deref(), Some("immutable"));
    assert_eq!(control("replaced"), None);
    server.shutdown().await;
}

#[tokio::test]
async fn a_damaged_upload_is_refused_and_not_stored() {
    let server = builder().start().await.unwrap();
    let url = format!("{}/{BUCKET}/k", server.endpoint());
    let wrong = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("x-amz-checksum-crc32", "AAAAAA==")];
    for header in wrong {
        let answer = Signer::new().request("PUT", &url, &[header], b"body").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{header:?}");
        assert_eq!(crate::support::element(&answer.text().await.unwrap(), "Code"), Some("BadDigest"));
    }
    let request = Signer::new().request("PUT", &url, &[], b"body").body("tamp").build().unwrap();
    let answer = http_client().execute(request).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(crate::support::element(&answer.text().await.unwrap(), "Code"), Some("XAmzContentSHA256Mismatch"));
    assert!(server.store().keys(BUCKET, "").unwrap().is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused() {
    let limits = Limits { max_object_size: 1_000_000, ..Limits::default() };
    let server = builder().limits(limits).start().await.unwrap();
    let s3 = client(&server);
    let put = async |size: usize| s3.put_object().bucket(BUCKET).key("k").body(vec![0; size].into()).send().await;
    put(1_000_000).await.unwrap();
    assert_eq!(put(1_000_001).await.unwrap_err().code(), Some("EntityTooLarge"));
    let url = format!("{}/{BUCKET}/k", server.endpoint());
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let answer = Signer::new().request("PUT", &url, &unsigned, &vec![0; 3_000_000]).send().await.unwrap();
    assert_eq!(crate::support::element(&answer.text().await.unwrap(), "Code"), Some("EntityTooLarge"));
    server.shutdown().await;
}
