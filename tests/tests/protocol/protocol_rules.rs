//! Every row of 'what breaks without each rule' in docs/PROTOCOL.md: a schedule that holds with all rules on and is
//! violated with the row's rule switched off. The plans are the real ones; only the order of requests is chosen.

mod sweeper_and_reader;
mod trim;
mod writer;

use klstore_format::FormatError;
use klstore_format::plan::read::Page;
use klstore_format::plan::{Session, SessionOptions, SweepReport, TrimOutcome, TrimTo};
use klstore_format::rules::{Rule, without};
use klstore_tests::world::*;

type Outcome = Result<(), String>;

const A: u128 = 0xa;
const B: u128 = 0xb;

/// Without carry, so that what is read comes from the objects that the rules speak of.
fn small() -> SessionOptions {
    SessionOptions { carry_bytes: 0, recent_bytes: 0, ..SessionOptions::default() }
}

/// Every commit with an item is complete.
fn complete() -> SessionOptions {
    SessionOptions { compact_items_threshold: 1, ..small() }
}

/// Holds with all rules, is violated without this one.
fn check(rule: Rule, scenario: impl Fn(&mut World) -> Outcome) {
    assert_eq!(scenario(&mut World::default()), Ok(()), "with all rules on");
    let violation = without(rule, || scenario(&mut World::default()));
    match violation {
        Err(violation) => println!("{rule:?}: {violation}"),
        Ok(()) => panic!("{rule:?} is switched off and nothing breaks"),
    }
}

/// A's PUT of commit 2, no handover, is under way when B takes over, compacts and frees what it can.
fn stalled_put_after_takeover(world: &mut World, free: impl Fn(&mut World, Session) -> Outcome) -> Outcome {
    let a = world.open(A, small());
    let a = world.append_each(a, &["a0", "a1"]);
    let a = Actor::new(a.append(insertions(&["a2"]), NOW)).pause_before(world, commit_put(2));
    let b = world.open(B, small());
    let b = world.append_each(b, &["b2", "b3"]);
    let b = world.compact(b);
    let b = world.append(b, &["b4"]).0;
    free(world, b)?;
    let (_, offset) = appended(a.finish(world).map_err(|error| error.to_string())?);
    if offset != 5 {
        return Err(format!("acknowledged at offset {offset}, which B's item has"));
    }
    world.expect(&["a0", "a1", "b2", "b3", "b4", "a2"])
}

/// 1,100 complete commits: a full leaf and an open one.
fn list_with_a_leaf(world: &mut World) -> (Session, Vec<String>) {
    let mut a = world.open(A, complete());
    let mut values = Vec::new();
    for round in 0..11 {
        for number in 0..100 {
            let value = format!("{round}.{number}");
            a = world.append(a, &[&value]).0;
            values.push(value);
        }
        let value = format!("{round}.published");
        a = world.compact_and_collect(a, &value);
        values.push(value);
    }
    (a, values)
}

fn expect_all(world: &mut World, values: &[String]) -> Outcome {
    let read = world.read_all(1_000)?;
    if read == values { Ok(()) } else { Err(format!("read {} items, acknowledged {}", read.len(), values.len())) }
}

fn swept(report: Result<SweepReport, FormatError>) -> Outcome {
    report.map(drop).map_err(|error| error.to_string())
}

fn one_of(page: Result<Page, FormatError>, expected: &[&str]) -> Outcome {
    let page = page.map_err(|error| error.to_string())?;
    let values: Vec<_> = page.items.iter().map(|item| String::from_utf8_lossy(&item.value)).collect();
    match values.as_slice() {
        [value] if expected.contains(&value.as_ref()) => Ok(()),
        _ => Err(format!("read {values:?} where one of {expected:?} stands")),
    }
}

/// Another writer trims.
fn trim(world: &mut World, writer: u128, start: u64) {
    let session = world.open(writer, small());
    let (_, outcome) = Actor::new(session.trim(TrimTo::Offset(start))).finish(world).expect("a trim");
    assert!(matches!(outcome, TrimOutcome::Trimmed(trimmed) if trimmed.start == start), "{outcome:?}");
}
