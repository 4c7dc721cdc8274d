//! Following the live tail of a list (PROTOCOL rule 13).
//!
//! The name of the next commit is known, and a GET of it is twelve times cheaper than a LIST. What comes back may be
//! believed only where it is the same session's and no handover; everything else, and silence that lasts, is settled by
//! a Load. What a Load finds to have been added is read like any other page: the newest commit's carry or table brings
//! all of it, however many commits it was spread over.

use super::load::{Fetch, load, newest};
use super::metadata::require_keyspace;
use super::read::{Newest, PageRequest, READ_AHEAD_BYTES, read};
use super::{Answer, ByteRange, Cache, Plan, Port, Request};
use crate::error::FormatError;
use crate::item::{Item, ItemFilter, IterationOrder};
use crate::limits::{DEFAULT_MAX_RESULTS, MAX_HEADER_BYTES};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::block::decode_blocks;
use crate::wire::commit::CommitHeader;

/// So many polls in a row may find nothing before a Load makes sure: a 404 is also what a collected name answers.
pub const POLLS_PER_LOAD: u32 = 16;

/// So many commits one poll follows by their names at most, before it loads what is behind them: a LIST costs as much as
/// twelve GETs, and a list that gets a few commits between two polls never needs one.
const FOLLOWED_COMMITS: usize = 4;

/// Where following starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowStart {
    /// After the last item that is there at the first poll.
    End,
    /// At this item, whether it is there already or not. Items that have been trimmed are passed over.
    Offset(u64),
}

/// Follows a list: each poll returns the items that were added since the one before.
///
/// Nothing waits in here: the caller polls as often as it likes, and best again at once while polls return items.
#[derive(Debug, Clone)]
pub struct Follower {
    list: ListName,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Nothing was read yet, from the end on.
    AtEnd,
    /// There may be items from `next` on that have to be read page by page.
    Behind { next: u64, continuation: Option<String> },
    /// Everything up to a commit has been delivered.
    AtTail(Tail),
}

#[derive(Debug, Clone)]
struct Tail {
    /// The newest commit read; none where the list has none.
    last: Option<Newest>,
    /// The next item to deliver.
    next: u64,
    /// Polls since the last Load that found nothing.
    idle_polls: u32,
}

impl Tail {
    fn after(self, newest: Newest) -> Self {
        Self { next: newest.next_offset.max(self.next), last: Some(newest), idle_polls: 0 }
    }
}

impl Follower {
    /// A follower that has not read anything yet.
    ///
    /// ```
    /// use klstore_format::names::{ListName, Prefix};
    /// use klstore_format::plan::follow::{FollowStart, Follower};
    /// let list = ListName::new(&Prefix::new("")?, "rooms", "7")?;
    /// let follower = Follower::new(list, FollowStart::End);
    /// let plan = follower.poll(); // drive it, then poll the follower that it returns
    /// # drop(plan);
    /// # Ok::<(), klstore_format::NameError>(())
    /// ```
    pub fn new(list: ListName, start: FollowStart) -> Self {
        let state = match start {
            FollowStart::End => State::AtEnd,
            FollowStart::Offset(next) => State::Behind { next, continuation: None },
        };
        Self { list, state }
    }

    /// The same, to load anew at the next poll: call it after a pause, in which the next commit may have been written
    /// and collected.
    #[must_use]
    pub fn reload(mut self) -> Self {
        if let State::AtTail(tail) = &mut self.state {
            tail.idle_polls = POLLS_PER_LOAD;
        }
        self
    }

    /// The offset of the item to deliver next, where it is known.
    pub fn next_offset(&self) -> Option<u64> {
        match &self.state {
            State::AtEnd => None,
            State::Behind { next, .. } | State::AtTail(Tail { next, .. }) => Some(*next),
        }
    }

    /// Asks for what was added: one GET where that is nothing, and one more for each of a few commits of the same writer,
    /// which have at most [`DEFAULT_MAX_RESULTS`] items each. What is beyond them comes in pages: poll again for the rest.
    ///
    /// After an error the follower stands where it stood, and can be polled again.
    ///
    /// # Errors
    /// Those of [`read_page`](super::read::read_page).
    pub fn poll(self) -> Plan<(Self, Result<Vec<Item>, FormatError>)> {
        Plan::new(|port| async move {
            match step(&port, &self.list, self.state.clone()).await {
                Ok((state, items)) => (Self { list: self.list, state }, Ok(items)),
                Err(error) => (self, Err(error)),
            }
        })
    }
}

async fn step(port: &Port, list: &ListName, state: State) -> Result<(State, Vec<Item>), FormatError> {
    match state {
        State::AtEnd => {
            let last = load(port, list, Fetch::Header).await?.as_ref().map(Newest::of);
            if last.is_none() {
                require_keyspace(port, list).await?;
            }
            let next = last.as_ref().map_or(0, |last| last.next_offset);
            Ok((State::AtTail(Tail { last, next, idle_polls: 0 }), Vec::new()))
        }
        State::Behind { next, continuation } => catch_up(port, list, next, continuation).await,
        State::AtTail(tail) => poll_tail(port, list, tail).await,
    }
}

/// Reads one page of what is there from `next` on; at its end the follower is at the tail.
async fn catch_up(
    port: &Port,
    list: &ListName,
    next: u64,
    continuation: Option<String>,
) -> Result<(State, Vec<Item>), FormatError> {
    let request = PageRequest {
        list: list.clone(),
        order: IterationOrder::Forwards,
        max_size: DEFAULT_MAX_RESULTS,
        filter: ItemFilter { start_offset: Some(next), ..ItemFilter::default() },
        continuation,
    };
    let (page, newest) = read(port, &request).await?;
    let next = page.items.last().map_or(next, |last| last.offset.saturating_add(1));
    let state = match page.continuation {
        Some(continuation) => State::Behind { next, continuation: Some(continuation) },
        None => State::AtTail(Tail { last: newest, next, idle_polls: 0 }),
    };
    Ok((state, page.items))
}

async fn poll_tail(port: &Port, list: &ListName, mut tail: Tail) -> Result<(State, Vec<Item>), FormatError> {
    // Rule 13: a 404 proves nothing, so now and then a Load makes sure.
    if tail.idle_polls + 1 >= POLLS_PER_LOAD && rules::kept(Rule::FollowMissing) {
        if !moved_on(port, list, &tail).await? {
            tail.idle_polls = 0;
            return Ok((State::AtTail(tail), Vec::new()));
        }
        return catch_up(port, list, tail.next, None).await;
    }
    match next_commit(port, list, &tail).await {
        Next::Nothing => {
            tail.idle_polls = tail.idle_polls.saturating_add(1);
            Ok((State::AtTail(tail), Vec::new()))
        }
        Next::Items(newest, mut items) => {
            tail = tail.after(newest);
            for _ in 1..FOLLOWED_COMMITS {
                match next_commit(port, list, &tail).await {
                    Next::Nothing => return Ok((State::AtTail(tail), items)),
                    Next::Unproven => break,
                    Next::Items(newest, more) => {
                        items.extend(more);
                        tail = tail.after(newest);
                    }
                }
                if items.len() as u64 > DEFAULT_MAX_RESULTS {
                    break;
                }
            }
            // Rather than follow many one by one, read what the newest one knows of all.
            Ok((State::Behind { next: tail.next, continuation: None }, items))
        }
        Next::Unproven => catch_up(port, list, tail.next, None).await,
    }
}

/// What a GET of the next commit's name says.
enum Next {
    /// Not there, or not yet.
    Nothing,
    /// There, and proven to follow.
    Items(Newest, Vec<Item>),
    /// Something that a Load has to settle.
    Unproven,
}

async fn next_commit(port: &Port, list: &ListName, tail: &Tail) -> Next {
    let seq = match &tail.last {
        Some(last) => match last.commit.seq.checked_add(1) {
            Some(seq) => seq,
            None => return Next::Nothing,
        },
        None => 0,
    };
    let name = list.commit(seq);
    // The own blocks come first: the carried ones, which were delivered before, are not asked for.
    let first = Request::Get {
        name: name.clone(),
        range: Some(ByteRange::new(0, MAX_HEADER_BYTES as u64)),
        cache: Cache::Reload,
    };
    let Answer::Got(object) = port.send_one(first).await else { return Next::Nothing };
    // A stub, a corrupt or a newer commit: the Load finds out.
    let Ok(header) = CommitHeader::decode(&object.body, &list.hash()) else { return Next::Unproven };
    let same_session = tail.last.as_ref().is_some_and(|last| last.commit.session == header.commit.session);
    // Rule 13: only a commit of the same session that is no handover is proven to follow the last one read.
    let proven = header.commit.seq == seq && same_session && !header.commit.handover;
    if !proven && rules::kept(Rule::FollowSameSession) {
        return Next::Unproven;
    }
    let follows = tail.last.as_ref().map_or(0, |last| last.next_offset) == header.run.first;
    // What is longer than a page is handed out in pages.
    let long = header.run.count > DEFAULT_MAX_RESULTS || header.own_length() > READ_AHEAD_BYTES;
    let Some(etag) = object.etag else { return Next::Unproven };
    if !follows || long {
        return Next::Unproven;
    }
    let newest = Newest { commit: header.commit, next_offset: header.next_offset(), etag };
    let have = object.body.len() as u64;
    let body = if header.own_length() > have {
        let rest = Request::Get { name, range: Some(ByteRange::new(have, header.own_length())), cache: Cache::Reload };
        let Answer::Got(rest) = port.send_one(rest).await else { return Next::Unproven };
        [object.body, rest.body].concat().into()
    } else {
        object.body
    };
    let mut items = Vec::new();
    if decode_blocks(&body, 0, &header.own_blocks, header.owner(), &mut items).is_err() {
        return Next::Unproven;
    }
    items.retain(|item| item.offset >= tail.next);
    Next::Items(newest, items)
}

/// Whether the newest commit is another than the last one read: a LIST tells.
async fn moved_on(port: &Port, list: &ListName, tail: &Tail) -> Result<bool, FormatError> {
    let Answer::Listed(listing) = port.send_one(newest(list, None)).await else { return Ok(true) };
    Ok(match (listing.objects.first(), &tail.last) {
        (Some(listed), Some(last)) => listed.name != list.commit(last.commit.seq) || listed.etag != last.etag,
        (None, None) => false,
        _ => true,
    })
}
