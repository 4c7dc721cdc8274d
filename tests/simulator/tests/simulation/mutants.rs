//! Each rule's killing seed: without the rule its run violates what must hold, and with it nothing.

use std::collections::BTreeSet;

use klstore_format::rules::Rule;
use klstore_simulator::mutants::{killing_seeds, rule_of_name, violation_without};
use klstore_simulator::run::run;

#[test]
fn every_mutant_is_caught_by_its_seed() {
    let table = killing_seeds();
    let named: BTreeSet<String> = table.iter().map(|(rule, _)| rule.clone()).collect();
    let all: BTreeSet<String> = Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect();
    assert_eq!(named, all, "killing-seeds.txt has each rule once");
    assert_eq!(table.len(), all.len(), "killing-seeds.txt has each rule once");
    std::panic::set_hook(Box::new(|_| {}));
    let (mut caught, mut survived, mut escaped) = (0, 0, Vec::new());
    for (name, seed) in table {
        let rule = rule_of_name(&name).expect("a rule");
        let Some(seed) = seed else {
            println!("{name}: no run is known that is violated; killing-seeds.txt says why");
            survived += 1;
            continue;
        };
        match violation_without(rule, seed) {
            Some(violation) => println!("{name}: {}", violation.chars().take(160).collect::<String>()),
            None => escaped.push(name),
        }
        assert_eq!(run(seed, false).violation, None, "with all rules on");
        caught += 1;
    }
    drop(std::panic::take_hook());
    println!("mutants: {} caught, {} survived", caught - escaped.len(), survived + escaped.len());
    assert!(escaped.is_empty(), "not caught: {escaped:?}; search new seeds by script/mutants");
}
