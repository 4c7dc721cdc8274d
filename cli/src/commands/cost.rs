//! `klstore cost`: what a load, or a list, costs on S3.

mod report;
mod requests;

use std::path::PathBuf;

use clap::Args;
use klstore_format::S3StoreConfig;
use klstore_format::limits::MAX_COMMIT_PLAIN_BYTES;
use klstore_format::names::ListName;
use klstore_format::plan::{Answer, Request};
use klstore_reader::StoreReader;
use klstore_writer::{ObjectStore, S3ObjectStore, WriterError};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::keys::no_key;
use crate::output::Output;
use crate::prices::Prices;
use crate::settings::StoreArguments;
use crate::store;

use report::{Load, Report};
use requests::Shape;

/// S3 bills by the hour; a year has 8,760.
const SECONDS_A_MONTH: f64 = 730.0 * 3_600.0;
/// Batches close to the limit of a commit may be split.
const MAX_APPEND_BYTES: u64 = MAX_COMMIT_PLAIN_BYTES as u64 - (1 << 20);
const NAMES_A_LIST: u32 = 1_000;

/// Say what a load costs a month on S3, or what a list does: requests, storage, traffic, with the formula
///
/// Without KEYSPACE and KEY it computes, and asks no store. With them it adds what the list takes up now, and takes
/// the list's own pace of growth as the load, unless that is given. The request counts are those that S3 sees from one
/// writer a key, whose compactions keep up.
#[derive(Debug, Args)]
#[command(after_help = "\
Prices are those of S3 Standard in us-east-1, without tax, discounts and free tiers;
--print-prices shows the table, --price-file takes another one in the same form.

Examples:
  klstore cost --appends-per-second 10 --items-per-append 100 --item-bytes 200
  klstore cost --appends 1000000 --keys 5000
  klstore cost --pages-per-second 3 --followers 200 --internet
  klstore cost flights N14228
  klstore cost --print-prices > prices.json")]
pub struct Arguments {
    /// Keyspace of an existing list
    #[arg(requires = "key")]
    keyspace: Option<String>,
    /// Key of an existing list
    key: Option<String>,
    /// Appends a second, of all keys together
    #[arg(long, value_name = "RATE", default_value_t = 0.0, hide_default_value = true, value_parser = rate)]
    appends_per_second: f64,
    /// So many appends instead of a rate, to lists that are new
    #[arg(long, value_name = "N", conflicts_with = "appends_per_second", value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    appends: Option<u64>,
    /// Items of an append
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=262_144))]
    items_per_append: u64,
    /// Bytes of an item's value; 100 if not given, or the list's own
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(..=16_777_216))]
    item_bytes: Option<u64>,
    /// Lists that the appends go to
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    keys: u64,
    /// Newest pages read a second, each by a reader that knows nothing yet
    #[arg(long, value_name = "RATE", default_value_t = 0.0, hide_default_value = true, value_parser = rate)]
    pages_per_second: f64,
    /// So many newest pages instead of a rate
    #[arg(long, value_name = "N", conflicts_with = "pages_per_second", value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    pages: Option<u64>,
    /// Pages read a second from elsewhere in lists of up to 1,000 segments
    #[arg(long, value_name = "RATE", default_value_t = 0.0, hide_default_value = true, value_parser = rate)]
    seeks_per_second: f64,
    /// Items of a page
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    page_items: u64,
    /// Readers that follow the end of a list all month
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    followers: u64,
    /// Seconds between two polls of a follower
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = pause)]
    poll_seconds: f64,
    /// Days that items are kept: storage is that of so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30.0, value_parser = rate)]
    keep_days: f64,
    /// Readers are outside the region: count the traffic to the internet
    #[arg(long)]
    internet: bool,
    /// Table of prices, as JSON
    #[arg(long, value_name = "FILE")]
    price_file: Option<PathBuf>,
    /// Print the table of prices as JSON, and do nothing else
    #[arg(long)]
    print_prices: bool,
}

/// A rate is a number from 0 on.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    match (0.0..=1e9).contains(&rate) {
        true => Ok(rate),
        false => Err("give a number from 0 to 1,000,000,000".to_owned()),
    }
}

fn pause(text: &str) -> Result<f64, String> {
    rate(text).and_then(|seconds| if seconds < 0.001 { Err("give at least 0.001".to_owned()) } else { Ok(seconds) })
}

pub async fn run(arguments: &Arguments, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let prices = Prices::of(arguments.price_file.as_deref())?;
    if arguments.print_prices {
        let json = json!(prices);
        let text = serde_json::to_string_pretty(&prices).unwrap_or_else(|_| json.to_string());
        return output.answer(&json, &text);
    }
    // A store that is named says how its lists are written; without one the defaults hold.
    let (config, list) = match (&arguments.keyspace, &arguments.key) {
        (Some(keyspace), Some(key)) => {
            let config = store::config(store).await?;
            let list = look(&config, store, keyspace, key).await?;
            (config, Some(list))
        }
        _ => (S3StoreConfig::default(), None),
    };
    let load = load(arguments, &config, list)?;
    let report = Report::new(load, &prices);
    output.answer(&report.json(&prices), &report.text(&prices))
}

/// What is known of an existing list.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    pub keyspace: String,
    pub key: String,
    pub items: u64,
    pub value_bytes: u64,
    /// Objects, and their bytes.
    pub objects: u64,
    pub stored_bytes: u64,
    /// From its first timestamp to its last.
    pub seconds: f64,
}

/// Takes a LIST and a GET for the list, and a LIST for every thousand objects.
async fn look(config: &S3StoreConfig, store: &StoreArguments, keyspace: &str, key: &str) -> Result<List, Failure> {
    let reader = store::reader(store).await?;
    let Some(known) = reader.read_key_metadata(keyspace, key).await? else {
        return Err(no_key(keyspace, key));
    };
    let invalid = |error: klstore_format::NameError| Failure::new(Kind::Usage, error.to_string());
    let name = ListName::new(&config.prefix().map_err(invalid)?, keyspace, key).map_err(invalid)?;
    let objects = S3ObjectStore::new(config).await?;
    let (mut count, mut bytes) = (0, 0);
    for prefix in [name.commits(), name.segments(), name.index_pages()] {
        let mut start_after = None;
        loop {
            let list = Request::List { prefix: prefix.clone(), start_after, max_keys: NAMES_A_LIST, delimiter: false };
            let answer = objects.execute(list).await.map_err(WriterError::Store)?;
            let Answer::Listed(listing) = answer else { break };
            count += listing.objects.len() as u64;
            bytes += listing.objects.iter().map(|object| object.size).sum::<u64>();
            start_after = listing.objects.into_iter().next_back().map(|object| object.name);
            if !listing.truncated || start_after.is_none() {
                break;
            }
        }
    }
    let span = known.max_timestamp.zip(known.min_timestamp).map_or(0.0, |(max, min)| (max as f64 - min as f64) / 1e3);
    Ok(List {
        keyspace: keyspace.to_owned(),
        key: key.to_owned(),
        items: known.item_count,
        value_bytes: known.value_bytes,
        objects: count,
        stored_bytes: bytes,
        seconds: span,
    })
}

fn load(arguments: &Arguments, config: &S3StoreConfig, list: Option<List>) -> Result<Load, Failure> {
    let own_bytes = list.as_ref().filter(|list| list.items > 0).map(|list| list.value_bytes / list.items);
    let item_bytes = arguments.item_bytes.or(own_bytes).unwrap_or(100);
    let shape = Shape::new(config, arguments.items_per_append, item_bytes, arguments.keys);
    if shape.append_bytes() > MAX_APPEND_BYTES {
        let what = format!("an append of {} bytes is split into several commits", shape.append_bytes());
        let advice = format!("compute with at most {MAX_APPEND_BYTES} bytes an append, and more appends");
        return Err(Failure::new(Kind::Usage, what).advice(advice));
    }
    let given = arguments.appends_per_second * SECONDS_A_MONTH;
    let own_pace = list.as_ref().filter(|list| list.seconds > 0.0 && given == 0.0 && arguments.appends.is_none());
    let paced =
        own_pace.map(|list| list.items as f64 / arguments.items_per_append as f64 / list.seconds * SECONDS_A_MONTH);
    let monthly = paced.unwrap_or(given);
    let monthly_pages = arguments.pages_per_second * SECONDS_A_MONTH;
    Ok(Load {
        shape,
        appends: arguments.appends.map_or(monthly, |count| count as f64),
        pages: arguments.pages.map_or(monthly_pages, |count| count as f64),
        seeks: arguments.seeks_per_second * SECONDS_A_MONTH,
        page_items: arguments.page_items,
        followers: arguments.followers as f64,
        polls: SECONDS_A_MONTH / arguments.poll_seconds,
        days: arguments.keep_days,
        counted: arguments.appends.is_some(),
        internet: arguments.internet,
        list,
    })
}
