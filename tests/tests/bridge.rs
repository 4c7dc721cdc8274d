//! The bridge between a real Apache Kafka and a real S3 server: what comes out of the lists is compared, in order, with
//! what went into the partitions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

#[path = "bridge/contact.rs"]
mod contact;
#[path = "bridge/crashes.rs"]
mod crashes;
#[path = "bridge/dashboard.rs"]
mod dashboard;
#[path = "bridge/flights.rs"]
mod flights;
#[path = "bridge/policies.rs"]
mod policies;
#[path = "bridge/replay.rs"]
mod replay;
#[path = "bridge/scene.rs"]
mod scene;
#[path = "bridge/settings.rs"]
mod settings;
#[path = "bridge/soak.rs"]
mod soak;
#[path = "bridge/sources.rs"]
mod sources;
#[path = "bridge/throughput.rs"]
mod throughput;

use scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_produced_is_in_the_lists_once_and_in_order() {
    let Some(scene) = Scene::start("inbound", 4).await else { return };
    scene.produce(0..10_000);
    scene.run_until_end(&scene.config("")).await;
    scene.check(10_000).await;
    // A second run has nothing to do, a third one only what came since.
    scene.run_until_end(&scene.config("")).await;
    scene.check(10_000).await;
    scene.produce(10_000..10_100);
    scene.run_until_end(&scene.config("")).await;
    scene.check(10_100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_makes_durable_what_was_taken_and_commits_it() {
    let Some(scene) = Scene::start("inbound", 4).await else { return };
    // Batches would wait for a minute.
    let config = scene.config("").replace("batch_flush_interval_millis=20", "batch_flush_interval_millis=60000");
    let mut process = scene.spawn(&config);
    scene.produce(0..1_000);
    scene.wait_until_assigned().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(scene.item_count().await, 0, "batches wait");
    scene::terminate(&process);
    assert_eq!(scene::exit_code(process.wait()).await, Some(0));
    scene.check(1_000).await;
    assert_eq!(scene.committed().values().sum::<i64>(), 1_000);
}
