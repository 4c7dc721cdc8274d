//! Random tests that can be played again: a fresh seed for each run unless `KLSTORE_SEED` is set, and always printed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The random numbers of a test.
pub type Random = StdRng;

/// The seed of a test; it prints how to play the run again.
pub fn seed(test: &str) -> u64 {
    let seed = variable("KLSTORE_SEED").unwrap_or_else(rand::random);
    println!("{test}: to play this run again set KLSTORE_SEED={seed}");
    seed
}

/// How many operations or steps to do: `default`, or what the variable says.
pub fn count(name: &str, default: u64) -> u64 {
    variable(name).unwrap_or(default)
}

/// The numbers of one part of a test: a part can be played alone, whatever came before it.
pub fn random(seed: u64, part: u64) -> Random {
    StdRng::seed_from_u64(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// One of these.
pub fn pick<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.random_range(0..of.len())]
}

/// Whether something happens that happens so many times in a hundred.
pub fn percent(random: &mut Random, chance: u32) -> bool {
    random.random_range(0..100) < chance
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")))
}
