//! A writer for the batching writer to append to: lists in memory, which others may look at.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use klstore_format::Insertion;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

use crate::error::WriterError;
use crate::keyspace::CreatedKeyspace;
use crate::receipt::{AppendReceipt, Appended};
use crate::sync::others_may_come;
use crate::writer::{DutyReport, StoreWriter};

/// Appends to this key wait until [`Lists::open_gate`].
pub(crate) const GATED: &str = "gated";

pub(crate) struct Lists {
    lists: Mutex<HashMap<String, Vec<Bytes>>>,
    /// Appends that are still to fail.
    failures: AtomicUsize,
    gate: Semaphore,
    in_duty: AtomicBool,
    duties: AtomicUsize,
    duties_overlapped: AtomicBool,
}

#[derive(Clone)]
pub(crate) struct Inner(pub(crate) Arc<Lists>);

impl Lists {
    /// Of which so many appends fail.
    pub(crate) fn new(failures: usize) -> Arc<Self> {
        Arc::new(Self {
            lists: Mutex::default(),
            failures: AtomicUsize::new(failures),
            gate: Semaphore::new(0),
            in_duty: AtomicBool::new(false),
            duties: AtomicUsize::new(0),
            duties_overlapped: AtomicBool::new(false),
        })
    }

    pub(crate) fn values(&self, key: &str) -> Vec<Bytes> {
        self.lists().get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn item_count(&self) -> usize {
        self.lists().values().map(Vec::len).sum()
    }

    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Duty cycles so far, and whether two were under way at once.
    pub(crate) fn duties(&self) -> (usize, bool) {
        (self.duties.load(Ordering::SeqCst), self.duties_overlapped.load(Ordering::SeqCst))
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, Vec<Bytes>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StoreWriter for Inner {
    async fn create_keyspace(&self, keyspace: &str) -> Result<CreatedKeyspace, WriterError> {
        Ok(CreatedKeyspace { keyspace: keyspace.to_owned(), created_timestamp: 0 })
    }

    async fn append_list(
        &self,
        keyspace: &str,
        key: &str,
        insertions: Vec<Insertion>,
    ) -> Result<AppendReceipt, WriterError> {
        others_may_come();
        if key == GATED {
            drop(self.0.gate.acquire().await);
        }
        if self.0.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            let target = format!("{keyspace}/{key}");
            return Err(WriterError::Unavailable { target, reason: "it fails".into(), may_have_appended: false });
        }
        let mut appended = Appended::default();
        {
            let mut lists = self.0.lists();
            let list = lists.entry(key.to_owned()).or_default();
            let first = list.len() as u64;
            list.extend(insertions.into_iter().map(|insertion| insertion.value));
            appended.add(first..list.len() as u64);
        }
        others_may_come();
        Ok(AppendReceipt::durable_now(appended))
    }

    async fn flush_key(&self, _: &str, _: &str) -> Result<(), WriterError> {
        Ok(())
    }

    async fn flush_all(&self) -> Result<(), WriterError> {
        Ok(())
    }

    async fn duty_cycle(&self) -> Result<DutyReport, WriterError> {
        if self.0.in_duty.swap(true, Ordering::SeqCst) {
            self.0.duties_overlapped.store(true, Ordering::SeqCst);
        }
        others_may_come();
        self.0.in_duty.store(false, Ordering::SeqCst);
        self.0.duties.fetch_add(1, Ordering::SeqCst);
        Ok(DutyReport::default())
    }
}
