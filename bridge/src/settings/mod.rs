//! The bridge's configuration: the file's sections, read and checked.
//!
//! `[s3]` and `[batcher]` are read by `klstore-config`. What `[kafka]` says is librdkafka's, but for the names that the
//! bridge needs itself; offsets are committed by the bridge alone, whatever the file says.

mod kafka;
mod parser;
mod running;
mod section;

use klstore_config::{ConfigErrors, ConfigFile};
use klstore_format::S3StoreConfig;
use klstore_writer::BatchingStoreWriterConfig;

pub use kafka::{KafkaSettings, StartAt, Topics};
pub use parser::{DeadLetters, OnPoison, OnTombstone, ParserSettings, ValueForm};
pub use running::{LogFormat, RunSettings};

/// Everything that a bridge is told.
///
/// ```
/// use klstore_bridge::settings::BridgeConfig;
/// use klstore_config::ConfigFile;
///
/// let text = r#"
/// [s3]
/// bucket_name="my-bucket"
/// [kafka]
/// topic="inbound"
/// group.id="test_group"
/// bootstrap.servers="127.0.0.1:9092"
/// enable.auto.commit=true
/// [parser]
/// nonce_parser="RecordOffset"
/// keyspace_parser="Static(my_keyspace)"
/// key_parser="RecordPartition"
/// "#;
/// let config = BridgeConfig::read(&ConfigFile::parse("bridge.ini".as_ref(), text)?, &|_| None)?;
/// assert_eq!(config.kafka.group, "test_group");
/// assert!(config.warnings[0].contains("enable.auto.commit"));
/// # Ok::<(), klstore_config::ConfigErrors>(())
/// ```
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The store.
    pub s3: S3StoreConfig,
    /// How batches are made. Its `max_buffered_bytes` bounds everything that the bridge holds in memory.
    pub batcher: BatchingStoreWriterConfig,
    /// What to consume.
    pub kafka: KafkaSettings,
    /// What becomes of a record.
    pub parser: ParserSettings,
    /// How the process behaves.
    pub run: RunSettings,
    /// What the operator should know although it works.
    pub warnings: Vec<String>,
}

impl BridgeConfig {
    /// Reads all sections. `variable` looks up an environment variable.
    ///
    /// # Errors
    ///
    /// What is wrong in the first section that is not right: all of it, with lines.
    pub fn read(file: &ConfigFile, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let s3 = file.s3(variable)?.config;
        s3.validate().map_err(|error| file.locate("s3", error))?;
        let batcher = file.batcher(variable)?.config;
        let mut warnings: Vec<String> = file.warnings().iter().map(ToString::to_string).collect();
        let kafka = KafkaSettings::read(file, variable, &mut warnings)?;
        let parser = ParserSettings::read(file, variable, &kafka)?;
        let run = RunSettings::read(file, variable)?;
        Ok(Self { s3, batcher, kafka, parser, run, warnings })
    }
}

#[cfg(test)]
mod tests;
