//! The real plans under random schedules, and whether random schedules find what they should.

use klstore_format::rules::{Rule, without};
use klstore_tests::explorer::explore;
use klstore_tests::seeded;

#[test]
fn random_schedules_violate_nothing() {
    let seed = seeded::seed("explorer");
    let steps = seeded::count("KLSTORE_STEPS", 1_000_000);
    match explore(seed, steps) {
        Ok(tally) => println!("{tally:?}"),
        Err(violation) => panic!("after {} steps: {}", violation.steps, violation.message),
    }
}

/// The explorer is worth its time only if it finds what breaks: with a rule switched off it must report a violation.
#[test]
fn random_schedules_find_rules_that_are_broken() {
    let seed = seeded::seed("explorer without rules");
    let steps = seeded::count("KLSTORE_STEPS", 1_000_000);
    for rule in FOUND {
        match without(rule, || explore(seed, steps)) {
            Err(violation) => println!("without {rule:?} after {} steps: {}", violation.steps, violation.message),
            Ok(tally) => {
                panic!("{rule:?} is switched off, and nothing breaks in {} steps: KLSTORE_SEED={seed}", tally.steps)
            }
        }
    }
}

/// The rules whose absence random schedules find within some thousands of steps. The others need a schedule of their
/// own: `protocol_rules` has one for each.
const FOUND: [Rule; 21] = [
    Rule::ConditionalPut,
    Rule::CarryFollowsChain,
    Rule::ResolveHandover,
    Rule::ResolveRefused,
    Rule::ResolveByLedger,
    Rule::DuplicateFromSnapshot,
    Rule::CoverMore,
    Rule::IndexBeforePublish,
    Rule::SegmentsBeforePublish,
    Rule::DiscardPrepared,
    Rule::CollectAfterAcknowledge,
    Rule::StubHandover,
    Rule::CollectSparesComplete,
    Rule::DropAfterAcknowledge,
    Rule::SweepKeepsStubs,
    Rule::SweepSparesComplete,
    Rule::SweepMissingPage,
    Rule::SweepCoveredOnly,
    Rule::SweepUnreferencedOnly,
    Rule::ReadMissing,
    Rule::FollowMissing,
];
