//! The records: each begins with a mark of its number, so that whoever reads can tell that it is the right one.

use bytes::Bytes;
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What is in a record behind its mark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Content {
    /// Random bytes, as s2's own benchmark sends them: nothing to gain by compression
    Random,
    /// Lines of telemetry as text
    Text,
}

/// Random bytes to cut from: more than one compressed block or its window holds.
const POOL_BYTES: usize = 16 << 20;

/// All records.
pub struct Records {
    content: Content,
    bytes: usize,
    pool: Vec<u8>,
}

impl Records {
    pub fn new(content: Content, bytes: usize) -> Self {
        let mut pool = vec![0; if content == Content::Random { POOL_BYTES } else { 0 }];
        StdRng::seed_from_u64(9).fill_bytes(&mut pool);
        Self { content, bytes, pool }
    }

    pub fn record(&self, number: u64) -> Bytes {
        let mut record = Vec::with_capacity(self.bytes);
        record.extend_from_slice(&mark(number).to_be_bytes());
        match self.content {
            Content::Random => {
                let wanted = self.bytes.saturating_sub(record.len());
                let start = (number as usize).wrapping_mul(wanted) % self.pool.len().saturating_sub(wanted).max(1);
                record.extend_from_slice(self.pool.get(start..start + wanted).unwrap_or_default());
            }
            Content::Text => {
                // Like a sensor's readings: the same words, numbers that differ.
                let mut noise = number;
                while record.len() < self.bytes {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (at, value, other) = (1_700_000_000_000 + number * 37, noise >> 48, noise >> 56);
                    let line =
                        format!("{{\"at\":{at},\"temperature\":{value},\"pressure\":{other},\"state\":\"ok\"}} ");
                    record.extend_from_slice(line.as_bytes());
                }
                record.truncate(self.bytes);
            }
        }
        record.into()
    }
}

/// What the record of a number begins with: as random as the rest, so that it is not what compression gains.
fn mark(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// Whether this is the record of that number.
pub fn is_record(record: &[u8], number: u64) -> bool {
    record.first_chunk().is_some_and(|first| u64::from_be_bytes(*first) == mark(number))
}
