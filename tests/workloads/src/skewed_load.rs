//! Many keys, a few of them busy: what an ingestion service meets. The same items each time, from a size alone.

use std::time::Duration;

use klstore_format::Insertion;
use klstore_writer::{BatchingStoreWriterConfig, S3StoreConfig};

/// How large a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Keys; each has one item at least.
    pub keys: u64,
    /// Items over all keys.
    pub items: u64,
}

impl Size {
    /// What `script/test` has time for.
    pub const SHORT: Self = Self { keys: 10_000, items: 100_000 };
    /// What the goal says.
    pub const FULL: Self = Self { keys: 100_000, items: 1_000_000 };

    /// From the two arguments of a command line.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(keys: &str, items: &str) -> Result<Self, std::num::ParseIntError> {
        Ok(Self { keys: keys.parse()?, items: items.parse()? })
    }

    /// The key of each item, in the order of their appends: Zipf's distribution, the busiest key with about an item in
    /// `ln(keys)`; every key comes once in between.
    pub fn key_numbers(self) -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let span = ((self.keys + 1) as f64).ln();
        (0..self.items).map(move |item| {
            let stride = (self.items / self.keys).max(1);
            if item % stride == 0 && item / stride < self.keys {
                return item / stride;
            }
            // xorshift64*: the same numbers on every machine.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let part = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64;
            // The density 1/x between 1 and keys + 1.
            ((span * part).exp() as u64 - 1).min(self.keys - 1)
        })
    }
}

/// A key's name.
pub fn key(number: u64) -> String {
    format!("device-{number:06}")
}

/// The item that comes to a key as its `nonce`-th, of about a hundred bytes.
pub fn value(key: u64, nonce: u64) -> String {
    format!("{{\"device\":{key},\"sequence\":{nonce},\"reading\":\"{:>60}\"}}", key.wrapping_mul(31) ^ nonce)
}

/// The same as an insertion.
pub fn insertion(key: u64, nonce: u64) -> Insertion {
    Insertion::new(value(key, nonce)).with_nonce(nonce.into())
}

/// How the load is written: the budgets that the memory is measured against.
pub fn configs(s3: S3StoreConfig) -> (S3StoreConfig, BatchingStoreWriterConfig) {
    let batching = BatchingStoreWriterConfig {
        writer_thread_count: 2,
        batch_flush_interval_millis: Duration::from_secs(5).as_millis() as u64,
        max_buffered_bytes: 64 << 20,
        ..Default::default()
    };
    // What is kept of a key takes a few kilobytes: the rare ones are looked up again when they come back.
    (S3StoreConfig { max_cached_keys: 50_000, ..s3 }, batching)
}
