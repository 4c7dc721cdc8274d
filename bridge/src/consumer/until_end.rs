//! `--until-end`: whether all that was there at the start is done, by whichever instance.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use crate::error::BridgeError;
use crate::settings::{BridgeConfig, Topics};
use crate::topics::topics;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// By topic and partition.
type Ends = HashMap<(String, i32), i64>;

/// The ends of all partitions at the start, until the group has committed them.
#[derive(Default)]
pub(super) struct UntilEnd {
    /// `None` until they are known.
    left: Option<Ends>,
    next_look: Duration,
}

impl UntilEnd {
    /// Whether the group has committed all ends, but for those that are ours and settled. Never by time: a partition that
    /// nobody has for now keeps its end open.
    pub(super) fn is_reached(
        &mut self,
        consumer: &BaseConsumer<Context>,
        config: &BridgeConfig,
    ) -> Result<bool, BridgeError> {
        let now = consumer.context().state().now();
        if now < self.next_look || !consumer.context().state().was_assigned {
            return Ok(false);
        }
        self.next_look = now + LOOK_INTERVAL;
        if self.left.is_none() {
            self.left = ends(consumer, config)?;
        }
        let Some(left) = &mut self.left else { return Ok(false) };
        let mut list = TopicPartitionList::new();
        {
            let mut state = consumer.context().state();
            let open = left.iter().filter(|((topic, number), end)| {
                state.partition(topic, *number).is_none_or(|partition| partition.frontier.settled() < **end)
            });
            let open: Vec<&(String, i32)> = open.map(|(name, _)| name).collect();
            for (topic, number) in &open {
                list.add_partition(topic, *number);
            }
            if open.iter().any(|(topic, number)| state.partition(topic, *number).is_some()) {
                return Ok(false);
            }
        }
        if list.count() == 0 {
            return Ok(true);
        }
        match consumer.committed_offsets(list, REQUEST_TIMEOUT) {
            Ok(committed) => {
                for entry in committed.elements() {
                    let name = (entry.topic().to_owned(), entry.partition());
                    // An end stays reached, whoever has the partition next.
                    if let Offset::Offset(offset) = entry.offset()
                        && left.get(&name).is_some_and(|end| offset >= *end)
                    {
                        left.remove(&name);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the group's offsets are not known; asked again"),
        }
        // What was ours and settled a moment ago still is: only a poll can change that.
        let mut state = consumer.context().state();
        Ok(left.iter().all(|((topic, number), end)| {
            state.partition(topic, *number).is_some_and(|partition| partition.frontier.settled() >= *end)
        }))
    }
}

/// Behind the last record of each partition that has any; `None` where the topics are not known yet.
fn ends(consumer: &BaseConsumer<Context>, config: &BridgeConfig) -> Result<Option<Ends>, BridgeError> {
    let mut topics = topics(consumer, config, &BTreeSet::new())?;
    if matches!(config.kafka.topics, Topics::Pattern(_)) {
        let Some(subscribed) = subscribed(consumer, &config.kafka.group)? else { return Ok(None) };
        topics.retain(|(topic, _)| subscribed.contains(topic));
    }
    let mut ends = HashMap::new();
    for (topic, count) in topics {
        for number in 0..i32::try_from(count).unwrap_or(i32::MAX) {
            let doing = format!("reading the ends of {topic}/{number}");
            let watermarks = consumer.fetch_watermarks(&topic, number, REQUEST_TIMEOUT);
            let (low, high) = watermarks.map_err(BridgeError::kafka(doing))?;
            if high > low {
                ends.insert((topic.clone(), number), high);
            }
        }
    }
    Ok(Some(ends))
}

/// The topics that the group's members have found by their patterns; `None` while the group is changing.
fn subscribed(consumer: &BaseConsumer<Context>, group: &str) -> Result<Option<BTreeSet<String>>, BridgeError> {
    let groups = consumer.fetch_group_list(Some(group), REQUEST_TIMEOUT);
    let groups = groups.map_err(BridgeError::kafka("reading the group's subscriptions"))?;
    let Some(group) = groups.groups().iter().find(|known| known.name() == group && known.state() == "Stable") else {
        return Ok(None);
    };
    let mut topics = BTreeSet::new();
    for member in group.members() {
        let Some(of_member) = member.metadata().and_then(subscription) else { return Ok(None) };
        topics.extend(of_member);
    }
    Ok(Some(topics))
}

/// The topics of a subscription as consumers write it: a version, then a list of texts, then what is not asked here.
fn subscription(metadata: &[u8]) -> Option<Vec<String>> {
    let (_version, rest) = metadata.split_at_checked(2)?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_be_bytes(*count) as usize;
    // Each has two bytes of length at least.
    let mut topics = Vec::with_capacity(count.min(rest.len() / 2));
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (topic, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        topics.push(String::from_utf8(topic.to_vec()).ok()?);
        rest = after;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_as_consumers_write_it() {
        let written = b"\0\x03\0\0\0\x02\0\x01a\0\x03b-c\0\0\0\0";
        assert_eq!(subscription(written), Some(vec!["a".to_owned(), "b-c".to_owned()]));
        for length in 0..13 {
            assert_eq!(subscription(&written[..length]), None, "{length}");
        }
        assert_eq!(subscription(b"\0\0\xff\xff\xff\xff\0"), None);
    }
}
