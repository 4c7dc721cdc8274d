//! Many runs, on all cores: the seeds that follow each other from a first one.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::base;
use crate::run::{Outcome, run};
use crate::tally::Tally;

/// Violations that are kept in words.
const MAX_KEPT: usize = 20;

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Campaign {
    /// What they saw.
    pub tally: Tally,
    /// How many violated something.
    pub violations: u64,
    /// The first ones, with their seeds.
    pub messages: Vec<String>,
}

/// Plays the runs from `seed` on until they have made so many calls; `progress` hears of each run.
///
/// Which seeds that are depends on nothing but the arguments: each of `threads` takes every `threads`-th seed.
pub fn simulate(seed: u64, operations: u64, threads: u64, progress: impl Fn(&Outcome) + Sync) -> Campaign {
    base::prepare();
    let campaign = Mutex::new(Campaign::default());
    let work = |thread: u64| {
        let mut made = 0;
        let mut next = seed.wrapping_add(thread);
        while made < operations.div_ceil(threads) {
            let outcome = run(next, false);
            next = next.wrapping_add(threads);
            made += outcome.tally.operations();
            progress(&outcome);
            let mut campaign = campaign.lock().unwrap_or_else(PoisonError::into_inner);
            campaign.tally.add(&outcome.tally);
            if let Some(message) = outcome.violation {
                campaign.violations += 1;
                if campaign.messages.len() < MAX_KEPT {
                    campaign.messages.push(message);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
    campaign.into_inner().unwrap_or_else(PoisonError::into_inner)
}
