//! The model as stateright sees it: the actions that are possible in a state, and what they lead to.

use std::sync::atomic::{AtomicBool, Ordering};

use stateright::{Model, Property};

use crate::Rule;
use crate::bounds::{Bounds, Sweep};
use crate::properties::{VIOLATIONS, Violation};
use crate::reader::Progress;
use crate::state::State;
use crate::sweeper::Sweeper;
use crate::world::{COMMITS, COMPACTIONS, KINDS, NONE, SESSIONS, STUB, WRITERS, bit};
use crate::writer::{Operation, Phase};

/// Items that one writer may take on, at most: without nonces each writer numbers its own.
const ITEMS: u8 = 64;

/// One step of one process, or a late request that takes effect. Numbers in brackets are writers and sweepers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A step of a writer's Load.
    Load(usize),
    /// A writer takes on an append (`complete`: of a complete commit).
    Append(usize, bool),
    /// A writer takes on a metadata-only commit that publishes.
    Publish(usize),
    /// A writer takes on a trim to its S.next offset, or a deletion.
    Trim(usize),
    /// A writer makes the next attempt of its operation.
    Attempt(usize),
    /// A commit PUT takes effect and is answered.
    Put(usize),
    /// A commit PUT is not answered and will be sent again; it may take effect later.
    PutTimesOut(usize),
    /// The append is abandoned.
    Abandon(usize),
    /// Rule 4 reads a page.
    ReadLedger(usize),
    /// A compaction of the commits below a number begins, with or without a merge.
    Compact(usize, u8, bool),
    /// A compaction's next object is written.
    PutObject(usize),
    /// A compaction's PUT is not answered.
    ObjectTimesOut(usize),
    /// A compaction is given up.
    GiveUp(usize),
    /// A commit's PUT takes effect late.
    LandCommit(u8),
    /// A segment's or page's PUT takes effect late.
    LandObject(u8),
    /// A DELETE of a segment or page takes effect.
    DeleteObject(u8),
    /// A DELETE of a commit's name takes effect.
    DeleteName(u8),
    /// A stub over a commit's name takes effect.
    StubName(u8),
    /// A sweeper loads, or reads a page.
    SweeperLearns(usize),
    /// A sweeper sends what it does to a name.
    SweepName(usize, u8),
    /// A sweeper sends its DELETEs of segments and pages.
    SweepObjects(usize),
    /// A read begins.
    BeginRead,
    /// The reader's next request.
    Read,
    /// The follower loads.
    FollowerLoad,
    /// The follower GETs the next name.
    Follow,
    /// A continuation token is handed out that names a commit.
    TakeToken(u8),
    /// The token is used.
    ReadToken,
}

/// The protocol of one list under some bounds.
#[derive(Debug)]
pub struct Protocol {
    bounds: Bounds,
    violated: AtomicBool,
}

impl Protocol {
    /// The model under these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, violated: AtomicBool::new(false) }
    }

    fn writer_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (bounds, writer) = (&self.bounds, &state.writers[at]);
        let may_abandon = state.left.abandonments > 0 && usize::from(writer.session) + 1 < SESSIONS;
        match writer.phase {
            Phase::Ready if !writer.loaded => {
                if writer.puts_left > 0 {
                    actions.push(Action::Load(at));
                }
            }
            Phase::Ready if writer.operation.is_some() => {
                if state.may_put(at) || bounds.nonces {
                    actions.push(Action::Attempt(at));
                }
            }
            Phase::Ready => self.new_operations(state, at, actions),
            Phase::Sending => {
                actions.push(Action::Put(at));
                if state.left.timeouts > 0 && state.world.late.commits & bit(writer.sending) == 0 {
                    actions.push(Action::PutTimesOut(at));
                }
            }
            Phase::Resolving { .. } => actions.push(Action::Load(at)),
            Phase::ReadingHead(_) | Phase::ReadingLedger(..) => actions.push(Action::ReadLedger(at)),
        }
        if may_abandon && writer.phase != Phase::Ready {
            actions.push(Action::Abandon(at));
        }
        if let Some(kind) = state.next_object(bounds, at) {
            actions.push(Action::PutObject(at));
            if state.world.late.objects & bit(crate::world::object(writer.job, kind)) != 0 {
                actions.push(Action::GiveUp(at));
            } else if state.left.timeouts > 0 {
                actions.push(Action::ObjectTimesOut(at));
            }
        }
    }

    fn new_operations(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (bounds, writer) = (&self.bounds, &state.writers[at]);
        if state.may_put(at) {
            actions.extend(bounds.complete.ways().iter().map(|&complete| Action::Append(at, complete)));
            if state.left.metadata > 0 && state.is_prepared(bounds, at) {
                actions.push(Action::Publish(at));
            }
            let newest = state.world.commit(writer.snapshot);
            if state.left.trims > 0 && (bounds.deletions || newest.next > newest.start) {
                actions.push(Action::Trim(at));
            }
        }
        if writer.compactions < bounds.compactions[at] && writer.job == NONE && state.may_put(at) {
            for covers in state.compaction_ends(bounds, at) {
                actions.extend(bounds.merges.ways().iter().map(|&merge| Action::Compact(at, covers, merge)));
            }
        }
    }

    fn late_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (world, late) = (&state.world, &state.world.late);
        for id in (0..COMMITS as u8).filter(|&id| late.commits & bit(id) != 0) {
            if world.slot(world.commit(id).seq) == NONE || !self.bounds.kept(Rule::ConditionalPut) {
                actions.push(Action::LandCommit(id));
            }
        }
        for number in 0..(COMPACTIONS * KINDS.len()) as u8 {
            if late.objects & bit(number) != 0 && !world.exists(number) {
                actions.push(Action::LandObject(number));
            }
            if late.object_deletes & bit(number) != 0 && world.exists(number) {
                actions.push(Action::DeleteObject(number));
            }
        }
        for (seq, &slot) in (0_u8..).zip(&world.log) {
            if late.name_deletes & 1 << seq != 0 && slot != NONE {
                actions.push(Action::DeleteName(seq));
            }
            if late.name_stubs & 1 << seq != 0 && slot != STUB {
                actions.push(Action::StubName(seq));
            }
        }
    }

    fn sweeper_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        if !state.sweeper_is_ready(bounds, at) {
            // A sweep of what was never compacted finds nothing.
            if state.world.commit(state.world.tip).covered > 0 || state.sweepers[at] != Sweeper::default() {
                actions.push(Action::SweeperLearns(at));
            }
            return;
        }
        let late = &state.world.late;
        match bounds.sweepers[at] {
            Sweep::Objects => {
                if state.sweepable_objects(bounds, at) & !late.object_deletes != 0 {
                    actions.push(Action::SweepObjects(at));
                }
            }
            Sweep::Commits => {
                for seq in 0..state.world.commit(state.sweepers[at].snapshot).covered {
                    let sent = match state.sweep_of_name(bounds, at, seq) {
                        Some(STUB) => late.name_stubs,
                        Some(_) => late.name_deletes,
                        None => continue,
                    };
                    if sent & 1 << seq == 0 {
                        actions.push(Action::SweepName(at, seq));
                    }
                }
            }
        }
    }

    fn reader_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        if bounds.reader {
            match state.reader.progress {
                Progress::Idle if state.world.tip != NONE => actions.push(Action::BeginRead),
                Progress::Loading | Progress::Reading => actions.push(Action::Read),
                _ => {}
            }
        }
        if bounds.follower && state.world.tip != NONE {
            if state.follower.at != state.world.tip {
                actions.push(Action::FollowerLoad);
            }
            if state.follower.at != NONE {
                actions.push(Action::Follow);
            }
        }
        if bounds.token {
            if state.token != NONE {
                actions.push(Action::ReadToken);
            } else {
                let commits = state.commits_for_tokens();
                let named = (0..COMMITS as u8).filter(|&id| commits & bit(id) != 0);
                actions.extend(named.map(Action::TakeToken));
            }
        }
    }

    fn apply(&self, state: &mut State, action: Action) {
        let bounds = &self.bounds;
        match action {
            Action::Load(at) => state.writer_load(bounds, at),
            Action::Append(at, complete) => {
                let writer = &mut state.writers[at];
                let item = if bounds.nonces { state.source } else { at as u8 * ITEMS + writer.items };
                writer.items += u8::from(!bounds.nonces);
                writer.operation = Some(Operation::Append { item, complete });
                state.attempt(bounds, at);
            }
            Action::Publish(at) => {
                state.left.metadata -= 1;
                state.writers[at].operation = Some(Operation::Publish);
                state.attempt(bounds, at);
            }
            Action::Trim(at) => {
                state.left.trims -= 1;
                state.writers[at].operation = Some(if bounds.deletions {
                    Operation::Delete { end: state.world.commit(state.world.tip).next, fresh: false }
                } else {
                    Operation::Trim(state.world.commit(state.writers[at].snapshot).next)
                });
                state.attempt(bounds, at);
            }
            Action::Attempt(at) => state.attempt(bounds, at),
            Action::Put(at) => state.put_commit(bounds, at),
            Action::PutTimesOut(at) => {
                state.left.timeouts -= 1;
                state.world.late.commits |= bit(state.writers[at].sending);
            }
            Action::Abandon(at) => {
                state.left.abandonments -= 1;
                state.abandon(bounds, at);
            }
            Action::ReadLedger(at) => state.read_ledger(bounds, at),
            Action::Compact(at, covers, merge) => {
                state.begin_compaction(bounds, at, covers, merge);
            }
            Action::PutObject(at) => state.put_object(bounds, at),
            Action::ObjectTimesOut(at) => {
                state.left.timeouts -= 1;
                state.object_timed_out(bounds, at);
            }
            Action::GiveUp(at) => state.drop_job(at),
            Action::LandCommit(id) => state.land_commit(bounds, id),
            Action::LandObject(number) => state.land_object(number),
            Action::DeleteObject(number) => state.delete_object(number),
            Action::DeleteName(seq) => state.overwrite_name(seq, NONE),
            Action::StubName(seq) => state.overwrite_name(seq, STUB),
            Action::SweeperLearns(at) => state.sweeper_learns(bounds, at),
            Action::SweepName(at, seq) => {
                if let Some(with) = state.sweep_of_name(bounds, at, seq) {
                    state.sweep_name(seq, with);
                }
            }
            Action::SweepObjects(at) => state.world.late.object_deletes |= state.sweepable_objects(bounds, at),
            Action::BeginRead => state.begin_read(),
            Action::Read => state.read_on(bounds),
            Action::FollowerLoad => state.follower_load(),
            Action::Follow => state.follow(bounds),
            Action::TakeToken(id) => state.token = id,
            Action::ReadToken => state.read_by_token(bounds),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violation.is_some() {
            return;
        }
        (0..WRITERS).for_each(|at| self.writer_actions(state, at, actions));
        self.late_actions(state, actions);
        (0..self.bounds.sweepers.len()).for_each(|at| self.sweeper_actions(state, at, actions));
        self.reader_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        if self.bounds.progress && !state.all_finish_alone(&self.bounds) {
            state.fail(Violation::Stuck);
        }
        if self.bounds.landmark.is_some_and(|landmark| landmark.is_reached(&state)) {
            state.fail(Violation::Landmark);
        }
        state.forget_unreachable();
        Some(state)
    }

    /// Once a violation is found nothing new is explored: what was found first is shortest.
    fn within_boundary(&self, state: &State) -> bool {
        !if state.violation.is_some() {
            self.violated.swap(true, Ordering::Relaxed)
        } else {
            self.violated.load(Ordering::Relaxed)
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds<const N: usize>(_: &Protocol, state: &State) -> bool {
            state.violation != Some(VIOLATIONS[N].0)
        }
        let conditions =
            [holds::<0>, holds::<1>, holds::<2>, holds::<3>, holds::<4>, holds::<5>, holds::<6>, holds::<7>];
        VIOLATIONS.iter().zip(conditions).map(|((_, name), condition)| Property::always(name, condition)).collect()
    }
}
