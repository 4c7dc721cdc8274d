use super::*;
use crate::parser::{NameParser, NumberParser};

/// The bridge's sections as the specification has them.
const SPECIFICATION: &str = r#"[s3]
bucket_name="my-bucket"

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

fn read_as(name: &str, text: &str) -> Result<BridgeConfig, String> {
    let file = ConfigFile::parse(name.as_ref(), text).map_err(|errors| errors.to_string())?;
    let variable = |name: &str| (name == "KAFKA_PASSWORD").then(|| "hunter2".to_owned());
    BridgeConfig::read(&file, &variable).map_err(|errors| errors.to_string())
}

fn read(text: &str) -> Result<BridgeConfig, String> {
    read_as("b.ini", text)
}

#[test]
fn the_file_of_the_specification_is_read_as_it_stands() {
    let config = read(SPECIFICATION).unwrap();
    assert_eq!(config.kafka.topics, Topics::Names(vec!["inbound".into()]));
    assert_eq!((config.kafka.group.as_str(), config.kafka.start), ("test_group", StartAt::Earliest));
    assert_eq!(config.kafka.client_setting("bootstrap.servers"), Some("127.0.0.1:9092"));
    assert_eq!(config.kafka.client_setting("isolation.level"), Some("read_committed"));
    let expected = ParserSettings {
        keyspace: NameParser::Static("my_keyspace".into()),
        key: NameParser::RecordPartition,
        nonce: NumberParser::RecordOffset,
        timestamp: NumberParser::None,
        value: ValueForm::Raw,
        key_affinity_asserted: false,
        on_tombstone: OnTombstone::AppendEmpty,
        on_poison: OnPoison::Fail,
        dead_letters: None,
    };
    assert_eq!(config.parser, expected);
    assert_eq!(config.run, RunSettings::default());
}

#[test]
fn toml_says_the_same() {
    let toml = r#"
        s3.bucket_name = "my-bucket"
        [kafka]
        topic = "inbound"
        group.id = "test_group"
        bootstrap.servers = "127.0.0.1:9092"
        auto.offset.reset = "earliest"
        [parser]
        keyspace_parser = "Static(my_keyspace)"
        key_parser = "RecordPartition"
    "#;
    let (toml, ini) = (read_as("b.toml", toml), read(SPECIFICATION));
    let (toml, ini) = (toml.unwrap(), ini.unwrap());
    assert_eq!((toml.kafka, toml.parser), (ini.kafka, ini.parser));
    assert_eq!(toml.warnings, Vec::<String>::new());
}

#[test]
fn committing_is_the_bridges_own_and_it_warns_once() {
    let warnings = read(SPECIFICATION).unwrap().warnings;
    let expected = "[kafka] enable.auto.commit=true (line 10), enable.auto.offset.store=true (line 9): not done. The \
                    bridge commits an offset itself, and only after its records are durable on S3";
    assert_eq!(warnings, [expected]);
    let agreeing = SPECIFICATION.replace("store=true", "store=false").replace("commit=true", "commit=false");
    let config = read(&agreeing).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.kafka.client_setting("enable.auto.commit"), None);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let check = |from: &str, to: &str, expected: &str| {
        assert!(SPECIFICATION.contains(from), "{from}");
        let error = read(&SPECIFICATION.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check(
        "key_parser=",
        "key_parse=",
        "b.ini:16: [parser] key_parse: there is no such setting: did you mean key_parser?",
    );
    check(
        "RecordPartition",
        "RecordPartitoin",
        "b.ini:16: [parser] key_parser: a keyspace or key parser, one of Static(s)",
    );
    check("topic=\"inbound\"", "", "[kafka] topic: it is missing: write for example topic=inbound");
    check(
        "=earliest",
        "=early",
        "b.ini:8: [kafka] auto.offset.reset: earliest, latest or error is expected, not `early`",
    );
    check("auto.offset.reset", "auto.ofset.reset", "No such configuration property: \"auto.ofset.reset\"");
    check("enable.auto.commit=true", "fetch.min.bytes=-1", "librdkafka says: ");
    let bridge = |line: &str| format!("{SPECIFICATION}[bridge]\n{line}\n");
    let error = read(&bridge("max_outage_milis=1")).unwrap_err();
    assert_eq!(error, "b.ini:18: [bridge] max_outage_milis: there is no such setting: did you mean max_outage_millis?");
    let error = read(&bridge("max_outage_millis=0")).unwrap_err();
    assert!(error.ends_with("a number of milliseconds above 0 is expected, not `0`"), "{error}");
}

#[test]
fn the_rest_of_kafka_goes_to_librdkafka_and_secrets_stay_secret() {
    let add = |lines: &str| SPECIFICATION.replace("[parser]", &format!("{lines}\n[parser]"));
    let lines =
        "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.username=bridge\nsasl.password=${KAFKA_PASSWORD}";
    let config = read(&add(lines)).unwrap();
    assert_eq!(config.kafka.client_setting("sasl.password"), Some("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = read(&add("isolation.level=none")).unwrap_err();
    assert!(error.contains("librdkafka says: ") && error.contains("isolation.level"), "{error}");
    assert!(read(&add("group.protocol=consumer")).unwrap_err().contains("classic"));
    assert!(read(&add("group.protocol=classic")).is_ok());
    assert!(read(&add("enable.partition.eof=true")).unwrap_err().contains("the bridge sets it itself"));
}

#[test]
fn topics_starts_and_dead_letters() {
    let with = |from: &str, to: &str| read(&SPECIFICATION.replace(from, to));
    let try_topics =
        |text: &str| with("topic=\"inbound\"", &format!("topic=\"{text}\"")).map(|config| config.kafka.topics);
    let topics = |text: &str| try_topics(text).unwrap();
    assert_eq!(topics("a, b"), Topics::Names(vec!["a".into(), "b".into()]));
    let Topics::Pattern(pattern) = topics("^flights-.*") else { panic!("a pattern") };
    assert_eq!(pattern.as_str(), "^flights-.*");
    assert_eq!(["flights-1", "flights", "my-flights-1"].map(|topic| pattern.covers(topic)), [true, false, false]);
    let Topics::Pattern(all) = topics("^.*") else { panic!("a pattern") };
    assert_eq!(["any", "__consumer_offsets"].map(|topic| all.covers(topic)), [true, false]);
    for (wrong, reason) in
        [("^in[bound", "no regular expression"), ("a,,b", "empty"), (",", "empty"), ("a,b,a", "twice")]
    {
        let error = try_topics(wrong).unwrap_err();
        assert!(error.contains("topic: ") && error.contains(reason), "{error}");
    }
    let start = |line: &str| with("auto.offset.reset=earliest", line).unwrap().kafka.start;
    assert_eq!(start("start_timestamp=2013-01-01T10:00:00Z"), StartAt::Timestamp(1_357_034_400_000));
    assert_eq!(start("start_timestamp=1357034400000"), StartAt::Timestamp(1_357_034_400_000));
    assert_eq!((start(""), start("auto.offset.reset=error")), (StartAt::Latest, StartAt::Refuse));

    let policy = |lines: &str| read(&format!("{SPECIFICATION}{lines}\n")).map(|config| config.parser.dead_letters);
    assert_eq!(policy("on_poison=dlq\ndead_letters=Topic(dlq)"), Ok(Some(DeadLetters::Topic("dlq".into()))));
    assert_eq!(policy("on_poison=dlq\ndead_letters=Keyspace(dead)"), Ok(Some(DeadLetters::Keyspace("dead".into()))));
    assert!(policy("on_poison=dlq").unwrap_err().contains("needs dead_letters"));
    assert!(policy("dead_letters=Topic(inbound)").unwrap_err().contains("would consume it"));
    assert!(policy("dead_letters=Keyspace(my_keyspace)").unwrap_err().contains("Choose another keyspace"));
}
