//! The writer to S3 with its appends measured: how long each took, and how large it was.

use std::sync::Arc;

use async_trait::async_trait;
use klstore_writer::{
    AppendReceipt, Clock, CreatedKeyspace, DutyReport, Insertion, S3StoreWriter, StoreWriter, SystemClock, WriterError,
};

/// Tells the process's metrics recorder of each append; all else goes to the writer as it is.
#[derive(Clone)]
pub(crate) struct MeasuredWriter {
    pub(crate) writer: S3StoreWriter,
    pub(crate) clock: Arc<SystemClock>,
}

impl MeasuredWriter {
    async fn measured(
        &self,
        append: impl Future<Output = Result<AppendReceipt, WriterError>>,
        items: usize,
        bytes: usize,
    ) -> Result<AppendReceipt, WriterError> {
        let start = self.clock.elapsed();
        let receipt = append.await;
        metrics::histogram!("klstore_bridge_put_seconds")
            .record(self.clock.elapsed().saturating_sub(start).as_secs_f64());
        metrics::histogram!("klstore_bridge_batch_items").record(items as f64);
        metrics::histogram!("klstore_bridge_batch_bytes").record(bytes as f64);
        receipt
    }
}

fn value_bytes(insertions: &[Insertion]) -> usize {
    insertions.iter().map(|insertion| insertion.value.len()).sum()
}

#[async_trait]
impl StoreWriter for MeasuredWriter {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        self.writer.create_keyspace(keyspace).await
    }

    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        let (items, bytes) = (insertions.len(), value_bytes(&insertions));
        self.measured(self.writer.append_list(keyspace, key, insertions), items, bytes).await
    }

    async fn append_list_idempotent(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
        idempotency_key: u128,
    ) -> Result<AppendReceipt, WriterError> {
        let (items, bytes) = (insertions.len(), value_bytes(&insertions));
        self.measured(self.writer.append_list_idempotent(keyspace, key, insertions, idempotency_key), items, bytes)
            .await
    }

    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        self.writer.check(keyspace, key, insertions)
    }

    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        self.writer.flush_key(keyspace, key).await
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        self.writer.flush_all().await
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        self.writer.duty_cycle().await
    }
}
