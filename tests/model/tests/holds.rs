//! With all rules kept, no state within the bounds violates a property.

use klstore_protocol_model::check::explore;
use klstore_protocol_model::scenarios::{Scenario, large_scenarios, scenarios};

fn holds(scenario: Scenario) {
    let outcome = explore(scenario.bounds);
    println!("{}: {} states, all of them", scenario.name, outcome.states);
    assert!(outcome.violation.is_none(), "{}: {:#?}", scenario.name, outcome.violation);
}

#[test]
fn holds_within_the_bounds() {
    scenarios().into_iter().for_each(holds);
}

#[test]
fn holds_within_the_large_bounds() {
    if std::env::var("KLSTORE_MODEL_BOUNDS").is_ok_and(|bounds| bounds == "large") {
        large_scenarios().into_iter().for_each(holds);
    }
}
