//! Going on from a continuation token without a Load: in the object that it names, then through its snapshot: the
//! index, and the table of the newest commit.
//!
//! A block's length stands at both of its ends, so that a boundary between two blocks is all that is needed. Nothing
//! in a token is trusted: it can only name objects of the list that the caller names, and their blocks say whose they
//! are and which items they hold.

use bytes::{Bytes, BytesMut};

use super::Miss;
use super::filling::Filling;
use super::frames::{holds, next_block};
use super::round::{READ_AHEAD_BYTES, fill};
use super::view::View;
use crate::item::IterationOrder;
use crate::names::ListName;
use crate::plan::{Answer, ByteRange, Cache, Port};
use crate::wire::Malformed;
use crate::wire::block::{Block, MAX_FRAME_BYTES};
use crate::wire::commit::CommitHeader;
use crate::wire::identity::{BlockOwner, ListHash};
use crate::wire::token::{Place, Token};

/// The least that is asked for.
const MIN_ASK_BYTES: u64 = 16 << 10;
/// The most that is asked for at once, a block's length aside.
const MAX_ASK_BYTES: u64 = 10 << 20;

/// What going on from a token came to.
pub(super) enum Resumed {
    /// The page is full; here the next one goes on. `None`: the list ends here.
    Page(Option<Token>),
    /// The snapshot ends here, or what the token names is gone: load anew and go on by offset.
    Onward {
        /// Whether something was gone.
        missed: bool,
    },
}

/// Reads on from a token.
pub(super) async fn resume(port: &Port, list: &ListName, token: &Token, filling: &mut Filling) -> Resumed {
    let order = token.order;
    let at = match order {
        IterationOrder::Forwards => token.next,
        IterationOrder::Backwards => token.next.saturating_add(1),
    };
    filling.move_to(at, token.end, None);
    let mut missed = None;
    if let Some(place) = &token.place
        && !filling.is_done()
    {
        let mut frames = Frames::new(list, place, order, token.page_bytes);
        let outcome = frames.read(port, filling).await;
        if filling.is_full() {
            let place = if matches!(outcome, Outcome::Ended) { None } else { Some(frames.place()) };
            return full(token, place, filling);
        }
        missed = matches!(outcome, Outcome::Gone).then_some(frames.object);
    }
    if filling.is_done() {
        return ended(order);
    }
    let mut view = View::of_index(port, list, token.index);
    view.scans = true;
    match read_on(&mut view, token, filling, missed).await {
        Err(_) => Resumed::Onward { missed: true },
        Ok(()) => full(token, view.place(order, filling.next()), filling),
    }
}

/// Reads on in the token's snapshot: through its index, then through its newest commit's table; backwards the other
/// way round. `missed`: the object where nothing was found at the token's place.
async fn read_on(view: &mut View, token: &Token, filling: &mut Filling, missed: Option<String>) -> Result<(), Miss> {
    if view.index().is_some() {
        view.open_head().await?;
    }
    if filling.next() >= view.index_end() {
        view.open_newest(&token.newest).await?;
    }
    if let Some(object) = missed {
        // What the place could not bring may only be missing because its object ends there.
        view.prepare(filling.next()).await?;
        let now = view.place(token.order, filling.next());
        if now.as_ref().is_none_or(|now| same_object(now, token.place.as_ref())) {
            return Err(Miss::Gone { object });
        }
    }
    if token.order == IterationOrder::Forwards && view.newest.is_none() {
        filling.move_to(filling.at(), token.end.min(view.index_end()), None);
        fill(view, filling).await?;
        filling.move_to(filling.at(), token.end, None);
        if filling.is_done() {
            return Ok(());
        }
        view.open_newest(&token.newest).await?;
    }
    fill(view, filling).await
}

/// A full page that was read without a Load. Where it ends with its snapshot, only a Load knows whether the list does.
fn full(token: &Token, place: Option<Place>, filling: &Filling) -> Resumed {
    if filling.is_at_limit() {
        return ended(token.order);
    }
    Resumed::Page(Some(Token { next: filling.next(), place, page_bytes: filling.next_page_bytes(), ..*token }))
}

fn ended(order: IterationOrder) -> Resumed {
    match order {
        IterationOrder::Forwards => Resumed::Onward { missed: false },
        IterationOrder::Backwards => Resumed::Page(None),
    }
}

fn same_object(one: &Place, other: Option<&Place>) -> bool {
    match (one, other) {
        (Place::Segment { id, .. }, Some(Place::Segment { id: other, .. })) => id == other,
        (Place::Commit { seq, owner, .. }, Some(Place::Commit { seq: other, owner: other_owner, .. })) => {
            seq == other && owner == other_owner
        }
        _ => false,
    }
}

/// How reading an object frame by frame ended.
enum Outcome {
    /// The page is done.
    Done,
    /// No more blocks in this direction.
    Ended,
    /// The object is not there, or not what the token says.
    Gone,
}

/// An object that is read block by block without its directory.
struct Frames {
    list: ListHash,
    object: String,
    cache: Cache,
    owner: BlockOwner,
    order: IterationOrder,
    /// The token's place; what has been read moves it.
    place: Place,
    ask: u64,
}

impl Frames {
    fn new(list: &ListName, place: &Place, order: IterationOrder, page_bytes: u32) -> Self {
        let page_bytes = u64::from(page_bytes);
        let (object, cache, owner) = match place {
            Place::Segment { id, .. } => {
                (list.segment(*id), Cache::Immutable, BlockOwner::of_segment(&list.hash(), id))
            }
            Place::Commit { seq, owner, .. } => (list.commit(*seq), Cache::Etag, *owner),
        };
        let ask = (page_bytes + page_bytes / 16).clamp(MIN_ASK_BYTES, MAX_ASK_BYTES);
        Self { list: list.hash(), object, cache, owner, order, place: *place, ask }
    }

    fn position(&self) -> u64 {
        match self.place {
            Place::Segment { position, .. } | Place::Commit { position, .. } => position,
        }
    }

    fn move_to(&mut self, to: u64) {
        match &mut self.place {
            Place::Segment { position, .. } | Place::Commit { position, .. } => *position = to,
        }
    }

    fn place(&self) -> Place {
        self.place
    }

    async fn read(&mut self, port: &Port, filling: &mut Filling) -> Outcome {
        let mut any = false;
        // Bytes next to the position that have been fetched and do not make up a block yet.
        let mut rest = Bytes::new();
        loop {
            let Some(range) = self.range(rest.len() as u64) else {
                return if any { Outcome::Ended } else { Outcome::Gone };
            };
            let get = crate::plan::Request::Get { name: self.object.clone(), range: Some(range), cache: self.cache };
            let Answer::Got(object) = port.send_one(get).await else {
                return if any && rest.is_empty() { Outcome::Ended } else { Outcome::Gone };
            };
            let short = (object.body.len() as u64) < range.end - range.start;
            let object_ends = match self.order {
                IterationOrder::Forwards => short || object.size.is_some_and(|size| size <= range.end),
                // The position lies within the object that the token knew: this is another one, such as a stub.
                IterationOrder::Backwards if short => return Outcome::Gone,
                IterationOrder::Backwards => range.start == 0,
            };
            rest = self.join(rest, object.body);
            match self.take_all(&mut rest, filling, &mut any) {
                Some(Outcome::Done) if self.ends_at(&rest, filling, object_ends) => return Outcome::Ended,
                Some(Outcome::Gone) if !any && self.is_header(&rest) => return Outcome::Ended,
                Some(outcome) => return outcome,
                None if !object_ends => {}
                None if any => return Outcome::Ended,
                None if self.is_header(&rest) => return Outcome::Ended,
                None => return Outcome::Gone,
            }
            self.ask = self.length_of_next(&rest).unwrap_or(self.ask).max(MIN_ASK_BYTES);
        }
    }

    /// The bytes to ask for beyond those at hand.
    fn range(&self, have: u64) -> Option<ByteRange> {
        match self.order {
            IterationOrder::Forwards => {
                let start = self.position().checked_add(have)?;
                let end = start.checked_add(self.ask)?;
                Some(ByteRange { start, end, read_ahead: end.max(start.saturating_add(READ_AHEAD_BYTES)) })
            }
            IterationOrder::Backwards => {
                let end = self.position().checked_sub(have).filter(|&end| end > 0)?;
                let start = end.saturating_sub(self.ask);
                Some(ByteRange { start, end, read_ahead: start.min(end.saturating_sub(READ_AHEAD_BYTES)) })
            }
        }
    }

    fn join(&self, rest: Bytes, more: Bytes) -> Bytes {
        if rest.is_empty() {
            return more;
        }
        let (first, second) = if self.order == IterationOrder::Forwards { (rest, more) } else { (more, rest) };
        let mut joined = BytesMut::with_capacity(first.len() + second.len());
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&second);
        joined.freeze()
    }

    /// Takes the blocks at hand; `None` where more bytes are needed.
    fn take_all(&mut self, rest: &mut Bytes, filling: &mut Filling, any: &mut bool) -> Option<Outcome> {
        loop {
            let block = match self.next_block(rest) {
                Ok(Some(block)) => block,
                Ok(None) => return None,
                // In front of the first block there is a header, and behind a commit's own blocks its carried ones.
                Err(_) => return Some(if *any { Outcome::Ended } else { Outcome::Gone }),
            };
            // The object is there, and is the token's: the next item is elsewhere.
            if !holds(&block, filling.next()) {
                return Some(Outcome::Ended);
            }
            let Ok(items) = block.items() else { return Some(Outcome::Gone) };
            filling.note_block(block.first..block.first.saturating_add(u64::from(block.count)), block.length);
            if !filling.take(items) {
                return Some(Outcome::Gone);
            }
            *any = true;
            let passed = match self.order {
                IterationOrder::Forwards => filling.at() > block.first + u64::from(block.count) - 1,
                IterationOrder::Backwards => filling.at() <= block.first,
            };
            if passed {
                let length = u64::from(block.length);
                let taken = usize::try_from(block.length).unwrap_or(usize::MAX);
                match self.order {
                    IterationOrder::Forwards => {
                        self.move_to(self.position().saturating_add(length));
                        *rest = rest.slice(taken.min(rest.len())..);
                    }
                    IterationOrder::Backwards => {
                        self.move_to(self.position().saturating_sub(length));
                        *rest = rest.slice(..rest.len().saturating_sub(taken));
                    }
                }
            }
            if filling.is_done() {
                return Some(Outcome::Done);
            }
            if !passed {
                return Some(Outcome::Gone);
            }
        }
    }

    fn next_block(&self, rest: &Bytes) -> Result<Option<Block>, Malformed> {
        next_block(self.order, rest, self.owner)
    }

    /// Whether no block with the next item follows, as far as can be told from the bytes at hand.
    fn ends_at(&self, rest: &Bytes, filling: &Filling, object_ends: bool) -> bool {
        match self.next_block(rest) {
            Ok(Some(block)) => !holds(&block, filling.next()),
            Ok(None) => object_ends,
            Err(_) => true,
        }
    }

    /// Whether the bytes are the header of the very commit: backwards it ends there.
    fn is_header(&self, rest: &Bytes) -> bool {
        self.order == IterationOrder::Backwards
            && rest.len() as u64 == self.position()
            && CommitHeader::decode(rest, &self.list).is_ok_and(|header| header.owner() == self.owner)
    }

    /// What is missing of the block of which there is only a part.
    fn length_of_next(&self, rest: &Bytes) -> Option<u64> {
        let length = match self.order {
            IterationOrder::Forwards => rest.first_chunk::<4>(),
            IterationOrder::Backwards => rest.last_chunk::<4>(),
        };
        let length = u64::from(u32::from_le_bytes(*length?)).min(MAX_FRAME_BYTES as u64);
        Some(length.saturating_sub(rest.len() as u64))
    }
}

#[cfg(test)]
mod tests;
