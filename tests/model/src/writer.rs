//! A writer: sessions, appends and their resolution (rules 1 to 6), publication and collection (rules 8 and 9).

use crate::bounds::Bounds;
use crate::state::State;
use crate::world::{
    Commit, CommitId, CompactionId, Kind, Load, NAMES, NONE, PUTS, SESSIONS, STUB, bit, object, session,
};
use crate::{Rule, Violation};

/// What a writer is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Append one item.
    Append {
        /// The item; with nonces its nonce.
        item: u8,
        /// Whether the commit is complete.
        complete: bool,
    },
    /// Publish a compaction with a metadata-only commit.
    Publish,
    /// Trim to an offset with a metadata-only commit.
    Trim(u8),
    /// Trim to the end, wherever that is at each attempt.
    Delete {
        /// Where the list ended when it was asked for: so much must be gone when it is acknowledged.
        end: u8,
        /// Whether S comes from a Load since.
        fresh: bool,
    },
}

/// How far a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Between operations, or about to make the next attempt of one.
    Ready,
    /// A commit's outcome is unknown.
    Sending,
    /// The next step is rule 4's Load. `accepted`: the answer was 200.
    Resolving {
        /// Whether the last answer was 200.
        accepted: bool,
    },
    /// Rule 4 has loaded this commit and needs the head page of its index.
    ReadingHead(CommitId),
    /// Rule 4 needs this ledger page too.
    ReadingLedger(CommitId, CompactionId),
}

/// One writer with its session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Sessions used up.
    pub session: u8,
    /// Put ids used in this session.
    pub puts: u8,
    /// Commit PUTs left.
    pub puts_left: u8,
    /// Items taken on (without nonces).
    pub items: u8,
    /// Whether there is an S.
    pub loaded: bool,
    /// S.
    pub snapshot: CommitId,
    /// What a Load's LIST named.
    pub listed: Option<CommitId>,
    /// How far it is.
    pub phase: Phase,
    /// What it is asked to do.
    pub operation: Option<Operation>,
    /// The commit whose outcome is sought.
    pub sending: CommitId,
    /// The compaction in progress or prepared.
    pub job: CompactionId,
    /// The job's objects that were answered with success.
    pub answered: u8,
    /// Compactions begun.
    pub compactions: u8,
    /// The carry's memory: the item that ends at an offset.
    pub memory: Option<(u8, u8)>,
}

impl Writer {
    /// A writer that has done nothing.
    pub fn new(puts_left: u8) -> Self {
        Self {
            session: 0,
            puts: 0,
            puts_left,
            items: 0,
            loaded: false,
            snapshot: NONE,
            listed: None,
            phase: Phase::Ready,
            operation: None,
            sending: NONE,
            job: NONE,
            answered: 0,
            compactions: 0,
            memory: None,
        }
    }

    /// The commits that it holds.
    pub fn held(&self) -> [CommitId; 4] {
        let resolving = match self.phase {
            Phase::ReadingHead(id) | Phase::ReadingLedger(id, _) => id,
            _ => NONE,
        };
        [self.snapshot, self.sending, resolving, self.listed.unwrap_or(NONE)]
    }
}

impl State {
    /// Rule 2. The next step of a Load, for an S or for rule 4.
    pub fn writer_load(&mut self, bounds: &Bounds, at: usize) {
        let writer = &self.writers[at];
        let step = if bounds.two_step_load.writers {
            self.world.load_step(writer.listed, bounds.kept(Rule::LoadComparesEtag))
        } else {
            self.world.load_at_once()
        };
        match step {
            Load::Listed(id) => self.writers[at].listed = Some(id),
            Load::StartOver => self.writers[at].listed = None,
            Load::Done(id) => {
                self.writers[at].listed = None;
                self.loaded(bounds, at, id);
            }
        }
    }

    fn loaded(&mut self, bounds: &Bounds, at: usize, id: CommitId) {
        self.discard_prepared(bounds, at, id);
        if bounds.kept(Rule::CarryFollowsChain) || !self.writers[at].loaded {
            self.writers[at].memory = self.last_item(id).filter(|_| bounds.carry);
        }
        match self.writers[at].phase {
            Phase::Resolving { .. } => self.resolve(bounds, at, id),
            _ => {
                self.writers[at].loaded = true;
                self.writers[at].snapshot = id;
            }
        }
    }

    /// The item that the last offset before a commit's end holds, as far as the commit itself tells.
    fn last_item(&self, id: CommitId) -> Option<(u8, u8)> {
        let commit = self.world.commit(id);
        let item = if commit.item == NONE { commit.carry } else { commit.item };
        (item != NONE).then_some((commit.next, item))
    }

    /// Rules 3, 5 and 6: the next attempt of the operation, or its end where nothing is left to do.
    pub fn attempt(&mut self, bounds: &Bounds, at: usize) {
        let Some(operation) = self.writers[at].operation else { return };
        let newest = self.world.commit(self.writers[at].snapshot);
        match operation {
            // Rule 5.
            Operation::Append { item, .. } if bounds.nonces && item < newest.nonce => {
                if !self.world.holds_item(item) {
                    self.fail(Violation::Nonce);
                }
                self.source = self.source.max(item + 1);
                self.writers[at].operation = None;
            }
            Operation::Trim(wish) if newest.start >= wish && bounds.kept(Rule::StartNeverFalls) => {
                self.writers[at].operation = None
            }
            Operation::Delete { end, fresh } if newest.start >= newest.next => {
                if fresh || !bounds.kept(Rule::DeletionLoads) {
                    self.check_deleted(end);
                    self.writers[at].operation = None;
                } else {
                    self.writers[at].operation = Some(Operation::Delete { end, fresh: true });
                    self.writers[at].loaded = false;
                }
            }
            Operation::Publish if !self.is_prepared(bounds, at) => self.writers[at].operation = None,
            _ if !self.may_put(at) => {}
            _ => self.prepare_commit(bounds, at, operation),
        }
    }

    /// A deletion is acknowledged: what the list held when it was asked for is gone.
    fn check_deleted(&mut self, end: u8) {
        if self.world.commit(self.world.tip).start < end {
            self.fail(Violation::Start);
        }
    }

    /// Whether the bounds leave the writer a put id, and the list a name.
    pub fn may_put(&self, at: usize) -> bool {
        let writer = &self.writers[at];
        let has_name = usize::from(self.world.next_seq(writer.snapshot)) < NAMES;
        writer.puts_left > 0 && usize::from(writer.puts) < PUTS && has_name
    }

    fn prepare_commit(&mut self, bounds: &Bounds, at: usize, operation: Operation) {
        let publishes = self.is_prepared(bounds, at).then_some(self.writers[at].job);
        let writer = &mut self.writers[at];
        let parent = self.world.commit(writer.snapshot);
        let id = ((at * SESSIONS) as u8 + writer.session) * PUTS as u8 + writer.puts;
        let seq = self.world.next_seq(writer.snapshot);
        writer.puts += 1;
        writer.puts_left -= 1;
        writer.sending = id;
        writer.phase = Phase::Sending;
        let mut commit = Commit {
            seq,
            parent: writer.snapshot,
            item: NONE,
            first: parent.next,
            next: parent.next,
            carry: NONE,
            complete: false,
            ..parent
        };
        match operation {
            Operation::Append { item, complete } => {
                commit.item = item;
                commit.next += 1;
                commit.nonce = if bounds.nonces { item + 1 } else { 0 };
                commit.complete = complete;
                if let Some(items) = bounds.retention {
                    // Rule 6: at most to S.next, so never what the commit itself appends.
                    let wish = commit.next.saturating_sub(items).min(parent.next);
                    commit.start = parent.start.max(wish);
                }
            }
            Operation::Delete { .. } => commit.start = parent.next,
            // Rule 6.
            Operation::Trim(wish) if bounds.kept(Rule::StartNeverFalls) => commit.start = parent.start.max(wish),
            Operation::Trim(wish) => commit.start = wish,
            Operation::Publish => {}
        }
        if let Some((end, item)) = writer.memory {
            let unchecked = !bounds.kept(Rule::CarryFollowsChain) || !bounds.kept(Rule::CarryAcknowledged);
            let fits = end == commit.first || unchecked;
            if fits && end > commit.start {
                commit.carry = item;
            }
        }
        if !bounds.kept(Rule::CarryAcknowledged) && commit.item != NONE {
            writer.memory = Some((commit.next, commit.item));
        }
        // Rule 8: the prepared index rides on whatever commit comes next.
        if let Some(job) = publishes {
            commit.covered = self.world.compaction(job).covers;
            commit.index = job;
        }
        self.world.commits[usize::from(id)] = commit;
        if !bounds.kept(Rule::CollectAfterAcknowledge) {
            self.collect_commits(bounds, id);
        }
        if !bounds.kept(Rule::DropAfterAcknowledge) {
            self.collect_objects(bounds, id);
        }
    }

    /// A commit's PUT takes effect, from its writer or late. `true` where it was created.
    fn create_commit(&mut self, bounds: &Bounds, id: CommitId) -> bool {
        let seq = self.world.commit(id).seq;
        if self.world.slot(seq) != NONE && bounds.kept(Rule::ConditionalPut) {
            return false;
        }
        self.world.log[usize::from(seq)] = id;
        self.extend_history(bounds.nonces, id);
        self.check_live();
        true
    }

    /// Rule 3: the PUT takes effect and is answered.
    pub fn put_commit(&mut self, bounds: &Bounds, at: usize) {
        let id = self.writers[at].sending;
        let metadata_only = self.world.commit(id).item == NONE;
        let rule = if metadata_only { Rule::ResolveMetadataHandover } else { Rule::ResolveHandover };
        let created = self.create_commit(bounds, id);
        // Rule 4.
        if created && (!self.world.is_handover(id) || !bounds.kept(rule)) {
            self.acknowledge(bounds, at, id);
        } else if created || bounds.kept(Rule::ResolveRefused) {
            self.writers[at].phase = Phase::Resolving { accepted: created };
        } else {
            self.writers[at].phase = Phase::Ready;
            self.writers[at].loaded = false;
            self.writers[at].snapshot = NONE;
        }
    }

    /// A commit's PUT that nobody waits for any more takes effect.
    pub fn land_commit(&mut self, bounds: &Bounds, id: CommitId) {
        self.world.late.commits &= !bit(id);
        self.create_commit(bounds, id);
    }

    /// Rule 4: decide by the commit `newest` that the Load brought.
    fn resolve(&mut self, bounds: &Bounds, at: usize, newest: CommitId) {
        let id = self.writers[at].sending;
        let (mine, loaded) = (self.world.commit(id), self.world.commit(newest));
        let there = self.world.chain_at(newest, mine.seq);
        let equal_content = there != NONE && (self.world.commit(there).item == NONE) == (mine.item == NONE);
        if newest == id {
            self.settle(bounds, at, newest, true);
        } else if newest == NONE || mine.seq >= loaded.seq {
            self.settle(bounds, at, newest, false);
        } else if mine.seq >= loaded.covered {
            let by_identity = bounds.kept(Rule::ResolveByIdentity);
            self.settle(bounds, at, newest, if by_identity { there == id } else { equal_content });
        } else if bounds.kept(Rule::ResolveByLedger) {
            self.writers[at].phase = Phase::ReadingHead(newest);
        } else {
            self.settle(bounds, at, newest, equal_content);
        }
    }

    /// Rule 4 below C: the head page, then the ledger page.
    pub fn read_ledger(&mut self, bounds: &Bounds, at: usize) {
        let id = self.writers[at].sending;
        let seq = self.world.commit(id).seq;
        let (newest, page, kind) = match self.writers[at].phase {
            Phase::ReadingHead(newest) => (newest, self.world.commit(newest).index, Kind::Head),
            Phase::ReadingLedger(newest, page) => (newest, page, Kind::Ledger),
            _ => return,
        };
        if !self.world.exists(object(page, kind)) {
            let rule = if kind == Kind::Head { Rule::ResolveMissingPage } else { Rule::ResolveMissingLedger };
            if !bounds.kept(Rule::ResolveRestartsFromLoad) {
                // The same GET again: the state does not change.
            } else if bounds.kept(rule) {
                self.writers[at].phase = Phase::Resolving { accepted: false };
            } else {
                self.settle(bounds, at, newest, false);
            }
            return;
        }
        let content = self.world.compaction(page);
        let handovers = if kind == Kind::Head { content.handovers } else { content.ledger };
        let found = self.world.last_handover(handovers.iter(), seq);
        match self.world.ledger_page(&content, seq).filter(|_| kind == Kind::Head && found.is_none()) {
            Some(page) => self.writers[at].phase = Phase::ReadingLedger(newest, page),
            None => self.settle(bounds, at, newest, self.world.same_session(found, id)),
        }
    }

    fn settle(&mut self, bounds: &Bounds, at: usize, newest: CommitId, committed: bool) {
        let id = self.writers[at].sending;
        if committed {
            self.acknowledge(bounds, at, id);
        } else if self.world.in_chain(self.world.tip, id) {
            // The next attempt would append it again.
            self.fail(Violation::Append);
        }
        let writer = &mut self.writers[at];
        writer.phase = Phase::Ready;
        writer.snapshot = newest;
        writer.sending = NONE;
        match writer.operation {
            Some(Operation::Publish) => writer.operation = None,
            Some(Operation::Delete { end, .. }) => writer.operation = Some(Operation::Delete { end, fresh: true }),
            _ => {}
        }
        if bounds.carry && bounds.kept(Rule::CarryFollowsChain) {
            self.writers[at].memory = self.last_item(newest);
        }
    }

    /// Tells the caller that the operation is done, and collects what a publication made superfluous.
    fn acknowledge(&mut self, bounds: &Bounds, at: usize, id: CommitId) {
        let commit = self.world.commit(id);
        if !self.world.in_chain(self.world.tip, id) {
            self.fail(Violation::Append);
        }
        if commit.index != self.world.commit(commit.parent).index {
            self.collect_commits(bounds, id);
            self.collect_objects(bounds, id);
            if self.writers[at].job == commit.index {
                self.writers[at].job = NONE;
                self.writers[at].answered = 0;
            }
        }
        if bounds.nonces && commit.item != NONE {
            self.source = self.source.max(commit.item + 1);
        }
        if let Some(Operation::Delete { end, .. }) = self.writers[at].operation {
            self.check_deleted(end);
        }
        let memory = self.last_item(id).filter(|_| bounds.carry);
        let writer = &mut self.writers[at];
        writer.memory = memory;
        writer.operation = None;
        writer.phase = Phase::Ready;
        writer.snapshot = id;
        writer.sending = NONE;
    }

    /// Rule 9: the commits below the new C, and complete ones that the new index no longer refers to.
    fn collect_commits(&mut self, bounds: &Bounds, id: CommitId) {
        let commit = self.world.commit(id);
        let parent = self.world.commit(commit.parent);
        let old = self.world.reachable(parent.index, 0).commits;
        let new = self.world.reachable(commit.index, 0).commits;
        for seq in 0..commit.covered {
            let there = self.world.chain_at(id, seq);
            let dropped = old & !new & bit(there) != 0;
            let spared = new & bit(there) != 0 && bounds.kept(Rule::CollectSparesComplete);
            if (seq < parent.covered && !dropped) || spared {
                continue;
            }
            let rule = if dropped { Rule::StubDroppedHandover } else { Rule::StubHandover };
            if self.world.is_handover(there) && bounds.kept(rule) {
                self.world.late.name_stubs |= 1 << seq;
            } else {
                self.world.late.name_deletes |= 1 << seq;
            }
        }
    }

    /// Rule 9: the pages and segments that the new index no longer refers to.
    fn collect_objects(&mut self, bounds: &Bounds, id: CommitId) {
        let commit = self.world.commit(id);
        let old = self.world.reachable(self.world.commit(commit.parent).index, 0).objects;
        let mut kept = self.world.reachable(commit.index, 0).objects;
        for (rule, kind) in [(Rule::KeepSharedLeaf, Kind::Leaf), (Rule::KeepSharedLedger, Kind::Ledger)] {
            if !bounds.kept(rule) {
                kept &= !self.world.all_of(kind);
            }
        }
        self.world.late.object_deletes |= old & !kept;
    }

    /// Rule 1: the caller has given up, or the writer was restarted. Nothing of the session is kept.
    pub fn abandon(&mut self, bounds: &Bounds, at: usize) {
        let writer = &mut self.writers[at];
        let (phase, sending) = (writer.phase, writer.sending);
        if phase == Phase::Sending {
            self.world.late.commits |= bit(sending);
        }
        let kept_snapshot = match phase {
            Phase::Resolving { accepted: true } if !bounds.kept(Rule::DuplicateFromSnapshot) => Some(sending),
            _ if !bounds.kept(Rule::CarryAcknowledged) => Some(writer.snapshot),
            _ => None,
        };
        if bounds.kept(Rule::FreshSession) {
            writer.session += 1;
            writer.puts = 0;
        }
        if kept_snapshot.is_none() {
            writer.memory = None;
        }
        writer.loaded = kept_snapshot.is_some();
        writer.snapshot = kept_snapshot.unwrap_or(NONE);
        writer.listed = None;
        writer.phase = Phase::Ready;
        writer.operation = None;
        writer.sending = NONE;
        self.drop_job(at);
    }

    /// Whether `other` in the log is of the session of `id`: what a follower asks (rule 13).
    pub fn follows_session(&self, id: CommitId, other: CommitId) -> bool {
        other != STUB && other != NONE && !self.world.is_handover(other) && session(other) == session(id)
    }
}
