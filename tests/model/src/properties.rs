//! What must hold (the numbered list of PROTOCOL.md), checked at every change of the store against the true history.

use crate::index::{Source, source};
use crate::short::ShortList;
use crate::state::State;
use crate::world::{CommitId, Kind, NONE, STUB, World, object};

/// What went wrong, by the number of the property in PROTOCOL.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// 1: an acknowledged append is absent, or an item is there twice.
    Append,
    /// 2: the list changed other than by growing, or a reader saw what it never was.
    History,
    /// 3: a nonce appears twice or out of order, or an acknowledged duplicate is absent.
    Nonce,
    /// 4: a writer or a reader does not finish alone.
    Stuck,
    /// 5: something that the newest commit refers to is gone.
    Deleted,
    /// 6: `start` went back, or live items were lost.
    Start,
    /// The newest commit's index or ledger does not say what the history says.
    Index,
    /// No violation: the landmark that the run looks for is reached.
    Landmark,
}

/// Every violation with the name of its property.
pub const VIOLATIONS: [(Violation, &str); 8] = [
    (Violation::Append, "1: acknowledged exactly once"),
    (Violation::History, "2: one growing history"),
    (Violation::Nonce, "3: nonces increase"),
    (Violation::Stuck, "4: everyone finishes alone"),
    (Violation::Deleted, "5: nothing live deleted"),
    (Violation::Start, "6: start never goes back"),
    (Violation::Index, "index and ledger are right"),
    (Violation::Landmark, "the landmark is not reached"),
];

impl Violation {
    /// The name of the property.
    pub fn name(self) -> &'static str {
        VIOLATIONS.iter().find(|(violation, _)| *violation == self).map_or("", |(_, name)| name)
    }
}

impl State {
    /// A commit took its name: does the history go on with it, or is it a ghost under a name that was freed?
    pub fn extend_history(&mut self, nonces: bool, id: CommitId) {
        let commit = self.world.commit(id);
        let end = self.world.next_seq(self.world.tip);
        if commit.seq < end {
            return;
        }
        if commit.seq > end || commit.parent != self.world.tip {
            return self.fail(Violation::History);
        }
        let parent = self.world.commit(commit.parent);
        if commit.item != NONE && self.world.holds_item(commit.item) {
            self.fail(if nonces { Violation::Nonce } else { Violation::Append });
        }
        if nonces && commit.item != NONE && commit.item < parent.nonce {
            self.fail(Violation::Nonce);
        }
        if commit.start < parent.start {
            self.fail(Violation::Start);
        }
        if commit.carry != NONE {
            let before = commit.first.checked_sub(1).map(|offset| self.world.item_at(commit.parent, offset));
            if before != Some(commit.carry) || commit.first <= commit.start {
                self.fail(Violation::History);
            }
        }
        self.world.tip = id;
        if commit.index != parent.index {
            if commit.covered < parent.covered {
                self.fail(Violation::Index);
            }
            if let Err(violation) = self.world.check_index(id) {
                self.fail(violation);
            }
        }
        self.check_live();
    }

    /// Property 5, after anything was deleted or published.
    pub fn check_live(&mut self) {
        if !self.world.is_live() {
            self.fail(Violation::Deleted);
        }
    }
}

impl World {
    /// Whether everything that the newest commit refers to exists and is what it refers to.
    fn is_live(&self) -> bool {
        let tip = self.commit(self.tip);
        let reachable = self.reachable(tip.index, 0);
        let mut id = self.tip;
        while id != NONE {
            let commit = self.commit(id);
            let referred = commit.seq >= tip.covered || reachable.commits & crate::world::bit(id) != 0;
            if referred && self.slot(commit.seq) != id {
                return false;
            }
            id = commit.parent;
        }
        reachable.objects & !self.objects == 0
    }

    /// Whether the index of `id`, the newest commit, holds every live item below C, and the ledger every handover.
    fn check_index(&self, id: CommitId) -> Result<(), Violation> {
        let commit = self.commit(id);
        let head = self.compaction(commit.index);
        if head.covers != commit.covered {
            return Err(Violation::Index);
        }
        let end = self.commit(self.chain_at(id, commit.covered)).first;
        let mut position = None;
        for entry in self.entries(commit.index).iter() {
            let (first, next) = self.range(entry);
            if position.is_some_and(|position| position != first) || !self.holds_truth(entry, id) {
                return Err(Violation::Index);
            }
            if position.is_none() && first > commit.start {
                return Err(Violation::Start);
            }
            position = Some(next);
        }
        // Everything may have been left out below `start`.
        let reached = position.unwrap_or(commit.start);
        if reached < end || position.is_some_and(|position| position != end) {
            return Err(Violation::Start);
        }
        let mut ledger = ShortList::<12>::default();
        for page in head.ledger_pages.iter() {
            self.compaction(page).ledger.iter().for_each(|handover| ledger.push(handover));
        }
        head.handovers.iter().for_each(|handover| ledger.push(handover));
        let handovers = (0..commit.covered).map(|seq| self.chain_at(id, seq)).filter(|&at| self.is_handover(at));
        if ledger.iter().eq(handovers) { Ok(()) } else { Err(Violation::Index) }
    }

    /// Whether an entry's items are those of the history that ends with `end`.
    pub fn holds_truth(&self, entry: u8, end: CommitId) -> bool {
        match source(entry) {
            Source::Commit(id) => self.in_chain(end, id),
            Source::Segment(id, kind) => {
                let (compaction, (first, next)) = (self.compaction(id), self.range(entry));
                self.in_chain(end, compaction.base)
                    && compaction.writes(kind)
                    && (first..next).all(|at| self.item_at(compaction.base, at) == self.item_at(end, at))
            }
        }
    }

    /// Where an entry's items lie: an object's number, or a commit.
    pub fn is_there(&self, entry: u8) -> bool {
        match source(entry) {
            Source::Commit(id) => !matches!(self.slot(self.commit(id).seq), NONE | STUB),
            Source::Segment(id, kind) => self.exists(object(id, kind)),
        }
    }

    /// Whether a head page exists.
    pub fn head_exists(&self, index: u8) -> bool {
        index == NONE || self.exists(object(index, Kind::Head))
    }
}
