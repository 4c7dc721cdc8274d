//! Lists that several partitions feed: where they may, and where they must not.

use std::collections::BTreeMap;
use std::time::Duration;

use klstore_tests::{embedded, seeded};
use rand::RngExt;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::policies::KEYED;
use super::scene::{GROUP, KEYSPACE, Scene, exit_code, patiently, terminate, value};

/// Two instances feed one list from four partitions, and are killed and replaced in turn.
#[tokio::test(flavor = "multi_thread")]
async fn one_list_takes_each_record_of_many_partitions_once() {
    let Some(scene) = Scene::start("fan", 4).await else { return };
    let mut random = seeded::random(seeded::seed("fan-in"), 0);
    let config =
        scene.config("").replace("RecordOffset", "SourceOffset").replace(KEYED.0, "key_parser=\"Static(all)\"");
    let mut bridges = [scene.spawn(&config), scene.spawn(&config)];
    let mut produced = 0;
    for round in 0..8 {
        scene.produce(produced..produced + 1_000);
        produced += 1_000;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_500))).await;
        let bridge = &mut bridges[round % 2];
        if round < 4 {
            bridge.kill().await.unwrap();
        } else {
            terminate(bridge);
            assert_eq!(exit_code(bridge.wait()).await, Some(0));
        }
        *bridge = scene.spawn(&config);
    }
    for mut bridge in bridges {
        terminate(&bridge);
        assert_eq!(exit_code(bridge.wait()).await, Some(0));
    }
    scene.run_until_end(&config).await;

    let items = embedded::values(&scene.items(KEYSPACE, "all").await);
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for item in &items {
        let number: u64 = item.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(*item, value(number));
        found.entry(number % 4).or_default().push(number);
    }
    for partition in 0..4 {
        let expected: Vec<u64> = (0..produced).filter(|number| number % 4 == partition).collect();
        assert_eq!(found[&partition], expected, "partition {partition}");
    }
}

fn keyed(scene: &Scene, lines: &str) -> String {
    scene.config(&format!("key_affinity=asserted\n{lines}")).replace(KEYED.0, KEYED.1)
}

fn produce(scene: &Scene, partition: i32, key: &str, values: impl Iterator<Item = u64>) {
    let values: Vec<String> = values.map(value).collect();
    let records = values.iter().map(|value| (partition, Some(key.as_bytes()), Some(value.as_bytes())));
    scene.broker.produce(&scene.topic, records).unwrap();
}

/// The first run has fed the list from one partition; in the next one its records come in the other, with lower offsets.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_moved_to_another_partition_loses_no_record_silently() {
    let Some(scene) = Scene::start("moved", 2).await else { return };
    produce(&scene, 0, "k", 0..100);
    scene.run_until_end(&keyed(&scene, "")).await;
    produce(&scene, 1, "j", 0..3);
    produce(&scene, 1, "k", 1_000..1_010);

    let (code, said) = scene.try_until_end(&keyed(&scene, "")).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("topic moved, partition 1, offset 3 is of a list that partition 0 has fed"), "{said}");
    assert!(scene.committed()[&1] <= 3, "{:?}", scene.committed());
    // Nor does another start drop them.
    assert_eq!(scene.try_until_end(&keyed(&scene, "")).await.0, Some(6));

    scene.run_until_end(&keyed(&scene, "on_poison=dlq\ndead_letters=Keyspace(dead)")).await;
    let list = async |key: &str| embedded::values(&scene.items(KEYSPACE, key).await);
    assert_eq!(list("k").await, (0..100).map(value).collect::<Vec<_>>());
    assert_eq!(list("j").await, (0..3).map(value).collect::<Vec<_>>());
    let letters = scene.items("dead", "moved.1").await;
    let kept: Vec<String> = letters
        .iter()
        .map(|letter| serde_json::from_slice::<serde_json::Value>(&letter.value).unwrap())
        .map(|letter| letter["value"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept, (1_000..1_010).map(value).collect::<Vec<_>>());
    assert_eq!(scene.committed()[&1], 13);
}

async fn create_again(scene: &Scene) {
    scene.broker.delete_topic(&scene.topic).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.broker.create_topic(&scene.topic, scene.partitions).await.unwrap();
}

fn commit(scene: &Scene, offset: i64) {
    let consumer: BaseConsumer = scene.broker.client().set("group.id", GROUP).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&scene.topic, 0, Offset::Offset(offset)).unwrap();
    patiently(|| consumer.commit(&list, CommitMode::Sync));
}

/// Created again and shorter, with an offset of the group that looks right.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_further_than_their_partition_are_seen() {
    let Some(scene) = Scene::start("shorter", 1).await else { return };
    let by_source = scene.config("").replace("RecordOffset", "SourceOffset").replace("my_keyspace", "sourced");
    produce(&scene, 0, "k", 0..100);
    let configs = [scene.config(""), by_source, scene.config("").replace(KEYED.0, KEYED.1)];
    for config in &configs {
        commit(&scene, 0);
        scene.run_until_end(config).await;
    }
    create_again(&scene).await;
    produce(&scene, 0, "k", 0..50);
    for config in &configs {
        commit(&scene, 10);
        let (code, said) = scene.try_until_end(config).await;
        assert_eq!(code, Some(7), "{said}");
        assert!(said.contains("ends at offset 50") && said.contains("up to offset 100"), "{said}");
        assert!(scene.committed()[&0] <= 10);
    }
    scene.check(100).await;
}
