//! Property 4, in every state: once nothing else happens, each writer and the reader finishes within a few steps.

use crate::bounds::Bounds;
use crate::reader::Progress;
use crate::state::State;
use crate::world::{NAMES, NONE, PUTS, WRITERS};
use crate::writer::{Operation, Phase};

/// Steps that a writer may take alone: one attempt fails at most, as nobody else moves the list meanwhile.
const WRITER_STEPS: usize = 16;
/// Requests that a reader may send alone: what is left of an old snapshot, then all of the new one.
const READER_STEPS: usize = 40;

impl State {
    /// Whether every writer and the reader finishes alone.
    pub fn all_finish_alone(&self, bounds: &Bounds) -> bool {
        (0..WRITERS).all(|at| self.writer_finishes(bounds, at)) && (!bounds.reader || self.reader_finishes(bounds))
    }

    fn writer_finishes(&self, bounds: &Bounds, at: usize) -> bool {
        let mut alone = self.clone();
        let room = usize::from(alone.writers[at].puts) + 2 < PUTS
            && usize::from(self.world.next_seq(self.world.tip)) + 2 < NAMES;
        if !room {
            // No put id or name is left to show it with.
            return true;
        }
        alone.writers[at].puts_left = u8::MAX;
        let item = if bounds.nonces { alone.source } else { NONE - 2 };
        alone.writers[at].operation.get_or_insert(Operation::Append { item, complete: false });
        for _ in 0..WRITER_STEPS {
            if alone.violation.is_some() {
                return true;
            }
            let writer = &alone.writers[at];
            match writer.phase {
                Phase::Ready if writer.operation.is_none() => return true,
                Phase::Ready if !writer.loaded => alone.writer_load(bounds, at),
                Phase::Ready => alone.attempt(bounds, at),
                Phase::Sending => alone.put_commit(bounds, at),
                Phase::Resolving { .. } => alone.writer_load(bounds, at),
                Phase::ReadingHead(_) | Phase::ReadingLedger(..) => alone.read_ledger(bounds, at),
            }
        }
        false
    }

    fn reader_finishes(&self, bounds: &Bounds) -> bool {
        let mut alone = self.clone();
        if alone.reader.progress == Progress::Idle {
            alone.begin_read();
        }
        for _ in 0..READER_STEPS {
            if alone.reader.progress == Progress::Done || alone.violation.is_some() {
                return true;
            }
            alone.read_on(bounds);
        }
        false
    }
}
