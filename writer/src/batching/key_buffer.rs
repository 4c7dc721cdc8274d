//! What is in memory of one key: its insertions in order, the calls that brought them, and the batch under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use klstore_format::Insertion;
use klstore_format::limits::{MAX_COMMIT_ITEMS, MAX_COMMIT_PLAIN_BYTES};
use klstore_format::plan::insertion_size;

use super::attribution;
use super::lane::Slot;
use crate::error::WriterError;
use crate::receipt::Appended;

/// Memory that an insertion takes beside its value.
const INSERTION_OVERHEAD: u64 = 192;
/// Memory that a call takes beside its insertions, the first one of a key included.
const CALL_OVERHEAD: u64 = 512;

/// A list by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ListKey {
    pub(super) keyspace: String,
    pub(super) key: String,
}

impl std::fmt::Display for ListKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.keyspace, self.key)
    }
}

/// What an append takes of the byte budget while it is in memory.
pub(super) fn charge(list: &ListKey, insertions: &[Insertion]) -> u64 {
    call_charge(list) + insertions.iter().map(insertion_charge).sum::<u64>()
}

fn call_charge(list: &ListKey) -> u64 {
    CALL_OVERHEAD + (list.keyspace.len() + list.key.len()) as u64
}

fn insertion_charge(insertion: &Insertion) -> u64 {
    INSERTION_OVERHEAD + insertion.value.len() as u64
}

/// When a batch is large enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchThresholds {
    pub(super) items: u64,
    pub(super) value_bytes: u64,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its batch is not due yet; since when the oldest insertion waits.
    Collecting(Duration),
    /// Due: in the queue of those to be sent.
    Ready,
    /// An append is under way.
    InFlight(Slot),
    /// It failed: not before this moment.
    BackingOff(Duration),
    /// Due, but suspect: it failed and its wait is over, or its keyspace is in doubt.
    SuspectReady,
}

/// One call of `append_list`.
struct Call<R> {
    /// When it came.
    at: Duration,
    /// Its insertions that are not durable yet.
    outstanding: usize,
    /// Those before them.
    done: u64,
    appended: Appended,
    /// `None` once a failure has been told.
    receipt: Option<R>,
}

/// What came of calls whose insertions became durable.
pub(super) struct Acknowledged<R> {
    pub(super) receipts: Vec<(R, Result<Appended, WriterError>)>,
    /// Bytes of the budget that are free again.
    pub(super) bytes: u64,
}

/// A flush that waits for the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Barrier {
    pub(super) flush: u64,
    /// How many insertions must have left the memory.
    pub(super) until: u64,
}

/// What was in memory of a key that is given up.
pub(super) struct Discarded<R> {
    pub(super) insertions: Vec<Insertion>,
    pub(super) receipts: Vec<R>,
    /// Bytes of the budget that are free again.
    pub(super) bytes: u64,
}

pub(super) struct KeyBuffer<R> {
    pub(super) list: Arc<ListKey>,
    pub(super) place: Place,
    /// Attempts of the current batch that failed in a row.
    pub(super) failures: u32,
    /// What stopped the latest of them.
    pub(super) failure: Option<Arc<WriterError>>,
    /// Whether the budget counts what is in memory as a failing key's.
    pub(super) suspect: bool,
    /// What it takes of the byte budget.
    bytes: u64,
    /// All that is not durable; the batch is the first `batch_len` of them.
    insertions: VecDeque<Insertion>,
    batch_len: usize,
    idempotency_key: u128,
    calls: VecDeque<Call<R>>,
    /// Value bytes beyond the batch.
    collected_bytes: u64,
    /// Insertions ever taken, and those that have left the memory: a flush waits for the second to reach the first.
    taken: u64,
    gone: u64,
    barriers: Vec<Barrier>,
}

impl<R> KeyBuffer<R> {
    pub(super) fn new(list: Arc<ListKey>, now: Duration) -> Self {
        Self {
            list,
            place: Place::Collecting(now),
            failures: 0,
            failure: None,
            suspect: false,
            bytes: 0,
            insertions: VecDeque::new(),
            batch_len: 0,
            idempotency_key: 0,
            calls: VecDeque::new(),
            collected_bytes: 0,
            taken: 0,
            gone: 0,
            barriers: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, now: Duration, insertions: Vec<Insertion>, receipt: R) {
        self.bytes += charge(&self.list, &insertions);
        self.taken += insertions.len() as u64;
        self.collected_bytes += value_bytes(&insertions);
        let (outstanding, appended) = (insertions.len(), Appended::default());
        self.calls.push_back(Call { at: now, outstanding, done: 0, appended, receipt: Some(receipt) });
        self.insertions.extend(insertions);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.insertions.is_empty()
    }

    /// Insertions that are not durable.
    pub(super) fn len(&self) -> usize {
        self.insertions.len()
    }

    /// When the oldest call that is not durable came.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.calls.front().map(|call| call.at)
    }

    /// Whether what has been collected beyond the batch must not wait any longer, whatever its age.
    pub(super) fn is_due(&self, thresholds: &BatchThresholds) -> bool {
        let collected = (self.insertions.len() - self.batch_len) as u64;
        collected >= thresholds.items || self.collected_bytes >= thresholds.value_bytes || !self.barriers.is_empty()
    }

    /// A flush waits for all that has been taken so far.
    pub(super) fn add_barrier(&mut self, flush: u64) {
        self.barriers.push(Barrier { flush, until: self.taken });
    }

    /// A flush waits for the next success or failure, whatever comes after.
    pub(super) fn add_attempt_barrier(&mut self, flush: u64) {
        self.barriers.push(Barrier { flush, until: self.gone + 1 });
    }

    pub(super) fn barriers(&self) -> &[Barrier] {
        &self.barriers
    }

    /// The flushes that what is durable has reached.
    pub(super) fn reached_barriers(&mut self) -> Vec<Barrier> {
        let gone = self.gone;
        self.barriers.extract_if(.., |barrier| barrier.until <= gone).collect()
    }

    /// All flushes, which a failure ends.
    pub(super) fn take_barriers(&mut self) -> Vec<Barrier> {
        std::mem::take(&mut self.barriers)
    }

    /// What this flush waits for, which it does no longer.
    pub(super) fn take_barrier(&mut self, flush: u64) -> Option<Barrier> {
        let place = self.barriers.iter().position(|barrier| barrier.flush == flush)?;
        Some(self.barriers.remove(place))
    }

    /// Whether some of what was there when the barrier was set is in memory still.
    pub(super) fn is_behind(&self, until: u64) -> bool {
        self.gone < until
    }

    /// Insertions ever taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What it takes of the byte budget.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The batch to be sent: the one that failed before, unchanged, or the next one under a new idempotency key.
    pub(super) fn batch(
        &mut self,
        thresholds: &BatchThresholds,
        new_key: impl FnOnce() -> u128,
    ) -> (Vec<Insertion>, u128) {
        if self.batch_len == 0 {
            self.batch_len = self.cut(thresholds);
            self.idempotency_key = new_key();
            self.collected_bytes -= value_bytes(self.insertions.range(..self.batch_len));
        }
        (self.insertions.range(..self.batch_len).cloned().collect(), self.idempotency_key)
    }

    /// How many insertions make the next batch: whole calls until a threshold is reached, as far as one commit holds
    /// them. A call that no commit holds is cut where the writer would split it.
    fn cut(&self, thresholds: &BatchThresholds) -> usize {
        let (mut end, mut plain_bytes, mut bytes) = (0, 0, 0);
        for call in &self.calls {
            let first = end;
            for insertion in self.insertions.range(first..first + call.outstanding) {
                let size = insertion_size(insertion);
                if end > 0 && (end == MAX_COMMIT_ITEMS || plain_bytes + size > MAX_COMMIT_PLAIN_BYTES) {
                    return if first == 0 { end } else { first };
                }
                end += 1;
                plain_bytes += size;
                bytes += insertion.value.len() as u64;
            }
            if end as u64 >= thresholds.items || bytes >= thresholds.value_bytes {
                break;
            }
        }
        end
    }

    /// The first `count` insertions of the batch are durable, as `appended` says.
    pub(super) fn acknowledge(&mut self, count: usize, appended: &Appended) -> Acknowledged<R> {
        let count = count.min(self.batch_len);
        let insertions: Vec<Insertion> = self.insertions.drain(..count).collect();
        self.batch_len -= count;
        self.gone += count as u64;
        let offsets = attribution::offsets(&insertions, appended);
        let mut acknowledged = Acknowledged { receipts: Vec::new(), bytes: 0 };
        acknowledged.bytes += insertions.iter().map(insertion_charge).sum::<u64>();
        let mut rest = 0..count;
        while !rest.is_empty() {
            let Some(call) = self.calls.front_mut() else { break };
            let part = rest.start..rest.start + call.outstanding.min(rest.len());
            rest.start = part.end;
            call.outstanding -= part.len();
            call.appended.conflict_count += appended.conflict_count;
            for (position, offset) in (call.done..).zip(offsets.iter().flat_map(|offsets| &offsets[part.clone()])) {
                match offset {
                    Some(offset) => call.appended.add(*offset..*offset + 1),
                    None => call.appended.add_duplicates(position..position + 1),
                }
            }
            call.done += part.len() as u64;
            if offsets.is_none()
                && let Some(receipt) = call.receipt.take()
            {
                let list = self.list.to_string();
                acknowledged.receipts.push((receipt, Err(WriterError::UnexpectedReceipt { list })));
            }
            if call.outstanding == 0
                && let Some(call) = self.calls.pop_front()
            {
                acknowledged.bytes += call_charge(&self.list);
                acknowledged.receipts.extend(call.receipt.map(|receipt| (receipt, Ok(call.appended))));
            }
        }
        self.bytes -= acknowledged.bytes;
        acknowledged
    }

    /// Gives up what was in memory when `until` insertions had been taken. No append is under way.
    pub(super) fn discard(&mut self, until: u64) -> Discarded<R> {
        let mut discarded = Discarded { insertions: Vec::new(), receipts: Vec::new(), bytes: 0 };
        let mut left = usize::try_from(until.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        while left > 0
            && let Some(call) = self.calls.pop_front()
        {
            left -= call.outstanding.min(left);
            let insertions = self.insertions.drain(..call.outstanding);
            discarded.bytes += call_charge(&self.list);
            discarded.insertions.extend(insertions);
            discarded.receipts.extend(call.receipt);
        }
        discarded.bytes += discarded.insertions.iter().map(insertion_charge).sum::<u64>();
        self.gone += discarded.insertions.len() as u64;
        self.bytes -= discarded.bytes;
        self.batch_len = 0;
        self.collected_bytes = value_bytes(&self.insertions);
        discarded
    }

    /// The receipts that are still open, to be told of a failure.
    pub(super) fn take_receipts(&mut self) -> Vec<R> {
        self.calls.iter_mut().filter_map(|call| call.receipt.take()).collect()
    }
}

fn value_bytes<'a>(insertions: impl IntoIterator<Item = &'a Insertion>) -> u64 {
    insertions.into_iter().map(|insertion| insertion.value.len() as u64).sum()
}
