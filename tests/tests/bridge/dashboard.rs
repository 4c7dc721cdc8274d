//! Each panel of the dashboard shows data out of a real Prometheus that scrapes a real bridge.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::process::Command;

use super::policies::KEYED;
use super::scene::{Scene, exit_code, terminate};

/// The `prometheus` command; `script/test-long` sets it.
const VARIABLE: &str = "KLSTORE_TEST_PROMETHEUS";
const DEADLINE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: script/test-long"]
async fn every_panel_answers() {
    let prometheus = PathBuf::from(std::env::var_os(VARIABLE).expect("script/test-long sets it"));
    let Some(scene) = Scene::start("shown", 1).await else { return };
    let [bridge_address, address] = [free_address(), free_address()];
    let config = scene.config("on_poison=skip").replace(KEYED.0, KEYED.1);
    let config = config.replace("metrics_address=none", &format!("metrics_address={bridge_address}"));
    let mut bridge = scene.spawn(&config);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let scraped = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: klstore\n    static_configs:\n      - targets: ['{bridge_address}']\n"
    );
    std::fs::write(&file, scraped).unwrap();
    let mut command = Command::new(prometheus);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}")).arg("--log.level=error").kill_on_drop(true);
    let mut running = command.spawn().unwrap();

    let dashboard: Json = serde_json::from_str(include_str!("../../../bridge/deploy/grafana.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut silent: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let started = tokio::time::Instant::now();
    let mut number = 0;
    while !silent.is_empty() {
        assert!(started.elapsed() < DEADLINE, "no data after {DEADLINE:?}: {silent:#?}");
        // Good ones, and one in ten that nobody can read.
        let values: Vec<String> = (number..number + 100).map(|number| format!("record {number}")).collect();
        let key = |number: usize| if number.is_multiple_of(10) { &[0xff][..] } else { b"k" };
        let records = values.iter().enumerate().map(|(at, value)| (0, Some(key(at)), Some(value.as_bytes())));
        scene.broker.produce(&scene.topic, records).unwrap();
        number += 100;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut still = Vec::new();
        for query in silent {
            if !answers(&address, query).await {
                still.push(query);
            }
        }
        silent = still;
    }
    terminate(&bridge);
    assert_eq!(exit_code(bridge.wait()).await, Some(0));
    running.kill().await.unwrap();
}

/// Whether Prometheus has a number for the query.
async fn answers(address: &str, query: &str) -> bool {
    let url = reqwest::Url::parse_with_params(&format!("http://{address}/api/v1/query"), [("query", query)]).unwrap();
    let Ok(answer) = reqwest::get(url).await else { return false };
    let Ok(answer) = answer.bytes().await else { return false };
    let Ok(answer) = serde_json::from_slice::<Json>(&answer) else { return false };
    assert_ne!(answer["status"], "error", "{query}: {answer}");
    let values = answer["data"]["result"].as_array().into_iter().flatten();
    values.filter_map(|series| series["value"][1].as_str()).any(|value| value != "NaN")
}

/// A port that was free a moment ago.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
