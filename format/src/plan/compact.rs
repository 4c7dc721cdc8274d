//! Compaction: small commits become segments, and an index covers them (PROTOCOL rules 7 and 8).
//!
//! It reads and writes beside the appends of its session and changes nothing that a reader sees: what it prepared
//! takes effect when a later commit of the same session publishes it.

use std::sync::Arc;

use super::collect::Garbage;
use super::index_draft::{IndexDraft, is_live};
use super::pages;
use super::recent::Recent;
use super::session::{Session, SessionOptions};
use super::{Answer, ByteRange, Cache, Plan, Port, PutKind, Request};
use crate::error::FormatError;
use crate::item::Item;
use crate::limits::{
    MAX_COMMIT_ITEMS, MAX_HEADER_BYTES, MAX_IN_FLIGHT, MAX_MERGED_PARTIALS, MAX_TABLE_ENTRIES, SEGMENT_VALUE_BYTES,
};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::block::decode_blocks;
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry};
use crate::wire::head::{HeadPage, IndexEntry, Source};
use crate::wire::identity::{ObjectId, SessionId};
use crate::wire::run::Run;
use crate::wire::segment::{SegmentHeader, encode_segment};

/// How a compaction ended.
#[derive(Debug)]
pub enum Compaction {
    /// An index is ready: [`Session::accept`] it.
    Prepared(Prepared),
    /// An object was gone or another than expected: the list has moved on, try again later.
    GaveUp {
        /// Its name.
        object: String,
    },
    /// There is no commit to cover.
    NothingToDo,
}

/// An index that waits for a commit of its session to publish it.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) session: SessionId,
    /// B.C
    pub(super) base_covered: u64,
    /// X: all commits below it are covered.
    pub(super) x: u64,
    pub(super) index: IndexReference,
    pub(super) head_page: Arc<HeadPage>,
    pub(super) garbage: Garbage,
}

impl Session {
    /// Prepares an index that covers every commit before the newest. `id` is random and used once.
    ///
    /// Runs beside appends: it works on a copy of what the session knows now.
    ///
    /// # Errors
    /// Objects that are corrupt or of a newer version, and an index that would grow beyond the format's limits.
    pub fn compact(&self, id: u128) -> Plan<Result<Compaction, FormatError>> {
        let job = self.newest.clone().map(|base| Job {
            list: self.list.clone(),
            session: self.id,
            options: self.options.clone(),
            recent: self.recent.clone(),
            head_page: self.head_page.clone().filter(|page| self.index().is_some_and(|index| index.id == page.id)),
            // Rule 7: X is at most B.seq, and above B.C: also to merge segments only.
            ids: ObjectIds {
                x: if rules::kept(Rule::CoverMore) { base.commit.seq } else { base.covered },
                next: if rules::kept(Rule::FreshObjectIds) { id } else { 0 },
            },
            base,
        });
        Plan::new(|port| async move {
            match job {
                Some(job) => job.run(&port).await,
                None => Ok(Compaction::NothingToDo),
            }
        })
    }
}

/// Names for the objects of one compaction: a random base, counted up.
pub(super) struct ObjectIds {
    pub(super) x: u64,
    pub(super) next: u128,
}

impl ObjectIds {
    pub(super) fn draw(&mut self) -> ObjectId {
        let id = ObjectId { x: self.x, id: self.next };
        self.next = self.next.wrapping_add(1);
        id
    }
}

struct Job {
    list: ListName,
    session: SessionId,
    options: Arc<SessionOptions>,
    recent: Recent,
    head_page: Option<Arc<HeadPage>>,
    ids: ObjectIds,
    /// B
    base: Arc<CommitHeader>,
}

/// Why a step could not go on: an object is not there, or is another one.
pub(super) enum Stop {
    GaveUp(String),
    Failed(FormatError),
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Self::Failed(error)
    }
}

impl Job {
    async fn run(mut self, port: &Port) -> Result<Compaction, FormatError> {
        match self.prepare(port).await {
            Ok(compaction) => Ok(compaction),
            Err(Stop::GaveUp(object)) => Ok(Compaction::GaveUp { object }),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn prepare(&mut self, port: &Port) -> Result<Compaction, Stop> {
        let base = self.base.clone();
        let x = self.ids.x;
        if x <= base.covered && rules::kept(Rule::CoverMore) {
            return Ok(Compaction::NothingToDo);
        }
        let old = self.old_head(port).await?;
        let mut index = IndexDraft::of(&base, old);
        index.drop_below_start(port, &self.list, &base, &mut self.ids).await?;
        if !worthwhile(&base, x, &index) && rules::kept(Rule::CoverMore) {
            return Ok(Compaction::NothingToDo);
        }
        let live: Vec<TableEntry> =
            base.table.iter().filter(|entry| entry.commit.seq < x && is_live(entry, base.start)).copied().collect();
        for group in live.chunk_by(|left, right| !left.commit.complete && !right.commit.complete) {
            if let [entry] = group
                && entry.commit.complete
            {
                let entry = self.complete_entry(port, entry).await?;
                index.push(entry);
            } else {
                self.merge(port, &mut index, group).await?;
            }
        }
        index.hand_over(&base.table);
        let head_page = index.write(port, &self.list, &mut self.ids).await?;
        let garbage = index.garbage(&self.list, &base);
        let index = IndexReference { id: head_page.page.id, length: head_page.length };
        Ok(Compaction::Prepared(Prepared {
            session: self.session,
            base_covered: base.covered,
            x,
            index,
            head_page: head_page.page,
            garbage,
        }))
    }

    async fn old_head(&mut self, port: &Port) -> Result<Option<Arc<HeadPage>>, Stop> {
        let Some(index) = self.base.index else { return Ok(None) };
        if let Some(page) = self.head_page.take() {
            return Ok(Some(page));
        }
        let page = pages::head(port, &self.list, index).await?;
        page.map(Some).ok_or_else(|| Stop::GaveUp(self.list.index_page(index.id)))
    }

    /// Small commits in a row become one segment (or several large ones). Trailing partial segments are merged along
    /// where that makes a complete one, so that no item is rewritten more than twice.
    async fn merge(&mut self, port: &Port, index: &mut IndexDraft, group: &[TableEntry]) -> Result<(), Stop> {
        let mut sum = Run::empty(0, i64::MIN, 0);
        let add = |sum: &mut Run, run: &Run| {
            sum.count = sum.count.saturating_add(run.count);
            sum.value_bytes = sum.value_bytes.saturating_add(run.value_bytes);
        };
        group.iter().for_each(|entry| add(&mut sum, &entry.run));
        let partials = index.trailing_partials(MAX_MERGED_PARTIALS);
        partials.iter().for_each(|entry| add(&mut sum, &entry.run));
        let merged = if !partials.is_empty() && self.options.is_complete(sum.count, sum.value_bytes) {
            index.take_trailing(&self.list, partials.len())
        } else {
            Vec::new()
        };

        let mut segments = Segments { before: index.end(), items: Vec::new(), value_bytes: 0 };
        let mut sources: Vec<Piece<'_>> = merged.iter().map(Piece::Segment).collect();
        sources.extend(group.iter().map(Piece::Commit));
        for batch in sources.chunks(MAX_IN_FLIGHT) {
            for items in self.read(port, batch).await? {
                segments.add(items);
                // By items too: without values they would only be cut by what they take in memory.
                if segments.value_bytes >= SEGMENT_VALUE_BYTES || segments.items.len() >= MAX_COMMIT_ITEMS {
                    index.push(self.write_segment(port, &mut segments).await?);
                }
            }
        }
        if !segments.items.is_empty() {
            index.push(self.write_segment(port, &mut segments).await?);
        }
        Ok(())
    }

    /// The items of each piece, from memory where this session appended them, else by GET.
    async fn read(&self, port: &Port, batch: &[Piece<'_>]) -> Result<Vec<Vec<Item>>, Stop> {
        let remembered = |piece: &Piece<'_>| match piece {
            Piece::Commit(entry) => self.recent.items(self.session, entry),
            Piece::Segment(_) => None,
        };
        let remembered: Vec<Option<Arc<[Item]>>> = batch.iter().map(remembered).collect();
        let missing = batch.iter().zip(&remembered).filter(|(_, items)| items.is_none());
        let requests = missing.map(|(piece, _)| piece.get(&self.list)).collect();
        let mut answers = port.send(requests).await.into_iter();
        let mut pieces = Vec::with_capacity(batch.len());
        for (piece, remembered) in batch.iter().zip(remembered) {
            let items = match remembered {
                Some(items) => items.to_vec(),
                None => piece.decode(&self.list, answers.next())?,
            };
            pieces.push(items);
        }
        Ok(pieces)
    }

    async fn write_segment(&mut self, port: &Port, segments: &mut Segments) -> Result<IndexEntry, Stop> {
        let items = std::mem::take(&mut segments.items);
        let before = segments.before;
        let mut run = before;
        items.iter().for_each(|item| run.push(item));
        let complete = self.options.is_complete(run.count, run.value_bytes);
        let id = self.ids.draw();
        let segment = encode_segment(&self.list.hash(), id, &before, &items, complete, &self.options.block);
        // Rule 8: an index may name a segment only once its PUT was answered with success.
        put_immutable(port, self.list.segment(id), segment.body, Rule::SegmentsBeforePublish).await;
        segments.before = run.after();
        segments.value_bytes = 0;
        Ok(IndexEntry {
            source: Source::Segment { id, complete },
            length: segment.header.length(),
            run: segment.header.run,
            header_length: segment.header.header_length,
            blocks: segment.header.blocks,
        })
    }

    /// Rule 7: a complete commit is referred to, not read; only its block directory is needed.
    async fn complete_entry(&self, port: &Port, entry: &TableEntry) -> Result<IndexEntry, Stop> {
        let name = self.list.commit(entry.commit.seq);
        let end = (MAX_HEADER_BYTES as u64).min(entry.own_length);
        let get = Request::Get { name: name.clone(), range: Some(ByteRange::new(0, end)), cache: Cache::Reload };
        let header = match port.send_one(get).await {
            Answer::Got(object) => commit_header(&self.list, &name, &object.body, entry)?,
            _ => return Err(Stop::GaveUp(name)),
        };
        Ok(IndexEntry {
            source: Source::Commit(entry.commit),
            run: entry.run,
            header_length: entry.header_length,
            length: entry.own_length,
            blocks: header.own_blocks,
        })
    }
}

/// Rule 8: commits without items alone are no reason to compact, or an idle list would not come to rest; unless a
/// segment below the start goes, or they crowd the table.
fn worthwhile(base: &CommitHeader, x: u64, index: &IndexDraft) -> bool {
    let covers_items = base.table.iter().any(|entry| entry.commit.seq < x && entry.run.count > 0);
    covers_items || index.drops_any() || base.table.len() >= MAX_TABLE_ENTRIES / 2
}

/// Sends the PUT of an immutable object until it is answered with success.
pub(super) async fn put_immutable(port: &Port, name: String, body: bytes::Bytes, rule: Rule) {
    loop {
        let put = Request::Put { name: name.clone(), body: body.clone(), kind: PutKind::Immutable };
        match port.send_one(put).await {
            Answer::Done { .. } => return,
            _ if !rules::kept(rule) => return,
            _ => {}
        }
    }
}

/// The items that wait for the next segment.
struct Segments {
    before: Run,
    items: Vec<Item>,
    value_bytes: u64,
}

impl Segments {
    fn add(&mut self, items: Vec<Item>) {
        self.value_bytes += items.iter().map(|item| item.value.len() as u64).sum::<u64>();
        self.items.extend(items);
    }
}

/// Something that a compaction merges.
enum Piece<'a> {
    Commit(&'a TableEntry),
    Segment(&'a IndexEntry),
}

impl Piece<'_> {
    fn get(&self, list: &ListName) -> Request {
        let (length, cache) = match self {
            Self::Commit(entry) => (entry.own_length, Cache::Reload),
            Self::Segment(entry) => (entry.length, Cache::Immutable),
        };
        Request::Get { name: self.name(list), range: Some(ByteRange::new(0, length)), cache }
    }

    fn name(&self, list: &ListName) -> String {
        match self {
            Self::Commit(entry) => list.commit(entry.commit.seq),
            Self::Segment(entry) => entry.name(list),
        }
    }

    /// Rule 7: checked against its entry; anything missing or different ends the compaction.
    fn decode(&self, list: &ListName, answer: Option<Answer>) -> Result<Vec<Item>, Stop> {
        let name = self.name(list);
        let Some(Answer::Got(object)) = answer else { return Err(Stop::GaveUp(name)) };
        let hash = list.hash();
        let mut items = Vec::new();
        let decoded = match self {
            Self::Commit(entry) => {
                let header = commit_header(list, &name, &object.body, entry)?;
                decode_blocks(&object.body, 0, &header.own_blocks, header.owner(), &mut items)
            }
            Self::Segment(entry) => {
                let header = SegmentHeader::decode(&object.body, &hash).map_err(|malformed| malformed.of(&name))?;
                if header.run != entry.run {
                    return Err(Stop::GaveUp(name));
                }
                decode_blocks(&object.body, 0, &header.blocks, entry.owner(&hash), &mut items)
            }
        };
        decoded.map_err(|malformed| malformed.of(&name))?;
        Ok(items)
    }
}

/// The header of the commit that the entry speaks of.
fn commit_header(list: &ListName, name: &str, body: &[u8], entry: &TableEntry) -> Result<CommitHeader, Stop> {
    match entry.read_header(body, &list.hash()).map_err(|malformed| malformed.of(name))? {
        Some(header) if entry.matches(&header) => Ok(header),
        _ => Err(Stop::GaveUp(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
