use super::test_writer::{Writer, values};
use super::*;
use crate::item::Item;
use crate::plan::{Compaction, Retention};
use crate::wire::block::plain_size;
use crate::wire::commit::TableEntry;
use bytes::Bytes;

#[test]
fn a_session_writes_as_the_configuration_says() {
    let config = S3StoreConfig {
        codec: Codec::None,
        carry_bytes: 1,
        compact_items_threshold: 2,
        compact_size_threshold: 3,
        compact_objects_threshold: 4,
        retention_max_age_millis: Some(5),
        retention_max_items: Some(6),
        retention_max_bytes: Some(7),
        ..S3StoreConfig::default()
    };
    let options = SessionOptions::from(&config);
    assert_eq!(options.block, BlockOptions { codec: Codec::None, ..BlockOptions::default() });
    assert_eq!((options.carry_bytes, options.recent_bytes), (1, 1 << 20));
    let thresholds =
        (options.compact_items_threshold, options.compact_size_threshold, options.compact_objects_threshold);
    assert_eq!(thresholds, (2, 3, 4));
    let retention = Retention { max_age_millis: Some(5), max_items: Some(6), max_bytes: Some(7) };
    assert_eq!(options.retention, retention);
}

/// After how many appends of one commit each a compaction is due, and after how many if the list is idle; the newest
/// commit is not compacted.
fn check_due(options: SessionOptions, commits: &[usize], due: Option<usize>, idle: Option<usize>) {
    let mut writer = Writer::new(options);
    assert!(!writer.session().compaction_due() && !writer.session().idle_compaction_due());
    let (mut due_after, mut idle_after) = (None, None);
    for (number, items) in commits.iter().enumerate() {
        writer.append(values(*items, 4));
        due_after = due_after.or(writer.session().compaction_due().then_some(number + 1));
        idle_after = idle_after.or(writer.session().idle_compaction_due().then_some(number + 1));
    }
    assert_eq!((due_after, idle_after), (due, idle), "{options:?}");
}

#[test]
fn small_commits_are_compacted_once_they_fill_a_segment_or_are_many() {
    let default = SessionOptions { carry_bytes: 0, ..SessionOptions::default() };
    // 1,000 items are full with the 20th commit, but only 32 commits are worth the requests.
    check_due(default, &[50; 40], Some(33), Some(17));
    check_due(default, &[30; 40], Some(35), Some(17));
    let by_size = SessionOptions { compact_items_threshold: u64::MAX, compact_size_threshold: 33 * 124, ..default };
    check_due(by_size, &[31; 40], Some(34), Some(17));
    // Too little for a segment.
    check_due(default, &[1; 102], Some(101), Some(17));
    let few = SessionOptions { compact_objects_threshold: 10, ..default };
    check_due(few, &[1; 20], Some(11), Some(11));
}

#[test]
fn complete_commits_fill_the_table_and_are_no_reason_to_compact_an_idle_list() {
    let options = SessionOptions {
        carry_bytes: 0,
        compact_items_threshold: 5,
        compact_objects_threshold: 20,
        ..SessionOptions::default()
    };
    check_due(options, &[5; 30], Some(21), None);
    // The four small ones come to as many items as make a segment complete.
    check_due(options, &[[5; 8].as_slice(), &[2; 4], &[5; 18]].concat(), Some(21), None);
}

#[test]
fn commits_without_items_are_compacted_only_where_they_fill_the_table() {
    let mut writer = Writer::new(SessionOptions::default());
    writer.append(values(300, 4));
    for start in 1..MAX_TABLE_ENTRIES as u64 {
        writer.trim(start);
        let session = writer.session();
        assert!(!session.compaction_due() && !session.idle_compaction_due(), "{start}");
    }
    writer.trim(MAX_TABLE_ENTRIES as u64);
    assert_eq!(writer.newest().table.len(), MAX_TABLE_ENTRIES);
    assert!(writer.session().compaction_due());
    assert!(!writer.session().idle_compaction_due());
}

#[test]
fn an_index_is_published_only_by_the_session_that_prepared_it_and_where_nothing_was_since() {
    let mut writer = Writer::new(SessionOptions::default());
    (0..3).for_each(|_| drop(writer.append(values(1, 4))));
    let (prepared, again) = (writer.prepare(), writer.prepare());

    // Another session, for which nothing was published either.
    let first = writer.reopen();
    assert!(!writer.session.as_mut().unwrap().accept(prepared.clone()));
    assert!(!writer.session().has_prepared());

    writer.session = first;
    assert!(writer.session.as_mut().unwrap().accept(prepared));
    assert!(writer.session().has_prepared());
    assert!(writer.run(Session::publish).unwrap());
    assert!(!writer.session.as_mut().unwrap().accept(again));
    writer.check_list();
}

#[test]
fn a_session_knows_how_much_memory_it_holds_and_gives_it_back() {
    let mut writer = Writer::new(SessionOptions::default());
    assert_eq!(writer.session().memory_bytes(), 0);
    (0..4).for_each(|_| drop(writer.append(values(1, 5))));
    let item = Item { offset: 0, timestamp: 0, nonce: None, value: Bytes::from_static(b"value") };
    // Each item is in the carry, and kept for a compaction; three commits are in the table of the newest.
    let table = 3 * size_of::<TableEntry>();
    assert_eq!(writer.session().memory_bytes(), 8 * plain_size(&item) + table);

    let session = writer.session.as_mut().unwrap();
    session.shed_memory();
    assert_eq!(session.memory_bytes(), table);
    writer.append(values(1, 5));
    assert_eq!(writer.newest().carry_first, 4, "nothing is carried");
    writer.store.forget();
    assert!(matches!(writer.compact(), Compaction::Prepared(_)));
    assert_eq!(writer.store.counts().gets, 4);
    writer.check_list();
}
