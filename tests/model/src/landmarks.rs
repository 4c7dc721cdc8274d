//! Situations that a run must come across, or it would prove nothing about them.

use crate::index::{Source, source};
use crate::state::State;
use crate::world::{Kind, NONE, STUB, object};
use crate::writer::Phase;

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Landmark {
    /// A late PUT has taken a freed name: a ghost.
    Ghost,
    /// The head page's own handovers do not decide, a ledger page does.
    LedgerPageDecides,
    /// That ledger page was replaced and deleted meanwhile.
    LedgerPageGone,
    /// A ledger page was rewritten, merged with newer handovers.
    LedgerPageRewritten,
    /// The head page names several ledger pages.
    SeveralLedgerPages,
    /// A sweeper has read the head page, and a leaf page that it names is gone.
    LeafGone,
    /// The published index has entries in leaf pages and in the open leaf.
    LeafAndOpenLeaf,
    /// A published segment holds what an older segment held.
    MergedSegment,
    /// One compaction published two segments around a complete commit.
    SplitSegments,
    /// A complete commit below C is referred to by the index.
    CompleteCommitInIndex,
    /// A writer is abandoned while its commit is on its way, and works again in a fresh session.
    FreshSession,
    /// A compaction goes on although its list's C has moved on to its X or further.
    OvertakenCompaction,
    /// A publication was refused: another writer took the name.
    RefusedPublication,
    /// The commit that a token names is a stub, gone, or another.
    TokenOutdated,
}

/// Every landmark.
pub const LANDMARKS: [Landmark; 14] = [
    Landmark::Ghost,
    Landmark::LedgerPageDecides,
    Landmark::LedgerPageGone,
    Landmark::LedgerPageRewritten,
    Landmark::SeveralLedgerPages,
    Landmark::LeafGone,
    Landmark::LeafAndOpenLeaf,
    Landmark::MergedSegment,
    Landmark::SplitSegments,
    Landmark::CompleteCommitInIndex,
    Landmark::FreshSession,
    Landmark::OvertakenCompaction,
    Landmark::RefusedPublication,
    Landmark::TokenOutdated,
];

impl Landmark {
    /// Whether a state shows it.
    pub fn is_reached(self, state: &State) -> bool {
        let world = &state.world;
        let tip = world.commit(world.tip);
        let head = world.compaction(tip.index);
        let ledger_page = |exists| {
            state.writers.iter().any(|writer| match writer.phase {
                Phase::ReadingLedger(_, page) => world.exists(object(page, Kind::Ledger)) == exists,
                _ => false,
            })
        };
        let mut entries = world.entries(tip.index).iter().map(source).collect::<Vec<_>>().into_iter();
        match self {
            Self::Ghost => world.log.iter().any(|&slot| slot < STUB && !world.in_chain(world.tip, slot)),
            Self::LedgerPageDecides => ledger_page(true),
            Self::LedgerPageGone => ledger_page(false),
            Self::LedgerPageRewritten => head.ledger_pages.last().is_some_and(|page| {
                let base = world.commit(world.compaction(page).base).index;
                !world.compaction(base).ledger_pages.is_empty() && world.compaction(page).ledger.len() > 1
            }),
            Self::SeveralLedgerPages => head.ledger_pages.len() > 1,
            Self::LeafGone => (0..state.sweepers.len()).any(|at| {
                let leaf = state.next_leaf(at).filter(|_| state.sweepers[at].head_read);
                leaf.is_some_and(|(_, page)| !world.exists(page))
            }),
            Self::LeafAndOpenLeaf => !head.leaves.is_empty() && !head.open.is_empty(),
            Self::MergedSegment => entries.any(|entry| match entry {
                Source::Segment(id, _) => {
                    let compaction = world.compaction(id);
                    let base = world.commit(compaction.base);
                    base.covered > 0
                        && compaction.segments[0].0 < world.commit(world.chain_at(world.tip, base.covered)).first
                }
                Source::Commit(_) => false,
            }),
            Self::SplitSegments => entries.any(|entry| matches!(entry, Source::Segment(_, Kind::SecondSegment))),
            Self::CompleteCommitInIndex => {
                entries.any(|entry| matches!(entry, Source::Commit(id) if world.commit(id).seq < tip.covered))
            }
            Self::FreshSession => state.writers.iter().any(|writer| {
                writer.session > 0 && writer.puts > 0 && writer.operation.is_none() && world.late.commits != 0
            }),
            Self::OvertakenCompaction => state.writers.iter().any(|writer| {
                writer.job != NONE && world.compaction(writer.job).covers <= tip.covered && writer.job != tip.index
            }),
            Self::RefusedPublication => state.writers.iter().any(|writer| {
                let sending = world.commit(writer.sending);
                let publishes = sending.index != world.commit(sending.parent).index;
                writer.sending != NONE && publishes && writer.phase == Phase::Resolving { accepted: false }
            }),
            Self::TokenOutdated => state.token != NONE && world.slot(world.commit(state.token).seq) != state.token,
        }
    }
}
