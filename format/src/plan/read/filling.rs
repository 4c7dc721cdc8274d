//! A page in the making: which items come next, and when it is full.

use std::ops::Range;

use super::bound::Bound;
use crate::item::{Item, IterationOrder};
use crate::limits::MAX_PAGE_VALUE_BYTES;

/// The items of a page so far, and where reading goes on.
#[derive(Debug, Clone)]
pub(super) struct Filling {
    order: IterationOrder,
    max_size: u64,
    items: Vec<Item>,
    value_bytes: u64,
    blocks: Blocks,
    full: bool,
    /// Forwards the offset of the next item to read, backwards one more than it.
    at: u64,
    /// Where the list ends in this order: forwards its next offset, backwards its start.
    limit: u64,
    probe: Option<Probe>,
}

/// The blocks that were read for a page.
#[derive(Debug, Clone, Default)]
struct Blocks {
    count: u64,
    items: u64,
    bytes: u64,
    /// The offsets in the last one.
    last: Range<u64>,
}

/// A position that is only known to lie in a window until the window's items have been read.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// The first items that meet the bounds have offsets in here.
    pub(super) window: Range<u64>,
    /// What marks the position.
    pub(super) bounds: Vec<Bound>,
    /// Forwards the page starts no earlier, backwards it starts below.
    pub(super) beyond: u64,
    /// The items of the window that have been read.
    held: Vec<Item>,
}

impl Probe {
    pub(super) fn new(window: Range<u64>, bounds: Vec<Bound>, beyond: u64) -> Self {
        Self { window, bounds, beyond, held: Vec::new() }
    }

    fn position(&self, order: IterationOrder) -> u64 {
        let mut items = self.held.iter().filter(|item| self.window.contains(&item.offset));
        match order {
            IterationOrder::Forwards => {
                let firsts = self.bounds.iter().map(|bound| {
                    let first = items.clone().find(|item| bound.met_by(item));
                    first.map_or(self.window.end, |item| item.offset)
                });
                firsts.fold(self.beyond, u64::max)
            }
            IterationOrder::Backwards => {
                let first = items.find(|item| self.bounds.iter().any(|bound| bound.met_by(item)));
                first.map_or(self.window.end, |item| item.offset).min(self.beyond)
            }
        }
    }
}

/// How much more a page may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    /// Items.
    pub(super) items: u64,
    /// Bytes of their values.
    pub(super) value_bytes: u64,
}

impl Want {
    pub(super) fn is_nothing(self) -> bool {
        self.items == 0 || self.value_bytes == 0
    }

    /// What is wanted once so many items of this average size are there.
    pub(super) fn less(self, items: u64, average_value_bytes: u64) -> Self {
        Self {
            items: self.items.saturating_sub(items),
            value_bytes: self.value_bytes.saturating_sub(items.saturating_mul(average_value_bytes)),
        }
    }
}

impl Filling {
    /// An empty page that starts and ends at 0.
    pub(super) fn new(order: IterationOrder, max_size: u64) -> Self {
        Self {
            order,
            max_size,
            items: Vec::new(),
            value_bytes: 0,
            blocks: Blocks::default(),
            full: false,
            at: 0,
            limit: 0,
            probe: None,
        }
    }

    /// Goes on at `at`, up to `limit`.
    pub(super) fn move_to(&mut self, at: u64, limit: u64, probe: Option<Probe>) {
        self.at = at;
        self.limit = limit;
        self.probe = probe;
    }

    /// Takes the next items, in order of offsets; those that were passed already are ignored. `false`: they do not
    /// follow, and nothing was taken.
    pub(super) fn take(&mut self, mut items: Vec<Item>) -> bool {
        match self.order {
            IterationOrder::Forwards => {
                let passed = items.partition_point(|item| item.offset < self.at);
                items.drain(..passed);
            }
            IterationOrder::Backwards => items.truncate(items.partition_point(|item| item.offset < self.at)),
        }
        let next = match self.order {
            IterationOrder::Forwards => items.first().map(|item| item.offset),
            IterationOrder::Backwards => items.last().and_then(|item| item.offset.checked_add(1)),
        };
        if next != Some(self.at) {
            return false;
        }
        if let Some(probe) = &mut self.probe {
            let complete = match self.order {
                IterationOrder::Forwards => {
                    self.at = items.last().map_or(self.at, |item| item.offset.saturating_add(1));
                    probe.held.append(&mut items);
                    self.at >= probe.window.end
                }
                IterationOrder::Backwards => {
                    self.at = items.first().map_or(self.at, |item| item.offset);
                    items.append(&mut probe.held);
                    probe.held = items;
                    self.at <= probe.window.start
                }
            };
            if !complete {
                return true;
            }
            self.at = probe.position(self.order);
            items = std::mem::take(&mut probe.held);
            self.probe = None;
        }
        self.deliver(items);
        true
    }

    /// Puts what follows the position into the page, until it is full.
    fn deliver(&mut self, items: Vec<Item>) {
        match self.order {
            IterationOrder::Forwards => {
                for item in items {
                    if item.offset >= self.at && !self.is_done() && self.fits(&item) {
                        self.at = item.offset.saturating_add(1);
                        self.push(item);
                    }
                }
            }
            IterationOrder::Backwards => {
                for item in items.into_iter().rev() {
                    if item.offset < self.at && !self.is_done() && self.fits(&item) {
                        self.at = item.offset;
                        self.push(item);
                    }
                }
            }
        }
    }

    /// A page is cut before the item that would take it over the cap, but never before its first.
    fn fits(&mut self, item: &Item) -> bool {
        let value_bytes = self.value_bytes.saturating_add(item.value.len() as u64);
        self.full = !self.items.is_empty() && value_bytes > MAX_PAGE_VALUE_BYTES as u64;
        !self.full
    }

    fn push(&mut self, item: Item) {
        self.value_bytes = self.value_bytes.saturating_add(item.value.len() as u64);
        self.items.push(item);
        self.full = self.items.len() as u64 >= self.max_size;
    }

    /// Passes over items without delivering them.
    pub(super) fn skip_to(&mut self, at: u64) {
        self.at = at;
    }

    /// Notes a block that was read.
    pub(super) fn note_block(&mut self, offsets: Range<u64>, length: u32) {
        self.blocks.count += 1;
        self.blocks.items = self.blocks.items.saturating_add(offsets.end.saturating_sub(offsets.start));
        self.blocks.bytes = self.blocks.bytes.saturating_add(u64::from(length));
        self.blocks.last = offsets;
    }

    /// Stored bytes that the next page will probably take: whole blocks, from the one on that this page ended in.
    pub(super) fn next_page_bytes(&self) -> u32 {
        let Blocks { count, items, bytes, last } = &self.blocks;
        let delivered = match self.order {
            IterationOrder::Forwards => self.at.saturating_sub(last.start),
            IterationOrder::Backwards => last.end.saturating_sub(self.at),
        };
        let delivered = if last.contains(&self.next()) { delivered } else { 0 };
        let wanted = delivered.saturating_add(self.items.len() as u64);
        // Blocks differ: a sixteenth more, before rounding up.
        let blocks = wanted.saturating_add(wanted / 16).saturating_mul(*count).div_ceil((*items).max(1));
        u32::try_from(blocks.saturating_mul(bytes / (*count).max(1))).unwrap_or(u32::MAX)
    }

    /// Whether the page is full.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether nothing more is to be read: the page is full, or the list ends here.
    pub(super) fn is_done(&self) -> bool {
        self.full || (self.probe.is_none() && self.is_at_limit())
    }

    /// Whether the position is open until more items have been read.
    pub(super) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Whether the list ends here.
    pub(super) fn is_at_limit(&self) -> bool {
        match self.order {
            IterationOrder::Forwards => self.at >= self.limit,
            IterationOrder::Backwards => self.at <= self.limit,
        }
    }

    /// How much more to read: what the page takes, and what of the window may lie before it.
    pub(super) fn want(&self) -> Want {
        let unknown = self.probe.as_ref().map_or(0, |probe| {
            let length = probe.window.end.saturating_sub(probe.window.start);
            length.saturating_sub(u64::from(self.order == IterationOrder::Forwards))
        });
        let items = self.max_size.saturating_sub(self.items.len() as u64).saturating_add(unknown);
        Want { items, value_bytes: (MAX_PAGE_VALUE_BYTES as u64).saturating_sub(self.value_bytes).max(1) }
    }

    /// Forwards the offset of the next item to read, backwards one more than it.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The offset of the next item to read.
    pub(super) fn next(&self) -> u64 {
        match self.order {
            IterationOrder::Forwards => self.at,
            IterationOrder::Backwards => self.at.saturating_sub(1),
        }
    }

    /// Where reading has to stop at the latest: the limit, or further where the window is.
    pub(super) fn stop(&self) -> u64 {
        match (&self.probe, self.order) {
            (Some(probe), IterationOrder::Forwards) => self.limit.max(probe.window.end),
            (Some(probe), IterationOrder::Backwards) => self.limit.min(probe.window.start),
            (None, _) => self.limit,
        }
    }

    pub(super) fn order(&self) -> IterationOrder {
        self.order
    }

    pub(super) fn into_items(self) -> Vec<Item> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn items(range: Range<u64>, value: &Bytes) -> Vec<Item> {
        range.map(|offset| Item { offset, timestamp: 0, nonce: None, value: value.clone() }).collect()
    }

    #[test]
    fn a_page_holds_8_mib_of_values_and_no_byte_more() {
        for (value_bytes, held) in [(2 << 20, 4), ((2 << 20) + 1, 3)] {
            let mut filling = Filling::new(IterationOrder::Forwards, 10);
            filling.move_to(0, 10, None);
            assert!(filling.take(items(0..10, &vec![0; value_bytes].into())));
            assert!(filling.is_full());
            assert_eq!((filling.at(), filling.into_items().len()), (held, held as usize));
        }
    }

    #[test]
    fn the_next_page_probably_takes_a_sixteenth_more_in_whole_blocks() {
        // Blocks of 10 items and 500 bytes.
        let take = |order, size, blocks: Vec<u64>| {
            let mut filling = Filling::new(order, size);
            let at = match order {
                IterationOrder::Forwards => blocks[0] * 10,
                IterationOrder::Backwards => blocks[0] * 10 + 10,
            };
            filling.move_to(at, if order == IterationOrder::Forwards { 1_000 } else { 0 }, None);
            for block in blocks {
                let offsets = block * 10..block * 10 + 10;
                filling.note_block(offsets.clone(), 500);
                assert!(filling.take(items(offsets, &Bytes::new())));
            }
            filling.next_page_bytes()
        };
        // 320 items again, and 20: 34 blocks.
        assert_eq!(take(IterationOrder::Forwards, 320, (0..32).collect()), 34 * 500);
        assert_eq!(take(IterationOrder::Backwards, 320, (8..40).rev().collect()), 34 * 500);
        // 325 items, 20, and the 5 that its last block has delivered already.
        assert_eq!(take(IterationOrder::Forwards, 325, (0..33).collect()), 35 * 500);
        assert_eq!(take(IterationOrder::Backwards, 325, (7..40).rev().collect()), 35 * 500);
    }

    #[test]
    fn while_the_start_is_open_the_window_is_wanted_too() {
        // Forwards the last item of the window may be the page's first, backwards the first one may be just beyond it.
        for (order, wanted) in [(IterationOrder::Forwards, 5 + 9), (IterationOrder::Backwards, 5 + 10)] {
            let mut filling = Filling::new(order, 5);
            filling.move_to(20, 100, Some(Probe::new(20..30, vec![Bound::TimestampAtLeast(1)], 0)));
            assert_eq!(filling.want().items, wanted);
            filling.move_to(20, 100, None);
            assert_eq!(filling.want().items, 5);
        }
    }
}
