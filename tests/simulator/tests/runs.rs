//! Two million calls under simulated bad luck violate nothing, and a seed is a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

use klstore_simulator::campaign::simulate;
use klstore_simulator::{base, run, seeded};

/// What a run of the tests must have seen of each.
const LEAST: u64 = 1_000;

#[test]
fn runs_violate_nothing() {
    let (seed, operations) = (seeded::count("KLSTORE_SEED", 1), seeded::count("KLSTORE_OPERATIONS", 2_000_000));
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let campaign = simulate(seed, operations, threads, |_| {});
    println!("{}", campaign.tally);
    let (made, seeds) = (campaign.tally.operations(), campaign.tally.seeds);
    println!("simulate: {made} operations, {seeds} seeds, {} violations", campaign.violations);
    assert_eq!(campaign.violations, 0, "{:#?}", campaign.messages);
    if operations >= 1_000_000 {
        for (what, seen) in campaign.tally.rare() {
            assert!(seen >= LEAST, "only {seen} {what} were seen");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    base::prepare();
    let mut over_http = 0;
    for seed in 1..=40 {
        let (first, second) = (run::run(seed, true), run::run(seed, true));
        for (line, again) in first.lines.iter().zip(&second.lines) {
            assert_eq!(line, again, "seed {seed}");
        }
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed}");
        assert_eq!((first.trace, &first.tally), (second.trace, &second.tally), "seed {seed}");
        over_http += first.tally.wire_seeds;
    }
    let different = run::run(1, false).trace != run::run(2, false).trace;
    assert!(different, "two seeds are the same run");
    println!("40 seeds, each twice: the same trace; {over_http} of them over HTTP");
}
