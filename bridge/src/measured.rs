//! The writer to S3 with its appends measured: how long each took, and how large it was.

use std::time::Instant;

use async_trait::async_trait;
use klstore_writer::{AppendReceipt, CreatedKeyspace, DutyReport, Insertion, S3StoreWriter, StoreWriter, WriterError};

/// Tells the process's metrics recorder of each append; all else goes to the writer as it is.
#[derive(Debug, Clone)]
pub(crate) struct MeasuredWriter(pub(crate) S3StoreWriter);

impl MeasuredWriter {
    async fn measured(
        append: impl Future<Output = Result<AppendReceipt, WriterError>>,
        items: usize,
        bytes: usize,
    ) -> Result<AppendReceipt, WriterError> {
        // A metric's clock: no decision is made by it.
        let start = Instant::now();
        let receipt = append.await;
        metrics::histogram!("klstore_bridge_put_seconds").record(start.elapsed().as_secs_f64());
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
        self.0.create_keyspace(keyspace).await
    }

    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        let (items, bytes) = (insertions.len(), value_bytes(&insertions));
        Self::measured(self.0.append_list(keyspace, key, insertions), items, bytes).await
    }

    async fn append_list_idempotent(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
        idempotency_key: u128,
    ) -> Result<AppendReceipt, WriterError> {
        let (items, bytes) = (insertions.len(), value_bytes(&insertions));
        Self::measured(self.0.append_list_idempotent(keyspace, key, insertions, idempotency_key), items, bytes).await
    }

    fn check(&self, keyspace: &str, key: &str, insertions: &[Insertion]) -> Result<(), WriterError> {
        self.0.check(keyspace, key, insertions)
    }

    async fn flush_key(&self, keyspace: &str, key: &str) -> Result<(), WriterError> {
        self.0.flush_key(keyspace, key).await
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        self.0.flush_all().await
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        self.0.duty_cycle().await
    }
}
