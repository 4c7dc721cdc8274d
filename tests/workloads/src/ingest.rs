//! A skewed load through the batching writer, and what it took of this process.

use klstore_writer::{BatchingStoreWriter, S3StoreConfig, S3StoreWriter, StoreWriter};
use serde_json::{Value, json};

use crate::skewed_load::{self, Size};
use crate::{Failure, process};

/// Writes a load of this size, waits until all of it is durable, and tells what that took.
///
/// # Errors
/// Those of the writer, and where there is no /proc.
pub async fn ingest(s3: S3StoreConfig, keyspace: &str, size: Size) -> Result<Value, Failure> {
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
    let (done, inner, usage) = (writer.statistics(), writer.inner().statistics(), process::usage()?);
    Ok(json!({
        "keys": size.keys,
        "items": size.items,
        "seconds": (seconds * 10.0).round() / 10.0,
        "cpu_seconds": usage.cpu_seconds,
        "peak_resident_bytes": usage.peak_resident_bytes,
        "max_buffered_bytes": budget,
        "peak_buffered_bytes": done.peak_buffered_bytes,
        "appended": done.appended_count,
        "duplicates": done.duplicate_count,
        "batches": done.put_count,
        "puts": inner.put_count,
        "cached_keys": inner.cached_key_count,
        "cached_bytes": inner.cached_bytes,
    }))
}
