//! How much happens in one run of the model: every number is an upper bound of what the search may use up.

use crate::{Landmark, Rule};

/// Which of a Load's users take LIST and GET as two steps (the others: see `World::load_at_once`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TwoStepLoad {
    /// The writers.
    pub writers: bool,
    /// The sweepers.
    pub sweepers: bool,
    /// The reader.
    pub reader: bool,
}

/// Whether something is done where it can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Never.
    #[default]
    Never,
    /// Both ways are explored.
    Either,
    /// Always.
    Always,
}

impl Choice {
    /// The ways to explore.
    pub fn ways(self) -> &'static [bool] {
        match self {
            Self::Never => &[false],
            Self::Either => &[false, true],
            Self::Always => &[true],
        }
    }
}

/// What a sweeper sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Commits (rule 10).
    Commits,
    /// Segments and index pages (rule 11).
    Objects,
}

/// The bounds of one run.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Commit PUTs with distinct put ids, for each writer.
    pub puts: [u8; 2],
    /// How many of all commits may be metadata-only.
    pub metadata: u8,
    /// Compactions that each writer may begin.
    pub compactions: [u8; 2],
    /// Commit or object PUTs without an answer.
    pub timeouts: u8,
    /// Appends abandoned (deadline, dropped future, crash).
    pub abandonments: u8,
    /// Trims.
    pub trims: u8,
    /// The trims are deletions: to the end, wherever that is at each attempt.
    pub deletions: bool,
    /// An append trims what is before so many newest items.
    pub retention: Option<u8>,
    /// Items have nonces, and both writers re-send one source's items.
    pub nonces: bool,
    /// Whether a commit with an item is complete.
    pub complete: Choice,
    /// Whether a compaction merges the open leaf's trailing entries.
    pub merges: Choice,
    /// A compaction may cover less than it could.
    pub any_end: bool,
    /// Commits repeat the item before their own.
    pub carry: bool,
    /// Entries of a leaf page.
    pub leaf_entries: usize,
    /// Handovers that a ledger page holds before the next one is begun.
    pub ledger_entries: usize,
    /// Sweepers.
    pub sweepers: Vec<Sweep>,
    /// A reader of the whole list.
    pub reader: bool,
    /// A follower.
    pub follower: bool,
    /// A holder of a continuation token.
    pub token: bool,
    /// Loads in two steps.
    pub two_step_load: TwoStepLoad,
    /// Every state is checked for progress: writers and reader finish alone.
    pub progress: bool,
    /// The rule that is switched off.
    pub off: Option<Rule>,
    /// The run ends where this is reached.
    pub landmark: Option<Landmark>,
}

impl Default for Bounds {
    /// Two writers that append, and nothing else.
    fn default() -> Self {
        Self {
            puts: [3, 2],
            metadata: 0,
            compactions: [0, 0],
            timeouts: 0,
            abandonments: 0,
            trims: 0,
            deletions: false,
            retention: None,
            nonces: false,
            complete: Choice::Never,
            merges: Choice::Never,
            any_end: false,
            carry: false,
            leaf_entries: 3,
            ledger_entries: 2,
            sweepers: Vec::new(),
            reader: false,
            follower: false,
            token: false,
            two_step_load: TwoStepLoad::default(),
            progress: false,
            off: None,
            landmark: None,
        }
    }
}

impl Bounds {
    /// Whether a rule is kept in this run.
    pub fn kept(&self, rule: Rule) -> bool {
        self.off != Some(rule)
    }

    /// The same bounds, looking for a landmark.
    pub fn towards(mut self, landmark: Landmark) -> Self {
        self.landmark = Some(landmark);
        self
    }

    /// The same bounds with a rule switched off.
    pub fn without(mut self, rule: Rule) -> Self {
        self.off = Some(rule);
        self
    }
}
