//! Without a rule the model fails: it would notice if the rule were not needed, or not expressed.

use klstore_protocol_model::check::{explore, shortest};
use klstore_protocol_model::scenarios::mutants;

#[test]
fn every_rule_is_missed() {
    for mutant in mutants() {
        let outcome = shortest(mutant.bounds.without(mutant.rule));
        let Some((violation, steps)) = outcome.violation else {
            panic!("{:?} is not missed in {} states", mutant.rule, outcome.states);
        };
        println!("{:?}: {} steps, {} states: {}", mutant.rule, steps.len(), outcome.states, violation.name());
        assert_eq!(violation, mutant.violates, "{:?}: {steps:#?}", mutant.rule);
    }
}

/// The violation comes from the missing rule and from nothing else in its bounds.
#[test]
fn the_same_bounds_hold_with_the_rule() {
    if std::env::var("KLSTORE_MODEL_BOUNDS").is_ok_and(|bounds| bounds == "large") {
        for mutant in mutants() {
            let outcome = explore(mutant.bounds);
            println!("{:?} kept: {} states", mutant.rule, outcome.states);
            assert!(outcome.violation.is_none(), "{:?}: {:#?}", mutant.rule, outcome.violation);
        }
    }
}
