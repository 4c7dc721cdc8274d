//! `simulate [--operations N] [--seed S] [--threads T]`: plays runs until they have made N calls, from seed S on.
//! `simulate --trace --seed S` plays one and prints what happens in it; `simulate --crash-points` tries them all.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use klstore_simulator::campaign::simulate;
use klstore_simulator::crash_points::{Tried, try_every_point};
use klstore_simulator::{base, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut operations, mut seed, mut threads, mut trace) = (2_000_000, 1, cores(), false);
    while let Some(argument) = arguments.next() {
        let number = match argument.as_str() {
            "--trace" => {
                trace = true;
                continue;
            }
            "--crash-points" => return try_crash_points(cores() as usize),
            "--operations" => &mut operations,
            "--seed" => &mut seed,
            "--threads" => &mut threads,
            other => {
                eprintln!(
                    "simulate: no option `{other}`: --operations N, --seed S, --threads T, --trace, --crash-points"
                );
                return ExitCode::from(2);
            }
        };
        let Some(value) = arguments.next().and_then(|text| text.replace('_', "").parse().ok()) else {
            eprintln!("simulate: {argument} needs a number");
            return ExitCode::from(2);
        };
        *number = value;
    }
    if trace { play_one(seed) } else { play_many(seed, operations, threads.max(1)) }
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn try_crash_points(threads: usize) -> ExitCode {
    let tried = match try_every_point(threads) {
        Ok(tried) => tried,
        Err(violation) => {
            println!("violation without a crash: {violation}");
            return ExitCode::FAILURE;
        }
    };
    for violation in tried.violations.iter().take(20) {
        println!("violation: {violation}");
    }
    let Tried { requests, points, in_recovery, violations } = &tried;
    let violations = violations.len();
    println!("crash points: {points} tried, {requests} requests, {in_recovery} in recovery, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_one(seed: u64) -> ExitCode {
    base::prepare();
    let outcome = run::run(seed, true);
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("{}", outcome.tally);
    println!("trace {:016x}", outcome.trace);
    match outcome.violation {
        Some(violation) => {
            println!("violation: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn play_many(seed: u64, operations: u64, threads: u64) -> ExitCode {
    let made = AtomicU64::new(0);
    let campaign = simulate(seed, operations, threads, |outcome| {
        let more = outcome.tally.operations();
        let before = made.fetch_add(more, Ordering::Relaxed);
        if before / 1_000_000 != (before + more) / 1_000_000 {
            println!("{} million operations", (before + more) / 1_000_000);
        }
        if let Some(violation) = &outcome.violation {
            println!("violation: {violation}");
        }
    });
    println!("{}", campaign.tally);
    let (operations, seeds) = (campaign.tally.operations(), campaign.tally.seeds);
    println!("simulate: {operations} operations, {seeds} seeds, {} violations", campaign.violations);
    if campaign.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
