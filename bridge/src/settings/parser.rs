//! Section `[parser]`: what becomes of a record.

use std::str::FromStr;

use klstore_config::{ConfigErrors, ConfigFile, Problem};

use super::kafka::{KafkaSettings, Topics};
use super::section::SectionReader;
use crate::parser::{NameParser, NumberParser, UnknownParser};

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParserSettings {
    /// Its keyspace.
    pub keyspace: NameParser,
    /// Its key.
    pub key: NameParser,
    /// Its nonce.
    pub nonce: NumberParser,
    /// Its timestamp.
    pub timestamp: NumberParser,
    /// Its value.
    pub value: ValueForm,
    /// Whether the operator vouches that records of one key always come from one partition.
    pub key_affinity_asserted: bool,
    /// What to do with a record without a value.
    pub on_tombstone: OnTombstone,
    /// What to do with a record that cannot be parsed or appended.
    pub on_poison: OnPoison,
    /// Where such records go, where they are to go somewhere.
    pub dead_letters: Option<DeadLetters>,
}

/// What is appended of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueForm {
    /// Its value, byte for byte.
    #[default]
    Raw,
    /// JSON with key, headers, coordinates, timestamp and value.
    Envelope,
}

/// What to do with a record that has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTombstone {
    /// Append an item without bytes.
    #[default]
    AppendEmpty,
    /// Go on without it.
    Skip,
    /// Stop.
    Fail,
}

/// What to do with a record that cannot be parsed or appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnPoison {
    /// Stop.
    #[default]
    Fail,
    /// Put it into the dead-letter queue.
    DeadLetter,
    /// Go on without it.
    Skip,
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetters {
    /// To this Kafka topic.
    Topic(String),
    /// To lists of this keyspace, one for each partition.
    Keyspace(String),
}

impl ParserSettings {
    /// The list that all records of a partition go to, where the settings alone tell.
    pub(crate) fn list_of(&self, topic: &str, partition: i32) -> Option<(String, String)> {
        Some((self.keyspace.of_partition(topic, partition)?, self.key.of_partition(topic, partition)?))
    }

    pub(super) fn read(
        file: &ConfigFile,
        variable: &dyn Fn(&str) -> Option<String>,
        kafka: &KafkaSettings,
    ) -> Result<Self, ConfigErrors> {
        let mut section = SectionReader::new(file, "parser", variable)?;
        let nothing = || NameParser::Static(String::new());
        let settings = Self {
            keyspace: parser(&mut section, "keyspace_parser", Some("\"Static(my_keyspace)\""), nothing()),
            key: parser(&mut section, "key_parser", Some("\"RecordKey\""), nothing()),
            nonce: parser(&mut section, "nonce_parser", None, NumberParser::RecordOffset),
            timestamp: parser(&mut section, "timestamp_parser", None, NumberParser::None),
            value: section.choice(
                "value",
                &[("raw", ValueForm::Raw), ("envelope", ValueForm::Envelope)],
                ValueForm::default(),
            ),
            key_affinity_asserted: section.choice("key_affinity", &[("asserted", true), ("checked", false)], false),
            on_tombstone: section.choice(
                "on_tombstone",
                &[("append_empty", OnTombstone::AppendEmpty), ("skip", OnTombstone::Skip), ("fail", OnTombstone::Fail)],
                OnTombstone::default(),
            ),
            on_poison: section.choice(
                "on_poison",
                &[("fail", OnPoison::Fail), ("dlq", OnPoison::DeadLetter), ("skip", OnPoison::Skip)],
                OnPoison::default(),
            ),
            dead_letters: section
                .read("dead_letters", None, "Topic(name) or Keyspace(name)", |text| DeadLetters::read(text).map(Some)),
        };
        if settings.timestamp == NumberParser::SourceOffset {
            section.refuse_all("timestamp_parser=SourceOffset: it is for nonce_parser alone".to_owned());
        }
        settings.check_dead_letters(&mut section, kafka);
        section.finish()?;
        Ok(settings)
    }

    /// Whether any parser looks at headers.
    pub fn reads_headers(&self) -> bool {
        self.value == ValueForm::Envelope
            || self.keyspace.reads_headers()
            || self.key.reads_headers()
            || self.nonce.reads_headers()
            || self.timestamp.reads_headers()
    }

    fn check_dead_letters(&self, section: &mut SectionReader<'_>, kafka: &KafkaSettings) {
        match (&self.dead_letters, self.on_poison) {
            (None, OnPoison::DeadLetter) => {
                section.refuse_all("on_poison=dlq needs dead_letters=Topic(name) or Keyspace(name)".to_owned());
            }
            (Some(DeadLetters::Topic(topic)), _) if reads_topic(&kafka.topics, topic) => section.refuse_all(format!(
                "dead_letters=Topic({topic}): the bridge would consume it. Choose a topic that [kafka] topic does not \
                 cover (a pattern is taken to cover every topic)"
            )),
            (Some(DeadLetters::Keyspace(keyspace)), _) if self.keyspace == NameParser::Static(keyspace.clone()) => {
                section.refuse_all(format!(
                    "dead_letters=Keyspace({keyspace}): the records themselves go there. Choose another keyspace"
                ));
            }
            _ => {}
        }
    }
}

/// Without a regular expression of our own nobody can say what a pattern covers.
fn reads_topic(topics: &Topics, topic: &str) -> bool {
    match topics {
        Topics::Names(names) => names.iter().any(|name| name == topic),
        Topics::Pattern(_) => true,
    }
}

impl DeadLetters {
    fn read(text: &str) -> Option<Self> {
        let name = |kind: &str| text.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned);
        let filled = |name: &String| !name.is_empty();
        name("Topic").filter(filled).map(Self::Topic).or_else(|| name("Keyspace").filter(filled).map(Self::Keyspace))
    }
}

/// A parser by its name; one that must be there has an example.
fn parser<P: FromStr<Err = UnknownParser>>(
    section: &mut SectionReader<'_>,
    name: &'static str,
    example: Option<&str>,
    default: P,
) -> P {
    let Some(entry) = section.take(name) else {
        if let Some(example) = example {
            section.refuse_all(format!("{name} is missing: write for example {name}={example}"));
        }
        return default;
    };
    entry.value.parse().unwrap_or_else(|error: UnknownParser| {
        section.refuse(&entry, Problem::Value { expected: error.expected(), found: Some(entry.value.clone()) });
        default
    })
}
