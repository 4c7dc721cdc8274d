//! Encryption and storage class are on the PUTs that they are meant for, as the server gets them.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use klstore_format::config::{ServerSideEncryption, StorageClass};
use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{Credential, Fault, Operation, Server};
use klstore_tests::conformance::Store;
use klstore_tests::servers::{ACCESS_KEY, BUCKET, SECRET_KEY};
use klstore_writer::{S3StoreWriter, StoreWriter};

const ITEMS: u64 = 60;

/// The PUTs of a list with segments and an index, and the list read back.
async fn puts_of(change: impl FnOnce(&mut S3StoreConfig)) -> Vec<(String, HeaderMap)> {
    let server = Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY));
    let server = server.start().await.unwrap();
    let puts = Arc::new(Mutex::new(Vec::new()));
    let seen = puts.clone();
    server.faults().set(move |request| {
        if request.operation == Operation::PutObject {
            seen.lock().unwrap().push((request.key.clone().unwrap(), request.headers.clone()));
        }
        Fault::None
    });
    let mut config = Store::new(server.endpoint()).config();
    (config.compact_items_threshold, config.compact_objects_threshold) = (10, 4);
    change(&mut config);
    let writer = S3StoreWriter::new(config.clone()).await.unwrap();
    writer.create_keyspace("ks").await.unwrap();
    for number in 0..ITEMS {
        let batch = vec![Insertion::new(number.to_string())];
        writer.append_list("ks", "k", batch).await.unwrap().await.unwrap();
    }
    // The condition of a PUT still refuses a name that exists, whatever else the PUT says.
    let second = S3StoreWriter::new(config.clone()).await.unwrap();
    assert!(second.create_keyspace("ks").await.is_err());
    let reader = S3StoreReader::new(config).await.unwrap();
    let page = reader.read_page("ks", "k", IterationOrder::Forwards, Some(ITEMS), None, None).await.unwrap();
    assert_eq!(page.items.len() as u64, ITEMS);
    let puts = puts.lock().unwrap().clone();
    for (part, least) in [("/log/", ITEMS as usize), ("/seg/", 1), ("/idx/", 1)] {
        let found = puts.iter().filter(|(name, _)| name.contains(part)).count();
        assert!(found >= least, "{found} PUTs of {part}");
    }
    let creations = puts.iter().filter(|(name, _)| name.contains("/log/"));
    assert!(creations.into_iter().any(|(_, headers)| headers.get("if-none-match").is_some_and(|value| value == "*")));
    puts
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_unless_it_is_set() {
    for (name, headers) in puts_of(|_| {}).await {
        for header in ["x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-sdk-checksum-algorithm"] {
            assert!(!headers.contains_key(header), "{name}: {header}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sse_s3_is_on_every_put() {
    for (name, headers) in puts_of(|config| config.server_side_encryption = ServerSideEncryption::Aes256).await {
        assert_eq!(header(&headers, "x-amz-server-side-encryption"), Some("AES256"), "{name}");
        assert_eq!(header(&headers, "x-amz-server-side-encryption-aws-kms-key-id"), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kms_key_is_on_every_put_and_the_storage_class_on_segments_alone() {
    let puts = puts_of(|config| {
        config.server_side_encryption = ServerSideEncryption::AwsKms;
        config.kms_key_id = Some("alias/lists".to_owned());
        config.storage_class = StorageClass::StandardIa;
    });
    for (name, headers) in puts.await {
        assert_eq!(header(&headers, "x-amz-server-side-encryption"), Some("aws:kms"), "{name}");
        assert_eq!(header(&headers, "x-amz-server-side-encryption-aws-kms-key-id"), Some("alias/lists"), "{name}");
        let class = name.contains("/seg/").then_some("STANDARD_IA");
        assert_eq!(header(&headers, "x-amz-storage-class"), class, "{name}");
    }
}
