//! The store and the one true history: what exists under which name, which requests may still take effect, and the
//! chain of commits that the list really is.
//!
//! A commit is identified by its session and put id, so everything that a table entry says about it (number, offsets,
//! handover) follows from that identity: a table is the walk along `parent`.

use std::hash::{Hash, Hasher};

use crate::index::Compaction;

/// No commit, no item, no compaction.
pub const NONE: u8 = u8::MAX;
/// A slot of the log that holds a stub.
pub const STUB: u8 = u8::MAX - 1;
/// Writers.
pub const WRITERS: usize = 2;
/// Sessions that one writer may use up.
pub const SESSIONS: usize = 2;
/// Commits with distinct put ids in one session.
pub const PUTS: usize = 5;
/// Commits there can ever be.
pub const COMMITS: usize = WRITERS * SESSIONS * PUTS;
/// Compactions that one writer may start.
pub const WRITER_COMPACTIONS: usize = 3;
/// Compactions there can ever be.
pub const COMPACTIONS: usize = WRITERS * WRITER_COMPACTIONS;
/// Names of commits.
pub const NAMES: usize = 10;

/// A commit's identity: session and put id in one small number.
pub type CommitId = u8;
/// A compaction; its objects are numbered by [`object`].
pub type CompactionId = u8;

/// The object of a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first segment.
    Segment = 0,
    /// The second segment: a complete commit may split what is merged.
    SecondSegment = 1,
    /// The leaf page.
    Leaf = 2,
    /// The ledger page.
    Ledger = 3,
    /// The head page.
    Head = 4,
}

/// Objects that one compaction may write.
pub const KINDS: [Kind; 5] = [Kind::Segment, Kind::SecondSegment, Kind::Leaf, Kind::Ledger, Kind::Head];

/// The number of a compaction's object.
pub fn object(compaction: CompactionId, kind: Kind) -> u8 {
    compaction * KINDS.len() as u8 + kind as u8
}

/// The bit of an object or a commit in a set.
pub fn bit(number: u8) -> u32 {
    1 << number
}

/// One commit's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    /// Its number, which is its name.
    pub seq: u8,
    /// The commit S that it builds on.
    pub parent: CommitId,
    /// Its item; `NONE` in a metadata-only commit.
    pub item: u8,
    /// Offset of its first item.
    pub first: u8,
    /// Next offset after it.
    pub next: u8,
    /// Next nonce after it.
    pub nonce: u8,
    /// C.
    pub covered: u8,
    /// The index: the compaction whose head page it names.
    pub index: CompactionId,
    /// First live offset.
    pub start: u8,
    /// The item before its own that it repeats.
    pub carry: u8,
    /// Whether it may be referred to by an index instead of being rewritten.
    pub complete: bool,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            seq: NONE,
            parent: NONE,
            item: NONE,
            first: 0,
            next: 0,
            nonce: 0,
            covered: 0,
            index: NONE,
            start: 0,
            carry: NONE,
            complete: false,
        }
    }
}

/// Requests whose sender has no answer (or waits for none): each may take effect at any later moment, or never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Late {
    /// PUTs of commits.
    pub commits: u32,
    /// PUTs of segments and pages.
    pub objects: u32,
    /// DELETEs of segments and pages.
    pub object_deletes: u32,
    /// DELETEs of commits' names.
    pub name_deletes: u16,
    /// Stubs over commits' names.
    pub name_stubs: u16,
}

/// The store and the true history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// What each commit name holds: `NONE`, `STUB` or a commit.
    pub log: [u8; NAMES],
    /// Every commit ever prepared that still matters.
    pub commits: [Commit; COMMITS],
    /// Every compaction ever begun that still matters.
    pub compactions: [Compaction; COMPACTIONS],
    /// Segments and pages that exist.
    pub objects: u32,
    /// Requests that may still take effect.
    pub late: Late,
    /// The newest commit of the true history.
    pub tip: CommitId,
}

impl Default for World {
    fn default() -> Self {
        Self {
            log: [NONE; NAMES],
            commits: [Commit::default(); COMMITS],
            compactions: [Compaction::default(); COMPACTIONS],
            objects: 0,
            late: Late::default(),
            tip: NONE,
        }
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.log.hash(state);
        for (id, commit) in self.commits.iter().enumerate().filter(|(_, commit)| commit.seq != NONE) {
            (id as u8, commit).hash(state);
        }
        for (id, compaction) in self.compactions.iter().enumerate().filter(|(_, compaction)| compaction.begun) {
            (id as u8, compaction).hash(state);
        }
        (self.objects, &self.late, self.tip).hash(state);
    }
}

/// The session of a commit.
pub fn session(commit: CommitId) -> u8 {
    commit / PUTS as u8
}

impl World {
    /// A commit's body; that of the empty list for `NONE`.
    pub fn commit(&self, id: CommitId) -> Commit {
        self.commits.get(usize::from(id)).copied().unwrap_or_default()
    }

    /// The number after a commit's; 0 for the empty list.
    pub fn next_seq(&self, id: CommitId) -> u8 {
        if id == NONE { 0 } else { self.commit(id).seq + 1 }
    }

    /// Whether a commit's session is not that of its predecessor.
    pub fn is_handover(&self, id: CommitId) -> bool {
        let parent = self.commit(id).parent;
        parent == NONE || session(parent) != session(id)
    }

    /// The commit with a number in the chain that ends with `end`; `NONE` where there is none.
    pub fn chain_at(&self, end: CommitId, seq: u8) -> CommitId {
        let mut id = end;
        while id != NONE && self.commit(id).seq > seq {
            id = self.commit(id).parent;
        }
        if id != NONE && self.commit(id).seq == seq { id } else { NONE }
    }

    /// Whether `id` is in the chain that ends with `end`. The empty list is in every chain.
    pub fn in_chain(&self, end: CommitId, id: CommitId) -> bool {
        id == NONE || self.chain_at(end, self.commit(id).seq) == id
    }

    /// The item at an offset in the chain that ends with `end`.
    pub fn item_at(&self, end: CommitId, offset: u8) -> u8 {
        let mut id = end;
        while id != NONE && self.commit(id).first > offset {
            id = self.commit(id).parent;
        }
        match self.commit(id) {
            commit if id != NONE && commit.first <= offset && offset < commit.next => commit.item,
            _ => NONE,
        }
    }

    /// Whether an item is in the true history.
    pub fn holds_item(&self, item: u8) -> bool {
        let mut id = self.tip;
        while id != NONE {
            if self.commit(id).item == item {
                return true;
            }
            id = self.commit(id).parent;
        }
        false
    }

    /// What the first name of a LIST holds: the newest commit, a stub or nothing.
    pub fn newest(&self) -> u8 {
        self.log.iter().rev().copied().find(|&slot| slot != NONE).unwrap_or(NONE)
    }

    /// What a name holds.
    pub fn slot(&self, seq: u8) -> u8 {
        self.log.get(usize::from(seq)).copied().unwrap_or(NONE)
    }

    /// Whether a segment or page exists.
    pub fn exists(&self, object: u8) -> bool {
        self.objects & bit(object) != 0
    }
}

/// One step of a Load (rule 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The LIST named this commit; its GET comes next.
    Listed(CommitId),
    /// Missing, changed or a stub: start over.
    StartOver,
    /// The newest commit; `NONE` for the empty list.
    Done(CommitId),
}

impl World {
    /// LIST and GET in one step. As an ETag names one body for ever, a GET that agrees with the LIST may as well have
    /// been at the LIST's moment, and one that does not changes nothing.
    pub fn load_at_once(&self) -> Load {
        match self.newest() {
            STUB => Load::StartOver,
            newest => Load::Done(newest),
        }
    }

    /// LIST, or the GET that follows it.
    pub fn load_step(&self, listed: Option<CommitId>, compare_etag: bool) -> Load {
        let Some(listed) = listed else {
            return match self.newest() {
                NONE => Load::Done(NONE),
                STUB => Load::StartOver,
                newest => Load::Listed(newest),
            };
        };
        match self.slot(self.commit(listed).seq) {
            NONE | STUB => Load::StartOver,
            got if got != listed && compare_etag => Load::StartOver,
            got => Load::Done(got),
        }
    }
}
