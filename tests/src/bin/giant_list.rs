//! An S3 server with one list of as many items as asked for, which anybody may read, for pages of any origin:
//! `giant_list [--items 100000000] [--addr 127.0.0.1:0]`. Prints one line of JSON when it is ready, and stays up.

use std::net::SocketAddr;

use klstore_format::S3StoreConfig;
use klstore_format::names::{ListName, Prefix};
use klstore_s3_server::{AnonymousAccess, Cors, Credential, Server};
use klstore_tests::conformance::Failure;
use klstore_tests::giant::Giant;
use klstore_writer::{S3StoreWriter, StoreWriter};

const BUCKET: &str = "lists";
const KEYSPACE: &str = "giant";
const KEY: &str = "readings";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let (mut items, mut address) = (100_000_000, SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match name.as_str() {
            "--items" => items = value.parse()?,
            "--addr" => address = value.parse()?,
            _ => return Err("usage: giant_list [--items N] [--addr IP:PORT]".into()),
        }
    }
    let secret_key = format!("{:032x}", rand::random::<u128>());
    let server = Server::builder()
        .address(address)
        .bucket(BUCKET)
        .credential(Credential::new("giant", &secret_key))
        .anonymous(BUCKET, AnonymousAccess { get: true, list: true })
        .cors(Cors::origin("*"))
        .host_name("localhost")
        .start()
        .await?;
    let config = S3StoreConfig {
        endpoint: Some(server.endpoint()),
        path_style: true,
        use_default_credentials: false,
        access_key: Some("giant".to_owned()),
        secret_key: Some(secret_key),
        ..S3StoreConfig::new(BUCKET)
    };
    let writer = S3StoreWriter::new(config).await?;
    writer.create_keyspace(KEYSPACE).await?;
    writer.close().await?;
    let giant = Giant::new(ListName::new(&Prefix::default(), KEYSPACE, KEY)?, items);
    giant.write(server.store(), BUCKET);
    let items = giant.items();
    giant.make_on_demand(server.store().clone(), BUCKET, server.faults());
    let ready = serde_json::json!({
        "endpoint": server.endpoint(), "bucket": BUCKET, "keyspace": KEYSPACE, "key": KEY, "items": items,
    });
    println!("{ready}");
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
