//! Section `[batcher]`.

use klstore_writer::BatchingStoreWriterConfig;

use crate::settings::{Setting, settings};

/// All settings, in the order in which they are shown.
pub(crate) const BATCHER: &[Setting<BatchingStoreWriterConfig>] = settings! { BatchingStoreWriterConfig:
    writer_thread_count,
    writer_thread_queue_capacity,
    batch_check_interval_millis,
    batch_flush_interval_millis,
    batch_flush_item_count_threshold,
    batch_flush_size_threshold,
    max_buffered_bytes,
    max_puts_in_flight,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_setting() {
        let message = serde_json::from_str::<BatchingStoreWriterConfig>(r#"{"?":1}"#).unwrap_err().to_string();
        let mut fields: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let mut table: Vec<&str> = BATCHER.iter().map(|setting| setting.name).collect();
        fields.sort_unstable();
        table.sort_unstable();
        assert_eq!(table, fields);
    }
}
