//! The `klstore-bridge` command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use klstore_config::ConfigFile;
use klstore_writer::{Clock, SystemClock};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::affinity::Affinity;
use crate::consumer::{KafkaConsumerBridge, StopHandle};
use crate::error::BridgeError;
use crate::monitor;
use crate::operate::{self, PartitionState};
use crate::settings::{BridgeConfig, LogFormat};

/// From a Kafka consumer group into klstore lists on S3, exactly once.
///
/// Exit codes: 0 a good end (SIGTERM, SIGINT, --until-end), 1 the machine, 2 the command line, 3 the configuration,
/// 4 S3 failed for longer than max_outage, 5 Kafka, 6 a record that on_poison=fail stops at, 7 the topic is not the
/// one that was committed.
#[derive(Debug, Parser)]
#[command(name = "klstore-bridge", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Consumes until it is stopped.
    Run {
        /// The configuration file: TOML where its name ends in .toml, else INI.
        #[arg(long)]
        config: PathBuf,
        /// Ends once the group has committed all that is in the partitions when it starts.
        #[arg(long)]
        until_end: bool,
    },
    /// Reads the configuration file and says what is wrong with it.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Asks Kafka too: whether records of several partitions would meet in one list.
        #[arg(long)]
        online: bool,
    },
    /// Reads records from the beginning, and prints where they would go and what that costs. Joins no group.
    DryRun {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Reads so many at most.
        #[arg(long, default_value_t = 10_000)]
        max_records: u64,
    },
    /// Prints what the group has committed and what is left, partition by partition.
    Lag {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Appends dead letters again, as the configuration is now; those that were replayed before are not appended twice.
    ReplayDlq {
        /// The configuration file, whose `dead_letters` names the queue.
        #[arg(long)]
        config: PathBuf,
        /// Passes over letters that are still refused: they stay in the queue.
        #[arg(long)]
        skip_refused: bool,
    },
    /// Begins anew after a topic was deleted and created again. All instances must be stopped.
    BumpEpoch {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Reads everything again that the topics have, also where the group had come further.
        #[arg(long)]
        from_beginning: bool,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config, until_end } => run(config, until_end),
        Command::CheckConfig { config, online } => check_config(config, online),
        Command::DryRun { config, max_records } => dry_run(config, max_records),
        Command::Lag { config } => lag(config),
        Command::ReplayDlq { config, skip_refused } => replay_dlq(config, skip_refused),
        Command::BumpEpoch { config, from_beginning } => bump_epoch(config, from_beginning),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("klstore-bridge: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn load(path: PathBuf) -> Result<BridgeConfig, BridgeError> {
    let file = ConfigFile::load(&path)?;
    Ok(BridgeConfig::read(&file, &|name| std::env::var(name).ok())?)
}

fn check_config(path: PathBuf, online: bool) -> Result<(), BridgeError> {
    let config = load(path)?;
    config.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    if online {
        match operate::check_online(&config)? {
            Affinity::NotNeeded => println!("nonces do not come from offsets: they must rise within each list"),
            Affinity::BySource => println!("lists keep the next offset of each partition that feeds them"),
            Affinity::ByName => println!("each list is fed by one partition"),
            Affinity::Asserted => println!("each list is fed by one partition, as key_affinity=asserted vouches"),
        }
    }
    println!("the configuration is right");
    Ok(())
}

fn dry_run(path: PathBuf, max_records: u64) -> Result<(), BridgeError> {
    println!("{}", crate::dry_run::dry_run(&load(path)?, max_records)?);
    Ok(())
}

fn lag(path: PathBuf) -> Result<(), BridgeError> {
    let states = operate::partitions(&load(path)?)?;
    for state in &states {
        let committed = state.committed.map_or("nothing".to_owned(), |offset| offset.to_string());
        let (topic, partition, end, lag) = (&state.topic, state.partition, state.high, state.lag());
        println!("{topic}/{partition}: committed {committed}, end {end}, lag {lag}");
    }
    println!("all: lag {}", states.iter().map(PartitionState::lag).sum::<i64>());
    Ok(())
}

fn replay_dlq(path: PathBuf, skip_refused: bool) -> Result<(), BridgeError> {
    let config = load(path)?;
    log_to_stderr(config.run.log_format);
    let runtime = Runtime::new().map_err(|cause| BridgeError::System { doing: "starting threads", cause })?;
    let replayed = runtime.block_on(crate::replay::replay(&config, skip_refused))?;
    println!(
        "{} letters replayed, {} were before, {} refused and passed over, {} tombstones skipped, {} to come once the \
         group has settled them",
        replayed.appended_count,
        replayed.duplicate_count,
        replayed.refused_count,
        replayed.skipped_count,
        replayed.unsettled_count,
    );
    Ok(())
}

fn bump_epoch(path: PathBuf, from_beginning: bool) -> Result<(), BridgeError> {
    let config = load(path)?;
    // The system's clock needs a runtime around it.
    let runtime = Runtime::new().map_err(|cause| BridgeError::System { doing: "starting threads", cause })?;
    let _inside = runtime.enter();
    let seconds = u64::try_from(SystemClock::default().now() / 1_000).unwrap_or_default();
    let epoch = operate::bump_epoch(&config, seconds, from_beginning)?;
    println!("epoch {epoch} has begun: start the instances");
    Ok(())
}

fn run(path: PathBuf, until_end: bool) -> Result<(), BridgeError> {
    let config = load(path)?;
    log_to_stderr(config.run.log_format);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let metrics_address = config.run.metrics_address;
    let runtime = Runtime::new().map_err(|cause| BridgeError::System { doing: "starting threads", cause })?;
    let bridge = KafkaConsumerBridge::new(config, runtime.handle().clone());
    let bridge = if until_end { bridge.until_end() } else { bridge };
    stop_on_signals(&runtime, bridge.stop_handle())?;
    if let Some(address) = metrics_address {
        let serving = monitor::install_recorder();
        let address = serving.and_then(|metrics| runtime.block_on(monitor::serve(address, metrics, bridge.health())));
        let doing = "serving metrics (metrics_address)";
        let address = address.map_err(|cause| BridgeError::System { doing, cause })?;
        tracing::info!(%address, "serving /metrics, /live and /ready");
    }
    let summary = bridge.run()?;
    tracing::info!(
        records = summary.record_count,
        skipped = summary.skipped_count,
        dead_letters = summary.dead_letter_count,
        "ended well"
    );
    Ok(())
}

fn stop_on_signals(runtime: &Runtime, stop: StopHandle) -> Result<(), BridgeError> {
    let _inside = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|cause| BridgeError::System { doing: "waiting for signals", cause })?;
        let stop = stop.clone();
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_stopped() {
                    tracing::warn!("ending at once: what is not committed is read again by the next start");
                    std::process::exit(128 + kind.as_raw_value());
                }
                tracing::info!(
                    "ending: what is in memory becomes durable and is committed; a second signal ends at once"
                );
                stop.stop();
            }
        });
    }
    Ok(())
}

/// `RUST_LOG` says how much; `info` where it is not set.
fn log_to_stderr(format: LogFormat) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry().with(log.with_filter(without_headers(wanted))).init(),
        LogFormat::Json => registry().with(log.json().with_filter(without_headers(wanted))).init(),
    }
}

/// Of other crates nothing below `info`: there they show headers, which hold signatures and session tokens.
fn without_headers<S>(wanted: EnvFilter) -> impl Filter<S> {
    let shows_none =
        |metadata: &Metadata<'_>| *metadata.level() <= Level::INFO || metadata.target().starts_with("klstore");
    wanted.and(filter_fn(shows_none))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_log_level_shows_the_headers_of_other_crates() {
        let log = Log::default();
        let writer = log.clone();
        let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = registry().with(layer.with_filter(without_headers(EnvFilter::new("trace"))));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "aws_sigv4::http_request", "a session token");
            tracing::debug!(target: "hyper", "a signature");
            tracing::info!(target: "aws_config", "a region");
            tracing::trace!(target: "klstore_writer", "an append");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("a region") && text.contains("an append"), "{text}");
        assert!(!text.contains("a session token") && !text.contains("a signature"), "{text}");
    }
}
