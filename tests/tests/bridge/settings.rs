//! Settings that change what is read, how it is read, and what becomes of it.

use std::time::Duration;

use klstore_tests::embedded;
use klstore_tests::kafka::{SASL_PASSWORD, SASL_USER};
use klstore_writer::{Clock, SystemClock};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value as Json;

use super::policies::KEYED;
use super::scene::{KEYSPACE, Scene, value};

/// All records of partition 0.
fn records_of(scene: &Scene, topic: &str) -> Vec<(String, Json)> {
    let consumer: BaseConsumer = scene.broker.client().set("group.id", "looking").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (_, high) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).unwrap();
    let read = |_| {
        let message = consumer.poll(Duration::from_secs(10)).expect("a record").unwrap();
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        (key, serde_json::from_slice(message.payload().unwrap()).unwrap())
    };
    (0..high).map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_keys_envelopes_and_dead_letters_in_a_topic() {
    let Some(scene) = Scene::start("json", 1).await else { return };
    scene.broker.create_topic("dead", 1).await.unwrap();
    let values =
        [r#"{"user":{"id":"ann"},"n":1}"#, "no JSON", r#"{"user":{"id":7}}"#, r#"{"user":{"id":"ann"},"n":2}"#];
    let records = values.iter().map(|value| (0, Some(&b"k"[..]), Some(value.as_bytes())));
    scene.broker.produce(&scene.topic, records).unwrap();
    let config = scene
        .config("value=envelope\non_poison=dlq\ndead_letters=Topic(dead)")
        .replace(KEYED.0, "key_parser=\"RecordJson(/user/id)\"")
        .replace("[bridge]", "[bridge]\nlog_format=json");
    let (code, said) = scene.try_until_end(&config).await;
    assert_eq!(code, Some(0), "{said}");
    let line = said.lines().find(|line| line.contains("ended well")).unwrap();
    let line: Json = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["dead_letters"], 1);

    let items = scene.items(KEYSPACE, "ann").await;
    let envelopes: Vec<Json> = items.iter().map(|item| serde_json::from_slice(&item.value).unwrap()).collect();
    assert_eq!(envelopes.iter().map(|envelope| &envelope["offset"]).collect::<Vec<_>>(), [0, 3]);
    assert_eq!((&envelopes[1]["value"], &envelopes[1]["key"]), (&values[3].into(), &"k".into()));
    assert_eq!(scene.items(KEYSPACE, "7").await.len(), 1);
    let letters = records_of(&scene, "dead");
    assert_eq!((letters.len(), letters[0].0.as_str(), &letters[0].1["value"]), (1, "json.0.1", &values[1].into()));
}

/// By a static member, with less memory than there are records.
#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_of_topics_under_a_small_budget() {
    let Some(scene) = Scene::start("many-a", 2).await else { return };
    scene.broker.create_topic("many-b", 1).await.unwrap();
    scene.broker.create_topic("other", 1).await.unwrap();
    let large: Vec<String> = (0..150).map(|number| format!("{number} {}", "x".repeat(100_000))).collect();
    let to = |partition| move |value: &'static str| (partition, None, Some(value.as_bytes()));
    scene.broker.produce("many-b", large.iter().map(|value| (0, None, Some(value.as_bytes())))).unwrap();
    scene.broker.produce("many-a", ["1", "2"].map(to(1))).unwrap();
    scene.broker.produce("other", ["3"].map(to(0))).unwrap();
    let config = scene
        .config("")
        .replace("topic=\"many-a\"", "topic=\"^many-.*\"\ngroup.instance.id=first")
        .replace("\"Static(my_keyspace)\"", "\"RecordTopic\"")
        .replace("[batcher]", "[batcher]\nmax_buffered_bytes=4194304\n");
    scene.run_until_end(&config).await;
    assert_eq!(embedded::values(&scene.items("many-b", "0").await), large);
    assert_eq!(embedded::values(&scene.items("many-a", "1").await), ["1", "2"]);
    scene.run_until_end(&config).await;
    assert_eq!(scene.items("many-b", "0").await.len(), large.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_by_time_and_a_broker_that_asks_for_a_password() {
    let Some(scene) = Scene::start("late", 1).await else { return };
    scene.produce(0..10);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = SystemClock::default().now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    scene.produce(10..20);
    let secured = |password: &str| {
        let security = format!(
            "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={SASL_USER}\nsasl.password={password}"
        );
        let config = scene.config("").replace(&scene.broker.address, &scene.broker.sasl_address);
        config.replace("auto.offset.reset=earliest", &format!("start_timestamp={start}\n{security}"))
    };
    scene.run_until_end(&secured(SASL_PASSWORD)).await;
    let expected: Vec<String> = (10..20).map(value).collect();
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "0").await), expected);
}
