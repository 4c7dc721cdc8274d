//! One state of the whole system: the store, every process, what is left of the bounds, and the first violation.

use crate::Violation;
use crate::bounds::Bounds;
use crate::reader::{Follower, Reader};
use crate::sweeper::Sweeper;
use crate::world::{COMMITS, COMPACTIONS, KINDS, Kind, NONE, STUB, WRITERS, World, bit, object};
use crate::writer::Writer;

/// What of the bounds is left for all processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Metadata-only commits.
    pub metadata: u8,
    /// PUTs without an answer.
    pub timeouts: u8,
    /// Abandoned appends.
    pub abandonments: u8,
    /// Trims.
    pub trims: u8,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The store and the true history.
    pub world: World,
    /// The writers with their background compactions.
    pub writers: [Writer; WRITERS],
    /// The sweepers.
    pub sweepers: [Sweeper; 2],
    /// The reader.
    pub reader: Reader,
    /// The follower.
    pub follower: Follower,
    /// The commit that a continuation token names.
    pub token: u8,
    /// With nonces: the source's first item that nobody has acknowledged yet.
    pub source: u8,
    /// What of the bounds is left.
    pub left: Left,
    /// What went wrong first; nothing happens after that.
    pub violation: Option<Violation>,
}

impl State {
    /// The empty list.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            world: World::default(),
            writers: [0, 1].map(|writer: usize| Writer::new(bounds.puts[writer])),
            sweepers: Default::default(),
            reader: Reader::default(),
            follower: Follower::default(),
            token: NONE,
            source: 0,
            left: Left {
                metadata: bounds.metadata,
                timeouts: bounds.timeouts,
                abandonments: bounds.abandonments,
                trims: bounds.trims,
            },
            violation: None,
        }
    }

    /// Notes a violation unless there is one already.
    pub fn fail(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Forgets what no process can come across any more, so that states that differ in nothing else are one.
    ///
    /// An object that is reachable neither from a commit that somebody holds, nor from one that may still appear, nor
    /// from a compaction in progress never matters again: names of segments and pages are used once.
    pub fn forget_unreachable(&mut self) {
        let held = self.held_commits();
        let mut chains = held;
        for id in 0..COMMITS as u8 {
            if held & bit(id) != 0 {
                let mut parent = self.world.commit(id).parent;
                while parent != NONE && chains & bit(parent) == 0 {
                    chains |= bit(parent);
                    parent = self.world.commit(parent).parent;
                }
            }
        }
        let (mut objects, mut heads) = (0, 0_u32);
        for id in (0..COMMITS as u8).filter(|&id| held & bit(id) != 0) {
            let index = self.world.commit(id).index;
            if index != NONE && heads & bit(index) == 0 {
                heads |= bit(index);
                objects |= self.world.reachable(index, 0).objects;
            }
        }
        for job in self.writers.iter().map(|writer| writer.job).filter(|&job| job != NONE) {
            objects |= self.world.reachable(job, 0).objects;
            KINDS.iter().for_each(|&kind| objects |= bit(object(job, kind)));
        }
        let world = &mut self.world;
        world.objects &= objects;
        world.late.objects &= objects;
        world.late.object_deletes &= objects;
        let kinds = bit(KINDS.len() as u8) - 1;
        for id in 0..COMPACTIONS as u8 {
            let compaction = world.compactions[usize::from(id)];
            if compaction.begun && objects & (kinds << object(id, Kind::Segment)) == 0 {
                world.compactions[usize::from(id)] = Default::default();
            } else if compaction.begun && compaction.base != NONE {
                let mut base = compaction.base;
                while base != NONE && chains & bit(base) == 0 {
                    chains |= bit(base);
                    base = world.commit(base).parent;
                }
            }
        }
        for id in (0..COMMITS as u8).filter(|&id| chains & bit(id) == 0) {
            world.commits[usize::from(id)] = Default::default();
        }
    }

    /// Commits that a process holds or may come across.
    fn held_commits(&self) -> u32 {
        let mut held = self.world.late.commits;
        let mut hold = |id: u8| {
            if id != NONE && id != STUB {
                held |= bit(id);
            }
        };
        hold(self.world.tip);
        self.world.log.iter().for_each(|&slot| hold(slot));
        for writer in &self.writers {
            writer.held().into_iter().for_each(&mut hold);
        }
        for sweeper in &self.sweepers {
            hold(sweeper.snapshot);
            hold(sweeper.listed.unwrap_or(NONE));
        }
        hold(self.reader.snapshot);
        hold(self.reader.began_at);
        hold(self.reader.listed.unwrap_or(NONE));
        hold(self.follower.at);
        hold(self.token);
        held
    }
}
