//! Credentials that expire every few seconds, from each of the places where machines get theirs: a writer and a
//! reader go on over the expiry. The store knows only keys that have not expired.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klstore_format::{Insertion, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{Fault, Server};
use klstore_tests::issuer::{CONTAINER_TOKEN, IDENTITY, Issuer, ROLE};
use klstore_tests::network::child;
use klstore_tests::servers::BUCKET;
use klstore_writer::{S3StoreWriter, StoreWriter};

/// How long a key lasts. Expiries are told in whole seconds.
const LIFE: Duration = Duration::from_secs(6);
/// How long writer and reader go on: several lives.
const RUN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);
/// Runs the child with these variables, in which `{}` is the stand-in's address.
async fn goes_on_over_expiry(variables: &[(&str, &str)]) {
    let server = Server::builder().bucket(BUCKET).start().await.unwrap();
    let endpoint = server.endpoint();
    let used = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = used.clone();
    server.faults().set(move |request| {
        seen.lock().unwrap().extend(request.access_key.clone());
        Fault::None
    });
    let issuer = Issuer::start(Arc::new(server), LIFE).await.unwrap();
    let address = issuer.address();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.replace("{}", &address))).collect();
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("KLSTORE_TEST_ENDPOINT", &endpoint));
    child("credential_chain::child_of_the_chain", &variables).await.unwrap();

    let (issued, used) = (issuer.issued_count(), used.lock().unwrap().len() as u64);
    println!("    {issued} keys were given out and {used} were used");
    // Writer and reader have keys of their own; each pair lasts six seconds of fifteen.
    assert!(used >= 6, "{used} keys were used");
    assert!(issued <= 60, "{issued} keys were asked for: once for each half of a life would do");
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_metadata() {
    goes_on_over_expiry(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "{}")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_endpoint() {
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "{}/container"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    goes_on_over_expiry(&variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_identity() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), IDENTITY).unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", "{}"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    goes_on_over_expiry(&variables).await;
}

/// A writer that appends and a reader that reads, for several lives of a key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, in an environment of its own"]
async fn child_of_the_chain() {
    let Ok(endpoint) = std::env::var("KLSTORE_TEST_ENDPOINT") else { return };
    let config = S3StoreConfig { endpoint: Some(endpoint), path_style: true, ..S3StoreConfig::new(BUCKET) };
    let writer = S3StoreWriter::new(config.clone()).await.unwrap();
    writer.create_keyspace("ks").await.unwrap();
    let reader = S3StoreReader::new(config).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < RUN {
        let batch = vec![Insertion::new(count.to_string())];
        writer.append_list("ks", "k", batch).await.unwrap().await.unwrap();
        let page = reader.read_page("ks", "k", IterationOrder::Backwards, Some(1), None, None).await.unwrap();
        assert_eq!((page.items[0].offset, &page.items[0].value[..]), (count, count.to_string().as_bytes()));
        count += 1;
        tokio::time::sleep(PAUSE).await;
    }
    println!("    {count} items");
}
