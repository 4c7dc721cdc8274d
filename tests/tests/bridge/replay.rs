//! Dead letters that are replayed: each record is where it belongs once, however often that is done.

use std::time::Duration;

use klstore_s3_server::Fault;
use klstore_tests::embedded;

use super::policies::KEYED;
use super::scene::{KEYSPACE, Scene, output};

/// A key that is no text, so that `key_parser=RecordKey` cannot read it.
const BAD: &[u8] = &[0xff];

/// Every third record is poison, and becomes a letter.
async fn letters(scene: &Scene, count: u64, queue: &str) {
    let values: Vec<String> = (0..count).map(|number| format!("record {number}")).collect();
    let key = |number: usize| if number.is_multiple_of(3) { BAD } else { b"good" };
    let records = values.iter().enumerate().map(|(number, value)| (0, Some(key(number)), Some(value.as_bytes())));
    scene.broker.produce(&scene.topic, records).unwrap();
    let keyed = scene.config(&format!("on_poison=dlq\ndead_letters={queue}")).replace(KEYED.0, KEYED.1);
    scene.run_until_end(&keyed).await;
}

fn poison(count: u64) -> Vec<String> {
    (0..count).step_by(3).map(|number| format!("record {number}")).collect()
}

/// The exit code, and what was said.
async fn replay(scene: &Scene, config: &str, options: &[&str]) -> (Option<i32>, String) {
    let file = tempfile::NamedTempFile::with_suffix(".ini").unwrap();
    std::fs::write(file.path(), config).unwrap();
    let mut command = scene.command(["replay-dlq"]);
    let output = output(command.arg("--config").arg(file.path()).args(options)).await;
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn check(queue: &str) {
    let Some(scene) = Scene::start("replayed", 1).await else { return };
    scene.broker.create_topic("dead", 3).await.unwrap();
    letters(&scene, 30, queue).await;
    let keyed = scene.config(&format!("on_poison=dlq\ndead_letters={queue}")).replace(KEYED.0, KEYED.1);
    let by_partition = scene.config(&format!("on_poison=dlq\ndead_letters={queue}"));

    // They are still what they were.
    let (code, said) = replay(&scene, &keyed, &[]).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("the key of the record at topic replayed, partition 0, offset 0 is not UTF-8"), "{said}");
    let (code, said) = replay(&scene, &keyed, &["--skip-refused"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 letters replayed, 0 were before, 10 refused"), "{said}");

    for expected in ["10 letters replayed, 0 were before", "0 letters replayed, 10 were before"] {
        let (code, said) = replay(&scene, &by_partition, &[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(embedded::values(&scene.items(KEYSPACE, "0").await), poison(30));
    }
    // The lists of good records have not changed.
    assert_eq!(scene.items(KEYSPACE, "good").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_keyspace_are_replayed_once() {
    check("Keyspace(dead)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_topic_are_replayed_once() {
    check("Topic(dead)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_goes_on_where_it_was() {
    let Some(scene) = Scene::start("replayed", 1).await else { return };
    letters(&scene, 30_000, "Keyspace(dead)").await;
    let config = scene.config("on_poison=dlq\ndead_letters=Keyspace(dead)");
    let file = tempfile::NamedTempFile::with_suffix(".ini").unwrap();
    std::fs::write(file.path(), &config).unwrap();
    // Slow enough to be met in the middle of its work.
    scene.server.faults().set(|_| Fault::Delay(Duration::from_millis(30), Box::new(Fault::None)));
    let mut appended = scene.item_count().await;
    for _ in 0..3 {
        let mut process = scene.command(["replay-dlq"]).arg("--config").arg(file.path()).spawn().unwrap();
        let before = appended;
        while appended == before {
            assert!(process.try_wait().unwrap().is_none(), "it ended before it was killed");
            appended = scene.item_count().await;
        }
        process.kill().await.unwrap();
    }
    assert!(appended < 10_000, "{appended} letters were replayed before it was killed for the last time");
    scene.server.faults().clear();
    let (code, said) = replay(&scene, &config, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(embedded::values(&scene.items(KEYSPACE, "0").await), poison(30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_there_is_nothing_to_replay() {
    let Some(scene) = Scene::start("replayed", 1).await else { return };
    let (code, said) = replay(&scene, &scene.config(""), &[]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("dead_letters"), "{said}");
}
