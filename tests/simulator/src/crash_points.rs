//! Every point at which a writer can stop: each of its requests, before it is sent, after its effect, or with its effect
//! still to come; then it is started again, or another writer takes over. The next one may stop anywhere, too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{Either, select};
use klstore_format::Insertion;
use klstore_writer::{S3StoreWriter, StoreWriter, TrimTo, WriterError};

use crate::history::Witness;
use crate::network::SECOND;
use crate::process::Process;
use crate::run::{Run, catch, come_to_rest, prepare_runtime};
use crate::seeded;
use crate::trace::Trace;
use crate::universe::{Sim, Strike};
use crate::weather::Weather;
use crate::world::World;
use crate::writers::WriterPlan;
use crate::{KEY, KEYSPACE};

pub use crate::universe::Manner;

/// All runs here have the same choices but for where they are struck.
const SEED: u64 = 0;
const WRITER: usize = 1;
const HEIR: usize = 2;
/// A writer that is taken over sleeps as long as its heir may need.
const SLEEP: u64 = 3_000 * SECOND;
/// Calls that a writer makes again because it slept.
const MAX_FAILURES: u32 = 5;

/// Who goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// The same writer, started again: it repeats what was not acknowledged.
    Restart,
    /// Another writer, while the first one only sleeps and wakes up afterwards.
    TakeOver,
}

/// A writer stops at its request of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Counted from 0.
    pub request: u64,
    /// How.
    pub manner: Manner,
    /// And then.
    pub heir: Heir,
    /// Where the next one stops, counted from its own first request.
    pub again: Option<(u64, Manner)>,
}

/// What was seen of a run with a point, or of one without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Requests of the first writer.
    pub requests: u64,
    /// Requests of the one after it, until the scenario was done.
    pub recovery: u64,
}

/// What was tried.
#[derive(Debug, Default)]
pub struct Tried {
    /// Requests of the scenario.
    pub requests: u64,
    /// Points, each of its own run.
    pub points: usize,
    /// Of them, with a crash during recovery.
    pub in_recovery: usize,
    /// What was violated, with the point.
    pub violations: Vec<String>,
}

/// How a writer is stopped: late effects come while the next one loads, appends, or does what is far from it.
const MANNERS: [Manner; 5] = [Manner::Before, Manner::After, Manner::Late(1), Manner::Late(6), Manner::Late(40)];
/// Of every so many-th point the heir is stopped too, at each of its requests.
const AGAIN_STRIDE: usize = 12;

/// Tries every point, on so many threads.
///
/// # Errors
/// What the scenario violates without any.
pub fn try_every_point(threads: usize) -> Result<Tried, String> {
    let requests = play(None)?.requests;
    let mut points = Vec::new();
    for request in 0..requests {
        for manner in MANNERS {
            let heirs = [Heir::Restart, Heir::TakeOver];
            points.extend(heirs.map(|heir| Point { request, manner, heir, again: None }));
        }
    }
    let mut tried = Tried { requests, ..Tried::default() };
    let seen = try_all(&points, threads, &mut tried);
    let mut twice = Vec::new();
    for (point, recovery) in points.iter().zip(&seen).step_by(AGAIN_STRIDE) {
        for request in 0..*recovery {
            let manner = MANNERS[(request as usize + twice.len()) % 3];
            twice.push(Point { again: Some((request, manner)), ..*point });
        }
    }
    tried.in_recovery = twice.len();
    try_all(&twice, threads, &mut tried);
    Ok(tried)
}

/// Tries these; how many requests the heir of each sent.
fn try_all(points: &[Point], threads: usize, tried: &mut Tried) -> Vec<u64> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![Ok(0); points.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(point) = points.get(number) else { return };
                    let outcome = play(Some(*point)).map(|seen| seen.recovery);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner)[number] = outcome;
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    tried.points += points.len();
    let recovery = |outcome: Result<u64, String>| match outcome {
        Ok(recovery) => recovery,
        Err(violation) => {
            tried.violations.push(violation);
            0
        }
    };
    outcomes.into_iter().map(recovery).collect()
}

/// What a writer does in its life.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many items without number, in one append.
    Append(u64),
    /// Items of a source, which are appended again where that is not acknowledged.
    Numbered(u64),
    Compact,
    Trim(u64),
    Delete,
    Sweep,
    Duty,
    /// Another writer appends, so that the next commit is a handover.
    Other(u64),
}

/// Appends small and complete, compactions published by an append and by themselves, merged segments, collections,
/// sweeps, trims and a deletion, and another writer in between.
const SCENARIO: [Step; 30] = [
    Step::Append(1),
    Step::Numbered(2),
    Step::Append(1),
    Step::Compact,
    Step::Append(2),
    Step::Other(1),
    Step::Numbered(3),
    Step::Append(1),
    // Complete, among small ones.
    Step::Append(5),
    Step::Append(1),
    Step::Compact,
    Step::Sweep,
    Step::Other(2),
    Step::Append(2),
    Step::Numbered(2),
    Step::Trim(4),
    Step::Compact,
    Step::Append(1),
    Step::Append(1),
    Step::Append(1),
    Step::Append(1),
    Step::Duty,
    Step::Append(6),
    Step::Compact,
    Step::Trim(12),
    Step::Append(1),
    Step::Compact,
    Step::Delete,
    Step::Numbered(2),
    Step::Compact,
];

/// How far the scenario has come, whoever plays it.
#[derive(Debug, Default)]
struct Script {
    done: usize,
    next_nonce: u128,
    /// The numbered batch that is not acknowledged yet.
    pending: Option<Vec<Insertion>>,
}

/// Plays the scenario with a writer that stops at this point; what is violated, in words.
///
/// # Errors
/// The violation.
pub fn play(point: Option<Point>) -> Result<Seen, String> {
    let witness = Witness::new(World::with_keyspace());
    let sim = Sim::new(seeded::random(SEED, 0), witness, Weather::CALM, Trace::default());
    catch(&sim, || {
        let runtime = prepare_runtime(&sim)?;
        runtime.block_on(async {
            let life = std::pin::pin!(live(&sim, point));
            let violated = std::pin::pin!(sim.violated());
            match select(life, violated).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => Ok(()),
            }
        })
    });
    let mut state = sim.lock();
    let seen = Seen { requests: state.requests_of(WRITER), recovery: state.requests_of(HEIR) };
    match state.violation.take() {
        Some(violation) => Err(format!("{point:?}: {violation}")),
        None => Ok(seen),
    }
}

async fn live(sim: &Arc<Sim>, point: Option<Point>) -> Result<(), String> {
    let run = Run::alone(sim);
    let plan = WriterPlan::of_crash_points();
    let mut script = Script { next_nonce: 1, ..Script::default() };
    let first = sim.start(WRITER);
    if let Some(Point { request, manner, .. }) = point {
        sim.lock().strike(WRITER, Strike { request, manner });
    }
    let Some(point) = point else {
        perform(&run, &first, &plan, &mut script).await?;
        return come_to_rest(&run, false).await;
    };
    if point.heir == Heir::Restart {
        until_death(perform(&run, &first, &plan, &mut script), &first).await?;
        go_on(&run, &plan, &mut script, point.again).await?;
    } else {
        // Struck, it does not end but sleeps: what it does when it wakes up is its own script's rest.
        sim.lock().strike_asleep(WRITER, SLEEP);
        let mut of_sleeper = Script { next_nonce: 1, ..Script::default() };
        let of_heir = run.clone();
        let sleeper = async {
            let slept = until_death(perform(&run, &first, &plan, &mut of_sleeper), &first).await;
            // Its heir would wait for ever.
            slept.inspect_err(|message| run.sim.violate(message.clone()))
        };
        let heir = async {
            while !of_heir.sim.lock().is_asleep(WRITER) {
                of_heir.nobody.sleep_micros(SECOND / 100).await;
                if of_heir.sim.lock().is_done(WRITER) {
                    return Ok(());
                }
            }
            // Its values and nonces are its own: it is another source.
            let mut own = Script { next_nonce: 1 << 40, done: SCENARIO.len() / 2, pending: None };
            go_on(&of_heir, &plan, &mut own, point.again).await
        };
        let (slept, inherited) = futures::future::join(sleeper, heir).await;
        inherited?;
        slept?;
    }
    // What is still under way then takes effect before all is looked at.
    run.sim.lock().release_held();
    run.nobody.sleep_micros(60 * SECOND).await;
    come_to_rest(&run, false).await
}

/// The next writer does the rest, or stops itself once, and the one after it does.
async fn go_on(
    run: &Arc<Run>,
    plan: &WriterPlan,
    script: &mut Script,
    again: Option<(u64, Manner)>,
) -> Result<(), String> {
    let process = run.sim.start(HEIR);
    if let Some((request, manner)) = again {
        run.sim.lock().strike(HEIR, Strike { request, manner });
    }
    if until_death(perform(run, &process, plan, script), &process).await? {
        let process = run.sim.start(HEIR);
        perform(run, &process, plan, script).await?;
    }
    Ok(())
}

/// `true` where the process ended in the middle.
async fn until_death(work: impl Future<Output = Result<(), String>>, process: &Process) -> Result<bool, String> {
    let work = std::pin::pin!(work);
    let death = std::pin::pin!(process.death());
    match select(work, death).await {
        Either::Left((done, _)) => done.map(|()| false),
        Either::Right(_) => Ok(true),
    }
}

/// Plays the rest of the script. Who slept finds its deadline passed, and makes the call again.
async fn perform(run: &Arc<Run>, process: &Process, plan: &WriterPlan, script: &mut Script) -> Result<(), String> {
    let writer = plan.writer(process).await.map_err(|error| error.to_string())?;
    let mut failures = 0;
    while let Some(step) = SCENARIO.get(script.done).copied() {
        let slept = run.sim.lock().is_struck_asleep();
        match take(run, process, plan, (&writer, step), script).await {
            Ok(()) => script.done += 1,
            Err(Failed::Passing(_)) if slept && failures < MAX_FAILURES => failures += 1,
            Err(Failed::Passing(message) | Failed::Wrong(message)) => return Err(format!("{step:?}: {message}")),
        }
    }
    let closed = writer.close().await;
    if let Err(error) = closed.as_ref()
        && !(error.is_transient() && run.sim.lock().is_struck_asleep())
    {
        return Err(format!("closing: {error}"));
    }
    run.sim.lock().done(process.index);
    Ok(())
}

/// Why a step is not done.
enum Failed {
    /// As bad weather lets it fail.
    Passing(String),
    Wrong(String),
}

impl From<WriterError> for Failed {
    fn from(error: WriterError) -> Self {
        if error.is_transient() { Self::Passing(error.to_string()) } else { Self::Wrong(error.to_string()) }
    }
}

impl From<String> for Failed {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

/// Takes one step.
async fn take(
    run: &Arc<Run>,
    process: &Process,
    plan: &WriterPlan,
    (writer, step): (&S3StoreWriter, Step),
    script: &mut Script,
) -> Result<(), Failed> {
    let end = run.sim.lock().witness.items.len() as u64;
    match step {
        Step::Append(count) => append(run, process, writer, values(run, count), false).await?,
        Step::Numbered(count) => {
            let batch = match &script.pending {
                Some(pending) => pending.clone(),
                None => {
                    let mut batch = values(run, count);
                    for insertion in &mut batch {
                        insertion.nonce = Some(script.next_nonce);
                        script.next_nonce += 1;
                    }
                    script.pending = Some(batch.clone());
                    batch
                }
            };
            // Two sources of nonces: the lower ones count as duplicates once a higher one is there.
            let present = !run.sim.lock().is_struck_asleep();
            append(run, process, writer, batch, present).await?;
            script.pending = None;
        }
        Step::Compact => drop(writer.compact(KEYSPACE, KEY).await?),
        Step::Trim(offset) => {
            let trimmed = writer.trim(KEYSPACE, KEY, TrimTo::Offset(offset)).await?;
            run.judge_start(offset.min(end), trimmed.start)?;
        }
        Step::Delete => {
            let trimmed = writer.delete_key(KEYSPACE, KEY).await?;
            run.judge_start(end, trimmed.start)?;
        }
        Step::Sweep => drop(writer.sweep(KEYSPACE, KEY).await?),
        Step::Duty => drop(writer.duty_cycle().await?),
        Step::Other(count) => {
            let other = run.sim.start(HEIR + 1);
            let second = plan.writer(&other).await?;
            append(run, &other, &second, values(run, count), false).await?;
        }
    }
    Ok(())
}

async fn append(
    run: &Run,
    process: &Process,
    writer: &S3StoreWriter,
    insertions: Vec<Insertion>,
    present: bool,
) -> Result<(), Failed> {
    let call = run.begin("append", process);
    let appended = writer.append_list(KEYSPACE, KEY, insertions.clone()).await?.await?;
    Ok(run.judge_appended(&call, &insertions, &appended, present)?)
}

fn values(run: &Run, count: u64) -> Vec<Insertion> {
    let mut state = run.sim.lock();
    (0..count).map(|_| Insertion::new(format!("c{:x}", state.draw()))).collect()
}
