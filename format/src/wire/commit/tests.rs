use super::*;
use crate::wire::arbitrary::{
    self, changes, forged, identity, items, list, no_damage_is_believed, object_id, options, runs, sealed, sources,
};
use crate::wire::block::decode_blocks;
use crate::wire::compression::Codec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Sample {
    header: CommitHeader,
    own: Vec<Item>,
    carried: Vec<Item>,
    options: BlockOptions,
}

impl Sample {
    fn encode(&self) -> Result<EncodedCommit, CommitTooLarge> {
        let carried = CarriedBlock::cut(&self.carried, &BlockOptions { codec: Codec::None, ..self.options });
        encode_commit(self.header.clone(), &self.own, &carried, &self.options)
    }
}

fn table(before: Run, covered: u64) -> impl Strategy<Value = Vec<TableEntry>> {
    (runs(before, 0, 0..40), prop::collection::vec(identity(0), 40), prop::collection::vec(0..9_000u64, 40)).prop_map(
        move |(runs, commits, lengths)| {
            let parts = runs.into_iter().zip(commits).zip(lengths).enumerate();
            parts
                .map(|(index, ((run, commit), length))| {
                    let own_length = if run.count == 0 { 300 } else { 301 + length };
                    TableEntry {
                        commit: CommitIdentity { seq: covered + index as u64, ..commit },
                        run,
                        carry_first: run.first - length.min(run.first),
                        header_length: 300,
                        own_length,
                        length: own_length + length,
                    }
                })
                .collect()
        },
    )
}

fn sample() -> impl Strategy<Value = Sample> {
    (arbitrary::state(), 1..1u64 << 40)
        .prop_flat_map(|(state, covered)| (Just(state), Just(covered), table(state, covered)))
        .prop_flat_map(|(state, covered, table)| {
            let before = table.last().map_or(state, |last| last.run.after());
            let carry = Run::empty(before.first.saturating_sub(20), i64::MIN, 0);
            let carried = items(carry, 0..21).prop_map(move |mut items| {
                let surplus = items.len() as u64;
                items.truncate((before.first - carry.first).min(surplus) as usize);
                let shift = before.first - items.len() as u64 - carry.first;
                items.iter_mut().for_each(|item| item.offset += shift);
                items
            });
            let seq = covered + table.len() as u64;
            let own = items(before, 0..60);
            let parts =
                (identity(seq), own, carried, options(), prop::option::of(object_id()), (any::<u64>(), sources()));
            (Just((state, covered, before, table)), parts)
        })
        .prop_map(|((state, covered, before, table), (commit, own, carried, options, index, (start, sources)))| {
            let mut run = before;
            own.iter().for_each(|item| run.push(item));
            let totals = Totals {
                value_bytes: run.value_bytes,
                min_timestamp: run.min_timestamp,
                max_timestamp: run.max_timestamp,
            };
            let header = CommitHeader {
                list: list(),
                commit,
                run,
                carry_first: carried.first().map_or(run.first, |item| item.offset),
                covered,
                index: index.map(|id| IndexReference { id, length: 77 }),
                start: start % run.end().max(1),
                totals,
                before: state,
                table,
                sources: Arc::new(sources),
                own_blocks: Vec::new(),
                carried_blocks: Vec::new(),
                sections: vec![Section { kind: 0x8007, bytes: Bytes::from_static(b"not yet known") }],
                header_length: 0,
            };
            Sample { header, own, carried, options }
        })
}

/// Header and items of a whole object.
fn read(bytes: &Bytes) -> Result<(CommitHeader, Vec<Item>, Vec<Item>), Malformed> {
    let header = CommitHeader::decode(bytes, &list())?;
    let (mut own, mut carried) = (Vec::new(), Vec::new());
    decode_blocks(bytes, 0, &header.own_blocks, header.owner(), &mut own)?;
    decode_blocks(bytes, 0, &header.carried_blocks, header.owner(), &mut carried)?;
    Ok((header, own, carried))
}

proptest! {
    /// The name was freed, and a late PUT created it again: of the other commit there are as many bytes as the first has.
    #[test]
    fn another_commit_under_the_name_is_no_damage(sample in sample(), later in sample()) {
        let (meant, found) = (sample.encode().unwrap(), later.encode().unwrap());
        let entry = meant.header.as_table_entry();
        for (length, end) in [(entry.header_length.into(), "header"), (entry.own_length, "own blocks")] {
            let cut = |body: &Bytes| body.slice(..body.len().min(length as usize));
            prop_assert_eq!(entry.read_header(&cut(&meant.body), &list()).unwrap(), Some(meant.header.clone()), "{}", end);
            let other = entry.read_header(&cut(&found.body), &list()).unwrap();
            prop_assert!(other.is_none_or(|other| other == found.header), "{}", end);
        }
        prop_assert_eq!(entry.read_header(&[], &list()).unwrap(), None);
        prop_assert!(entry.read_header(&meant.body[..entry.header_length as usize - 1], &list()).is_err());
    }

    #[test]
    fn a_commit_comes_back(sample in sample()) {
        let encoded = sample.encode().unwrap();
        let (header, own, carried) = read(&encoded.body).unwrap();
        prop_assert_eq!(&header, &encoded.header);
        prop_assert_eq!(&own, &sample.own);
        prop_assert_eq!(&carried, &sample.carried);
        prop_assert_eq!(header.length(), encoded.body.len() as u64);
        prop_assert!(header.as_table_entry().matches(&header));
        for entry in &header.table {
            prop_assert_eq!(header.entry(entry.commit.seq), Some(entry));
        }
        prop_assert_eq!(header.entry(header.commit.seq), None);
    }

    #[test]
    fn a_forged_header_is_an_error_or_keeps_the_rules(sample in sample(), changes in changes()) {
        let body = sample.encode().unwrap().body;
        if let Ok(header) = CommitHeader::decode(&forged(&body, &changes), &list()) {
            prop_assert!(header.carry_first <= header.run.first);
            let before_own = header.table.last().map_or(header.before, |last| last.run);
            prop_assert_eq!(before_own.end(), header.run.first);
            prop_assert!(before_own.next_nonce <= header.run.next_nonce);
            prop_assert!(header.start <= header.next_offset());
            prop_assert!(header.covered <= header.commit.seq);
            let items: u64 = header.own_blocks.iter().map(|block| u64::from(block.count)).sum();
            prop_assert_eq!(items, header.run.count);
        }
    }
}

fn small(seq: u64, table: Vec<TableEntry>) -> Sample {
    let before = table.last().map_or(Run::empty(0, i64::MIN, 0), |last| last.run.after());
    let own =
        vec![Item { offset: before.first, timestamp: 5, nonce: Some(before.next_nonce), value: Bytes::from("x") }];
    let mut run = before;
    run.push(&own[0]);
    let commit = CommitIdentity { seq, session: SessionId(1), put_id: seq, handover: seq == 0, complete: false };
    let header = CommitHeader {
        list: list(),
        commit,
        run,
        carry_first: run.first,
        covered: seq - table.len() as u64,
        index: None,
        start: 0,
        totals: Totals { value_bytes: 1, min_timestamp: 5, max_timestamp: 5 },
        before: Run::empty(0, i64::MIN, 0),
        table,
        sources: Arc::default(),
        own_blocks: Vec::new(),
        carried_blocks: Vec::new(),
        sections: Vec::new(),
        header_length: 0,
    };
    Sample { header, own, carried: Vec::new(), options: BlockOptions::default() }
}

#[test]
fn no_damage_of_a_commit_is_believed() {
    let first = small(0, Vec::new()).encode().unwrap().header;
    let mut second = small(1, vec![first.as_table_entry()]);
    second.carried = small(0, Vec::new()).own;
    no_damage_is_believed(&second.encode().unwrap().body, read);
}

#[test]
fn contradictions_are_refused() {
    let first = small(0, Vec::new()).encode().unwrap().header;
    let good = small(1, vec![first.as_table_entry()]);
    assert!(CommitHeader::decode(&good.encode().unwrap().body, &list()).is_ok());
    let refused = |change: fn(&mut Sample)| {
        let mut bad = good.clone();
        change(&mut bad);
        let read = CommitHeader::decode(&bad.encode().unwrap().body, &list());
        matches!(read, Err(Malformed::Corrupt(_)))
    };
    assert!(refused(|bad| bad.header.table.clear()));
    assert!(refused(|bad| bad.header.covered = 1));
    assert!(refused(|bad| bad.header.start = 3));
    assert!(refused(|bad| bad.header.run.next_nonce = 0));
    assert!(refused(|bad| bad.header.before.next_nonce = 1));
    assert!(refused(|bad| bad.header.before.running_max_timestamp = 4));
    assert!(refused(|bad| bad.header.run.count = 1 << 20));
    assert!(refused(|bad| bad.header.table[0].header_length = 1 << 20));
    assert!(refused(|bad| bad.header.list = ListHash::of("flights", "another")));

    let mut body = good.encode().unwrap().body.to_vec();
    // The section of the own items begins with the offset before them; the table says 1.
    let own = 32 + 3 + usize::from(body[34]) + 3;
    assert_eq!(std::mem::replace(&mut body[own], 2), 1);
    let apart = Malformed::Corrupt("its table does not end where its own items begin");
    assert_eq!(CommitHeader::decode(&sealed(body), &list()), Err(apart));
}

#[test]
fn unknown_sections_are_kept_or_refused() {
    let mut sample = small(0, Vec::new());
    sample.header.sections = vec![Section { kind: 0x0009, bytes: Bytes::new() }];
    let body = sample.encode().unwrap().body;
    let unknown = Malformed::Unknown { part: "section", number: 9 };
    assert_eq!(CommitHeader::decode(&body, &list()), Err(unknown));
    sample.header.sections = vec![Section { kind: 0x8009, bytes: Bytes::from("later") }];
    let body = sample.encode().unwrap().body;
    assert_eq!(CommitHeader::decode(&body, &list()).unwrap().sections, sample.header.sections);
    // Twice the same: which one would count?
    sample.header.sections = vec![sample.header.sections[0].clone(); 2];
    assert!(CommitHeader::decode(&sample.encode().unwrap().body, &list()).is_err());
}

#[test]
fn a_full_table_stays_small_and_a_fuller_header_is_refused() {
    let mut table = Vec::new();
    for seq in 0..250 {
        let mut commit = small(seq, table.clone());
        commit.header.covered = seq - table.len() as u64;
        table.push(commit.encode().unwrap().header.as_table_entry());
    }
    let mut last = small(250, table);
    let encoded = last.encode().unwrap();
    assert!(encoded.header.header_length < 250 * 25, "{} bytes", encoded.header.header_length);
    assert!(CommitHeader::decode(&encoded.body, &list()).is_ok());
    for (index, entry) in last.header.table.iter_mut().enumerate() {
        entry.commit.session = SessionId(index as u128);
        entry.commit.put_id = u64::MAX / (index as u64 + 1);
        entry.run.next_nonce += (index as u128 + 1) << 100;
        entry.run.value_bytes = u64::MAX - index as u64;
        entry.own_length += 1 << 50;
        entry.length += 1 << 60;
    }
    last.header.run.next_nonce = 1 << 120;
    assert!(matches!(last.encode(), Err(CommitTooLarge::Header { bytes }) if bytes > MAX_HEADER_BYTES));
}

/// Room is left for what headers usually need, and unknown sections may need more.
#[test]
fn a_header_that_needs_more_than_its_room_moves_the_blocks() {
    for bytes in [0, 1_000, 1_024, 1_025, 5_000] {
        let mut commit = small(3, Vec::new());
        commit.header.sections = vec![Section { kind: 0x8007, bytes: vec![7; bytes].into() }];
        let encoded = commit.encode().unwrap();
        let (header, own, _) = read(&encoded.body).unwrap();
        assert_eq!((header, own), (encoded.header, commit.own), "{bytes}");
    }
}

#[test]
fn a_header_of_exactly_16_kib_is_written_and_read() {
    let mut commit = small(0, Vec::new());
    let mut with_section = |bytes: usize| {
        commit.header.sections = vec![Section { kind: 0x8000, bytes: vec![1; bytes].into() }];
        commit.encode()
    };
    let rest = with_section(9_000).unwrap().header.header_length as usize - 9_000;
    let full = with_section(MAX_HEADER_BYTES - rest).unwrap();
    assert_eq!(full.header.header_length as usize, MAX_HEADER_BYTES);
    assert_eq!(CommitHeader::decode(&full.body, &list()), Ok(full.header));
    let error = with_section(MAX_HEADER_BYTES - rest + 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the commit's header takes 16385 bytes, 16384 at most: the list must be compacted first"
    );
}

#[test]
fn a_commit_has_262144_items_at_most() {
    let read = |blocks: &[u32]| {
        let mut header = small(0, Vec::new()).header;
        header.run.count = blocks.iter().copied().map(u64::from).sum();
        let block =
            |&count| BlockEntry { position: 0, length: 100, first: 0, count, running_max_timestamp: 5, next_nonce: 1 };
        header.own_blocks = blocks.iter().map(block).collect();
        CommitHeader::decode(&header.write(&header.run), &list()).map(|header| header.run.count)
    };
    assert_eq!(read(&[65_536; 4]), Ok(262_144));
    let more = Malformed::Corrupt("it has more items than the format allows");
    assert_eq!(read(&[65_536, 65_536, 65_536, 65_536, 1]), Err(more));
}

#[test]
fn a_large_commit_has_larger_blocks_so_that_its_directory_stays_small() {
    let blocks = |last: usize| {
        let mut sample = small(0, Vec::new());
        let value = |offset| vec![0; if offset < 511 { 8 << 10 } else { last }];
        let item = |offset| Item { offset, timestamp: 5, nonce: None, value: value(offset).into() };
        sample.own = (0..512).map(item).collect();
        sample.options.codec = Codec::None;
        sample.header.run = Run::empty(0, i64::MIN, 0);
        sample.own.iter().for_each(|item| sample.header.run.push(item));
        sample.encode().unwrap().header.own_blocks.len()
    };
    // Three values of 8 KiB in 32 KiB, seven in 64 KiB: 4 MiB, and a byte more.
    assert_eq!(blocks(8 << 10), 171);
    assert_eq!(blocks((8 << 10) + 1), 74);
}

#[test]
fn a_carry_knows_what_came_before_the_commit_that_it_begins_in() {
    let (mut table, mut before) = (Vec::new(), Run::empty(0, i64::MIN, 0));
    for (seq, timestamp) in (0..).zip([50, 70, 90]) {
        let mut run = before.after();
        for offset in run.first..run.first + 2 {
            run.push(&Item { offset, timestamp, nonce: Some(offset.into()), value: Bytes::from("x") });
        }
        let commit = CommitIdentity { seq, session: SessionId(1), put_id: seq, handover: seq == 0, complete: false };
        table.push(TableEntry {
            commit,
            run,
            carry_first: run.first,
            header_length: 300,
            own_length: 400,
            length: 400,
        });
        before = run;
    }
    for (first, timestamp, nonce) in [(0, 5, 0), (1, 5, 0), (2, 50, 2), (3, 50, 2), (4, 70, 4), (5, 70, 4)] {
        let mut sample = small(3, table.clone());
        let item = |offset| Item { offset, timestamp: 5, nonce: None, value: Bytes::from("x") };
        sample.carried = (first..6).map(item).collect();
        let encoded = sample.encode().unwrap();
        let header = CommitHeader::decode(&encoded.body, &list()).unwrap();
        assert_eq!(header, encoded.header);
        let [block] = &header.carried_blocks[..] else { panic!("one block") };
        assert_eq!((block.first, block.running_max_timestamp, block.next_nonce), (first, timestamp, nonce));
    }
}
