//! What is refused, and what becomes of records that cannot go where they should.

use klstore_tests::embedded;

use super::scene::{KEYSPACE, Scene, exit_code};

pub const KEYED: (&str, &str) = ("key_parser=\"RecordPartition\"", "key_parser=\"RecordKey\"");

#[tokio::test(flavor = "multi_thread")]
async fn several_partitions_into_one_list_are_refused() {
    let Some(scene) = Scene::start("fan-in", 2).await else { return };
    let keyed = scene.config("").replace(KEYED.0, KEYED.1);
    let (code, said) = scene.try_until_end(&keyed).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("topic fan-in has 2 partitions") && said.contains("key_affinity=asserted"), "{said}");

    // Vouched for, and true of the records.
    let asserted = format!("{keyed}key_affinity=asserted\n");
    let record =
        |partition, key: &'static str, value: &'static str| (partition, Some(key.as_bytes()), Some(value.as_bytes()));
    scene.broker.produce(&scene.topic, [record(0, "a", "1"), record(1, "b", "2"), record(0, "a", "3")]).unwrap();
    scene.run_until_end(&asserted).await;
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "a").await), ["1", "3"]);

    // Vouched for, and not true: it stops before the record would be taken for a duplicate.
    scene.broker.produce(&scene.topic, [record(0, "a", "4"), record(1, "a", "5")]).unwrap();
    let (code, said) = scene.try_until_end(&asserted).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("of a list that partition"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_parsed_follow_the_policy() {
    let Some(scene) = Scene::start("poison", 1).await else { return };
    scene.broker.create_topic("dead", 1).await.unwrap();
    let (good, bad) = (Some(&b"k"[..]), Some(&[0xff][..]));
    let values: [&[u8]; 3] = [b"first", b"poison", b"last"];
    let records = [(0, good, Some(values[0])), (0, bad, Some(values[1])), (0, good, None), (0, good, Some(values[2]))];
    scene.broker.produce(&scene.topic, records).unwrap();
    let config = |lines: &str| scene.config(lines).replace(KEYED.0, KEYED.1);

    let (code, said) = scene.try_until_end(&config("")).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("the key of the record at topic poison, partition 0, offset 1 is not UTF-8"), "{said}");
    assert!(!said.contains("first"), "no record is in the log: {said}");
    // What came before it is durable and committed, and it is the next.
    assert_eq!(scene.committed()[&0], 1);

    scene.run_until_end(&config("on_poison=dlq\ndead_letters=Keyspace(dead)\non_tombstone=skip")).await;
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "k").await), ["first", "last"]);
    let letters = scene.items("dead", "poison.0").await;
    let letter: serde_json::Value = serde_json::from_slice(&letters[0].value).unwrap();
    assert_eq!((letters.len(), &letter["value"], &letter["offset"]), (1, &"poison".into(), &1.into()));
    assert_eq!(letter["key"]["base64"], "/w==");
    assert_eq!(scene.committed()[&0], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_created_again_is_refused() {
    let Some(scene) = Scene::start("again", 1).await else { return };
    scene.produce(0..100);
    scene.run_until_end(&scene.config("")).await;
    scene.broker.delete_topic("again").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    scene.broker.create_topic("again", 1).await.unwrap();
    scene.produce(0..50);
    let (code, said) = scene.try_until_end(&scene.config("")).await;
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("bump-epoch"), "{said}");
    // Nor does it go on when a supervisor starts it again.
    let (code, said) = scene.try_until_end(&scene.config("")).await;
    assert_eq!(code, Some(7), "{said}");
    scene.check(100).await;

    let said = scene.says(["bump-epoch"], &scene.config("")).await;
    assert!(said.contains("has begun"), "{said}");
    scene.run_until_end(&scene.config("")).await;
    let values = embedded::values(&scene.items(KEYSPACE, "0").await);
    let expected: Vec<String> = (0..100).chain(0..50).map(super::scene::value).collect();
    assert_eq!(values, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_transactions_are_not_seen_and_their_gaps_do_no_harm() {
    let Some(scene) = Scene::start("transactions", 1).await else { return };
    for (transaction, values) in [["a", "b"], ["c", "d"], ["e", "f"]].into_iter().enumerate() {
        scene.broker.produce_in_transaction(&scene.topic, &values, transaction != 1).unwrap();
    }
    scene.run_until_end(&scene.config("")).await;
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "0").await), ["a", "b", "e", "f"]);
    // Each transaction ends with a marker, which takes an offset, the last one too.
    assert_eq!(scene.committed()[&0], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_may_be_added_while_the_bridge_runs() {
    let Some(mut scene) = Scene::start("grows", 1).await else { return };
    let config = scene.config("").replace("[bridge]", "topic.metadata.refresh.interval.ms=500\n[bridge]");
    let mut bridge = scene.spawn(&config);
    scene.produce(0..100);
    scene.wait_for_items(100).await;
    scene.broker.set_partitions("grows", 2).await.unwrap();
    scene.partitions = 2;
    scene.wait_until_assigned().await;
    let records: Vec<String> = (0..50).map(super::scene::value).collect();
    scene.broker.produce("grows", records.iter().map(|value| (1, None, Some(value.as_bytes())))).unwrap();
    scene.wait_for_items(150).await;
    super::scene::terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "1").await), records);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_where_records_would_go_and_what_is_left() {
    let Some(scene) = Scene::start("seen", 2).await else { return };
    scene.produce(0..10);
    let config = scene.config("");
    assert!(scene.says(["check-config", "--online"], &config).await.contains("each list is fed by one partition"));
    let dry = scene.says(["dry-run"], &config).await;
    assert!(
        dry.contains("topic seen, partition 0, offset 0: my_keyspace/0, nonce 0, timestamp none, 9 bytes"),
        "{dry}"
    );
    assert!(dry.contains("10 records for 2 lists, 0 skipped"), "{dry}");
    assert!(scene.says(["lag"], &config).await.contains("seen/1: committed nothing, end 5, lag 5\nall: lag 10"));
    assert_eq!(scene.item_count().await, 0);

    let address = "127.0.0.1:0";
    let mut listening = std::net::TcpListener::bind(address).unwrap().local_addr().unwrap();
    listening.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    let watched = config.replace("metrics_address=none", &format!("metrics_address={listening}"));
    let mut bridge = scene.spawn(&watched);
    scene.wait_for_items(10).await;
    let get = async |path: &str| reqwest::get(format!("http://{listening}{path}")).await.unwrap();
    assert_eq!(get("/ready").await.status(), 200);
    assert_eq!(get("/live").await.status(), 200);
    let metrics = get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("klstore_bridge_records_total 10"), "{metrics}");
    assert!(!metrics.contains("my_keyspace"), "no label is from a record or its list: {metrics}");
    // The lag comes with librdkafka's statistics, every five seconds.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let metrics = get("/metrics").await.text().await.unwrap();
    let dashboard = include_str!("../../../bridge/deploy/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 10);
    for query in queries {
        for name in query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
            if name.starts_with("klstore_") {
                let has = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
                assert!(metrics.lines().any(has), "no {name} of {query} in {metrics}");
            }
        }
    }
    super::scene::terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    assert!(scene.says(["lag"], &config).await.contains("seen/1: committed 5, end 5, lag 0\nall: lag 0"));
}
