//! `klstore demo`: an S3 server, a year of real flights into it, pages out of it, and the web page over it.

mod flights;
mod load;
mod pages;
mod web_page;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use klstore_format::S3StoreConfig;
use klstore_s3_server::{AnonymousAccess, Cors, Credential, RunningServer, Server};
use klstore_writer::{S3StoreWriter, StoreWriter};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes_text, count_text};
use crate::stop;

use flights::{Flights, ROWS, UNKNOWN_AIRCRAFT};
use load::{append_all, check_all};
use web_page::{Place, WebPage};

const BUCKET: &str = "demo";
const KEYSPACE: &str = "flights";
const TITLE: &str = "Flights out of New York, 2013";

/// Show it all: an S3 server, a year of real flights into it, pages out of it, in a browser too
///
/// All 336,776 flights out of New York in 2013, a list for each aircraft: they are appended the way they would come
/// in, a few rows at a time for many aircraft at once, then read back and compared, then paged from all kinds of
/// start, with the requests and bytes that each page took. With --page it ends in a web page that reads the lists
/// itself, straight from the S3 server, which anybody on this machine may read. Nothing leaves this machine.
#[derive(Debug, Args)]
pub struct Arguments {
    /// End after the summary; else the server stays up until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Serve the web page of this folder, which `script/web-build` makes (web-demo/dist)
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Port of the web page on 127.0.0.1, 0 for any free one; if not given 8080, or any free one where that is taken
    #[arg(long, value_name = "PORT", requires = "page")]
    port: Option<u16>,
    /// Port of the S3 server on 127.0.0.1; any free one if not given
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    s3_port: u16,
    /// Flights to load, from the first on
    #[arg(long, value_name = "N", default_value_t = ROWS as u64, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Keep the objects in this folder, which must be new or empty; without it they are gone at the end
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub async fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    let stop = stop::requested()?;
    tokio::pin!(stop);
    // Both ports at once: nobody waits for the flights to hear that one is taken.
    let place = match &arguments.page {
        Some(page) => Some((page, Place::take(arguments.port).await?)),
        None => None,
    };
    let folder = Folder::new(arguments.dir.as_deref())?;
    let origins = place.as_ref().map(|(_, place)| place.origins());
    let (server, config) = start_server(&folder, arguments.s3_port, origins).await?;
    let page = place.map(|(page, place)| place.serve(page, &connection(&config))).transpose()?;
    let outcome = tokio::select! {
        outcome = show(&arguments, &config, &server, page.as_ref(), output) => outcome,
        () = &mut stop => Err(Failure::new(Kind::Failed, "stopped before the end of the demo")),
    };
    if outcome.is_err() || arguments.exit {
        server.shutdown().await;
        // Many small files take seconds to remove: the summary comes when all is done.
        drop(folder);
        return outcome?.answer(&config, false, output);
    }
    let answered = outcome?.answer(&config, true, output);
    if answered.is_ok() {
        stop.await;
    }
    server.shutdown().await;
    answered
}

/// Where the demo's objects are.
enum Folder {
    Given(PathBuf),
    /// Removed when this is dropped.
    Temporary(TempDir),
}

impl Folder {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = given else {
            let made = tempfile::Builder::new().prefix("klstore-demo-").tempdir();
            return made.map(Self::Temporary).map_err(|error| Failure::io("cannot make a temporary folder", error));
        };
        let is_used = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        match is_used {
            false => Ok(Self::Given(path.to_owned())),
            true => Err(Failure::new(Kind::Usage, format!("folder {} is not empty", path.display()))
                .advice("name a new folder, or serve that one with `klstore s3 --dir`")),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// With `origins`, pages of these may read all without keys; nobody writes without.
async fn start_server(
    folder: &Folder,
    port: u16,
    origins: Option<Vec<String>>,
) -> Result<(RunningServer, S3StoreConfig), Failure> {
    let access_key = "klstore-demo".to_owned();
    // Random, as other users of this machine can reach the port too.
    let secret_key = format!("{:032x}", rand::random::<u128>());
    let mut server = Server::builder()
        .folder(folder.path())
        .address(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .bucket(BUCKET)
        .credential(Credential::new(&access_key, &secret_key));
    if let Some(origins) = origins {
        server = server
            .cors(Cors { origins, ..Cors::default() })
            .anonymous(BUCKET, AnonymousAccess { get: true, list: true });
    }
    let server = server.start().await?;
    let config = S3StoreConfig {
        endpoint: Some(server.endpoint()),
        path_style: true,
        use_default_credentials: false,
        access_key: Some(access_key),
        secret_key: Some(secret_key),
        // The lists are short: the usual thresholds, ten times as high, would leave little to compact.
        compact_items_threshold: 100,
        compact_objects_threshold: 10,
        ..S3StoreConfig::new(BUCKET)
    };
    Ok((server, config))
}

/// What the web page opens with, so that nobody has to type it.
fn connection(config: &S3StoreConfig) -> Value {
    json!({
        "endpoint": config.endpoint,
        "bucket": config.bucket_name,
        "region": config.region,
        "pathStyle": config.path_style,
        "keyspace": KEYSPACE,
        "title": TITLE,
    })
}

/// What the demo found out.
struct Shown {
    summary: Vec<(&'static str, String)>,
    json: Value,
    /// The aircraft with the most flights, and the time of one in the middle of its list.
    example: (Arc<str>, String),
    /// Where the web page is served.
    web_page: Option<String>,
}

async fn show(
    arguments: &Arguments,
    config: &S3StoreConfig,
    server: &RunningServer,
    page: Option<&WebPage>,
    output: &Output,
) -> Result<Shown, Failure> {
    let say = |text: &str| output.text(text);
    say(&format!("server    S3 on this machine, at {}", server.endpoint()))?;
    let rows = usize::try_from(arguments.rows).unwrap_or(usize::MAX);
    let flights = Flights::load(rows)?;
    let (row_count, value_bytes) = (flights.flights.len() as u64, flights.value_bytes());
    say(&format!(
        "flights   {} rows of {} aircraft, {} as JSON; those without a tail number go to the key `{UNKNOWN_AIRCRAFT}`",
        count_text(row_count),
        count_text(flights.lists.len() as u64),
        bytes_text(value_bytes),
    ))?;

    let writer = Arc::new(S3StoreWriter::new(config.clone()).await?);
    writer.create_keyspace(KEYSPACE).await?;
    let before = server.counts();
    let seconds = append_all(&writer, KEYSPACE, &flights).await?.seconds;
    let (counts, statistics) = (server.counts(), writer.statistics());
    let puts = counts.put - before.put;
    let stored_bytes = counts.object_bytes_in - before.object_bytes_in;
    say(&format!(
        "append    {} rows in {seconds:.1} s: {} PUTs of {}; {} compactions merged small commits meanwhile",
        count_text(statistics.appended_count),
        count_text(puts),
        bytes_text(stored_bytes),
        count_text(statistics.compaction_count),
    ))?;

    let before = server.counts();
    let checked = check_all(config, KEYSPACE, &flights).await?;
    let counts = server.counts();
    let (lists, gets) = (counts.list - before.list, counts.get - before.get);
    say(&format!(
        "check     {} rows read back in {:.1} s, each equal to what was appended: {} LISTs, {} GETs of {}",
        count_text(checked.value),
        checked.seconds,
        count_text(lists),
        count_text(gets),
        bytes_text(counts.object_bytes_out - before.object_bytes_out),
    ))?;

    let Some(example) = flights.busiest() else {
        return Err(Failure::new(Kind::Usage, "none of the rows has a tail number: load more with --rows"));
    };
    let list = flights.list(&example);
    say(&format!(
        "pages     of {example}, the busiest aircraft ({} flights), {} rows each, by readers that know nothing yet:\n{}",
        count_text(list.len() as u64),
        pages::PAGE_SIZE,
        pages::HEADING
    ))?;
    let mut shown_pages = Vec::new();
    for case in pages::cases(&list) {
        let page = case.read(config, KEYSPACE, &example, &list).await?;
        say(&case.line(&page))?;
        shown_pages.push(case.json(&page));
    }
    let most = |name: &str| shown_pages.iter().filter_map(|page| page["stats"][name].as_u64()).max().unwrap_or(0);
    let (most_lists, most_gets) = (most("list_operation_count"), most("read_operation_count"));

    let web_page = match page {
        None => None,
        Some(page) => {
            page.check().await?;
            say(&format!("web page  at {}, which reads the lists from the S3 server itself, without keys", page.url))?;
            Some(page.url.clone())
        }
    };

    let mut summary = vec![
        ("in", format!("{} flights, {} lists", count_text(row_count), count_text(flights.lists.len() as u64))),
        ("took", format!("{seconds:.1} s, {:.0} rows a second", row_count as f64 / seconds.max(0.001))),
        ("stored", format!("{} PUT for {} of values", bytes_text(stored_bytes), bytes_text(value_bytes))),
        ("out", format!("{} flights compared, all equal", count_text(checked.value))),
        ("pages", format!("{}, none with more than {most_lists} LIST + {most_gets} GETs", shown_pages.len())),
    ];
    summary.extend(web_page.iter().map(|url| ("web", format!("{url} was served"))));
    let json = json!({
        "keyspace": KEYSPACE,
        "rows": row_count,
        "keys": flights.lists.len(),
        "value_bytes": value_bytes,
        "append": {
            "appended": statistics.appended_count,
            "seconds": seconds,
            "put_operation_count": puts,
            "put_bytes": stored_bytes,
            "compactions": statistics.compaction_count,
        },
        "check": {
            "equal_rows": checked.value,
            "seconds": checked.seconds,
            "list_operation_count": lists,
            "read_operation_count": gets,
        },
        "example_key": &*example,
        "pages": shown_pages,
        "web_page": web_page,
    });
    let time = list.get(list.len() / 2).and_then(|flight| jiff::Timestamp::from_millisecond(flight.timestamp?).ok());
    let time = time.unwrap_or_default().to_string();
    Ok(Shown { summary, json, example: (example, time), web_page })
}

impl Shown {
    /// The summary, and where the server stays up, how to use it.
    fn answer(mut self, config: &S3StoreConfig, stays_up: bool, output: &Output) -> Result<(), Failure> {
        let lines = self.summary.iter().map(|(name, text)| format!("  {name:<8}{text}"));
        let mut text = lines.fold("\nSummary".to_owned(), |text, line| text + "\n" + &line);
        if stays_up {
            let (key, time) = &self.example;
            let environment = environment(config);
            let exports = environment.iter().map(|(name, value)| format!("  export {name}={value}"));
            let exports: Vec<String> = exports.collect();
            text += &format!(
                "\n\nThe server stays up until Ctrl-C. In another terminal:\n{}\n\
                 and then, for example:\n  \
                 klstore page {KEYSPACE} {key} --order backwards --max-size 3\n  \
                 klstore read {KEYSPACE} {key} --start-timestamp {time} --output text | head\n  \
                 klstore stat {KEYSPACE} {key}",
                exports.join("\n"),
            );
            // Last, so that it is what is seen.
            text += &match &self.web_page {
                Some(url) => format!("\n\nIn a browser: {url}"),
                None => {
                    "\n\nIn a browser: `klstore demo --page FOLDER` serves the web page of a folder. script/web-build \
                     makes one,\nweb-demo/dist; script/demo does both."
                        .to_owned()
                }
            };
            self.json["environment"] =
                environment.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
        }
        output.answer(&self.json, &text)
    }
}

/// What to set for using the demo's server. Its secret key is good for this server alone.
fn environment(config: &S3StoreConfig) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        ("AWS_ACCESS_KEY_ID", text(&config.access_key)),
        ("AWS_SECRET_ACCESS_KEY", text(&config.secret_key)),
        ("KLSTORE_ENDPOINT", text(&config.endpoint)),
        ("KLSTORE_BUCKET", config.bucket_name.clone()),
    ]
}
