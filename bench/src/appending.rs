//! Appends against PUTs by aws-sdk-s3 of objects of the same size: far that of the batch, near that of the object which the
//! append puts.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::future::try_join_all;
use klstore_format::wire::compression::Codec;
use klstore_reader::S3StoreConfig;
use klstore_s3_server::Operation;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};

use crate::Failure;
use crate::pairs::{Goal, Row};
use crate::wire::{BUCKET, KEYSPACE, Network, Wire};

/// What is appended where.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub network: Network,
    /// Each by a task of its own, which waits for one append before the next.
    pub keys: usize,
    /// Bytes of the values of one append.
    pub batch_bytes: usize,
    pub codec: Codec,
    /// Appends to each key.
    pub appends: usize,
    pub goal: Goal,
}

/// One compaction of each key, which takes 32 commits, falls into a round of small appends.
const APPENDS: usize = 40;

pub fn cases() -> Vec<Case> {
    let far = |keys, batch_bytes, codec, appends| {
        let goal = Goal::AtLeast(0.95);
        Case { network: Network::Far, keys, batch_bytes, codec, appends, goal }
    };
    // Nothing but processor time is measured here: 0.8 was its goal from the beginning.
    let near = |keys, appends| {
        let goal = Goal::AtLeast(0.8);
        Case { network: Network::Near, keys, batch_bytes: 10 << 10, codec: Codec::default(), appends, goal }
    };
    let mut cases = Vec::new();
    for keys in [1, 8, 64] {
        cases.push(far(keys, 1 << 10, Codec::default(), APPENDS));
        cases.push(far(keys, 100 << 10, Codec::default(), APPENDS));
        for codec in [Codec::default(), Codec::None] {
            // Half a gibibyte at once is enough.
            cases.push(far(keys, 8 << 20, codec, (64 / keys).min(20)));
        }
    }
    cases.extend([near(1, 32 * 32), near(64, 32)]);
    cases
}

impl Case {
    pub fn name(&self) -> String {
        let size = match self.batch_bytes {
            bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
            bytes => format!("{} KiB", bytes >> 10),
        };
        let codec = if self.codec == Codec::None { " plain" } else { "" };
        let (keys, plural) = (self.keys, if self.keys == 1 { "" } else { "s" });
        format!("append {} {size}{codec} {keys} key{plural}", self.network.name())
    }

    pub async fn run(&self, wire: &Wire, values: &[Bytes], pairs: usize) -> Result<Row, Failure> {
        let config = S3StoreConfig { codec: self.codec, ..S3StoreConfig::new(BUCKET) };
        let writer = wire.writer(self.network, config).await?;
        let batches = batches(values, self.batch_bytes, 8);
        let (mut times, mut sizes) = (Vec::new(), 0);
        // One round more than counted: the first opens connections.
        for round in 0..=pairs {
            let lists: Vec<String> = (0..self.keys).map(|key| format!("{} {round} {key}", self.name())).collect();
            // What a list takes to begin, its first append pays.
            append(&writer, &lists, calls(&lists, &batches, 1)).await?;
            writer.flush_all().await?;
            wire.server.take_requests();
            wire.reseed(round);
            let ours = self.append(&writer, &lists, calls(&lists, &batches, self.appends)).await?;
            let size = if self.network == Network::Far { self.batch_bytes } else { commit_size(wire) };
            for list in &lists {
                wire.delete_list(list)?;
            }
            wire.reseed(round);
            let reference = self.put(wire, size).await?;
            if round > 0 {
                times.push((ours, reference));
                sizes += size;
            }
        }
        writer.close().await?;
        let name = format!("{}, PUTs of {:.1} KB", self.name(), sizes as f64 / times.len().max(1) as f64 / 1e3);
        Ok(Row::of_times(name, "appends/s", (self.keys * self.appends) as f64, self.goal, &times))
    }

    /// Far, until all is durable: what then goes on behind the appends nobody waits for. Near, until that has come to
    /// rest, too: it takes the same processor.
    async fn append(&self, writer: &S3StoreWriter, lists: &[String], calls: Calls) -> Result<Duration, Failure> {
        let started = Instant::now();
        append(writer, lists, calls).await?;
        let durable = started.elapsed();
        writer.flush_all().await?;
        Ok(if self.network == Network::Far { durable } else { started.elapsed() })
    }

    async fn put(&self, wire: &Wire, size: usize) -> Result<Duration, Failure> {
        let body = Bytes::from(vec![0x5a; size]);
        let started = Instant::now();
        let lanes = (0..self.keys).map(|key| {
            let (raw, body, appends) = (wire.raw(self.network).clone(), body.clone(), self.appends);
            tokio::spawn(async move {
                for number in 0..appends {
                    let put = raw.put_object().bucket(BUCKET).key(format!("raw/{key}/{number}"));
                    put.if_none_match("*").body(ByteStream::from(body.clone())).send().await?;
                }
                Ok::<(), Failure>(())
            })
        });
        for lane in try_join_all(lanes).await? {
            lane?;
        }
        let elapsed = started.elapsed();
        wire.delete("raw/")?;
        Ok(elapsed)
    }
}

/// The longest of 100 appends to each of eight keys against the usual one, while these are compacted every 32 appends.
pub async fn tail(wire: &Wire, values: &[Bytes], rounds: usize) -> Result<Row, Failure> {
    let writer = wire.writer(Network::Far, S3StoreConfig::new(BUCKET)).await?;
    let batches = batches(values, 10 << 10, 8);
    let mut pairs = Vec::new();
    for round in 0..rounds {
        wire.reseed(round);
        let lists: Vec<String> = (0..8).map(|key| format!("tail {round} {key}")).collect();
        append(&writer, &lists, calls(&lists, &batches, 1)).await?;
        let latencies = append(&writer, &lists, calls(&lists, &batches, 100)).await?;
        writer.flush_all().await?;
        let milliseconds: Vec<f64> = latencies.iter().map(|latency| latency.as_secs_f64() * 1e3).collect();
        pairs.push((crate::pairs::quantile(milliseconds.clone(), 0.99), crate::pairs::quantile(milliseconds, 0.5)));
        for list in &lists {
            wire.delete_list(list)?;
        }
    }
    writer.close().await?;
    Ok(Row::of(format!("{TAIL}, p99 / p50"), "ms", Goal::AtMost(3.0), &pairs))
}

pub const TAIL: &str = "append far 10 KiB 8 keys while compacting";

/// What is appended to each list, call by call: made before the clock runs, as are the bodies of the PUTs.
type Calls = Vec<Vec<Vec<Insertion>>>;

fn calls(lists: &[String], batches: &[Vec<Bytes>], appends: usize) -> Calls {
    let insertions = |batch: &Vec<Bytes>| batch.iter().cloned().map(Insertion::new).collect();
    lists.iter().map(|_| batches.iter().cycle().take(appends).map(insertions).collect()).collect()
}

/// All lists at once, each by a task that waits for one append before the next; how long each append took.
async fn append(writer: &S3StoreWriter, lists: &[String], calls: Calls) -> Result<Vec<Duration>, Failure> {
    let lanes = lists.iter().zip(calls).map(|(list, calls)| {
        let (writer, list) = (writer.clone(), list.clone());
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(calls.len());
            for insertions in calls {
                let started = Instant::now();
                writer.append_list(KEYSPACE, &list, insertions).await?.await?;
                latencies.push(started.elapsed());
            }
            Ok::<_, Failure>(latencies)
        })
    });
    let mut latencies = Vec::new();
    for lane in try_join_all(lanes).await? {
        latencies.extend(lane?);
    }
    Ok(latencies)
}

/// Bytes of a commit on average since the requests were taken last: of the object that an append PUTs.
fn commit_size(wire: &Wire) -> usize {
    let requests = wire.server.take_requests();
    let commits = requests.iter().filter(|request| {
        let is_commit = request.key.as_ref().is_some_and(|key| key.contains("/log/"));
        // Without bytes: the stub of a collected one.
        request.operation == Operation::PutObject && is_commit && request.bytes_in > 0
    });
    let (count, bytes) = commits.fold((0, 0), |(count, bytes), commit| (count + 1, bytes + commit.bytes_in as usize));
    bytes / count.max(1)
}

/// Batches of at least so many bytes, `count` of them, each of other rows while there are enough.
fn batches(values: &[Bytes], batch_bytes: usize, count: usize) -> Vec<Vec<Bytes>> {
    let mut rows = values.iter().cycle();
    let batch = |_| {
        let mut bytes = 0;
        let fits = |row: &&Bytes| {
            let fits = bytes < batch_bytes;
            bytes += row.len();
            fits
        };
        rows.by_ref().take_while(fits).cloned().collect()
    };
    (0..count).map(batch).collect()
}
