//! Sweepers (rules 10 and 11): Load, learn page by page what is reachable while the list moves, then delete.
//!
//! A sweeper never ends: it may wake up after any pause and send another DELETE of what it once found superfluous.

use crate::Rule;
use crate::bounds::{Bounds, Choice, Sweep};
use crate::state::State;
use crate::world::{COMPACTIONS, CommitId, Kind, Load, NONE, STUB, bit, object};

/// One sweeper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sweeper {
    /// Whether it has loaded.
    pub loaded: bool,
    /// The newest commit as it found it.
    pub snapshot: CommitId,
    /// What its LIST named.
    pub listed: Option<CommitId>,
    /// Whether it has read the head page.
    pub head_read: bool,
    /// The leaves read, by position in the head page.
    pub leaves_read: u8,
    /// The leaves found missing (only where the rule about them is off).
    pub leaves_missing: u8,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self { loaded: false, snapshot: NONE, listed: None, head_read: false, leaves_read: 0, leaves_missing: 0 }
    }
}

impl State {
    /// Whether the sweeper knows what is reachable.
    pub fn sweeper_is_ready(&self, bounds: &Bounds, at: usize) -> bool {
        let sweeper = &self.sweepers[at];
        sweeper.loaded && (!self.sweeper_needs_pages(bounds, at) || self.next_leaf(at).is_none() && sweeper.head_read)
    }

    fn sweeper_needs_pages(&self, bounds: &Bounds, at: usize) -> bool {
        let indexed = self.world.commit(self.sweepers[at].snapshot).index != NONE;
        indexed && (bounds.sweepers[at] == Sweep::Objects || bounds.complete != Choice::Never)
    }

    /// The next leaf to read, by position and as an object.
    pub fn next_leaf(&self, at: usize) -> Option<(usize, u8)> {
        let sweeper = &self.sweepers[at];
        let head = self.world.compaction(self.world.commit(sweeper.snapshot).index);
        let page = head.leaves.iter().enumerate().find(|(position, _)| sweeper.leaves_read & 1 << position == 0);
        page.map(|(position, page)| (position, object(page, Kind::Leaf)))
    }

    /// The sweeper's next step on the way to know what is reachable.
    pub fn sweeper_learns(&mut self, bounds: &Bounds, at: usize) {
        if !self.sweepers[at].loaded {
            let listed = self.sweepers[at].listed;
            let step = if bounds.two_step_load.sweepers {
                self.world.load_step(listed, bounds.kept(Rule::LoadComparesEtag))
            } else {
                self.world.load_at_once()
            };
            self.sweepers[at] = match step {
                Load::Listed(id) => Sweeper { listed: Some(id), ..Sweeper::default() },
                Load::StartOver => Sweeper::default(),
                Load::Done(snapshot) => Sweeper { loaded: true, snapshot, ..Sweeper::default() },
            };
            return;
        }
        let index = self.world.commit(self.sweepers[at].snapshot).index;
        let (position, page) = if self.sweepers[at].head_read {
            let Some((position, page)) = self.next_leaf(at) else { return };
            (Some(position), page)
        } else {
            (None, object(index, Kind::Head))
        };
        let there = self.world.exists(page);
        if !there && bounds.kept(Rule::SweepMissingPage) {
            // It was replaced meanwhile: delete nothing, start over from Load.
            self.sweepers[at] = Sweeper::default();
            return;
        }
        let head_leaves = self.world.compaction(index).leaves.len();
        let sweeper = &mut self.sweepers[at];
        match position {
            None => {
                sweeper.head_read = true;
                if !there {
                    sweeper.leaves_read = (1 << head_leaves) - 1;
                    sweeper.leaves_missing = u8::MAX;
                }
            }
            Some(position) => {
                sweeper.leaves_read |= 1 << position;
                sweeper.leaves_missing |= u8::from(!there) << position;
            }
        }
    }

    /// What the sweeper takes for reachable.
    fn swept_around(&self, bounds: &Bounds, at: usize) -> crate::index::Reachable {
        let sweeper = &self.sweepers[at];
        let index = self.world.commit(sweeper.snapshot).index;
        let ignore_leaves = !bounds.kept(Rule::SweepReachesLeaves);
        let missing = if ignore_leaves { u8::MAX } else { sweeper.leaves_missing };
        let mut reachable = self.world.reachable(index, missing);
        if sweeper.leaves_missing == u8::MAX {
            // The head page itself was taken for one that refers to nothing.
            reachable = Default::default();
        }
        if ignore_leaves {
            reachable.objects &= !self.world.all_of(Kind::Leaf);
        }
        if !bounds.kept(Rule::SweepReachesLedger) {
            reachable.objects &= !self.world.all_of(Kind::Ledger);
        }
        if !bounds.kept(Rule::SweepUnreferencedOnly) {
            reachable.objects = 0;
        }
        reachable
    }

    /// Rule 11: the segments and pages that it may DELETE. Those that do not exist yet are among them: their X tells
    /// that they will never be published.
    pub fn sweepable_objects(&self, bounds: &Bounds, at: usize) -> u32 {
        let covered = self.world.commit(self.sweepers[at].snapshot).covered;
        let reachable = self.swept_around(bounds, at).objects;
        let begun = (0..COMPACTIONS as u8).filter(|&id| self.world.compaction(id).begun);
        let old = begun
            .filter(|&id| self.world.compaction(id).covers <= covered || !bounds.kept(Rule::SweepCoveredOnly))
            .fold(0, |all, id| all | crate::world::KINDS.iter().fold(0, |all, &kind| all | bit(object(id, kind))));
        (self.world.objects | self.world.late.objects) & old & !reachable
    }

    /// Rule 10: what the sweeper does to a name below C: `STUB`, `NONE` for a DELETE, or nothing.
    pub fn sweep_of_name(&self, bounds: &Bounds, at: usize, seq: u8) -> Option<u8> {
        let there = self.world.slot(seq);
        match there {
            NONE => None,
            STUB => (!bounds.kept(Rule::SweepKeepsStubs)).then_some(NONE),
            id if bounds.kept(Rule::SweepSparesComplete) && self.swept_around(bounds, at).commits & bit(id) != 0 => {
                None
            }
            id if self.world.is_handover(id) && bounds.kept(Rule::SweepStubsHandover) => Some(STUB),
            _ => Some(NONE),
        }
    }

    /// Sends the requests of one step of a sweep: they take effect at any time.
    pub fn sweep_name(&mut self, seq: u8, with: u8) {
        if with == STUB {
            self.world.late.name_stubs |= 1 << seq;
        } else {
            self.world.late.name_deletes |= 1 << seq;
        }
    }
}
