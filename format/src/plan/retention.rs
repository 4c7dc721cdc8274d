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
