//! Trim, deletion and retention: raising the first live offset (PROTOCOL rule 6).
//!
//! A trim is a commit like any other, mostly without items. It changes what readers see at once; the space is freed by
//! the next compaction, which leaves out what lies wholly below the start, and by collection.

use super::compact::Stop;
use super::live::Begin;
use super::load::{Fetch, load};
use super::pages;
use super::read::{PageRequest, read};
use super::session::Session;
use super::{Plan, Port};
use crate::error::FormatError;
use crate::item::{ItemFilter, IterationOrder};
use crate::limits::MAX_RESTARTS;
use crate::rules::{self, Rule};
use crate::wire::run::Run;

/// Up to where a list is trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrimTo {
    /// Items below this offset go; beyond the list's end it means the end.
    Offset(u64),
    /// Items before the position of this timestamp go, in milliseconds since 1970: those that a page forwards from there
    /// would not show.
    Timestamp(i64),
}

/// How a trim ended.
#[derive(Debug)]
pub enum TrimOutcome {
    /// The list begins where it was to, by this trim or an earlier one.
    Trimmed(Trimmed),
    /// The table or the header is full: nothing was sent. Compact, accept what it prepared and trim again.
    AwaitsCompaction,
}

/// What a trim did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trimmed {
    /// Offset of the first live item; the next offset where there is none, 0 in a list that does not exist.
    pub start: u64,
    /// Items that this trim took away.
    pub items: u64,
    /// How often another writer's commit came first.
    pub conflicts: u64,
}

/// What is wished for, before S says which offset that is.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Offset(u64),
    /// What the retention allows at this time.
    Retention(i64),
}

impl Session {
    /// Trims the list with a metadata-only commit. Offsets and nonces go on.
    ///
    /// On [`super::Answer::Unknown`] the plan asks for the identical PUT again, like an append.
    ///
    /// # Errors
    /// Those of a Load and, for a timestamp, of reading a page; the session is then abandoned.
    pub fn trim(self, to: TrimTo) -> Plan<Result<(Self, TrimOutcome), FormatError>> {
        Plan::new(|port| async move {
            let offset = match to {
                TrimTo::Offset(offset) => offset,
                TrimTo::Timestamp(timestamp) => position(&port, &self, timestamp).await?,
            };
            self.raise_start(&port, Wish::Offset(offset)).await
        })
    }

    /// Trims the list to its end, wherever that is when the commit takes effect: what is left is a list without items
    /// that goes on where it was.
    ///
    /// # Errors
    /// See [`Self::trim`].
    pub fn delete(self) -> Plan<Result<(Self, TrimOutcome), FormatError>> {
        self.trim(TrimTo::Offset(u64::MAX))
    }

    /// Trims the list to what the session's [`super::Retention`] allows at the time `now`. An append does the same
    /// without a commit of its own.
    ///
    /// # Errors
    /// See [`Self::trim`].
    pub fn retain(self, now: i64) -> Plan<Result<(Self, TrimOutcome), FormatError>> {
        Plan::new(|port| async move { self.raise_start(&port, Wish::Retention(now)).await })
    }

    async fn raise_start(mut self, port: &Port, wish: Wish) -> Result<(Self, TrimOutcome), FormatError> {
        let loads_before = self.loads;
        let (mut conflicts, mut misses, mut missing) = (0, 0, None);
        while misses < MAX_RESTARTS {
            let start = self.newest.as_ref().map_or(0, |newest| newest.start);
            // Rule 6: computed again from the new S at every attempt.
            let (target, begin) = match self.target(port, wish).await {
                Ok(found) => found,
                Err(Stop::Failed(error)) => return Err(error),
                // A page of the index was replaced since; unless the newest commit is still the one that refers to it.
                Err(Stop::GaveUp(page)) => {
                    let now = (page, self.newest.as_ref().map(|newest| newest.commit));
                    if missing.as_ref() == Some(&now) {
                        return Err(pages::lost_page(&now.0));
                    }
                    (misses, missing) = (misses + 1, Some(now));
                    self.reload(port).await?;
                    continue;
                }
            };
            let done = start >= target && rules::kept(Rule::StartNeverFalls);
            let beyond = matches!(wish, Wish::Offset(offset) if offset > target) && rules::kept(Rule::DeleteLoads);
            if done && self.loads == loads_before && beyond {
                // S may be old: another writer may have appended what is to go too.
                self.reload(port).await?;
                continue;
            }
            let mut trimmed = Trimmed { start, items: 0, conflicts };
            if !done {
                let Some(attempt) = self.prepare(Vec::new(), Some(begin), self.sources()) else {
                    return Ok((self, TrimOutcome::AwaitsCompaction));
                };
                if !self.commit(port, attempt).await? {
                    conflicts += 1;
                    continue;
                }
                trimmed = Trimmed { start: begin.start, items: begin.start.saturating_sub(start), conflicts };
            }
            // Only so is it known whether there is space to free; if it fails, the compaction that frees it will say so.
            drop(self.look_at_begin(port).await);
            return Ok((self, TrimOutcome::Trimmed(trimmed)));
        }
        Err(FormatError::Contended { list: self.list.to_string(), attempts: MAX_RESTARTS })
    }

    /// Where the list is to begin: at most at S's next offset; and with which sums.
    async fn target(&mut self, port: &Port, wish: Wish) -> Result<(u64, Begin), Stop> {
        let next = self.next_offset();
        let target = match wish {
            Wish::Offset(offset) if rules::kept(Rule::TrimWithinList) => offset.min(next),
            Wish::Offset(offset) => offset,
            Wish::Retention(now) => self.retained_from(port, now, &Run::empty(next, i64::MIN, 0)).await?,
        };
        Ok((target, self.begin_at(port, target).await?))
    }

    pub(super) async fn reload(&mut self, port: &Port) -> Result<(), FormatError> {
        let snapshot = load(port, &self.list, Fetch::Small).await?;
        self.move_to(snapshot);
        Ok(())
    }

    /// Whether a compaction would free what a trim has taken away: commits with items, or what the index refers to. As
    /// far as the index is in memory, where a trim leaves it.
    pub fn trim_left_space(&self) -> bool {
        let Some(newest) = &self.newest else { return false };
        let below = |run: &Run| run.count > 0 && run.end() <= newest.start;
        let first = self.known_head().and_then(|head| match head.leaves.first() {
            Some(leaf) => {
                let page = self.first_leaf.as_ref().filter(|page| page.id == leaf.id);
                page.and_then(|page| page.entries.first()).map(|entry| entry.run).or(Some(leaf.run))
            }
            None => head.open.first().map(|entry| entry.run),
        });
        newest.table.iter().any(|entry| below(&entry.run)) || first.is_some_and(|run| below(&run))
    }
}

/// The position of a timestamp in the list as a Load finds it: from then on an offset.
async fn position(port: &Port, session: &Session, timestamp: i64) -> Result<u64, FormatError> {
    let filter = ItemFilter { start_timestamp: Some(timestamp), ..ItemFilter::default() };
    let order = IterationOrder::Forwards;
    let request = PageRequest { list: session.list.clone(), order, max_size: 1, filter, continuation: None };
    let (page, newest) = read(port, &request).await?;
    // Without an item from there on it is the list's end, as it was when it was read.
    let end = newest.map_or(0, |newest| newest.next_offset);
    Ok(page.items.first().map_or(end, |item| item.offset))
}

#[cfg(test)]
mod tests;
