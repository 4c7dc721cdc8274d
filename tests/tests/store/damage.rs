//! Damaged objects of every kind: a read brings what is right or names the object, a writer does not build on it, and
//! once the object is back nothing is lost.

mod verified;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use klstore_format::names::{ListName, Prefix};
use klstore_format::wire::commit::CommitHeader;
use klstore_format::wire::head::HeadPage;
use klstore_format::wire::segment::SegmentHeader;
use klstore_format::{FormatError, ItemFilter, IterationOrder, S3StoreConfig};
use klstore_reader::{ReaderError, S3StoreReader, StoreReader};
use klstore_s3_server::{ByteRange, Fault, Gate, ObjectMetadata, Operation, Precondition, RequestInfo, RunningServer};
use klstore_tests::conformance::Outcome;
use klstore_tests::embedded::{config, reader_of, server, values, writer_of};
use klstore_tests::servers::BUCKET;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter, WriterError};

const KEYSPACE: &str = "flights";
const KEY: &str = "N14228";
const OTHER: &str = "N11206";

/// Complete commits, so many that the index has a leaf beside its head.
const COMPLETE: usize = 1_040;
/// Then writers that take over from each other, so many that the index has a ledger page.
const HANDOVERS: usize = 70;
/// Then commits that become a segment, and some that stay in the table.
const MERGED: usize = 40;
const SMALL: usize = 4;
/// Items read around a damage.
const PAGE: u64 = 60;
/// Single bits flipped in a header, and in what follows it.
const FLIPS: usize = 16;
/// No read of a damaged list may go on for ever.
const LIMIT: Duration = Duration::from_secs(20);

/// What an object is, and where a read needs it.
struct Kind {
    what: &'static str,
    name: fn(&Layout) -> &str,
    /// The items that cannot be read without it; none where only a writer needs it.
    items: fn(&Layout) -> Range<u64>,
}

const KINDS: [Kind; 7] = [
    Kind { what: "newest commit", name: |layout| &layout.newest, items: |layout| layout.end - 1..layout.end },
    Kind { what: "commit of the table", name: |layout| &layout.small, items: |layout| layout.end - 2..layout.end - 1 },
    Kind { what: "complete commit", name: |layout| &layout.complete, items: |_| 0..2 },
    Kind { what: "segment", name: |layout| &layout.segment, items: |layout| layout.merged.clone() },
    Kind { what: "head page", name: |layout| &layout.head, items: |layout| layout.merged.clone() },
    Kind { what: "leaf page", name: |layout| &layout.leaf, items: |_| 0..2 },
    Kind { what: "ledger page", name: |layout| &layout.ledger, items: |_| 0..0 },
];

/// The names of a list's objects, one of each kind.
struct Layout {
    newest: String,
    small: String,
    complete: String,
    segment: String,
    head: String,
    leaf: String,
    ledger: String,
    /// The segment's items.
    merged: Range<u64>,
    end: u64,
}

impl Layout {
    fn of(server: &RunningServer, key: &str) -> Self {
        let (list, newest, pages) = index_of(server, key);
        let segment = server.store().keys(BUCKET, &list.commits().replace("/log/", "/seg/")).unwrap().remove(0);
        let run = SegmentHeader::decode(&body(server, &segment), &list.hash()).unwrap().run;
        Self {
            small: list.commit(newest.commit.seq - 1),
            complete: list.commit(0),
            segment,
            head: list.index_page(pages.id),
            leaf: list.index_page(pages.leaves[0].id),
            ledger: list.index_page(pages.ledger_pages[0].id),
            merged: run.first..run.end(),
            end: newest.next_offset(),
            newest: list.commit(newest.commit.seq),
        }
    }
}

/// The newest commit of a list, and its index's head page.
fn index_of(server: &RunningServer, key: &str) -> (ListName, CommitHeader, HeadPage) {
    let list = ListName::new(&Prefix::new("").unwrap(), KEYSPACE, key).unwrap();
    let newest = server.store().keys(BUCKET, &list.commits()).unwrap().remove(0);
    let newest = CommitHeader::decode(&body(server, &newest), &list.hash()).unwrap();
    let index = newest.index.unwrap();
    let head = HeadPage::decode(&body(server, &list.index_page(index.id)), &list.hash(), index.id).unwrap();
    (list, newest, head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_object() -> Outcome {
    let server = server().start().await?;
    writer_of(config(&server)).await.create_keyspace(KEYSPACE).await?;
    let (expected, foreign_values) = tokio::join!(build(&server, KEY), build(&server, OTHER));
    let foreign = Layout::of(&server, OTHER);
    for kind in &KINDS {
        let layout = Layout::of(&server, KEY);
        let name = (kind.name)(&layout).to_owned();
        let whole = body(&server, &name);
        let (mut refused, mut unharmed, mut shown) = (0, 0, 0);
        for damage in damages(&whole, body(&server, (kind.name)(&foreign))) {
            put(&server, &name, damage.body.clone());
            let what = format!("{} {}", kind.what, damage.how);
            for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
                // A reader comes from the index straight to the blocks of these two.
                let by_index = matches!(kind.what, "segment" | "complete commit");
                let needed = kind.what != "ledger page" && (damage.after_header || !by_index);
                match read_around(&server, &(kind.items)(&layout), order, &expected, &what).await {
                    Some(error) => {
                        named(&error, &name, &what);
                        refused += 1;
                        if shown < 6 && order == IterationOrder::Forwards {
                            println!("    {}: {error}", damage.how);
                            shown += 1;
                        }
                    }
                    None => {
                        assert!(!needed, "{what}: it was read all the same");
                        unharmed += 1;
                    }
                }
            }
        }
        println!("  {}: {refused} reads refused, {unharmed} beside the damage", kind.what);
        // Other lists do not notice.
        let reader = reader_of(config(&server)).await;
        let page = reader.read_page(KEYSPACE, OTHER, IterationOrder::Backwards, Some(1), None, None).await?;
        assert_eq!(values(&page.items).last(), foreign_values.last());
        put(&server, &name, whole);
    }
    assert_eq!(everything(&server, KEY).await, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_writer_builds_on_them() -> Outcome {
    let server = server().start().await?;
    writer_of(config(&server)).await.create_keyspace(KEYSPACE).await?;
    let (mut expected, _) = tokio::join!(build(&server, KEY), build(&server, OTHER));
    let foreign = Layout::of(&server, OTHER);
    for kind in &KINDS {
        let name = (kind.name)(&Layout::of(&server, KEY)).to_owned();
        let whole = body(&server, &name);
        let hows = ["emptied", "cut in half", "replaced by another list's", "bit 0 of byte 40"];
        let damages = damages(&whole, body(&server, (kind.name)(&foreign)));
        for damage in damages.iter().filter(|damage| hows.iter().any(|how| damage.how.starts_with(how))) {
            let what = format!("{} {}", kind.what, damage.how);
            put(&server, &name, damage.body.clone());
            let before = server.store().keys(BUCKET, "")?;
            // Each with nothing in memory that would spare it the object.
            let appended = write(&server, |writer| async move {
                let value = Insertion::new("appended beside a damage");
                writer.append_list(KEYSPACE, KEY, vec![value]).await?.await.map(drop)
            });
            match appended.await {
                // Only the newest commit is needed for it.
                Ok(()) if kind.what != "newest commit" => expected.push("appended beside a damage".to_owned()),
                Ok(()) => panic!("{what}: it was built on"),
                Err(error) => {
                    refused_by_writer(&error, &name, &what);
                    assert_eq!(server.store().keys(BUCKET, "")?, before, "{what}");
                    println!("    append, {what}: {error}");
                }
            }
            let swept = write(&server, |writer| async move {
                let report = writer.sweep(KEYSPACE, KEY).await?;
                assert_eq!((report.deleted, report.stubbed), (0, 0), "{report:?}");
                Ok(())
            });
            if let Err(error) = swept.await {
                refused_by_writer(&error, &name, &what);
                println!("    sweep, {what}: {error}");
            }
            let compacted = write(&server, |writer| async move { writer.compact(KEYSPACE, KEY).await.map(drop) });
            if let Err(error) = compacted.await {
                refused_by_writer(&error, &name, &what);
                println!("    compact, {what}: {error}");
            } else {
                assert!(
                    !matches!(kind.what, "newest commit" | "commit of the table" | "head page"),
                    "{what}: compacted"
                );
            }
        }
        // Unless a compaction has replaced it, and collected it with its damage.
        if server.store().keys(BUCKET, &name)?.contains(&name) {
            put(&server, &name, whole);
        }
        assert_eq!(everything(&server, KEY).await, expected, "once the {} is back, nothing is lost", kind.what);
    }
    Ok(())
}

/// A writer that got no answer, and only asks again when so many others have appended that the index covers its commit
/// and the ledger alone says whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_page_of_a_commit_in_doubt() -> Outcome {
    for number in [None, Some(0), Some(2), Some(5), Some(12)] {
        let server = server().start().await?;
        let writer = writer_of(config(&server)).await;
        writer.create_keyspace(KEYSPACE).await?;
        let one = |value: &str| vec![Insertion::new(value.to_owned())];
        let _ = writer.append_list(KEYSPACE, KEY, one("first")).await?.await?;
        let is_commit = |request: &RequestInfo| {
            request.operation == Operation::PutObject && request.key.as_ref().is_some_and(|key| key.contains("/log/"))
        };
        let gate = Gate::new();
        server.faults().next(is_commit, Fault::LoseAnswer);
        server.faults().next(is_commit, Fault::Hold(gate.clone()));
        let doubtful = S3StoreWriter::new(config(&server)).await?;
        let append = async move { doubtful.append_list(KEYSPACE, KEY, one("in doubt")).await?.await };
        let appended = tokio::spawn(append);
        gate.wait_arrived(1).await;
        let mut expected = vec!["first".to_owned(), "in doubt".to_owned()];
        for _ in 0..HANDOVERS {
            let other = S3StoreWriter::new(config(&server)).await?;
            let _ = other.append_list(KEYSPACE, KEY, one("after it")).await?.await?;
            expected.push("after it".to_owned());
        }
        writer_of(config(&server)).await.compact(KEYSPACE, KEY).await?;
        let (list, _, head) = index_of(&server, KEY);
        let page = list.index_page(head.ledger_pages[0].id);
        let whole = body(&server, &page);
        if let Some(number) = number {
            let damage = damages(&whole, body(&server, &list.index_page(head.id))).swap_remove(number);
            println!("    {}", damage.how);
            put(&server, &page, damage.body);
        }
        gate.open();
        match (tokio::time::timeout(LIMIT, appended).await??, number) {
            (Ok(appended), None) => assert_eq!(appended.first_offset, Some(1)),
            (Err(error), Some(_)) => {
                println!("    {error}");
                refused_by_writer(&error, &page, "ledger page");
            }
            (outcome, _) => panic!("{number:?}: {outcome:?}"),
        }
        put(&server, &page, whole);
        assert_eq!(everything(&server, KEY).await, expected, "neither lost nor appended twice");
    }
    Ok(())
}

#[tokio::test]
async fn the_keyspace_object() -> Outcome {
    let server = server().start().await?;
    let writer = writer_of(config(&server)).await;
    for keyspace in ["a", KEYSPACE, "z"] {
        writer.create_keyspace(keyspace).await?;
    }
    let _ = writer.append_list(KEYSPACE, KEY, vec![Insertion::new("v")]).await?.await?;
    let name = format!("{KEYSPACE}/keyspace.json");
    let whole = body(&server, &name);
    let text = String::from_utf8(whole.to_vec())?;
    let mut damaged: Vec<Bytes> = vec![
        Bytes::new(),
        whole.slice(..whole.len() / 2),
        "{}".into(),
        "[1, 2]".into(),
        " ".repeat(70_000).into(),
        format!("{text}{}", " ".repeat(70_000)).into(),
        body(&server, "a/keyspace.json"),
        text.replace(r#""format_version":1"#, r#""format_version":2"#).into(),
        text.replace(r#""layout":"list""#, r#""layout":"tree""#).into(),
        text.replace(r#""id""#, r#""it""#).into(),
    ];
    let certain = damaged.len();
    damaged.extend((0..whole.len()).map(|at| flipped(&whole, at, at % 8)));
    let mut unnoticed = 0;
    for (number, damaged) in damaged.into_iter().enumerate() {
        assert_ne!(damaged, whole);
        put(&server, &name, damaged.clone());
        let shown = String::from_utf8_lossy(&damaged[..damaged.len().min(150)]).into_owned();
        let reader = reader_of(config(&server)).await;
        let listed = reader.list_keyspaces(None, None).await?;
        let names: Vec<&str> = listed.keyspaces.iter().map(|found| found.keyspace.as_str()).collect();
        match reader.read_keyspace_metadata(KEYSPACE).await {
            // The object has no checksum: a damage may be within its timestamp or id, of which nothing depends.
            Ok(metadata) => {
                assert!(number >= certain, "taken for a keyspace: {shown}");
                assert_eq!((metadata.keyspace.as_str(), metadata.format_version), (KEYSPACE, 1), "{shown}");
                assert_eq!(names, ["a", KEYSPACE, "z"], "{shown}");
                unnoticed += 1;
                continue;
            }
            Err(error) => {
                named(&error, &name, &shown);
                if number < certain {
                    println!("    {error}");
                }
            }
        }
        // The others are listed all the same, and this one is named.
        assert_eq!(names, ["a", "z"], "{shown}");
        let [unreadable] = &listed.unreadable[..] else { panic!("{shown}: {listed:?}") };
        assert_eq!(unreadable.keyspace, KEYSPACE);
        assert!(!matches!(unreadable.error, FormatError::KeyspaceNotFound { .. }), "{shown}");
        named(&ReaderError::from(unreadable.error.clone()), &name, &shown);
        // An empty list is not distinguished from one in a keyspace that nothing is known of.
        let empty = reader.read_page(KEYSPACE, "empty", IterationOrder::Forwards, None, None, None).await;
        named(&empty.unwrap_err(), &name, &shown);
        let writer = writer_of(config(&server)).await;
        let before = server.store().keys(BUCKET, "")?;
        let appended = writer.append_list(KEYSPACE, "new", vec![Insertion::new("v")]).await.map(drop);
        let created = writer.create_keyspace(KEYSPACE).await.map(drop);
        for error in [appended.unwrap_err(), created.unwrap_err()] {
            refused_by_writer(&error, &name, &shown);
        }
        assert_eq!(server.store().keys(BUCKET, "")?, before);
        assert_eq!(body(&server, &name), damaged, "it is left as it is");
    }
    println!("  {unnoticed} flipped bits of the timestamp and the id went unnoticed");
    put(&server, &name, whole);
    assert_eq!(everything(&server, KEY).await, ["v"]);
    Ok(())
}

/// What has become of an object.
struct Damage {
    how: String,
    body: Bytes,
    /// Whether more than the header is touched.
    after_header: bool,
}

fn damages(whole: &Bytes, foreign: Bytes) -> Vec<Damage> {
    assert_ne!(whole, &foreign);
    // Bytes 8..12 of each object are the length of its header.
    let header = u32::from_le_bytes(whole[8..12].try_into().unwrap()) as usize;
    let damage = |how: String, body: Bytes, after_header| Damage { how, body, after_header };
    let mut damages = vec![
        damage("emptied".into(), Bytes::new(), true),
        damage("cut within its first bytes".into(), whole.slice(..20), true),
        damage("cut in half".into(), whole.slice(..whole.len() / 2), true),
        damage("without its last byte".into(), whole.slice(..whole.len() - 1), true),
        damage("overwritten by other bytes".into(), b"<html>It works!</html>".repeat(40).into(), true),
        damage("replaced by another list's".into(), foreign, true),
    ];
    let mut flips = vec![4, 5, 6, 8, 12, 16, 40];
    flips.extend((0..FLIPS).map(|number| header * number / FLIPS));
    flips.extend((0..FLIPS).map(|number| header + (whole.len() - header) * number / FLIPS));
    flips.push(whole.len() - 1);
    flips.retain(|at| *at < whole.len());
    for (number, at) in flips.into_iter().enumerate() {
        let bit = if at == 40 { 0 } else { number % 8 };
        damages.push(damage(format!("bit {bit} of byte {at}"), flipped(whole, at, bit), at >= header));
    }
    damages
}

fn flipped(whole: &Bytes, at: usize, bit: usize) -> Bytes {
    let mut bytes = whole.to_vec();
    bytes[at] ^= 1 << bit;
    bytes.into()
}

/// Reads some items before, in and after `items`, every one of which must be right; the error where there is one.
async fn read_around(
    server: &RunningServer,
    items: &Range<u64>,
    order: IterationOrder,
    expected: &[String],
    what: &str,
) -> Option<ReaderError> {
    let end = expected.len() as u64;
    let start = match order {
        IterationOrder::Forwards => items.start.saturating_sub(2),
        IterationOrder::Backwards => (items.end + 2).min(end) - 1,
    };
    let filter = Some(ItemFilter { start_offset: Some(start), ..ItemFilter::default() });
    let reader = reader_of(config(server)).await;
    let read = tokio::time::timeout(LIMIT, reader.read_page(KEYSPACE, KEY, order, Some(PAGE), filter, None));
    let page = match read.await.unwrap_or_else(|_| panic!("{what}: it reads on and on")) {
        Ok(page) => page,
        Err(error) => return Some(error),
    };
    let offsets: Vec<u64> = match order {
        IterationOrder::Forwards => (start..end.min(start + PAGE)).collect(),
        IterationOrder::Backwards => ((start + 1).saturating_sub(PAGE)..=start).rev().collect(),
    };
    assert_eq!(page.items.iter().map(|item| item.offset).collect::<Vec<_>>(), offsets, "{what}");
    for item in &page.items {
        assert_eq!(values(std::slice::from_ref(item)), [expected[item.offset as usize].as_str()], "{what}");
    }
    None
}

/// The error says that this object is not usable, or only by a newer release.
#[track_caller]
fn named(error: &ReaderError, object: &str, what: &str) {
    let typed = matches!(
        error,
        ReaderError::Corrupt(_) | ReaderError::UnsupportedVersion { .. } | ReaderError::UnsupportedLayout { .. }
    );
    assert!(typed && error.to_string().contains(object), "{what}: {error:?}");
}

#[track_caller]
fn refused_by_writer(error: &WriterError, object: &str, what: &str) {
    let typed = matches!(error, WriterError::Corrupt(_) | WriterError::Format(_));
    assert!(typed && error.to_string().contains(object), "{what}: {error:?}");
}

async fn write<F>(server: &RunningServer, work: impl FnOnce(S3StoreWriter) -> F) -> Result<(), WriterError>
where
    F: Future<Output = Result<(), WriterError>>,
{
    let writer = writer_of(settings(server)).await;
    tokio::time::timeout(LIMIT, work(writer)).await.expect("it goes on and on")
}

fn settings(server: &RunningServer) -> S3StoreConfig {
    let mut config = config(server);
    config.compact_items_threshold = 2;
    // Without a carry every item is read from its own object.
    config.carry_bytes = 0;
    config
}

/// A list with an object of every kind; its values.
async fn build(server: &RunningServer, key: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = |count: usize| {
        let batch: Vec<String> = (all.len()..all.len() + count).map(|number| format!("{key} {number}")).collect();
        all.extend(batch.iter().cloned());
        batch.into_iter().map(Insertion::new).collect::<Vec<_>>()
    };
    let writer = S3StoreWriter::new(settings(server)).await.unwrap();
    for _ in 0..COMPLETE {
        let _ = writer.append_list(KEYSPACE, key, next(2)).await.unwrap().await.unwrap();
    }
    writer.close().await.unwrap();
    for _ in 0..HANDOVERS {
        let other = S3StoreWriter::new(settings(server)).await.unwrap();
        let _ = other.append_list(KEYSPACE, key, next(2)).await.unwrap().await.unwrap();
        other.close().await.unwrap();
    }
    let last = S3StoreWriter::new(settings(server)).await.unwrap();
    for _ in 0..MERGED {
        let _ = last.append_list(KEYSPACE, key, next(1)).await.unwrap().await.unwrap();
    }
    last.close().await.unwrap();
    // The first may only publish what an append had prepared.
    for _ in 0..2 {
        last.compact(KEYSPACE, key).await.unwrap();
    }
    for _ in 0..SMALL {
        let _ = last.append_list(KEYSPACE, key, next(1)).await.unwrap().await.unwrap();
    }
    last.close().await.unwrap();
    last.sweep(KEYSPACE, key).await.unwrap();
    all
}

/// The values of the whole list.
async fn everything(server: &RunningServer, key: &str) -> Vec<String> {
    let reader: S3StoreReader = reader_of(config(server)).await;
    let (mut found, mut continuation) = (Vec::new(), None);
    loop {
        let order = IterationOrder::Forwards;
        let page = reader.read_page(KEYSPACE, key, order, None, None, continuation).await.unwrap();
        found.extend(values(&page.items));
        continuation = page.continuation;
        if continuation.is_none() || page.items.is_empty() {
            return found;
        }
    }
}

fn body(server: &RunningServer, name: &str) -> Bytes {
    server.store().get(BUCKET, name, ByteRange::All).unwrap().body
}

fn put(server: &RunningServer, name: &str, body: Bytes) {
    server.store().put(BUCKET, name, body, ObjectMetadata::default(), &Precondition::None).unwrap();
}
