//! Brokers that will not have us, are not there, or do not have the topic.

use std::time::Duration;

use tokio::time::Instant;

use klstore_tests::kafka::SASL_USER;

use super::scene::{Scene, terminate};

/// Each way in names the same reason.
const COMMANDS: [&[&str]; 5] =
    [&["check-config", "--online"], &["lag"], &["dry-run", "--max-records", "1"], &["bump-epoch"], &["run"]];

async fn each_command_says(scene: &Scene, config: &str, parts: &[&str]) {
    for arguments in COMMANDS {
        let begin = Instant::now();
        let (code, said) = match *arguments {
            [one] => scene.try_says([one], config).await,
            [one, two] => scene.try_says([one, two], config).await,
            [one, two, three] => scene.try_says([one, two, three], config).await,
            _ => panic!("{arguments:?}"),
        };
        assert_eq!(code, Some(5), "{arguments:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{arguments:?} does not say {part}: {said}");
        }
        assert!(!said.contains("a-wrong-secret"), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(30), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_will_not_have_us_is_an_error_at_once_that_says_why() {
    let Some(scene) = Scene::start("inbound", 2).await else { return };
    let sasl = format!(
        "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={SASL_USER}\nsasl.password=a-wrong-secret\n\n[bridge]"
    );
    let wrong_password =
        scene.config("").replace(&scene.broker.address, &scene.broker.sasl_address).replace("\n[bridge]", &sasl);
    each_command_says(&scene, &wrong_password, &["uthentication", "check sasl.mechanism"]).await;

    // It may be the broker that is ill: this takes the minute that all have.
    let tls = scene.config("").replace("\n[bridge]", "security.protocol=ssl\n\n[bridge]");
    let (code, said) = scene.try_says(["check-config", "--online"], &tls).await;
    assert_eq!(code, Some(5), "{said}");
    for part in [&scene.broker.address, "SSL connection closed by peer", "security.protocol"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_bridge_that_no_broker_answers() {
    let Some(scene) = Scene::start("inbound", 2).await else { return };
    // Nobody listens at a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut bridge = scene.spawn(&scene.config("").replace(&scene.broker.address, &free));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bridge.try_wait().unwrap().is_none(), "it waits for the broker");
    terminate(&bridge);
    let ended = tokio::time::timeout(Duration::from_secs(10), bridge.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named() {
    let Some(scene) = Scene::start("inbound", 2).await else { return };
    for topic in ["elsewhere", "^else.*"] {
        let config = scene
            .config("")
            .replace("topic=\"inbound\"", &format!("topic=\"{topic}\""))
            .replace("\"RecordPartition\"", "\"RecordPartition\"\nnonce_parser=\"SourceOffset\"");
        let config = config.replacen("nonce_parser=\"RecordOffset\"\n", "", 1);
        for arguments in [["check-config", "--online"], ["lag", "--"], ["bump-epoch", "--"], ["run", "--until-end"]] {
            let (code, said) = match arguments {
                [command, "--"] => scene.try_says([command], &config).await,
                both => scene.try_says(both, &config).await,
            };
            assert_eq!(code, Some(5), "{arguments:?}: {said}");
            assert!(said.contains(&format!("there is no topic {topic}")), "{arguments:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_is_judged_by_the_topics_that_it_covers() {
    let Some(scene) = Scene::start("one", 1).await else { return };
    // Fed from three partitions, a list of one name would lose records.
    scene.broker.create_topic("other", 3).await.unwrap();
    scene.produce(0..10);
    let config = |topic: &str| {
        let config = scene.config("").replace("topic=\"one\"", &format!("topic=\"{topic}\""));
        let config = config.replace("\"Static(my_keyspace)\"", "\"RecordTopic\"");
        config.replace("\"RecordPartition\"", "\"Static(all)\"")
    };
    assert!(scene.says(["check-config", "--online"], &config("^one$")).await.contains("the configuration is right"));
    let (code, said) = scene.try_says(["check-config", "--online"], &config("^o.*")).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("other"), "{said}");
    scene.run_until_end(&config("^one$")).await;
    assert_eq!(scene.items("one", "all").await.len(), 10);
    let lag = scene.says(["lag"], &config("^one$")).await;
    assert_eq!(lag, "one/0: committed 10, end 10, lag 0\nall: lag 0\n");
}
