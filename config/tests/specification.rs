//! The configuration file of the specification, byte for byte, and what it means.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

use std::path::Path;
use std::time::Duration;

use klstore_config::{ConfigFile, Problem, Warning};
use klstore_format::S3StoreConfig;
use klstore_format::config::{ServerSideEncryption, StorageClass};
use klstore_writer::BatchingStoreWriterConfig;

/// As the specification has it: the stray comma behind `writer_thread_count=1` is its own.
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

/// The sections that the bridge adds.
const BRIDGE: &str = r#"
[kafka]
topic="inbound"
group.id="test_group"
bootstrap.servers="127.0.0.1:9092"
auto.offset.reset=earliest
enable.auto.offset.store=true
enable.auto.commit=true

[parser]
nonce_parser="RecordOffset"
timestamp_parser="None"
keyspace_parser="Static(my_keyspace)"
key_parser="RecordPartition"
"#;

fn no_variables(_: &str) -> Option<String> {
    None
}

fn specified_store() -> S3StoreConfig {
    let test = || Some("test".to_owned());
    S3StoreConfig {
        endpoint: Some("http://localhost:4566".into()),
        region: "us-east-1".into(),
        path_style: true,
        use_default_credentials: false,
        access_key: test(),
        secret_key: test(),
        security_token: test(),
        session_token: test(),
        profile: test(),
        compact_size_threshold: 1_000_000,
        compact_items_threshold: 100,
        compact_objects_threshold: 10,
        ..S3StoreConfig::new("my-bucket")
    }
}

fn specified_batcher() -> BatchingStoreWriterConfig {
    BatchingStoreWriterConfig {
        writer_thread_count: 1,
        writer_thread_queue_capacity: Some(4_096),
        batch_check_interval_millis: 100,
        batch_flush_interval_millis: 1_000,
        batch_flush_item_count_threshold: 100_000,
        batch_flush_size_threshold: 1_000_000,
        ..BatchingStoreWriterConfig::default()
    }
}

fn parse(name: &str, text: &str) -> ConfigFile {
    ConfigFile::parse(name.as_ref(), text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(text: &str) -> Vec<String> {
    let file = match ConfigFile::parse("f.ini".as_ref(), text) {
        Ok(file) => file,
        Err(errors) => return errors.errors().iter().map(ToString::to_string).collect(),
    };
    let s3 = file.s3(&no_variables).err();
    let batcher = file.batcher(&no_variables).err();
    let errors = s3.iter().chain(&batcher).flat_map(|errors| errors.errors());
    errors.map(ToString::to_string).collect()
}

#[test]
fn the_file_of_the_specification_is_read_as_it_stands() {
    let with_bridge = format!("{SPECIFICATION}{BRIDGE}");
    for text in [SPECIFICATION, &SPECIFICATION.replace('\n', "\r\n"), &format!("\u{feff}{SPECIFICATION}"), &with_bridge]
    {
        let file = parse("klstore.ini", text);
        let s3 = file.s3(&no_variables).unwrap();
        assert_eq!(s3.config, specified_store());
        s3.config.validate().unwrap();
        assert_eq!((s3.line("endpoint"), s3.line("codec")), (Some(2), None));
        let batcher = file.batcher(&no_variables).unwrap();
        assert_eq!(batcher.config, specified_batcher());
        assert_eq!(batcher.line("writer_thread_count"), Some(17));
    }
    let file = parse("klstore.ini", &with_bridge);
    let kafka = file.expand("kafka", &no_variables).unwrap();
    let kafka: Vec<_> = kafka.iter().map(|entry| (entry.name.as_str(), entry.value.as_str(), entry.line)).collect();
    assert_eq!(kafka[..2], [("topic", "inbound", 25), ("group.id", "test_group", 26)]);
    assert_eq!(kafka.len(), 6);
    assert_eq!(file.expand("parser", &no_variables).unwrap()[2].value, "Static(my_keyspace)");
}

#[test]
fn the_same_in_toml() {
    // TOML has no stray commas and no bare words.
    let text = format!("{SPECIFICATION}{BRIDGE}").replace("=1,", "=1").replace("=earliest", "=\"earliest\"");
    let file = parse("klstore.toml", &text);
    assert_eq!(file.s3(&no_variables).unwrap().config, specified_store());
    assert_eq!(file.batcher(&no_variables).unwrap().config, specified_batcher());
    let kafka = file.expand("kafka", &no_variables).unwrap();
    assert_eq!((kafka[1].name.as_str(), kafka[1].value.as_str(), kafka[1].line), ("group.id", "test_group", 26));
}

#[test]
fn settings_beyond_the_specification() {
    let text = "[s3]\nbucket_name=b\nserver_side_encryption=aws:kms\nkms_key_id=alias/lists\nstorage_class=STANDARD_IA\n\
                checksums=always\ncodec=lz4\ncarry_bytes=0\ncarry_budget_bytes=1\nca_bundle=ca.pem\n\
                max_future_skew_millis=none\nretention_max_items=7\nretention_max_bytes=none\n[batcher]\nwriter_thread_queue_capacity=none\nmax_buffered_bytes=5\n";
    let file = parse("/etc/klstore/klstore.ini", text);
    let s3 = file.s3(&no_variables).unwrap().config;
    assert_eq!((s3.server_side_encryption, s3.kms_key()), (ServerSideEncryption::AwsKms, Some("alias/lists")));
    assert_eq!((s3.storage_class, s3.carry_bytes, s3.carry_budget_bytes), (StorageClass::StandardIa, 0, 1));
    assert_eq!(s3.ca_bundle, Some("/etc/klstore/ca.pem".into()), "relative to the file");
    assert_eq!(s3.max_future_skew_millis, None);
    assert_eq!((s3.retention_max_items, s3.retention_max_bytes, s3.retention_max_age_millis), (Some(7), None, None));
    let batcher = file.batcher(&no_variables).unwrap().config;
    assert_eq!((batcher.writer_thread_queue_capacity, batcher.max_buffered_bytes), (None, 5));
}

#[test]
fn every_mistake_says_where_it_is_and_what_to_do() {
    let cases = [
        ("[s3]\nbuket_name=b", "f.ini:2: [s3] buket_name: there is no such setting: did you mean bucket_name?"),
        ("[s3]\nSecret_Ky=hush", "f.ini:2: [s3] Secret_Ky: there is no such setting: did you mean secret_key?"),
        (
            "[batcher]\nwriter_threads=1",
            "f.ini:2: [batcher] writer_threads: there is no such setting: did you mean writer_thread_count?",
        ),
        ("[s4]\n", "f.ini:1: [s4]: there is no such section: did you mean [s3]?"),
        ("\n[batch]\n", "f.ini:2: [batch]: there is no such section: did you mean [batcher]?"),
        ("[s3]\npath_style=ture", "f.ini:2: [s3] path_style: true or false is expected, not `ture`"),
        ("[s3]\ncarry_bytes=64k", "f.ini:2: [s3] carry_bytes: a whole number is expected, not `64k`"),
        ("[s3]\ncarry_bytes=-1", "f.ini:2: [s3] carry_bytes: a whole number is expected, not `-1`"),
        ("[s3]\ncarry_bytes=", "f.ini:2: [s3] carry_bytes: a whole number is expected, not ``"),
        ("[s3]\ncodec=gzip", "f.ini:2: [s3] codec: none, lz4 or zstd is expected, not `gzip`"),
        (
            "[s3]\nstorage_class=DEEP_ARCHIVE",
            "f.ini:2: [s3] storage_class: STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING or GLACIER_IR \
             (classes that answer at once) is expected, not `DEEP_ARCHIVE`",
        ),
        (
            "[batcher]\n\nwriter_thread_count=5000",
            "f.ini:3: [batcher] writer_thread_count: writer_thread_count is 5000: it must be between 0 and 1024",
        ),
        ("[s3]\nregion=a\nregion=b", "f.ini:3: [s3] region: it is set on line 2 already: remove one of the two"),
        (
            "[s3]\nregion=${KLSTORE_TEST_UNSET}",
            "f.ini:2: [s3] region: the environment variable KLSTORE_TEST_UNSET is not set: set it, or write the value \
             itself",
        ),
        (
            "[s3]\nbucket_name=file:b",
            "f.ini:2: [s3] bucket_name: `file:` is for secrets alone: write the value itself, or ${NAME} for an \
             environment variable",
        ),
    ];
    for (text, message) in cases {
        let said = refused(text);
        println!("    {}", said.join("\n    "));
        assert_eq!(said, [message]);
        assert!(!said.concat().contains("hush"));
    }
    let all = refused("[s3]\nregion=a\nreagion=b\ncarry_bytes=x\n");
    assert_eq!(all.len(), 2, "{all:?}");
}

#[test]
fn settings_that_do_not_go_together_are_found_by_line() {
    let file = parse("f.ini", "[s3]\nbucket_name=b\n\nkms_key_id=k\n");
    let error = file.s3(&no_variables).unwrap().config.validate().unwrap_err();
    let located = file.locate("s3", error);
    assert_eq!((located.errors()[0].line, located.errors()[0].name.as_deref()), (Some(4), Some("kms_key_id")));
    assert!(located.to_string().starts_with("f.ini:4: [s3] kms_key_id: kms_key_id is set, but"), "{located}");
    let without = parse("f.ini", "# none\n[s3]\n");
    let missing = without.s3(&no_variables).unwrap().config.validate().unwrap_err();
    assert!(without.locate("s3", missing).to_string().starts_with("f.ini:2: [s3]: bucket_name is not set"));
}

#[test]
fn secrets_come_from_variables_and_files_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "hush-file\n").unwrap();
    let path = folder.path().join("klstore.ini");
    std::fs::write(&path, "[s3]\naccess_key=${KEY}\nsecret_key=file:secret\n[kafka]\nsasl.password=${KEY}\n").unwrap();
    let variables = |name: &str| (name == "KEY").then(|| "hush-variable".to_owned());
    let file = ConfigFile::load(&path).unwrap();
    let s3 = file.s3(&variables).unwrap();
    assert_eq!(s3.config.access_key.as_deref(), Some("hush-variable"));
    assert_eq!(s3.config.secret_key.as_deref(), Some("hush-file"));
    let kafka = file.expand("kafka", &variables).unwrap();
    assert_eq!((kafka[0].value.as_str(), kafka[0].secret), ("hush-variable", true));
    let effective: Vec<_> = s3.effective().collect();
    assert!(effective.iter().any(|row| row.name == "secret_key" && row.value.as_deref() == Some("***")));
    let literal = parse("f.ini", "[s3]\nsecret_key=hush\n");
    let shown = format!("{file:?} {s3:?} {kafka:?} {effective:?} {literal:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_gets_a_warning_only_for_literal_secrets() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let warnings = |text: &str, mode: u32| {
        let path = folder.path().join("klstore.ini");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        ConfigFile::load(&path).unwrap().warnings().to_vec()
    };
    for mode in [0o640, 0o604, 0o644] {
        let found = warnings("[s3]\nsecret_key=hush\n[kafka]\nsasl.password=hush\n", mode);
        let [Warning::ReadableSecrets { mode: seen, names, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((*seen, names.join(" ")), (mode, "secret_key sasl.password".to_owned()));
        let message = found[0].to_string();
        assert!(message.contains("chmod 600") && message.contains(&format!("{mode:04o}")), "{message}");
        assert!(!message.contains("hush"));
    }
    assert_eq!(warnings("[s3]\nsecret_key=hush\n", 0o600), []);
    assert_eq!(warnings("[s3]\nsecret_key=${HUSH}\naccess_key=file:key\nsession_token=\n", 0o644), []);
}

#[test]
fn files_are_bounded_and_must_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |bytes: &[u8]| {
        let path = folder.path().join("klstore.ini");
        std::fs::write(&path, bytes).unwrap();
        let errors = ConfigFile::load(&path).unwrap_err();
        (errors.errors()[0].problem.clone(), errors.errors()[0].line)
    };
    assert_eq!(problem(&vec![b'#'; (1 << 20) + 1]), (Problem::TooLong { limit: 1 << 20 }, None));
    assert_eq!(problem(b"[s3]\nregion=\xff\n"), (Problem::NotUtf8, Some(2)));
    let missing = ConfigFile::load(&folder.path().join("none.ini")).unwrap_err().to_string();
    assert!(missing.contains("none.ini: the file cannot be read"), "{missing}");
}

/// As many mistakes as a file has room for take no longer than reading it: they are bounded, and nothing is looked for
/// from the beginning again for each line.
#[test]
fn a_file_full_of_short_names_is_read_in_no_time() {
    let most = usize::try_from(klstore_config::MAX_FILE_BYTES).unwrap();
    let filled = |heading: &str, line: &dyn Fn(usize) -> String| {
        let mut text = heading.to_owned();
        for number in 0.. {
            let line = line(number);
            if text.len() + line.len() > most {
                return text;
            }
            text += &line;
        }
        text
    };
    #[expect(clippy::disallowed_methods, reason = "the test is about time")]
    let began = std::time::Instant::now();
    for (path, text) in [
        ("f.ini", filled("[s3]\n", &|number| format!("{number:x}=\n"))),
        ("f.ini", filled("", &|number| format!("[{number:x}]\n"))),
        ("f.toml", filled("[s3]\n", &|number| format!("{number:x} = 1\n"))),
        ("f.ini", format!("[s3]\n{}=1\n", "x".repeat(most - 16))),
    ] {
        let read = ConfigFile::parse(Path::new(path), &text);
        let errors = read.and_then(|file| file.s3(&|_| None)).unwrap_err();
        assert!((1..=1_000).contains(&errors.errors().len()));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
