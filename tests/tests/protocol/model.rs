//! Whatever is done to lists, they read as the plain vectors that they stand for (DESIGN section 4).

use klstore_format::IterationOrder;
use klstore_format::plan::SessionOptions;
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::rules::{Rule, without};
use klstore_format::wire::block::BlockOptions;
use klstore_format::wire::compression::Codec;
use klstore_tests::world::{Actor, World, list, request};
use klstore_tests::{model_run, seeded, wire_run};

#[test]
fn lists_are_vectors() {
    let seed = seeded::seed("model");
    let operations = seeded::count("KLSTORE_OPERATIONS", 100_000);
    match model_run::run(seed, operations) {
        Ok(tally) => println!("{operations} operations: {tally:#?}"),
        Err(difference) => panic!("{difference}"),
    }
}

/// The run is worth its time only if it notices: here rules that need an index with leaves, and some others.
#[test]
fn a_broken_rule_makes_a_difference() {
    let seed = seeded::seed("model without rules");
    for rule in [Rule::CarryFollowsChain, Rule::CollectSparesComplete, Rule::KeepSharedLeaf, Rule::SweepReachesLeaves] {
        match without(rule, || model_run::run(seed, 100_000)) {
            Err(difference) => println!("without {rule:?}: {difference}"),
            Ok(_) => panic!("{rule:?} is switched off and nothing differs: KLSTORE_SEED={seed}"),
        }
    }
}

/// The same through writer and reader over HTTP, while the server fails, loses answers and does things late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_vectors_over_http_in_a_storm() {
    let seed = seeded::seed("model over HTTP");
    let operations = seeded::count("KLSTORE_HTTP_OPERATIONS", 6_000);
    match wire_run::run(seed, operations).await {
        Ok(tally) => println!("{operations} operations: {tally:#?}"),
        Err(difference) => panic!("{difference}"),
    }
}

/// A seed found this: the commit that a backwards continuation points into has become a stub, and a store that answers
/// a range of it with nothing kept the reader asking for ever.
#[test]
fn a_continuation_into_a_stub_goes_on_by_offset() {
    let mut world = World::with_keyspace();
    let block = BlockOptions { codec: Codec::None, ..BlockOptions::default() };
    let session = world.open(1, SessionOptions { block, carry_bytes: 0, ..SessionOptions::default() });
    // The first commit is a handover; it is longer than what a reader asks for at once.
    let values = ["a", "b", "c", "d"].map(|value| value.repeat(20_000));
    let (session, _) = world.append(session, &values.each_ref().map(String::as_str));
    let backwards = |continuation| PageRequest { order: IterationOrder::Backwards, ..request(1, continuation) };
    let page = Actor::new(read_page(backwards(None))).finish(&mut world).expect("the last item");
    assert_eq!(page.items[0].offset, 3);

    let session = world.append(session, &["e"]).0;
    world.compact_and_collect(session, "f");
    assert_eq!(world.object(&list().commit(0)).map(|stub| stub.len()), Some(0));
    let next = Actor::new(read_page(backwards(page.continuation))).try_finish(&mut world);
    let next = next.expect("the reader is stuck").expect("the item before it");
    assert_eq!((next.items[0].offset, next.continuation_misses), (2, 1));
}
