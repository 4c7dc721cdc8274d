//! `mutants [--seeds N] [--first S] [--threads T] [RULE...]`: for every rule, or those named, the first seed whose run
//! violates something with the rule switched off. The table that it prints is `killing-seeds.txt`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use klstore_format::rules::Rule;
use klstore_simulator::base;
use klstore_simulator::mutants::{Fate, rule_of_name, search};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut seeds, mut first, mut threads, mut rules) = (2_000_u64, 1_u64, 2_u64, Vec::new());
    while let Some(argument) = arguments.next() {
        let number = match argument.as_str() {
            "--seeds" => &mut seeds,
            "--first" => &mut first,
            "--threads" => &mut threads,
            name => match rule_of_name(name) {
                Some(rule) => {
                    rules.push(rule);
                    continue;
                }
                None => {
                    eprintln!("mutants: no rule or option `{name}`: --seeds N, --first S, --threads T, or a rule");
                    return ExitCode::from(2);
                }
            },
        };
        let Some(value) = arguments.next().and_then(|text| text.parse().ok()) else {
            eprintln!("mutants: {argument} needs a number");
            return ExitCode::from(2);
        };
        *number = value;
    }
    if rules.is_empty() {
        rules = Rule::ALL.to_vec();
    }
    // A panic of a mutant is a violation, told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    base::prepare();
    let next = AtomicUsize::new(0);
    let fates = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let fate = search(rule, first..first.saturating_add(seeds));
                    match &fate {
                        Fate::Caught { violation, .. } => {
                            let violation: String = violation.chars().take(240).collect();
                            println!("{rule:?}: {violation}");
                        }
                        Fate::Survived => println!("{rule:?}: SURVIVED {seeds} seeds"),
                    }
                    if let Ok(mut fates) = fates.lock() {
                        fates.push((rule, fate));
                    }
                }
            });
        }
    });
    let mut fates = fates.into_inner().unwrap_or_default();
    fates.sort_by_key(|(rule, _)| Rule::ALL.iter().position(|other| other == rule));
    println!("\n# killing-seeds.txt");
    for (rule, fate) in &fates {
        if let Fate::Caught { seed, .. } = fate {
            println!("{rule:?} {seed}");
        }
    }
    let survived = fates.iter().filter(|(_, fate)| *fate == Fate::Survived).count();
    println!("mutants: {} caught, {survived} survived", fates.len() - survived);
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
