//! Requests by kind, as the server counted them, and what S3 would have charged.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};

/// US dollars of a thousand requests in S3's standard class: PUT, COPY, POST and LIST.
const DOLLARS_OF_A_THOUSAND_WRITES: f64 = 0.005;
/// The same of GET and all others.
const DOLLARS_OF_A_THOUSAND_READS: f64 = 0.0004;

/// Counts by the server's names for them, and bytes.
#[derive(Clone, Default)]
pub struct Requests {
    by_kind: BTreeMap<String, u64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Requests {
    /// From MinIO's metrics in Prometheus' text format.
    pub fn of_metrics(text: &str) -> Self {
        let mut requests = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let value = value.parse::<f64>().map_or(0, |value| value as u64);
            if !name.contains("type=\"s3\"") {
                continue;
            }
            if name.starts_with("minio_api_requests_total{") {
                if let Some(kind) = label(name, "name") {
                    *requests.by_kind.entry(kind.to_owned()).or_default() += value;
                }
            } else if name.starts_with("minio_api_requests_traffic_received_bytes{") {
                requests.bytes_in += value;
            } else if name.starts_with("minio_api_requests_traffic_sent_bytes{") {
                requests.bytes_out += value;
            }
        }
        requests
    }

    /// What S3 charges for them.
    pub fn dollars(&self) -> f64 {
        self.by_kind.iter().map(|(kind, count)| *count as f64 * price(kind) / 1e3).sum()
    }

    /// Such as `12 GetObject, 3 PutObject`.
    pub fn text(&self) -> String {
        let counts = self.by_kind.iter().filter(|(_, count)| **count > 0);
        counts.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
    }
}

/// What was asked between two counts.
impl Sub for &Requests {
    type Output = Requests;

    fn sub(self, before: Self) -> Requests {
        let count = |kind: &String, count: &u64| count - before.by_kind.get(kind).copied().unwrap_or_default();
        Requests {
            by_kind: self.by_kind.iter().map(|(kind, now)| (kind.clone(), count(kind, now))).collect(),
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
        }
    }
}

impl Add for &Requests {
    type Output = Requests;

    fn add(self, others: Self) -> Requests {
        let mut sum = self.clone();
        for (kind, count) in &others.by_kind {
            *sum.by_kind.entry(kind.clone()).or_default() += count;
        }
        sum.bytes_in += others.bytes_in;
        sum.bytes_out += others.bytes_out;
        sum
    }
}

fn price(kind: &str) -> f64 {
    let kind = kind.to_ascii_lowercase();
    let deletes = kind.starts_with("delete") || kind.starts_with("abort");
    let reads = kind.starts_with("get") || kind.starts_with("head");
    match (deletes, reads) {
        (true, _) => 0.0,
        (_, true) => DOLLARS_OF_A_THOUSAND_READS,
        _ => DOLLARS_OF_A_THOUSAND_WRITES,
    }
}

fn label<'n>(name: &'n str, label: &str) -> Option<&'n str> {
    let (_, rest) = name.split_once(&format!("{label}=\""))?;
    Some(rest.split_once('"')?.0)
}
