//! Whether records that a list dropped as duplicates had really come from their partition.

use std::time::Duration;

use klstore_writer::{ListPosition, S3StoreWriter, Source};

/// How long to wait before the store is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What is known of records that were appended together, all of one partition and one list.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    /// The epoch of their nonces; `None` where they have none.
    pub(crate) epoch: Option<u64>,
    /// Their partition, where their list notes it.
    pub(crate) source: Option<Source>,
    /// The offset of the last of them.
    pub(crate) last: u64,
}

/// What a list says of records that it dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// They were appended before; the lowest offset of this epoch that the list still takes.
    Known { next: u64 },
    /// They were not: something else has fed the list, this partition if the list says which.
    OtherSource { partition: Option<i32> },
}

impl Judge {
    /// Asks the list, however long it takes. `all` says that none of the records was appended now.
    pub(crate) async fn ask(&self, writer: &S3StoreWriter, keyspace: &str, key: &str, all: bool) -> Finding {
        loop {
            match writer.position(keyspace, key).await {
                Ok(position) => return self.find(&position, all),
                Err(error) => tracing::warn!(%error, "a list that dropped duplicates could not be asked; tried again"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    fn find(&self, position: &ListPosition, all: bool) -> Finding {
        if let (Some(source), Some(_)) = (&self.source, self.epoch) {
            let other = other_partition(position, source);
            // Where some were appended just now, the list's next offset of the partition is above all of them.
            let explained = if all { position.sources.next_offset(source) > self.last } else { other.is_none() };
            if !explained {
                return Finding::OtherSource { partition: other };
            }
        }
        Finding::Known { next: next_offset(position, self.epoch, self.source.as_ref()) }
    }
}

fn other_partition(position: &ListPosition, own: &Source) -> Option<i32> {
    let mut of_topic = position.sources.iter().map(|(source, _)| source).filter(|source| source.name() == own.name());
    of_topic.find(|source| *source != own).and_then(|source| i32::try_from(source.partition()).ok())
}

/// The lowest offset of the partition that the list still takes; the highest there is where the list is in a later epoch.
pub(crate) fn next_offset(position: &ListPosition, epoch: Option<u64>, source: Option<&Source>) -> u64 {
    match (epoch, source) {
        (Some(epoch), _) => match (position.next_nonce >> 64).cmp(&u128::from(epoch)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => u64::try_from(position.next_nonce & u128::from(u64::MAX)).unwrap_or(u64::MAX),
            std::cmp::Ordering::Greater => u64::MAX,
        },
        (None, Some(source)) => {
            let is_later = |other: &Source| other.partition() == source.partition() && is_later_epoch(other, source);
            let later = position.sources.iter().any(|(other, _)| is_later(other));
            if later { u64::MAX } else { position.sources.next_offset(source) }
        }
        (None, None) => 0,
    }
}

/// Whether it is the same topic in a later epoch: topics have no `#` in their names.
fn is_later_epoch(other: &Source, source: &Source) -> bool {
    fn parts(source: &Source) -> (&str, u64) {
        let (topic, epoch) = source.name().split_once('#').unwrap_or((source.name(), "0"));
        (topic, epoch.parse().unwrap_or(0))
    }
    let ((other_topic, other_epoch), (topic, epoch)) = (parts(other), parts(source));
    other_topic == topic && other_epoch > epoch
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use klstore_writer::{SourceOffset, Sources};

    use super::*;

    fn source(name: &str, partition: u32) -> Source {
        Source::new(name, partition).unwrap()
    }

    fn position(next_nonce: u128, fed: &[(&str, u32, u64)]) -> ListPosition {
        let mut sources = Sources::default();
        for (name, partition, offset) in fed {
            sources.advance(&SourceOffset { source: source(name, *partition), offset: *offset });
        }
        ListPosition { next_offset: 0, next_nonce, sources: Arc::new(sources) }
    }

    #[test]
    fn duplicates_are_explained_by_their_own_partition_alone() {
        let judge = Judge { epoch: Some(0), source: Some(source("t", 1)), last: 9 };
        let other = |partition| Finding::OtherSource { partition };
        let known = |next| Finding::Known { next };
        assert_eq!(judge.find(&position(10, &[("t", 1, 9)]), true), known(10));
        assert_eq!(judge.find(&position(100, &[("t", 0, 99)]), true), other(Some(0)));
        assert_eq!(judge.find(&position(100, &[]), true), other(None));
        // Fed by both, and these were ours.
        assert_eq!(judge.find(&position(100, &[("t", 0, 99), ("t", 1, 9)]), true), known(100));
        // The first was dropped and the last appended just now: whose the earlier ones were nobody can say.
        assert_eq!(judge.find(&position(10, &[("t", 0, 4), ("t", 1, 9)]), false), other(Some(0)));
        assert_eq!(judge.find(&position(10, &[("t", 1, 9)]), false), known(10));
        // An earlier epoch's partitions are of another topic.
        assert_eq!(judge.find(&position(10, &[("t#5", 0, 99), ("t", 1, 9)]), false), known(10));
    }

    #[test]
    fn where_a_list_stands_in_an_epoch() {
        let nonce = |epoch: u128, offset: u128| position(epoch << 64 | offset, &[]);
        assert_eq!(next_offset(&nonce(7, 5), Some(7), None), 5);
        assert_eq!(next_offset(&nonce(6, 5), Some(7), None), 0);
        assert_eq!(next_offset(&nonce(8, 5), Some(7), None), u64::MAX);
        let own = source("t#7", 1);
        let at = |fed: &[(&str, u32, u64)]| next_offset(&position(0, fed), None, Some(&own));
        assert_eq!(at(&[("t", 1, 99), ("t#7", 0, 50), ("t#7", 1, 4)]), 5);
        assert_eq!(at(&[("t#8", 1, 2)]), u64::MAX);
        assert_eq!(at(&[("t#8", 0, 2), ("u#9", 1, 3)]), 0);
    }
}
