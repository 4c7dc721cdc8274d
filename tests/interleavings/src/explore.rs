//! Runs a scenario in one order after the other, as shuttle's schedulers choose them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shuttle::current::TaskId;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::sync::{Care, without};

/// Orders of each kind of scheduler, unless `KLSTORE_INTERLEAVINGS` says how many.
const ORDERS: usize = 1_000;
/// Preemptions that PCT places: few are enough for almost any fault.
const PREEMPTIONS: [usize; 3] = [1, 2, 4];
/// More than any scenario takes that comes to its end.
const MAX_STEPS: usize = 100_000;

/// Fails where the scenario panics, or where all that is left waits for ever. That order is printed; with
/// `KLSTORE_SCHEDULE` set to it, it comes again.
pub fn explore(scenario: fn()) {
    if let Ok(schedule) = std::env::var("KLSTORE_SCHEDULE") {
        let scheduler = ReplayScheduler::new_from_encoded(&schedule);
        Runner::new(scheduler, config(FailurePersistence::Print)).run(scenario);
        return;
    }
    let seed = number("KLSTORE_SEED").unwrap_or_else(rand::random);
    println!("to try the same orders again set KLSTORE_SEED={seed}");
    let tried = Tried::default();
    let orders = number("KLSTORE_INTERLEAVINGS").map_or(ORDERS, |orders| orders as usize);
    for scheduler in schedulers(seed, orders) {
        Runner::new(Watched::new(scheduler, &tried), config(FailurePersistence::Print)).run(scenario);
    }
    let tried = tried.counts();
    let points = tried.points / tried.orders.max(1);
    println!("{} orders, {} of them different, {points} choices in each", tried.orders, tried.different.len());
    assert!(tried.different.len() > tried.orders / 10, "the scenario leaves hardly anything to chance");
}

/// How many orders it takes until the scenario fails without the precaution; `None` where it never does.
pub fn orders_until_missed(care: Care, scenario: fn()) -> Option<usize> {
    let (seed, tried) = (number("KLSTORE_SEED").unwrap_or(1), Tried::default());
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        without(care, || {
            for scheduler in schedulers(seed, ORDERS) {
                Runner::new(Watched::new(scheduler, &tried), config(FailurePersistence::None)).run(scenario);
            }
        });
    }));
    outcome.is_err().then(|| tried.counts().orders)
}

fn schedulers(seed: u64, orders: usize) -> impl Iterator<Item = Box<dyn Scheduler + Send>> {
    let random: Box<dyn Scheduler + Send> = Box::new(RandomScheduler::new_from_seed(seed, orders));
    let pct = PREEMPTIONS.into_iter().map(move |preemptions| -> Box<dyn Scheduler + Send> {
        Box::new(PctScheduler::new_from_seed(seed, preemptions + 1, orders.div_ceil(PREEMPTIONS.len())))
    });
    std::iter::once(random).chain(pct)
}

fn config(persistence: FailurePersistence) -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.failure_persistence = persistence;
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    config
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")))
}

/// What has been tried so far.
#[derive(Clone, Default)]
struct Tried(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    orders: usize,
    /// Points at which more than one thread could go on.
    points: usize,
    /// The choices of each order, hashed.
    different: HashSet<u64>,
}

impl Tried {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scheduler whose choices are counted.
struct Watched {
    scheduler: Box<dyn Scheduler + Send>,
    tried: Tried,
    choices: Option<DefaultHasher>,
}

impl Watched {
    fn new(scheduler: Box<dyn Scheduler + Send>, tried: &Tried) -> Self {
        Self { scheduler, tried: tried.clone(), choices: None }
    }
}

impl Scheduler for Watched {
    fn new_execution(&mut self) -> Option<Schedule> {
        let mut counts = self.tried.counts();
        if let Some(choices) = self.choices.take() {
            counts.different.insert(choices.finish());
        }
        let schedule = self.scheduler.new_execution()?;
        counts.orders += 1;
        self.choices = Some(DefaultHasher::new());
        Some(schedule)
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let chosen = self.scheduler.next_task(runnable, current, is_yielding)?;
        if runnable.len() > 1
            && let Some(choices) = &mut self.choices
        {
            choices.write_usize(chosen.into());
            self.tried.counts().points += 1;
        }
        Some(chosen)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}
