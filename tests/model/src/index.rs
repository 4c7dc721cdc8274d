//! What a compaction prepares, and what is reachable from a commit: head page, leaf pages, ledger pages, segments.

use crate::Rule;
use crate::bounds::{Bounds, Choice};
use crate::short::ShortList;
use crate::world::{COMMITS, CommitId, CompactionId, KINDS, Kind, NONE, World, bit, object, session};

/// Entries that the head page's open leaf can hold in the model.
pub const OPEN_ENTRIES: usize = 5;
/// Handovers that the head page keeps inline.
pub const INLINE_HANDOVERS: usize = 1;

/// Index entries: a commit's number is above all segments' numbers.
const COMMIT_ENTRY: u8 = 32;

/// What an index entry refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A segment of a compaction.
    Segment(CompactionId, Kind),
    /// A complete commit.
    Commit(CommitId),
}

/// Reads an entry.
pub fn source(entry: u8) -> Source {
    match entry.checked_sub(COMMIT_ENTRY) {
        Some(commit) => Source::Commit(commit),
        None if entry.is_multiple_of(2) => Source::Segment(entry / 2, Kind::Segment),
        None => Source::Segment(entry / 2, Kind::SecondSegment),
    }
}

/// The contents of everything that one compaction writes; they follow from its base, so they are fixed at its begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Compaction {
    /// Whether there is one.
    pub begun: bool,
    /// B, the commit it was prepared on.
    pub base: CommitId,
    /// X, the end of the commits it covers.
    pub covers: u8,
    /// Offsets of its segments: first and end.
    pub segments: [(u8, u8); 2],
    /// Entries of its leaf page; empty where it writes none.
    pub leaf: ShortList<3>,
    /// Handovers (by commit) of its ledger page; empty where it writes none.
    pub ledger: ShortList<6>,
    /// Head page: compactions whose leaf pages it names.
    pub leaves: ShortList<4>,
    /// Head page: the open leaf's entries.
    pub open: ShortList<OPEN_ENTRIES>,
    /// Head page: compactions whose ledger pages it names.
    pub ledger_pages: ShortList<4>,
    /// Head page: the newest handovers.
    pub handovers: ShortList<6>,
}

impl Compaction {
    /// Which objects it writes.
    pub fn writes(&self, kind: Kind) -> bool {
        match kind {
            Kind::Segment => self.segments[0].1 > self.segments[0].0,
            Kind::SecondSegment => self.segments[1].1 > self.segments[1].0,
            Kind::Leaf => !self.leaf.is_empty(),
            Kind::Ledger => !self.ledger.is_empty(),
            Kind::Head => true,
        }
    }

    /// Whether the bounds were too small for it.
    pub fn overflowed(&self) -> bool {
        self.leaf.overflowed()
            || self.ledger.overflowed()
            || self.leaves.overflowed()
            || self.open.overflowed()
            || self.ledger_pages.overflowed()
            || self.handovers.overflowed()
    }
}

/// Objects and complete commits that can be reached from a head page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reachable {
    /// Segments and pages.
    pub objects: u32,
    /// Complete commits.
    pub commits: u32,
}

impl World {
    /// The compaction that wrote an index; an empty one for `NONE`.
    pub fn compaction(&self, id: CompactionId) -> Compaction {
        self.compactions.get(usize::from(id)).copied().unwrap_or_default()
    }

    /// Offsets of an index entry.
    pub fn range(&self, entry: u8) -> (u8, u8) {
        match source(entry) {
            Source::Segment(id, Kind::Segment) => self.compaction(id).segments[0],
            Source::Segment(id, _) => self.compaction(id).segments[1],
            Source::Commit(id) => (self.commit(id).first, self.commit(id).next),
        }
    }

    /// Rule 7: what a compaction `id` of the commits `[base.C, covers)` writes. `merge` takes in the trailing partial
    /// segments (and complete commits) of the open leaf; `wish` is a trim that is only wished for.
    pub fn prepare(
        &self,
        bounds: &Bounds,
        (id, base, covers): (CompactionId, CommitId, u8),
        merge: bool,
        wish: u8,
    ) -> Option<Compaction> {
        let newest = self.commit(base);
        let old = self.compaction(newest.index);
        let mut new = Compaction {
            begun: true,
            base,
            covers,
            leaves: old.leaves,
            open: old.open,
            ledger_pages: old.ledger_pages,
            handovers: old.handovers,
            ..Compaction::default()
        };
        // Rule 7: below B.start, not below a wish.
        let start = if bounds.kept(Rule::DropBelowStart) { newest.start } else { newest.start.max(wish) };
        new.leave_out_below(self, start);

        let mut merged_first = None;
        while let Some(entry) = new.open.last().filter(|_| merge) {
            merged_first = Some(self.range(entry).0);
            new.open.pop();
        }
        if merge && merged_first.is_none() && bounds.merges == Choice::Either {
            // The same as without a merge.
            return None;
        }
        let mut part = merged_first.map(|first| (first, self.end_of_index(newest.covered, base)));
        for seq in newest.covered..covers {
            let commit_id = self.chain_at(base, seq);
            let commit = self.commit(commit_id);
            if self.is_handover(commit_id) {
                new.handovers.push(commit_id);
            }
            if commit.item == NONE || commit.next <= start {
                continue;
            }
            if commit.complete {
                new.close_segment(id, &mut part)?;
                new.open.push(COMMIT_ENTRY + commit_id);
            } else {
                part = Some((part.map_or(commit.first, |(first, _)| first), commit.next));
            }
        }
        new.close_segment(id, &mut part)?;
        new.fill_leaf(bounds, id);
        new.overflow_handovers(bounds, self, id);
        (!new.overflowed()).then_some(new)
    }

    /// The first offset of commit `covered` in the chain of `base`.
    fn end_of_index(&self, covered: u8, base: CommitId) -> u8 {
        self.commit(self.chain_at(base, covered)).first
    }

    /// Everything reachable from an index. `missing` leaves (by position) count as referring to nothing.
    pub fn reachable(&self, index: CompactionId, missing: u8) -> Reachable {
        let mut reachable = Reachable::default();
        if index == NONE {
            return reachable;
        }
        let head = self.compaction(index);
        reachable.objects |= bit(object(index, Kind::Head));
        for page in head.ledger_pages.iter() {
            reachable.objects |= bit(object(page, Kind::Ledger));
        }
        for (position, page) in head.leaves.iter().enumerate() {
            reachable.objects |= bit(object(page, Kind::Leaf));
            if missing & 1 << position == 0 {
                self.compaction(page).leaf.iter().for_each(|entry| reachable.add(entry));
            }
        }
        head.open.iter().for_each(|entry| reachable.add(entry));
        reachable
    }

    /// The index entries in order of offsets.
    pub fn entries(&self, index: CompactionId) -> ShortList<16> {
        let mut entries = ShortList::default();
        let head = self.compaction(index);
        for page in head.leaves.iter() {
            self.compaction(page).leaf.iter().for_each(|entry| entries.push(entry));
        }
        head.open.iter().for_each(|entry| entries.push(entry));
        entries
    }

    /// The last of these handovers with a number of at most `seq`.
    pub fn last_handover(&self, handovers: impl DoubleEndedIterator<Item = u8>, seq: u8) -> Option<CommitId> {
        handovers.rev().find(|&id| self.commit(id).seq <= seq)
    }

    /// The ledger page that decides for `seq`, where the head page's own handovers do not.
    pub fn ledger_page(&self, head: &Compaction, seq: u8) -> Option<CompactionId> {
        let first_seq = |page: u8| self.compaction(page).ledger.as_slice().first().map(|&id| self.commit(id).seq);
        head.ledger_pages.iter().rev().find(|&page| first_seq(page).is_some_and(|first| first <= seq))
    }

    /// Whether the session of `commit` holds the handover `found`.
    pub fn same_session(&self, found: Option<CommitId>, commit: CommitId) -> bool {
        found.is_some_and(|found| session(found) == session(commit))
    }
}

impl Reachable {
    fn add(&mut self, entry: u8) {
        match source(entry) {
            Source::Segment(id, kind) => self.objects |= bit(object(id, kind)),
            Source::Commit(id) => self.commits |= bit(id),
        }
    }
}

impl Compaction {
    fn leave_out_below(&mut self, world: &World, start: u8) {
        let below = |entry: u8| world.range(entry).1 <= start;
        while let Some(page) = self.leaves.as_slice().first() {
            if !world.compaction(*page).leaf.iter().all(below) {
                return;
            }
            self.leaves.take_first();
        }
        while self.open.as_slice().first().copied().is_some_and(below) {
            self.open.take_first();
        }
    }

    /// Ends the segment in progress; `None` where a third one would be needed.
    fn close_segment(&mut self, id: CompactionId, part: &mut Option<(u8, u8)>) -> Option<()> {
        let Some(range) = part.take() else { return Some(()) };
        let free = self.segments.iter().position(|segment| segment.1 == 0)?;
        self.segments[free] = range;
        self.open.push(id * 2 + free as u8);
        Some(())
    }

    /// Moves the oldest entries to a leaf page once the open leaf holds more than a leaf does.
    fn fill_leaf(&mut self, bounds: &Bounds, id: CompactionId) {
        if self.open.len() <= bounds.leaf_entries {
            return;
        }
        for _ in 0..bounds.leaf_entries {
            if let Some(entry) = self.open.take_first() {
                self.leaf.push(entry);
            }
        }
        self.leaves.push(id);
    }

    /// Moves all but the newest handovers to a ledger page: merged with the last page where they fit, else a new one.
    fn overflow_handovers(&mut self, bounds: &Bounds, world: &World, id: CompactionId) {
        let mut overflow = ShortList::<6>::default();
        while self.handovers.len() > INLINE_HANDOVERS {
            if let Some(handover) = self.handovers.take_first() {
                overflow.push(handover);
            }
        }
        if overflow.is_empty() || !bounds.kept(Rule::LedgerKeepsOverflow) {
            return;
        }
        let last = self.ledger_pages.last().map(|page| world.compaction(page).ledger);
        if let Some(last) = last.filter(|last| last.len() + overflow.len() <= bounds.ledger_entries) {
            self.ledger_pages.pop();
            self.ledger = last;
        }
        overflow.iter().for_each(|handover| self.ledger.push(handover));
        self.ledger_pages.push(id);
    }
}

const _: () = assert!(COMMITS <= 32 && KINDS.len() * crate::world::COMPACTIONS <= 32);
