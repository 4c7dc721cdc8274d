//! What a list is (DESIGN section 4): a vector of items. Everything here is the plainest way to say it.

use klstore_format::plan::read::Page;
use klstore_format::{Insertion, Item, ItemFilter, IterationOrder};
use std::ops::Range;

/// Value bytes after which a page is cut, unless it holds only one item.
const PAGE_VALUE_BYTES: usize = 8 << 20;

/// A list.
#[derive(Debug, Clone, Default)]
pub struct VecModel {
    /// Every item ever appended.
    pub items: Vec<Item>,
    /// The first live one.
    pub begin: u64,
    next_nonce: u128,
}

/// A page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPage<'a> {
    /// The items, in the order asked for.
    pub items: Vec<&'a Item>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<u64>,
}

impl VecModel {
    /// Appends item by item; what was appended.
    pub fn append(&mut self, insertions: &[Insertion], now: i64) -> Range<u64> {
        let first = self.next_offset();
        for insertion in insertions {
            if insertion.nonce.is_some_and(|nonce| nonce < self.next_nonce) {
                continue;
            }
            if let Some(nonce) = insertion.nonce {
                self.next_nonce = nonce + 1;
            }
            self.items.push(Item {
                offset: self.next_offset(),
                timestamp: insertion.timestamp.unwrap_or(now),
                nonce: insertion.nonce,
                value: insertion.value.clone(),
            });
        }
        first..self.next_offset()
    }

    /// Offset of the next item.
    pub fn next_offset(&self) -> u64 {
        self.items.len() as u64
    }

    /// The lowest nonce that is still taken.
    pub fn next_nonce(&self) -> u128 {
        self.next_nonce
    }
}

/// Where a page begins: forwards the offset of its first item, backwards one more.
pub fn start(items: &[Item], order: IterationOrder, filter: &ItemFilter) -> u64 {
    let end = items.len();
    let first = |matches: &dyn Fn(&Item) -> bool| items.iter().position(matches).unwrap_or(end) as u64;
    let end = end as u64;
    match order {
        IterationOrder::Forwards => {
            let offset = filter.start_offset.map_or(0, |offset| offset.min(end));
            let timestamp = filter.start_timestamp.map_or(0, |start| first(&|item| item.timestamp >= start));
            let nonce = filter.start_nonce.map_or(0, |start| first(&|item| item.nonce.is_some_and(|own| own >= start)));
            offset.max(timestamp).max(nonce)
        }
        IterationOrder::Backwards => {
            let offset = filter.start_offset.map_or(end, |offset| offset.saturating_add(1).min(end));
            let timestamp = filter.start_timestamp.map_or(end, |start| first(&|item| item.timestamp > start));
            let nonce =
                filter.start_nonce.map_or(end, |start| first(&|item| item.nonce.is_some_and(|own| own > start)));
            offset.min(timestamp).min(nonce)
        }
    }
}

/// The page that begins at `at` (as [`start`] says it).
pub fn page(items: &[Item], order: IterationOrder, at: u64, max_size: u64) -> ModelPage<'_> {
    live_page(items, 0, order, at, max_size)
}

/// The same where the items before `begin` have been trimmed.
pub fn live_page(items: &[Item], begin: u64, order: IterationOrder, at: u64, max_size: u64) -> ModelPage<'_> {
    let begin = begin as usize;
    let at = (at as usize).clamp(begin, items.len());
    match order {
        IterationOrder::Forwards => page_of(items[at..].iter(), order, max_size),
        IterationOrder::Backwards => page_of(items[begin..at].iter().rev(), order, max_size),
    }
}

/// As much of these as a page holds.
fn page_of<'a>(rest: impl Iterator<Item = &'a Item>, order: IterationOrder, max_size: u64) -> ModelPage<'a> {
    let mut page = Vec::new();
    let mut value_bytes = 0;
    for item in rest {
        value_bytes += item.value.len();
        let cut = value_bytes > PAGE_VALUE_BYTES && !page.is_empty();
        if page.len() as u64 == max_size || cut {
            let next = item.offset + u64::from(order == IterationOrder::Backwards);
            return ModelPage { items: page, next: Some(next) };
        }
        page.push(item);
    }
    ModelPage { items: page, next: None }
}

/// Compares a page that goes on from a continuation with a list that begins at `begin` now; where the next page goes
/// on. It goes on in the snapshot of the page before it, which began at `oldest_begin` or later: so it may show items
/// that have been trimmed since, until it finds them gone. Then it goes on with the live ones and counts what it missed.
pub fn compare_continued(
    list: &[Item],
    (oldest_begin, begin): (u64, u64),
    (order, at, max_size): (IterationOrder, u64, u64),
    page: &Page,
) -> Result<Option<u64>, String> {
    let has_continuation = page.continuation.is_some();
    let trimmed = page.trimmed_items;
    let at = at.min(list.len() as u64);
    if order == IterationOrder::Forwards {
        let missed = begin.checked_sub(trimmed).filter(|missed| trimmed == 0 || at <= *missed);
        let missed =
            missed.ok_or_else(|| format!("{trimmed} items missed from {at}, where the list begins at {begin}"))?;
        // Without a gap all that was trimmed was still there, or lies before `at`.
        let shown = if trimmed == 0 { at..list.len() as u64 } else { at..missed };
        let live = if trimmed == 0 { list.len() as u64 } else { begin };
        let items = list[shown.start as usize..shown.end as usize].iter().chain(&list[live as usize..]);
        let expected = page_of(items, order, max_size);
        // It misses something only after all that was still there.
        if trimmed > 0 && (page.items.len() as u64) < missed - at {
            return Err(format!("{trimmed} items missed from {missed} on, before those from {at} on were shown"));
        }
        compare(&expected, &page.items, has_continuation)?;
        return Ok(expected.next);
    }
    // Backwards it ends where its snapshot did, where the list does now, or where it found the rest gone.
    let end = match page.items.last() {
        _ if has_continuation => oldest_begin,
        Some(last) => last.offset,
        None => at,
    };
    if end > begin && !has_continuation || end < oldest_begin {
        return Err(format!("ended at {end}, where the list begins at {begin} and began at {oldest_begin}"));
    }
    if trimmed > begin - oldest_begin {
        return Err(format!("{trimmed} items missed, where the list begins at {begin} and began at {oldest_begin}"));
    }
    let expected = live_page(list, end, order, at, max_size);
    compare(&expected, &page.items, has_continuation)?;
    Ok(expected.next)
}

/// Compares a page that was read with what the model says; the difference in words.
pub fn compare(expected: &ModelPage<'_>, items: &[Item], has_continuation: bool) -> Result<(), String> {
    let expected_offsets: Vec<u64> = expected.items.iter().map(|item| item.offset).collect();
    let offsets: Vec<u64> = items.iter().map(|item| item.offset).collect();
    if offsets != expected_offsets {
        return Err(format!("read offsets {}, expected {}", brief(&offsets), brief(&expected_offsets)));
    }
    for (item, expected) in items.iter().zip(&expected.items) {
        if item != *expected {
            return Err(format!("read {}, expected {}", show(item), show(expected)));
        }
    }
    if has_continuation != expected.next.is_some() {
        return Err(format!("a continuation: {has_continuation}, but the next page begins at {:?}", expected.next));
    }
    Ok(())
}

fn brief(offsets: &[u64]) -> String {
    match offsets {
        [first, .., last] if offsets.len() > 8 => format!("{first} .. {last} ({} items)", offsets.len()),
        _ => format!("{offsets:?}"),
    }
}

fn show(item: &Item) -> String {
    let value = String::from_utf8_lossy(&item.value[..item.value.len().min(24)]).into_owned();
    let bytes = item.value.len();
    format!("item {} at {} with nonce {:?} and {bytes} bytes `{value}`", item.offset, item.timestamp, item.nonce)
}
