//! Appending, and deciding whether a commit is in the chain (PROTOCOL rules 1, 3, 4, 5 and 8).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::carry::Carry;
use super::duplicates::{Judged, judge};
use super::live::Begin;
use super::load::{Fetch, Snapshot, load};
use super::recent::{detached, last_within};
use super::session::Session;
use super::{Answer, Plan, Port, PutKind, Request, pages};
use crate::error::{CorruptObject, FormatError};
use crate::item::{Insertion, Item};
use crate::limits::{MAX_RESTARTS, MAX_SOURCES, MAX_TABLE_ENTRIES};
use crate::plan::ledger;
use crate::rules::{self, Rule};
use crate::wire::block::{BlockOptions, plain_size};
use crate::wire::commit::{CommitHeader, EncodedCommit, TableEntry, Totals, encode_commit};
use crate::wire::identity::CommitIdentity;
use crate::wire::run::Run;
use crate::wire::sources::Sources;

/// How an append ended.
#[derive(Debug)]
pub enum AppendOutcome {
    /// Every insertion is in the list, from this append or (as a duplicate) from an earlier one.
    Appended(Appended),
    /// The table or the header is full: nothing was sent. Compact, accept what it prepared and append again.
    AwaitsCompaction {
        /// What was to be appended, all of it.
        insertions: Vec<Insertion>,
    },
    /// The list's end is not where [`Session::append_at`] was to append: nothing was appended.
    EndsElsewhere {
        /// The list's next offset.
        next_offset: u64,
    },
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// The offsets of what was appended; empty where everything was a duplicate.
    pub offsets: Range<u64>,
    /// Which of those offered were in the list already, by their nonce or else by their place in their source: runs of
    /// positions, counted from 0, in ascending order.
    pub duplicates: Vec<Range<u64>>,
    /// Earlier items that the session's retention took away with it.
    pub trimmed: u64,
    /// How often another writer's commit came first.
    pub conflicts: u64,
}

impl Appended {
    /// How many were in the list already.
    pub fn duplicate_count(&self) -> u64 {
        self.duplicates.iter().map(|run| run.end - run.start).sum()
    }
}

impl Session {
    /// Appends one commit's worth of insertions (see [`super::split`]), and publishes a prepared index along.
    ///
    /// `now` is the timestamp of insertions without one. On [`Answer::Unknown`] the plan asks for the identical PUT
    /// again, without end: the driver waits in between and gives up by dropping the plan, and the session with it.
    ///
    /// # Errors
    /// Those of a Load, and [`FormatError::TooManySources`]; the session is then abandoned.
    pub fn append(self, insertions: Vec<Insertion>, now: i64) -> Plan<Result<(Self, AppendOutcome), FormatError>> {
        Plan::new(|port| async move { self.append_with(&port, insertions, now, None).await })
    }

    /// Appends as [`Self::append`] does, but only where the list's next offset is `expected` when the commit takes
    /// effect.
    ///
    /// # Errors
    /// See [`Self::append`].
    pub fn append_at(
        self,
        insertions: Vec<Insertion>,
        now: i64,
        expected: u64,
    ) -> Plan<Result<(Self, AppendOutcome), FormatError>> {
        Plan::new(move |port| async move { self.append_with(&port, insertions, now, Some(expected)).await })
    }

    async fn append_with(
        mut self,
        port: &Port,
        insertions: Vec<Insertion>,
        now: i64,
        expected: Option<u64>,
    ) -> Result<(Self, AppendOutcome), FormatError> {
        let loads_before = self.loads;
        let (nonce_before, sources_before) = (self.next_nonce(), self.sources());
        let mut conflicts = 0;
        loop {
            let next_offset = self.next_offset();
            if expected.is_some_and(|expected| expected != next_offset) {
                if self.loads != loads_before {
                    return Ok((self, AppendOutcome::EndsElsewhere { next_offset }));
                }
                // S may be old: another writer may have appended since.
                self.reload(port).await?;
                continue;
            }
            // Rules 3 and 5: duplicates are judged by S, which only an acknowledgement or a Load has set, and all anew
            // where S has moved.
            let (next_nonce, sources) = match rules::kept(Rule::JudgeAgain) {
                true => (self.next_nonce(), self.sources()),
                false => (nonce_before, sources_before.clone()),
            };
            let Judged { new, duplicates, sources } = judge(&insertions, next_nonce, sources);
            if new.is_empty() {
                let end = self.next_offset();
                let appended = Appended { offsets: end..end, duplicates, trimmed: 0, conflicts };
                return Ok((self, AppendOutcome::Appended(appended)));
            }
            if sources.are_too_many() {
                let (list, sources) = (self.list.to_string(), sources.len());
                return Err(FormatError::TooManySources { list, sources, limit: MAX_SOURCES });
            }
            self.require_room(new.len() as u64)?;
            let items = number(&new, self.next_offset(), now);
            drop(new);
            let start = self.newest.as_ref().map_or(0, |newest| newest.start);
            let begin = self.retained(port, &items, now).await;
            let Some(attempt) = self.prepare(items, begin, sources) else {
                return Ok((self, AppendOutcome::AwaitsCompaction { insertions }));
            };
            let (run, trimmed) = (attempt.commit.header.run, attempt.commit.header.start.saturating_sub(start));
            if self.commit(port, attempt).await? {
                let appended = Appended { offsets: run.first..run.end(), duplicates, trimmed, conflicts };
                return Ok((self, AppendOutcome::Appended(appended)));
            }
            conflicts += 1;
        }
    }

    /// Where the list is to begin by the session's retention when these items are appended. What the index does not
    /// tell must not hold up an append: `None` then, and a later commit trims.
    async fn retained(&mut self, port: &Port, items: &[Item], now: i64) -> Option<Begin> {
        if self.options.retention.is_unlimited() {
            return None;
        }
        let mut incoming = Run::empty(self.next_offset(), i64::MIN, 0);
        items.iter().for_each(|item| incoming.push(item));
        let start = self.retained_from(port, now, &incoming).await.ok()?;
        self.begin_at(port, start).await.ok()
    }

    /// Publishes the prepared index with a metadata-only commit; `false` where there is none (any more).
    ///
    /// # Errors
    /// Those of a Load; the session is then abandoned.
    pub fn publish(mut self) -> Plan<Result<(Self, bool), FormatError>> {
        Plan::new(|port| async move {
            if self.prepared.is_none() {
                return Ok((self, false));
            }
            let Some(attempt) = self.prepare(Vec::new(), None, self.sources()) else { return Ok((self, false)) };
            let committed = self.commit(&port, attempt).await?;
            Ok((self, committed))
        })
    }

    /// Builds the commit that follows S; `None` where table or header would be too large. `begin` says where the list
    /// begins with it (rule 6), if not where it does with S; `sources` are those after it.
    pub(super) fn prepare(&mut self, items: Vec<Item>, begin: Option<Begin>, sources: Arc<Sources>) -> Option<Attempt> {
        let put_id = self.next_put_id;
        let header = CommitHeader { sources, ..self.successor(&items, put_id, begin)? };
        // A small commit is compressed again when it is merged: until then by something fast.
        let fast = BlockOptions { codec: self.options.small_codec(), ..self.options.block };
        // The newest page is in a complete commit's own items as well, and a scan would read a carry in vain.
        let own_bytes: usize = items.iter().map(plain_size).sum();
        let enough = header.commit.complete && own_bytes >= self.options.carry_bytes;
        let carries = header.start < header.run.first && !enough;
        let carried =
            if carries { self.carry.blocks_before(header.run.first, header.start, &fast) } else { Vec::new() };
        let own = if header.commit.complete { &self.options.block } else { &fast };
        let commit = encode_commit(header, &items, &carried, own).ok()?;
        // Rule 1: a put id is new for every payload of the session.
        if rules::kept(Rule::NewPutId) {
            self.next_put_id += 1;
        }
        Some(Attempt { commit, items, publishes: self.prepared.is_some() })
    }

    /// The header of the commit that follows S, without blocks, carry and sources; `None` where its table would be too long.
    fn successor(&self, items: &[Item], put_id: u64, begin: Option<Begin>) -> Option<CommitHeader> {
        let previous = self.newest.as_deref();
        let first = self.next_offset();
        let running_max = previous.map_or(i64::MIN, |newest| newest.run.running_max_timestamp);
        let mut run = Run::empty(first, running_max, self.next_nonce());
        items.iter().for_each(|item| run.push(item));

        let mut table: Vec<TableEntry> = previous
            .map_or_else(Vec::new, |newest| newest.table.iter().copied().chain([newest.as_table_entry()]).collect());
        let (mut covered, mut index) = previous.map_or((0, None), |newest| (newest.covered, newest.index));
        let mut before = previous.map_or(Run::empty(0, i64::MIN, 0), |newest| newest.before);
        if let Some(prepared) = &self.prepared {
            // Rule 8: C := X, the new index, the table without entries below X.
            covered = prepared.x;
            index = Some(prepared.index);
            let dropped = table.iter().take_while(|entry| entry.commit.seq < covered).last();
            before = dropped.map_or(before, |entry| entry.run.after());
            table.retain(|entry| entry.commit.seq >= covered);
        }
        if table.len() > MAX_TABLE_ENTRIES && rules::kept(Rule::TableBound) {
            return None;
        }
        let unchanged = previous.map_or(Begin { start: 0, totals: Totals::EMPTY }, |newest| Begin {
            start: newest.start,
            totals: newest.totals,
        });
        let Begin { start, mut totals } = begin.unwrap_or(unchanged);
        totals.add(&run);
        Some(CommitHeader {
            list: self.list.hash(),
            commit: CommitIdentity {
                seq: previous.map_or(0, |newest| newest.commit.seq.saturating_add(1)),
                session: self.id,
                put_id,
                // Rule 3: true where S is another session's, and for commit 0.
                handover: previous.is_none_or(|newest| newest.commit.session != self.id)
                    && rules::kept(Rule::HandoverBit),
                complete: self.options.is_complete(run.count, run.value_bytes),
            },
            run,
            carry_first: first,
            covered,
            index,
            start,
            totals,
            before,
            table,
            sources: Arc::default(),
            own_blocks: Vec::new(),
            carried_blocks: Vec::new(),
            sections: Vec::new(),
            header_length: 0,
        })
    }

    /// Sends the commit until its fate is known; `true` where it is in the chain. S moves either way.
    pub(super) async fn commit(&mut self, port: &Port, attempt: Attempt) -> Result<bool, FormatError> {
        self.require_room(attempt.items.len() as u64)?;
        let header = attempt.commit.header.clone();
        if !rules::kept(Rule::CarryAcknowledged) {
            self.carry.extend(attempt.items.iter().cloned(), header.start, self.options.carry_bytes);
        }
        #[cfg(feature = "mutants")]
        super::session::abandoned::remember(self);
        let name = self.list.commit(header.commit.seq);
        let accepted = put_until_definite(port, name, attempt.commit.body.clone()).await;
        // Rule 4: 200 on a name that our own session's commit precedes is proof; anything else is resolved.
        if accepted && !must_resolve(&header) {
            self.acknowledge(attempt);
            return Ok(true);
        }
        // Rule 5: S never moves before rule 4 has decided.
        if accepted && !rules::kept(Rule::DuplicateFromSnapshot) {
            self.acknowledge(attempt);
            return Ok(false);
        }
        if !accepted && !rules::kept(Rule::ResolveRefused) {
            let snapshot = load(port, &self.list, Fetch::Small).await?;
            self.move_to(snapshot);
            return Ok(false);
        }
        let (snapshot, committed) = self.resolve(port, &header).await?;
        if committed {
            self.collect_published(&attempt);
            self.recent.insert(&header, detached(attempt.items), self.options.recent_bytes);
        }
        self.move_to(snapshot);
        Ok(committed)
    }

    /// Refuses to follow a commit with the last number or offset that there is, which no writer has come to: its own name
    /// would be tried for ever.
    fn require_room(&self, items: u64) -> Result<(), FormatError> {
        match &self.newest {
            Some(newest) if newest.commit.seq == u64::MAX || newest.next_offset().checked_add(items).is_none() => {
                let object = self.list.commit(newest.commit.seq);
                Err(CorruptObject { object, reason: "there is no number left for a commit or an item after it" }.into())
            }
            _ => Ok(()),
        }
    }

    /// S := my commit, acknowledged without a Load.
    fn acknowledge(&mut self, attempt: Attempt) {
        let header = attempt.commit.header.clone();
        self.collect_published(&attempt);
        // Of a complete commit the carry alone keeps items.
        let kept_bytes = if header.commit.complete { self.options.carry_bytes } else { usize::MAX };
        let items = detached(last_within(attempt.items, kept_bytes));
        // Rule 3: only now do the items enter the carry's memory.
        if rules::kept(Rule::CarryAcknowledged) {
            let begin = items.first().map_or(header.next_offset(), |item| item.offset);
            if begin > header.run.first {
                self.carry = Carry::empty_at(begin);
            }
            self.carry.extend(items.iter().cloned(), header.start, self.options.carry_bytes);
        }
        self.recent.insert(&header, items, self.options.recent_bytes);
        self.newest = Some(Arc::new(header));
    }

    /// After an acknowledged publication: what it replaced is garbage (rule 9).
    fn collect_published(&mut self, attempt: &Attempt) {
        if !attempt.publishes {
            return;
        }
        let Some(prepared) = self.prepared.take() else { return };
        self.recent.forget_below(prepared.x);
        self.head_page = Some(prepared.head_page);
        self.garbage = Some(prepared.garbage.with(self.garbage.take()));
    }

    /// Rule 4: S' := Load, and whether the commit is in its chain.
    async fn resolve(&self, port: &Port, mine: &CommitHeader) -> Result<(Option<Snapshot>, bool), FormatError> {
        let mut missing = None;
        for _ in 0..MAX_RESTARTS {
            let snapshot = load(port, &self.list, Fetch::Small).await?;
            let Some(loaded) = &snapshot else { return Ok((None, false)) };
            let newest = &loaded.header;
            let committed = if newest.commit.seq == mine.commit.seq {
                is_mine(&newest.commit, &newest.run, mine)
            } else if let Some(entry) = newest.entry(mine.commit.seq) {
                is_mine(&entry.commit, &entry.run, mine)
            } else if mine.commit.seq < newest.covered && rules::kept(Rule::ResolveByLedger) {
                match ledger::last_handover(port, &self.list, newest, mine.commit.seq).await? {
                    ledger::Found::Session(session) => session == Some(mine.commit.session),
                    // A page was replaced meanwhile: its successor is found from a new Load.
                    ledger::Found::PageMissing(id) => {
                        let now = (id, loaded.etag.clone());
                        if missing.as_ref() == Some(&now) {
                            return Err(pages::lost(&self.list, id));
                        }
                        missing = Some(now);
                        continue;
                    }
                }
            } else {
                mine.commit.seq < newest.covered && !rules::kept(Rule::ResolveByLedger)
            };
            return Ok((snapshot, committed));
        }
        Err(FormatError::Contended { list: self.list.to_string(), attempts: MAX_RESTARTS })
    }
}

/// A commit that is about to be sent, or was.
pub(super) struct Attempt {
    commit: EncodedCommit,
    items: Vec<Item>,
    publishes: bool,
}

/// Rule 4: whether a 200 is no proof yet.
fn must_resolve(header: &CommitHeader) -> bool {
    let rule = if header.run.count == 0 { Rule::ResolveMetadataHandover } else { Rule::ResolveHandover };
    header.commit.handover && rules::kept(rule)
}

/// Rule 4: decided by session and put id, for two sessions may append equal content.
fn is_mine(found: &CommitIdentity, run: &Run, mine: &CommitHeader) -> bool {
    if !rules::kept(Rule::ResolveByIdentity) {
        return *run == mine.run;
    }
    found.session == mine.commit.session && found.put_id == mine.commit.put_id
}

/// Rule 3: sends the identical bytes until the store says 200 (`true`) or 412 (`false`).
async fn put_until_definite(port: &Port, name: String, body: Bytes) -> bool {
    let kind = if rules::kept(Rule::ConditionalPut) { PutKind::Create } else { PutKind::Stub };
    loop {
        match port.send_one(Request::Put { name: name.clone(), body: body.clone(), kind }).await {
            Answer::Done { .. } => return true,
            Answer::Exists => return false,
            _ if !rules::kept(Rule::NoAnswerProvesNothing) => return true,
            _ if !rules::kept(Rule::RepeatIdentical) => return false,
            _ => {}
        }
    }
}

/// Gives insertions their offsets, and `now` where they have no timestamp.
fn number(insertions: &[&Insertion], first: u64, now: i64) -> Vec<Item> {
    let items = insertions.iter().zip(first..).map(|(insertion, offset)| Item {
        offset,
        timestamp: insertion.timestamp.unwrap_or(now),
        nonce: insertion.nonce,
        value: insertion.value.clone(),
    });
    items.collect()
}

#[cfg(test)]
mod tests;
