//! Rules 1 to 9: what writers keep.

use klstore_format::IterationOrder;
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::{AppendOutcome, Compaction, Session, SessionOptions, abandoned, sweep_objects};
use klstore_format::rules::{self, Rule};
use klstore_format::wire::identity::SessionId;
use klstore_tests::world::*;

use crate::{
    A, B, Outcome, check, complete, expect_all, list_with_a_leaf, one_of, small, stalled_put_after_takeover, swept,
    trim,
};

/// A gives up the PUT of commit 2; with the rule on it opens a fresh session, without it goes on under the old id.
fn after_abandoning(world: &mut World) -> (Session, Late) {
    let a = world.open(A, small());
    let a = world.append_each(a, &["a0", "a1"]);
    let late = Actor::new(a.append(insertions(&["late"]), NOW)).pause_before(world, commit_put(2)).crash();
    let kept = abandoned::session().expect("the session of the PUT");
    let fresh = world.open(A + 2, small());
    (if rules::kept(Rule::FreshSession) { fresh } else { kept }, late)
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
fn rule_9_spares_complete_commits() {
    check(Rule::CollectSparesComplete, |world| {
        let a = world.open(A, complete());
        let a = world.append_each(a, &["a0", "a1", "a2"]);
        world.compact_and_collect(a, "a3");
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
fn rule_9_shared_leaf_is_kept() {
    check(Rule::KeepSharedLeaf, |world| {
        let (a, mut values) = list_with_a_leaf(world);
        let a = world.append_each(a, &["x", "y"]);
        world.compact_and_collect(a, "z");
        values.extend(["x", "y", "z"].map(String::from));
        expect_all(world, &values)
    });
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
fn a_ghost_stays_a_ghost() {
    let world = &mut World::default();
    let (a, ghost) = ghost_of_2(world, small());
    ghost.arrive(world);
    assert_eq!(world.expect(&["a0", "a1", "a2", "a3", "a4"]), Ok(()));
    world.append(a, &["a5"]);
    assert_eq!(world.expect(&["a0", "a1", "a2", "a3", "a4", "a5"]), Ok(()));
}

#[test]
fn an_append_that_finds_only_duplicates_sends_nothing() {
    let world = &mut World::default();
    let a = world.open(A, small());
    let numbered = |nonce| vec![insertions(&["x"]).remove(0).with_nonce(nonce)];
    let (a, _) = appended(Actor::new(a.append(numbered(5), NOW)).finish(world).expect("append"));
    let before = world.names("/log/").len();
    match Actor::new(a.append(numbered(5), NOW)).finish(world).expect("append").1 {
        AppendOutcome::Appended(appended) => assert_eq!(appended.duplicate_count(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.names("/log/").len(), before);
}
