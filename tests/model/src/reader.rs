//! Readers: the whole list (rule 12), the tail (rule 13), and a continuation token that names a commit.

use crate::bounds::Bounds;
use crate::index::{Source, source};
use crate::short::ShortList;
use crate::state::State;
use crate::world::{CommitId, Kind, Load, NONE, STUB, object};
use crate::{Rule, Violation};

/// How far a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Not begun.
    #[default]
    Idle,
    /// A Load comes next.
    Loading,
    /// Reading the snapshot object by object.
    Reading,
    /// Through.
    Done,
}

/// A reader of the whole list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// How far it is.
    pub progress: Progress,
    /// The newest commit when the read began: everything up to it must be seen.
    pub began_at: CommitId,
    /// What its LIST named.
    pub listed: Option<CommitId>,
    /// The commit that its Load brought.
    pub snapshot: CommitId,
    /// Objects read.
    pub read: u8,
    /// Whether anything that it took in differs from the history.
    pub wrong: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self { progress: Progress::Idle, began_at: NONE, listed: None, snapshot: NONE, read: 0, wrong: false }
    }
}

/// A follower of the tail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Follower {
    /// The last commit that it has read.
    pub at: CommitId,
}

impl Default for Follower {
    fn default() -> Self {
        Self { at: NONE }
    }
}

/// One GET of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Get {
    /// A page: read to find what comes next.
    Page(u8),
    /// An index entry's segment or complete commit.
    Entry(u8),
    /// A commit of the table.
    Commit(CommitId),
}

impl State {
    /// The next GET of a read of the reader's snapshot; `None` where all is read.
    fn next_get(&self) -> Option<Get> {
        let snapshot = self.reader.snapshot;
        let newest = self.world.commit(snapshot);
        let mut gets = Vec::new();
        let entries: ShortList<16> = self.world.entries(newest.index);
        if entries.iter().any(|entry| self.world.range(entry).1 > newest.start) {
            gets.push(Get::Page(object(newest.index, Kind::Head)));
            let head = self.world.compaction(newest.index);
            gets.extend(head.leaves.iter().map(|page| Get::Page(object(page, Kind::Leaf))));
            gets.extend(entries.iter().filter(|&entry| self.world.range(entry).1 > newest.start).map(Get::Entry));
        }
        if snapshot != NONE {
            let table = (newest.covered..newest.seq).map(|seq| self.world.chain_at(snapshot, seq));
            let with_items =
                table.filter(|&id| self.world.commit(id).next > newest.start.max(self.world.commit(id).first));
            gets.extend(with_items.map(Get::Commit));
        }
        gets.get(usize::from(self.reader.read)).copied()
    }

    /// Begins a read.
    pub fn begin_read(&mut self) {
        self.reader.progress = Progress::Loading;
        self.reader.began_at = self.world.tip;
    }

    /// Rule 12: one step of a read.
    pub fn read_on(&mut self, bounds: &Bounds) {
        if self.reader.progress == Progress::Loading {
            return self.reader_load(bounds);
        }
        let Some(get) = self.next_get() else { return self.end_read() };
        let (there, matches, truth) = match get {
            Get::Page(page) => (self.world.exists(page), true, true),
            Get::Commit(id) => self.get_commit(bounds, id, Rule::ReadMatchesTable),
            Get::Entry(entry) => match source(entry) {
                Source::Commit(id) => self.get_commit(bounds, id, Rule::ReadMatchesIndex),
                Source::Segment(..) => {
                    (self.world.is_there(entry), true, self.world.holds_truth(entry, self.world.tip))
                }
            },
        };
        if !there && !bounds.kept(Rule::ReadRestartsFromLoad) {
            // The same GET again: the state does not change.
        } else if !there && bounds.kept(Rule::ReadMissing) || !matches {
            let began_at = self.reader.began_at;
            self.reader = Reader { progress: Progress::Loading, began_at, ..Reader::default() };
        } else {
            self.reader.wrong |= !there || !truth;
            self.reader.read += 1;
        }
    }

    fn reader_load(&mut self, bounds: &Bounds) {
        let step = if bounds.two_step_load.reader {
            self.world.load_step(self.reader.listed, bounds.kept(Rule::LoadComparesEtag))
        } else {
            self.world.load_at_once()
        };
        match step {
            Load::Listed(id) => self.reader.listed = Some(id),
            Load::StartOver => self.reader.listed = None,
            Load::Done(snapshot) => {
                self.reader.listed = None;
                self.reader.snapshot = snapshot;
                self.reader.progress = Progress::Reading;
            }
        }
    }

    /// Whether the commit's name holds anything, what passes for the commit, and the commit itself.
    fn get_commit(&self, bounds: &Bounds, id: CommitId, rule: Rule) -> (bool, bool, bool) {
        let got = self.world.slot(self.world.commit(id).seq);
        let there = got != NONE && got != STUB;
        (there, !there || got == id || !bounds.kept(rule), got == id && self.world.in_chain(self.world.tip, id))
    }

    fn end_read(&mut self) {
        let (snapshot, began_at) = (self.reader.snapshot, self.reader.began_at);
        let of_history = self.world.in_chain(self.world.tip, snapshot);
        let is_new_enough = self.world.next_seq(snapshot) >= self.world.next_seq(began_at);
        if self.reader.wrong || !of_history || !is_new_enough {
            self.fail(Violation::History);
        }
        self.reader = Reader { progress: Progress::Done, ..Reader::default() };
    }

    /// Rule 13: the follower loads, and has then read everything up to the newest commit.
    pub fn follower_load(&mut self) {
        if let Load::Done(newest) = self.world.load_at_once() {
            self.follower.at = newest;
        }
    }

    /// Rule 13: the GET of the next commit's name.
    pub fn follow(&mut self, bounds: &Bounds) {
        let at = self.follower.at;
        let got = self.world.slot(self.world.next_seq(at));
        if got == NONE {
            // Off: 'nothing new' is believed.
            if !bounds.kept(Rule::FollowMissing) && self.world.next_seq(self.world.tip) > self.world.next_seq(at) {
                self.fail(Violation::History);
            }
        } else if got != STUB && (self.follows_session(at, got) || !bounds.kept(Rule::FollowSameSession)) {
            if !self.world.in_chain(self.world.tip, got) || self.world.commit(got).parent != at {
                self.fail(Violation::History);
            }
            self.follower.at = got;
        }
    }

    /// Commits that a token may name: those of the newest commit's table, itself, and complete ones in its index.
    pub fn commits_for_tokens(&self) -> u32 {
        let newest = self.world.commit(self.world.tip);
        let mut commits = self.world.reachable(newest.index, 0).commits;
        if self.world.tip != NONE {
            let table = (newest.covered..=newest.seq).map(|seq| self.world.chain_at(self.world.tip, seq));
            commits |= table.fold(0, |all, id| all | crate::world::bit(id));
        }
        commits
    }

    /// A continuation reads the commit that the token names, by its name and without a Load.
    pub fn read_by_token(&mut self, bounds: &Bounds) {
        let got = self.world.slot(self.world.commit(self.token).seq);
        let accepted = got != NONE && got != STUB && (got == self.token || !bounds.kept(Rule::TokenIdentity));
        if accepted && (got != self.token || !self.world.in_chain(self.world.tip, got)) {
            self.fail(Violation::History);
        }
        // Refused or read: the continuation goes on with a Load, by offset.
        self.token = NONE;
    }
}
