//! With all rules kept, no state within the bounds violates a property.

use klstore_protocol_model::check::{explore, walk};
use klstore_protocol_model::scenarios::{Scenario, everything, large_scenarios, scenarios};

fn holds(scenario: Scenario) {
    let outcome = explore(scenario.bounds);
    println!("{}: {} states, all of them", scenario.name, outcome.states);
    assert!(outcome.violation.is_none(), "{}: {:#?}", scenario.name, outcome.violation);
}

#[test]
fn holds_within_the_bounds() {
    scenarios().into_iter().for_each(holds);
}

fn large() -> bool {
    std::env::var("KLSTORE_MODEL_BOUNDS").is_ok_and(|bounds| bounds == "large")
}

#[test]
fn holds_on_random_walks() {
    let steps = if large() { 20_000_000 } else { 2_000_000 };
    for (nonces, seed) in [(false, 1), (true, 2)] {
        let outcome = walk(everything(nonces), seed, steps);
        println!("random walks, nonces {nonces}, seed {seed}: {} steps", outcome.states);
        assert!(outcome.violation.is_none(), "nonces {nonces}, seed {seed}: {:#?}", outcome.violation);
    }
}

#[test]
fn holds_within_the_large_bounds() {
    if large() {
        large_scenarios().into_iter().for_each(holds);
    }
}
