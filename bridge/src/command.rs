//! The `klstore-bridge` command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use klstore_config::ConfigFile;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::consumer::{KafkaConsumerBridge, StopHandle};
use crate::error::BridgeError;
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
        /// Ends once all that is in the partitions when they are assigned is durable.
        #[arg(long)]
        until_end: bool,
    },
    /// Reads the configuration file and says what is wrong with it.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config, until_end } => run(config, until_end),
        Command::CheckConfig { config } => check_config(config),
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

fn check_config(path: PathBuf) -> Result<(), BridgeError> {
    let config = load(path)?;
    config.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    println!("{config:#?}");
    Ok(())
}

fn run(path: PathBuf, until_end: bool) -> Result<(), BridgeError> {
    let config = load(path)?;
    log_to_stderr(config.run.log_format);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = Runtime::new().map_err(|cause| BridgeError::System { doing: "starting threads", cause })?;
    let bridge = KafkaConsumerBridge::new(config, runtime.handle().clone());
    let bridge = if until_end { bridge.until_end() } else { bridge };
    stop_on_signals(&runtime, bridge.stop_handle())?;
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
                tracing::info!("ending: what is in memory becomes durable and is committed");
                stop.stop();
            }
        });
    }
    Ok(())
}

/// `RUST_LOG` says how much; `info` where it is not set.
fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
