//! Ever more readers of one list at once, each of which scans it from a place of its own.

use klstore_format::names::{ListName, Prefix};
use klstore_workloads::Failure;
use klstore_workloads::giant::Giant;

use crate::results::Results;
use crate::store::{BUCKET, KEYSPACE, Store};
use crate::task::Work;

const KEY: &str = "giant";
/// Of the list.
const ITEMS: u64 = 1_000_000;
/// Pages of 1,000 items that each reader reads.
const PAGES: u64 = 40;

pub async fn run(quick: bool, results: &mut Results) -> Result<(), Failure> {
    let store = Store::start(0).await?;
    let giant = Giant::new(ListName::new(&Prefix::default(), KEYSPACE, KEY)?, ITEMS);
    giant.write(store.server.store(), BUCKET);
    let end = giant.items();
    store.be_late(giant.maker(store.server.store().clone(), BUCKET));
    let pages = if quick { PAGES / 4 } else { PAGES };
    for power in 0..=if quick { 2 } else { 3 } {
        let readers = 10_u64.pow(power);
        let report = store.client(Work::Scan { key: KEY.to_owned(), end, readers, pages }).await?;
        let mut measured = results.of("readers", readers);
        let (read, seconds) = ((readers * pages) as f64, report.number("seconds")?);
        measured.number("errors", report.counts.errors as f64, "answers");
        measured.number("pages.rate", read / seconds, "pages/s");
        measured.number("bytes.rate", report.counts.object_bytes_out as f64 / seconds, "bytes/s");
        measured.number("requests.per_reader", report.counts.requests() as f64 / readers as f64, "requests");
        measured.number("requests.per_page", report.counts.requests() as f64 / read, "requests");
        for name in ["first.p50", "first.p99", "next.p50", "next.p99"] {
            measured.number(name, report.number(name)?, "s");
        }
        measured.number("cpu", report.number("cpu_seconds")? * 1e3 / read, "ms/page");
        measured.number("memory", report.number("peak_resident_bytes")?, "bytes");
    }
    store.server.shutdown().await;
    Ok(())
}
