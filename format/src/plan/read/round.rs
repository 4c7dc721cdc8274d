//! Filling a page: rounds of GETs that do not depend on each other, each for exactly the blocks that the page needs.

use bytes::Bytes;

use super::Miss;
use super::filling::{Filling, Want};
use super::frames::{Boundary, FramesPart, expected_bytes};
use super::view::{OpenedCommit, View};
use crate::error::CorruptObject;
use crate::item::IterationOrder;
use crate::limits::{BLOCK_PLAIN_BYTES, MAX_HEADER_BYTES, MAX_IN_FLIGHT, WHOLE_COMMIT_BYTES};
use crate::plan::{Answer, ByteRange, Cache, Request};
use crate::rules::{self, Rule};
use crate::wire::block::{BlockEntry, decode_blocks};
use crate::wire::commit::{CommitHeader, TableEntry};
use crate::wire::head::{IndexEntry, Source};
use crate::wire::identity::{BlockOwner, CommitIdentity};

/// How far a scan may read ahead of the page.
pub(in crate::plan) const READ_AHEAD_BYTES: u64 = 1 << 20;
/// Stored bytes that one round may ask for, one block aside.
pub(super) const MAX_ROUND_BYTES: u64 = 16 << 20;

/// Reads until the page is full or its limit is reached.
pub(super) async fn fill(view: &mut View, filling: &mut Filling) -> Result<(), Miss> {
    while !filling.is_done() {
        view.prepare(filling.next()).await?;
        let before = filling.at();
        let parts = next_round(view, filling);
        let requests = parts.iter().filter_map(|part| part.request(view)).collect();
        let mut answers = view.port.send(requests).await.into_iter();
        let mut opened = false;
        for part in parts {
            let answer = if part.is_local() { None } else { answers.next() };
            let Some(bytes) = received(&part, answer, filling)? else { break };
            match part {
                Part::Blocks(part) => take(&part.object, part.owner, &part.blocks, &bytes, part.range.start, filling)?,
                Part::Frames(part) => {
                    let from = filling.at();
                    let boundary = part.take(bytes, filling);
                    view.note_boundary(part.entry.commit.seq, boundary);
                    // Without any block: by the header, in the next round.
                    opened |= boundary == Boundary::Unknown;
                    // The parts behind it were planned for where it should have ended.
                    if filling.at().abs_diff(from) < part.items {
                        break;
                    }
                }
                Part::Commit(part) => {
                    opened |= view.opened(part.entry.commit.seq).is_none();
                    let commit = view.keep_commit(&part.entry, bytes, part.rule)?;
                    if !take_commit(view, &commit, filling)? {
                        break;
                    }
                }
            }
            if filling.is_done() {
                break;
            }
        }
        if filling.at() == before && !opened && !filling.is_done() {
            return Err(view.damaged_newest("its index and table do not cover the list"));
        }
    }
    Ok(())
}

/// What one GET of a round, or bytes that are there already, are to bring.
enum Part {
    Blocks(BlocksPart),
    Frames(FramesPart),
    Commit(CommitPart),
}

/// Consecutive blocks of an object whose directory is known.
struct BlocksPart {
    object: String,
    owner: BlockOwner,
    cache: Cache,
    /// In order of offsets.
    blocks: Vec<BlockEntry>,
    range: ByteRange,
    /// The object's first bytes, where they have all the blocks.
    local: Option<Bytes>,
}

/// The first bytes of a commit of which only the table's entry is known.
struct CommitPart {
    object: String,
    entry: TableEntry,
    length: u64,
    /// The rule by which it must match the entry.
    rule: Rule,
}

impl CommitPart {
    /// A scan takes the items along that follow the header: they are asked for next.
    fn range(&self, scans: bool) -> ByteRange {
        let read_ahead = if scans { self.entry.own_length.min(READ_AHEAD_BYTES) } else { 0 };
        ByteRange { read_ahead: read_ahead.max(self.length), ..ByteRange::new(0, self.length) }
    }
}

impl Part {
    fn is_local(&self) -> bool {
        matches!(self, Self::Blocks(BlocksPart { local: Some(_), .. }))
    }

    fn request(&self, view: &View) -> Option<Request> {
        match self {
            _ if self.is_local() => None,
            Self::Blocks(part) => Some(view.get(part.object.clone(), part.range, part.cache)),
            Self::Frames(part) => Some(view.get(part.object.clone(), part.range, Cache::Etag)),
            Self::Commit(part) => Some(view.get(part.object.clone(), part.range(view.scans), Cache::Etag)),
        }
    }

    fn object(&self) -> &str {
        match self {
            Self::Blocks(part) => &part.object,
            Self::Frames(part) => &part.object,
            Self::Commit(part) => &part.object,
        }
    }
}

/// The bytes of a part; `None` to go on without them, which only a test does.
fn received(part: &Part, answer: Option<Answer>, filling: &mut Filling) -> Result<Option<Bytes>, Miss> {
    if let Part::Blocks(BlocksPart { local: Some(bytes), range, .. }) = part {
        return Ok(Some(slice(bytes, range.start, range.end).unwrap_or_default()));
    }
    match answer {
        Some(Answer::Got(object)) => Ok(Some(object.body)),
        // Rule 12: anything missing means start over from Load.
        _ if rules::kept(Rule::ReadMissing) => Err(Miss::Gone { object: part.object().to_owned() }),
        _ => {
            let (first, end) = match part {
                Part::Blocks(part) => {
                    (part.blocks.first().map(|block| block.first), part.blocks.last().map(BlockEntry::end))
                }
                Part::Frames(FramesPart { entry, .. }) | Part::Commit(CommitPart { entry, .. }) => {
                    (Some(entry.run.first), Some(entry.run.end()))
                }
            };
            let passed = if filling.order() == IterationOrder::Forwards { end } else { first };
            filling.skip_to(passed.unwrap_or_else(|| filling.at()));
            Ok(None)
        }
    }
}

/// The parts to get next: as many as the page wants and as may be under way at once.
fn next_round(view: &View, filling: &Filling) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut at, mut want, mut bytes) = (filling.at(), filling.want(), 0);
    while parts.len() < MAX_IN_FLIGHT && !want.is_nothing() && bytes < MAX_ROUND_BYTES {
        let forwards = filling.order() == IterationOrder::Forwards;
        let ended = if forwards { at >= filling.stop() } else { at <= filling.stop() };
        if ended {
            break;
        }
        let next = if forwards { at } else { at - 1 };
        let Some((part, first, end, average)) = part_with(view, filling.order(), next, want, bytes) else { break };
        let items = if forwards { end.saturating_sub(at) } else { at.saturating_sub(first) };
        at = if forwards { end } else { first };
        want = want.less(items, average);
        bytes += match &part {
            Part::Blocks(part) => part.range.end - part.range.start,
            Part::Frames(part) => part.range.end - part.range.start,
            Part::Commit(part) => part.length,
        };
        parts.push(part);
        // While the position within a part is open, how many more are needed is too.
        if items == 0 || filling.is_probing() {
            break;
        }
    }
    parts
}

/// The part with this item, the offsets it has (first and one after the last) and the average size of its values.
fn part_with(view: &View, order: IterationOrder, next: u64, want: Want, bytes: u64) -> Option<(Part, u64, u64, u64)> {
    if let Some(newest) = &view.newest {
        if next >= newest.run.first {
            let directory = Directory::of_commit(view, newest, &view.newest_body, false);
            return directory.part(order, next, want, bytes, view.scans);
        }
        if next >= newest.carry_first {
            let directory = Directory::of_commit(view, newest, &view.newest_body, true);
            return directory.part(order, next, want, bytes, view.scans);
        }
        if next >= view.index_end() {
            return part_of_table(view, newest, order, next, want, bytes);
        }
    }
    let entry = view.index_entry(next)?;
    // Rule 12: a complete commit must match its index entry: its blocks say whose they are.
    match entry.source {
        Source::Commit(identity) if !rules::kept(Rule::ReadMatchesIndex) => {
            unchecked_part(view, identity, entry, order, next, want)
        }
        _ => Directory::of_entry(view, entry).part(order, next, want, bytes, view.scans),
    }
}

/// What a reader that does not keep [`Rule::ReadMatchesIndex`] takes for the entry's commit: whatever is there.
fn unchecked_part(
    view: &View,
    commit: CommitIdentity,
    entry: &IndexEntry,
    order: IterationOrder,
    next: u64,
    want: Want,
) -> Option<(Part, u64, u64, u64)> {
    if let Some(commit) = view.opened(commit.seq) {
        return Directory::of_commit(view, &commit.header, &commit.body, false).part(order, next, want, 0, false);
    }
    let (run, length) = (entry.run, entry.length);
    let entry = TableEntry {
        commit,
        run,
        carry_first: run.first,
        header_length: entry.header_length,
        own_length: length,
        length,
    };
    let object = view.list.commit(commit.seq);
    let part = CommitPart { object, entry, length, rule: Rule::ReadMatchesIndex };
    Some((Part::Commit(part), run.first, run.end(), 0))
}

/// The part of the table with this item. A commit's carry may bring several small commits with one GET.
fn part_of_table(
    view: &View,
    newest: &CommitHeader,
    order: IterationOrder,
    next: u64,
    want: Want,
    bytes: u64,
) -> Option<(Part, u64, u64, u64)> {
    let number = newest.table.partition_point(|entry| entry.run.end() <= next);
    let own = newest.table.get(number)?;
    let serving = match order {
        // The latest commit that still carries the item, as long as it begins within the page.
        IterationOrder::Forwards => {
            let last = next.saturating_add(want.items);
            let later = newest.table.get(number..).unwrap_or_default().iter();
            later.take_while(|entry| entry.run.first < last).filter(|entry| first_of(entry) <= next).last()
        }
        // The item's own commit carries furthest back, but where a new writer had nothing to carry yet.
        IterationOrder::Backwards => {
            let later = newest.table.get(number..).unwrap_or_default().iter();
            later.filter(|entry| first_of(entry) <= next).min_by_key(|entry| (first_of(entry), entry.commit.seq))
        }
    };
    let entry = serving.unwrap_or(own);
    let enough = next.saturating_sub(entry.run.first).saturating_add(1) >= want.items;
    let own_only = entry.run.first <= next && (order == IterationOrder::Forwards || enough);
    if let Some(commit) = view.opened(entry.commit.seq) {
        let carried = next < commit.header.run.first;
        let directory = Directory::of_commit(view, &commit.header, &commit.body, carried);
        if let Some(part) = directory.part(order, next, want, bytes, view.scans) {
            return Some(part);
        }
    }
    let average = entry.run.value_bytes / entry.run.count.max(1);
    if let Some(part) = FramesPart::of(view, entry, order, next, want) {
        let (first, end) = match order {
            IterationOrder::Forwards => (next, next.saturating_add(part.items)),
            IterationOrder::Backwards => (next.saturating_add(1).saturating_sub(part.items), entry.run.end()),
        };
        return Some((Part::Frames(part), first, end, average));
    }
    let (first, length) = if own_only || first_of(entry) == entry.run.first {
        (entry.run.first, entry.own_length)
    } else {
        (entry.carry_first, entry.length)
    };
    let length = if length <= WHOLE_COMMIT_BYTES { length } else { length_of_front(entry, order, next, want) };
    let part =
        CommitPart { object: view.list.commit(entry.commit.seq), entry: *entry, length, rule: Rule::ReadMatchesTable };
    Some((Part::Commit(part), first, entry.run.end(), average))
}

/// The header of a large commit, and with it the items if they are probably near.
fn length_of_front(entry: &TableEntry, order: IterationOrder, next: u64, want: Want) -> u64 {
    let header_length = u64::from(entry.header_length).min(MAX_HEADER_BYTES as u64);
    let last = match order {
        IterationOrder::Forwards => next.saturating_add(want.items).min(entry.run.end()),
        IterationOrder::Backwards => next.saturating_add(1),
    };
    let expected = expected_bytes(entry, last.saturating_sub(entry.run.first));
    let near = expected.saturating_add(header_length + BLOCK_PLAIN_BYTES as u64);
    if near <= WHOLE_COMMIT_BYTES { near } else { header_length }
}

/// The first item that a commit of the table brings with one GET.
fn first_of(entry: &TableEntry) -> u64 {
    if entry.length <= WHOLE_COMMIT_BYTES { entry.carry_first } else { entry.run.first }
}

/// An object whose blocks are known.
struct Directory<'a> {
    object: String,
    owner: BlockOwner,
    cache: Cache,
    blocks: &'a [BlockEntry],
    /// Average bytes of its values.
    average: u64,
    local: Option<&'a Bytes>,
}

impl<'a> Directory<'a> {
    fn of_entry(view: &View, entry: &'a IndexEntry) -> Self {
        Self {
            object: entry.name(&view.list),
            owner: entry.owner(&view.list.hash()),
            cache: match entry.source {
                Source::Segment { .. } => Cache::Immutable,
                Source::Commit(_) => Cache::Etag,
            },
            blocks: &entry.blocks,
            average: entry.run.value_bytes / entry.run.count.max(1),
            local: None,
        }
    }

    fn of_commit(view: &View, header: &'a CommitHeader, body: &'a Bytes, carried: bool) -> Self {
        Self {
            object: view.list.commit(header.commit.seq),
            owner: header.owner(),
            cache: Cache::Etag,
            blocks: if carried { &header.carried_blocks } else { &header.own_blocks },
            average: if carried { 0 } else { header.run.value_bytes / header.run.count.max(1) },
            local: Some(body),
        }
    }

    /// The blocks from the item on, as many as are wanted.
    fn part(
        self,
        order: IterationOrder,
        next: u64,
        mut want: Want,
        mut bytes: u64,
        scans: bool,
    ) -> Option<(Part, u64, u64, u64)> {
        let at = self.blocks.partition_point(|block| block.end() <= next);
        let (mut from, mut to) = (at, at);
        while !want.is_nothing() && bytes < MAX_ROUND_BYTES {
            let number = match order {
                IterationOrder::Forwards => to,
                IterationOrder::Backwards if from == at && to == at => at,
                IterationOrder::Backwards => match from.checked_sub(1) {
                    Some(number) => number,
                    None => break,
                },
            };
            let Some(block) = self.blocks.get(number) else { break };
            let items = match order {
                IterationOrder::Forwards => block.end().saturating_sub(next.max(block.first)),
                IterationOrder::Backwards => next.saturating_add(1).min(block.end()).saturating_sub(block.first),
            };
            want = want.less(items, self.average);
            bytes = bytes.saturating_add(u64::from(block.length));
            (from, to) = (from.min(number), to.max(number + 1));
        }
        let blocks = self.blocks.get(from..to)?;
        let (first, last) = (blocks.first()?, blocks.last()?);
        if first.first > next || last.end() <= next {
            return None;
        }
        let range = ByteRange::new(first.position, last.end_position());
        let local = self.local.filter(|bytes| bytes.len() as u64 >= range.end).cloned();
        let range = if scans { self.with_read_ahead(range, order) } else { range };
        let (start, end) = (first.first, last.end());
        let part = BlocksPart {
            object: self.object,
            owner: self.owner,
            cache: self.cache,
            blocks: blocks.to_vec(),
            range,
            local,
        };
        Some((Part::Blocks(part), start, end, self.average))
    }

    fn with_read_ahead(&self, range: ByteRange, order: IterationOrder) -> ByteRange {
        let read_ahead = match order {
            IterationOrder::Forwards => {
                let end = self.blocks.last().map_or(range.end, |last| last.end_position());
                end.min(range.start.saturating_add(READ_AHEAD_BYTES)).max(range.end)
            }
            // With the header, where one that reads without the directory finds that the object ends.
            IterationOrder::Backwards => range.end.saturating_sub(READ_AHEAD_BYTES).min(range.start),
        };
        ByteRange { read_ahead, ..range }
    }
}

/// Takes the blocks in the order of reading, as many as the page wants. `base` is the position of the first byte.
fn take(
    object: &str,
    owner: BlockOwner,
    blocks: &[BlockEntry],
    bytes: &Bytes,
    base: u64,
    filling: &mut Filling,
) -> Result<(), Miss> {
    for number in 0..blocks.len() {
        let number = if filling.order() == IterationOrder::Forwards { number } else { blocks.len() - 1 - number };
        let Some(block) = blocks.get(number) else { break };
        let passed = match filling.order() {
            IterationOrder::Forwards => block.end() <= filling.at(),
            IterationOrder::Backwards => block.first >= filling.at(),
        };
        if passed {
            continue;
        }
        let start = block.position.saturating_sub(base);
        let Some(frame) = slice(bytes, start, start.saturating_add(u64::from(block.length))) else {
            return Err(Miss::Gone { object: object.to_owned() });
        };
        let mut items = Vec::new();
        decode_blocks(&frame, block.position, std::slice::from_ref(block), owner, &mut items)
            .map_err(|malformed| Miss::Damaged(malformed.of(object)))?;
        filling.note_block(block.first..block.end(), block.length);
        if !filling.take(items) {
            let reason = "its blocks do not follow each other";
            return Err(Miss::Damaged(CorruptObject { object: object.to_owned(), reason }.into()));
        }
        if filling.is_done() {
            break;
        }
    }
    Ok(())
}

/// Takes what the first bytes of a commit hold; `false` where they do not reach, so that the round ends here.
fn take_commit(view: &View, commit: &OpenedCommit, filling: &mut Filling) -> Result<bool, Miss> {
    let header = &commit.header;
    let object = view.list.commit(header.commit.seq);
    let mut parts = [&header.carried_blocks, &header.own_blocks];
    if filling.order() == IterationOrder::Backwards {
        parts.reverse();
    }
    for blocks in parts {
        let next = filling.next();
        let begins = blocks.first().is_some_and(|block| block.first <= next);
        let Some(last) = blocks.last().filter(|last| begins && last.end() > next) else { continue };
        if last.end_position() > commit.body.len() as u64 {
            return Ok(false);
        }
        take(&object, header.owner(), blocks, &commit.body, 0, filling)?;
        if filling.is_done() {
            break;
        }
    }
    Ok(true)
}

fn slice(bytes: &Bytes, start: u64, end: u64) -> Option<Bytes> {
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

#[cfg(test)]
mod tests;
