//! What truly happened to a list: a witness sits in front of the store and sees which commits took effect, in which
//! order. Whatever a writer is told and a reader sees must agree with it.

use std::collections::HashSet;

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::names::ListName;
use klstore_format::plan::{Answer, PutKind, Request};
use klstore_format::wire::block::decode_blocks;
use klstore_format::wire::commit::{CommitHeader, IndexReference};
use klstore_format::wire::head::{HeadPage, IndexEntry};
use klstore_format::wire::leaf::LeafPage;
use klstore_format::wire::run::Run;

use crate::world::{World, list};

/// The store of one list, and its history.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    /// The store.
    pub world: World,
    /// Every item of the chain, in order.
    pub items: Vec<Item>,
    /// After each commit: how many items there were ever, and where the list began.
    pub moments: Vec<(usize, u64)>,
    /// The end of the chain.
    newest: Option<CommitHeader>,
    /// Names that the newest commit's index refers to, through all levels.
    indexed: HashSet<String>,
    values: HashSet<Bytes>,
    next_nonce: u128,
    /// Commits that were created again under names of the past.
    pub ghosts: u64,
    /// Objects that were deleted or stubbed.
    pub freed: u64,
    /// Indexes that commits of the chain published.
    pub publications: u64,
    /// Publications after which something was freed.
    pub collections: u64,
    /// Commits of the chain by another session than the one before.
    pub handovers: u64,
    collected: bool,
}

impl Witness {
    /// A store without the list.
    pub fn new(world: World) -> Self {
        Self { world, moments: vec![(0, 0)], collected: true, ..Self::default() }
    }

    /// Lets a request take effect now.
    ///
    /// # Errors
    /// What the protocol forbids, in words.
    pub fn apply(&mut self, request: &Request) -> Result<Answer, String> {
        self.check_freed(request)?;
        let answer = self.world.apply(request);
        if let (Request::Put { name, body, kind: PutKind::Create }, Answer::Done { .. }) = (request, &answer) {
            self.created(name, body)?;
        }
        Ok(answer)
    }

    /// Property 5, and the same for commits: nothing that the newest commit refers to is ever freed.
    fn check_freed(&mut self, request: &Request) -> Result<(), String> {
        let freed = match request {
            Request::Delete { names } => names.as_slice(),
            Request::Put { name, kind: PutKind::Stub, .. } => std::slice::from_ref(name),
            _ => return Ok(()),
        };
        self.freed += freed.len() as u64;
        if !freed.is_empty() && !self.collected {
            self.collected = true;
            self.collections += 1;
        }
        for name in freed {
            let live = list().parse_commit(name).is_some_and(|seq| {
                self.newest.as_ref().is_none_or(|newest| (newest.covered..=newest.commit.seq).contains(&seq))
            });
            if live || self.indexed.contains(name) {
                return Err(format!("{name} is freed although the newest commit refers to it"));
            }
        }
        Ok(())
    }

    /// A commit took effect: it is the next of the chain, or a ghost under a name of the past.
    fn created(&mut self, name: &str, body: &Bytes) -> Result<(), String> {
        let list = list();
        let seq = list.parse_commit(name).ok_or_else(|| format!("{name} is no commit"))?;
        let expected = self.newest.as_ref().map_or(0, |newest| newest.commit.seq + 1);
        if seq < expected {
            self.ghosts += 1;
            return Ok(());
        }
        let damaged = |what: &dyn std::fmt::Debug| format!("commit {seq}: {what:?}");
        let header = CommitHeader::decode(body, &list.hash()).map_err(|malformed| damaged(&malformed))?;
        if seq > expected {
            return Err(format!("commit {seq} where {expected} was due"));
        }
        self.check_successor(&header)?;
        for (blocks, first) in [(&header.own_blocks, header.run.first), (&header.carried_blocks, header.carry_first)] {
            let mut items = Vec::new();
            decode_blocks(body, 0, blocks, header.owner(), &mut items).map_err(|malformed| damaged(&malformed))?;
            if first == header.run.first && std::ptr::eq(blocks, &header.own_blocks) {
                self.extend(items)?;
            } else if !self.items[first as usize..].starts_with(&items) {
                return Err(format!("commit {seq} carries other items than those before it"));
            }
        }
        if header.index != self.newest.as_ref().and_then(|newest| newest.index)
            && let Some(index) = header.index
        {
            self.indexed = reachable(&self.world, &list, index)?;
            self.publications += 1;
            self.collected = false;
        }
        self.handovers += u64::from(header.commit.handover && self.newest.is_some());
        self.moments.push((self.items.len(), header.start));
        self.newest = Some(header);
        Ok(())
    }

    /// The commit says the truth about what came before it.
    fn check_successor(&self, header: &CommitHeader) -> Result<(), String> {
        let seq = header.commit.seq;
        let wrong = |what: &str| Err(format!("commit {seq}: {what}"));
        if header.run.first != self.items.len() as u64 {
            return wrong("it does not begin where the list ends");
        }
        let mut before = Run::empty(0, i64::MIN, 0);
        let items = self.items.get(..header.before.first as usize).unwrap_or_default();
        items.iter().for_each(|item| before.push(item));
        if header.before != before.after() {
            return wrong("its state before the table is not the list's");
        }
        let Some(newest) = &self.newest else { return Ok(()) };
        if header.covered < newest.covered || header.start < newest.start {
            return wrong("C or start goes back");
        }
        // Rules 3 and 6.
        if header.start > header.run.first {
            return wrong("its start is beyond what was there before it");
        }
        if !header.carried_blocks.is_empty() && header.carry_first < header.start {
            return wrong("it carries what has been trimmed");
        }
        if header.commit.handover != (header.commit.session != newest.commit.session) {
            return wrong("a wrong handover bit");
        }
        let table: Vec<_> = newest.table.iter().copied().chain([newest.as_table_entry()]).collect();
        if !table.ends_with(&header.table) || header.table.len() as u64 != seq - header.covered {
            return wrong("its table does not show the commits before it");
        }
        Ok(())
    }

    fn extend(&mut self, items: Vec<Item>) -> Result<(), String> {
        for item in items {
            if let Some(nonce) = item.nonce {
                if nonce < self.next_nonce {
                    return Err(format!("nonce {nonce} where {} is the lowest that may follow", self.next_nonce));
                }
                self.next_nonce = nonce + 1;
            }
            // The tests never append a value twice.
            if !self.values.insert(item.value.clone()) {
                return Err(format!("{:?} is in the list twice", item.value));
            }
            self.items.push(item);
        }
        Ok(())
    }

    /// Counts anew from here.
    pub fn forget_counts(&mut self) {
        (self.ghosts, self.freed, self.publications, self.collections, self.handovers) = (0, 0, 0, 0, 0);
    }

    /// C of the newest commit: those below are covered by the index.
    pub fn covered(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.covered)
    }

    /// Whether this value is in the chain.
    pub fn holds(&self, value: &Bytes) -> bool {
        self.values.contains(value)
    }

    /// The first live offset.
    pub fn begin(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.start)
    }

    /// Segments and pages that nothing will ever refer to again, after all has come to rest and was swept.
    pub fn leftovers(&self) -> Vec<String> {
        let list = list();
        let covered = self.newest.as_ref().map_or(0, |newest| newest.covered);
        let mut names = self.world.names("/idx/");
        names.extend(self.world.names("/seg/"));
        names.retain(|name| {
            let id = list.parse_index_page(name).or_else(|| list.parse_segment(name));
            id.is_none_or(|id| id.x <= covered) && !self.indexed.contains(name)
        });
        names.extend(self.world.names("/log/").into_iter().filter(|name| {
            let past = list.parse_commit(name).is_none_or(|seq| seq < covered);
            let empty = self.world.object(name).is_none_or(Bytes::is_empty);
            past && !empty && !self.indexed.contains(name)
        }));
        names
    }
}

/// The names of all pages, segments and complete commits that can be reached from an index.
fn reachable(world: &World, list: &ListName, index: IndexReference) -> Result<HashSet<String>, String> {
    let mut names = HashSet::new();
    let object = |name: &str| world.object(name).cloned().ok_or_else(|| format!("{name} is published and missing"));
    let name = list.index_page(index.id);
    let head =
        HeadPage::decode(&object(&name)?, &list.hash(), index.id).map_err(|error| format!("{name}: {error:?}"))?;
    names.insert(name);
    names.extend(head.ledger_pages.iter().map(|page| list.index_page(page.id)));
    let mut entries: Vec<IndexEntry> = head.open;
    for leaf in head.leaves {
        let name = list.index_page(leaf.id);
        let page =
            LeafPage::decode(&object(&name)?, &list.hash(), leaf.id).map_err(|error| format!("{name}: {error:?}"))?;
        names.insert(name);
        entries.extend(page.entries);
    }
    for entry in &entries {
        let name = entry.name(list);
        object(&name)?;
        names.insert(name);
    }
    Ok(names)
}
