//! Appends against PUTs by aws-sdk-s3 of objects of the same size, or of the payload alone.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::future::try_join_all;
use klstore_s3_server::Operation;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};

use crate::Failure;
use crate::pairs::Row;
use crate::wire::{BUCKET, KEYSPACE, Wire};

/// Items of one append.
const BATCH: usize = 100;
/// Appends of one side of a pair, over all keys: with 64 keys, as many as one compaction takes of each, so that every
/// round has the same share of that work.
const APPENDS: usize = 64 * 32;

pub fn name(keys: usize, payload_only: bool) -> String {
    let against = if payload_only { "payload" } else { "objects" };
    format!("append {keys} key{} / {against}", if keys == 1 { "" } else { "s" })
}

pub async fn run(
    wire: &Wire,
    values: &[Bytes],
    keys: usize,
    payload_only: bool,
    pairs: usize,
    name: String,
) -> Result<Row, Failure> {
    let writer = wire.writer(wire.config()).await?;
    let batches: Vec<&[Bytes]> = values.chunks_exact(BATCH).take(APPENDS).collect();
    let payload: usize = batches.iter().flat_map(|batch| batch.iter().map(Bytes::len)).sum();
    let (mut times, mut sizes) = (Vec::new(), 0);
    // One round more than counted: the first opens connections and loads the lists.
    for round in 0..=pairs {
        wire.server.take_requests();
        let ours = append(&writer, &batches, keys, &name).await?;
        let size = if payload_only { payload / APPENDS } else { commit_size(wire) };
        let reference = put(wire, keys, size).await?;
        if round > 0 {
            times.push((ours, reference));
            sizes += size;
        }
    }
    writer.close().await?;
    let size = sizes / times.len().max(1);
    Ok(Row::of(format!("{name} of {:.1} KB", size as f64 / 1e3), "appends/s", APPENDS as f64, 0.8, &times))
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

/// Until all is durable and what goes on behind the appends, compaction and collection, has come to rest.
async fn append(writer: &S3StoreWriter, batches: &[&[Bytes]], keys: usize, name: &str) -> Result<Duration, Failure> {
    let lane =
        |key| -> Vec<Vec<Bytes>> { batches.iter().skip(key).step_by(keys).map(|batch| batch.to_vec()).collect() };
    let lanes: Vec<_> = (0..keys).map(|key| (format!("{name} {key}"), lane(key))).collect();
    let started = Instant::now();
    let lanes = lanes.into_iter().map(|(key_name, batches)| {
        let writer = writer.clone();
        tokio::spawn(async move {
            for batch in batches {
                let insertions = batch.into_iter().map(Insertion::new).collect();
                writer.append_list(KEYSPACE, &key_name, insertions).await?.await?;
            }
            Ok::<(), Failure>(())
        })
    });
    for lane in try_join_all(lanes).await? {
        lane?;
    }
    writer.flush_all().await?;
    Ok(started.elapsed())
}

async fn put(wire: &Wire, keys: usize, size: usize) -> Result<Duration, Failure> {
    let body = Bytes::from(vec![0x5a; size]);
    let started = Instant::now();
    let lanes = (0..keys).map(|key| {
        let (raw, body) = (wire.raw.clone(), body.clone());
        tokio::spawn(async move {
            for number in (key..APPENDS).step_by(keys) {
                let put = raw.put_object().bucket(BUCKET).key(format!("raw/{number}"));
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
