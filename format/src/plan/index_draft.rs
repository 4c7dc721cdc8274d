//! The index that a compaction prepares: the old one, changed, and the list of what the change leaves over.

use std::sync::Arc;

use super::collect::Garbage;
use super::compact::{ObjectIds, Stop, put_immutable};
use super::{Port, pages};
use crate::error::FormatError;
use crate::limits::{MAX_COMMIT_ITEMS, MAX_LEAF_ENTRIES, MAX_LEDGER_ENTRIES, MAX_OPEN_HANDOVERS};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::commit::{CommitHeader, TableEntry};
use crate::wire::head::{HeadPage, IndexEntry, LeafReference, PageTooLarge, Source};
use crate::wire::leaf::LeafPage;
use crate::wire::ledger::{Handover, LedgerPage, LedgerReference};
use crate::wire::run::Run;

/// An index in the making.
pub(super) struct IndexDraft {
    /// Name of the old head page, once there was one.
    old: Option<Arc<HeadPage>>,
    before: Run,
    leaves: Vec<LeafReference>,
    open: Vec<IndexEntry>,
    ledger_pages: Vec<LedgerReference>,
    handovers: Vec<Handover>,
    /// What the old index named and the new one does not.
    dropped: Garbage,
}

/// A head page that was written.
pub(super) struct WrittenHead {
    pub(super) page: Arc<HeadPage>,
    pub(super) length: u64,
}

impl IndexDraft {
    /// The index of the commit `base`, to be changed.
    pub(super) fn of(base: &CommitHeader, old: Option<Arc<HeadPage>>) -> Self {
        let draft = Self {
            old: old.clone(),
            before: Run::empty(0, i64::MIN, 0),
            leaves: Vec::new(),
            open: Vec::new(),
            ledger_pages: Vec::new(),
            handovers: Vec::new(),
            dropped: Garbage::default(),
        };
        debug_assert_eq!(base.index.is_some(), old.is_some());
        let Some(old) = old else { return draft };
        Self {
            before: old.before,
            leaves: old.leaves.clone(),
            open: old.open.clone(),
            ledger_pages: old.ledger_pages.clone(),
            handovers: old.handovers.clone(),
            ..draft
        }
    }

    /// Leaves out what lies wholly below B.start (rule 7). A leaf that the list begins in is written anew.
    pub(super) async fn drop_below_start(
        &mut self,
        port: &Port,
        list: &ListName,
        base: &CommitHeader,
        ids: &mut ObjectIds,
    ) -> Result<(), Stop> {
        let below = |run: &Run| if rules::kept(Rule::DropBelowStart) { run.end() } else { run.first } <= base.start;
        let count = self.leaves.iter().take_while(|leaf| below(&leaf.run)).count();
        for leaf in self.leaves.drain(..count).collect::<Vec<_>>() {
            // Its segments are known from the leaf alone; unread, they would be left to a sweep.
            let name = list.index_page(leaf.id);
            let Some(page) = pages::leaf(port, list, &leaf).await? else { return Err(Stop::GaveUp(name)) };
            page.entries.iter().for_each(|entry| self.dropped.add_entry(list, entry));
            self.dropped.deletes.push(name);
            self.before = leaf.run.after();
        }
        if let Some(leaf) = self.leaves.first().copied().filter(|leaf| leaf.run.first < base.start) {
            let name = list.index_page(leaf.id);
            let Some(page) = pages::leaf(port, list, &leaf).await? else { return Err(Stop::GaveUp(name)) };
            let count = page.entries.iter().take_while(|entry| below(&entry.run)).count();
            if let Some((last, live)) = page.entries.split_at(count).0.last().zip(page.entries.get(count..)) {
                page.entries.iter().take(count).for_each(|entry| self.dropped.add_entry(list, entry));
                self.dropped.deletes.push(name);
                self.before = last.run.after();
                self.leaves.remove(0);
                if !live.is_empty() {
                    let leaf = put_leaf(port, list, ids, live.to_vec()).await?;
                    self.leaves.insert(0, leaf);
                }
            }
        }
        if self.leaves.is_empty() {
            let count = self.open.iter().take_while(|entry| below(&entry.run)).count();
            for entry in self.open.drain(..count) {
                self.dropped.add_entry(list, &entry);
                self.before = entry.run.after();
            }
        }
        // Table commits wholly below the start are not indexed either: the state before the first one that is.
        let skipped = base.table.iter().take_while(|entry| entry.run.end() <= base.start).last();
        if self.leaves.is_empty()
            && self.open.is_empty()
            && let Some(entry) = skipped
        {
            self.before = entry.run.after();
        }
        Ok(())
    }

    /// Whether something of the old index is left out.
    pub(super) fn drops_any(&self) -> bool {
        !self.dropped.stubs().is_empty() || !self.dropped.deletes().is_empty()
    }

    /// The state of the list after the last entry.
    pub(super) fn end(&self) -> Run {
        let last = self.open.last().map(|entry| &entry.run).or(self.leaves.last().map(|leaf| &leaf.run));
        last.unwrap_or(&self.before).after()
    }

    /// The partial segments at the end, newest `limit` of them. One with as many items as the largest commit stays what it
    /// is, whatever it says of itself: merging takes all of them into memory.
    pub(super) fn trailing_partials(&self, limit: usize) -> &[IndexEntry] {
        let small = |entry: &&IndexEntry| !entry.is_complete() && entry.run.count < MAX_COMMIT_ITEMS as u64;
        let count = self.open.iter().rev().take(limit).take_while(small).count();
        &self.open[self.open.len() - count..]
    }

    /// Takes the last entries out, to be merged: what they name is left over.
    pub(super) fn take_trailing(&mut self, list: &ListName, count: usize) -> Vec<IndexEntry> {
        let entries = self.open.split_off(self.open.len() - count);
        entries.iter().for_each(|entry| self.dropped.add_entry(list, entry));
        entries
    }

    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: IndexEntry) {
        self.open.push(entry);
    }

    /// Adds the handovers of the commits that the index now covers to the ledger.
    pub(super) fn hand_over(&mut self, covered: &[TableEntry]) {
        let handovers = covered.iter().filter(|entry| entry.commit.handover);
        self.handovers.extend(handovers.map(|entry| Handover { seq: entry.commit.seq, session: entry.commit.session }));
    }

    /// Writes full leaves, a ledger page where the inline part overflows, and the head page.
    pub(super) async fn write(
        &mut self,
        port: &Port,
        list: &ListName,
        ids: &mut ObjectIds,
    ) -> Result<WrittenHead, Stop> {
        while self.open.len() > MAX_LEAF_ENTRIES && rules::kept(Rule::LeafBound) {
            self.write_leaf(port, list, ids).await?;
        }
        if self.handovers.len() > MAX_OPEN_HANDOVERS && rules::kept(Rule::LedgerBound) {
            self.write_ledger(port, list, ids).await?;
        }
        let page = HeadPage {
            list: list.hash(),
            id: ids.draw(),
            before: self.before,
            leaves: std::mem::take(&mut self.leaves),
            open: std::mem::take(&mut self.open),
            ledger_pages: std::mem::take(&mut self.ledger_pages),
            handovers: std::mem::take(&mut self.handovers),
        };
        let name = list.index_page(page.id);
        let body = page.encode().map_err(|error| too_large(&name, error))?;
        let length = body.len() as u64;
        put_immutable(port, name, body, Rule::IndexBeforePublish).await;
        Ok(WrittenHead { page: Arc::new(page), length })
    }

    /// Seals the oldest open entries; trailing partial segments stay open as long as there is room, to be merged.
    async fn write_leaf(&mut self, port: &Port, list: &ListName, ids: &mut ObjectIds) -> Result<(), Stop> {
        let partials = self.trailing_partials(MAX_LEAF_ENTRIES / 2).len();
        let count = (self.open.len() - partials).min(MAX_LEAF_ENTRIES);
        let entries: Vec<IndexEntry> = self.open.drain(..count).collect();
        let leaf = put_leaf(port, list, ids, entries).await?;
        self.leaves.push(leaf);
        Ok(())
    }

    /// Moves the inline handovers to the last ledger page (rewritten under a new name), or to a new one.
    async fn write_ledger(&mut self, port: &Port, list: &ListName, ids: &mut ObjectIds) -> Result<(), Stop> {
        let mut handovers = Vec::new();
        let room = |page: &&LedgerReference| page.count as usize + self.handovers.len() <= MAX_LEDGER_ENTRIES;
        if let Some(last) = self.ledger_pages.last().filter(room).copied() {
            let name = list.index_page(last.id);
            let Some(page) = pages::ledger(port, list, &last).await? else { return Err(Stop::GaveUp(name)) };
            handovers = page.handovers;
            self.ledger_pages.pop();
            self.dropped.deletes.push(name);
        }
        handovers.append(&mut self.handovers);
        let page = LedgerPage { list: list.hash(), id: ids.draw(), handovers };
        let name = list.index_page(page.id);
        let body = page.encode().map_err(|error| too_large(&name, error))?;
        let reference = LedgerReference {
            id: page.id,
            length: body.len() as u64,
            first_seq: page.handovers.first().map_or(0, |handover| handover.seq),
            count: page.handovers.len() as u32,
        };
        put_immutable(port, name, body, Rule::IndexBeforePublish).await;
        self.ledger_pages.push(reference);
        Ok(())
    }

    /// Rule 9: what the publication of this index leaves over.
    pub(super) fn garbage(&self, list: &ListName, base: &CommitHeader) -> Garbage {
        let mut garbage = self.dropped.clone();
        for entry in &base.table {
            // The new index refers to every live complete commit itself.
            let referred = entry.commit.complete && is_live(entry, base.start);
            if referred && rules::kept(Rule::CollectSparesComplete) {
                continue;
            }
            garbage.add_commit(list.commit(entry.commit.seq), entry.commit.handover, Rule::StubHandover);
        }
        if let Some(old) = &self.old {
            garbage.deletes.push(list.index_page(old.id));
            if !rules::kept(Rule::KeepSharedLeaf) {
                garbage.deletes.extend(old.leaves.iter().map(|leaf| list.index_page(leaf.id)));
            }
        }
        garbage
    }
}

impl Garbage {
    fn add_entry(&mut self, list: &ListName, entry: &IndexEntry) {
        match &entry.source {
            Source::Segment { .. } => self.deletes.push(entry.name(list)),
            Source::Commit(commit) => self.add_commit(entry.name(list), commit.handover, Rule::StubDroppedHandover),
        }
    }
}

/// Writes a full leaf of these entries, at least one.
async fn put_leaf(
    port: &Port,
    list: &ListName,
    ids: &mut ObjectIds,
    entries: Vec<IndexEntry>,
) -> Result<LeafReference, Stop> {
    let mut run = entries.first().map_or(Run::empty(0, i64::MIN, 0), |entry| entry.run);
    entries.iter().skip(1).for_each(|entry| run.join(&entry.run));
    let count = entries.len() as u32;
    let page = LeafPage { list: list.hash(), id: ids.draw(), entries };
    let name = list.index_page(page.id);
    let body = page.encode().map_err(|error| too_large(&name, error))?;
    let length = body.len() as u64;
    put_immutable(port, name, body, Rule::IndexBeforePublish).await;
    Ok(LeafReference { id: page.id, length, entries: count, run })
}

/// Whether a commit has items that belong into the index.
pub(super) fn is_live(entry: &TableEntry, start: u64) -> bool {
    entry.run.count > 0 && entry.run.end() > start
}

fn too_large(object: &str, error: PageTooLarge) -> FormatError {
    FormatError::IndexFull { object: object.to_owned(), error }
}

#[cfg(test)]
mod tests;
