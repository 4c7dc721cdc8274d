//! Trims and deletions: what the rules keep where the list begins.

use klstore_format::plan::read::read_page;
use klstore_format::plan::{Session, TrimOutcome, TrimTo, Trimmed};
use klstore_format::rules::Rule;
use klstore_tests::world::*;

use super::{A, B, Outcome, check, small, trim};

#[test]
fn rule_4_a_trim_on_a_freed_name_is_resolved() {
    check(Rule::ResolveMetadataHandover, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, small());
        let trim = Actor::new(b.trim(TrimTo::Offset(1))).pause_before(world, commit_put(2));
        let a = world.append_each(a, &["a2", "a3"]);
        world.compact_and_collect(a, "a4");
        // B's PUT finds its name free: 200.
        let (_, trimmed) = trimmed(trim.finish(world).map_err(|error| error.to_string())?);
        assert_eq!(trimmed.start, 1);
        expect_from(world, 1, &["a1", "a2", "a3", "a4"])
    });
}

#[test]
fn rule_6_an_older_wish_does_not_lower_the_start() {
    check(Rule::StartNeverFalls, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2", "a3", "a4"]);
        let older = Actor::new(a.trim(TrimTo::Offset(2))).pause_before(world, commit_put(5));
        trim(world, B, 4);
        let (_, trimmed) = trimmed(older.finish(world).map_err(|error| error.to_string())?);
        if trimmed.items > 0 {
            return Err(format!("what was gone has been trimmed again: {trimmed:?}"));
        }
        expect_from(world, 4, &["a4"])
    });
}

#[test]
fn rule_6_a_deletion_takes_what_came_meanwhile() {
    let world = &mut World::default();
    let a = world.open(A, small());
    let a = world.append_each(a, &["a0", "a1"]);
    let b = world.open(B, small());
    let delete = Actor::new(b.delete()).pause_before(world, commit_put(2));
    world.append(a, &["a2"]);
    let (b, all) = trimmed(delete.finish(world).expect("deleted"));
    assert_eq!(all, Trimmed { start: 3, items: 3, conflicts: 1 });
    assert_eq!(expect_from(world, 3, &[]), Ok(()));
    let b = world.append(b, &["b3"]).0;

    // A session that has slept since its own deletion does not take the list for empty.
    let c = world.open(B + 2, small());
    let (c, rest) = trimmed(Actor::new(c.delete()).finish(world).expect("deleted"));
    assert_eq!((rest.start, rest.items), (4, 1));
    world.append(b, &["b4"]);
    let (_, rest) = trimmed(Actor::new(c.delete()).finish(world).expect("deleted"));
    assert_eq!((rest.start, rest.items), (5, 1));
    assert_eq!(expect_from(world, 5, &[]), Ok(()));
}

#[test]
fn rule_7_leaves_out_only_what_is_below_the_start() {
    check(Rule::DropBelowStart, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        // The segment of the first three is in part below the start.
        let (a, _) = trimmed(Actor::new(a.trim(TrimTo::Offset(1))).finish(world).map_err(|error| error.to_string())?);
        world.compact_and_collect(a, "a4");
        expect_from(world, 1, &["a1", "a2", "a3", "a4"])
    });
}

fn trimmed((session, outcome): (Session, TrimOutcome)) -> (Session, Trimmed) {
    match outcome {
        TrimOutcome::Trimmed(trimmed) => (session, trimmed),
        other => panic!("{other:?}"),
    }
}

/// The list begins at `start` and holds these values from there on.
fn expect_from(world: &mut World, start: u64, values: &[&str]) -> Outcome {
    let begin = world.open(u128::MAX, small()).newest().map_or(0, |newest| newest.start);
    let read = Actor::new(read_page(request(100, None))).try_finish(world).ok_or("the reader is stuck")?;
    let items = read.map_err(|error| error.to_string())?.items;
    let found: Vec<(u64, String)> =
        items.iter().map(|item| (item.offset, String::from_utf8_lossy(&item.value).into_owned())).collect();
    let expected: Vec<(u64, String)> = (start..).zip(values.iter().map(|value| (*value).to_owned())).collect();
    if (begin, &found) == (start, &expected) { Ok(()) } else { Err(format!("begins at {begin} with {found:?}")) }
}
