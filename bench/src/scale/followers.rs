//! Ever more followers of one list, to which something is appended once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klstore_workloads::Failure;
use klstore_writer::{Insertion, S3StoreWriter, StoreWriter};
use tokio::time::{MissedTickBehavior, interval};

use crate::results::Results;
use crate::store::{KEYSPACE, Store, config};
use crate::task::{Pace, Work};

const KEY: &str = "followed";
/// How long they follow.
const SECONDS: u64 = 30;
/// USD for a thousand requests, as `klstore cost --print-prices` has them: S3 Standard in us-east-1.
const GET_PER_THOUSAND: f64 = 0.0004;
const LIST_PER_THOUSAND: f64 = 0.005;
const SECONDS_PER_DAY: f64 = 86_400.0;

pub async fn run(quick: bool, results: &mut Results) -> Result<(), Failure> {
    for power in 0..=if quick { 2 } else { 3 } {
        for (pace, name) in [(Pace::Poll, "poll"), (Pace::Stream, "stream")] {
            measure(10_u64.pow(power), pace, name, if quick { SECONDS / 3 } else { SECONDS }, results).await?;
        }
    }
    Ok(())
}

async fn measure(followers: u64, pace: Pace, name: &str, seconds: u64, results: &mut Results) -> Result<(), Failure> {
    let store = Store::start(0).await?;
    store.be_late(|_| ());
    let writer = S3StoreWriter::new(config(&store.server.endpoint())).await?;
    append(&writer).await?;
    let following = store.client(Work::Follow { key: KEY.to_owned(), followers, seconds, pace });
    let appending = async {
        let mut second = interval(Duration::from_secs(1));
        // Late rather than two at once.
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            append(&writer).await?;
        }
    };
    let report = tokio::select! {
        report = following => report?,
        error = appending => return error,
    };
    let each = |number: f64| number / followers as f64 / seconds as f64;
    // All GETs and LISTs are the followers': a writer that knows its list only puts. Each loads with one of both once.
    let beside_load = |requests: u64| each(requests.saturating_sub(followers) as f64);
    let (gets, lists) = (beside_load(report.counts.get), beside_load(report.counts.list));
    let mut measured = results.of("followers", followers);
    let mut number = |metric: &str, value: f64, unit| measured.number(format!("{name}.{metric}"), value, unit);
    number("errors", report.number("errors")?, "polls");
    number("gets", gets, "requests/s");
    number("lists", lists, "requests/s");
    number("bytes", each(report.counts.object_bytes_out as f64), "bytes/s");
    number("delivered", report.number("delivered")? / followers as f64, "items");
    number("delay.p50", report.number("delay.p50")?, "s");
    number("delay.p99", report.number("delay.p99")?, "s");
    let price = (gets * GET_PER_THOUSAND + lists * LIST_PER_THOUSAND) / 1e3;
    number("price", price * SECONDS_PER_DAY, "USD/day");
    number("cpu", each(report.number("cpu_seconds")? * 1e3), "ms/s");
    number("memory", report.number("peak_resident_bytes")?, "bytes");
    writer.close().await?;
    store.server.shutdown().await;
    Ok(())
}

/// Appends the moment at which it does.
async fn append(writer: &S3StoreWriter) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros().to_string();
    writer.append_list(KEYSPACE, KEY, vec![Insertion::new(now)]).await?.await?;
    Ok(())
}
