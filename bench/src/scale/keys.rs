//! Ever more keys, a few of them busy: what the batching writer takes.

use klstore_workloads::Failure;

use crate::results::Results;
use crate::store::Store;
use crate::task::Work;

/// Items over all keys, for each key.
const ITEMS_PER_KEY: u64 = 10;

pub async fn run(quick: bool, results: &mut Results) -> Result<(), Failure> {
    for power in 2..=if quick { 3 } else { 5 } {
        let keys = 10_u64.pow(power);
        measure(keys, keys * ITEMS_PER_KEY, results).await?;
    }
    Ok(())
}

async fn measure(keys: u64, items: u64, results: &mut Results) -> Result<(), Failure> {
    // As fast as it can: what is measured is this machine's, not S3's.
    let store = Store::start(0).await?;
    let report = store.client(Work::Ingest { keys, items }).await?;
    if (report.number("appended")?, report.number("duplicates")?) != (items as f64, 0.0) {
        return Err(format!("not every item was appended once: {}", report.answer).into());
    }
    let counts = report.counts;
    let mut measured = results.of("keys", keys);
    measured.number("items", items as f64, "items");
    measured.number("puts", counts.put as f64, "requests");
    measured.number("lists", counts.list as f64, "requests");
    measured.number("gets", counts.get as f64, "requests");
    measured.number("deletes", counts.delete as f64, "requests");
    measured.number("batches", report.number("batches")?, "appends");
    measured.number("seconds", report.number("seconds")?, "s");
    measured.number("cpu", report.number("cpu_seconds")?, "s");
    let (peak, buffered) = (report.number("peak_resident_bytes")?, report.number("peak_buffered_bytes")?);
    measured.number("memory", peak, "bytes");
    measured.number("buffered", buffered, "bytes");
    measured.number("memory.beside", peak - buffered, "bytes");
    // At its end: what it keeps of the keys, and how much of that are items.
    measured.number("cached.keys", report.number("cached_keys")?, "keys");
    measured.number("cached.bytes", report.number("cached_bytes")?, "bytes");
    store.server.shutdown().await;
    Ok(())
}
