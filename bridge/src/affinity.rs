//! Whether the records of one list all come from one partition.
//!
//! With `RecordOffset` the nonce of a record is its offset, which rises within one partition only. Where two partitions
//! feed one list, records with the lower offsets would be taken for duplicates: such a configuration is refused.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use thiserror::Error;

use crate::parser::{NameParser, NumberParser, TextOf};
use crate::settings::ParserSettings;

/// Lists that are remembered; beyond it the memory begins anew.
const MAX_LISTS: usize = 1_000_000;

/// Why one list's records come from one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// They need not: nonces do not come from offsets.
    NotNeeded,
    /// They need not: lists keep the next offset of each partition.
    BySource,
    /// Each list has its partition, by its names or because there is only one.
    ByName,
    /// The operator vouches for it.
    Asserted,
}

/// A configuration that would drop records as duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AffinityError {
    /// Several partitions would feed one list.
    #[error(
        "topic {topic} has {partitions} partitions, and with keyspace_parser={keyspace} and key_parser={key} several of \
         them may feed one list. With nonce_parser=RecordOffset a record of one partition would then be taken for a \
         duplicate of another's, and lost. {remedy}"
    )]
    SeveralPartitions {
        /// The topic.
        topic: String,
        /// Its partitions.
        partitions: usize,
        /// How keyspaces are made.
        keyspace: String,
        /// How keys are made.
        key: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Several topics would feed one list.
    #[error(
        "several topics ({topics}) may feed one list, and with nonce_parser=RecordOffset a record of one topic would \
         then be taken for a duplicate of another's, and lost. Use keyspace_parser=RecordTopic (or key_parser), one \
         bridge and group for each topic, nonce_parser=SourceOffset, or a nonce that rises over all topics"
    )]
    SeveralTopics {
        /// Their names.
        topics: String,
    },
}

const PARTITION_REMEDY: &str = "Use nonce_parser=SourceOffset, or key_parser=RecordPartition (or keyspace_parser), or a nonce that rises over all \
    partitions";
const KEY_REMEDY: &str = "Where producers choose the partition by the record's key alone, and the number of \
    partitions never changes, say so with key_affinity=asserted; else use nonce_parser=SourceOffset, \
    key_parser=RecordPartition, or a nonce that rises over all partitions";

/// Checks a configuration against the topics as they are: names with their numbers of partitions. `may_be_many` says
/// that there may be more topics than these.
///
/// # Errors
///
/// Where records would be lost.
pub fn check(
    parser: &ParserSettings,
    topics: &[(String, usize)],
    may_be_many: bool,
) -> Result<Affinity, AffinityError> {
    match parser.nonce {
        NumberParser::RecordOffset => {}
        NumberParser::SourceOffset => return Ok(Affinity::BySource),
        _ => return Ok(Affinity::NotNeeded),
    }
    let is = |name: &NameParser| parser.keyspace == *name || parser.key == *name;
    if (may_be_many || topics.len() > 1) && !is(&NameParser::RecordTopic) {
        let topics: Vec<&str> = topics.iter().map(|(topic, _)| topic.as_str()).collect();
        return Err(AffinityError::SeveralTopics { topics: topics.join(", ") });
    }
    let widest = topics.iter().filter(|(_, partitions)| *partitions > 1).max_by_key(|(_, partitions)| *partitions);
    let Some((topic, partitions)) = widest.filter(|_| !is(&NameParser::RecordPartition)) else {
        return Ok(Affinity::ByName);
    };
    let by_key = is(&NameParser::Text(TextOf::Key));
    if by_key && parser.key_affinity_asserted {
        return Ok(Affinity::Asserted);
    }
    Err(AffinityError::SeveralPartitions {
        topic: topic.clone(),
        partitions: *partitions,
        keyspace: parser.keyspace.to_string(),
        key: parser.key.to_string(),
        remedy: if by_key { KEY_REMEDY } else { PARTITION_REMEDY },
    })
}

/// Remembers which partition feeds which list, where that was only asserted.
#[derive(Debug, Default)]
pub struct Sources {
    /// By the hash of the list: a million names would be large. Two lists of one hash are one in 2^64 pairs.
    partitions: HashMap<u64, i32>,
}

impl Sources {
    /// The other partition that has fed the list before; `None` where all is as asserted.
    pub fn other(&mut self, topic: &str, keyspace: &str, key: &str, partition: i32) -> Option<i32> {
        let known = *self.entry(topic, keyspace, key).or_insert(partition);
        (known != partition).then_some(known)
    }

    /// Notes which partition feeds the list, whatever was known.
    pub fn note(&mut self, topic: &str, keyspace: &str, key: &str, partition: i32) {
        self.entry(topic, keyspace, key).insert_entry(partition);
    }

    fn entry(&mut self, topic: &str, keyspace: &str, key: &str) -> Entry<'_, u64, i32> {
        let mut hasher = DefaultHasher::new();
        (topic, keyspace, key).hash(&mut hasher);
        if self.partitions.len() >= MAX_LISTS {
            self.partitions.clear();
        }
        self.partitions.entry(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{OnPoison, OnTombstone, ValueForm};

    fn parser(keyspace: &str, key: &str, nonce: &str) -> ParserSettings {
        ParserSettings {
            keyspace: keyspace.parse().unwrap(),
            key: key.parse().unwrap(),
            nonce: nonce.parse().unwrap(),
            timestamp: NumberParser::None,
            value: ValueForm::Raw,
            key_affinity_asserted: false,
            on_tombstone: OnTombstone::default(),
            on_poison: OnPoison::default(),
            dead_letters: None,
        }
    }

    fn topics(partitions: &[usize]) -> Vec<(String, usize)> {
        partitions.iter().enumerate().map(|(number, partitions)| (format!("t{number}"), *partitions)).collect()
    }

    #[test]
    fn one_list_has_one_partition() {
        let check = |keyspace, key, partitions: &[usize], many| {
            super::check(&parser(keyspace, key, "RecordOffset"), &topics(partitions), many).is_ok()
        };
        assert!(check("Static(a)", "RecordPartition", &[16], false));
        assert!(check("RecordPartition", "RecordKey", &[16], false));
        assert!(check("Static(a)", "RecordKey", &[1], false));
        assert!(check("Static(a)", "Static(b)", &[1], false));
        assert!(check("RecordTopic", "RecordPartition", &[16, 8], true));
        assert!(check("RecordTopic", "RecordKey", &[1, 1], false));
        assert!(!check("Static(a)", "RecordKey", &[2], false));
        assert!(!check("Static(a)", "Static(b)", &[2], false));
        assert!(!check("RecordHeader(h)", "RecordJson(/k)", &[2], false));
        assert!(!check("Static(a)", "RecordPartition", &[2, 2], false));
        assert!(!check("Static(a)", "RecordPartition", &[2], true));
        assert!(!check("RecordTopic", "RecordKey", &[1, 2], false));
    }

    #[test]
    fn an_operator_can_vouch_for_keys_alone() {
        let asserted = |keyspace, key, partitions: &[usize]| {
            let parser = ParserSettings { key_affinity_asserted: true, ..parser(keyspace, key, "RecordOffset") };
            super::check(&parser, &topics(partitions), false)
        };
        assert_eq!(asserted("Static(a)", "RecordKey", &[16]), Ok(Affinity::Asserted));
        assert_eq!(asserted("RecordTopic", "RecordKey", &[16, 2]), Ok(Affinity::Asserted));
        assert!(matches!(asserted("Static(a)", "RecordKey", &[2, 2]), Err(AffinityError::SeveralTopics { .. })));
        let error = asserted("Static(a)", "RecordJson(/k)", &[2]).unwrap_err().to_string();
        let expected = "topic t0 has 2 partitions, and with keyspace_parser=Static(a) and key_parser=RecordJson(/k) \
            several of them may feed one list. With nonce_parser=RecordOffset a record of one partition would then be \
            taken for a duplicate of another's, and lost. Use nonce_parser=SourceOffset, or \
            key_parser=RecordPartition (or keyspace_parser), or a nonce that rises over all partitions";
        assert_eq!(error, expected);
    }

    #[test]
    fn other_nonces_are_the_operators_own() {
        let parser = parser("Static(a)", "Static(b)", "RecordHeaderUtf8(id)");
        assert_eq!(check(&parser, &topics(&[2, 3]), true), Ok(Affinity::NotNeeded));
        let parser = super::tests::parser("Static(a)", "Static(b)", "SourceOffset");
        assert_eq!(check(&parser, &topics(&[2, 3]), true), Ok(Affinity::BySource));
    }

    #[test]
    fn a_list_that_changes_its_partition_is_seen() {
        let mut sources = Sources::default();
        assert_eq!(sources.other("t", "a", "k", 3), None);
        assert_eq!(sources.other("t", "a", "k", 3), None);
        assert_eq!(sources.other("t", "a", "other", 4), None);
        assert_eq!(sources.other("u", "a", "k", 5), None);
        assert_eq!(sources.other("t", "a", "k", 4), Some(3));
        sources.note("t", "a", "k", 4);
        assert_eq!(sources.other("t", "a", "k", 3), Some(4));
    }
}
