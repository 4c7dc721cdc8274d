//! Runs the model to its end, or to the first violation.

use stateright::{Checker, HasDiscoveries, Model, UniformChooser};

use crate::bounds::Bounds;
use crate::properties::VIOLATIONS;
use crate::{Action, Protocol, Violation};

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    /// Different states seen.
    pub states: usize,
    /// Steps to the furthest state (breadth first), or of the longest path tried (depth first).
    pub depth: usize,
    /// The first violation: what is violated, and the steps to it.
    pub violation: Option<(Violation, Vec<Action>)>,
}

fn outcome(checker: &impl Checker<Protocol>) -> Outcome {
    let mut discoveries = checker.discoveries();
    let found = VIOLATIONS.iter().find_map(|(violation, name)| Some((*violation, discoveries.remove(name)?)));
    Outcome {
        states: checker.unique_state_count(),
        depth: checker.max_depth().saturating_sub(1),
        violation: found.map(|(violation, path)| (violation, path.into_actions())),
    }
}

/// Every state within the bounds.
pub fn explore(bounds: Bounds) -> Outcome {
    outcome(&Protocol::new(bounds).checker().finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join())
}

/// A shortest way to a violation; every state where there is none.
pub fn shortest(bounds: Bounds) -> Outcome {
    outcome(&Protocol::new(bounds).checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join())
}

/// Random walks from the empty list until so many states were seen.
pub fn walk(bounds: Bounds, seed: u64, states: usize) -> Outcome {
    let walks = Protocol::new(bounds).checker().finish_when(HasDiscoveries::AnyFailures).target_state_count(states);
    outcome(&walks.spawn_simulation(seed, UniformChooser).join())
}
