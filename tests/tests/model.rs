//! Whatever is done to lists, they read as the plain vectors that they stand for (DESIGN section 4).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at whatever it does not expect")]

use klstore_format::rules::{Rule, without};
use klstore_tests::{model_run, seeded, wire_run};

#[test]
fn lists_are_vectors() {
    let seed = seeded::seed("model");
    let operations = seeded::count("KLSTORE_OPERATIONS", 100_000);
    match model_run::run(seed, operations) {
        Ok(tally) => println!("{operations} operations: {tally:#?}"),
        Err(difference) => panic!("{difference}"),
    }
}

/// The run is worth its time only if it notices: here rules that need an index with leaves, and some others.
#[test]
fn a_broken_rule_makes_a_difference() {
    let seed = seeded::seed("model without rules");
    for rule in [Rule::CarryFollowsChain, Rule::CollectSparesComplete, Rule::KeepSharedLeaf, Rule::SweepReachesLeaves] {
        match without(rule, || model_run::run(seed, 100_000)) {
            Err(difference) => println!("without {rule:?}: {difference}"),
            Ok(_) => panic!("{rule:?} is switched off and nothing differs: KLSTORE_SEED={seed}"),
        }
    }
}

/// The same through writer and reader over HTTP, while the server fails, loses answers and does things late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_vectors_over_http_in_a_storm() {
    let seed = seeded::seed("model over HTTP");
    let operations = seeded::count("KLSTORE_HTTP_OPERATIONS", 6_000);
    match wire_run::run(seed, operations).await {
        Ok(tally) => println!("{operations} operations: {tally:#?}"),
        Err(difference) => panic!("{difference}"),
    }
}
