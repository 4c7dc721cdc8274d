//! Canaries: secrets that would be known again wherever they came out. They are in what the command is given, and must be in
//! nothing that it says, as loudly as it can be made to speak, whether it works or fails.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, Served, Store, command};
use klstore_s3_server::{Credential, Fault, Server};

/// A secret key, a session token, a proxy's password: none of them is any other text.
const CANARY_SECRET: &str = "cAnArY+5ecret/key";
const CANARY_TOKEN: &str = "cAnArYt0ken";
const CANARY_PASSWORD: &str = "cAnArYpa55word";

/// What all of them have in common, and what only a signed request has.
const TELLTALES: [&str; 5] = ["cAnArY", "Signature=", "X-Amz-Signature", "AWS4-HMAC-SHA256 Credential", "Y0FuQXJZ"];

/// All that the command says, with `-vvv`, without and with `--json`.
#[track_caller]
fn tells_nothing(mut run: impl FnMut() -> Command) -> String {
    let mut all = String::new();
    for form in [None, Some("--json")] {
        let mut command = run();
        command.arg("-vvv").args(form).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for telltale in TELLTALES {
            assert!(!said.contains(telltale), "`{telltale}` is in what {command:?} says:\n{said}");
        }
        all += &said;
    }
    all
}

fn with_canaries(mut command: Command) -> Command {
    command.env("AWS_SECRET_ACCESS_KEY", CANARY_SECRET).env("AWS_SESSION_TOKEN", CANARY_TOKEN);
    command
}

#[test]
fn no_secret_is_in_what_works() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let credential = Credential::new(ACCESS_KEY, CANARY_SECRET).session_token(CANARY_TOKEN);
    let server = runtime.block_on(Server::builder().bucket(BUCKET).credential(credential).start()).unwrap();
    let run = |arguments: &[&str]| tells_nothing(|| with_canaries(command(&server.endpoint(), arguments)));
    run(&["keyspace", "create", "ks"]);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    fs::write(&lines, "a\nb\n".repeat(700)).unwrap();
    run(&["append", "ks", "k", "--input", lines.to_str().unwrap()]);
    // It did work, and spoke of it: silence would tell nothing either.
    assert!(run(&["read", "ks", "k", "--limit", "3"]).contains("read a page"));
    for arguments in [
        &["page", "ks", "k", "--max-size", "2"][..],
        &["stat", "ks", "k"],
        &["key", "ls", "ks"],
        &["keyspace", "ls"],
        &["compact", "ks", "k"],
        &["gc", "ks"],
        &["verify", "ks"],
        &["trim", "ks", "k", "--before-offset", "5"],
        &["probe", "--rounds", "1"],
    ] {
        run(arguments);
    }
}

#[test]
fn no_secret_is_in_what_fails() {
    let store = Store::with_keyspace();
    store.klstore_reading(&["append", "ks", "k"], "a\n").succeeds();
    let both = [&["page", "ks", "k"][..], &["append", "ks", "k"], &["probe", "--rounds", "1"]];
    for arguments in both {
        // The keys are wrong; and no request gets an answer.
        let said = tells_nothing(|| with_canaries(store.command(arguments)));
        assert!(said.contains("credentials") || said.contains("secret_key") || said.contains("not usable"), "{said}");
        tells_nothing(|| with_canaries(command("http://127.0.0.1:1", &[arguments, &["--deadline", "1"]].concat())));
        // A proxy that needs a password, and is not there.
        tells_nothing(|| {
            let mut command = with_canaries(command("https://s3.invalid", &[arguments, &["--deadline", "1"]].concat()));
            command.env("HTTPS_PROXY", format!("http://user:{CANARY_PASSWORD}@127.0.0.1:1"));
            command
        });
        // An endpoint with a password in it is refused, and not repeated.
        tells_nothing(|| with_canaries(command(&format!("http://user:{CANARY_PASSWORD}@127.0.0.1:1"), arguments)));
    }
    // Answers that break off, and refusals.
    for fault in [Fault::Drop, Fault::Truncate(5), Fault::SLOW_DOWN] {
        store.server.faults().set(move |_| fault.clone());
        tells_nothing(|| store.command(&["page", "ks", "k", "--deadline", "1"]));
        tells_nothing(|| store.command(&["append", "ks", "k", "--deadline", "1"]));
        store.server.faults().clear();
    }
}

#[test]
fn no_secret_of_a_file_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), CANARY_SECRET).unwrap();
    let file = folder.path().join("klstore.ini");
    let written = |secret: &str, more: &str| {
        let text = format!(
            "[s3]\nbucket_name={BUCKET}\nendpoint=http://127.0.0.1:1\naccess_key={ACCESS_KEY}\nsecret_key={secret}\n\
             session_token={CANARY_TOKEN}\n[kafka]\nbootstrap.servers=127.0.0.1:1\nsasl.password={CANARY_PASSWORD}\n{more}"
        );
        fs::write(&file, text).unwrap();
    };
    let path = file.to_str().unwrap();
    for secret in [CANARY_SECRET, "file:secret", "${KLSTORE_TEST_CANARY}"] {
        for more in ["", "unknown_name=1\n", "[s3\n"] {
            written(secret, more);
            for arguments in [&["config", "check", path][..], &["--config", path, "page", "ks", "k", "--deadline", "1"]]
            {
                tells_nothing(|| {
                    let mut command = command("", arguments);
                    command.env("KLSTORE_TEST_CANARY", CANARY_SECRET);
                    command
                });
            }
        }
    }
}

#[test]
fn the_server_keeps_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().to_str().unwrap();
    let arguments = ["s3", "--json", "-vvv", "--dir", objects, "--addr", "127.0.0.1:0", "--bucket", BUCKET];
    let mut served = Served::spawn(with_canaries(command("", &arguments)), objects);
    let right = |arguments: &[&str]| with_canaries(command(&served.endpoint, arguments)).output().unwrap();
    assert!(right(&["keyspace", "create", "ks"]).status.success());
    // And somebody who has other keys.
    served.klstore(&["keyspace", "create", "ks"]).fails(5, &[]);
    served.child.kill().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(served.child.stderr.as_mut().unwrap(), &mut said).unwrap();
    for telltale in TELLTALES {
        assert!(!said.contains(telltale), "`{telltale}` is in: {said}");
    }
    assert!(!said.contains(SECRET_KEY));
}
