//! The commits and segments of a list with their sums: which of them a trim takes away, and what the live ones come to.

use std::sync::Arc;

use super::Port;
use super::compact::Stop;
use super::pages;
use super::session::Session;
use crate::rules::{self, Rule};
use crate::wire::commit::{CommitHeader, Totals};
use crate::wire::head::{HeadPage, LeafReference};
use crate::wire::leaf::LeafPage;
use crate::wire::run::Run;

/// Where the list begins with the next commit, and its sums from there on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub(super) start: u64,
    pub(super) totals: Totals,
}

impl Session {
    /// Rule 6: with the next commit the list begins at S.start or at `wish` (at most S's next offset), whichever is
    /// further.
    pub(super) async fn begin_at(&mut self, port: &Port, wish: u64) -> Result<Begin, Stop> {
        let Some(newest) = self.newest.clone() else { return Ok(Begin { start: 0, totals: Totals::EMPTY }) };
        let start = if rules::kept(Rule::StartNeverFalls) { newest.start.max(wish) } else { wish };
        let totals = if start == newest.start { newest.totals } else { self.totals_from(port, start).await? };
        Ok(Begin { start, totals })
    }

    /// Sums over every commit and segment that has an item at `start` or later. The one that `start` is in the middle
    /// of counts whole: what of it is live is known from its items alone, which nobody reads for this.
    async fn totals_from(&mut self, port: &Port, start: u64) -> Result<Totals, Stop> {
        let mut totals = Totals::EMPTY;
        let Some(newest) = self.newest.clone() else { return Ok(totals) };
        if start < index_end(&newest)
            && let Some(head) = self.head(port).await?
        {
            for leaf in head.leaves.iter().filter(|leaf| leaf.run.end() > start) {
                if leaf.run.first >= start {
                    totals.add(&leaf.run);
                    continue;
                }
                let page = self.leaf(port, leaf).await?;
                page.entries.iter().filter(|entry| entry.run.end() > start).for_each(|entry| totals.add(&entry.run));
            }
            head.open.iter().filter(|entry| entry.run.end() > start).for_each(|entry| totals.add(&entry.run));
        }
        let runs = newest.table.iter().map(|entry| &entry.run).chain([&newest.run]);
        runs.filter(|run| run.end() > start).for_each(|run| totals.add(run));
        Ok(totals)
    }

    /// The end of the newest commit or segment that may go, or S.start where none may. Of a list's parts the older ones
    /// may always go where a newer one may. `may_go` is told a part and the value bytes after it, `incoming_bytes` that
    /// are about to be appended among them.
    pub(super) async fn end_of_what_may_go(
        &mut self,
        port: &Port,
        incoming_bytes: u64,
        may_go: impl Fn(&Run, u64) -> bool,
    ) -> Result<u64, Stop> {
        let Some(newest) = self.newest.clone() else { return Ok(0) };
        let start = newest.start;
        let mut bytes_after = incoming_bytes;
        let runs = newest.table.iter().map(|entry| &entry.run).chain([&newest.run]);
        if let Some(end) = newest_that_may_go(runs.rev(), start, &mut bytes_after, &may_go) {
            return Ok(end);
        }
        if start >= index_end(&newest) {
            return Ok(start);
        }
        let Some(head) = self.head(port).await? else { return Ok(start) };
        let open = head.open.iter().map(|entry| &entry.run).rev();
        if let Some(end) = newest_that_may_go(open, start, &mut bytes_after, &may_go) {
            return Ok(end);
        }
        for (number, leaf) in head.leaves.iter().enumerate().rev() {
            let mut bytes_after_leaf = bytes_after;
            let alone = std::iter::once(&leaf.run);
            if let Some(end) = newest_that_may_go(alone, start, &mut bytes_after, &may_go) {
                return Ok(end);
            }
            // The end may be within this leaf only if all before it may go.
            let older = number.checked_sub(1).and_then(|older| head.leaves.get(older));
            if older.is_none_or(|older| may_go(&older.run, bytes_after)) {
                let page = self.leaf(port, leaf).await?;
                let entries = page.entries.iter().map(|entry| &entry.run).rev();
                if let Some(end) = newest_that_may_go(entries, start, &mut bytes_after_leaf, &may_go) {
                    return Ok(end);
                }
            }
        }
        Ok(start)
    }

    /// Reads the pages of the index that tell what lies before S.start.
    pub(super) async fn look_at_begin(&mut self, port: &Port) -> Result<(), Stop> {
        let start = self.newest.as_ref().map_or(0, |newest| newest.start);
        let Some(head) = self.head(port).await? else { return Ok(()) };
        if let Some(leaf) = head.leaves.first().filter(|leaf| leaf.run.first < start && start < leaf.run.end()) {
            self.leaf(port, leaf).await?;
        }
        Ok(())
    }

    /// The head page that S refers to, if any.
    pub(super) async fn head(&mut self, port: &Port) -> Result<Option<Arc<HeadPage>>, Stop> {
        let Some(index) = self.index() else { return Ok(None) };
        if let Some(page) = self.known_head() {
            return Ok(Some(page.clone()));
        }
        let page = pages::head(port, &self.list, index).await?;
        let page = page.ok_or_else(|| Stop::GaveUp(self.list.index_page(index.id)))?;
        self.head_page = Some(page.clone());
        Ok(Some(page))
    }

    /// The same where it is in memory.
    pub(super) fn known_head(&self) -> Option<&Arc<HeadPage>> {
        let index = self.index()?;
        self.head_page.as_ref().filter(|page| page.id == index.id)
    }

    async fn leaf(&mut self, port: &Port, leaf: &LeafReference) -> Result<Arc<LeafPage>, Stop> {
        if let Some(page) = self.first_leaf.as_ref().filter(|page| page.id == leaf.id) {
            return Ok(page.clone());
        }
        let page = pages::leaf(port, &self.list, leaf).await?;
        let page = Arc::new(page.ok_or_else(|| Stop::GaveUp(self.list.index_page(leaf.id)))?);
        self.first_leaf = Some(page.clone());
        Ok(page)
    }
}

/// The end of the first run that may go, of those that come with the newest first; `start` where those from there on
/// have all been asked about; `None` where more remain.
fn newest_that_may_go<'a>(
    runs: impl Iterator<Item = &'a Run>,
    start: u64,
    bytes_after: &mut u64,
    may_go: impl Fn(&Run, u64) -> bool,
) -> Option<u64> {
    for run in runs {
        if run.end() <= start {
            return Some(start);
        }
        if may_go(run, *bytes_after) {
            return Some(run.end());
        }
        *bytes_after = bytes_after.saturating_add(run.value_bytes);
    }
    None
}

/// The first offset that the index does not cover.
fn index_end(newest: &CommitHeader) -> u64 {
    newest.table.first().map_or(newest.run.first, |entry| entry.run.first)
}
