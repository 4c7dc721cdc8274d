//! Section `[bridge]`: how the process behaves.

use std::net::SocketAddr;
use std::time::Duration;

use klstore_config::{ConfigErrors, ConfigFile};

use super::section::{SectionReader, flag, number};

/// How the process behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// How often offsets are committed.
    pub commit_interval: Duration,
    /// How long a revoked partition, or the end, waits for what is in memory to become durable.
    pub drain_timeout: Duration,
    /// How long something may stay not durable because S3 fails before the process gives up.
    pub max_outage: Duration,
    /// Whether keyspaces that do not exist are created.
    pub create_keyspaces: bool,
    /// Where metrics and health are served; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// How the log is written.
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            max_outage: Duration::from_secs(300),
            create_keyspaces: true,
            metrics_address: Some(([127, 0, 0, 1], 9464).into()),
            log_format: LogFormat::Text,
        }
    }
}

impl RunSettings {
    pub(super) fn read(file: &ConfigFile, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut section = SectionReader::new(file, "bridge", variable)?;
        let defaults = Self::default();
        let mut millis = |name, default| section.read(name, default, "a number of milliseconds above 0", duration);
        let settings = Self {
            commit_interval: millis("commit_interval_millis", defaults.commit_interval),
            drain_timeout: millis("drain_timeout_millis", defaults.drain_timeout),
            max_outage: millis("max_outage_millis", defaults.max_outage),
            create_keyspaces: section.read("create_keyspaces", defaults.create_keyspaces, "true or false", flag),
            metrics_address: section.read(
                "metrics_address",
                defaults.metrics_address,
                "an address like 127.0.0.1:9464, or none,",
                |text| if text == "none" { Some(None) } else { text.parse().ok().map(Some) },
            ),
            log_format: section.choice(
                "log_format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                defaults.log_format,
            ),
        };
        section.finish()?;
        Ok(settings)
    }
}

fn duration(text: &str) -> Option<Duration> {
    number(text).filter(|millis| *millis > 0).map(Duration::from_millis)
}
