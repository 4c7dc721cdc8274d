//! An append that was given up after its commit had been sent: kept, so that it can be taken up again.

use klstore_format::FormatError;
use klstore_format::plan::{AppendOutcome, Session};

use crate::driver::Underway;

/// The plan of an append, with the session in it.
pub(crate) type AppendUnderway = Underway<Result<(Session, AppendOutcome), FormatError>>;

/// Memory of an insertion in a plan beside its value, which it shares with the caller's.
const INSERTION_BYTES: usize = 256;

/// A commit that may be in the list, or may yet come to be. Sending the identical bytes again decides (PROTOCOL
/// rules 1 and 3); once this is dropped, only nonces keep its items from being appended twice.
pub(crate) struct InDoubt {
    idempotency_key: u128,
    insertion_count: usize,
    underway: AppendUnderway,
}

impl InDoubt {
    pub(crate) fn new(idempotency_key: u128, insertion_count: usize, underway: AppendUnderway) -> Self {
        Self { idempotency_key, insertion_count, underway }
    }

    /// How many insertions it is of, and the plan to go on with, where it is the append that is made again.
    pub(crate) fn resume(self, idempotency_key: Option<u128>, insertions: usize) -> Option<(usize, AppendUnderway)> {
        let same = Some(self.idempotency_key) == idempotency_key && self.insertion_count <= insertions;
        same.then_some((self.insertion_count, self.underway))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.underway.body_bytes() + self.insertion_count * INSERTION_BYTES
    }
}
