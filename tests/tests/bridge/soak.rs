//! A bridge that runs for hours, with keys for the store that expire each minute: nothing is lost, and its memory does
//! not grow. `KLSTORE_SOAK_MINUTES` says how long (120).

use std::time::Duration;

use klstore_s3_server::Credential;
use klstore_tests::issuer::{CONTAINER_TOKEN, Issuer};
use klstore_tests::servers::{ACCESS_KEY, SECRET_KEY};
use klstore_tests::{process, seeded};

use super::scene::{Scene, exit_code, terminate};

const PARTITIONS: i32 = 16;
/// Records of a second.
const RATE: u64 = 200;
const LIFE: Duration = Duration::from_secs(60);
/// Until caches and allocators have their size.
const WARM_UP: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two hours: script/test-long"]
async fn a_bridge_runs_for_hours() {
    let Some(scene) = Scene::start("soak", PARTITIONS).await else { return };
    let minutes = seeded::count("KLSTORE_SOAK_MINUTES", 120);
    // From now on the store knows the keys that were given out and no others.
    let issuer = Issuer::start(scene.server.clone(), LIFE).await.unwrap();
    let keys = format!("access_key=\"{ACCESS_KEY}\"\nsecret_key=\"{SECRET_KEY}\"\nuse_default_credentials=false");
    let config = scene.config("").replace(&keys, "use_default_credentials=true");
    let file = tempfile::NamedTempFile::with_suffix(".ini").unwrap();
    std::fs::write(file.path(), config.replace("flush_interval_millis=20", "flush_interval_millis=1000")).unwrap();
    let mut command = scene.command(["run", "--config", file.path().to_str().unwrap()]);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", issuer.address()));
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    let mut bridge = command.spawn().unwrap();
    let id = bridge.id().unwrap().to_string();

    let (mut produced, mut warm) = (0, 0);
    for minute in 0..minutes {
        for _ in 0..60 {
            let second = tokio::time::sleep(Duration::from_secs(1));
            scene.produce(produced..produced + RATE);
            produced += RATE;
            second.await;
        }
        let usage = process::usage_of(&id).unwrap();
        println!(
            "minute {minute}: {} KB resident, {:.1} s of processor",
            usage.resident_bytes >> 10,
            usage.cpu_seconds
        );
        if minute == WARM_UP.min(minutes / 3) {
            warm = usage.resident_bytes;
        }
        if minute + 1 == minutes {
            let hours = (minutes - WARM_UP.min(minutes / 3)) as f64 / 60.0;
            let grown = usage.resident_bytes.saturating_sub(warm) as f64 / 1e6;
            println!("{grown:.2} MB in {hours:.2} hours, {} pairs of keys", issuer.issued_count());
            assert!(grown <= 1.0_f64.max(hours), "memory grows by more than 1 MB an hour");
        }
    }
    terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    // Read with keys that do not expire.
    drop(issuer);
    scene.server.replace_credentials(vec![Credential::new(ACCESS_KEY, SECRET_KEY)]);
    scene.check(produced).await;
}
