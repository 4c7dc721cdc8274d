//! Lists of any layout in a [`TestStore`], built by hand with the encoders, and the plain vector that they must equal.

use std::sync::Arc;

use proptest::prelude::*;

use crate::item::{Item, ItemFilter, IterationOrder};
use crate::names::{KeyspaceName, ListName, Prefix, keyspace_object};
use crate::plan::Request;
use crate::plan::test_store::TestStore;
use crate::wire::block::BlockOptions;
use crate::wire::carried_block::CarriedBlock;
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry, Totals, encode_commit};
use crate::wire::compression::Codec;
use crate::wire::head::{Handover, HeadPage, IndexEntry, LeafReference, Source};
use crate::wire::identity::{CommitIdentity, ObjectId, SessionId};
use crate::wire::keyspace::KeyspaceObject;
use crate::wire::leaf::LeafPage;
use crate::wire::run::Run;
use crate::wire::segment::{SegmentHeader, encode_segment};

/// How the items of a list are spread over objects.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Items in each indexed object, and whether it is a complete commit rather than a segment.
    pub(crate) indexed: Vec<(usize, bool)>,
    /// Entries of a full leaf; 0 for none.
    pub(crate) leaf_entries: usize,
    /// Indexed objects that have been dropped, as far as they lie below `start`.
    pub(crate) dropped: usize,
    /// Own and carried items of the commits after the index; the last one is the newest.
    pub(crate) commits: Vec<(usize, usize)>,
    /// The first live offset, as far as there are items.
    pub(crate) start: u64,
    /// Plain bytes of a block.
    pub(crate) block_bytes: usize,
    /// Number of the first commit, and what makes sessions and ids differ.
    pub(crate) generation: u64,
}

pub(crate) fn list_name() -> ListName {
    ListName::new(&Prefix::new("").unwrap(), "space", "key").unwrap()
}

/// The header of the commit of this number.
pub(crate) fn commit_header(store: &TestStore, seq: u64) -> CommitHeader {
    CommitHeader::decode(&store.objects[&list_name().commit(seq)], &list_name().hash()).unwrap()
}

/// The name of the first generation's segment of this number: the commits that it replaces would have it.
pub(crate) fn segment_name(number: u64) -> String {
    list_name().segment(ObjectId { x: number + 1, id: 0 })
}

/// The header of that segment.
pub(crate) fn segment_header(store: &TestStore, number: u64) -> SegmentHeader {
    SegmentHeader::decode(&store.objects[&segment_name(number)], &list_name().hash()).unwrap()
}

/// What was asked for since the store forgot it: objects of a [`Layout`], and which of their bytes.
pub(crate) fn asked(store: &TestStore) -> Vec<String> {
    let list = list_name();
    let asked = store.requests.iter().map(|request| {
        let Request::Get { name, range: Some(range), .. } = request else { return "list".to_owned() };
        let (start, end) = (range.start, range.end);
        if let Some(seq) = list.parse_commit(name) {
            return format!("commit {seq} {start}..{end}");
        }
        if let Some(id) = list.parse_segment(name) {
            return format!("segment {} {start}..{end}", id.x - 1);
        }
        let page = list.parse_index_page(name).unwrap();
        page.id.checked_sub(1_000).map_or("head".to_owned(), |number| format!("leaf {number}"))
    });
    asked.collect()
}

/// Creates the keyspace of [`list_name`].
pub(crate) fn create_keyspace(store: &mut TestStore) {
    let keyspace = KeyspaceName::new("space").unwrap();
    let name = keyspace_object(&Prefix::new("").unwrap(), &keyspace);
    store.objects.insert(name, KeyspaceObject::encode(&keyspace, 7, 1));
}

impl Layout {
    /// Writes `items` so, and returns the first live offset.
    pub(crate) fn write(&self, store: &mut TestStore, items: &[Item]) -> u64 {
        let list = list_name();
        let hash = list.hash();
        let options = BlockOptions { plain_bytes: self.block_bytes, ..BlockOptions::default() };
        let mut rest = items;
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            taken
        };
        let start = self.start.min(items.len() as u64);
        let mut seq = self.generation * 1_000;
        let mut state = Run::empty(0, i64::MIN, 0);
        let (mut before, mut kept) = (state, Vec::new());
        for (number, &(count, commit)) in self.indexed.iter().enumerate() {
            let own = take(count);
            if own.is_empty() {
                continue;
            }
            let entry = if commit {
                let header = header(seq, self.generation, state, own);
                let encoded = encode_commit(header, own, &[], &options).unwrap();
                let header = encoded.header;
                store.objects.insert(list.commit(seq), encoded.body);
                IndexEntry {
                    source: Source::Commit(header.commit),
                    run: header.run,
                    header_length: header.header_length,
                    length: header.own_length(),
                    blocks: header.own_blocks,
                }
            } else {
                let id = ObjectId { x: seq + 1, id: u128::from(self.generation) };
                let segment = encode_segment(&hash, id, &state, own, false, &options);
                store.objects.insert(list.segment(id), segment.body.clone());
                IndexEntry {
                    source: Source::Segment { id, complete: segment.header.complete },
                    run: segment.header.run,
                    header_length: segment.header.header_length,
                    length: segment.header.length(),
                    blocks: segment.header.blocks,
                }
            };
            state = entry.run.after();
            seq += 1;
            if entry.run.end() <= start && number < self.dropped {
                store.objects.remove(&entry.name(&list));
                before = state;
            } else {
                kept.push(entry);
            }
        }
        let (covered, before_table) = (seq, state);
        let indexed = covered > self.generation * 1_000;
        let index = indexed.then(|| self.write_index(store, &list, covered, before, kept));
        let mut table: Vec<TableEntry> = Vec::new();
        for (number, &(count, carried)) in self.commits.iter().enumerate() {
            let newest = number + 1 == self.commits.len();
            let own = take(if newest { usize::MAX } else { count });
            let first = state.end();
            let carry_first = first.saturating_sub(carried as u64).max(start.min(first));
            let carried = &items[carry_first as usize..first as usize];
            let totals = totals(&items[start.min(first + own.len() as u64) as usize..first as usize + own.len()]);
            let header = CommitHeader {
                covered,
                index,
                start: start.min(first + own.len() as u64),
                totals,
                before: before_table,
                table: table.clone(),
                ..header(seq, self.generation, state, own)
            };
            let encoded = encode_commit(
                header,
                own,
                &CarriedBlock::cut(carried, &BlockOptions { codec: Codec::Lz4, ..options }),
                &options,
            )
            .unwrap();
            store.objects.insert(list.commit(seq), encoded.body);
            table.push(encoded.header.as_table_entry());
            state = encoded.header.run.after();
            seq += 1;
        }
        start
    }

    fn write_index(
        &self,
        store: &mut TestStore,
        list: &ListName,
        covered: u64,
        before: Run,
        mut entries: Vec<IndexEntry>,
    ) -> IndexReference {
        let hash = list.hash();
        let mut leaves = Vec::new();
        while self.leaf_entries > 0 && entries.len() > self.leaf_entries {
            let open = entries.split_off(self.leaf_entries);
            let full = std::mem::replace(&mut entries, open);
            let id = ObjectId { x: covered, id: 1_000 + leaves.len() as u128 };
            let mut run = full[0].run;
            full[1..].iter().for_each(|entry| run.join(&entry.run));
            let count = full.len() as u32;
            let body = LeafPage { list: hash, id, entries: full }.encode().unwrap();
            leaves.push(LeafReference { id, length: body.len() as u64, entries: count, run });
            store.objects.insert(list.index_page(id), body);
        }
        let id = ObjectId { x: covered, id: u128::from(self.generation) };
        let handovers = vec![Handover { seq: 0, session: SessionId(u128::from(self.generation) + 1) }];
        let head = HeadPage { list: hash, id, before, leaves, open: entries, ledger_pages: Vec::new(), handovers };
        let body = head.encode().unwrap();
        let length = body.len() as u64;
        store.objects.insert(list.index_page(id), body);
        IndexReference { id, length }
    }
}

pub(crate) fn header(seq: u64, generation: u64, before: Run, own: &[Item]) -> CommitHeader {
    let mut run = before.after();
    own.iter().for_each(|item| run.push(item));
    let session = SessionId(u128::from(generation) + 1);
    CommitHeader {
        list: list_name().hash(),
        commit: CommitIdentity { seq, session, put_id: seq, handover: seq == 0, complete: false },
        run,
        carry_first: run.first,
        covered: seq,
        index: None,
        start: 0,
        totals: Totals::EMPTY,
        before: before.after(),
        table: Vec::new(),
        sources: Arc::default(),
        own_blocks: Vec::new(),
        carried_blocks: Vec::new(),
        sections: Vec::new(),
        header_length: 0,
    }
}

fn totals(live: &[Item]) -> Totals {
    Totals {
        value_bytes: live.iter().map(|item| item.value.len() as u64).sum(),
        min_timestamp: live.iter().map(|item| item.timestamp).min().unwrap_or(i64::MAX),
        max_timestamp: live.iter().map(|item| item.timestamp).max().unwrap_or(i64::MIN),
    }
}

/// The offsets that reading from a start gives, in order: over all items ever appended, then limited to the live ones.
pub(crate) fn expected(items: &[Item], start: u64, order: IterationOrder, filter: &ItemFilter) -> Vec<u64> {
    let end = items.len() as u64;
    let first = |meets: &dyn Fn(&Item) -> bool| items.iter().position(meets).map_or(end, |position| position as u64);
    match order {
        IterationOrder::Forwards => {
            let timestamp = filter.start_timestamp.map_or(0, |start| first(&|item| item.timestamp >= start));
            let nonce = filter.start_nonce.map_or(0, |start| first(&|item| item.nonce.is_some_and(|own| own >= start)));
            let offset = filter.start_offset.unwrap_or(0).min(end);
            (timestamp.max(nonce).max(offset).max(start)..end).collect()
        }
        IterationOrder::Backwards => {
            let timestamp = filter.start_timestamp.map_or(end, |start| first(&|item| item.timestamp > start));
            let nonce =
                filter.start_nonce.map_or(end, |start| first(&|item| item.nonce.is_some_and(|own| own > start)));
            let offset = filter.start_offset.map_or(end, |start| start.saturating_add(1).min(end));
            (start..timestamp.min(nonce).min(offset)).rev().collect()
        }
    }
}

/// Items with unsorted timestamps around a few values, some without nonces, some without bytes.
pub(crate) fn items(up_to: usize) -> impl Strategy<Value = Vec<Item>> {
    let item = (0i64..40, prop::option::weighted(0.7, 1u128..4), prop::collection::vec(any::<u8>(), 0..24));
    prop::collection::vec(item, 0..up_to).prop_map(|parts| {
        let mut next_nonce = 0;
        let items = parts.into_iter().zip(0u64..).map(|((timestamp, step, value), offset)| {
            let nonce = step.map(|step| next_nonce + step);
            next_nonce = nonce.map_or(next_nonce, |nonce| nonce + 1);
            let timestamp = match timestamp {
                0 => i64::MIN,
                39 if offset % 7 == 0 => i64::MAX,
                _ => timestamp + offset as i64 / 4,
            };
            Item { offset, timestamp, nonce, value: value.into() }
        });
        items.collect()
    })
}

pub(crate) fn layouts() -> impl Strategy<Value = Layout> {
    let indexed = prop::collection::vec((1usize..30, any::<bool>()), 0..8);
    let commits = prop::collection::vec((0usize..12, 0usize..30), 1..8);
    (indexed, 0usize..4, 0usize..8, commits, 0u64..60, 32usize..300).prop_map(
        |(indexed, leaf_entries, dropped, commits, start, block_bytes)| Layout {
            indexed,
            leaf_entries,
            dropped,
            commits,
            start: start.saturating_sub(20),
            block_bytes,
            generation: 0,
        },
    )
}

pub(crate) fn filters() -> impl Strategy<Value = ItemFilter> {
    let timestamp = prop_oneof![Just(i64::MIN), Just(i64::MAX), -2i64..80];
    let nonce = prop_oneof![Just(u128::MAX), Just(0), 0u128..200];
    let offset = prop_oneof![Just(u64::MAX), 0u64..150];
    let sometimes = |filter| prop::option::weighted(0.4, filter);
    (prop::option::weighted(0.4, offset), prop::option::weighted(0.4, timestamp), sometimes(nonce)).prop_map(
        |(start_offset, start_timestamp, start_nonce)| ItemFilter { start_offset, start_timestamp, start_nonce },
    )
}

pub(crate) fn orders() -> impl Strategy<Value = IterationOrder> {
    prop_oneof![Just(IterationOrder::Forwards), Just(IterationOrder::Backwards)]
}
