//! What a client is told to do, and what it answers: JSON between this program and itself.

use serde::{Deserialize, Serialize};

/// Where and what. The list's items are those of `klstore_workloads::giant`.
#[derive(Serialize, Deserialize)]
pub struct Task {
    pub endpoint: String,
    pub work: Work,
}

#[derive(Serialize, Deserialize)]
pub enum Work {
    /// Read one page.
    Page { key: String, size: u64, backwards: bool, from: From },
    /// Append items one by one.
    Append { key: String, items: u64 },
    /// Write a skewed load.
    Ingest { keys: u64, items: u64 },
    /// Scan a list of so many items by so many readers at once, each so many pages from a place of its own.
    Scan { key: String, end: u64, readers: u64, pages: u64 },
    /// Follow a list for so long, so many times at once.
    Follow { key: String, followers: u64, seconds: u64, pace: Pace },
}

/// Where a page begins.
#[derive(Serialize, Deserialize)]
pub enum From {
    End,
    Offset(u64),
    Timestamp(i64),
    Nonce(u64),
    Continuation(String),
}

/// How a follower asks.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// Once a second, whatever comes.
    Poll,
    /// As `S3StoreReader::follow` does: after what came at once, after nothing in a second.
    Stream,
}
