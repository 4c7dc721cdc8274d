//! The settings of a batching writer.

use std::time::Duration;

use klstore_format::config::{ConfigError, out_of_range};
use serde::{Deserialize, Serialize};

/// The most threads that may be set.
const MAX_THREADS: u64 = 1_024;
/// The most appends that a lane may have under way: more than any store likes.
const MAX_PUTS_IN_FLIGHT: u64 = 65_536;
/// The largest byte budget that can be counted.
const MAX_BUFFERED_BYTES: u64 = 1 << 48;

/// How a [`BatchingStoreWriter`](super::BatchingStoreWriter) collects and sends.
///
/// ```
/// use klstore_writer::BatchingStoreWriterConfig;
/// let config = BatchingStoreWriterConfig { batch_flush_interval_millis: 200, ..Default::default() };
/// config.validate()?;
/// # Ok::<(), klstore_format::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchingStoreWriterConfig {
    /// Threads, each with the keys that hash to it: a key is always handled by the same one. With 0 there are none,
    /// and the caller's calls of `duty_cycle`, `flush_key` and `flush_all` do the work.
    pub writer_thread_count: usize,
    /// Appends that may wait in a thread's queue; `append_list` waits while it is full. Unbounded where `None`
    /// (`max_buffered_bytes` holds all the same).
    pub writer_thread_queue_capacity: Option<usize>,
    /// How often a thread looks for batches that have become old enough, in milliseconds.
    pub batch_check_interval_millis: u64,
    /// A batch is sent once its oldest item has waited so long, in milliseconds.
    pub batch_flush_interval_millis: u64,
    /// A batch is sent once it has so many items.
    pub batch_flush_item_count_threshold: u64,
    /// A batch is sent once its values have so many bytes.
    pub batch_flush_size_threshold: u64,
    /// Bytes that all that is not durable may take together, over all threads; `append_list` waits while they are used
    /// up. An append that is larger than all of it is let in alone. Keys that fail may hold half of it; the last
    /// eighth is kept for keys that work while those that fail hold more than that.
    pub max_buffered_bytes: u64,
    /// Appends that a thread has under way at once, each of another key; at most half of them are of keys that fail.
    /// Where appends hang for more than 3 s, others are started beside them, up to as many again.
    ///
    /// Each has its commit in memory as it is sent, up to 16 MiB and seldom more than `batch_flush_size_threshold`,
    /// compressed: that is beside `max_buffered_bytes`.
    pub max_puts_in_flight: usize,
}

impl Default for BatchingStoreWriterConfig {
    fn default() -> Self {
        Self {
            writer_thread_count: 1,
            writer_thread_queue_capacity: None,
            batch_check_interval_millis: 100,
            batch_flush_interval_millis: 1_000,
            batch_flush_item_count_threshold: u64::MAX,
            batch_flush_size_threshold: 1_000_000,
            max_buffered_bytes: 256 << 20,
            max_puts_in_flight: 64,
        }
    }
}

impl BatchingStoreWriterConfig {
    /// Checks that every number is one that can work.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for the first that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.mistakes().into_iter().next().map_or(Ok(()), Err)
    }

    /// The numbers that cannot work, all of them.
    pub fn mistakes(&self) -> Vec<ConfigError> {
        let capacity = self.writer_thread_queue_capacity.map_or(1, |capacity| capacity as u64);
        let limits = [
            ("writer_thread_count", self.writer_thread_count as u64, 0, MAX_THREADS),
            ("writer_thread_queue_capacity", capacity, 1, u32::MAX.into()),
            ("batch_check_interval_millis", self.batch_check_interval_millis, 1, u64::MAX),
            ("batch_flush_item_count_threshold", self.batch_flush_item_count_threshold, 1, u64::MAX),
            ("batch_flush_size_threshold", self.batch_flush_size_threshold, 1, u64::MAX),
            ("max_buffered_bytes", self.max_buffered_bytes, 1, MAX_BUFFERED_BYTES),
            ("max_puts_in_flight", self.max_puts_in_flight as u64, 1, MAX_PUTS_IN_FLIGHT),
        ];
        out_of_range(limits).collect()
    }

    pub(super) fn check_interval(&self) -> Duration {
        Duration::from_millis(self.batch_check_interval_millis)
    }

    pub(super) fn flush_interval(&self) -> Duration {
        Duration::from_millis(self.batch_flush_interval_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let all = r#"{"writer_thread_count":1,"writer_thread_queue_capacity":null,"batch_check_interval_millis":100,
            "batch_flush_interval_millis":1000,"batch_flush_item_count_threshold":18446744073709551615,
            "batch_flush_size_threshold":1000000,"max_buffered_bytes":268435456,"max_puts_in_flight":64}"#;
        let read = |text: &str| serde_json::from_str::<BatchingStoreWriterConfig>(text);
        assert_eq!(read(all).unwrap(), BatchingStoreWriterConfig::default());
        assert_eq!(read("{}").unwrap(), BatchingStoreWriterConfig::default());
        let unknown = read(r#"{"writer_threads":1}"#).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `writer_threads`"), "{unknown}");
        BatchingStoreWriterConfig::default().validate().unwrap();
    }

    #[test]
    fn numbers_that_cannot_work_are_refused() {
        let changes: [fn(&mut BatchingStoreWriterConfig); 6] = [
            |config| config.writer_thread_count = 1_025,
            |config| config.writer_thread_queue_capacity = Some(0),
            |config| config.batch_check_interval_millis = 0,
            |config| config.batch_flush_size_threshold = 0,
            |config| config.max_buffered_bytes = 0,
            |config| config.max_puts_in_flight = 0,
        ];
        for change in changes {
            let mut config = BatchingStoreWriterConfig::default();
            change(&mut config);
            let refused = config.validate();
            assert!(matches!(refused, Err(ConfigError::OutOfRange { .. })), "{config:?}: {refused:?}");
        }
    }
}
