//! Writes a skewed load with the batching writer, in a process of its own so that its memory can be measured:
//! `ingest_load ENDPOINT BUCKET KEYSPACE KEYS ITEMS`, credentials from the environment. Prints what it took as JSON.

use klstore_tests::conformance::Failure;
use klstore_tests::process;
use klstore_tests::skewed_load::{self, Size};
use klstore_writer::{BatchingStoreWriter, S3StoreConfig, S3StoreWriter, StoreWriter};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket, keyspace, keys, items] = arguments.as_slice() else {
        return Err("arguments: ENDPOINT BUCKET KEYSPACE KEYS ITEMS".into());
    };
    let size = Size::parse(keys, items)?;
    let s3 = S3StoreConfig { endpoint: Some(endpoint.clone()), path_style: true, ..S3StoreConfig::new(bucket) };
    let (s3, batching) = skewed_load::configs(s3);
    let budget = batching.max_buffered_bytes;

    let begin = tokio::time::Instant::now();
    let writer = BatchingStoreWriter::new(S3StoreWriter::new(s3).await?, batching)?;
    let mut nonces = vec![0_u32; size.keys as usize];
    for key in size.key_numbers() {
        let nonce = &mut nonces[key as usize];
        let insertion = skewed_load::insertion(key, u64::from(*nonce));
        *nonce += 1;
        // Its receipt is ignored: close says whether everything is durable.
        drop(writer.append_list(keyspace, &skewed_load::key(key), vec![insertion]).await?);
    }
    writer.close().await?;
    let seconds = begin.elapsed().as_secs_f64();
    let (done, inner) = (writer.statistics(), writer.inner().statistics());
    let report = serde_json::json!({
        "keys": size.keys,
        "items": size.items,
        "seconds": (seconds * 10.0).round() / 10.0,
        "peak_resident_bytes": process::usage()?.peak_resident_bytes,
        "max_buffered_bytes": budget,
        "peak_buffered_bytes": done.peak_buffered_bytes,
        "appended": done.appended_count,
        "duplicates": done.duplicate_count,
        "batches": done.put_count,
        "puts": inner.put_count,
        "cached_keys": inner.cached_key_count,
        "cached_bytes": inner.cached_bytes,
    });
    println!("{report}");
    Ok(())
}
