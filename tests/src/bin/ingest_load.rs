//! Writes a skewed load with the batching writer, in a process of its own so that its memory can be measured:
//! `ingest_load ENDPOINT BUCKET KEYSPACE KEYS ITEMS`, credentials from the environment. Prints what it took as JSON.

use klstore_tests::conformance::Failure;
use klstore_tests::ingest::ingest;
use klstore_tests::skewed_load::Size;
use klstore_writer::S3StoreConfig;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket, keyspace, keys, items] = arguments.as_slice() else {
        return Err("arguments: ENDPOINT BUCKET KEYSPACE KEYS ITEMS".into());
    };
    let s3 = S3StoreConfig { endpoint: Some(endpoint.clone()), path_style: true, ..S3StoreConfig::new(bucket) };
    println!("{}", ingest(s3, keyspace, Size::parse(keys, items)?).await?);
    Ok(())
}
