//! The topics of the configuration as they are now.

use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::brokers::{Listener, REQUEST_TIMEOUT, ask};
use crate::error::BridgeError;
use crate::settings::{BridgeConfig, Topics};

/// The topics that there are, with their numbers of partitions. `also` are topics that are known to be consumed: the
/// client's idea of a pattern decides that, not ours.
pub(crate) fn topics<C: Listener>(
    consumer: &BaseConsumer<C>,
    config: &BridgeConfig,
    also: &BTreeSet<&str>,
) -> Result<Vec<(String, usize)>, BridgeError> {
    let mut topics = Vec::new();
    match &config.kafka.topics {
        Topics::Names(names) => {
            for name in names {
                let doing = format!("reading the partitions of topic {name}");
                let request = || consumer.fetch_metadata(Some(name), REQUEST_TIMEOUT);
                let metadata = ask(consumer.context().as_ref(), &doing, request)?;
                let partitions = metadata.topics().iter().find(|topic| topic.name() == name);
                topics.push((name.clone(), partitions.map_or(0, |topic| topic.partitions().len())));
            }
        }
        Topics::Pattern(pattern) => {
            let request = || consumer.fetch_metadata(None, REQUEST_TIMEOUT);
            let metadata = ask(consumer.context().as_ref(), "reading the topics", request)?;
            let known = metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len()));
            let ours = known.filter(|(name, _)| pattern.covers(name) || also.contains(name));
            topics.extend(ours.map(|(name, partitions)| (name.to_owned(), partitions)));
        }
    }
    topics.retain(|(_, partitions)| *partitions > 0);
    Ok(topics)
}

/// Which of the topics that the configuration names are not among `found`; of a pattern, the pattern where none is.
pub(crate) fn missing<'c>(config: &'c BridgeConfig, found: &[(String, usize)]) -> Option<&'c str> {
    match &config.kafka.topics {
        Topics::Names(names) => {
            names.iter().find(|name| !found.iter().any(|(topic, _)| topic == *name)).map(String::as_str)
        }
        Topics::Pattern(pattern) => found.is_empty().then(|| pattern.as_str()),
    }
}

/// The same as [`topics`], each of which must be there.
pub(crate) fn existing_topics<C: Listener>(
    consumer: &BaseConsumer<C>,
    config: &BridgeConfig,
) -> Result<Vec<(String, usize)>, BridgeError> {
    let topics = topics(consumer, config, &BTreeSet::new())?;
    match missing(config, &topics) {
        Some(topic) => Err(BridgeError::TopicNotFound { topic: topic.to_owned() }),
        None => Ok(topics),
    }
}
