//! Two million calls under simulated bad luck violate nothing, and a seed is a run.

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
    let over_http = (1..).filter(|seed| run::goes_by_sdk(*seed)).take(2);
    for seed in (1..=20).chain(over_http) {
        let (first, second) = (run::run(seed, true), run::run(seed, true));
        for (line, again) in first.lines.iter().zip(&second.lines) {
            assert_eq!(line, again, "seed {seed}");
        }
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed}");
        assert_eq!((first.trace, &first.tally), (second.trace, &second.tally), "seed {seed}");
    }
    let different = run::run(1, true).trace != run::run(2, true).trace;
    assert!(different, "two seeds are the same run");
    println!("22 seeds, each twice: the same trace; 2 of them by HTTP and the AWS SDK");
}
