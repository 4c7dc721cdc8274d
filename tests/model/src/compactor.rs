//! Compaction in the background of a writer (rules 7 and 8): its objects are written one after the other, and each PUT
//! may be delayed past a time-out, a pause or another writer's publication.

use crate::bounds::Bounds;
use crate::state::State;
use crate::world::{COMPACTIONS, CommitId, CompactionId, KINDS, Kind, NONE, WRITER_COMPACTIONS, World, bit, object};
use crate::writer::Operation;
use crate::{Rule, Violation};

/// The rule that makes a publication wait for a kind of object.
fn waits_for(kind: Kind) -> Rule {
    match kind {
        Kind::Segment | Kind::SecondSegment => Rule::SegmentsBeforePublish,
        Kind::Leaf => Rule::LeafBeforePublish,
        Kind::Ledger => Rule::LedgerBeforePublish,
        Kind::Head => Rule::IndexBeforePublish,
    }
}

impl State {
    /// Rule 7: begins a compaction of the commits `[S.C, covers)`.
    pub fn begin_compaction(&mut self, bounds: &Bounds, at: usize, covers: u8, merge: bool) -> bool {
        let writer = &self.writers[at];
        let id = (at * WRITER_COMPACTIONS) as CompactionId + writer.compactions;
        let wish = self.world.commit(writer.snapshot).next;
        let Some(compaction) = self.world.prepare(bounds, (id, writer.snapshot, covers), merge, wish) else {
            return false;
        };
        self.world.compactions[usize::from(id)] = compaction;
        let writer = &mut self.writers[at];
        writer.job = id;
        writer.answered = 0;
        writer.compactions += 1;
        true
    }

    /// The ends that a compaction may choose: strictly above B.C, at most B.seq.
    pub fn compaction_ends(&self, bounds: &Bounds, at: usize) -> std::ops::RangeInclusive<u8> {
        let snapshot = self.writers[at].snapshot;
        let newest = self.world.commit(snapshot);
        let end = if snapshot == NONE { 0 } else { newest.seq };
        let first = newest.covered + u8::from(bounds.kept(Rule::CoverMore));
        if bounds.any_end || !bounds.kept(Rule::CoverMore) { first..=end } else { first.max(end)..=end }
    }

    /// The object to write next: in the order of `KINDS`, those last that this run does not wait for.
    pub fn next_object(&self, bounds: &Bounds, at: usize) -> Option<Kind> {
        let writer = &self.writers[at];
        let job = self.world.compactions.get(usize::from(writer.job))?;
        let unanswered = |kind: &Kind| job.writes(*kind) && writer.answered & 1 << *kind as u8 == 0;
        let awaited = KINDS.into_iter().filter(|&kind| bounds.kept(waits_for(kind))).find(unanswered);
        awaited.or_else(|| KINDS.into_iter().find(unanswered))
    }

    /// Rule 8: whether the writer's compaction may be published.
    pub fn is_prepared(&self, bounds: &Bounds, at: usize) -> bool {
        let job = self.writers[at].job;
        job != NONE && self.next_object(bounds, at).is_none_or(|kind| !bounds.kept(waits_for(kind)))
    }

    /// The next object's PUT takes effect and is answered.
    pub fn put_object(&mut self, bounds: &Bounds, at: usize) {
        if let Some(kind) = self.next_object(bounds, at) {
            self.world.objects |= bit(object(self.writers[at].job, kind));
            self.writers[at].answered |= 1 << kind as u8;
        }
    }

    /// The next object's PUT is not answered: it may take effect later. The compactor sends it again, or gives up.
    pub fn object_timed_out(&mut self, bounds: &Bounds, at: usize) {
        if let Some(kind) = self.next_object(bounds, at) {
            self.world.late.objects |= bit(object(self.writers[at].job, kind));
        }
    }

    /// Drops the compaction. The PUT under way may still take effect.
    pub fn drop_job(&mut self, at: usize) {
        let unanswered = self.next_object(&Bounds::default(), at);
        let writer = &mut self.writers[at];
        if let Some(kind) = unanswered {
            self.world.late.objects |= bit(object(writer.job, kind));
        }
        writer.job = NONE;
        writer.answered = 0;
        // Without the job there is nothing to publish.
        if writer.operation == Some(Operation::Publish) && writer.sending == NONE {
            writer.operation = None;
        }
    }

    /// Rule 8: a Load throws the prepared index away where C has moved. A commit under way that publishes it goes on by
    /// itself.
    pub fn discard_prepared(&mut self, bounds: &Bounds, at: usize, newest: CommitId) {
        let job = self.writers[at].job;
        if job == NONE || !bounds.kept(Rule::DiscardPrepared) {
            return;
        }
        let covered = self.world.commit(newest).covered;
        let compaction = self.world.compaction(job);
        let moved = covered != self.world.commit(compaction.base).covered;
        let overtaken = covered >= compaction.covers;
        if overtaken || moved && bounds.kept(Rule::DiscardOnAnyChange) {
            self.drop_job(at);
        }
    }

    /// A request about a segment or page that nobody waits for takes effect.
    pub fn land_object(&mut self, number: u8) {
        self.world.late.objects &= !bit(number);
        self.world.objects |= bit(number);
    }

    /// A DELETE of a segment or page takes effect.
    pub fn delete_object(&mut self, number: u8) {
        self.world.late.object_deletes &= !bit(number);
        self.world.objects &= !bit(number);
        self.check_live();
    }

    /// A DELETE of a commit's name (or a stub over it) takes effect.
    pub fn overwrite_name(&mut self, seq: u8, with: u8) {
        let late = &mut self.world.late;
        if with == NONE {
            late.name_deletes &= !(1 << seq)
        } else {
            late.name_stubs &= !(1 << seq)
        }
        self.world.log[usize::from(seq)] = with;
        self.check_live();
        if self.world.next_seq(self.world.tip) <= seq {
            self.fail(Violation::History);
        }
    }
}

impl World {
    /// Every object of a kind.
    pub fn all_of(&self, kind: Kind) -> u32 {
        (0..COMPACTIONS as u8).fold(0, |all, id| all | bit(object(id, kind)))
    }
}
