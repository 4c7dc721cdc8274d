//! What a list holds and when, from its index alone: no item is read.
//!
//! The newest commit and the head page are enough for a first picture of any list. A leaf of the index stands there as
//! one sum; a narrower window opens the leaves that have to do with it.

use super::load::{Fetch, load};
use super::metadata::require_keyspace;
use super::{Plan, Port, pages};
use crate::error::{CorruptObject, FormatError};
use crate::item::ListStats;
use crate::limits::MAX_RESTARTS;
use crate::names::ListName;
use crate::wire::commit::CommitHeader;
use crate::wire::head::LeafReference;
use crate::wire::identity::ObjectId;
use crate::wire::run::Run;

/// Leaves of the index that a window opens at once; one that has to do with more of them shows each as one span.
pub const MAX_OPENED_LEAVES: usize = 8;
/// With the same index, a page that was missing so often is lost, not replaced.
const MAX_LOOKS_FOR_LOST: u32 = 3;

/// The part of the time to look at, both ends included; all of it by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimelineWindow {
    /// Milliseconds since 1970. Spans that end before are left out.
    pub from: Option<i64>,
    /// Milliseconds since 1970. Spans that begin after are left out.
    pub to: Option<i64>,
}

/// What a list holds and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Offset of the first live item.
    pub first_offset: u64,
    /// Offset of the next item to be appended.
    pub next_offset: u64,
    /// Bytes of the live items' values.
    pub value_bytes: u64,
    /// The spans with items in the window, in order of offsets; without gaps where the window is all of the time. One
    /// that a trim has cut counts whole: what of it is live is known from its items alone.
    pub spans: Vec<TimelineSpan>,
    /// What it took; filled in by the reader.
    pub stats: ListStats,
}

/// Consecutive items, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineSpan {
    /// Offset of the first one.
    pub first_offset: u64,
    /// How many there are.
    pub item_count: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Lowest timestamp. Items need not be sorted by time: spans may overlap.
    pub min_timestamp: i64,
    /// Highest timestamp.
    pub max_timestamp: i64,
    /// Of how many segments and commits they are: more than one where a narrower window shows them apart.
    pub parts: u32,
}

impl TimelineSpan {
    fn of(run: &Run, parts: u32) -> Self {
        let Run { first, count, value_bytes, min_timestamp, max_timestamp, .. } = *run;
        Self { first_offset: first, item_count: count, value_bytes, min_timestamp, max_timestamp, parts }
    }
}

impl TimelineWindow {
    fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    fn shows(&self, run: &Run) -> bool {
        run.count > 0
            && self.from.is_none_or(|from| run.max_timestamp >= from)
            && self.to.is_none_or(|to| run.min_timestamp <= to)
    }
}

/// Reads the time line of a list: LIST, newest commit and head page, and with a window up to [`MAX_OPENED_LEAVES`] more
/// pages at once. `None` where nothing was ever appended.
///
/// # Errors
/// [`FormatError::KeyspaceNotFound`], those of a Load, and [`FormatError::Corrupt`] where a page of the index is damaged
/// or lost.
pub fn read_timeline(list: ListName, window: TimelineWindow) -> Plan<Result<Option<Timeline>, FormatError>> {
    Plan::new(|port| async move {
        let mut lost: Option<(ObjectId, u32)> = None;
        for _ in 0..MAX_RESTARTS {
            let Some(snapshot) = load(&port, &list, Fetch::Header).await? else {
                return require_keyspace(&port, &list).await.map(|()| None);
            };
            match draw(&port, &list, &snapshot.header, &window).await? {
                Drawn::Timeline(timeline) => return Ok(Some(timeline)),
                // A compaction replaced the index meanwhile: start over from Load (PROTOCOL rule 12).
                Drawn::Gone(id) => {
                    let looks = lost.filter(|(page, _)| *page == id).map_or(1, |(_, looks)| looks + 1);
                    if looks >= MAX_LOOKS_FOR_LOST {
                        return Err(pages::lost(&list, id));
                    }
                    lost = Some((id, looks));
                }
            }
        }
        Err(FormatError::Contended { list: list.to_string(), attempts: MAX_RESTARTS })
    })
}

enum Drawn {
    Timeline(Timeline),
    /// A page of the index is gone.
    Gone(ObjectId),
}

async fn draw(
    port: &Port,
    list: &ListName,
    newest: &CommitHeader,
    window: &TimelineWindow,
) -> Result<Drawn, FormatError> {
    let mut spans = Vec::new();
    let shows = |run: &Run| run.end() > newest.start && window.shows(run);
    if let Some(index) = newest.index.filter(|_| newest.start < index_end(newest)) {
        let Some(head) = pages::head(port, list, index).await? else { return Ok(Drawn::Gone(index.id)) };
        if head.next_offset().is_some_and(|end| end != index_end(newest)) {
            return Err(damaged(list, index.id, "it does not end where the newest commit's table begins"));
        }
        let leaves: Vec<LeafReference> = head.leaves.iter().filter(|leaf| shows(&leaf.run)).copied().collect();
        if window.is_all() || leaves.len() > MAX_OPENED_LEAVES {
            spans.extend(leaves.iter().map(|leaf| TimelineSpan::of(&leaf.run, leaf.entries)));
        } else {
            let opened = pages::leaves(port, list, &leaves).await?;
            for (leaf, opened) in leaves.iter().zip(opened) {
                let Some(page) = opened else { return Ok(Drawn::Gone(leaf.id)) };
                let ends = page.entries.first().zip(page.entries.last());
                if ends.map(|(first, last)| (first.run.first, last.run.end())) != Some((leaf.run.first, leaf.run.end()))
                {
                    return Err(damaged(list, leaf.id, "it does not hold the items that the head page says"));
                }
                let runs = page.entries.iter().map(|entry| entry.run).filter(shows);
                spans.extend(runs.map(|run| TimelineSpan::of(&run, 1)));
            }
        }
        spans.extend(head.open.iter().map(|entry| entry.run).filter(shows).map(|run| TimelineSpan::of(&run, 1)));
    }
    let commits = newest.table.iter().map(|entry| entry.run).chain([newest.run]);
    spans.extend(commits.filter(shows).map(|run| TimelineSpan::of(&run, 1)));
    Ok(Drawn::Timeline(Timeline {
        first_offset: newest.start,
        next_offset: newest.next_offset(),
        value_bytes: newest.totals.value_bytes,
        spans,
        stats: ListStats::default(),
    }))
}

fn damaged(list: &ListName, page: ObjectId, reason: &'static str) -> FormatError {
    CorruptObject { object: list.index_page(page), reason }.into()
}

/// The first offset that the index does not cover.
fn index_end(newest: &CommitHeader) -> u64 {
    newest.table.first().map_or(newest.run.first, |entry| entry.run.first)
}
