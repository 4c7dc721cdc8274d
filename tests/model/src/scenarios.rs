//! The runs: what is explored to the end with all rules kept, and which rule's absence is noticed under which bounds.

use crate::bounds::{Bounds, Choice, Sweep, TwoStepLoad};
use crate::{LANDMARKS, Landmark, Rule, Violation};

/// Bounds that are explored to the end without a violation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about: a letter of the README's list, then what happens in it.
    pub name: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
}

/// A rule, and bounds under which its absence is noticed.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The rule that is switched off.
    pub rule: Rule,
    /// The property that is then violated first.
    pub violates: Violation,
    /// The bounds (with the rule kept).
    pub bounds: Bounds,
}

/// Bounds under which a landmark is reached.
pub fn landmarks() -> Vec<(Landmark, Bounds)> {
    use Choice::Either;
    let find = |landmark| {
        let bounds = match landmark {
            Landmark::Ghost => writers([4, 1], [1, 0]),
            Landmark::LedgerPageDecides | Landmark::LedgerPageRewritten => writers([3, 3], [2, 0]),
            Landmark::LedgerPageGone => Bounds { abandonments: 1, ..writers([7, 1], [2, 0]) },
            Landmark::SeveralLedgerPages => Bounds { ledger_entries: 1, ..writers([3, 3], [2, 1]) },
            Landmark::LeafGone => {
                sweeping(OBJECTS, Bounds { merges: Either, leaf_entries: 1, trims: 1, ..writers([5, 0], [3, 0]) })
            }
            Landmark::LeafAndOpenLeaf => Bounds { leaf_entries: 1, ..writers([4, 1], [2, 0]) },
            Landmark::MergedSegment => Bounds { merges: Either, ..writers([4, 1], [2, 0]) },
            Landmark::SplitSegments => Bounds { complete: Either, ..writers([5, 0], [1, 0]) },
            Landmark::CompleteCommitInIndex => Bounds { complete: Either, ..writers([3, 2], [1, 1]) },
            Landmark::FreshSession => Bounds { abandonments: 1, ..writers([3, 2], [0, 0]) },
            Landmark::OvertakenCompaction | Landmark::RefusedPublication => writers([3, 2], [1, 1]),
            Landmark::TokenOutdated => Bounds { token: true, ..writers([4, 1], [1, 0]) },
        };
        (landmark, bounds)
    };
    LANDMARKS.into_iter().map(find).collect()
}

fn scenario(name: &'static str, bounds: Bounds) -> Scenario {
    Scenario { name, bounds }
}

fn mutant(rule: Rule, violates: Violation, bounds: Bounds) -> Mutant {
    Mutant { rule, violates, bounds }
}

/// Commit PUTs and compactions of the two writers.
fn writers(puts: [u8; 2], compactions: [u8; 2]) -> Bounds {
    Bounds { puts, compactions, ..Bounds::default() }
}

const OBJECTS: &[Sweep] = &[Sweep::Objects];
const COMMITS: &[Sweep] = &[Sweep::Commits];
const ALL_IN_TWO_STEPS: TwoStepLoad = TwoStepLoad { writers: true, sweepers: true, reader: true };

fn sweeping(sweepers: &[Sweep], bounds: Bounds) -> Bounds {
    Bounds { sweepers: sweepers.to_vec(), ..bounds }
}

/// What every run of the tests explores.
pub fn scenarios() -> Vec<Scenario> {
    use Choice::{Always, Either};
    vec![
        scenario(
            "a: objects one by one, each delayed; two compactors",
            sweeping(OBJECTS, Bounds { timeouts: 1, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "a: leaf page among them",
            sweeping(OBJECTS, Bounds { timeouts: 1, leaf_entries: 1, ..writers([4, 1], [2, 0]) }),
        ),
        scenario(
            "b: ledger page rewritten, missing pages",
            sweeping(OBJECTS, Bounds { timeouts: 1, ..writers([3, 3], [2, 0]) }),
        ),
        scenario(
            "b: several ledger pages, two compactors",
            Bounds { timeouts: 1, ledger_entries: 1, ..writers([3, 3], [2, 1]) },
        ),
        scenario(
            "c: sweep of objects page by page",
            sweeping(OBJECTS, Bounds { leaf_entries: 1, ..writers([4, 2], [2, 1]) }),
        ),
        scenario(
            "c: sweep of commits page by page",
            sweeping(COMMITS, Bounds { leaf_entries: 1, complete: Either, ..writers([4, 1], [2, 0]) }),
        ),
        scenario(
            "d: merges of partial segments, any end, a reader",
            Bounds { merges: Either, any_end: true, reader: true, ..writers([4, 1], [2, 0]) },
        ),
        scenario(
            "d: merges by two writers, sweep of objects",
            sweeping(OBJECTS, Bounds { merges: Either, ..writers([3, 2], [2, 1]) }),
        ),
        scenario(
            "e: complete commits merged, sweep of commits",
            sweeping(COMMITS, Bounds { complete: Either, merges: Either, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "e: complete commits, trimmed away, a reader",
            Bounds { complete: Always, trims: 1, reader: true, ..writers([4, 1], [1, 0]) },
        ),
        scenario(
            "f: abandoned append, carry",
            Bounds { timeouts: 1, abandonments: 1, carry: true, ..writers([3, 2], [1, 1]) },
        ),
        scenario(
            "f: abandoned append, nonces",
            Bounds { timeouts: 1, abandonments: 1, nonces: true, ..writers([3, 2], [1, 0]) },
        ),
        scenario(
            "f: abandoned publication, sweep of objects",
            sweeping(OBJECTS, Bounds { abandonments: 1, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "g: publication on appends, alone and beside trims",
            Bounds { timeouts: 1, metadata: 1, trims: 1, ..writers([3, 2], [1, 1]) },
        ),
        scenario(
            "i: deletions by either writer",
            Bounds { timeouts: 1, trims: 2, deletions: true, ..writers([3, 2], [1, 0]) },
        ),
        scenario(
            "i: appends that trim, a compaction, a carry, a reader",
            Bounds { timeouts: 1, retention: Some(1), carry: true, reader: true, ..writers([3, 2], [1, 0]) },
        ),
        scenario(
            "h: token and follower beside ghosts",
            Bounds { abandonments: 1, token: true, follower: true, ..writers([4, 1], [1, 0]) },
        ),
        scenario(
            "progress of writers and reader in every state",
            Bounds { timeouts: 1, reader: true, progress: true, ..writers([2, 2], [1, 0]) },
        ),
        scenario(
            "every Load in two steps, both sweeps, a reader",
            sweeping(
                &[Sweep::Commits, Sweep::Objects],
                Bounds { reader: true, two_step_load: ALL_IN_TWO_STEPS, ..writers([3, 1], [1, 0]) },
            ),
        ),
    ]
}

/// What is explored besides with `KLSTORE_MODEL_BOUNDS=large`.
pub fn large_scenarios() -> Vec<Scenario> {
    use Choice::Either;
    let both = &[Sweep::Commits, Sweep::Objects];
    vec![
        scenario(
            "a: two time-outs, two compactors",
            sweeping(OBJECTS, Bounds { timeouts: 2, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "a: time-out, two compactors, both sweeps",
            sweeping(both, Bounds { timeouts: 1, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "a: time-out, two compactors, sweep of objects, a reader",
            sweeping(OBJECTS, Bounds { timeouts: 1, reader: true, ..writers([3, 2], [1, 1]) }),
        ),
        scenario("b: ledger pages, two compactors", Bounds { timeouts: 1, ..writers([3, 3], [2, 1]) }),
        scenario(
            "c: three compactions of one writer, one entry a leaf",
            sweeping(OBJECTS, Bounds { leaf_entries: 1, ..writers([5, 1], [3, 0]) }),
        ),
        scenario(
            "c: two sweepers of objects at once",
            sweeping(&[Sweep::Objects, Sweep::Objects], Bounds { leaf_entries: 1, ..writers([4, 1], [2, 0]) }),
        ),
        scenario(
            "d: merges by two writers, sweep of objects",
            sweeping(OBJECTS, Bounds { merges: Either, ..writers([4, 2], [2, 1]) }),
        ),
        scenario(
            "e: complete commits by two compactors, time-out, sweep of commits",
            sweeping(COMMITS, Bounds { timeouts: 1, complete: Either, merges: Either, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "f: abandoned appends of both writers, sweep of commits",
            sweeping(COMMITS, Bounds { timeouts: 1, abandonments: 2, ..writers([3, 2], [1, 1]) }),
        ),
        scenario(
            "g: publication, two trims, a reader",
            Bounds { timeouts: 1, metadata: 1, trims: 2, reader: true, ..writers([3, 2], [1, 0]) },
        ),
        scenario("h: token, two compactions", Bounds { token: true, follower: true, ..writers([5, 2], [2, 0]) }),
        scenario(
            "progress of writers and reader in every state",
            Bounds { timeouts: 1, reader: true, progress: true, ..writers([2, 2], [1, 1]) },
        ),
    ]
}

/// Everything at once, for random walks.
pub fn everything(nonces: bool) -> Bounds {
    use Choice::Either;
    let bounds = Bounds {
        timeouts: 3,
        abandonments: 2,
        trims: 2,
        metadata: 3,
        nonces,
        complete: Either,
        merges: Either,
        any_end: true,
        carry: true,
        leaf_entries: 1,
        reader: true,
        token: true,
        progress: true,
        ..writers([9, 9], [3, 3])
    };
    sweeping(&[Sweep::Commits, Sweep::Objects], bounds)
}

/// The rules, each with the smallest bounds found under which it is missed.
pub fn mutants() -> Vec<Mutant> {
    use Choice::Always;
    use Violation::{Append, Deleted, History, Index, Nonce, Start, Stuck};
    let few = || writers([3, 2], [1, 1]);
    let ghosts = || writers([4, 1], [1, 0]);
    let two_step = |writers, sweepers, reader| TwoStepLoad { writers, sweepers, reader };
    vec![
        mutant(Rule::FreshSession, Append, Bounds { timeouts: 1, abandonments: 1, ..few() }),
        mutant(
            Rule::LoadComparesEtag,
            History,
            Bounds { reader: true, two_step_load: two_step(false, false, true), ..ghosts() },
        ),
        mutant(
            Rule::LoadComparesEtag,
            Deleted,
            sweeping(OBJECTS, Bounds { two_step_load: two_step(false, true, false), ..writers([5, 1], [2, 1]) }),
        ),
        mutant(
            Rule::LoadComparesEtag,
            Append,
            Bounds { timeouts: 1, two_step_load: two_step(true, false, false), ..ghosts() },
        ),
        mutant(Rule::ConditionalPut, Deleted, writers([3, 2], [0, 0])),
        mutant(Rule::CarryFollowsChain, History, Bounds { carry: true, ..few() }),
        mutant(Rule::CarryAcknowledged, History, Bounds { carry: true, abandonments: 1, ..few() }),
        mutant(Rule::ResolveHandover, Append, ghosts()),
        mutant(Rule::ResolveMetadataHandover, Append, Bounds { trims: 1, ..writers([4, 2], [1, 0]) }),
        mutant(Rule::ResolveRefused, Append, Bounds { timeouts: 1, ..writers([3, 2], [0, 0]) }),
        mutant(Rule::ResolveByIdentity, Append, writers([3, 2], [0, 0])),
        mutant(Rule::ResolveByLedger, Append, few()),
        mutant(Rule::ResolveMissingPage, Append, writers([3, 1], [2, 0])),
        mutant(Rule::ResolveMissingLedger, Append, Bounds { abandonments: 1, ..writers([7, 1], [2, 0]) }),
        mutant(Rule::ResolveRestartsFromLoad, Stuck, Bounds { progress: true, ..writers([3, 2], [2, 0]) }),
        mutant(Rule::DuplicateFromSnapshot, Nonce, Bounds { nonces: true, abandonments: 1, ..writers([4, 2], [1, 0]) }),
        mutant(Rule::StartNeverFalls, Start, Bounds { trims: 2, ..writers([3, 2], [0, 0]) }),
        mutant(Rule::DeletionLoads, Start, Bounds { trims: 2, deletions: true, ..writers([2, 2], [0, 0]) }),
        mutant(Rule::DropBelowStart, Start, few()),
        mutant(
            Rule::CoverMore,
            Deleted,
            sweeping(OBJECTS, Bounds { merges: Choice::Either, ..writers([3, 2], [2, 0]) }),
        ),
        mutant(Rule::LedgerKeepsOverflow, Index, few()),
        mutant(Rule::IndexBeforePublish, Deleted, few()),
        mutant(Rule::SegmentsBeforePublish, Deleted, few()),
        mutant(Rule::LeafBeforePublish, Deleted, Bounds { leaf_entries: 1, ..writers([4, 1], [2, 0]) }),
        mutant(Rule::LedgerBeforePublish, Deleted, few()),
        mutant(Rule::DiscardPrepared, Index, few()),
        mutant(Rule::DiscardOnAnyChange, Deleted, Bounds { merges: Choice::Either, ..writers([5, 2], [2, 1]) }),
        mutant(Rule::CollectAfterAcknowledge, Deleted, few()),
        mutant(Rule::StubHandover, Append, few()),
        mutant(Rule::CollectSparesComplete, Deleted, Bounds { complete: Choice::Either, ..few() }),
        mutant(
            Rule::StubDroppedHandover,
            Append,
            Bounds { complete: Always, merges: Always, ..writers([4, 2], [2, 0]) },
        ),
        mutant(Rule::DropAfterAcknowledge, Deleted, writers([3, 2], [2, 0])),
        mutant(Rule::KeepSharedLeaf, Deleted, Bounds { leaf_entries: 1, ..writers([5, 0], [3, 0]) }),
        mutant(Rule::KeepSharedLedger, Deleted, writers([4, 3], [2, 1])),
        mutant(Rule::SweepStubsHandover, Append, sweeping(COMMITS, few())),
        mutant(Rule::SweepKeepsStubs, Append, sweeping(COMMITS, few())),
        mutant(Rule::SweepSparesComplete, Deleted, sweeping(COMMITS, Bounds { complete: Choice::Either, ..few() })),
        mutant(Rule::SweepMissingPage, Deleted, sweeping(OBJECTS, writers([3, 2], [2, 0]))),
        mutant(
            Rule::SweepMissingPage,
            Deleted,
            sweeping(COMMITS, Bounds { complete: Choice::Either, ..writers([3, 2], [2, 0]) }),
        ),
        mutant(Rule::SweepCoveredOnly, Deleted, sweeping(OBJECTS, few())),
        mutant(Rule::SweepUnreferencedOnly, Deleted, sweeping(OBJECTS, few())),
        mutant(
            Rule::SweepReachesLeaves,
            Deleted,
            sweeping(OBJECTS, Bounds { leaf_entries: 1, ..writers([4, 0], [2, 0]) }),
        ),
        mutant(Rule::SweepReachesLedger, Deleted, sweeping(OBJECTS, few())),
        mutant(Rule::ReadMissing, History, Bounds { reader: true, ..few() }),
        mutant(Rule::ReadRestartsFromLoad, Stuck, Bounds { reader: true, progress: true, ..few() }),
        mutant(Rule::ReadMatchesTable, History, Bounds { reader: true, ..ghosts() }),
        mutant(
            Rule::ReadMatchesIndex,
            History,
            Bounds { reader: true, complete: Always, merges: Always, ..writers([5, 1], [2, 0]) },
        ),
        mutant(Rule::TokenIdentity, History, Bounds { token: true, ..ghosts() }),
        mutant(Rule::FollowSameSession, History, Bounds { follower: true, ..ghosts() }),
        mutant(Rule::FollowMissing, History, Bounds { follower: true, ..few() }),
    ]
}
