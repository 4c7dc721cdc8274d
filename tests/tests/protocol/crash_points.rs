//! A writer is stopped between any two requests, and another goes on: nothing that was acknowledged is ever lost, and
//! nobody gets stuck (DESIGN section 5, PROTOCOL 'what must hold').
//!
//! Every point of a scenario is tried: stopped before a request and after its effect, its effect late at any later
//! moment, and the writer only asleep, so that it wakes up and goes on in a world that has changed.

use klstore_format::plan::{Request, Retention, SessionOptions, TrimTo};
use klstore_format::{Insertion, IterationOrder};
use klstore_tests::history::Witness;
use klstore_tests::stage::Stage;
use klstore_tests::world::{World, list};

/// Where ids begin, so that no two writers draw the same.
const SCENARIO: u128 = 1 << 40;
const OTHER: u128 = 2 << 40;
const SUCCESSOR: u128 = 3 << 40;
const BASE: u128 = 4 << 40;

/// A crash point: the store as it was, and what was about to be sent.
struct Point {
    witness: Witness,
    changes: Vec<Request>,
}

/// What is played, and how much is tried of what follows a point.
#[derive(Clone, Copy)]
struct Effort {
    scenario: fn(&mut Stage<'_>) -> Result<(), String>,
    /// Whether the next writer trims too.
    trims: bool,
    /// Of the successor's rounds every how many-th is tried for a late effect.
    late_stride: usize,
    /// Items at the end of the list that are read after a late effect; all after the others.
    tail: usize,
}

#[test]
fn a_writer_of_a_new_list_may_stop_anywhere() {
    try_all(&Witness::new(World::with_keyspace()), Effort { scenario, trims: false, late_stride: 1, tail: 1_000 });
}

#[test]
fn a_writer_that_trims_may_stop_anywhere() {
    let effort = Effort { scenario: trims, trims: true, late_stride: 2, tail: 1_000 };
    let witness = try_all(&Witness::new(World::with_keyspace()), effort);
    assert_eq!(witness.begin() + 2, witness.items.len() as u64, "it ends with a deletion and two items");
}

#[test]
fn a_writer_of_a_long_list_may_stop_anywhere() {
    let base = long_list().expect("the long list");
    let pages = base.world.names("/idx/").len();
    let witness = try_all(&base, Effort { scenario, trims: false, late_stride: 7, tail: 60 });
    let more = witness.world.names("/idx/").len();
    println!("index pages: {pages} before, {more} after: a full leaf and a ledger page were written on the way");
    assert_eq!((pages, more), (1, 3), "the scenario is to fill the open leaf and the inline ledger");
}

/// Tries every point of the scenario on this list; the store as the scenario leaves it.
fn try_all(base: &Witness, effort: Effort) -> Witness {
    let mut points = Vec::new();
    let mut rounds = 0;
    let watched = |witness: &mut Witness, requests: &[Request]| {
        rounds += 1;
        let changes: Vec<Request> = requests.iter().filter(|request| changes(request)).cloned().collect();
        if !changes.is_empty() {
            points.push(Point { witness: witness.clone(), changes });
        }
        Ok(())
    };
    let mut stage = Stage::new(base.clone(), SCENARIO, Box::new(watched));
    (effort.scenario)(&mut stage).expect("the scenario without a crash");
    let witness = stage.witness.clone();
    drop(stage);

    let mut crashes = 0;
    let mut late = 0;
    for (number, point) in points.iter().enumerate() {
        let context = |error: String| panic!("point {number}, {:?}: {error}", names(&point.changes));
        crashes += stopped(point, effort).unwrap_or_else(context);
        late += takes_effect_late(point, effort).unwrap_or_else(context);
    }
    for round in 0..rounds {
        wakes_up(base, round, effort).unwrap_or_else(|error| panic!("asleep before round {round}: {error}"));
    }
    println!(
        "{} rounds of requests, {} of them change something: {crashes} crashes before, between and after their \
         effects, {late} late effects, {rounds} sleepers that woke up",
        rounds,
        points.len()
    );
    witness
}

/// The writer is gone; of the requests under way, the first ones took effect: none, some, all.
fn stopped(point: &Point, effort: Effort) -> Result<u64, String> {
    for effects in 0..=point.changes.len() {
        let mut witness = point.witness.clone();
        for request in &point.changes[..effects] {
            witness.apply(request)?;
        }
        let mut stage = Stage::unwatched(witness, SUCCESSOR);
        read(&mut stage, 0)?;
        succeed(&mut stage, 0, effort)?;
        tidy(stage.witness)?;
    }
    Ok(point.changes.len() as u64 + 1)
}

/// The writer is gone, and a request of its takes effect while its successor is at work: before each of its rounds.
fn takes_effect_late(point: &Point, effort: Effort) -> Result<u64, String> {
    let mut tried = 0;
    for late in &point.changes {
        for moment in (0..).step_by(effort.late_stride) {
            let mut round = 0;
            let mut arrived = false;
            let arrive = |witness: &mut Witness, _: &[Request]| {
                if round == moment {
                    arrived = true;
                    witness.apply(late)?;
                }
                round += 1;
                Ok(())
            };
            let mut stage = Stage::new(point.witness.clone(), SUCCESSOR, Box::new(arrive));
            let first = stage.witness.items.len().saturating_sub(effort.tail);
            succeed(&mut stage, first, effort).map_err(|error| format!("late before round {moment}: {error}"))?;
            let witness = std::mem::take(&mut stage.witness);
            drop(stage);
            tidy(witness)?;
            tried += 1;
            if !arrived {
                break;
            }
        }
    }
    Ok(tried)
}

/// The writer sleeps before this round while its successor does all its work; then it goes on as if nothing were.
fn wakes_up(base: &Witness, asleep: usize, effort: Effort) -> Result<(), String> {
    let mut round = 0;
    let sleep = |witness: &mut Witness, _: &[Request]| {
        if round == asleep {
            let first = witness.items.len().saturating_sub(effort.tail);
            let mut stage = Stage::unwatched(std::mem::take(witness), SUCCESSOR);
            succeed(&mut stage, first, effort)?;
            *witness = stage.witness;
        }
        round += 1;
        Ok(())
    };
    let mut stage = Stage::new(base.clone(), SCENARIO, Box::new(sleep));
    (effort.scenario)(&mut stage)?;
    let witness = stage.witness.clone();
    drop(stage);
    let mut stage = Stage::unwatched(witness, SUCCESSOR);
    let first = stage.witness.items.len().saturating_sub(effort.tail);
    read(&mut stage, first)?;
    tidy(stage.witness)
}

/// What a writer does in its life: appends, compactions published by an append and by a commit of their own,
/// collections, sweeps, complete commits, merged segments, and another writer in between.
fn scenario(stage: &mut Stage<'_>) -> Result<(), String> {
    let mut session = stage.open(options())?;
    for _ in 0..3 {
        session = stage.append(session, 1)?;
    }
    session = stage.append_these(session, source(0..2))?;
    session = stage.compact(session)?;
    session = stage.append(session, 2)?;
    session = stage.collect(session)?;

    // Another writer takes over and is taken over.
    let mut other = Stage::unwatched(std::mem::take(&mut stage.witness), OTHER + stage_number(stage));
    let session_of_other = other.open(options())?;
    other.append(session_of_other, 1)?;
    stage.witness = other.witness;
    session = stage.append_these(session, source(1..4))?;

    // Complete commits among small ones; the partial segment before them is merged.
    session = stage.append(session, 5)?;
    session = stage.append(session, 1)?;
    session = stage.append(session, 6)?;
    session = stage.append(session, 1)?;
    session = stage.compact(session)?;
    session = stage.publish(session)?;
    session = stage.collect(session)?;
    stage.sweep()?;
    for _ in 0..4 {
        session = stage.append(session, 2)?;
    }
    session = stage.compact(session)?;
    session = stage.append_these(session, source(3..6))?;
    session = stage.collect(session)?;
    stage.append(session, 1).map(drop)
}

/// Trims of what the index covers and of what it does not, alone and with an append under retention, by a writer that has
/// just taken over, and a deletion; each followed by what frees the space.
fn trims(stage: &mut Stage<'_>) -> Result<(), String> {
    let mut session = stage.open(options())?;
    session = stage.append_these(session, source(0..2))?;
    session = stage.append(session, 2)?;
    session = stage.trim(session, TrimTo::Offset(1))?;
    session = stage.append(session, 5)?;
    session = stage.compact(session)?;
    session = stage.append(session, 1)?;
    session = stage.collect(session)?;
    session = stage.trim(session, TrimTo::Offset(6))?;
    session = stage.compact(session)?;
    session = stage.publish(session)?;
    session = stage.collect(session)?;
    stage.append(session, 2)?;

    // Another session of its own; this one has taken over only when it trims.
    let few = Retention { max_items: Some(4), ..Retention::default() };
    let mut session = stage.open(SessionOptions { retention: few, ..options() })?;
    session = stage.trim(session, TrimTo::Offset(7))?;
    session = stage.append(session, 3)?;
    session = stage.append_these(session, source(1..4))?;
    session = stage.compact(session)?;
    session = stage.trim(session, TrimTo::Offset(u64::MAX))?;
    session = stage.collect(session)?;
    session = stage.compact(session)?;
    session = stage.publish(session)?;
    session = stage.collect(session)?;
    stage.sweep()?;
    stage.append(session, 2).map(drop)
}

/// The other writer's values differ each time that it comes.
fn stage_number(stage: &Stage<'_>) -> u128 {
    (stage.witness.items.len() as u128) << 20
}

/// What the next writer does, and what it and readers find from `first` on.
fn succeed(stage: &mut Stage<'_>, first: usize, effort: Effort) -> Result<(), String> {
    let mut session = stage.open(options())?;
    if effort.trims {
        session = stage.trim(session, TrimTo::Offset(3))?;
    }
    // The same source again: what was under way may be in the list or not, and is there once after this.
    session = stage.append_these(session, source(0..4))?;
    session = stage.append(session, 1)?;
    session = stage.compact(session)?;
    session = stage.append(session, 2)?;
    session = stage.collect(session)?;
    session = stage.append(session, 5)?;
    session = stage.compact(session)?;
    session = stage.publish(session)?;
    stage.collect(session)?;
    stage.sweep()?;
    read(stage, first)
}

/// A sweep leaves nothing that nobody will ever need.
fn tidy(witness: Witness) -> Result<(), String> {
    let mut stage = Stage::unwatched(witness, SUCCESSOR);
    stage.sweep()?;
    match stage.witness.leftovers().as_slice() {
        [] => Ok(()),
        leftovers => Err(format!("the sweep left {leftovers:?}")),
    }
}

fn read(stage: &mut Stage<'_>, first: usize) -> Result<(), String> {
    stage.check_list(IterationOrder::Forwards, first)?;
    stage.check_list(IterationOrder::Backwards, first)
}

/// Three items and more are complete; two partial segments are merged.
fn options() -> SessionOptions {
    SessionOptions { compact_items_threshold: 5, carry_bytes: 60, ..SessionOptions::default() }
}

/// The items of one source, each with its nonce.
fn source(nonces: std::ops::Range<u128>) -> Vec<Insertion> {
    nonces.map(|nonce| Insertion::new(format!("source {nonce}")).with_nonce(nonce)).collect()
}

fn changes(request: &Request) -> bool {
    matches!(request, Request::Put { .. } | Request::Delete { .. })
}

fn names(requests: &[Request]) -> Vec<String> {
    let name = |request: &Request| match request {
        Request::Put { name, kind, .. } => format!("{kind:?} {name}"),
        Request::Delete { names } => format!("delete {names:?}"),
        other => format!("{other:?}"),
    };
    requests.iter().map(name).collect()
}

/// A list whose open leaf and inline ledger are all but full.
fn long_list() -> Result<Witness, String> {
    let complete = SessionOptions { compact_items_threshold: 1, carry_bytes: 0, ..SessionOptions::default() };
    let mut stage = Stage::unwatched(Witness::new(World::with_keyspace()), BASE);
    let mut sessions = [stage.open(complete)?, stage.open(complete)?];
    let mut commits = 0;
    while commits < 1_021 {
        // At first the two take turns: each of their commits is a handover.
        let turn = if commits < 63 { commits % 2 } else { 0 };
        let [first, second] = sessions;
        let mut session = if turn == 0 { first.clone() } else { second.clone() };
        session = stage.append(session, 1)?;
        commits += 1;
        if commits % 200 == 100 {
            session = stage.compact(session)?;
            session = stage.publish(session)?;
            session = stage.collect(session)?;
        }
        sessions = if turn == 0 { [session, second] } else { [first, session] };
    }
    let [session, _] = sessions;
    let session = stage.compact(session)?;
    let session = stage.publish(session)?;
    stage.collect(session)?;
    assert!(stage.witness.world.names("/log/").len() > 1_000, "{}", list());
    Ok(stage.witness)
}
