//! Finding where a page starts: by halves over index pages, table and block directories, down to one block.

use std::ops::Range;

use super::Miss;
use super::bound::Bound;
use super::filling::{Filling, Probe};
use super::view::View;
use crate::item::{ItemFilter, IterationOrder};
use crate::limits::{MAX_HEADER_BYTES, WHOLE_COMMIT_BYTES};
use crate::plan::{Answer, ByteRange, Cache};
use crate::rules::{self, Rule};
use crate::wire::block::BlockEntry;
use crate::wire::commit::{CommitHeader, TableEntry};
use crate::wire::head::IndexEntry;
use crate::wire::run::Run;

/// Moves an empty page to where the filter puts its begin. Positions are over all items ever appended, and only then
/// limited to the live ones.
pub(super) async fn seek(view: &mut View, filter: &ItemFilter, filling: &mut Filling) -> Result<(), Miss> {
    let Some(newest) = view.newest.clone() else { return Ok(()) };
    let start = if rules::kept(Rule::ReadFromStart) { newest.start } else { 0 };
    let end = newest.next_offset();
    let order = filling.order();
    let mut found: Vec<(Range<u64>, Bound)> = Vec::new();
    for bound in Bound::of_filter(filter, order) {
        // Without such an item the position is the end of the list: forwards nothing, backwards no restriction.
        found.push((window(view, &newest, bound).await?.unwrap_or(end..end), bound));
    }
    let (beyond, limit) = match order {
        IterationOrder::Forwards => (filter.start_offset.unwrap_or(0).clamp(start, end), end),
        IterationOrder::Backwards => {
            (filter.start_offset.map_or(end, |offset| offset.saturating_add(1).min(end)), start)
        }
    };
    // The strictest counts: of several windows the one furthest in this order. Windows are parts of the same blocks
    // and commits, so they are equal or have nothing in common.
    let windows = found.iter().map(|(window, _)| window.clone());
    let strictest = match order {
        IterationOrder::Forwards => windows.max_by_key(|window| (window.start, window.end)),
        IterationOrder::Backwards => windows.min_by_key(|window| (window.start, window.end)),
    };
    let Some(window) = strictest else {
        filling.move_to(beyond, limit, None);
        return Ok(());
    };
    let bounds = found.into_iter().filter(|(other, _)| *other == window).map(|(_, bound)| bound).collect();
    let decided = match order {
        IterationOrder::Forwards => window.is_empty() || beyond >= window.end,
        IterationOrder::Backwards => window.is_empty() || beyond <= window.start || window.end <= limit,
    };
    match (order, decided) {
        (IterationOrder::Forwards, true) => filling.move_to(beyond.max(window.start), limit, None),
        (IterationOrder::Backwards, true) => filling.move_to(beyond.min(window.start.max(limit)), limit, None),
        (IterationOrder::Forwards, false) => {
            filling.move_to(window.start, limit, Some(Probe::new(window, bounds, beyond)));
        }
        (IterationOrder::Backwards, false) => {
            filling.move_to(window.end, limit, Some(Probe::new(window, bounds, beyond)));
        }
    }
    Ok(())
}

/// The offsets among which the first item that meets the bound is; `None` where no item does.
async fn window(view: &mut View, newest: &CommitHeader, bound: Bound) -> Result<Option<Range<u64>>, Miss> {
    let reached = |run: &Run| bound.reached(run.running_max_timestamp, run.next_nonce);
    if !reached(&newest.run) {
        return Ok(None);
    }
    if view.index_end() > 0 && reached(&newest.before) {
        return window_in_index(view, bound).await.map(Some);
    }
    match newest.table.get(newest.table.partition_point(|entry| !reached(&entry.run))) {
        Some(entry) => window_in_table(view, newest, entry, bound).await.map(Some),
        None => Ok(Some(narrow(&newest.own_blocks, &newest.run, bound))),
    }
}

/// The window within what comes before the first entry of the table, where the bound is reached.
async fn window_in_index(view: &mut View, bound: Bound) -> Result<Range<u64>, Miss> {
    view.open_head().await?;
    let unreached = view.damaged_newest("its index does not reach the highest timestamp or nonce before its table");
    let Some(head) = &view.head else { return Err(unreached) };
    let reached = |run: &Run| bound.reached(run.running_max_timestamp, run.next_nonce);
    if reached(&head.before) {
        // Among items that a trim has taken away: before every live one.
        return Ok(0..0);
    }
    let number = head.leaves.partition_point(|leaf| !reached(&leaf.run));
    if let Some(leaf) = head.leaves.get(number).copied() {
        view.open_leaf(number, leaf).await?;
        let entries = view.leaf(number).map_or(&[][..], |leaf| &leaf.entries);
        return Ok(window_in_entries(entries, bound).unwrap_or(leaf.run.first..leaf.run.end()));
    }
    window_in_entries(&head.open, bound).ok_or(unreached)
}

fn window_in_entries(entries: &[IndexEntry], bound: Bound) -> Option<Range<u64>> {
    let reached = |run: &Run| bound.reached(run.running_max_timestamp, run.next_nonce);
    let entry = entries.get(entries.partition_point(|entry| !reached(&entry.run)))?;
    Some(narrow(&entry.blocks, &entry.run, bound))
}

/// The window within a commit of the table. A small commit is fetched whole, so that all of it may be the window.
async fn window_in_table(
    view: &mut View,
    newest: &CommitHeader,
    entry: &TableEntry,
    bound: Bound,
) -> Result<Range<u64>, Miss> {
    if newest.carry_first <= entry.run.first {
        return Ok(narrow(&newest.carried_blocks, &entry.run, bound));
    }
    if entry.own_length <= WHOLE_COMMIT_BYTES {
        return Ok(whole(&entry.run, bound));
    }
    if whole(&entry.run, bound).is_empty() {
        return Ok(whole(&entry.run, bound));
    }
    let opened = match view.opened(entry.commit.seq) {
        Some(opened) => opened.clone(),
        None => {
            let name = view.list.commit(entry.commit.seq);
            let header_length = u64::from(entry.header_length).min(MAX_HEADER_BYTES as u64);
            let range = ByteRange::new(0, header_length);
            match view.port.send_one(view.get(name.clone(), range, Cache::Etag)).await {
                Answer::Got(object) => view.keep_commit(entry, object.body, Rule::ReadMatchesTable)?,
                _ => return Err(Miss::Gone { object: name }),
            }
        }
    };
    Ok(narrow(&opened.header.own_blocks, &entry.run, bound))
}

/// A run in which the bound is reached, and not before; nothing of it where its first item must be the one.
fn whole(run: &Run, bound: Bound) -> Range<u64> {
    if bound.met_by_all_from(run.min_timestamp) { run.first..run.first } else { run.first..run.end() }
}

/// The part of a run in which the bound is reached, by its blocks. The bound is not reached before the run.
fn narrow(blocks: &[BlockEntry], run: &Run, bound: Bound) -> Range<u64> {
    let whole = whole(run, bound);
    if whole.is_empty() {
        return whole;
    }
    let before_run = blocks.partition_point(|block| block.end() <= run.first);
    let blocks = blocks.get(before_run..).unwrap_or_default();
    let number = blocks.partition_point(|block| !bound.reached(block.running_max_timestamp, block.next_nonce));
    match blocks.get(number) {
        Some(block) => block.first.max(whole.start)..block.end().min(whole.end),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use crate::item::{ItemFilter, IterationOrder};
    use crate::plan::read::test_list::{asked, commit_header, list_name, segment_header};
    use crate::plan::read::tests::{layout, page, plain};
    use crate::plan::test_store::TestStore;

    const FORWARDS: IterationOrder = IterationOrder::Forwards;
    const BACKWARDS: IterationOrder = IterationOrder::Backwards;

    #[test]
    fn where_the_offset_is_the_strictest_start_no_other_is_looked_at() {
        let mut store = TestStore::default();
        layout(vec![(2_000, false)], vec![(10, 0)]).write(&mut store, &plain(2_010, 100));
        let newest = store.objects[&list_name().commit(1)].len();
        let blocks = segment_header(&store, 0).blocks;
        for (order, offset, timestamp) in [(FORWARDS, 1_500, 10_005), (BACKWARDS, 100, 10_005)] {
            store.forget();
            let filter =
                ItemFilter { start_offset: Some(offset), start_timestamp: Some(timestamp), ..ItemFilter::default() };
            assert_eq!(page(&mut store, order, 10, filter).items[0].offset, offset);
            let block = blocks.iter().find(|block| block.end() > offset).unwrap();
            let block = format!("segment 0 {}..{}", block.position, block.end_position());
            assert_eq!(asked(&store), ["list", &format!("commit 1 0..{newest}"), "head", &block], "{order:?}");
        }
    }

    #[test]
    fn a_timestamp_within_a_large_commit_takes_its_header_and_the_block_that_has_it() {
        let mut store = TestStore::default();
        layout(vec![], vec![(2_000, 0), (10, 0)]).write(&mut store, &plain(2_010, 100));
        let newest = store.objects[&list_name().commit(1)].len();
        let header = commit_header(&store, 0);
        // In its first block, and in one further on.
        for number in [0, 3] {
            let block = header.own_blocks[number];
            let position = block.first + 20;
            for order in [FORWARDS, BACKWARDS] {
                store.forget();
                let filter = ItemFilter { start_timestamp: Some(position as i64 * 10), ..ItemFilter::default() };
                assert_eq!(page(&mut store, order, 1, filter).items[0].offset, position);
                // Backwards its first item may be the first one after the page.
                let first = if order == BACKWARDS && number > 0 { header.own_blocks[number - 1] } else { block };
                let expected = [
                    "list".to_owned(),
                    format!("commit 1 0..{newest}"),
                    format!("commit 0 0..{}", header.header_length),
                    format!("commit 0 {}..{}", first.position, block.end_position()),
                ];
                assert_eq!(asked(&store), expected, "{order:?}");
            }
        }
    }
}
