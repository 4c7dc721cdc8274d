//! Proof that the simulator can fail: with any one rule switched off, a run violates what must hold.

use klstore_format::rules::{Rule, without};

use crate::base;
use crate::run::{goes_by_sdk, run};

/// The committed table: for each rule a seed whose run violates something without it.
pub const KILLING_SEEDS: &str = include_str!("../killing-seeds.txt");

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The run of this seed violates this.
    Caught {
        /// The seed.
        seed: u64,
        /// What is broken.
        violation: String,
    },
    /// No run up to the last one violates anything.
    Survived,
}

/// The seeds of the table by the names of the rules; `None` for a rule that is explained there instead.
pub fn killing_seeds() -> Vec<(String, Option<u64>)> {
    let lines = KILLING_SEEDS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (rule, rest) = line.split_once(' ').unwrap_or((line, ""));
        (rule.to_owned(), rest.trim().parse().ok())
    };
    lines.map(entry).collect()
}

/// The rule of this name.
pub fn rule_of_name(name: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| format!("{rule:?}") == name)
}

/// What the run of this seed violates without the rule.
pub fn violation_without(rule: Rule, seed: u64) -> Option<String> {
    base::prepare();
    without(rule, || run(seed, false)).violation
}

/// Plays the runs of these seeds without the rule until one violates something.
pub fn search(rule: Rule, seeds: impl IntoIterator<Item = u64>) -> Fate {
    // It is a rule of the store that goes by the AWS SDK: no other run can tell.
    let by_sdk_alone = rule == Rule::WriterBodyLength;
    for seed in seeds.into_iter().filter(|seed| !by_sdk_alone || goes_by_sdk(*seed)) {
        // A seed counts only if nothing is violated with all rules kept.
        if let Some(violation) = violation_without(rule, seed)
            && run(seed, false).violation.is_none()
        {
            return Fate::Caught { seed, violation };
        }
    }
    Fate::Survived
}
