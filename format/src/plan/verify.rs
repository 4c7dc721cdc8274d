//! Verify: every object of a list is read whole and compared with what refers to it.
//!
//! It reads past all caches, follows the newest commit through index, ledger and table, checks each item's offset,
//! nonce and sums, and lists what nothing refers to. Only a publication takes objects away, so what looks damaged is
//! believed only while C and the index are those of the snapshot; else everything starts over from Load.

mod chain;
mod orphans;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::load::{Fetch, load};
use super::{Answer, ByteRange, Cache, Plan, Port, Request, metadata};
use crate::error::FormatError;
use crate::item::Item;
use crate::limits::{MAX_IN_FLIGHT, MAX_RESTARTS};
use crate::names::ListName;
use crate::wire::Malformed;
use crate::wire::block::{BlockEntry, decode_blocks, each_block};
use crate::wire::commit::{CommitHeader, IndexReference, TableEntry};
use crate::wire::head::{HeadPage, IndexEntry, LeafReference, Source};
use crate::wire::identity::{BlockOwner, CommitIdentity, ObjectId, SessionId};
use crate::wire::leaf::LeafPage;
use crate::wire::ledger::{Handover, LedgerPage, LedgerReference};
use crate::wire::run::Run;
use crate::wire::segment::SegmentHeader;

use chain::Chain;
pub use report::{Damage, DamageKind, Orphan, VerifyProgress, VerifyReport};

/// Bytes of objects that are fetched at once, unless one alone has more. Several lists may be verified at a time.
const MAX_BATCH_BYTES: u64 = 16 << 20;
/// Handovers that are kept to be compared with commits; of a longer ledger the newest.
const MAX_KEPT_HANDOVERS: usize = 1 << 20;

/// Reads everything of a list and says what is wrong with it.
///
/// A list that was never appended to is sound and empty. `progress` is told of each object as it is read.
///
/// # Errors
/// [`FormatError::KeyspaceNotFound`]; [`FormatError::Contended`] where something looked wrong and the list was
/// compacted each time before that could be made sure of. Damage is no error but in the report.
pub fn verify(list: ListName, progress: Arc<VerifyProgress>) -> Plan<Result<VerifyReport, FormatError>> {
    Plan::new(|port| async move {
        for _ in 0..MAX_RESTARTS {
            progress.restart();
            let newest = match load(&port, &list, Fetch::Header).await {
                Ok(Some(snapshot)) => snapshot.header,
                Ok(None) => {
                    metadata::require_keyspace(&port, &list).await?;
                    return Ok(VerifyReport::default());
                }
                // Without the newest commit nothing else can be found.
                Err(error) => return unreadable(error),
            };
            let scrub = Scrub::new(&port, &list, newest.clone(), &progress);
            let report = scrub.run().await?;
            if report.is_sound() || !has_moved(&port, &list, &newest).await? {
                return Ok(report);
            }
        }
        Err(FormatError::Contended { list: list.to_string(), attempts: MAX_RESTARTS })
    })
}

/// The report of a list whose newest commit cannot be read, where that is why a Load failed.
fn unreadable(error: FormatError) -> Result<VerifyReport, FormatError> {
    let mut report = VerifyReport::default();
    match error {
        FormatError::Corrupt(corrupt) => report.damage(DamageKind::Corrupt, corrupt.object, corrupt.reason),
        FormatError::UnsupportedVersion { ref object, .. } | FormatError::UnknownPart { ref object, .. } => {
            report.damage(DamageKind::Unknown, object.clone(), error.to_string());
        }
        error => return Err(error),
    }
    Ok(report)
}

/// Whether something that `newest` refers to may have been taken away since.
async fn has_moved(port: &Port, list: &ListName, newest: &CommitHeader) -> Result<bool, FormatError> {
    match load(port, list, Fetch::Header).await {
        Ok(Some(snapshot)) => {
            let now = &snapshot.header;
            let rebuilt = now.commit.seq < newest.commit.seq;
            Ok(rebuilt || (now.covered, now.index) != (newest.covered, newest.index))
        }
        Ok(None) => Ok(true),
        Err(error) => unreadable(error).map(|_| false),
    }
}

/// What the newest commit refers to, as far as it could be read.
#[derive(Default)]
struct Reachable {
    objects: HashSet<ObjectId>,
    commits: HashSet<u64>,
    /// Whether pages are missing from it: then nothing is known to be an orphan.
    incomplete: bool,
}

/// One pass over a list, from one snapshot.
struct Scrub<'a> {
    port: &'a Port,
    list: &'a ListName,
    newest: Arc<CommitHeader>,
    progress: &'a VerifyProgress,
    report: VerifyReport,
    reachable: Reachable,
    chain: Chain,
    handovers: Vec<Handover>,
    /// Whether `handovers` begins with the list.
    whole_ledger: bool,
}

impl<'a> Scrub<'a> {
    fn new(port: &'a Port, list: &'a ListName, newest: Arc<CommitHeader>, progress: &'a VerifyProgress) -> Self {
        let report =
            VerifyReport { first_offset: newest.start, next_offset: newest.next_offset(), ..VerifyReport::default() };
        let chain = Chain::new(newest.start);
        let (reachable, handovers) = (Reachable::default(), Vec::new());
        progress.expect_items(newest.next_offset().saturating_sub(newest.start));
        Self { port, list, newest, progress, report, reachable, chain, handovers, whole_ledger: true }
    }

    async fn run(mut self) -> Result<VerifyReport, FormatError> {
        if let Some(index) = self.newest.index {
            self.index(index).await;
        }
        self.table().await;
        self.check_totals();
        self.find_orphans().await;
        Ok(self.report)
    }

    /// The head page, its leaves, the ledger, and every object in them.
    async fn index(&mut self, index: IndexReference) {
        self.reachable.objects.insert(index.id);
        let name = self.list.index_page(index.id);
        let hash = self.list.hash();
        let Some(head) = self.page(&name, index.length, |body| HeadPage::decode(body, &hash, index.id)).await else {
            self.reachable.incomplete = true;
            self.whole_ledger = false;
            self.chain.lose();
            return;
        };
        if head.id.x != self.newest.covered {
            self.contradiction(&name, "its X is not C of the newest commit");
        }
        self.chain.begin(head.before);
        self.ledger(&name, &head).await;
        for leaf in &head.leaves {
            self.leaf(leaf).await;
        }
        self.entries(&name, &head.open).await;
    }

    async fn leaf(&mut self, leaf: &LeafReference) {
        self.reachable.objects.insert(leaf.id);
        let name = self.list.index_page(leaf.id);
        let hash = self.list.hash();
        let Some(page) = self.page(&name, leaf.length, |body| LeafPage::decode(body, &hash, leaf.id)).await else {
            self.reachable.incomplete = true;
            self.chain.skip(leaf.run.after());
            return;
        };
        let mut runs = page.entries.iter().map(|entry| entry.run);
        let joined = runs.next().map(|mut first| {
            runs.for_each(|run| first.join(&run));
            first
        });
        if joined != Some(leaf.run) || page.entries.len() != leaf.entries as usize {
            self.contradiction(&name, "its entries are not those that the head page says");
        }
        self.entries(&name, &page.entries).await;
    }

    /// The segments and complete commits that a page names.
    async fn entries(&mut self, page: &str, entries: &[IndexEntry]) {
        for entry in entries {
            match &entry.source {
                Source::Segment { id, .. } => drop(self.reachable.objects.insert(*id)),
                Source::Commit(commit) => drop(self.reachable.commits.insert(commit.seq)),
            }
        }
        for batch in batches(entries, |entry| entry.length) {
            let wanted = batch.iter().map(|entry| (entry.name(self.list), entry.length)).collect();
            for (entry, body) in batch.iter().zip(self.fetch(wanted).await) {
                if entry.run.first != self.chain.next_offset() {
                    self.contradiction(page, "its entries leave a gap or overlap");
                }
                if body.and_then(|body| self.entry(entry, &body)).is_none() {
                    self.chain.skip(entry.run.after());
                }
                self.tell_of_items();
            }
        }
    }

    /// Takes the items of an indexed object, compared with its entry, into the chain; `None` where they are not.
    fn entry(&mut self, entry: &IndexEntry, body: &Bytes) -> Option<()> {
        let (name, hash) = (entry.name(self.list), self.list.hash());
        let (run, header_length, blocks, same) = match &entry.source {
            Source::Segment { id, complete } => {
                let header = self.decoded(&name, SegmentHeader::decode(body, &hash))?;
                self.report.segments += 1;
                let same = (header.id, header.complete) == (*id, *complete) && header.length() == entry.length;
                (header.run, header.header_length, header.blocks, same)
            }
            Source::Commit(commit) => {
                let header = self.decoded(&name, CommitHeader::decode(body, &hash))?;
                self.report.commits += 1;
                self.check_session(&name, commit);
                let same = header.commit == *commit && header.own_length() == entry.length;
                (header.run, header.header_length, header.own_blocks, same)
            }
        };
        if !same || run != entry.run || header_length != entry.header_length {
            self.contradiction(&name, "its header is not what its entry in the index says");
            return None;
        }
        if blocks != entry.blocks {
            self.contradiction(&name, "its block directory is not that of its entry in the index");
        }
        // Block by block: a segment of items without bytes would take a thousand times as much memory as its object.
        let (mut sums, mut sound) = (self.chain.begin_object(), Ok(()));
        let decoded = each_block(body, &blocks, entry.owner(&hash), &mut |items| {
            if sound.is_ok() {
                sound = self.chain.add(&mut sums, &entry.blocks, items);
            }
            self.progress.read_items(items.len() as u64);
        });
        self.decoded(&name, decoded)?;
        match sound.and_then(|()| self.chain.end_object(sums, &run)) {
            Ok(()) => Some(()),
            Err(reason) => {
                self.contradiction(&name, reason);
                None
            }
        }
    }

    /// The commits since C, the newest one included.
    async fn table(&mut self) {
        let newest = self.newest.clone();
        let mut last = newest.covered.checked_sub(1).and_then(|seq| self.session_at(seq));
        let entries: Vec<TableEntry> = newest.table.iter().copied().chain([newest.as_table_entry()]).collect();
        for batch in batches(&entries, |entry| entry.length) {
            let wanted = batch.iter().map(|entry| (self.list.commit(entry.commit.seq), entry.length)).collect();
            for (entry, body) in batch.iter().zip(self.fetch(wanted).await) {
                let name = self.list.commit(entry.commit.seq);
                let first = entry.commit.seq == 0;
                if last.is_some_and(|last| (last != entry.commit.session) != entry.commit.handover)
                    || (first && !entry.commit.handover)
                {
                    self.contradiction(&name, "its handover bit does not fit its session and that before it");
                }
                last = Some(entry.commit.session);
                self.chain.lead_to(entry.run.first);
                if entry.run.first != self.chain.next_offset() {
                    self.contradiction(&name, "its items do not follow those before it");
                }
                match body.and_then(|body| self.commit(entry, &body)) {
                    Some((header, items)) => {
                        self.items(&name, &entry.run, &header.own_blocks, &items);
                    }
                    None => self.chain.skip(entry.run.after()),
                }
            }
        }
    }

    /// A commit's items, compared with its entry in the table, and what it carries with the items before it.
    fn commit(&mut self, entry: &TableEntry, body: &Bytes) -> Option<(CommitHeader, Vec<Item>)> {
        let (name, hash) = (self.list.commit(entry.commit.seq), self.list.hash());
        let header = self.decoded(&name, CommitHeader::decode(body, &hash))?;
        self.report.commits += 1;
        if header.as_table_entry() != *entry {
            self.contradiction(&name, "its header is not what the newest commit's table says");
            return None;
        }
        let carried = self.blocks(&name, body, &header.carried_blocks, header.owner());
        if carried.is_some_and(|carried| !self.chain.ends_with(&carried)) {
            self.contradiction(&name, "what it carries is not what comes before it");
        }
        let items = self.blocks(&name, body, &header.own_blocks, header.owner())?;
        Some((header, items))
    }

    /// Takes a commit's items into the chain.
    fn items(&mut self, name: &str, run: &Run, blocks: &[BlockEntry], items: &[Item]) {
        if let Err(reason) = self.chain.push(run, blocks, items) {
            self.contradiction(name, reason);
            self.chain.skip(run.after());
        }
        self.progress.read_items(items.len() as u64);
        self.tell_of_items();
    }

    fn tell_of_items(&mut self) {
        self.report.items = self.chain.live_items();
        self.report.value_bytes = self.chain.live_value_bytes();
    }

    /// The ledger's pages, and that it ascends from commit 0 to C.
    async fn ledger(&mut self, head_name: &str, head: &HeadPage) {
        for page in &head.ledger_pages {
            self.ledger_page(page).await;
        }
        self.add_handovers(head_name, &head.handovers);
        let begins = self.handovers.first().is_none_or(|first| first.seq == 0);
        if self.whole_ledger && (!begins || (self.handovers.is_empty() && head.id.x > 0)) {
            self.contradiction(head_name, "its handovers do not begin with commit 0");
        }
        if self.handovers.last().is_some_and(|last| last.seq >= head.id.x) {
            self.contradiction(head_name, "its handovers go beyond C");
        }
    }

    async fn ledger_page(&mut self, page: &LedgerReference) {
        self.reachable.objects.insert(page.id);
        let name = self.list.index_page(page.id);
        let hash = self.list.hash();
        let Some(read) = self.page(&name, page.length, |body| LedgerPage::decode(body, &hash, page.id)).await else {
            self.whole_ledger = false;
            self.handovers.clear();
            return;
        };
        let first = read.handovers.first().map(|first| first.seq);
        if first != Some(page.first_seq) || read.handovers.len() != page.count as usize {
            self.contradiction(&name, "its handovers are not those that the head page says");
        }
        self.add_handovers(&name, &read.handovers);
    }

    fn add_handovers(&mut self, name: &str, handovers: &[Handover]) {
        let ascends = match (self.handovers.last(), handovers.first()) {
            (Some(last), Some(first)) => last.seq < first.seq,
            _ => true,
        };
        if !ascends {
            self.contradiction(name, "its handovers do not follow those before it");
        }
        self.handovers.extend_from_slice(handovers);
        if self.handovers.len() > MAX_KEPT_HANDOVERS {
            self.handovers.drain(..self.handovers.len() - MAX_KEPT_HANDOVERS);
            self.whole_ledger = false;
        }
    }

    /// Who held the list at a commit below C, as far as the ledger could be read.
    fn session_at(&self, seq: u64) -> Option<SessionId> {
        let count = self.handovers.partition_point(|handover| handover.seq <= seq);
        self.handovers.get(count.checked_sub(1)?).map(|handover| handover.session)
    }

    /// Compares a complete commit in the index with the ledger.
    fn check_session(&mut self, name: &str, commit: &CommitIdentity) {
        let Some(session) = self.session_at(commit.seq) else { return };
        let listed = self.handovers.binary_search_by_key(&commit.seq, |handover| handover.seq).is_ok();
        if session != commit.session || (commit.handover != listed) {
            self.contradiction(name, "its session is not the one that the handovers say");
        }
    }

    fn check_totals(&mut self) {
        let newest = self.newest.clone();
        let name = self.list.commit(newest.commit.seq);
        if !self.chain.is_whole() {
            return;
        }
        if !self.chain.agrees_with(&newest.totals, newest.start) {
            self.contradiction(&name, "its totals are not those of the items");
        }
    }

    /// An index page that must be exactly so long.
    async fn page<T>(
        &mut self,
        name: &str,
        length: u64,
        decode: impl FnOnce(&Bytes) -> Result<T, Malformed>,
    ) -> Option<T> {
        let body = self.fetch(vec![(name.to_owned(), length)]).await.pop()??;
        let page = self.decoded(name, decode(&body))?;
        self.report.index_pages += 1;
        Some(page)
    }

    /// GETs whole objects of known lengths, some at once. What is not there, or shorter, is noted; nobody reads what may lie
    /// behind.
    async fn fetch(&mut self, wanted: Vec<(String, u64)>) -> Vec<Option<Bytes>> {
        let get = |(name, length): &(String, u64)| Request::Get {
            name: name.clone(),
            range: Some(ByteRange::new(0, (*length).max(1))),
            cache: Cache::Reload,
        };
        let answers = self.port.send(wanted.iter().map(get).collect()).await;
        let mut bodies = Vec::with_capacity(wanted.len());
        for ((name, length), answer) in wanted.iter().zip(answers) {
            let Answer::Got(object) = answer else {
                self.report.damage(DamageKind::Missing, name.clone(), "it does not exist, or has no bytes");
                bodies.push(None);
                continue;
            };
            self.report.read_bytes += object.body.len() as u64;
            self.progress.read_object(object.body.len() as u64);
            let body = match object.body.len() as u64 == *length {
                true => Some(object.body),
                false => {
                    self.report.damage(DamageKind::Corrupt, name.clone(), "it is shorter than what refers to it says");
                    None
                }
            };
            bodies.push(body);
        }
        bodies
    }

    fn blocks(&mut self, name: &str, body: &Bytes, blocks: &[BlockEntry], owner: BlockOwner) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        self.decoded(name, decode_blocks(body, 0, blocks, owner, &mut items))?;
        Some(items)
    }

    /// What was decoded; what could not be is noted.
    fn decoded<T>(&mut self, name: &str, decoded: Result<T, Malformed>) -> Option<T> {
        match decoded {
            Ok(decoded) => Some(decoded),
            Err(Malformed::Corrupt(reason)) => {
                self.report.damage(DamageKind::Corrupt, name.to_owned(), reason);
                None
            }
            Err(malformed) => {
                self.report.damage(DamageKind::Unknown, name.to_owned(), malformed.of(name).to_string());
                None
            }
        }
    }

    fn contradiction(&mut self, name: &str, reason: &'static str) {
        self.report.damage(DamageKind::Contradiction, name.to_owned(), reason);
    }
}

/// Some at a time, so that what is fetched at once is bounded.
fn batches<T>(all: &[T], length: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut batches = Vec::new();
    let mut rest = all;
    while !rest.is_empty() {
        let mut bytes = 0u64;
        let fits = |one: &&T| {
            bytes = bytes.saturating_add(length(one));
            bytes <= MAX_BATCH_BYTES
        };
        let count = rest.iter().take(MAX_IN_FLIGHT).take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count);
        batches.push(batch);
        rest = after;
    }
    batches
}
