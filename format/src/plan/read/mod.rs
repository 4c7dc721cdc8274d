//! Reading a page: from a start position or a continuation token to the items and the next token.
//!
//! A page is read in at most two stages. A token is first followed where it points (`resume`): no LIST, mostly one
//! GET. What is left, or everything where there is no token, is read in the snapshot of a Load: `seek` finds where to
//! start, `round` gets the blocks. Whatever is missing or different there means that the snapshot is old: start over
//! from Load (PROTOCOL rule 12).

mod bound;
#[cfg(test)]
pub(crate) mod budget_tests;
mod filling;
mod frames;
mod resume;
mod round;
mod seek;
#[cfg(test)]
pub(crate) mod test_list;
#[cfg(test)]
mod tests;
mod view;

use crate::error::{CorruptObject, FormatError};
use crate::item::{Item, ItemFilter, IterationOrder};
use crate::limits::{MAX_PAGE_ITEMS, MAX_RESTARTS};
use crate::names::ListName;
use crate::plan::load::{Fetch, Snapshot, load, reload};
use crate::plan::metadata::require_keyspace;
use crate::plan::{Plan, Port};
use crate::rules::{self, Rule};
use crate::wire::identity::CommitIdentity;
use crate::wire::token::{NewestCommit, Token};

use filling::Filling;
use resume::{Resumed, resume};
pub(super) use round::READ_AHEAD_BYTES;
use round::fill;
use seek::seek;
use view::View;

/// With the same newest commit, an object that was missing so often is lost, not replaced.
const MAX_LOOKS_FOR_LOST: u32 = 3;

/// What page of which list to read.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The list.
    pub list: ListName,
    /// In which order.
    pub order: IterationOrder,
    /// Items at most: at least 1; more than [`MAX_PAGE_ITEMS`] count as that many.
    pub max_size: u64,
    /// Where to start. Ignored beside a continuation.
    pub filter: ItemFilter,
    /// What the page before returned, to read on from there.
    pub continuation: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The items, in the order asked for.
    pub items: Vec<Item>,
    /// Where to read on; `None` at the end of the list.
    pub continuation: Option<String>,
    /// 1 where an object that the continuation points to was gone, so that the page was found by its offset.
    pub continuation_misses: u64,
    /// Items that the continuation would have shown but that have been trimmed since.
    pub trimmed_items: u64,
}

/// Reads a page. It ends after `max_size` items, before the item that would make its values more than 8 MiB (but holds
/// at least one), or with the list: never where an object happens to end.
///
/// # Errors
/// [`FormatError::EmptyPage`] and [`FormatError::InvalidContinuation`] before any request;
/// [`FormatError::KeyspaceNotFound`]; [`FormatError::Corrupt`] where an object is damaged or lost;
/// [`FormatError::Contended`] where the list did not hold still.
pub fn read_page(request: PageRequest) -> Plan<Result<Page, FormatError>> {
    Plan::new(|port| async move { read(&port, &request).await.map(|(page, _)| page) })
}

/// The continuation of a page that begins up to so many items behind where the one of `continuation` does, in the same
/// snapshot, and how many: no further than the snapshot's last item. `None` where the snapshot ends there. So pages that
/// follow each other can be read at the same time.
///
/// # Errors
/// [`FormatError::InvalidContinuation`].
pub fn skip(
    list: &ListName,
    order: IterationOrder,
    continuation: &str,
    items: u64,
) -> Result<Option<(String, u64)>, FormatError> {
    let token = Token::decode(continuation, &list.hash(), order)?;
    Ok(token.skip(items).map(|(token, skipped)| (token.encode(&list.hash()), skipped)))
}

/// The newest commit as the Load within a read found it.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    pub(super) commit: CommitIdentity,
    pub(super) next_offset: u64,
    pub(super) etag: String,
}

impl Newest {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let header = &snapshot.header;
        Self { commit: header.commit, next_offset: header.next_offset(), etag: snapshot.etag.clone() }
    }
}

/// Reads a page, and says what it was read in if that took a Load.
pub(super) async fn read(port: &Port, request: &PageRequest) -> Result<(Page, Option<Newest>), FormatError> {
    if request.max_size == 0 {
        return Err(FormatError::EmptyPage);
    }
    let asked = if rules::kept(Rule::PageSize) { request.max_size } else { MAX_PAGE_ITEMS };
    let mut filling = Filling::new(request.order, asked.min(MAX_PAGE_ITEMS));
    let mut page = Page::default();
    let token = match &request.continuation {
        Some(text) => Some(Token::decode(text, &request.list.hash(), request.order)?),
        None => None,
    };
    if let Some(token) = &token {
        match resume(port, &request.list, token, &mut filling).await {
            Resumed::Page(next) => {
                page.continuation = next.map(|next| next.encode(&request.list.hash()));
                page.items = filling.into_items();
                return Ok((page, None));
            }
            Resumed::Onward { missed } => page.continuation_misses = u64::from(missed),
        }
    }
    read_loaded(port, request, token, filling, page).await
}

/// Reads the rest of a page in the snapshot of a Load.
async fn read_loaded(
    port: &Port,
    request: &PageRequest,
    token: Option<Token>,
    resumed: Filling,
    mut page: Page,
) -> Result<(Page, Option<Newest>), FormatError> {
    let list = &request.list;
    let mut history = History::default();
    let mut reused = None;
    for _ in 0..MAX_RESTARTS {
        let snapshot = match reused.take() {
            Some(snapshot) => Some(snapshot),
            None if history.damaged > 0 => reload(port, list, fetch(request)).await?,
            None => load(port, list, fetch(request)).await?,
        };
        let Some(snapshot) = snapshot else {
            require_keyspace(port, list).await?;
            page.items = resumed.into_items();
            return Ok((page, None));
        };
        let newest = Newest::of(&snapshot);
        let mut view = View::of_snapshot(port, list, snapshot.clone());
        view.reload = history.missed();
        view.scans = token.is_some();
        let mut filling = resumed.clone();
        let attempt = match &token {
            Some(token) => {
                page.trimmed_items = go_on(&snapshot, token, &mut filling);
                Ok(())
            }
            None => seek(&mut view, &request.filter, &mut filling).await,
        };
        let attempt = match attempt {
            Ok(()) => fill(&mut view, &mut filling).await,
            missed => missed,
        };
        match attempt {
            Ok(()) => {
                let next = (!filling.is_at_limit()).then(|| next_token(&snapshot, &view, &filling));
                page.continuation = next.map(|next| next.encode(&list.hash()));
                page.items = filling.into_items();
                return Ok((page, Some(newest)));
            }
            // Rule 12: start over from Load, not just the GET again: the object may be gone for good.
            Err(miss) => history.note(miss, &newest.etag)?,
        }
        if !rules::kept(Rule::ReadRestartsFromLoad) {
            reused = Some(snapshot);
        }
    }
    Err(FormatError::Contended { list: list.to_string(), attempts: MAX_RESTARTS })
}

/// A start in the middle needs little of the newest commit; the ends of a list may be all in it.
fn fetch(request: &PageRequest) -> Fetch {
    let anywhere = request.filter == ItemFilter::default() && request.continuation.is_none();
    if anywhere { Fetch::Small } else { Fetch::Header }
}

/// Goes on by offset in a new snapshot; returns how many items have been trimmed since.
fn go_on(snapshot: &Snapshot, token: &Token, filling: &mut Filling) -> u64 {
    let (start, end) = (snapshot.header.start, snapshot.header.next_offset());
    // A token beyond the list's end is at its end: the bucket was emptied meanwhile, or the token is forged.
    let at = filling.at().min(end);
    match token.order {
        IterationOrder::Forwards => {
            filling.move_to(at.max(start), end, None);
            start.saturating_sub(at)
        }
        IterationOrder::Backwards => {
            filling.move_to(at, start, None);
            start.min(at).saturating_sub(token.end)
        }
    }
}

fn next_token(snapshot: &Snapshot, view: &View, filling: &Filling) -> Token {
    let header = &snapshot.header;
    Token {
        order: filling.order(),
        next: filling.next(),
        end: match filling.order() {
            IterationOrder::Forwards => header.next_offset(),
            IterationOrder::Backwards => header.start,
        },
        newest: NewestCommit { seq: header.commit.seq, owner: header.owner() },
        index: header.index,
        place: view.place(filling.order(), filling.next()),
        page_bytes: filling.next_page_bytes(),
    }
}

/// Why a read has to start over.
#[derive(Debug)]
enum Miss {
    /// An object is gone, or another one stands in its place.
    Gone {
        /// Its name.
        object: String,
    },
    /// An object is there and is not what it should be.
    Damaged(FormatError),
}

/// What went wrong in a read so far.
#[derive(Debug, Default)]
struct History {
    /// The newest commit's ETag and the object that was missing, and how often in a row.
    lost: Option<(String, String, u32)>,
    damaged: u32,
    misses: u32,
}

impl History {
    fn missed(&self) -> bool {
        self.misses > 0
    }

    /// Notes a miss; an error where starting over will not help.
    fn note(&mut self, miss: Miss, etag: &str) -> Result<(), FormatError> {
        self.misses += 1;
        match miss {
            // Once from a cache, once because the list moved: then it is damaged.
            Miss::Damaged(error) => {
                self.damaged += 1;
                if self.damaged >= MAX_LOOKS_FOR_LOST { Err(error) } else { Ok(()) }
            }
            Miss::Gone { object } => {
                let looks = match self.lost.take() {
                    Some((same_etag, same_object, looks)) if same_etag == etag && same_object == object => looks + 1,
                    _ => 1,
                };
                if looks >= MAX_LOOKS_FOR_LOST && rules::kept(Rule::ReadRestartsFromLoad) {
                    let reason =
                        "it is missing or another object stands in its place, though the newest commit refers to it";
                    return Err(CorruptObject { object, reason }.into());
                }
                self.lost = Some((etag.to_owned(), object, looks));
                Ok(())
            }
        }
    }
}
