use super::*;
use crate::plan::SessionOptions;
use crate::plan::read::test_list::list_name;
use crate::plan::retention::Retention;
use crate::plan::session::test_writer::{NOW, Writer, first_in_table, values};
use crate::plan::test_store::{Counts, TestStore};
use crate::wire::compression::Codec;
use crate::wire::identity::SessionId;

#[test]
#[allow(clippy::single_range_in_vec_init, reason = "runs of positions are ranges")]
fn duplicates_are_counted() {
    let count = |duplicates| Appended { duplicates, ..Appended::default() }.duplicate_count();
    assert_eq!(count(vec![]), 0);
    assert_eq!(count(vec![2..5, 7..8]), 4);
    let mut writer = Writer::new(SessionOptions::default());
    let with_nonces = |nonces: Range<u128>| nonces.map(|nonce| Insertion::new("x").with_nonce(nonce)).collect();
    writer.append(with_nonces(0..3));
    let appended = writer.append(with_nonces(1..5));
    assert_eq!(appended, Appended { offsets: 3..5, duplicates: vec![0..2], trimmed: 0, conflicts: 0 });
}

#[test]
fn an_append_goes_on_behind_another_writers_commit() {
    let mut writer = Writer::new(SessionOptions::default());
    writer.append(values(2, 5));
    let first = writer.reopen();
    writer.append(values(3, 5));
    writer.session = first;
    assert_eq!(writer.append(values(1, 5)), Appended { offsets: 5..6, conflicts: 1, ..Appended::default() });
    assert_eq!(writer.newest().carry_first, 0);
    writer.check_list();
}

#[test]
fn an_append_at_an_offset_looks_again_before_it_gives_up() {
    let mut writer = Writer::new(SessionOptions::default());
    writer.append(values(2, 5));
    let first = writer.reopen();
    writer.append(values(3, 5));
    writer.session = first;
    let outcome = writer.run(|session| session.append_at(values(1, 5), NOW, 5)).unwrap();
    assert!(matches!(outcome, AppendOutcome::Appended(Appended { offsets: Range { start: 5, end: 6 }, .. })));

    writer.store.forget();
    let outcome = writer.run(|session| session.append_at(values(1, 5), NOW, 5)).unwrap();
    assert!(matches!(outcome, AppendOutcome::EndsElsewhere { next_offset: 6 }));
    assert_eq!(writer.store.counts(), Counts { lists: 1, gets: 1, ..Counts::default() });
}

#[test]
fn retention_takes_the_oldest_items_away_with_an_append() {
    let retention = Retention { max_items: Some(3), ..Retention::default() };
    let mut writer = Writer::new(SessionOptions { retention, ..SessionOptions::default() });
    writer.append(values(2, 5));
    assert_eq!(writer.append(values(2, 5)), Appended { offsets: 2..4, trimmed: 1, ..Appended::default() });
    assert_eq!((writer.newest().start, writer.newest().carry_first), (1, 1));
    // What is being appended stays.
    assert_eq!(writer.append(values(5, 5)), Appended { offsets: 4..9, trimmed: 3, ..Appended::default() });
    assert_eq!((writer.newest().start, writer.newest().carry_first), (4, 4));
    writer.check_list();
}

#[test]
fn a_put_without_a_definite_answer_is_repeated_byte_for_byte() {
    let mut writer = Writer::new(SessionOptions::default());
    writer.append(values(1, 5));
    writer.store.forget();
    let session = writer.session.take().unwrap();
    let mut lost = 3;
    let appended = writer.store.run_with(session.append(values(1, 5), NOW), |store, request| {
        if lost == 0 {
            return store.answer(request);
        }
        lost -= 1;
        store.requests.push(request.clone());
        Answer::Unknown
    });
    assert!(matches!(appended, Ok((_, AppendOutcome::Appended(Appended { conflicts: 0, .. })))));
    let [first, rest @ ..] = writer.store.requests.as_slice() else { panic!("no request") };
    assert!(matches!(first, Request::Put { kind: PutKind::Create, .. }));
    assert_eq!(rest, [first, first, first].map(Clone::clone));
}

/// Where the carry of a commit of so many items begins that follows two of 65 bytes in a block.
fn check_carry(options: SessionOptions, count: usize, carry_first: u64) {
    let mut writer = Writer::new(options);
    writer.append(values(2, 30));
    writer.append(values(count, 30));
    assert_eq!(writer.newest().carry_first, carry_first, "{count} items, {options:?}");
    writer.check_list();
}

#[test]
fn a_complete_commit_that_fills_the_carry_by_itself_carries_nothing() {
    let options = SessionOptions { compact_items_threshold: 4, carry_bytes: 5 * 65, ..SessionOptions::default() };
    check_carry(options, 3, 0);
    check_carry(options, 4, 0);
    check_carry(options, 5, 2);
    check_carry(options, 9, 2);
    // A small one does, however long.
    check_carry(SessionOptions { compact_items_threshold: 1_000, ..options }, 9, 0);
}

#[test]
fn a_carry_has_as_many_of_the_last_items_as_its_bytes_allow() {
    for (carry_bytes, carry_first) in [(0, 4), (64, 4), (65, 3), (3 * 65, 1), (4 * 65 - 1, 1), (4 * 65, 0)] {
        let mut writer = Writer::new(SessionOptions { carry_bytes, ..SessionOptions::default() });
        (0..5).for_each(|_| drop(writer.append(values(1, 30))));
        assert_eq!(writer.newest().carry_first, carry_first, "{carry_bytes}");
        // A new session has them from the newest commit.
        writer.reopen();
        writer.append(values(1, 30));
        assert_eq!(writer.newest().carry_first, (carry_first + 1).min(5), "{carry_bytes}");
        writer.check_list();
    }
}

#[test]
fn a_carry_begins_at_the_first_live_item() {
    let mut writer = Writer::new(SessionOptions::default());
    writer.append(values(3, 30));
    writer.append(values(3, 30));
    writer.trim(2);
    assert_eq!(writer.newest().carry_first, 2);
    writer.append(values(1, 30));
    assert_eq!(writer.newest().carry_first, 2);
    writer.reopen();
    writer.trim(4);
    writer.append(values(1, 30));
    assert_eq!(writer.newest().carry_first, 4);
    writer.check_list();
}

#[test]
fn nothing_is_left_out_between_what_a_carry_repeats() {
    let options = SessionOptions { compact_items_threshold: 4, carry_bytes: 1_000, ..SessionOptions::default() };
    let mut writer = Writer::new(options);
    writer.append(values(1, 30));
    // Of a complete commit, the last items that fit: not the one of 2,000 bytes, nor anything before it.
    let sizes = [30, 2_000, 30, 30];
    writer.append(sizes.into_iter().flat_map(|bytes| values(1, bytes)).collect());
    writer.append(values(1, 30));
    assert_eq!(writer.newest().carry_first, 3);
    writer.append(values(1, 30));
    assert_eq!(writer.newest().carry_first, 3);
    writer.check_list();
}

/// The codecs of the newest commit's own and carried blocks.
fn codecs(writer: &Writer) -> (Vec<u8>, Vec<u8>) {
    let header = writer.newest();
    let body = &writer.store.objects[&list_name().commit(header.commit.seq)];
    let codec = |block: &crate::wire::block::BlockEntry| body[block.position as usize + 16];
    (header.own_blocks.iter().map(codec).collect(), header.carried_blocks.iter().map(codec).collect())
}

#[test]
fn what_will_be_merged_is_compressed_by_something_fast() {
    for (codec, small) in [(Codec::Zstd, Codec::Lz4), (Codec::Lz4, Codec::Lz4), (Codec::None, Codec::None)] {
        let block = BlockOptions { codec, ..BlockOptions::default() };
        let options = SessionOptions { block, compact_items_threshold: 4, ..SessionOptions::default() };
        let mut writer = Writer::new(options);
        writer.append(values(3, 200));
        assert_eq!(codecs(&writer), (vec![small as u8], vec![]));
        writer.append(values(4, 200));
        assert_eq!(codecs(&writer), (vec![codec as u8], vec![small as u8]));
    }
}

#[test]
fn every_commit_of_a_session_has_a_put_id_of_its_own() {
    let mut writer = Writer::new(SessionOptions::default());
    let mut ids = Vec::new();
    for _ in 0..3 {
        writer.append(values(1, 5));
        ids.push(writer.newest().commit.put_id);
    }
    writer.trim(1);
    ids.push(writer.newest().commit.put_id);
    assert_eq!(ids, [0, 1, 2, 3]);
}

#[test]
fn with_a_full_table_an_append_awaits_the_compaction_and_sends_nothing() {
    let mut writer = Writer::new(SessionOptions { carry_bytes: 0, ..SessionOptions::default() });
    (0..=MAX_TABLE_ENTRIES).for_each(|_| drop(writer.append(values(1, 5))));
    assert_eq!(writer.newest().table.len(), MAX_TABLE_ENTRIES);
    writer.store.forget();
    let outcome = writer.run(|session| session.append(values(2, 7), NOW)).unwrap();
    let AppendOutcome::AwaitsCompaction { insertions } = outcome else { panic!("{outcome:?}") };
    assert_eq!(insertions, values(2, 7));
    assert_eq!(writer.store.counts(), Counts::default());

    let prepared = writer.prepare();
    assert!(writer.session.as_mut().unwrap().accept(prepared));
    assert_eq!(writer.append(insertions).offsets, 251..253);
    assert_eq!(writer.newest().table.len(), 1);
    writer.check_list();
}

/// A list whose newest commit has this number and next offset.
fn list_that_ends_at(seq: u64, next_offset: u64) -> TestStore {
    let list = list_name();
    let commit = CommitIdentity { seq, session: SessionId(1), put_id: 0, handover: true, complete: false };
    let header = first_in_table(commit, Run::empty(next_offset, 0, 0));
    let commit = encode_commit(header, &[], &[], &BlockOptions::default()).unwrap();
    let mut store = TestStore::default();
    store.objects.insert(list.commit(seq), commit.body);
    store
}

#[test]
fn nothing_follows_the_last_number_or_offset_that_there_is() {
    let check = |seq, next_offset, count, follows: bool| {
        let mut writer = Writer::of(list_that_ends_at(seq, next_offset), SessionOptions::default());
        writer.store.forget();
        let outcome = writer.run(|session| session.append(values(count, 5), NOW));
        let full = FormatError::from(CorruptObject {
            object: list_name().commit(seq),
            reason: "there is no number left for a commit or an item after it",
        });
        match follows {
            true => assert!(matches!(outcome, Ok(AppendOutcome::Appended(_)))),
            false => {
                assert_eq!(outcome.unwrap_err(), full);
                assert_eq!(writer.store.counts(), Counts::default());
            }
        }
    };
    check(u64::MAX - 1, 9, 1, true);
    check(u64::MAX, 9, 1, false);
    check(9, u64::MAX - 2, 2, true);
    check(9, u64::MAX - 2, 3, false);
    check(9, u64::MAX, 1, false);
}
