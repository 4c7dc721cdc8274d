//! An append that was given up after its commit had been sent: kept, so that it can be taken up again.

use std::sync::Arc;

use klstore_format::names::ListName;
use klstore_format::plan::{AppendOutcome, Session};
use klstore_format::{FormatError, Insertion};

use crate::driver::Underway;
use crate::sync::{AtomicUsize, Ordering};

/// The plan of an append, with the session in it.
pub(crate) type AppendUnderway = Underway<Result<(Session, AppendOutcome), FormatError>>;

/// Memory of an insertion in a plan beside its value, which it shares with the caller's.
const INSERTION_BYTES: usize = 256;

/// Where an append goes, and by what it is known when it is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The list's end.
    End { idempotency_key: Option<u128> },
    /// The list's end where that is this offset; by its insertions.
    Offset(u64),
}

/// By what an append that is made again is known to be the same one.
pub(crate) enum Identity {
    /// The caller's word for it.
    Key(u128),
    /// Its place in the list, and these very insertions.
    Offset(u64, Vec<Insertion>),
}

/// A commit that may be in the list, or may yet come to be. Sending the identical bytes again decides (PROTOCOL
/// rules 1 and 3); once this is dropped, only nonces keep its items from being appended twice.
pub(crate) struct InDoubt {
    identity: Identity,
    insertion_count: usize,
    underway: AppendUnderway,
    _room: TakenRoom,
}

/// The memory that all commits in doubt may take together.
#[derive(Clone)]
pub(crate) struct Room(Arc<RoomState>);

struct RoomState {
    limit: usize,
    taken: AtomicUsize,
}

struct TakenRoom {
    room: Arc<RoomState>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(RoomState { limit, taken: AtomicUsize::new(0) }))
    }

    /// Keeps an append of so many insertions, where there is room for it.
    pub(crate) fn keep(
        &self,
        list: &ListName,
        identity: Identity,
        insertion_count: usize,
        underway: AppendUnderway,
    ) -> Option<InDoubt> {
        let insertions = match &identity {
            Identity::Key(_) => insertion_count,
            // Once more beside those in the plan, with which they share the values.
            Identity::Offset(_, insertions) => insertion_count + insertions.len(),
        };
        let bytes = underway.body_bytes() + insertions * INSERTION_BYTES;
        let taken = self.0.taken.fetch_add(bytes, Ordering::Relaxed);
        let room = TakenRoom { room: self.0.clone(), bytes };
        if taken + bytes > self.0.limit {
            tracing::warn!(
                %list,
                "no room for a commit in doubt: appended again, its items are there once only if they have nonces"
            );
            return None;
        }
        Some(InDoubt { identity, insertion_count, underway, _room: room })
    }
}

impl Drop for TakenRoom {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Place {
    /// The identity of a commit of these insertions; `None` where nobody could come back to it.
    pub(crate) fn identity(self, insertions: &[Insertion]) -> Option<Identity> {
        match self {
            Self::End { idempotency_key } => idempotency_key.map(Identity::Key),
            Self::Offset(offset) => Some(Identity::Offset(offset, insertions.to_vec())),
        }
    }
}

impl InDoubt {
    /// How many insertions it is of, and the plan to go on with, where it is the append that is made again.
    pub(crate) fn resume(self, wanted: Place, insertions: &[Insertion]) -> Option<(usize, AppendUnderway)> {
        let same = match &self.identity {
            Identity::Key(key) => {
                wanted == Place::End { idempotency_key: Some(*key) } && self.insertion_count <= insertions.len()
            }
            Identity::Offset(offset, own) => wanted == Place::Offset(*offset) && insertions.starts_with(own),
        };
        same.then_some((self.insertion_count, self.underway))
    }
}
