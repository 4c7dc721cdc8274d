//! What appends and compactions take.

use std::collections::BTreeSet;

use klstore_format::wire::commit::CommitHeader;
use klstore_format::wire::segment::SegmentHeader;
use klstore_s3_server::Operation;
use klstore_tests::harness::{BUCKET, Harness};
use klstore_writer::S3StoreConfig;

use super::meter::{append, forget, harness, list_name, object, spent};
use super::synthetic::Million;

const KEY: &str = "written";

/// A run of appends of the same size at the default thresholds.
struct Run {
    /// Offset of the first item.
    first: u64,
    items: u64,
    appends: u64,
    /// Whether the session may keep its items and carry in memory.
    remembers: bool,
}

/// What a run took.
struct Report {
    commits: u64,
    other_puts: u64,
    segments: u64,
    gets: u64,
    lists: u64,
    headers: Vec<u64>,
    most_rewritten: u8,
}

impl Report {
    /// What was asked for beside the appends' own PUTs, in PUTs an append.
    fn compaction_cost(&self) -> f64 {
        (self.other_puts as f64 + self.lists as f64 + self.gets as f64 / 12.0) / self.commits as f64
    }

    /// Prints what was measured, and compares it with the budgets.
    fn check(&self, name: &str) {
        let average = self.headers.iter().sum::<u64>() / self.headers.len() as u64;
        let longest = self.headers.iter().max().copied().unwrap_or(0);
        let cost = self.compaction_cost();
        println!(
            "{name}: 1 PUT (of 1) an append; headers {average} (of 4,096) bytes on average, {longest} (of 16,384) at \
             most; compaction {cost:.4} (of 0.15) PUTs an append: {} PUTs, {} of them segments, {} GETs for {} \
             appends; each item rewritten {} (of 2) times at most",
            self.other_puts, self.segments, self.gets, self.commits, self.most_rewritten,
        );
        assert_eq!(self.lists, 0, "a warm key needs no LIST");
        assert!(self.other_puts > 2, "nothing was compacted");
        assert!(average <= 4 << 10 && longest <= 16 << 10, "the header is too long");
        assert!(cost <= 0.15, "compaction is too dear");
        assert!(self.most_rewritten <= 2, "an item was rewritten too often");
    }
}

async fn run(harness: &Harness, run: &Run) -> Report {
    let builder = harness.writer(harness.config());
    let builder = if run.remembers { builder } else { builder.memory_bytes(0) };
    let writer = builder.build().await.expect("a writer");
    // The first append on a key has a budget of its own.
    let offsets = |number: u64| run.first + number * run.items..run.first + (number + 1) * run.items;
    append(&writer, KEY, offsets(0)).await;
    forget(harness);

    let list = list_name(KEY);
    let segments_prefix = format!("{}seg/", list.commits().trim_end_matches("log/"));
    let mut seen = BTreeSet::new();
    let mut rewritten = vec![0u8; ((run.appends + 1) * run.items) as usize];
    let mut report =
        Report { commits: 0, other_puts: 0, segments: 0, gets: 0, lists: 0, headers: Vec::new(), most_rewritten: 0 };
    for number in 1..=run.appends {
        append(&writer, KEY, offsets(number)).await;
        let spent = spent(harness);
        assert_eq!(spent.counts.put_refused, 0);
        let commits: Vec<_> = spent.of(Operation::PutObject, "/log/").filter(|put| put.bytes_in > 0).collect();
        let [commit] = commits[..] else { panic!("append {number} took {} PUTs of commits", commits.len()) };
        let body = object(harness, commit.key.as_ref().expect("its name"));
        let header = CommitHeader::decode(&body, &list.hash()).expect("the commit");
        // All that is sent beside the payload is the header and the carry.
        assert_eq!(commit.bytes_in, header.length());
        report.headers.push(u64::from(header.header_length));
        report.commits += 1;
        report.other_puts += spent.counts.put - 1;
        report.gets += spent.counts.get;
        report.lists += spent.counts.list;
        for name in harness.server.store().keys(BUCKET, &segments_prefix).expect("the segments") {
            if seen.insert(name.clone()) {
                let segment = SegmentHeader::decode(&object(harness, &name), &list.hash()).expect("a segment");
                for offset in segment.run.first.max(run.first)..segment.run.end() {
                    rewritten[(offset - run.first) as usize] += 1;
                }
            }
        }
    }
    report.segments = seen.len() as u64;
    report.most_rewritten = rewritten.into_iter().max().unwrap_or(0);
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_and_compactions_of_any_size_keep_within_their_budgets() {
    for (items, appends) in [(1, 2_300), (100, 420), (1_000, 320)] {
        for remembers in [true, false] {
            let harness = harness().await;
            let report = run(&harness, &Run { first: 0, items, appends, remembers }).await;
            let memory = if remembers { "warm" } else { "cold" };
            report.check(&format!("{items} items an append, memory {memory}"));
            assert!(remembers || report.gets > 0, "a session without memory has to read what it merges");
            harness.server.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_segments_make_appends_and_compactions_no_dearer() {
    let harness = harness().await;
    let first = Million::new(KEY).write(&harness);
    let report = run(&harness, &Run { first, items: 100, appends: 210, remembers: true }).await;
    report.check("100 items an append after 1,000,000 segments");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_append_on_a_key_loads_it_before_and_after() {
    let harness = harness().await;
    for (case, carry_bytes) in [("no carry", 0), ("carry", S3StoreConfig::default().carry_bytes)] {
        let key = format!("first, {case}");
        let mut end = 0;
        for existing in [0, 1, 60, 130] {
            let config = S3StoreConfig { carry_bytes, ..harness.config() };
            let writer = harness.writer(config).build().await.expect("a writer");
            // The keyspace and the store's safety are looked at once a writer.
            append(&writer, &format!("another, {case}, {existing}"), 0..1).await;
            forget(&harness);
            append(&writer, &key, end..end + 1).await;
            let counts = spent(&harness).counts;
            println!(
                "first append on a key of {end} items, {case}: {} (of 1) PUT, {} (of 2) LISTs, {} (of 2) GETs",
                counts.put, counts.list, counts.get
            );
            assert_eq!(counts.put, 1);
            assert!(counts.list <= 2 && counts.get <= 2, "{counts:?}");
            assert_eq!(counts.requests(), counts.put + counts.list + counts.get);
            end += 1;
            let next = [1, 60, 130, 131].into_iter().find(|&next| next > existing).unwrap_or(end);
            while end < next {
                append(&writer, &key, end..end + 1).await;
                end += 1;
            }
            writer.close().await.expect("the writer closes");
        }
    }
}
