//! Rules 10 to 13: what sweepers, readers and followers keep.

use klstore_format::names::ListName;
use klstore_format::plan::follow::{FollowStart, Follower};
use klstore_format::plan::read::{Page, PageRequest, read_page};
use klstore_format::plan::{Plan, SessionOptions, SweepReport, sweep_commits, sweep_objects};
use klstore_format::rules::Rule;
use klstore_format::{FormatError, ItemFilter};
use klstore_tests::world::*;

use super::{
    A, B, Outcome, check, complete, expect_all, list_with_a_leaf, one_of, small, stalled_put_after_takeover, swept,
    trim,
};

#[test]
fn rule_10_sweeper_stubs_handover() {
    check(Rule::SweepStubsHandover, |world| {
        stalled_put_after_takeover(world, |world, _| swept(Actor::new(sweep_commits(list())).finish(world)))
    });
}

#[test]
fn rule_10_sweeper_keeps_stubs() {
    check(Rule::SweepKeepsStubs, |world| {
        stalled_put_after_takeover(world, |world, b| {
            world.collect(b);
            swept(Actor::new(sweep_commits(list())).finish(world))
        })
    });
}

#[test]
fn rule_10_spares_complete_commits() {
    check(Rule::SweepSparesComplete, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        world.compact_and_collect(a, "a3");
        swept(Actor::new(sweep_commits(list())).finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3"])
    });
}

/// A store that answers with another commit's bytes must not make a sweep free a handover's name.
#[test]
fn rule_10_bytes_of_another_commit_are_left() {
    check(Rule::SweepChecksNumber, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact(a);
        world.append(a, &["a3"]);
        let (handover, other) = (list().commit(0), list().commit(1));
        let body = world.object(&other).cloned().ok_or("commit 1 is there until it is collected")?;
        world.put(handover.clone(), body);
        let report = Actor::new(sweep_commits(list())).finish(world).map_err(|error| error.to_string())?;
        match world.object(&handover) {
            Some(body) if !body.is_empty() && report.unreadable == [handover] => Ok(()),
            _ => Err(format!("the handover's name is free: {report:?}")),
        }
    });
}

/// The sweeper has loaded; the head page is replaced before it reads it.
fn head_page_goes_under_a_sweeper(
    options: SessionOptions,
    sweep: fn(ListName) -> Plan<Result<SweepReport, FormatError>>,
) -> impl Fn(&mut World) -> Outcome {
    move |world| {
        let a = world.open(A, options);
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        let sweeper = Actor::new(sweep(list())).pause_before(world, get_of("/idx/"));
        let a = world.append_each(a, &["a4", "a5"]);
        world.compact_and_collect(a, "a6");
        swept(sweeper.finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5", "a6"])
    }
}

#[test]
fn rules_10_and_11_missing_page_means_start_over() {
    check(Rule::SweepMissingPage, head_page_goes_under_a_sweeper(complete(), sweep_commits));
    check(Rule::SweepMissingPage, head_page_goes_under_a_sweeper(small(), sweep_objects));
}

#[test]
fn rule_11_covered_only() {
    check(Rule::SweepCoveredOnly, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact(a);
        swept(Actor::new(sweep_objects(list())).finish(world))?;
        world.append(a, &["a3"]);
        world.expect(&["a0", "a1", "a2", "a3"])
    });
}

#[test]
fn rule_11_unreferenced_only() {
    check(Rule::SweepUnreferencedOnly, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        world.compact_and_collect(a, "a3");
        swept(Actor::new(sweep_objects(list())).finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3"])
    });
}

#[test]
fn rule_11_leaves_are_reachable() {
    check(Rule::SweepReachesLeaves, |world| {
        let (_, values) = list_with_a_leaf(world);
        swept(Actor::new(sweep_objects(list())).finish(world))?;
        expect_all(world, &values)
    });
}

/// A reader has the index with a segment that a later compaction merges and deletes.
fn segment_goes_under_a_reader(world: &mut World) -> Outcome {
    let options = SessionOptions { compact_items_threshold: 4, ..small() };
    let a = world.open(A, options);
    let a = world.append_each(a, &["a0", "a1"]);
    let a = world.compact_and_collect(a, "a2");
    let reader = Actor::new(read_page(request(10, None))).pause_before(world, get_of("/seg/"));
    let a = world.append_each(a, &["a3", "a4"]);
    world.compact_and_collect(a, "a5");
    let mut reader = reader;
    let read = reader.try_finish(world).ok_or("the reader is stuck")?;
    values_are(read, &["a0", "a1", "a2", "a3", "a4", "a5"])
}

#[test]
fn rule_12_missing_object() {
    check(Rule::ReadMissing, segment_goes_under_a_reader);
}

#[test]
fn rule_12_start_over_from_load() {
    check(Rule::ReadRestartsFromLoad, segment_goes_under_a_reader);
}

#[test]
fn rule_12_table_match() {
    check(Rule::ReadMatchesTable, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, small());
        let ghost = Actor::new(b.append(insertions(&["g2"]), NOW)).pause_before(world, commit_put(2)).crash();
        let a = world.append_each(a, &["a2", "a3", "a4"]);
        let reader = Actor::new(read_page(item(2))).pause_before(world, commit_get(2));
        world.compact_and_collect(a, "a5");
        ghost.arrive(world);
        one_of(reader.finish(world), &["a2"])
    });
}

#[test]
fn rule_12_index_match() {
    check(Rule::ReadMatchesIndex, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, complete());
        let ghost = Actor::new(b.append(insertions(&["g2"]), NOW)).pause_before(world, commit_put(2)).crash();
        let a = world.append_each(a, &["a2", "a3"]);
        let a = world.compact_and_collect(a, "a4");
        // The reader has the index that refers to commit 2 itself; then 2 is trimmed, deleted and created again.
        let reader = Actor::new(read_page(item(2))).pause_before(world, commit_get(2));
        drop(a);
        trim(world, A + 2, 4);
        let a = world.open(A + 4, complete());
        let a = world.append(a, &["a5"]).0;
        world.compact_and_collect(a, "a6");
        ghost.arrive(world);
        // Offset 2 is gone: the page begins at the new start.
        one_of(reader.finish(world), &["a4"])
    });
}

fn follow(world: &mut World, mut follower: Follower, polls: usize, seen: &mut Vec<String>) -> Follower {
    for _ in 0..polls {
        let (next, items) = Actor::new(follower.poll()).finish(world);
        follower = next;
        let items = items.expect("poll");
        seen.extend(items.iter().map(|item| String::from_utf8_lossy(&item.value).into_owned()));
    }
    follower
}

#[test]
fn rule_13_same_session() {
    check(Rule::FollowSameSession, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let mut seen = Vec::new();
        let follower = follow(world, Follower::new(list(), FollowStart::Offset(0)), 2, &mut seen);
        let b = world.open(B, small());
        let ghost = Actor::new(b.append(insertions(&["ghost"]), NOW)).pause_before(world, commit_put(2)).crash();
        let a = world.append_each(a, &["a2", "a3"]);
        world.compact_and_collect(a, "a4");
        ghost.arrive(world);
        follow(world, follower, 40, &mut seen);
        if seen == ["a0", "a1", "a2", "a3", "a4"] { Ok(()) } else { Err(format!("followed {seen:?}")) }
    });
}

#[test]
fn rule_13_missing_proves_nothing() {
    check(Rule::FollowMissing, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let mut seen = Vec::new();
        let follower = follow(world, Follower::new(list(), FollowStart::Offset(0)), 2, &mut seen);
        let a = world.append_each(a, &["a2", "a3"]);
        world.compact_and_collect(a, "a4");
        follow(world, follower, 40, &mut seen);
        if seen == ["a0", "a1", "a2", "a3", "a4"] { Ok(()) } else { Err(format!("followed {seen:?}")) }
    });
}

/// The item at this offset.
fn item(offset: u64) -> PageRequest {
    let filter = ItemFilter { start_offset: Some(offset), ..ItemFilter::default() };
    PageRequest { filter, ..request(1, None) }
}

fn values_are(page: Result<Page, FormatError>, expected: &[&str]) -> Outcome {
    let page = page.map_err(|error| error.to_string())?;
    let values: Vec<_> = page.items.iter().map(|item| String::from_utf8_lossy(&item.value)).collect();
    // A read may be the list as it was at any moment since it began.
    if !values.is_empty() && values.len() <= expected.len() && values == expected[..values.len()] {
        return Ok(());
    }
    Err(format!("read {values:?}, acknowledged {expected:?}"))
}
