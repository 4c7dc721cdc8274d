//! A list as one snapshot shows it: the index, the commits of the table and the newest commit, as far as they have
//! been fetched.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Miss;
use super::frames::Boundary;
use crate::error::CorruptObject;
use crate::item::IterationOrder;
use crate::limits::{MAX_HEADER_BYTES, WHOLE_COMMIT_BYTES};
use crate::names::ListName;
use crate::plan::load::Snapshot;
use crate::plan::{Answer, ByteRange, Cache, Port, Request, pages};
use crate::rules::{self, Rule};
use crate::sorted_map::SortedMap;
use crate::wire::Malformed;
use crate::wire::block::BlockEntry;
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry};
use crate::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use crate::wire::identity::{ListHash, ObjectId};
use crate::wire::leaf::LeafPage;
use crate::wire::token::{NewestCommit, Place};

/// Leaves that one page may hold in memory at once.
const MAX_LEAVES: usize = 4;

/// A list as one snapshot shows it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) port: Port,
    pub(super) list: ListName,
    /// The newest commit; none where a token's index is all that is known.
    pub(super) newest: Option<Arc<CommitHeader>>,
    /// Its first bytes.
    pub(super) newest_body: Bytes,
    /// Commits of the table that have been read.
    opened: SortedMap<u64, OpenedCommit>,
    /// Of other large commits: where reading goes on.
    boundaries: SortedMap<u64, Boundary>,
    index: Option<IndexReference>,
    pub(super) head: Option<HeadPage>,
    leaves: SortedMap<usize, LeafPage>,
    /// Ask past all caches.
    pub(super) reload: bool,
    /// The page is one of many: what follows it will be asked for next.
    pub(super) scans: bool,
}

/// A commit of the table and the first bytes of its object.
#[derive(Debug, Clone)]
pub(super) struct OpenedCommit {
    pub(super) header: Arc<CommitHeader>,
    pub(super) body: Bytes,
}

impl View {
    /// The view of a Load.
    pub(super) fn of_snapshot(port: &Port, list: &ListName, snapshot: Snapshot) -> Self {
        let index = snapshot.header.index;
        Self { newest: Some(snapshot.header), newest_body: snapshot.body, ..Self::of_index(port, list, index) }
    }

    /// The view of an index alone.
    pub(super) fn of_index(port: &Port, list: &ListName, index: Option<IndexReference>) -> Self {
        Self {
            port: port.clone(),
            list: list.clone(),
            newest: None,
            newest_body: Bytes::new(),
            opened: SortedMap::default(),
            boundaries: SortedMap::default(),
            index,
            head: None,
            leaves: SortedMap::default(),
            reload: false,
            scans: false,
        }
    }

    /// The first offset that the index does not cover: that of commit C. Without a newest commit it is known once
    /// the head page is there.
    pub(super) fn index_end(&self) -> u64 {
        match &self.newest {
            Some(newest) => newest.table.first().map_or(newest.run.first, |entry| entry.run.first),
            None => self.head.as_ref().and_then(HeadPage::next_offset).unwrap_or(0),
        }
    }

    /// Gets the pages that say where the item is, and the rest of a small newest commit that has it.
    pub(super) async fn prepare(&mut self, offset: u64) -> Result<(), Miss> {
        if self.newest.is_none() || offset < self.index_end() {
            self.open_head().await?;
            return self.open_leaf_of(offset).await;
        }
        self.complete_newest(offset).await
    }

    /// Gets the head page.
    pub(super) async fn open_head(&mut self) -> Result<(), Miss> {
        if self.head.is_some() {
            return Ok(());
        }
        let Some(index) = self.index else {
            return Err(self.damaged_newest("it has no index, and its table does not go back to offset 0"));
        };
        let head = self.page(index.id, index.length, HeadPage::decode).await?;
        let ends_at = head.next_offset();
        if self.newest.is_some() && ends_at.is_some_and(|end| end != self.index_end()) {
            return Err(damaged(
                self.list.index_page(index.id),
                "it does not end where the newest commit's table begins",
            ));
        }
        self.head = Some(head);
        Ok(())
    }

    /// The full leaf with the item, if it is not in the open one.
    fn leaf_of(&self, offset: u64) -> Option<(usize, LeafReference)> {
        let leaves = &self.head.as_ref()?.leaves;
        let number = leaves.partition_point(|leaf| leaf.run.end() <= offset);
        leaves.get(number).map(|leaf| (number, *leaf))
    }

    async fn open_leaf_of(&mut self, offset: u64) -> Result<(), Miss> {
        match self.leaf_of(offset) {
            Some((number, leaf)) => self.open_leaf(number, leaf).await,
            None => Ok(()),
        }
    }

    pub(super) async fn open_leaf(&mut self, number: usize, leaf: LeafReference) -> Result<(), Miss> {
        if self.leaves.get(&number).is_some() {
            return Ok(());
        }
        let page = self.page(leaf.id, leaf.length, LeafPage::decode).await?;
        let first = page.entries.first().map(|entry| entry.run.first);
        let end = page.entries.last().map(|entry| entry.run.after());
        if first != Some(leaf.run.first) || end != Some(leaf.run.after()) {
            return Err(damaged(self.list.index_page(leaf.id), "it does not hold the items that the head page says"));
        }
        if self.leaves.len() >= MAX_LEAVES {
            self.leaves.clear();
        }
        self.leaves.insert(number, page);
        Ok(())
    }

    pub(super) fn leaf(&self, number: usize) -> Option<&LeafPage> {
        self.leaves.get(&number)
    }

    async fn page<P>(
        &self,
        id: ObjectId,
        length: u64,
        decode: fn(&Bytes, &ListHash, ObjectId) -> Result<P, Malformed>,
    ) -> Result<P, Miss> {
        let cache = self.cache(Cache::Immutable);
        match pages::page(&self.port, &self.list, (id, length), cache, decode).await {
            Ok(Some(page)) => Ok(page),
            Ok(None) => Err(Miss::Gone { object: self.list.index_page(id) }),
            Err(error) => Err(Miss::Damaged(error)),
        }
    }

    /// The index entry with the item, where its page has been fetched.
    pub(super) fn index_entry(&self, offset: u64) -> Option<&IndexEntry> {
        let entries = match self.leaf_of(offset) {
            Some((number, _)) => &self.leaves.get(&number)?.entries,
            None => &self.head.as_ref()?.open,
        };
        let entry = entries.get(entries.partition_point(|entry| entry.run.end() <= offset))?;
        (entry.run.first <= offset).then_some(entry)
    }

    /// Gets the newest commit of a token's snapshot, if it is still there: what no index covers is in its table.
    pub(super) async fn open_newest(&mut self, newest: &NewestCommit) -> Result<(), Miss> {
        let name = self.list.commit(newest.seq);
        let get = self.get(name.clone(), ByteRange::new(0, MAX_HEADER_BYTES as u64), Cache::Etag);
        let Answer::Got(object) = self.port.send_one(get).await else { return Err(Miss::Gone { object: name }) };
        // Rule 12: the name may have been collected and created again; a token's index may be another's.
        match CommitHeader::decode(&object.body, &self.list.hash()) {
            Ok(header) if header.owner() == newest.owner && header.index == self.index => {
                (self.newest, self.newest_body) = (Some(Arc::new(header)), object.body);
                Ok(())
            }
            _ => Err(Miss::Gone { object: name }),
        }
    }

    /// Gets what a Load left of a small newest commit, where it has the item: one GET then serves own and carried.
    async fn complete_newest(&mut self, offset: u64) -> Result<(), Miss> {
        let Some(newest) = self.newest.clone() else { return Ok(()) };
        let have = self.newest_body.len() as u64;
        let length = newest.length();
        if offset < newest.carry_first || have >= length || length > WHOLE_COMMIT_BYTES {
            return Ok(());
        }
        let name = self.list.commit(newest.commit.seq);
        match self.port.send_one(self.get(name.clone(), ByteRange::new(have, length), Cache::Etag)).await {
            // Whose bytes these are is checked block by block.
            Answer::Got(object) if object.body.len() as u64 == length - have => {
                let mut body = BytesMut::with_capacity(length as usize);
                body.extend_from_slice(&self.newest_body);
                body.extend_from_slice(&object.body);
                self.newest_body = body.freeze();
                Ok(())
            }
            _ => Err(Miss::Gone { object: name }),
        }
    }

    /// Keeps a commit of the table that was read, if it is the one that the table means.
    pub(super) fn keep_commit(&mut self, entry: &TableEntry, body: Bytes, rule: Rule) -> Result<OpenedCommit, Miss> {
        let name = self.list.commit(entry.commit.seq);
        let header = match entry.read_header(&body, &self.list.hash()) {
            Ok(Some(header)) => header,
            Ok(None) => return Err(Miss::Gone { object: name }),
            Err(malformed) => return Err(Miss::Damaged(malformed.of(&name))),
        };
        // Rule 12: a late PUT may have created the name again after it was collected.
        if !entry.matches(&header) && rules::kept(rule) {
            return Err(Miss::Gone { object: name });
        }
        let opened = OpenedCommit { header: Arc::new(header), body };
        self.opened.insert(entry.commit.seq, opened.clone());
        Ok(opened)
    }

    pub(super) fn opened(&self, seq: u64) -> Option<&OpenedCommit> {
        self.opened.get(&seq)
    }

    /// A GET of a part of an object.
    pub(super) fn get(&self, name: String, range: ByteRange, cache: Cache) -> Request {
        Request::Get { name, range: Some(range), cache: self.cache(cache) }
    }

    fn cache(&self, cache: Cache) -> Cache {
        if self.reload { Cache::Reload } else { cache }
    }

    pub(super) fn damaged_newest(&self, reason: &'static str) -> Miss {
        let name = self.newest.as_ref().map_or_else(String::new, |newest| self.list.commit(newest.commit.seq));
        damaged(name, reason)
    }

    /// The frame boundary from which a later page can read on without a directory, where it is known.
    pub(super) fn place(&self, order: IterationOrder, next: u64) -> Option<Place> {
        let boundary = |blocks: &[BlockEntry]| {
            let block = blocks.get(blocks.partition_point(|block| block.end() <= next))?;
            (block.first <= next).then(|| match order {
                IterationOrder::Forwards => block.position,
                IterationOrder::Backwards => block.end_position(),
            })
        };
        let commit = |header: &CommitHeader| {
            let position = boundary(&header.own_blocks)?;
            Some(Place::Commit { seq: header.commit.seq, owner: header.owner(), position })
        };
        if let Some(newest) = &self.newest {
            if next >= newest.run.first {
                return commit(newest);
            }
            if next >= self.index_end() {
                let table = &newest.table;
                let entry = table.get(table.partition_point(|entry| entry.run.end() <= next))?;
                return match self.opened.get(&entry.commit.seq) {
                    Some(opened) => commit(&opened.header),
                    None => self.place_at_boundary(order, next, entry),
                };
            }
        }
        let entry = self.index_entry(next)?;
        let position = boundary(&entry.blocks)?;
        Some(match &entry.source {
            Source::Segment { id, .. } => Place::Segment { id: *id, position },
            Source::Commit(identity) => {
                Place::Commit { seq: identity.seq, owner: entry.owner(&self.list.hash()), position }
            }
        })
    }

    /// Where the block with this item begins, backwards where it ends, as far as it is known without the directory.
    pub(super) fn boundary(&self, entry: &TableEntry, order: IterationOrder, next: u64) -> Option<u64> {
        match self.boundaries.get(&entry.commit.seq) {
            Some(Boundary::Unknown) => None,
            Some(Boundary::At { next: known, position }) if *known == next => Some(*position),
            _ => match order {
                IterationOrder::Forwards if next == entry.run.first => Some(u64::from(entry.header_length)),
                IterationOrder::Backwards if next.checked_add(1) == Some(entry.run.end()) => Some(entry.own_length),
                _ => None,
            },
        }
    }

    pub(super) fn note_boundary(&mut self, seq: u64, boundary: Boundary) {
        self.boundaries.insert(seq, boundary);
    }

    /// The place in a commit whose header has not been read. Small ones are better read through the table: another
    /// one's carry brings several with one GET.
    fn place_at_boundary(&self, order: IterationOrder, next: u64, entry: &TableEntry) -> Option<Place> {
        let large = entry.commit.complete || entry.own_length > WHOLE_COMMIT_BYTES;
        let position = self.boundary(entry, order, next).filter(|_| large)?;
        Some(Place::Commit { seq: entry.commit.seq, owner: entry.owner(&self.list.hash()), position })
    }

    /// The head page that a token refers to.
    pub(super) fn index(&self) -> Option<IndexReference> {
        self.index
    }
}

fn damaged(object: String, reason: &'static str) -> Miss {
    Miss::Damaged(CorruptObject { object, reason }.into())
}

#[cfg(test)]
mod tests;
