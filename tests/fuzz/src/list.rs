//! Small lists with an object of every kind, and what can be asked of them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use klstore_format::names::{KeyspaceName, ListName, Prefix};
use klstore_format::plan::follow::{FollowStart, Follower};
use klstore_format::plan::keys::{KeyList, list_keys};
use klstore_format::plan::metadata::{read_key_metadata, read_keyspace_metadata};
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::timeline::{Timeline, TimelineWindow, read_timeline};
use klstore_format::plan::{
    AppendOutcome, Compaction, Retention, Session, SessionOptions, SweepReport, TrimTo, VerifyReport, collect,
    sweep_commits, sweep_objects, verify, without_writes,
};
use klstore_format::wire::block::BlockOptions;
use klstore_format::wire::compression::Codec;
use klstore_format::wire::identity::SessionId;
use klstore_format::{FormatError, Insertion, Item, ItemFilter, IterationOrder, KeyMetadata, Source};

use crate::oracle;
use crate::store::{Objects, run};
use crate::targets::drawn;

/// The keyspace of all lists here.
pub const KEYSPACE: &str = "flights";

/// The lists, side by side in one store.
#[derive(Debug)]
pub struct Lists {
    /// Everything in the store.
    pub objects: Objects,
    /// The list of which `format/tests/golden` has the objects: commits with and without items, complete, carrying, fed
    /// by partitions; a segment; head, leaf and ledger page.
    pub golden: ListName,
    /// A list that was written, compacted, taken over and trimmed by sessions.
    pub trimmed: ListName,
    /// Another one that was written in the very same way.
    pub other: ListName,
}

/// The lists, made once.
pub static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut objects = golden_objects();
    let named = |key| ListName::new(&Prefix::default(), KEYSPACE, key).unwrap();
    let (golden, trimmed, other) = (named("N14228/é"), named("trimmed"), named("other"));
    write_trimmed(&mut objects, &trimmed);
    write_trimmed(&mut objects, &other);
    Lists { objects, golden, trimmed, other }
});

fn golden_objects() -> Objects {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../format/tests/golden/v1");
    let (mut objects, mut folders) = (Objects::new(), vec![root.join(KEYSPACE)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the golden files are there") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                objects.insert(name, fs::read(&path).expect("a golden file can be read").into());
            }
        }
    }
    objects
}

fn write_trimmed(objects: &mut Objects, list: &ListName) {
    let options = |codec| {
        Arc::new(SessionOptions {
            block: BlockOptions { codec, plain_bytes: 150 },
            carry_bytes: 160,
            compact_items_threshold: 6,
            compact_objects_threshold: 4,
            retention: Retention::default(),
            ..SessionOptions::default()
        })
    };
    let mut number = 0u64;
    let mut batch = |count: u64| -> Vec<Insertion> {
        let items = (number..number + count).map(|number| {
            let insertion = Insertion::new(format!("item {number:03} of a list that is trimmed"));
            insertion.with_timestamp(1_357_034_400_000 + number as i64 % 5).with_nonce(u128::from(number))
        });
        number += count;
        items.collect()
    };
    let mut ids = 0u128;
    for (writer, codec) in [(1, Codec::Lz4), (2, Codec::None)] {
        let mut session = run(objects, Session::open(list.clone(), SessionId(writer), options(codec))).unwrap();
        for count in [1, 2, 7, 1, 1, 1, 2] {
            session = append(objects, session, batch(count));
            if session.compaction_due() {
                ids += 1 << 64;
                if let Ok(Compaction::Prepared(prepared)) = run(objects, session.compact(ids)) {
                    session.accept(prepared);
                }
            }
            if let Some(garbage) = session.take_garbage() {
                run(objects, collect(garbage));
            }
        }
        // Into the middle of what the first writer has appended.
        let (trimmed, _) = run(objects, session.trim(TrimTo::Offset(5))).unwrap();
        append(objects, trimmed, batch(1));
    }
}

fn append(objects: &mut Objects, session: Session, insertions: Vec<Insertion>) -> Session {
    match run(objects, session.append(insertions, 0)).unwrap() {
        (session, AppendOutcome::Appended(_)) => session,
        (_, refused) => panic!("{refused:?}"),
    }
}

/// Something that is asked of a list.
#[derive(Debug, Clone)]
pub enum Call {
    /// Pages from a start on.
    Pages {
        /// In this order.
        backwards: bool,
        /// Items of a page at most.
        max_size: u8,
        /// Where they start.
        start: Start,
    },
    /// A page from a continuation that its caller has made up.
    Forged {
        /// In this order.
        backwards: bool,
        /// The continuation.
        token: crate::targets::token::Fields,
    },
    /// What is known of the key.
    Key,
    /// What is known of the keyspace.
    Keyspace,
    /// The keys of the keyspace.
    Keys {
        /// At most.
        max: u8,
    },
    /// The time line.
    Timeline {
        /// From here.
        from: Option<i64>,
        /// To here.
        to: Option<i64>,
    },
    /// Following the tail.
    Follow {
        /// From this item on; from the end where there is none.
        offset: Option<u8>,
    },
    /// A verification.
    Verify,
    /// What sweeps would do.
    Sweep,
    /// A writer that takes over, appends and compacts.
    Write {
        /// So many items.
        count: u8,
    },
}

drawn!('a, Call: Pages { backwards, max_size, start }, Forged { backwards, token }, Key {  }, Keyspace {  }, Keys { max }, Timeline { from, to }, Follow { offset }, Verify {  }, Sweep {  }, Write { count });

/// Where pages start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    /// At this offset.
    pub offset: Option<u64>,
    /// At this time.
    pub timestamp: Option<i64>,
    /// At this nonce.
    pub nonce: Option<u128>,
}

drawn!('a, Start { offset, timestamp, nonce });

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Items, in the order asked for.
    Items(Vec<Item>),
    /// What is known of the key.
    Key(Option<KeyMetadata>),
    /// The keyspace's version: nothing protects when it was created, which nothing depends on.
    Keyspace(u32),
    /// Keys.
    Keys(KeyList),
    /// A time line.
    Timeline(Option<Timeline>),
    /// A verification's report.
    Verified(Box<VerifyReport>),
    /// What sweeps would do.
    Swept(SweepReport),
    /// Where the list ends after an append, or that it waits for a compaction.
    Written(Option<u64>),
}

/// Pages that are read one after the other.
const MAX_PAGES: usize = 300;
/// Polls of a follower.
const POLLS: usize = 20;

/// Asks it, and checks what must hold whatever the objects are.
///
/// # Errors
///
/// What the call failed with.
pub fn ask(objects: &mut Objects, list: &ListName, call: &Call) -> Result<Seen, FormatError> {
    match call {
        Call::Pages { backwards, max_size, start } => {
            let &Start { offset, timestamp, nonce } = start;
            let filter = ItemFilter { start_offset: offset, start_timestamp: timestamp, start_nonce: nonce };
            pages(objects, list, order(*backwards), u64::from(*max_size), filter).map(Seen::Items)
        }
        Call::Forged { backwards, token } => {
            let continuation = Some(token.token(*backwards).encode(&list.hash()));
            let filter = ItemFilter::default();
            let request =
                PageRequest { list: list.clone(), order: order(*backwards), max_size: 9, filter, continuation };
            let page = run(objects, read_page(request))?;
            oracle::page(&page.items, order(*backwards), 9);
            Ok(Seen::Items(page.items))
        }
        Call::Key => run(objects, read_key_metadata(list.clone())).map(Seen::Key),
        Call::Keyspace => {
            let keyspace = KeyspaceName::new(list.keyspace())?;
            let known = run(objects, read_keyspace_metadata(Prefix::default(), keyspace))?;
            assert_eq!(known.keyspace, list.keyspace());
            Ok(Seen::Keyspace(known.format_version))
        }
        Call::Keys { max } => {
            let keyspace = KeyspaceName::new(list.keyspace())?;
            let keys = run(objects, list_keys(Prefix::default(), keyspace, String::new(), None, u32::from(*max)))?;
            assert!(keys.keys.len() <= usize::from(*max).max(1));
            Ok(Seen::Keys(keys))
        }
        &Call::Timeline { from, to } => {
            let timeline = run(objects, read_timeline(list.clone(), TimelineWindow { from, to }))?;
            if let Some(timeline) = &timeline {
                oracle::timeline(timeline);
            }
            Ok(Seen::Timeline(timeline))
        }
        Call::Follow { offset } => follow(objects, list, offset.map(u64::from)).map(Seen::Items),
        Call::Verify => {
            run(objects, verify(list.clone(), Arc::default())).map(|report| Seen::Verified(Box::new(report)))
        }
        Call::Sweep => {
            let mut report = run(objects, without_writes(sweep_commits(list.clone())))?;
            report.add(run(objects, without_writes(sweep_objects(list.clone())))?);
            Ok(Seen::Swept(report))
        }
        Call::Write { count } => write(objects, list, u64::from(*count)).map(Seen::Written),
    }
}

fn order(backwards: bool) -> IterationOrder {
    if backwards { IterationOrder::Backwards } else { IterationOrder::Forwards }
}

fn pages(
    objects: &mut Objects,
    list: &ListName,
    order: IterationOrder,
    max_size: u64,
    filter: ItemFilter,
) -> Result<Vec<Item>, FormatError> {
    let (mut items, mut continuation) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let request = PageRequest { list: list.clone(), order, max_size, filter, continuation };
        let page = run(objects, read_page(request))?;
        oracle::page(&page.items, order, max_size);
        items.extend(page.items);
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    oracle::in_order(&items, order);
    Ok(items)
}

fn follow(objects: &mut Objects, list: &ListName, offset: Option<u64>) -> Result<Vec<Item>, FormatError> {
    let start = offset.map_or(FollowStart::End, FollowStart::Offset);
    let (mut follower, mut items) = (Follower::new(list.clone(), start), Vec::new());
    for _ in 0..POLLS {
        let (next, polled) = run(objects, follower.poll());
        items.extend(polled?);
        follower = next;
    }
    oracle::in_order(&items, IterationOrder::Forwards);
    Ok(items)
}

fn write(objects: &mut Objects, list: &ListName, count: u64) -> Result<Option<u64>, FormatError> {
    let options = SessionOptions { compact_objects_threshold: 4, ..SessionOptions::default() };
    let mut session = run(objects, Session::open(list.clone(), SessionId(77), Arc::new(options)))?;
    let compacted = run(objects, session.compact(99 << 64))?;
    if let Compaction::Prepared(prepared) = compacted {
        session.accept(prepared);
    }
    let before = session.next_offset();
    let source = Source::new("partition", 1)?;
    let insertion = |at| Insertion::new(Bytes::from_static(b"new")).with_source_offset(source.clone(), at);
    match run(objects, session.append((0..count).map(insertion).collect(), 0))? {
        (session, AppendOutcome::Appended(appended)) => {
            assert!(appended.offsets.start >= before || appended.offsets.is_empty());
            assert!(appended.offsets.end - appended.offsets.start <= count);
            Ok(Some(session.next_offset()))
        }
        (_, AppendOutcome::AwaitsCompaction { .. }) => Ok(None),
        (_, refused) => panic!("{refused:?}"),
    }
}
