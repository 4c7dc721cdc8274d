//! Calls over the golden list of the format, their errands done by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use bytes::Bytes;
use futures::FutureExt;
use klstore_format::plan::Listed;
use klstore_reader::transport::{HttpRequest, TransportError};
use klstore_reader::{Environment, ItemList, IterationOrder, ReaderError, S3StoreConfig, S3StoreReader, StoreReader};

use crate::host::Host;
use crate::mailbox::{Errand, Mailbox, What};
use crate::task::{Outcome, Task, time};

const KEYSPACE: &str = "flights";
const KEY: &str = "N14228/é";

/// The objects of the golden list by name.
fn golden() -> BTreeMap<String, Bytes> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../format/tests/golden/v1");
    let mut objects = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                objects.insert(name.to_owned(), std::fs::read(&path).expect("a file").into());
            }
        }
    }
    objects
}

fn reader(host: &Host) -> S3StoreReader {
    let builder = S3StoreReader::builder(S3StoreConfig::new("source")).environment(host.clone()).source(host.clone());
    builder.build().now_or_never().expect("no waiting").expect("a reader")
}

fn read_all(host: &Host, order: IterationOrder) -> Task {
    let reader = reader(host);
    Task::new(host, async move { reader.read_page(KEYSPACE, KEY, order, None, None, None).await.map(Outcome::Page) })
}

fn answer(mailbox: &Mailbox, objects: &BTreeMap<String, Bytes>, Errand { id, what }: Errand) {
    match what {
        What::List(list) => {
            let after = list.start_after.unwrap_or_default();
            let found = objects.iter().filter(|(name, _)| name.starts_with(&list.prefix) && **name > after);
            for (name, body) in found.take(list.max_keys as usize) {
                mailbox.listed(id, Listed { name: name.clone(), etag: "\"e\"".into(), size: body.len() as u64 });
            }
            mailbox.complete(id, false);
        }
        What::Get(get) => match objects.get(&get.name) {
            None => mailbox.complete(id, true),
            Some(body) => {
                let range = get.range.unwrap_or(0..body.len() as u64);
                mailbox.found(id, Some("e".into()), Some(body.len() as u64));
                let asked = body.slice(range.start as usize..(range.end as usize).min(body.len()));
                asked.chunks(7).for_each(|chunk| {
                    let _ = mailbox.chunk(id, Bytes::copy_from_slice(chunk));
                });
                mailbox.complete(id, false);
            }
        },
        // Time stands still.
        What::Sleep(_) | What::Cancel => {}
        What::Fetch(_) | What::Credentials => panic!("a source needs neither"),
    }
}

/// Answers errands, the newest first, until the call is through.
fn run(mut task: Task, objects: &BTreeMap<String, Bytes>) -> Result<Outcome, ReaderError> {
    let mut open = Vec::new();
    for _ in 0..1_000 {
        if let Some(outcome) = task.poll(time(0.0)) {
            return outcome;
        }
        open.extend(task.mailbox.errands());
        let errand = open.pop().expect("an errand while the call waits");
        answer(&task.mailbox, objects, errand);
    }
    panic!("the call does not end");
}

fn page(outcome: Result<Outcome, ReaderError>) -> ItemList {
    match outcome {
        Ok(Outcome::Page(page)) => page,
        Ok(_) => panic!("no page"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_page_comes_whatever_the_order_of_the_answers() {
    let objects = golden();
    for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
        let host = Host::new(time(0.0), 1);
        let page = page(run(read_all(&host, order), &objects));
        assert!(page.items.len() > 20, "{} items", page.items.len());
        let rising = page.items.is_sorted_by(|one, next| one.offset < next.offset);
        assert_eq!(rising, order == IterationOrder::Forwards);
    }
}

#[test]
fn two_calls_of_a_store_have_errands_of_their_own() {
    let objects = golden();
    let host = Host::new(time(0.0), 1);
    let mut first = read_all(&host, IterationOrder::Forwards);
    let second = read_all(&host, IterationOrder::Forwards);
    assert!(first.poll(time(0.0)).is_none());
    let second = page(run(second, &objects));
    assert_eq!(page(run(first, &objects)).items, second.items);
}

#[test]
fn an_errand_that_is_not_wanted_is_cancelled_if_the_host_has_seen_it() {
    let mailbox = Mailbox::default();
    drop(mailbox.sleep(Duration::from_secs(1)));
    assert!(mailbox.errands().is_empty(), "nobody has seen it");
    let sleeping = mailbox.sleep(Duration::from_secs(1));
    let seen = mailbox.errands();
    drop(sleeping);
    let cancelled = mailbox.errands();
    assert!(matches!(cancelled[..], [Errand { id, what: What::Cancel }] if id == seen[0].id));
    // A late answer is no harm.
    mailbox.complete(seen[0].id, false);
}

#[test]
fn keys_are_no_answer_to_another_errand() {
    let mailbox = Mailbox::default();
    let mut sleeping = mailbox.sleep(Duration::from_secs(1));
    let id = mailbox.errands()[0].id;
    mailbox.give_credentials(id, Credentials::new("key", "secret", None, None, "test"));
    assert!((&mut sleeping).now_or_never().is_none(), "the pause goes on");
    mailbox.complete(id, false);
    assert!(sleeping.now_or_never().is_some());
}

#[test]
fn a_body_that_is_longer_than_asked_for_is_refused_while_it_comes() {
    let mailbox = Mailbox::default();
    let request = HttpRequest { url: String::new(), headers: Vec::new(), range: Some(0..4), limit: 4, reload: false };
    let fetched = mailbox.fetch(request);
    let id = mailbox.errands()[0].id;
    assert!(mailbox.chunk(id, Bytes::from_static(b"early")), "no status has come yet");
    mailbox.respond(id, 206, Vec::new());
    assert!(!mailbox.chunk(id, Bytes::from_static(b"abcd")));
    assert!(mailbox.chunk(id, Bytes::from_static(b"e")));
    let answer = fetched.now_or_never();
    assert!(matches!(answer, Some(Err(TransportError::TooLarge { limit: 4 }))), "{answer:?}");
}

#[test]
fn a_source_that_keeps_failing_is_unavailable_with_its_words() {
    let host = Host::new(time(0.0), 1);
    let mut task = read_all(&host, IterationOrder::Forwards);
    let outcome = loop {
        if let Some(outcome) = task.poll(time(0.0)) {
            break outcome;
        }
        for Errand { id, what } in task.mailbox.errands() {
            match what {
                What::List(_) => {
                    task.mailbox.fail(id, TransportError::Connect { reason: "the binding is gone".into() })
                }
                // Pauses are over at once, time-outs never.
                What::Sleep(duration) if duration < Duration::from_secs(5) => task.mailbox.complete(id, false),
                _ => {}
            }
        }
    };
    let Err(error @ ReaderError::Unavailable { attempts: 5, .. }) = outcome else { panic!("not unavailable") };
    assert!(error.to_string().contains("the binding is gone"), "{error}");
}

#[test]
fn the_clock_is_the_one_of_the_last_poll() {
    let host = Host::new(time(0.0), 1);
    let mut task = read_all(&host, IterationOrder::Forwards);
    assert!(task.poll(time(1_500.0)).is_none());
    assert_eq!(host.now(), SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
}
