//! Appends against PUTs by aws-sdk-s3 of objects of the same size, or of the payload alone.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::future::try_join_all;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};

use crate::Failure;
use crate::pairs::Row;
use crate::wire::{BUCKET, KEYSPACE, Wire};

/// Items of one append.
const BATCH: usize = 100;
/// Appends of one side of a pair, over all keys.
const APPENDS: usize = 640;

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
    let writer = wire.writer().await?;
    let batches: Vec<&[Bytes]> = values.chunks_exact(BATCH).take(APPENDS).collect();
    let payload: usize = batches.iter().flat_map(|batch| batch.iter().map(Bytes::len)).sum();
    let mut times = Vec::new();
    // One round more than counted: the first opens connections and loads the lists.
    for round in 0..=pairs {
        let before = wire.server.counts();
        let ours = append(&writer, &batches, keys).await?;
        // What is written beside the appends is part of ours and not of the size of an append.
        writer.flush_all().await?;
        let after = wire.server.counts();
        let size = if payload_only {
            payload / APPENDS
        } else {
            ((after.object_bytes_in - before.object_bytes_in) / (after.put - before.put)) as usize
        };
        let reference = put(wire, keys, size, round).await?;
        if round > 0 {
            times.push((ours, reference));
        }
    }
    writer.close().await?;
    Ok(Row::of(name, "appends/s", APPENDS as f64, 0.8, &times))
}

async fn append(writer: &S3StoreWriter, batches: &[&[Bytes]], keys: usize) -> Result<Duration, Failure> {
    let started = Instant::now();
    let lanes = (0..keys).map(|key| async move {
        for batch in batches.iter().skip(key).step_by(keys) {
            let insertions = batch.iter().map(|value| Insertion::new(value.clone())).collect();
            writer.append_list(KEYSPACE, &format!("{keys}-{key}"), insertions).await?.await?;
        }
        Ok::<(), Failure>(())
    });
    try_join_all(lanes).await?;
    Ok(started.elapsed())
}

async fn put(wire: &Wire, keys: usize, size: usize, round: usize) -> Result<Duration, Failure> {
    let body = Bytes::from(vec![0x5a; size]);
    let started = Instant::now();
    let lanes = (0..keys).map(|key| {
        let body = &body;
        async move {
            for number in (key..APPENDS).step_by(keys) {
                let put = wire.raw.put_object().bucket(BUCKET).key(format!("raw/{keys}/{round}/{number}"));
                put.if_none_match("*").body(ByteStream::from(body.clone())).send().await?;
            }
            Ok::<(), Failure>(())
        }
    });
    try_join_all(lanes).await?;
    Ok(started.elapsed())
}
