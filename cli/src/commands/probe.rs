//! `klstore probe`: does a store do what the protocol needs?

mod checks;
mod requests;
mod verdict;

use clap::Args;
use klstore_format::plan::{Answer, PutKind, Request};
use klstore_writer::{ObjectStore, S3ObjectStore, StoreError, WriterError};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::output::{Output, escaped, plural};
use crate::settings::StoreArguments;
use crate::{stop, store};

use checks::Checks;
use requests::Requests;
use verdict::{Finding, Verdict};

/// Names of one deletion, and of one LIST.
const NAMES_AT_ONCE: u32 = 1_000;
/// How often the clean-up looks whether something is left.
const CLEANING_ROUNDS: u32 = 20;

/// Check that a store does what klstore needs: conditional PUTs, ordered LISTs, ETags, ranges, consistency
///
/// Many racers PUT the same name at once, several times over: exactly one may win. The order of LIST answers, ETags,
/// ranges, reading after writing and after deleting, deletions and the clock are looked at as well. Works on objects
/// of its own under a random prefix, which it deletes at the end. Takes some 800 requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Verdicts: pass; warn (works, but costs more or needs attention); info (says how this store
does it); FAIL (lists would be damaged or not found: klstore must not be used there).
A race that is not lost in these rounds may still be lost one day: a pass is no proof.
Exit code 0: nothing failed. 5: something did, or there is no access.

Examples:
  klstore probe --bucket my-bucket
  klstore probe --endpoint http://127.0.0.1:9000 --bucket test --rounds 50 --json")]
pub struct Arguments {
    /// Rounds of racing for one name
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Racers in each round
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=512))]
    racers: u32,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let config = store::config(store).await?;
    let prefix = config.prefix().map_err(|error| Failure::new(Kind::Access, error.to_string()))?;
    let prefix = format!("{}klstore-probe-{:032x}/", prefix.as_str(), rand::random::<u128>());
    // Speaks in the writer's own errors where there is no access at all.
    let objects = S3ObjectStore::new(&config).await?;
    let requests = Requests::new(&config, &prefix).await?;
    let stop = stop::requested()?;
    tokio::pin!(stop);

    let probing = async {
        access(&objects, &prefix).await?;
        Ok(Checks { requests: &requests, rounds: arguments.rounds, racers: arguments.racers }.run().await)
    };
    let outcome = tokio::select! {
        outcome = probing => outcome,
        () = &mut stop => Err(Failure::new(Kind::Failed, "stopped before the end of the probe")),
    };
    let left = clean(&objects, &prefix).await;
    let mut findings = outcome?;
    findings.push(verdict::cleaned(left.map_err(|error| Failure::from(error).what), &prefix));
    answer(&findings, &prefix, output)
}

/// Each kind of request once, without conditions, so that a lack of access is told as such.
async fn access(objects: &S3ObjectStore, prefix: &str) -> Result<(), Failure> {
    let name = format!("{prefix}access");
    let body = bytes::Bytes::from_static(b"klstore probe");
    for request in [
        Request::Put { name: name.clone(), body, kind: PutKind::Immutable },
        Request::Get { name: name.clone(), range: None, cache: klstore_format::plan::Cache::Reload },
        Request::Delete { names: vec![name] },
        // Last: without it nothing could be cleaned up.
        Request::List { prefix: prefix.to_owned(), start_after: None, max_keys: 10, delimiter: false },
    ] {
        objects.execute(request).await.map_err(of_store)?;
    }
    Ok(())
}

fn of_store(error: StoreError) -> Failure {
    WriterError::Store(error).into()
}

/// Deletes all objects of the probe; how many are left.
async fn clean(objects: &S3ObjectStore, prefix: &str) -> Result<usize, WriterError> {
    let mut left = 0;
    for _ in 0..CLEANING_ROUNDS {
        let list =
            Request::List { prefix: prefix.to_owned(), start_after: None, max_keys: NAMES_AT_ONCE, delimiter: false };
        let Answer::Listed(listing) = objects.execute(list).await.map_err(WriterError::Store)? else { break };
        let names: Vec<String> = listing.objects.into_iter().map(|object| object.name).collect();
        left = names.len();
        if left == 0 {
            break;
        }
        objects.execute(Request::Delete { names }).await.map_err(WriterError::Store)?;
    }
    Ok(left)
}

fn answer(findings: &[Finding], prefix: &str, output: &Output) -> Result<(), Failure> {
    let named = |verdict: Verdict| -> Vec<&str> {
        findings.iter().filter(|finding| finding.verdict == verdict).map(|finding| finding.check).collect()
    };
    let (failed, warned) = (named(Verdict::Fail), named(Verdict::Warn));
    let summary = match failed.as_slice() {
        [] => format!(
            "fit: {}, none failed{}",
            plural(findings.len() as u64, "check"),
            if warned.is_empty() { String::new() } else { format!("; look at {}", warned.join(", ")) }
        ),
        failed => format!("not fit: {} failed", failed.join(", ")),
    };
    let json = json!({
        "fit": failed.is_empty(),
        "prefix": prefix,
        "failed": failed,
        "warned": warned,
        "checks": findings.iter().map(Finding::json).collect::<Vec<Value>>(),
    });
    output.answer(&json, &text(findings, &summary))?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Kind::Access, format!("the store is {summary}"))
            .advice("do not keep lists there; docs/STORES.md names stores that passed")),
    }
}

/// The table of findings, and the summary below it.
fn text(findings: &[Finding], summary: &str) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let line = |finding: &Finding| {
        // A store's own words may be among them.
        let detail = escaped(finding.detail.as_bytes());
        format!("{:<4}  {:<width$}  {detail}\n", finding.verdict.word(), finding.check)
    };
    findings.iter().map(line).collect::<String>() + summary
}
