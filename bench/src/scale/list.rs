//! One list of ever more items: what a page, a seek and an append take.

use klstore_format::names::{ListName, Prefix};
use klstore_s3_server::Operation;
use klstore_workloads::Failure;
use klstore_workloads::giant::{Giant, SEGMENT_ITEMS, nonce, timestamp};

use crate::results::Results;
use crate::store::{BUCKET, KEYSPACE, Report, Store};
use crate::task::{From, Work};

const KEY: &str = "giant";
/// Items of a page from the middle; within one segment, since each further object is one request more.
const PAGE_ITEMS: u64 = 100;
/// Items of the newest page.
const NEWEST_ITEMS: u64 = 20;
/// Items that a writer appends one by one, so that the list is one of small appends at its end.
const APPENDS: u64 = 21;
/// More requests than a page or these appends take.
const REQUEST_LOG: usize = 1_000;
/// Places that are looked for.
const PLACES: u64 = 5;

pub async fn run(quick: bool, results: &mut Results) -> Result<(), Failure> {
    for power in 3..=if quick { 6 } else { 9 } {
        measure(10_u64.pow(power), if quick { 2 } else { PLACES }, results).await?;
    }
    Ok(())
}

/// Pages from several places, each by a client that knows nothing yet.
#[derive(Default)]
struct Pages {
    requests: Vec<f64>,
    bytes: Vec<f64>,
    index_bytes: Vec<f64>,
    seconds: Vec<f64>,
    memory: Vec<f64>,
}

impl Pages {
    fn add(&mut self, report: &Report) -> Result<(), Failure> {
        self.requests.push(report.counts.requests() as f64);
        self.bytes.push(report.counts.object_bytes_out as f64);
        let of_index =
            report.requests.iter().filter(|record| record.key.as_ref().is_some_and(|key| key.contains("/idx/")));
        // A sum of nothing is -0.
        self.index_bytes.push(of_index.fold(0.0, |sum, record| sum + record.bytes_out as f64));
        self.seconds.push(report.number("seconds")?);
        self.memory.push(report.number("peak_resident_bytes")?);
        Ok(())
    }
}

async fn measure(items: u64, places: u64, results: &mut Results) -> Result<(), Failure> {
    let store = Store::start(REQUEST_LOG).await?;
    let giant = Giant::new(ListName::new(&Prefix::default(), KEYSPACE, KEY)?, items);
    giant.write(store.server.store(), BUCKET);
    let end = giant.items();
    let mut measured = results.of("list", end);
    let names = store.server.store().keys(BUCKET, "")?;
    measured.number("index.pages", names.iter().filter(|name| name.contains("/idx/")).count() as f64, "objects");
    store.be_late(giant.maker(store.server.store().clone(), BUCKET));

    let first = append(&store, 1).await?;
    let rest = append(&store, APPENDS).await?;
    let requests = |report: &Report| report.requests_of(KEY).count() as f64;
    measured.number("append_first.requests", requests(&first), "requests");
    let of = |operation| first.requests_of(KEY).filter(move |record| record.operation == operation).count() as f64;
    measured.number("append_first.lists", of(Operation::ListObjects), "requests");
    measured.number("append_first.gets", of(Operation::GetObject), "requests");
    measured.number("append_first.puts", of(Operation::PutObject), "requests");
    measured.number("append_first.seconds", first.number("first_seconds")?, "s");
    let next = (requests(&rest) - requests(&first)) / (APPENDS - 1) as f64;
    measured.number("append_next.requests", next, "requests");
    measured.number("append_next.seconds", rest.number("next_seconds")?, "s");
    measured.number("writer.memory", rest.number("peak_resident_bytes")?, "bytes");

    let mut memory = Vec::new();
    let mut newest = Pages::default();
    newest.add(&page(&store, NEWEST_ITEMS, true, From::End).await?)?;
    let (mut by_offset, mut by_timestamp, mut by_nonce) = (Pages::default(), Pages::default(), Pages::default());
    let (mut next, mut previous) = (Pages::default(), Pages::default());
    for place in 0..places {
        // From the first segment to the last one, and not at its beginning.
        let segment = place * (end / SEGMENT_ITEMS - 1) / (places - 1);
        let offset = segment * SEGMENT_ITEMS + SEGMENT_ITEMS / 2;
        for backwards in [false, true] {
            let start = [From::Offset(offset), From::Timestamp(timestamp(offset)), From::Nonce(nonce(offset) as u64)];
            for (pages, from) in [&mut by_offset, &mut by_timestamp, &mut by_nonce].into_iter().zip(start) {
                pages.add(&page(&store, PAGE_ITEMS, backwards, from).await?)?;
            }
            let before = page(&store, PAGE_ITEMS, backwards, From::Offset(offset)).await?;
            let continuation = before.answer["continuation"].as_str().ok_or("a page in the middle is the last one")?;
            let after = page(&store, PAGE_ITEMS, backwards, From::Continuation(continuation.to_owned())).await?;
            if backwards { &mut previous } else { &mut next }.add(&after)?;
        }
    }
    let all = [newest, by_offset, by_timestamp, by_nonce, next, previous];
    for (name, pages) in ["newest", "offset", "timestamp", "nonce", "next", "previous"].into_iter().zip(all) {
        measured.spread(&format!("{name}.requests"), &pages.requests, "requests");
        measured.spread(&format!("{name}.bytes"), &pages.bytes, "bytes");
        measured.spread(&format!("{name}.index_bytes"), &pages.index_bytes, "bytes");
        measured.spread(&format!("{name}.seconds"), &pages.seconds, "s");
        memory.extend(pages.memory);
    }
    measured.spread("reader.memory", &memory, "bytes");
    store.server.shutdown().await;
    Ok(())
}

async fn page(store: &Store, size: u64, backwards: bool, from: From) -> Result<Report, Failure> {
    store.client(Work::Page { key: KEY.to_owned(), size, backwards, from }).await
}

async fn append(store: &Store, items: u64) -> Result<Report, Failure> {
    store.client(Work::Append { key: KEY.to_owned(), items }).await
}
