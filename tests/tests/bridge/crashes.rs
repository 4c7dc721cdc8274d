//! Bridges that are killed, stopped, or come and go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use klstore_s3_server::{Fault, Operation, Refusal};
use klstore_tests::seeded;
use rand::RngExt;

use super::scene::{Scene, exit_code, signal, terminate};

/// kill -9 at random moments while records keep coming.
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_is_killed_loses_and_doubles_nothing() {
    kill(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour: script/test-long"]
async fn a_bridge_that_is_killed_a_thousand_times_loses_and_doubles_nothing() {
    kill(seeded::count("KLSTORE_TEST_KILLS", 1_000)).await;
}

async fn kill(kills: u64) {
    let Some(scene) = Scene::start("killed", 4).await else { return };
    let mut random = seeded::random(seeded::seed("bridge kills"), 0);
    let mut produced = 0;
    for _ in 0..kills {
        let mut process = scene.spawn(&scene.config(""));
        let more = random.random_range(500..3_000);
        scene.produce(produced..produced + more);
        produced += more;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_500))).await;
        process.kill().await.unwrap();
    }
    scene.run_until_end(&scene.config("")).await;
    scene.check(produced).await;
}

/// Three processes share the group, and each is replaced in turn while records keep coming.
#[tokio::test(flavor = "multi_thread")]
async fn three_bridges_are_restarted_one_after_the_other() {
    let Some(scene) = Scene::start("rolling", 16).await else { return };
    let records = seeded::count("KLSTORE_TEST_RECORDS", 1_000_000);
    let mut bridges: Vec<_> = (0..3).map(|_| scene.spawn(&scene.config(""))).collect();
    let (rounds, mut produced) = (8, 0);
    for round in 0..rounds {
        scene.produce(produced..produced + records / rounds);
        produced += records / rounds;
        let bridge = &mut bridges[(round % 3) as usize];
        terminate(bridge);
        assert_eq!(exit_code(bridge.wait()).await, Some(0));
        *bridge = scene.spawn(&scene.config(""));
    }
    scene.wait_for_items(produced).await;
    for mut bridge in bridges {
        terminate(&bridge);
        assert_eq!(exit_code(bridge.wait()).await, Some(0));
    }
    scene.check(produced).await;
}

/// A zombie: stopped for longer than the session, while another takes over, and then let go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_slept_through_its_session_does_no_harm() {
    let Some(scene) = Scene::start("zombie", 4).await else { return };
    // The zombie has batches in memory when it falls asleep.
    let config = scene.config("").replace("batch_flush_interval_millis=20", "batch_flush_interval_millis=3000");
    let mut zombie = scene.spawn(&config);
    scene.wait_until_assigned().await;
    scene.produce(0..2_000);
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(&zombie, "STOP");
    let mut other = scene.spawn(&scene.config(""));
    scene.produce(2_000..4_000);
    scene.wait_for_items(4_000).await;
    signal(&zombie, "CONT");
    scene.produce(4_000..6_000);
    scene.wait_for_items(6_000).await;
    for bridge in [&mut zombie, &mut other] {
        terminate(bridge);
        assert_eq!(exit_code(bridge.wait()).await, Some(0));
    }
    scene.check(6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_s3_loses_and_doubles_nothing() {
    outage(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "more than a minute: script/test-long"]
async fn an_outage_of_a_minute_loses_and_doubles_nothing() {
    outage(Duration::from_secs(60)).await;
}

/// S3 fails in every way for so long, then loses answers to every third PUT.
async fn outage(length: Duration) {
    let Some(scene) = Scene::start("outage", 4).await else { return };
    let mut bridge = scene.spawn(&scene.config(""));
    scene.produce(0..2_000);
    scene.wait_for_items(2_000).await;
    let failures = AtomicU64::new(0);
    scene.server.faults().set(move |_| match failures.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Fault::SLOW_DOWN,
        1 => Fault::Refuse(Refusal::INTERNAL_ERROR),
        _ => Fault::Delay(Duration::from_secs(2), Box::new(Fault::Drop)),
    });
    scene.produce(2_000..4_000);
    tokio::time::sleep(length).await;
    assert!(scene.committed().values().sum::<i64>() <= 2_000, "nothing is committed that is not durable");
    let puts = AtomicU64::new(0);
    scene.server.faults().set(move |request| {
        let is_put = request.operation == Operation::PutObject;
        let lost = is_put && puts.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        if lost { Fault::LoseAnswer } else { Fault::None }
    });
    scene.produce(4_000..6_000);
    scene.wait_for_items(6_000).await;
    terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    scene.check(6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_is_too_long_ends_the_process() {
    let Some(scene) = Scene::start("long", 1).await else { return };
    scene.server.faults().set(|_| Fault::SLOW_DOWN);
    let config = scene.config("").replace("[bridge]", "[bridge]\nmax_outage_millis=3000");
    let mut bridge = scene.spawn(&config);
    scene.produce(0..10);
    let ended = tokio::time::timeout(Duration::from_secs(60), bridge.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(4));
    assert_eq!(scene.committed()[&0], 0);
    scene.server.faults().clear();
    scene.run_until_end(&scene.config("")).await;
    scene.check(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_may_restart() {
    let Some(mut scene) = Scene::start("broker", 4).await else { return };
    let mut bridge = scene.spawn(&scene.config(""));
    scene.produce(0..2_000);
    scene.wait_for_items(1).await;
    scene.broker.restart().await.unwrap();
    scene.produce(2_000..4_000);
    scene.wait_for_items(4_000).await;
    terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    scene.check(4_000).await;
}
