//! Retention: how much of a list a writer lets stand.

use super::Port;
use super::compact::Stop;
use super::session::Session;
use crate::config::S3StoreConfig;
use crate::wire::run::Run;

/// How much of each list a writer lets stand; the strictest counts. What a limit allows is never trimmed.
///
/// Age and bytes are judged by whole commits and segments, for nobody reads items for this: of the oldest one that has
/// an item that must stay, all items stay. That is one commit (at most 16 MiB) or segment (at most 24 MiB) beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Milliseconds: what comes before the position of "so long before the writer's time" goes. Positions go by the
    /// highest timestamp so far, so an item outlives its time behind one with a later timestamp.
    pub max_age_millis: Option<u64>,
    /// The newest so many items stay, exactly.
    pub max_items: Option<u64>,
    /// The newest items stay whose values have so many bytes together.
    pub max_bytes: Option<u64>,
}

impl Retention {
    /// Whether everything stays.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&S3StoreConfig> for Retention {
    fn from(config: &S3StoreConfig) -> Self {
        Self {
            max_age_millis: config.retention_max_age_millis,
            max_items: config.retention_max_items,
            max_bytes: config.retention_max_bytes,
        }
    }
}

impl Session {
    /// Where the list may begin when `incoming` is appended to it at the time `now`: at most at S's next offset, so that
    /// what is being appended is never trimmed by the same commit.
    pub(super) async fn retained_from(&mut self, port: &Port, now: i64, incoming: &Run) -> Result<u64, Stop> {
        let Retention { max_age_millis, max_items, max_bytes } = self.options.retention;
        let next = self.next_offset();
        let mut start = self.newest.as_ref().map_or(0, |newest| newest.start);
        if let Some(items) = max_items {
            start = start.max(next.saturating_add(incoming.count).saturating_sub(items).min(next));
        }
        if let Some(bytes) = max_bytes {
            let enough = |_: &Run, after: u64| after >= bytes;
            start = start.max(self.end_of_what_may_go(port, incoming.value_bytes, enough).await?);
        }
        if let Some(age) = max_age_millis {
            let oldest = now.saturating_sub_unsigned(age);
            let expired = |run: &Run, _: u64| run.running_max_timestamp < oldest;
            start = start.max(self.end_of_what_may_go(port, 0, expired).await?);
        }
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::Insertion;
    use crate::plan::read::test_list::{create_keyspace, list_name};
    use crate::plan::session::SessionOptions;
    use crate::plan::test_store::TestStore;
    use crate::wire::identity::SessionId;

    /// Where a list begins after appends of these timestamps, of five bytes each, the last one at the time 1,000.
    fn check(retention: Retention, appends: &[&[i64]], expected: u64) {
        let mut store = TestStore::default();
        create_keyspace(&mut store);
        let options = Arc::new(SessionOptions { retention, ..SessionOptions::default() });
        let mut session = store.run(Session::open(list_name(), SessionId(1), options)).unwrap();
        for timestamps in appends {
            let insertion = |timestamp: &i64| Insertion::new("value").with_timestamp(*timestamp);
            let append = session.append(timestamps.iter().map(insertion).collect(), 1_000);
            session = store.run(append).unwrap().0;
        }
        assert_eq!(session.newest().map(|newest| newest.start), Some(expected), "{retention:?} of {appends:?}");
    }

    #[test]
    fn the_newest_items_stay_exactly_and_those_of_the_append_always() {
        let max_items = |items| Retention { max_items: Some(items), ..Retention::default() };
        check(max_items(3), &[&[1, 2], &[3]], 0);
        check(max_items(3), &[&[1, 2], &[3, 4]], 1);
        check(max_items(3), &[&[1, 2], &[3, 4], &[5, 6]], 3);
        check(max_items(1), &[&[1], &[2, 3, 4]], 1);
        check(Retention::default(), &[&[1, 2], &[3, 4], &[5, 6]], 0);
    }

    #[test]
    fn commits_stay_until_those_after_them_have_the_bytes() {
        let max_bytes = |bytes| Retention { max_bytes: Some(bytes), ..Retention::default() };
        check(max_bytes(11), &[&[1], &[2], &[3]], 0);
        check(max_bytes(10), &[&[1], &[2], &[3]], 1);
        check(max_bytes(5), &[&[1], &[2], &[3]], 2);
        check(max_bytes(5), &[&[1], &[2, 3, 4]], 1);
    }

    #[test]
    fn commits_go_once_all_up_to_them_are_older() {
        let max_age = |age| Retention { max_age_millis: Some(age), ..Retention::default() };
        check(max_age(100), &[&[899], &[900], &[901], &[1_000]], 1);
        check(max_age(99), &[&[899], &[900], &[901], &[1_000]], 2);
        // An item outlives its time behind one with a later timestamp.
        check(max_age(100), &[&[950], &[10], &[1_000]], 0);
        check(max_age(100), &[&[10, 950], &[1_000]], 0);
    }

    #[test]
    fn the_strictest_limit_counts() {
        let both = Retention { max_age_millis: Some(100), max_items: Some(2), max_bytes: Some(15) };
        check(both, &[&[890], &[950], &[960], &[970]], 2);
        check(Retention { max_items: Some(9), ..both }, &[&[890], &[950], &[960], &[970]], 1);
    }

    #[test]
    fn it_is_as_the_settings_say() {
        let config = S3StoreConfig {
            retention_max_age_millis: Some(1),
            retention_max_items: Some(2),
            retention_max_bytes: Some(3),
            ..S3StoreConfig::default()
        };
        let limited = Retention { max_age_millis: Some(1), max_items: Some(2), max_bytes: Some(3) };
        assert_eq!(Retention::from(&config), limited);
        assert!(!limited.is_unlimited());
        assert!(Retention::from(&S3StoreConfig::default()).is_unlimited());
    }
}
