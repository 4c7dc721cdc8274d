//! The keys that a command works on: the one given, or all of a keyspace.

use klstore_reader::{ReaderError, S3StoreReader, StoreReader};

use crate::failure::{Failure, Kind};

/// Keys one after the other, listed as they are needed.
pub struct Keys<'a> {
    reader: &'a S3StoreReader,
    keyspace: &'a str,
    waiting: std::vec::IntoIter<String>,
    /// Where the next LIST begins; `None` where there is none.
    next: Option<Option<String>>,
    /// A key that was asked for by name, which has to exist.
    only: Option<&'a str>,
}

/// The key, which has to exist, or all keys of the keyspace.
pub fn keys_of<'a>(reader: &'a S3StoreReader, keyspace: &'a str, key: Option<&'a str>) -> Keys<'a> {
    let next = if key.is_some() { None } else { Some(None) };
    Keys { reader, keyspace, waiting: Vec::new().into_iter(), next, only: key }
}

/// Lists that a command works on at once.
const AT_ONCE: usize = 8;

impl Keys<'_> {
    /// Some keys, to be worked on at once; none at the end.
    ///
    /// # Errors
    /// No such keyspace or key, and those of a LIST.
    pub async fn some(&mut self) -> Result<Vec<String>, Failure> {
        let mut keys = Vec::with_capacity(AT_ONCE);
        while keys.len() < AT_ONCE {
            match self.next().await? {
                Some(key) => keys.push(key),
                None => break,
            }
        }
        Ok(keys)
    }

    async fn next(&mut self) -> Result<Option<String>, Failure> {
        if let Some(key) = self.only.take() {
            return match exists(self.reader, self.keyspace, key).await? {
                true => Ok(Some(key.to_owned())),
                false => Err(no_key(self.keyspace, key)),
            };
        }
        loop {
            if let Some(key) = self.waiting.next() {
                return Ok(Some(key));
            }
            let Some(continuation) = self.next.take() else { return Ok(None) };
            let page = self.reader.list_keys(self.keyspace, "", None, continuation).await?;
            self.waiting = page.keys.into_iter();
            self.next = page.continuation.map(Some);
        }
    }
}

/// Whether the key has a list. One whose newest commit is damaged has.
async fn exists(reader: &S3StoreReader, keyspace: &str, key: &str) -> Result<bool, Failure> {
    match reader.read_key_metadata(keyspace, key).await {
        Ok(known) => Ok(known.is_some()),
        Err(ReaderError::Corrupt(_) | ReaderError::UnsupportedVersion { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The failure of a command whose list does not exist.
pub fn no_key(keyspace: &str, key: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("key `{key}` does not exist in keyspace `{keyspace}`"))
        .advice("the first append creates it; `klstore key ls` shows what is there")
}
