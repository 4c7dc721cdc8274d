//! Section `[kafka]`: what the bridge reads itself, and everything else for librdkafka.

use std::fmt;

use klstore_config::{ConfigErrors, ConfigFile, Expanded, Problem};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use regex::Regex;

use super::section::{SectionReader, flag};

/// What the bridge sets where the file does not.
const DEFAULTS: [(&str, &str); 3] = [
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("client.id", "klstore-bridge"),
];

/// Names about committing, and what the bridge does about each instead.
const COMMIT_SETTINGS: [&str; 4] =
    ["enable.auto.commit", "enable.auto.offset.store", "auto.commit.interval.ms", "auto.commit.enable"];

/// What to consume, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// The topics.
    pub topics: Topics,
    /// The consumer group.
    pub group: String,
    /// Where to begin in a partition for which the group has committed nothing.
    pub start: StartAt,
    /// librdkafka's own settings, group and brokers among them. There may be secrets in them.
    pub client: Vec<(String, String)>,
}

/// The topics to consume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// These; at least one.
    Names(Vec<String>),
    /// All that it covers.
    Pattern(TopicPattern),
}

/// A regular expression of topic names that begins with `^`.
#[derive(Debug, Clone)]
pub struct TopicPattern(Regex);

impl TopicPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches a topic's name, and the topic is not one of Kafka's own.
    pub fn covers(&self, topic: &str) -> bool {
        !topic.starts_with("__") && self.0.is_match(topic)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TopicPattern {}

/// Where to begin in a partition for which nothing is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record that there is.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// At the first record of this time (milliseconds since 1970) or later.
    Timestamp(i64),
    /// Nowhere: it is an error.
    Refuse,
}

impl KafkaSettings {
    pub(super) fn read(
        file: &ConfigFile,
        variable: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut section = SectionReader::new(file, "kafka", variable)?;
        let topics = match Topics::read(&section.required("topic", "inbound")) {
            Ok(topics) => topics,
            Err(reason) => {
                section.refuse_all(format!("topic: {reason}"));
                Topics::Names(Vec::new())
            }
        };
        let group = section.required("group.id", "my_group");
        let servers = section.required("bootstrap.servers", "127.0.0.1:9092");
        let start = StartAt::read(&mut section);
        warnings.extend(commit_warning(&mut section));
        let mut client = vec![("group.id".to_owned(), group.clone()), ("bootstrap.servers".to_owned(), servers)];
        for entry in section.take_rest() {
            match refusal(&entry) {
                Some(reason) => section.refuse(&entry, Problem::NotAccepted { reason }),
                None => client.push((entry.name, entry.value)),
            }
        }
        for (name, value) in DEFAULTS {
            if !client.iter().any(|(known, _)| known == name) {
                client.push((name.to_owned(), value.to_owned()));
            }
        }
        section.finish()?;
        Ok(Self { topics, group, start, client })
    }

    /// The value of one of librdkafka's settings.
    pub fn client_setting(&self, name: &str) -> Option<&str> {
        self.client.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Topics {
    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('^') {
            let pattern = Regex::new(text).map_err(|error| format!("it is no regular expression: {error}"))?;
            return Ok(Self::Pattern(TopicPattern(pattern)));
        }
        let mut names = Vec::new();
        for name in text.split(',').map(str::trim) {
            // A missing setting is an error already.
            if name.is_empty() && !text.is_empty() {
                return Err("one of the names is empty".to_owned());
            }
            if names.iter().any(|known| known == name) {
                return Err(format!("{name} is there twice"));
            }
            names.push(name.to_owned());
        }
        Ok(Self::Names(names))
    }

    /// As librdkafka takes them.
    pub fn subscription(&self) -> Vec<&str> {
        match self {
            Self::Names(names) => names.iter().map(String::as_str).collect(),
            Self::Pattern(pattern) => vec![pattern.as_str()],
        }
    }

    /// Whether there may be more than one.
    pub fn may_be_many(&self) -> bool {
        !matches!(self, Self::Names(names) if names.len() == 1)
    }
}

impl StartAt {
    fn read(section: &mut SectionReader<'_>) -> Self {
        const EXPECTED: &str = "earliest, latest or error";
        let reset = section.read("auto.offset.reset", Self::Latest, EXPECTED, |text| match text {
            "smallest" | "earliest" | "beginning" => Some(Self::Earliest),
            "largest" | "latest" | "end" => Some(Self::Latest),
            "error" | "none" => Some(Self::Refuse),
            _ => None,
        });
        const TIME: &str = "a time like 2026-01-31T00:00:00Z, or milliseconds since 1970,";
        section.read("start_timestamp", reset, TIME, |text| timestamp(text).map(Self::Timestamp))
    }
}

/// Milliseconds since 1970.
fn timestamp(text: &str) -> Option<i64> {
    let moment = || text.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_millisecond());
    text.parse().ok().or_else(moment)
}

/// Takes what the file says of committing, all of which the bridge does itself; one warning where it says otherwise.
fn commit_warning(section: &mut SectionReader<'_>) -> Option<String> {
    let mut contrary = Vec::new();
    for name in COMMIT_SETTINGS {
        if let Some(entry) = section.take(name)
            && flag(&entry.value) != Some(false)
        {
            contrary.push(format!("{name}={} (line {})", entry.value, entry.line));
        }
    }
    (!contrary.is_empty()).then(|| {
        format!(
            "[kafka] {}: not done. The bridge commits an offset itself, and only after its records are durable on S3",
            contrary.join(", ")
        )
    })
}

/// Why a setting cannot be given to librdkafka.
fn refusal(entry: &Expanded) -> Option<String> {
    if entry.name == "enable.partition.eof" {
        return Some("the bridge sets it itself: remove the line".to_owned());
    }
    if entry.name == "group.protocol" && !entry.value.eq_ignore_ascii_case("classic") {
        return Some("the bridge knows the classic group protocol alone: remove the line".to_owned());
    }
    match ClientConfig::new().set(&entry.name, &entry.value).create_native_config() {
        Ok(_) => None,
        // Its words repeat the value, which may be a secret.
        Err(_) if entry.secret => Some("librdkafka does not take it: see its CONFIGURATION.md".to_owned()),
        Err(KafkaError::ClientConfig(_, reason, _, _)) => Some(format!("librdkafka says: {reason}")),
        Err(error) => Some(format!("librdkafka says: {error}")),
    }
}

/// Without values: there may be secrets among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.client.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("KafkaSettings")
            .field("topics", &self.topics)
            .field("group", &self.group)
            .field("start", &self.start)
            .field("client", &names)
            .finish()
    }
}
