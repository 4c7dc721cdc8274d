//! What racing writers and readers see of a list, recorded call by call, has one order: every call seems to take effect at
//! one moment between its begin and its end. Stateright's checker looks for that order.

use std::sync::{Arc, Mutex, PoisonError};

use klstore_format::{Item, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use klstore_s3_server::{Credential, Server};
use klstore_tests::conformance::{Outcome, Store};
use klstore_tests::seeded::{self, Random, percent};
use klstore_tests::servers::{ACCESS_KEY, BUCKET, ExternalServer, Kind, SECRET_KEY};
use klstore_tests::storm::Storm;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter, TrimTo};
use rand::RngExt;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

const KEYSPACE: &str = "histories";
const WRITERS: u64 = 3;
const READERS: u64 = 3;
/// Calls of each in one history: what the checker looks through in no time.
const CALLS: u64 = 6;

/// A list as one process alone would see it.
#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    start: u64,
    values: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Append(Vec<u64>),
    Trim(u64),
    Read,
    Newest(usize),
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    /// The offset of the first value.
    Appended(u64),
    /// Where the list begins, as far as its writer knows.
    Trimmed(u64),
    /// Offsets and values, in the order in which they came.
    Items(Vec<(u64, u64)>),
}

impl List {
    fn items(&self) -> Vec<(u64, u64)> {
        (self.start..).zip(self.values[self.start as usize..].iter().copied()).collect()
    }
}

impl SequentialSpec for List {
    type Op = Call;
    type Ret = Answer;

    fn invoke(&mut self, call: &Call) -> Answer {
        match call {
            Call::Append(values) => {
                let first = self.values.len() as u64;
                self.values.extend(values);
                Answer::Appended(first)
            }
            Call::Trim(to) => {
                self.start = self.start.max((*to).min(self.values.len() as u64));
                Answer::Trimmed(self.start)
            }
            Call::Read => Answer::Items(self.items()),
            Call::Newest(limit) => Answer::Items(self.items().into_iter().rev().take(*limit).collect()),
        }
    }

    fn is_valid_step(&mut self, call: &Call, answer: &Answer) -> bool {
        let wished = match call {
            Call::Trim(to) => (*to).min(self.values.len() as u64),
            _ => 0,
        };
        match (self.invoke(call), answer) {
            // Another writer may have trimmed more: this one need not know.
            (Answer::Trimmed(start), Answer::Trimmed(told)) => (wished..=start).contains(told),
            (expected, answer) => expected == *answer,
        }
    }
}

/// All calls of one history, in the order in which they began and ended.
#[derive(Clone)]
struct History(Arc<Mutex<LinearizabilityTester<u64, List>>>);

impl History {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(LinearizabilityTester::new(List::default()))))
    }

    fn begins(&self, process: u64, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).on_invoke(process, call).expect("one call at a time");
    }

    fn ends(&self, process: u64, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).on_return(process, answer).expect("a call that began");
    }

    fn has_an_order(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_consistent()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_in_a_storm() -> Outcome {
    let credential = Credential::new(ACCESS_KEY, SECRET_KEY);
    let server = Server::builder().bucket(BUCKET).credential(credential).start().await?;
    let seed = seeded::seed("histories in a storm");
    let storm = Storm::new(server.faults(), seeded::random(seed, 0));
    check(&Store::new(server.endpoint()), seed, 60, Some(&storm)).await?;
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versitygw() -> Outcome {
    external(Kind::Versitygw).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minio takes minutes to build: script/test-long does"]
async fn minio() -> Outcome {
    external(Kind::Minio).await
}

async fn external(kind: Kind) -> Outcome {
    let Some(server) = ExternalServer::start(kind).await? else { return Ok(()) };
    let seed = seeded::seed(&format!("histories on {kind:?}"));
    check(&server.store, seed, 30, None).await?;
    server.stop().await?;
    Ok(())
}

/// Histories, each of a list of its own.
async fn check(store: &Store, seed: u64, histories: u64, storm: Option<&Storm>) -> Outcome {
    let histories = seeded::count("KLSTORE_HISTORIES", histories);
    // Small numbers, so that compaction and collection take part.
    let config =
        S3StoreConfig { compact_items_threshold: 12, compact_objects_threshold: 4, carry_bytes: 200, ..store.config() };
    S3StoreWriter::new(config.clone()).await?.create_keyspace(KEYSPACE).await?;
    for number in 0..histories {
        let history = History::new();
        if let Some(storm) = storm {
            storm.rage(10);
        }
        let mut processes = tokio::task::JoinSet::new();
        for process in 0..WRITERS + READERS {
            let random = seeded::random(seed, 1 + number * (WRITERS + READERS) + process);
            let (config, key, history) = (config.clone(), format!("list {number}"), history.clone());
            if process < WRITERS {
                processes.spawn(write(config, key, history, process, random));
            } else {
                processes.spawn(read(config, key, history, process, random));
            }
        }
        while let Some(ended) = processes.join_next().await {
            ended??;
        }
        if let Some(storm) = storm {
            storm.calm();
        }
        // A reader that comes afterwards sees all that was acknowledged.
        let last = WRITERS + READERS;
        let reader = S3StoreReader::new(config.clone()).await?;
        history.begins(last, Call::Read);
        history.ends(
            last,
            Answer::Items(items(&reader, &format!("list {number}"), IterationOrder::Forwards, 10_000).await?),
        );
        assert!(history.has_an_order(), "history {number}, KLSTORE_SEED={seed}: {:#?}", history.0);
    }
    println!("{histories} histories of {} calls, each with an order", CALLS * (WRITERS + READERS) + 1);
    Ok(())
}

async fn write(config: S3StoreConfig, key: String, history: History, process: u64, mut random: Random) -> Outcome {
    let writer = S3StoreWriter::new(config).await?;
    for call in 0..CALLS {
        if percent(&mut random, 15) {
            let to = random.random_range(0..10);
            history.begins(process, Call::Trim(to));
            let trimmed = writer.trim(KEYSPACE, &key, TrimTo::Offset(to)).await?;
            history.ends(process, Answer::Trimmed(trimmed.start));
            continue;
        }
        let values: Vec<u64> =
            (0..random.random_range(1..4)).map(|value| process * 1_000 + call * 10 + value).collect();
        let insertions = values.iter().map(|value| Insertion::new(value.to_string())).collect();
        history.begins(process, Call::Append(values));
        let appended = writer.append_list(KEYSPACE, &key, insertions).await?.await?;
        let first = appended.first_offset.ok_or("an append without nonces was taken for a duplicate")?;
        history.ends(process, Answer::Appended(first));
    }
    // In the background it may still compact beside the others.
    writer.close().await?;
    Ok(())
}

async fn read(config: S3StoreConfig, key: String, history: History, process: u64, mut random: Random) -> Outcome {
    let reader = S3StoreReader::new(config).await?;
    for _ in 0..CALLS {
        let (call, order, limit) = match percent(&mut random, 50) {
            true => (Call::Read, IterationOrder::Forwards, 10_000),
            false => (Call::Newest(3), IterationOrder::Backwards, 3),
        };
        history.begins(process, call);
        history.ends(process, Answer::Items(items(&reader, &key, order, limit).await?));
    }
    Ok(())
}

/// One page: it shows the list as it was at one moment.
async fn items(
    reader: &S3StoreReader,
    key: &str,
    order: IterationOrder,
    limit: u64,
) -> Result<Vec<(u64, u64)>, klstore_tests::conformance::Failure> {
    let page = reader.read_page(KEYSPACE, key, order, Some(limit), None, None).await?;
    let item = |item: &Item| Ok((item.offset, std::str::from_utf8(&item.value)?.parse()?));
    page.items.iter().map(item).collect()
}

/// The checker refuses what must not be seen.
#[test]
fn histories_without_an_order_are_refused() {
    let history = |calls: &[(Call, Answer)]| {
        let history = History::new();
        for (process, (call, answer)) in (0..).zip(calls) {
            history.begins(process, call.clone());
            history.ends(process, answer.clone());
        }
        history.has_an_order()
    };
    let append = |value, first| (Call::Append(vec![value]), Answer::Appended(first));
    let read = |items: &[(u64, u64)]| (Call::Read, Answer::Items(items.to_vec()));
    assert!(history(&[append(7, 0), append(8, 1), read(&[(0, 7), (1, 8)])]));
    assert!(!history(&[append(7, 0), read(&[])]), "acknowledged, and not there");
    assert!(!history(&[append(7, 0), append(8, 0)]), "two at one offset");
    assert!(!history(&[append(7, 0), read(&[(0, 7)]), append(8, 1), read(&[(0, 7)])]), "an old page");
    assert!(!history(&[append(7, 0), read(&[(0, 7), (1, 7)])]), "there twice");
    let trim = (Call::Trim(1), Answer::Trimmed(1));
    assert!(history(&[append(7, 0), append(8, 1), trim.clone(), read(&[(1, 8)])]));
    assert!(!history(&[append(7, 0), append(8, 1), trim, read(&[(0, 7), (1, 8)])]), "trimmed, and there again");
}
