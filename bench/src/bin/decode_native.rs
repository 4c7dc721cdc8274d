//! The native side of `script/bench-decode`: reads a whole list from objects in memory, once for each line of its input,
//! and answers with the seconds that it took.
//!
//! `decode_native FOLDER KEYSPACE KEY`: the folder holds one file for each object, its name encoded as in a URL.
//! `decode_native --rows` prints the flights that the lists are made of.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use klstore_format::plan::{Listed, Listing};
use klstore_reader::source::{GetObject, ListObjects, ObjectSource, SourceError, SourceObject};
use klstore_reader::{IterationOrder, S3StoreConfig, S3StoreReader, StoreReader};

#[path = "../flights.rs"]
mod flights;

/// Whatever ends it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Items of a page, as on the other side.
const PAGE: u64 = 4_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, keyspace, key] = match &arguments[..] {
        [option] if option == "--rows" => return print_rows(),
        [folder, keyspace, key] => [folder, keyspace, key],
        _ => return Err("usage: decode_native FOLDER KEYSPACE KEY, or --rows".into()),
    };
    let mut objects = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| "a file's name is no text")?;
        objects.insert(name.replace("%2F", "/"), Bytes::from(std::fs::read(entry.path())?));
    }
    // Without a cache: nothing is decoded from a page before.
    let builder = S3StoreReader::builder(S3StoreConfig::new("memory")).source(Memory(objects)).cache_bytes(0);
    let reader = builder.build().await?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        let (items, bytes) = scan(&reader, keyspace, key).await?;
        let seconds = began.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({"seconds": seconds, "items": items, "bytes": bytes}));
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn print_rows() -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for row in flights::values()? {
        out.write_all(&row)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

async fn scan(reader: &S3StoreReader, keyspace: &str, key: &str) -> Result<(usize, usize), Failure> {
    let (mut items, mut bytes, mut continuation) = (0, 0, None);
    loop {
        let page =
            reader.read_page(keyspace, key, IterationOrder::Forwards, Some(PAGE), None, continuation.take()).await?;
        items += page.items.len();
        bytes += page.items.iter().map(|item| item.value.len()).sum::<usize>();
        if page.continuation.is_none() {
            return Ok((items, bytes));
        }
        continuation = page.continuation;
    }
}

struct Memory(BTreeMap<String, Bytes>);

#[async_trait]
impl ObjectSource for Memory {
    async fn list(&self, request: &ListObjects) -> Result<Listing, SourceError> {
        let after = request.start_after.clone().unwrap_or_default().max(request.prefix.clone());
        let names = self.0.range(after.clone()..).filter(|(name, _)| **name != after || request.start_after.is_none());
        let mut found = names.take_while(|(name, _)| name.starts_with(&request.prefix));
        let objects = found.by_ref().take(request.max_keys as usize);
        let listed =
            |(name, body): (&String, &Bytes)| Listed { name: name.clone(), etag: etag(body), size: body.len() as u64 };
        let objects = objects.map(listed).collect();
        Ok(Listing { objects, common_prefixes: Vec::new(), truncated: found.next().is_some() })
    }

    async fn get(&self, request: &GetObject) -> Result<Option<SourceObject>, SourceError> {
        let Some(body) = self.0.get(&request.name) else { return Ok(None) };
        let size = body.len() as u64;
        let range = request.range.clone().unwrap_or(0..size);
        if range.start >= size {
            return Ok(None);
        }
        let part = body.slice(range.start as usize..range.end.min(size) as usize);
        let received = part.len() as u64;
        Ok(Some(SourceObject { body: part.into(), etag: Some(etag(body)), size: Some(size), received }))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

/// Nothing changes here.
fn etag(body: &Bytes) -> String {
    format!("{}", body.len())
}
