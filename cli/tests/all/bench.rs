//! `klstore bench` and `klstore completions`.

use crate::support::{BUCKET, Store, command, signal, spawn};

#[test]
fn a_store_is_measured_and_left_clean() {
    let store = Store::with_keyspace();
    let before = store.server.store().keys(BUCKET, "").unwrap();
    let answer = store.klstore(&["bench", "--seconds", "1", "--items", "3", "--json"]).succeeds().json();
    assert_eq!((&answer["seconds"], &answer["items_per_append"]), (&1.into(), &3.into()));
    let parts = answer["parts"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["append, 1 key", "append, 16 keys", "newest page", "scan"]);
    for part in parts {
        let number = |name: &str| part[name].as_f64().unwrap();
        assert!(number("operations") >= 1.0 && number("items_per_second") > 0.0, "{part}");
        assert!(0.0 < number("p50_ms") && number("p50_ms") <= number("p99_ms"), "{part}");
        assert!((1.0..60.0).contains(&number("seconds")), "{part}");
    }
    assert_eq!(store.server.store().keys(BUCKET, "").unwrap(), before);

    let text = store.klstore(&["bench", "--seconds", "1"]).succeeds().text();
    let heads: Vec<&str> = text.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let expected = [
        "appends of 10 x 100 B, pages of 20 items, a scan by 1,000",
        "",
        "what",
        "append, 1 key",
        "append, 16 keys",
        "newest page",
        "scan",
    ];
    assert_eq!(heads, expected, "{text}");
    store.klstore(&["bench", "--bucket", "none"]).fails(3, &["bucket `none` does not exist"]);
}

#[test]
fn an_interrupted_benchmark_cleans_up() {
    let store = Store::start();
    let child = spawn(store.command(&["bench", "--seconds", "60"]));
    while store.server.counts().put < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(&child, "INT");
    let ran: crate::support::Ran = child.wait_with_output().unwrap().into();
    ran.fails(1, &["stopped before the end of the benchmark"]);
    // A PUT that was under way when it stopped may have come after the deletions.
    assert!(store.server.store().keys(BUCKET, "").unwrap().len() <= 17);
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, part) in [
        ("bash", "complete -F _klstore"),
        ("zsh", "#compdef klstore"),
        ("fish", "complete -c klstore"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName 'klstore'"),
    ] {
        let script = command("", &["completions", shell]).output().unwrap();
        let script = crate::support::Ran::from(script).succeeds().text();
        assert!(script.contains(part), "{shell}: {script}");
        for word in ["probe", "--price-file", "--racers"] {
            assert!(script.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
    }
    let script = command("", &["completions", "bash"]).output().unwrap().stdout;
    // Where there is a bash, it must understand it.
    let mut bash = std::process::Command::new("bash").arg("-n").stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), &script).unwrap();
    assert!(bash.wait().unwrap().success());
    let ran: crate::support::Ran = command("", &["completions", "tcsh"]).output().unwrap().into();
    ran.fails(2, &["tcsh"]);
}

#[test]
fn each_command_explains_itself() {
    for (name, part) in [
        ("probe", "a pass is no proof"),
        ("cost", "--print-prices"),
        ("bench", "It writes, and so costs"),
        ("completions", "fish"),
    ] {
        let help = command("", &["help", name]).output().unwrap();
        let help = crate::support::Ran::from(help).succeeds().text();
        assert!(help.contains("Usage: klstore") && help.contains("Examples:") && help.contains(part), "{name}: {help}");
    }
}

#[test]
fn a_clean_up_that_gets_nowhere_ends() {
    let store = Store::start();
    let objects = store.server.store().clone();
    // With each deletion something appears that the listing has passed already.
    let left = std::sync::atomic::AtomicU64::new(u64::MAX);
    store.server.faults().set(move |request| {
        use klstore_s3_server::Operation::{DeleteObject, DeleteObjects};
        if matches!(request.operation, DeleteObject | DeleteObjects) {
            let keyspace = objects.keys(BUCKET, "").unwrap().remove(0);
            let number = left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            let name = format!("{}/lists/a/log/{number:016x}", keyspace.split('/').next().unwrap());
            let metadata = klstore_s3_server::ObjectMetadata::default();
            let none = klstore_s3_server::Precondition::None;
            objects.put(BUCKET, &name, bytes::Bytes::from_static(b"x"), metadata, &none).unwrap();
        }
        klstore_s3_server::Fault::None
    });
    let ran = store.klstore(&["bench", "--seconds", "1"]);
    ran.fails(1, &["objects of the benchmark are left below `klstore-bench-", "still after it has deleted them"]);
}
