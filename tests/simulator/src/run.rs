//! One run: a list's life, from its first request to its rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::future::{Either, join_all, select};
use rand::RngExt;

use crate::base::{self, Base};
use crate::network::SECOND;
use crate::process::Process;
use crate::readers::{self, Eye, ReaderPlan};
use crate::seeded::{self, Random, pick};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::universe::Sim;
use crate::weather::{Weather, thousandth};
use crate::writers::{self, Numbers, WriterPlan};

/// Calls of a run before it is brought to its end.
const CALLS: std::ops::Range<u64> = 150..700;
/// The same over HTTP and the AWS SDK, whose own code costs far more than the rest.
const CALLS_BY_SDK: std::ops::Range<u64> = 60..200;
/// All that has begun ends within so long once faults have stopped.
const LAST_CALLS_TAKE: u64 = 1_800 * SECOND;
/// By then all that was late has taken effect.
const LATEST: u64 = 400 * SECOND;
/// Of a thousand runs so many go over HTTP and the AWS SDK.
const WIRE_RUNS: u32 = 10;
/// The process that starts the others and waits for them.
const NOBODY: usize = 0;
const FIRST_WRITER: usize = 1;
const FIRST_READER: usize = 10;
const LAST_WRITER: usize = 20;
const LAST_READER: usize = 21;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What it saw.
    pub tally: Tally,
    /// A number for all that happened in it, where that was wanted in words.
    pub trace: u64,
    /// What happened, in words, where that was wanted.
    pub lines: Vec<String>,
    /// What must not happen and did.
    pub violation: Option<String>,
}

/// A run as its actors see it.
pub(crate) struct Run {
    pub(crate) sim: Arc<Sim>,
    /// A process that lives as long as the run.
    pub(crate) nobody: Process,
    progress: std::sync::Mutex<Progress>,
}

struct Progress {
    calls_left: u64,
    writers_left: usize,
}

/// Who takes part in a run.
struct Cast {
    writers: Vec<WriterPlan>,
    readers: Vec<ReaderPlan>,
    calls: u64,
    wire: bool,
    base: Base,
}

impl Cast {
    fn draw(random: &mut Random) -> Self {
        let wire = thousandth(random, WIRE_RUNS);
        let writers = random.random_range(1..4);
        let partition = random.random_range(0..2);
        // Nonces are one source's: with another one its own count as duplicates.
        let numbered = random.random_range(0..2 * writers);
        let writers = (0..writers).map(|index| {
            let numbers = match random.random_range(0..5) {
                _ if index == numbered => Numbers::Nonces,
                0 => Numbers::IdempotencyKeys,
                1 => Numbers::ExpectedEnd,
                2 | 3 => Numbers::Records { partition },
                _ => Numbers::None,
            };
            WriterPlan::draw(random, numbers, wire)
        });
        let writers = writers.collect();
        let readers = (0..random.random_range(1..4)).map(|_| ReaderPlan::draw(random)).collect();
        let base = *pick(random, &Base::OF_RUNS);
        let calls = random.random_range(if wire { CALLS_BY_SDK } else { CALLS });
        Self { writers, readers, calls, wire, base }
    }
}

/// Whether the writers of this seed's run go by HTTP and the AWS SDK.
pub fn goes_by_sdk(seed: u64) -> bool {
    thousandth(&mut seeded::random(seed, 0), WIRE_RUNS)
}

/// Plays the run of this seed.
pub fn run(seed: u64, in_words: bool) -> Outcome {
    let mut random = seeded::random(seed, 0);
    let cast = Cast::draw(&mut random);
    let weather = Weather::draw(&mut random);
    let trace = if in_words { Trace::in_words() } else { Trace::default() };
    let sim = Sim::new(random, base::witness(cast.base), weather, trace);
    let (wire, base) = (cast.wire, cast.base);
    catch(&sim, || play(&sim, cast));
    let mut state = sim.lock();
    let mut tally = std::mem::take(&mut state.tally);
    tally.seeds = 1;
    tally.wire_seeds = u64::from(wire);
    tally.long_lists = u64::from(base != Base::Empty);
    let witness = &state.witness;
    tally.compactions += witness.publications;
    tally.collections += witness.collections;
    tally.handovers += witness.handovers;
    tally.ghosts += witness.ghosts;
    tally.freed += witness.freed;
    let violation = state.violation.take().map(|message| format!("seed {seed}: {message}"));
    Outcome { tally, trace: state.trace.hash(), lines: state.trace.lines().to_vec(), violation }
}

/// Plays it to its end, or to its first violation.
fn play(sim: &Arc<Sim>, cast: Cast) -> Result<(), String> {
    prepare_runtime(sim)?.block_on(async {
        let life = std::pin::pin!(live(sim, cast));
        let violated = std::pin::pin!(sim.violated());
        match select(life, violated).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => Ok(()),
        }
    })
}

/// A runtime of one thread that lets the next event happen whenever no task can go on.
pub(crate) fn prepare_runtime(sim: &Arc<Sim>) -> Result<tokio::runtime::Runtime, String> {
    let turned = sim.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(move || turned.turn()).build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

/// An error or a panic is a violation.
pub(crate) fn catch(sim: &Arc<Sim>, work: impl FnOnce() -> Result<(), String>) {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => {}
        Ok(Err(message)) => sim.violate(message),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            sim.violate(format!("it panics: {}", said.unwrap_or("without a word")));
        }
    }
}

async fn live(sim: &Arc<Sim>, cast: Cast) -> Result<(), String> {
    let nobody = sim.start(NOBODY);
    let progress = Progress { calls_left: cast.calls, writers_left: cast.writers.len() };
    let run = Arc::new(Run { sim: sim.clone(), nobody, progress: progress.into() });
    let mut writers = Vec::new();
    for (index, plan) in cast.writers.into_iter().enumerate() {
        let of_writer = run.clone();
        writers.push(tokio::spawn(async move {
            writers::lives(of_writer.clone(), FIRST_WRITER + index, plan).await;
            of_writer.progress().writers_left -= 1;
        }));
    }
    for (index, plan) in cast.readers.into_iter().enumerate() {
        writers.push(tokio::spawn(readers::lives(run.clone(), FIRST_READER + index, plan)));
    }
    run.ending().await;
    let all = std::pin::pin!(join_all(writers));
    let limit = std::pin::pin!(run.nobody.sleep_micros(LAST_CALLS_TAKE));
    match select(all, limit).await {
        Either::Left((ended, _)) => {
            if let Some(panicked) = ended.into_iter().find_map(Result::err) {
                return Err(format!("it panics: {panicked}"));
            }
        }
        Either::Right(_) => return Err("a call does not end although faults have stopped".to_owned()),
    }
    run.nobody.sleep_micros(LATEST).await;
    come_to_rest(&run, cast.wire).await
}

/// Nothing moves any more: a fresh writer goes on, a fresh reader sees it all, and what was freed and kept is exactly
/// what should be.
pub(crate) async fn come_to_rest(run: &Run, wire: bool) -> Result<(), String> {
    writers::one_more(run, LAST_WRITER, wire).await?;
    let plan = ReaderPlan::draw(&mut run.sim.lock().random);
    let process = run.sim.start(LAST_READER);
    Eye::open(run, process, &plan).await?.see_all().await?;
    match run.sim.lock().witness.leftovers().as_slice() {
        [] => Ok(()),
        leftovers => Err(format!("after a sweep there still are {leftovers:?}")),
    }
}

impl Run {
    /// A run without a cast, for whoever brings actors of their own.
    pub(crate) fn alone(sim: &Arc<Sim>) -> Arc<Self> {
        let progress = Progress { calls_left: u64::MAX, writers_left: 0 };
        Arc::new(Self { sim: sim.clone(), nobody: sim.start(NOBODY), progress: progress.into() })
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a call; with the last one faults stop, and all who sleep wake up.
    pub(crate) fn count(&self, name: &'static str) {
        let last = {
            let mut progress = self.progress();
            progress.calls_left = progress.calls_left.saturating_sub(1);
            progress.calls_left == 0
        };
        let mut state = self.sim.lock();
        state.tally.call(name);
        let now = state.now;
        state.trace.note(now, || format!("call: {name}"));
        if last {
            state.weather = Weather::CALM;
            state.wake_all();
            state.spring_all();
        }
    }

    /// Whether another call is to be made.
    pub(crate) fn may_go_on(&self) -> bool {
        self.progress().calls_left > 0
    }

    /// Whether the run comes to its end.
    pub(crate) fn is_ending(&self) -> bool {
        !self.may_go_on()
    }

    async fn ending(&self) {
        while self.may_go_on() {
            self.nobody.sleep_micros(SECOND).await;
        }
    }

    /// Waits until no writer is left.
    pub(crate) async fn writers_at_rest(&self, process: &Process) {
        while self.progress().writers_left > 0 {
            process.sleep_micros(SECOND).await;
        }
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn chance(&self, thousandths: u32) -> bool {
        thousandth(&mut self.sim.lock().random, thousandths)
    }
}
