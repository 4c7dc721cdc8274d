//! `klstore config check`, and `--config` of all commands.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{ACCESS_KEY, BUCKET, Ran, SECRET_KEY, Store};
use serde_json::json;
use tempfile::TempDir;

/// The file of the specification.
const SPECIFICATION: &str = r#"[s3]
endpoint="http://localhost:4566"
bucket_name="my-bucket"
region="us-east-1"
path_style=true
use_default_credentials=false
access_key="test"
secret_key="test"
security_token="test"
session_token="test"
profile="test"
compact_size_threshold=1000000
compact_items_threshold=100
compact_objects_threshold=10

[batcher]
writer_thread_count=1,
writer_thread_queue_capacity=4096
batch_check_interval_millis=100
batch_flush_interval_millis=1000
batch_flush_item_count_threshold=100000
batch_flush_size_threshold=1000000
"#;

/// What `config check` says of it, below the line with its name.
const UNDERSTOOD: &str = "
[s3]
  endpoint                   http://localhost:4566  line 2
  bucket_name                my-bucket              line 3
  object_prefix              -                      default
  region                     us-east-1              line 4
  path_style                 true                   line 5
  ca_bundle                  -                      default
  use_default_credentials    false                  line 6
  anonymous                  false                  default
  access_key                 ***                    line 7
  secret_key                 ***                    line 8
  security_token             ***                    line 9
  session_token              ***                    line 10
  profile                    test                   line 11
  default_max_results        1000                   default
  max_cached_keys            100000                 default
  max_future_skew_millis     86400000               default
  retention_max_age_millis   -                      default
  retention_max_items        -                      default
  retention_max_bytes        -                      default
  compact_size_threshold     1000000                line 12
  compact_items_threshold    100                    line 13
  compact_objects_threshold  10                     line 14
  carry_bytes                32768                  default
  carry_budget_bytes         67108864               default
  codec                      zstd                   default
  checksums                  when_required          default
  server_side_encryption     none                   default
  kms_key_id                 -                      default
  storage_class              STANDARD               default

[batcher]
  writer_thread_count               1          line 17
  writer_thread_queue_capacity      4096       line 18
  batch_check_interval_millis       100        line 19
  batch_flush_interval_millis       1000       line 20
  batch_flush_item_count_threshold  100000     line 21
  batch_flush_size_threshold        1000000    line 22
  max_buffered_bytes                268435456  default
  max_puts_in_flight                64         default
";

/// A file that nobody else may read.
fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path
}

/// The command with nothing but these variables.
fn klstore(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = crate::support::command("", arguments);
    for name in ["KLSTORE_ENDPOINT", "KLSTORE_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap().into()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_file_of_the_specification_is_understood() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "klstore.ini", SPECIFICATION);
    let said = klstore(&["config", "check", text(&path)], &[]).succeeds();
    assert_eq!(said.text(), format!("{} is right\n{UNDERSTOOD}", text(&path)));
    assert_eq!(said.err, "");
    // The file may also come from --config.
    assert_eq!(klstore(&["config", "check", "--config", text(&path)], &[]).succeeds().text(), said.text());

    let json = klstore(&["config", "check", text(&path), "--json"], &[]).succeeds().json();
    assert_eq!(json["sections"]["s3"]["region"], json!({ "value": "us-east-1", "line": 4 }));
    assert_eq!(json["sections"]["s3"]["secret_key"], json!({ "value": "***", "line": 8 }));
    assert_eq!(json["sections"]["s3"]["codec"], json!({ "value": "zstd", "line": null }));
    assert_eq!(json["sections"]["batcher"]["writer_thread_count"], json!({ "value": "1", "line": 17 }));
    assert_eq!(json["warnings"], json!([]));
}

#[test]
fn the_sections_of_the_bridge_are_shown_as_they_are() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "k.ini", "[kafka]\ngroup.id=\"g\"\nsasl.password=${PASSWORD}\n");
    let said = klstore(&["config", "check", text(&path)], &[("PASSWORD", "hush")]).succeeds().text();
    assert!(said.ends_with("[kafka]\n  group.id       g    line 2\n  sasl.password  ***  line 3\n"), "{said}");
    klstore(&["config", "check", text(&path)], &[])
        .fails(5, &["k.ini:3: [kafka] sasl.password:", "PASSWORD is not set"]);
}

#[test]
fn all_mistakes_are_named_with_their_lines() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "bad.ini", "[s3]\nbuket_name=b\npath_style=ture\nsecret_key=hush\nsecret_key=hush2\n");
    let duplicate = klstore(&["config", "check", text(&path)], &[]);
    let duplicate = duplicate.fails(5, &["bad.ini:5: [s3] secret_key: it is set on line 4 already"]);
    assert!(!duplicate.err.contains("hush"), "{}", duplicate.err);

    let path = write(&folder, "bad.ini", "[s3]\nbuket_name=b\npath_style=ture\n");
    let both =
        ["bad.ini:2: [s3] buket_name:", "did you mean bucket_name?", "bad.ini:3: [s3] path_style: true or false"];
    klstore(&["config", "check", text(&path)], &[]).fails(5, &both);
    let error = klstore(&["config", "check", text(&path), "--json"], &[]).fails(5, &[]).json_error();
    assert_eq!(error["error"]["exit_code"], 5);
    // Where the command needs the store, it is a wrong setting like any other.
    klstore(&["page", "ks", "k", "--config", text(&path)], &[]).fails(5, &both);

    let path = write(&folder, "bad.ini", "[s3]\nbucket_name=b\nkms_key_id=k\n");
    klstore(&["config", "check", text(&path)], &[]).fails(5, &["bad.ini:3: [s3] kms_key_id: kms_key_id is set, but"]);
    klstore(&["config", "check", "/nonexistent.ini"], &[]).fails(5, &["/nonexistent.ini: the file cannot be read"]);
    klstore(&["config", "check"], &[]).fails(2, &["no file to check", "klstore config check FILE"]);
}

#[test]
fn mistakes_of_all_sections_and_of_grammar_are_named_at_once() {
    let folder = TempDir::new().unwrap();
    let text_of = "[s3]\nbucket_name=b\nregion=\ncarry_bytes=99999999999\nmax_cached_keys=0\n[batcher]\n\
                   max_puts_in_flight=0\nmax_buffered_bytes=0\n[kafka]\ngroup.id=${NONE}\n[s4]\n";
    let path = write(&folder, "bad.ini", text_of);
    let ran = klstore(&["config", "check", text(&path)], &[]);
    let lines: Vec<&str> = ran.err.lines().filter_map(|line| line.split("bad.ini:").nth(1)).collect();
    let beginnings: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
    // Whether the store's settings fit together is not said of a file that has another mistake.
    assert_eq!(beginnings, ["7", "8", "10", "11"], "{}", ran.err);
    assert_eq!(ran.code, Some(5));
    let path = write(&folder, "bad.ini", text_of.trim_end_matches("[s4]\n"));
    let ran = klstore(&["config", "check", text(&path)], &[("NONE", "x")]);
    let told =
        ["bad.ini:3: [s3] region: ", "bad.ini:4: [s3] carry_bytes: ", "bad.ini:5: ", "bad.ini:7: ", "bad.ini:8: "];
    ran.fails(5, &told);
}

#[cfg(unix)]
#[test]
fn a_value_cannot_look_like_another_setting() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "lines.ini", "[s3]\nbucket_name=b\nobject_prefix=a\nregion=${REGION}\n");
    let said = klstore(&["config", "check", text(&path)], &[("REGION", "here\n  bucket_name  forged")]).succeeds();
    assert!(said.text().contains("here\\n  bucket_name  forged"), "{}", said.text());
}

#[test]
fn a_file_with_secrets_that_others_can_read_is_warned_of_on_stderr() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "open.ini", "[s3]\nbucket_name=b\naccess_key=a\nsecret_key=hush\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = klstore(&["config", "check", text(&path)], &[]).succeeds();
    assert!(said.err.contains("open.ini holds secrets (access_key, secret_key)"), "{}", said.err);
    assert!(said.err.contains("chmod 600") && !said.err.contains("hush"), "{}", said.err);
    let json = klstore(&["config", "check", text(&path), "--json"], &[]).succeeds().json();
    assert!(json["warnings"][0].as_str().unwrap().contains("0644"));
}

#[test]
fn every_command_takes_the_store_from_the_file_and_flags_win() {
    let store = Store::with_keyspace();
    let folder = TempDir::new().unwrap();
    write(&folder, "secret", SECRET_KEY);
    let lines = |bucket: &str| {
        let endpoint = store.server.endpoint();
        format!("[s3]\nendpoint={endpoint}\nbucket_name={bucket}\naccess_key=${{KEY}}\nsecret_key=file:secret\n")
    };
    let path = write(&folder, "klstore.ini", &lines(BUCKET));
    let key = [("KEY", ACCESS_KEY)];
    let input = write(&folder, "input", "one\ntwo\n");
    let append = ["append", "ks", "k", "--input", text(&input), "--config", text(&path)];
    klstore(&append, &key).succeeds();
    let by_variable = [("KEY", ACCESS_KEY), ("KLSTORE_CONFIG", text(&path))];
    assert_eq!(klstore(&["read", "ks", "k", "--output", "text"], &by_variable).succeeds().text(), "one\ntwo\n");
    klstore(&["stat", "ks", "k", "--config", text(&path), "--bucket", "nowhere"], &key).fails(3, &["`nowhere`"]);
    // The file's keys, not those of the environment.
    let others = [("KEY", ACCESS_KEY), ("AWS_ACCESS_KEY_ID", "AKNOBODY"), ("AWS_SECRET_ACCESS_KEY", "x")];
    klstore(&["stat", "ks", "k", "--config", text(&path)], &others).succeeds();

    let toml = lines(BUCKET).replace('=', "=\"").replace('\n', "\"\n").replace("[s3]\"", "[s3]");
    let toml = write(&folder, "klstore.toml", &toml);
    assert_eq!(
        klstore(&["read", "ks", "k", "--output", "text", "--config", text(&toml)], &key).succeeds().text(),
        "one\ntwo\n"
    );
}

#[test]
fn a_bundle_of_authorities_that_cannot_be_used_is_a_wrong_setting() {
    let store = [("KLSTORE_ENDPOINT", "https://127.0.0.1:1"), ("KLSTORE_BUCKET", "b"), ("AWS_ACCESS_KEY_ID", "a")];
    let store = [&store[..], &[("AWS_SECRET_ACCESS_KEY", "s")]].concat();
    let said = ["ca_bundle /nonexistent.pem: it cannot be read", "check path and permissions"];
    for arguments in [&["keyspace", "ls"][..], &["keyspace", "create", "ks"]] {
        klstore(&[arguments, &["--ca-bundle", "/nonexistent.pem"]].concat(), &store).fails(5, &said);
        klstore(arguments, &[&store[..], &[("AWS_CA_BUNDLE", "/nonexistent.pem")]].concat()).fails(5, &said);
    }
}

#[test]
fn the_region_of_the_profile_holds_where_nothing_else_says_one() {
    use klstore_s3_server::{Credential, Server, WrongRegion};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY));
    let server = runtime.block_on(server.region("eu-central-1", WrongRegion::Malformed).start()).unwrap();
    let folder = TempDir::new().unwrap();
    let profiles = format!(
        "[default]\nregion = us-west-2\n[profile team]\nregion = eu-central-1\naws_access_key_id = {ACCESS_KEY}\n\
         aws_secret_access_key = {SECRET_KEY}\n"
    );
    let aws = write(&folder, "aws", &profiles);
    let endpoint = server.endpoint();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let store =
            [("KLSTORE_ENDPOINT", endpoint.as_str()), ("KLSTORE_BUCKET", BUCKET), ("AWS_CONFIG_FILE", text(&aws))];
        klstore(arguments, &[&store, variables].concat())
    };
    run(&["keyspace", "create", "ks"], &[("AWS_PROFILE", "team")]).succeeds();
    run(&["keyspace", "ls", "--profile", "team"], &[]).succeeds();
    // What is said wins over the profile.
    let said = run(&["keyspace", "ls"], &[("AWS_PROFILE", "team"), ("AWS_REGION", "us-west-2")]);
    said.fails(5, &["is not in region `us-west-2`", "eu-central-1"]);
    run(&["keyspace", "ls", "--region", "eu-central-1"], &[("AWS_PROFILE", "team"), ("AWS_REGION", "r")]).succeeds();
}
