//! Every row of 'what breaks without each rule' in docs/PROTOCOL.md: a schedule that holds with all rules on and is
//! violated with the row's rule switched off. The plans are the real ones; only the order of requests is chosen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

use klstore_format::plan::follow::{FollowStart, Follower};
use klstore_format::plan::read::{Page, PageRequest, read_page};
use klstore_format::plan::{
    AppendOutcome, Compaction, Session, SessionOptions, SweepReport, TrimOutcome, TrimTo, Trimmed, abandoned,
    sweep_commits, sweep_objects,
};
use klstore_format::rules::{Rule, without};
use klstore_format::wire::identity::SessionId;
use klstore_format::{ItemFilter, IterationOrder};
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

/// A has written 0, 1; the PUT of B's commit 2 is under way and B is gone; A goes on to 4 and collects 0 to 3, so the
/// name 2 is free.
fn ghost_of_2(world: &mut World, options: SessionOptions) -> (Session, Late) {
    let a = world.open(A, options);
    let a = world.append_each(a, &["a0", "a1"]);
    let b = world.open(B, options);
    let late = Actor::new(b.append(insertions(&["ghost"]), NOW)).pause_before(world, commit_put(2)).crash();
    let a = world.append_each(a, &["a2", "a3"]);
    (world.compact_and_collect(a, "a4"), late)
}

#[test]
fn rule_3_conditional_put() {
    check(Rule::ConditionalPut, |world| {
        let (a, b) = (world.open(A, small()), world.open(B, small()));
        world.append(a, &["a"]);
        world.append(b, &["b"]);
        world.expect(&["a", "b"])
    });
}

#[test]
fn rule_2_etag_reader() {
    check(Rule::LoadComparesEtag, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, small());
        let ghost = Actor::new(b.append(insertions(&["ghost"]), NOW)).pause_before(world, commit_put(2)).crash();
        let a = world.append(a, &["a2"]).0;
        // The reader of the newest item has listed commit 2 and has not got it yet.
        let newest = PageRequest { order: IterationOrder::Backwards, ..request(1, None) };
        let reader = Actor::new(read_page(newest)).pause_before(world, commit_get(2));
        let a = world.append(a, &["a3"]).0;
        world.compact_and_collect(a, "a4");
        ghost.arrive(world);
        one_of(reader.finish(world), &["a2", "a3", "a4"])
    });
}

#[test]
fn rule_2_etag_sweeper() {
    check(Rule::LoadComparesEtag, |world| {
        let a = world.open(A, small());
        let mut a = world.append_each(a, &["a0", "a1", "a2"]);
        // Both prepare an index with X = 2; B's publication with commit 3 is under way.
        let prepared = world.prepare(&a);
        let b = world.open(B, small());
        let b = world.compact(b);
        let ghost = Actor::new(b.append(insertions(&["ghost"]), NOW)).pause_before(world, commit_put(3)).crash();
        assert!(a.accept(prepared));
        let a = world.append(a, &["a3"]).0;
        let a = world.collect(a);
        let sweeper = Actor::new(sweep_objects(list())).pause_before(world, commit_get(3));
        let a = world.append_each(a, &["a4", "a5"]);
        world.compact_and_collect(a, "a6");
        ghost.arrive(world);
        swept(sweeper.finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5", "a6"])
    });
}

/// B's PUT of commit 2 arrives when the name has been freed: 200.
fn handover_put_on_a_freed_name(world: &mut World) -> Outcome {
    let a = world.open(A, small());
    let a = world.append_each(a, &["a0", "a1"]);
    let b = world.open(B, small());
    let b = Actor::new(b.append(insertions(&["b"]), NOW)).pause_before(world, commit_put(2));
    let a = world.append_each(a, &["a2", "a3"]);
    world.compact_and_collect(a, "a4");
    let (_, offset) = appended(b.finish(world).map_err(|error| error.to_string())?);
    if offset != 5 {
        return Err(format!("acknowledged at offset {offset}, which A's item has"));
    }
    world.expect(&["a0", "a1", "a2", "a3", "a4", "b"])
}

#[test]
fn rule_4_handover_is_resolved() {
    check(Rule::ResolveHandover, handover_put_on_a_freed_name);
}

#[test]
fn rule_4_metadata_only_handover_is_resolved() {
    check(Rule::ResolveMetadataHandover, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, small());
        let b = world.compact(b);
        let publication = Actor::new(b.publish()).pause_before(world, commit_put(2));
        let a = world.append_each(a, &["a2", "a3", "a4"]);
        world.compact_and_collect(a, "a5");
        let (b, _) = publication.finish(world).map_err(|error| error.to_string())?;
        // Without the rule B goes on building on a dead branch.
        world.append(b, &["b"]);
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5", "b"])
    });
}

#[test]
fn rule_4_refused_is_resolved() {
    check(Rule::ResolveRefused, |world| {
        let a = world.open(A, small());
        let mut append = Actor::new(a.append(insertions(&["a"]), NOW)).pause_before(world, commit_put(0));
        // It lands, its answer is lost, and the identical bytes are sent again: 412.
        append.time_out().arrive(world);
        append.finish(world).map_err(|error| error.to_string())?;
        world.expect(&["a"])
    });
}

#[test]
fn rule_4_by_identity() {
    check(Rule::ResolveByIdentity, |world| {
        let (a, b) = (world.open(A, small()), world.open(B, small()));
        world.append(a, &["same"]);
        world.append(b, &["same"]);
        world.expect(&["same", "same"])
    });
}

#[test]
fn rule_4_ledger() {
    check(Rule::ResolveByLedger, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1"]);
        // A's commit 2 never arrives; B takes the name, and the index covers it before A sends again.
        let mut append = Actor::new(a.append(insertions(&["a2"]), NOW)).pause_before(world, commit_put(2));
        let _lost = append.time_out();
        let b = world.open(B, small());
        let b = world.append_each(b, &["b2", "b3", "b4"]);
        world.compact_and_collect(b, "b5");
        append.finish(world).map_err(|error| error.to_string())?;
        world.expect(&["a0", "a1", "b2", "b3", "b4", "b5", "a2"])
    });
}

#[test]
fn rule_5_duplicate_only_from_s() {
    check(Rule::DuplicateFromSnapshot, |world| {
        let numbered = |value, nonce| vec![insertions(&[value]).remove(0).with_nonce(nonce)];
        let a = world.open(A, small());
        let (a, _) =
            appended(Actor::new(a.append(numbered("a0", 1), NOW)).finish(world).map_err(|error| error.to_string())?);
        let a = world.append(a, &["a1"]).0;
        let b = world.open(B, small());
        let b = Actor::new(b.append(numbered("b", 7), NOW)).pause_before(world, commit_put(2));
        let a = world.append_each(a, &["a2", "a3"]);
        world.compact_and_collect(a, "a4");
        b.finish(world).map_err(|error| error.to_string())?;
        world.expect(&["a0", "a1", "a2", "a3", "a4", "b"])
    });
}

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

#[test]
fn rule_7_x_above_c() {
    check(Rule::CoverMore, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        let a = world.append(a, &["a4"]).0;
        let a = world.compact(a);
        // With X = B.C the new index would be swept just before it is published.
        swept(Actor::new(sweep_objects(list())).finish(world))?;
        world.append(a, &["a5"]);
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5"])
    });
}

/// The PUT of one object of a compaction is lost; the index is published only after it was answered with success.
fn publication_waits_for(part: &'static str) -> impl Fn(&mut World) -> Outcome {
    move |world| {
        let a = world.open(A, small());
        let mut a = world.append_each(a, &["a0", "a1", "a2"]);
        let id = world.draw();
        let mut compaction = Actor::new(a.compact(id)).pause_before(world, put_of(part));
        let _lost = compaction.time_out();
        match compaction.finish(world) {
            Ok(Compaction::Prepared(prepared)) => assert!(a.accept(prepared)),
            other => return Err(format!("{other:?}")),
        }
        world.append(a, &["a3"]);
        world.expect(&["a0", "a1", "a2", "a3"])
    }
}

#[test]
fn rule_8_index_before_publish() {
    check(Rule::IndexBeforePublish, publication_waits_for("/idx/"));
}

#[test]
fn rule_8_segments_before_publish() {
    check(Rule::SegmentsBeforePublish, publication_waits_for("/seg/"));
}

#[test]
fn rule_8_prepared_index_is_thrown_away() {
    check(Rule::DiscardPrepared, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact(a);
        // B takes over, covers more, and collects; A's index would take C back to commits that are gone.
        let b = world.open(B, small());
        let b = world.append_each(b, &["b3", "b4"]);
        world.compact_and_collect(b, "b5");
        let appended = Actor::new(a.append(insertions(&["a6"]), NOW)).try_finish(world);
        appended.ok_or("the append is stuck")?.map_err(|error| error.to_string())?;
        world.expect(&["a0", "a1", "a2", "b3", "b4", "b5", "a6"])
    });
}

#[test]
fn rule_8_thrown_away_although_x_is_above_c() {
    check(Rule::DiscardPrepared, |world| {
        // Two items fill a segment: B's compaction merges the partial segment that A's index still names.
        let options = SessionOptions { compact_items_threshold: 3, ..small() };
        let a = world.open(A, options);
        let a = world.append_each(a, &["a0", "a1"]);
        world.compact_and_collect(a, "a2");
        let b = world.open(B, options);
        let b = world.append_each(b, &["b3"]);
        let b = world.compact(b);
        // A takes over again and prepares an index with X = 5 on C = 1, when B publishes its merge with X = 3.
        let a = world.open(A + 2, SessionOptions { compact_items_threshold: 1_000, ..options });
        let a = world.append_each(a, &["a4"]);
        let b = Actor::new(b.append(insertions(&["b5"]), NOW)).try_finish(world).ok_or("stuck")?;
        let (b, _) = appended(b.map_err(|error| error.to_string())?);
        let a = world.append_each(a, &["a6", "a7"]);
        let a = world.compact(a);
        let b = world.append_each(b, &["b8"]);
        world.compact_and_collect(b, "b9");
        let appended = Actor::new(a.append(insertions(&["a10"]), NOW)).try_finish(world);
        appended.ok_or("the append is stuck")?.map_err(|error| error.to_string())?;
        swept(Actor::new(sweep_objects(list())).finish(world))?;
        world.expect(&["a0", "a1", "a2", "b3", "a4", "b5", "a6", "a7", "b8", "b9", "a10"])
    });
}

#[test]
fn rule_9_collect_after_acknowledgement() {
    check(Rule::CollectAfterAcknowledge, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact(a);
        world.collect(a);
        world.expect(&["a0", "a1", "a2"])
    });
}

#[test]
fn rule_9_drop_after_acknowledgement() {
    check(Rule::DropAfterAcknowledge, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        let a = world.append_each(a, &["a4", "a5"]);
        let a = world.compact(a);
        world.collect(a);
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5"])
    });
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

#[test]
fn rule_9_handover_becomes_a_stub() {
    check(Rule::StubHandover, |world| {
        stalled_put_after_takeover(world, |world, b| {
            world.collect(b);
            Ok(())
        })
    });
}

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

/// A gives up the PUT of commit 2; with the rule on it opens a fresh session, without it goes on under the old id.
fn after_abandoning(world: &mut World) -> (Session, Late) {
    let a = world.open(A, small());
    let a = world.append_each(a, &["a0", "a1"]);
    let late = Actor::new(a.append(insertions(&["late"]), NOW)).pause_before(world, commit_put(2)).crash();
    let kept = abandoned::session().expect("the session of the PUT");
    let fresh = world.open(A + 2, small());
    (if klstore_format::rules::kept(Rule::FreshSession) { fresh } else { kept }, late)
}

#[test]
fn rule_1_fresh_session_412() {
    check(Rule::FreshSession, |world| {
        let (a, late) = after_abandoning(world);
        let mut append = Actor::new(a.append(insertions(&["next"]), NOW)).pause_before(world, commit_put(2));
        // The next payload never arrives; the abandoned one does, and another writer compacts it.
        late.arrive(world);
        let _lost = append.time_out();
        let b = world.open(B, small());
        let b = world.append_each(b, &["b3", "b4"]);
        world.compact_and_collect(b, "b5");
        append.finish(world).map_err(|error| error.to_string())?;
        world.expect(&["a0", "a1", "late", "b3", "b4", "b5", "next"])
    });
}

#[test]
fn rule_1_fresh_session_200() {
    check(Rule::FreshSession, |world| {
        let (a, late) = after_abandoning(world);
        let append = Actor::new(a.append(insertions(&["next"]), NOW)).pause_before(world, commit_put(2));
        late.arrive(world);
        let b = world.open(B, small());
        let b = world.append_each(b, &["b3", "b4"]);
        // Commit 2 was no handover: its name is freed.
        world.compact_and_collect(b, "b5");
        append.finish(world).map_err(|error| error.to_string())?;
        world.expect(&["a0", "a1", "late", "b3", "b4", "b5", "next"])
    });
}

#[test]
fn rule_9_spares_complete_commits() {
    check(Rule::CollectSparesComplete, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        world.compact_and_collect(a, "a3");
        world.expect(&["a0", "a1", "a2", "a3"])
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

#[test]
fn rule_9_dropped_complete_handover_becomes_a_stub() {
    check(Rule::StubDroppedHandover, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1"]);
        let a = Actor::new(a.append(insertions(&["a2"]), NOW)).pause_before(world, commit_put(2));
        // B's handover commit 2 is complete: indexed itself, then trimmed, then collected.
        let b = world.open(B, complete());
        let b = world.append_each(b, &["b2", "b3"]);
        let b = world.compact_and_collect(b, "b4");
        drop(b);
        trim(world, B + 2, 4);
        let b = world.open(B + 4, complete());
        let b = world.append(b, &["b5"]).0;
        world.compact_and_collect(b, "b6");
        let (_, offset) = appended(a.finish(world).map_err(|error| error.to_string())?);
        if offset == 7 { Ok(()) } else { Err(format!("acknowledged at offset {offset}, which B's item has")) }
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

#[test]
fn rule_9_shared_leaf_is_kept() {
    check(Rule::KeepSharedLeaf, |world| {
        let (a, mut values) = list_with_a_leaf(world);
        let a = world.append_each(a, &["x", "y"]);
        world.compact_and_collect(a, "z");
        values.extend(["x", "y", "z"].map(String::from));
        expect_all(world, &values)
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

#[test]
fn rule_10_missing_page_means_start_over() {
    check(Rule::SweepMissingPage, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        // The sweeper has loaded; the head page is replaced before it reads it.
        let sweeper = Actor::new(sweep_commits(list())).pause_before(world, get_of("/idx/"));
        let a = world.append_each(a, &["a4", "a5"]);
        world.compact_and_collect(a, "a6");
        swept(sweeper.finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5", "a6"])
    });
}

#[test]
fn rule_11_missing_page_means_start_over() {
    check(Rule::SweepMissingPage, |world| {
        let a = world.open(A, small());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        let a = world.compact_and_collect(a, "a3");
        let sweeper = Actor::new(sweep_objects(list())).pause_before(world, get_of("/idx/"));
        let a = world.append_each(a, &["a4", "a5"]);
        world.compact_and_collect(a, "a6");
        swept(sweeper.finish(world))?;
        world.expect(&["a0", "a1", "a2", "a3", "a4", "a5", "a6"])
    });
}

#[test]
fn rule_3_carry_follows_the_chain() {
    check(Rule::CarryFollowsChain, |world| {
        let a = world.open(A, SessionOptions::default());
        let a = world.append_each(a, &["a0", "a1"]);
        let b = world.open(B, SessionOptions::default());
        world.append(b, &["b2"]);
        // A loses the race, loads, and goes on: its old carry ends before b2.
        world.try_append(a, &["a3"])?;
        world.expect(&["a0", "a1", "b2", "a3"])
    });
}

#[test]
fn rule_3_carry_of_acknowledged_items() {
    check(Rule::CarryAcknowledged, |world| {
        let a = world.open(A, SessionOptions::default());
        let a = world.append_each(a, &["a0", "a1"]);
        let late = Actor::new(a.append(insertions(&["lost"]), NOW)).pause_before(world, commit_put(2)).crash();
        drop(late);
        // S may be kept under a fresh session id; the carry must not hold what was given up.
        let kept = abandoned::session().expect("the session of the PUT").renamed(SessionId(A + 2));
        world.try_append(kept, &["a2"])?;
        world.expect(&["a0", "a1", "a2"])
    });
}

#[test]
fn a_ghost_stays_a_ghost() {
    let world = &mut World::default();
    let (a, ghost) = ghost_of_2(world, small());
    ghost.arrive(world);
    assert_eq!(world.expect(&["a0", "a1", "a2", "a3", "a4"]), Ok(()));
    world.append(a, &["a5"]);
    assert_eq!(world.expect(&["a0", "a1", "a2", "a3", "a4", "a5"]), Ok(()));
}

fn swept(report: Result<SweepReport, klstore_format::FormatError>) -> Outcome {
    report.map(drop).map_err(|error| error.to_string())
}

/// The item at this offset.
fn item(offset: u64) -> PageRequest {
    let filter = ItemFilter { start_offset: Some(offset), ..ItemFilter::default() };
    PageRequest { filter, ..request(1, None) }
}

fn one_of(page: Result<Page, klstore_format::FormatError>, expected: &[&str]) -> Outcome {
    let page = page.map_err(|error| error.to_string())?;
    let values: Vec<_> = page.items.iter().map(|item| String::from_utf8_lossy(&item.value)).collect();
    match values.as_slice() {
        [value] if expected.contains(&value.as_ref()) => Ok(()),
        _ => Err(format!("read {values:?} where one of {expected:?} stands")),
    }
}

fn values_are(page: Result<Page, klstore_format::FormatError>, expected: &[&str]) -> Outcome {
    let page = page.map_err(|error| error.to_string())?;
    let values: Vec<_> = page.items.iter().map(|item| String::from_utf8_lossy(&item.value)).collect();
    // A read may be the list as it was at any moment since it began.
    if !values.is_empty() && values.len() <= expected.len() && values == expected[..values.len()] {
        return Ok(());
    }
    Err(format!("read {values:?}, acknowledged {expected:?}"))
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

/// Another writer trims.
fn trim(world: &mut World, writer: u128, start: u64) {
    let session = world.open(writer, small());
    let (_, trimmed) = trimmed(Actor::new(session.trim(TrimTo::Offset(start))).finish(world).expect("a trim"));
    assert_eq!(trimmed.start, start);
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

#[test]
fn an_append_that_finds_only_duplicates_sends_nothing() {
    let world = &mut World::default();
    let a = world.open(A, small());
    let numbered = |nonce| vec![insertions(&["x"]).remove(0).with_nonce(nonce)];
    let (a, _) = appended(Actor::new(a.append(numbered(5), NOW)).finish(world).expect("append"));
    let before = world.names("/log/").len();
    match Actor::new(a.append(numbered(5), NOW)).finish(world).expect("append").1 {
        AppendOutcome::Appended(appended) => assert_eq!(appended.duplicates, 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.names("/log/").len(), before);
}
