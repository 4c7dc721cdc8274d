use std::ops::Range;

use super::*;
use crate::item::Insertion;
use crate::plan::read::test_list::list_name;
use crate::plan::session::test_writer::{NOW, Writer, values};
use crate::plan::test_store::Counts;
use crate::wire::block::BlockOptions;
use crate::wire::compression::Codec;

/// Commits of four items are complete.
fn options() -> SessionOptions {
    SessionOptions { compact_items_threshold: 4, ..SessionOptions::default() }
}

#[derive(Debug, PartialEq)]
enum Kind {
    Commit,
    Complete,
    Partial,
}

/// The entries of a head page without leaves: what they are, and which items they have.
fn entries(page: &HeadPage) -> Vec<(Kind, Range<u64>)> {
    assert_eq!(page.leaves, []);
    let kind = |entry: &IndexEntry| match entry.source {
        Source::Commit(_) => Kind::Commit,
        Source::Segment { complete: true, .. } => Kind::Complete,
        Source::Segment { complete: false, .. } => Kind::Partial,
    };
    page.open.iter().map(|entry| (kind(entry), entry.run.first..entry.run.end())).collect()
}

/// The object of the entry at this place of a head page.
fn object(page: &HeadPage, entry: usize) -> String {
    page.open[entry].name(&list_name())
}

fn append_each(writer: &mut Writer, counts: &[usize]) {
    counts.iter().for_each(|count| drop(writer.append(values(*count, 5))));
}

#[test]
fn small_commits_in_a_row_become_a_segment_and_complete_ones_are_referred_to() {
    let list = list_name();
    let mut writer = Writer::new(options());
    append_each(&mut writer, &[2, 1, 4, 5, 1, 2, 2, 4]);
    // A commit without items among them is not read.
    writer.trim(1);
    append_each(&mut writer, &[1, 1]);
    writer.store.forget();
    let (head, garbage) = writer.publish();
    let expected = [
        (Kind::Partial, 0..3),
        (Kind::Commit, 3..7),
        (Kind::Commit, 7..12),
        (Kind::Complete, 12..17),
        (Kind::Commit, 17..21),
        (Kind::Partial, 21..22),
    ];
    assert_eq!(entries(&head), expected);
    // Of the three complete ones, for their directories; the others were appended by this session. Three segments, the
    // head page and the commit.
    assert_eq!(writer.store.counts(), Counts { gets: 3, puts: 5, ..Counts::default() });
    assert_eq!(garbage.stubs(), [list.commit(0)]);
    assert_eq!(garbage.deletes(), [1, 4, 5, 6, 8, 9].map(|seq| list.commit(seq)));
    writer.check_list();
    writer.store.run(crate::plan::collect(garbage));
    assert_eq!(writer.store.objects[&list.commit(0)].len(), 0);
    writer.check_list();

    // Another session reads the small ones.
    let mut writer = Writer::new(options());
    append_each(&mut writer, &[1, 1, 4, 1, 1]);
    writer.reopen();
    writer.append(values(1, 5));
    writer.store.forget();
    let (head, _) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Partial, 0..2), (Kind::Commit, 2..6), (Kind::Partial, 6..8)]);
    assert_eq!(writer.store.counts(), Counts { gets: 5, puts: 4, ..Counts::default() });
    writer.check_list();
}

#[test]
fn trailing_partial_segments_are_merged_once_that_makes_a_complete_one() {
    let mut writer = Writer::new(options());
    append_each(&mut writer, &[4, 1, 1]);
    let (first, _) = writer.publish();
    assert_eq!(entries(&first), [(Kind::Commit, 0..4), (Kind::Partial, 4..5)]);
    append_each(&mut writer, &[1]);
    let (second, garbage) = writer.publish();
    assert_eq!(entries(&second), [(Kind::Commit, 0..4), (Kind::Partial, 4..5), (Kind::Partial, 5..6)]);
    let page = |page: &HeadPage| list_name().index_page(page.id);
    assert_eq!(garbage.deletes(), [list_name().commit(2), list_name().commit(3), page(&first)]);

    append_each(&mut writer, &[1, 1]);
    let (third, garbage) = writer.publish();
    assert_eq!(entries(&third), [(Kind::Commit, 0..4), (Kind::Complete, 4..8)]);
    let merged = [object(&second, 1), object(&second, 2)];
    let commits = [4, 5, 6].map(|seq| list_name().commit(seq));
    let mut deleted: Vec<String> = [merged.as_slice(), &commits, &[page(&second)]].concat();
    let mut deletes = garbage.deletes().to_vec();
    deletes.sort();
    deleted.sort();
    assert_eq!(deletes, deleted);
    writer.check_list();

    append_each(&mut writer, &[1, 1]);
    let (fourth, _) = writer.publish();
    assert_eq!(entries(&fourth), [(Kind::Commit, 0..4), (Kind::Complete, 4..8), (Kind::Partial, 8..10)]);
    writer.check_list();
}

#[test]
fn a_segment_is_cut_at_eight_megabytes() {
    let block = BlockOptions { codec: Codec::None, ..BlockOptions::default() };
    let large = SessionOptions { block, compact_size_threshold: u64::MAX, carry_bytes: 0, ..SessionOptions::default() };
    let mut writer = Writer::new(large);
    let value = bytes::Bytes::from(vec![7; 4 << 20]);
    for bytes in [4 << 20, (4 << 20) - 1, 1, 1, 0] {
        writer.append(vec![Insertion::new(value.slice(..bytes))]);
    }
    let (head, _) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Partial, 0..3), (Kind::Partial, 3..4)]);
    let bytes: Vec<u64> = head.open.iter().map(|entry| entry.run.value_bytes).collect();
    assert_eq!(bytes, [8 << 20, 1]);
}

/// A list of 300 items in a segment, with an index and a commit that publishes it.
fn indexed() -> Writer {
    let mut writer = Writer::new(SessionOptions { compact_items_threshold: 1_000, ..SessionOptions::default() });
    append_each(&mut writer, &[200, 100]);
    writer.trim(1);
    writer.publish();
    assert_eq!(writer.newest().table.len(), 1);
    writer
}

#[test]
fn commits_without_items_are_compacted_only_where_they_crowd_the_table() {
    let mut writer = indexed();
    let mut starts = 2..;
    for length in 2..MAX_TABLE_ENTRIES / 2 {
        writer.trim(starts.next().unwrap());
        assert_eq!(writer.newest().table.len(), length);
        assert!(matches!(writer.compact(), Compaction::NothingToDo), "{length}");
    }
    writer.trim(starts.next().unwrap());
    assert_eq!(writer.newest().table.len(), 125);
    let (head, _) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Partial, 0..300)]);
    writer.check_list();
}

#[test]
fn what_lies_below_the_start_is_left_out_and_freed() {
    let mut writer = indexed();
    writer.trim(299);
    assert!(matches!(writer.compact(), Compaction::NothingToDo));
    let segments = writer.store.objects.keys().filter(|name| name.starts_with(&list_name().segments()));
    let segments: Vec<String> = segments.cloned().collect();
    writer.trim(300);
    let (head, garbage) = writer.publish();
    assert_eq!(entries(&head), []);
    assert_eq!((head.before.end(), head.before.running_max_timestamp), (300, NOW));
    assert!(segments.len() == 1 && garbage.deletes().contains(&segments[0]), "{garbage:?}");
    writer.check_list();

    // So are commits of the table, up to the one that the list begins in.
    append_each(&mut writer, &[2, 2, 2, 1]);
    writer.trim(303);
    let (head, garbage) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Partial, 302..307)]);
    assert_eq!(head.before.end(), 302);
    assert!(garbage.stubs().is_empty());
    writer.check_list();
}

#[test]
fn a_complete_handover_commit_below_the_start_becomes_a_stub() {
    let mut writer = Writer::new(options());
    append_each(&mut writer, &[4, 4, 1, 1]);
    let (head, garbage) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Commit, 0..4), (Kind::Commit, 4..8), (Kind::Partial, 8..9)]);
    assert!(garbage.stubs().is_empty());
    writer.trim(4);
    let (head, garbage) = writer.publish();
    assert_eq!(entries(&head), [(Kind::Commit, 4..8), (Kind::Partial, 8..9), (Kind::Partial, 9..10)]);
    assert_eq!(garbage.stubs(), [list_name().commit(0)]);
    writer.check_list();
}

#[test]
fn a_commit_whose_name_another_one_has_ends_the_compaction() {
    let mut writer = Writer::new(options());
    append_each(&mut writer, &[1, 1, 1, 1]);
    // Who appended them would not read them.
    writer.reopen();
    writer.append(values(1, 5));
    let mut other = Writer::new(options());
    other.reopen();
    append_each(&mut other, &[1, 1, 1, 1]);
    let name = list_name().commit(2);
    let theirs = other.store.objects[&name].clone();
    writer.store.objects.insert(name, theirs);
    assert!(matches!(writer.compact(), Compaction::GaveUp { .. }));
}
