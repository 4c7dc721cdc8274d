//! What must hold of an answer whatever the objects were that it was made of.

use klstore_format::limits::MAX_PAGE_VALUE_BYTES;
use klstore_format::plan::timeline::Timeline;
use klstore_format::{Item, IterationOrder};

/// A page keeps its bounds.
pub fn page(items: &[Item], order: IterationOrder, max_size: u64) {
    assert!(items.len() as u64 <= max_size, "{} items in a page of {max_size}", items.len());
    let bytes: usize = items.iter().map(|item| item.value.len()).sum();
    assert!(bytes <= MAX_PAGE_VALUE_BYTES || items.len() == 1, "{bytes} bytes of values in a page");
    in_order(items, order);
}

/// Each item follows the one before it.
pub fn in_order(items: &[Item], order: IterationOrder) {
    for pair in items.windows(2) {
        let (before, after) = match order {
            IterationOrder::Forwards => (&pair[0], &pair[1]),
            IterationOrder::Backwards => (&pair[1], &pair[0]),
        };
        assert!(before.offset < after.offset, "item {} follows item {}", pair[1].offset, pair[0].offset);
    }
}

/// Its spans follow each other.
pub fn timeline(timeline: &Timeline) {
    assert!(timeline.first_offset <= timeline.next_offset);
    for pair in timeline.spans.windows(2) {
        let end = pair[0].first_offset.saturating_add(pair[0].item_count);
        assert!(end <= pair[1].first_offset, "spans overlap: {pair:?}");
    }
}
