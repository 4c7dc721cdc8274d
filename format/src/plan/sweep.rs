//! Sweeping: finding what crashes have left over (PROTOCOL rules 10 and 11). Any session may sweep at any time.

use std::collections::HashSet;

use super::collect::Garbage;
use super::load::{Fetch, Snapshot, load};
use super::{Answer, ByteRange, Cache, Listed, Plan, Port, Request, Step, collect, pages};
use crate::error::FormatError;
use crate::limits::{MAX_HEADER_BYTES, MAX_IN_FLIGHT, MAX_RESTARTS};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::commit::CommitHeader;
use crate::wire::head::{IndexEntry, Source};
use crate::wire::identity::ObjectId;

/// Names of one LIST answer.
const MAX_LISTED: u32 = 1_000;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Handover commits that became stubs.
    pub stubbed: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Bytes of both.
    pub freed_bytes: u64,
    /// Objects that could not be read and were left as they are.
    pub unreadable: Vec<String>,
}

impl SweepReport {
    /// Adds what another sweep did.
    pub fn add(&mut self, other: Self) {
        self.stubbed += other.stubbed;
        self.deleted += other.deleted;
        self.freed_bytes = self.freed_bytes.saturating_add(other.freed_bytes);
        self.unreadable.extend(other.unreadable);
    }
}

/// Rule 10: collects commits below C that their writer did not.
///
/// # Errors
/// Those of a Load, and index pages that are corrupt. Nothing that the newest commit refers to is touched.
pub fn sweep_commits(list: ListName) -> Plan<Result<SweepReport, FormatError>> {
    Plan::new(|port| async move {
        let mut report = SweepReport::default();
        let Some((snapshot, reachable)) = load_reachable(&port, &list).await? else { return Ok(report) };
        let covered = snapshot.header.covered;
        if covered == 0 {
            return Ok(report);
        }
        // Names are inverted: those of lower numbers follow that of C.
        let mut after = list.commit(covered);
        loop {
            let (objects, truncated) = list_after(&port, list.commits(), Some(after.clone())).await;
            let candidates = objects.iter().filter(|object| {
                let seq = list.parse_commit(&object.name);
                let spared = seq.is_none_or(|seq| seq >= covered || reachable.commits.contains(&seq));
                // Rule 10: a stub is never deleted.
                let stub = object.size == 0 && rules::kept(Rule::SweepKeepsStubs);
                !stub && !(spared && (rules::kept(Rule::SweepSparesComplete) || seq.is_none()))
            });
            let candidates: Vec<&Listed> = candidates.collect();
            for batch in candidates.chunks(MAX_IN_FLIGHT) {
                sweep_batch(&port, &list, batch, &mut report).await;
            }
            match objects.last() {
                Some(last) if truncated => after = last.name.clone(),
                _ => return Ok(report),
            }
        }
    })
}

/// The same plan as a rehearsal: what it would PUT and DELETE is answered as done, and not sent.
pub fn without_writes<T: Send + 'static>(mut plan: Plan<T>) -> Plan<T> {
    Plan::new(|port| async move {
        let mut answers = Vec::new();
        loop {
            let requests = match plan.step(answers) {
                Step::Send(requests) => requests,
                Step::Done(output) => return output,
            };
            let is_read = |request: &Request| matches!(request, Request::List { .. } | Request::Get { .. });
            let reads: Vec<bool> = requests.iter().map(is_read).collect();
            let mut sent = port.send(requests.into_iter().filter(is_read).collect()).await.into_iter();
            let answer = |read: &bool| match read {
                true => sent.next().unwrap_or(Answer::Unknown),
                false => Answer::Done { etag: None },
            };
            answers = reads.iter().map(answer).collect();
        }
    })
}

/// Rule 10, for some names: GET the header; a handover becomes a stub, anything else is deleted.
async fn sweep_batch(port: &Port, list: &ListName, batch: &[&Listed], report: &mut SweepReport) {
    let get = |object: &&Listed| Request::Get {
        name: object.name.clone(),
        range: Some(ByteRange::new(0, MAX_HEADER_BYTES as u64)),
        cache: Cache::Reload,
    };
    let answers = port.send(batch.iter().map(get).collect()).await;
    let mut garbage = Garbage::default();
    for (listed, answer) in batch.iter().zip(answers) {
        let object = match answer {
            Answer::Got(object) => object,
            Answer::Missing => continue,
            _ => {
                report.unreadable.push(listed.name.clone());
                continue;
            }
        };
        if object.body.is_empty() {
            if !rules::kept(Rule::SweepKeepsStubs) {
                garbage.deletes.push(listed.name.clone());
            }
            continue;
        }
        match CommitHeader::decode(&object.body, &list.hash()) {
            // Another commit's bytes under this name say nothing of what its name must become.
            Ok(header)
                if Some(header.commit.seq) == list.parse_commit(&listed.name)
                    || !rules::kept(Rule::SweepChecksNumber) =>
            {
                garbage.add_commit(listed.name.clone(), header.commit.handover, Rule::SweepStubsHandover);
                report.freed_bytes += listed.size;
            }
            _ if rules::kept(Rule::SweepLeavesUnreadable) => report.unreadable.push(listed.name.clone()),
            _ => garbage.deletes.push(listed.name.clone()),
        }
    }
    report.stubbed += garbage.stubs.len() as u64;
    report.deleted += garbage.deletes.len() as u64;
    collect::free(port, garbage).await;
}

/// Rule 11: deletes segments and index pages that no index can refer to any more.
///
/// # Errors
/// Those of a Load, and index pages that are corrupt. Nothing that the newest commit refers to is touched.
pub fn sweep_objects(list: ListName) -> Plan<Result<SweepReport, FormatError>> {
    Plan::new(|port| async move {
        let mut report = SweepReport::default();
        let Some((snapshot, reachable)) = load_reachable(&port, &list).await? else { return Ok(report) };
        let covered = snapshot.header.covered;
        // Names begin with X: those that may go come first.
        let folders = [(list.index_pages(), &reachable.pages), (list.segments(), &reachable.segments)];
        for (folder, reachable) in folders {
            let mut after = None;
            'folder: loop {
                let (objects, truncated) = list_after(&port, folder.clone(), after.take()).await;
                let mut garbage = Garbage::default();
                for object in &objects {
                    let id = list.parse_index_page(&object.name).or_else(|| list.parse_segment(&object.name));
                    let Some(id) = id else { continue };
                    if id.x > covered && rules::kept(Rule::SweepCoveredOnly) {
                        break;
                    }
                    if reachable.contains(&id) && rules::kept(Rule::SweepUnreferencedOnly) {
                        continue;
                    }
                    garbage.deletes.push(object.name.clone());
                    report.freed_bytes += object.size;
                }
                report.deleted += garbage.deletes.len() as u64;
                collect::free(&port, garbage).await;
                match objects.last() {
                    Some(last) if truncated && !beyond(&list, last, covered) => after = Some(last.name.clone()),
                    _ => break 'folder,
                }
            }
        }
        Ok(report)
    })
}

fn beyond(list: &ListName, object: &Listed, covered: u64) -> bool {
    let id = list.parse_index_page(&object.name).or_else(|| list.parse_segment(&object.name));
    id.is_some_and(|id| id.x > covered)
}

async fn list_after(port: &Port, prefix: String, start_after: Option<String>) -> (Vec<Listed>, bool) {
    let list = Request::List { prefix, start_after, max_keys: MAX_LISTED, delimiter: false };
    match port.send_one(list).await {
        Answer::Listed(listing) => (listing.objects, listing.truncated),
        _ => (Vec::new(), false),
    }
}

/// Everything that the newest commit refers to, through all levels.
#[derive(Default)]
struct Reachable {
    pages: HashSet<ObjectId>,
    segments: HashSet<ObjectId>,
    commits: HashSet<u64>,
}

impl Reachable {
    fn add(&mut self, entries: &[IndexEntry]) {
        for entry in entries {
            match &entry.source {
                Source::Segment { id, .. } => drop(self.segments.insert(*id)),
                Source::Commit(commit) => drop(self.commits.insert(commit.seq)),
            }
        }
    }
}

/// Loads, and reads what the newest commit refers to. A missing page means that it was replaced meanwhile: start over
/// from Load, having sent nothing (rules 10 and 11). What a second Load refers to all the same is lost.
async fn load_reachable(port: &Port, list: &ListName) -> Result<Option<(Snapshot, Reachable)>, FormatError> {
    let mut missing = None;
    for _ in 0..MAX_RESTARTS {
        let Some(snapshot) = load(port, list, Fetch::Header).await? else { return Ok(None) };
        match reachable_from(port, list, &snapshot.header).await? {
            Pages::Read(reachable) => return Ok(Some((snapshot, reachable))),
            Pages::Missing(page) if missing == Some(page) => return Err(pages::lost(list, page)),
            Pages::Missing(page) => missing = Some(page),
        }
    }
    Err(FormatError::Contended { list: list.to_string(), attempts: MAX_RESTARTS })
}

/// What became of reading the index.
enum Pages {
    Read(Reachable),
    /// This page is gone.
    Missing(ObjectId),
}

async fn reachable_from(port: &Port, list: &ListName, newest: &CommitHeader) -> Result<Pages, FormatError> {
    let mut reachable = Reachable::default();
    let Some(index) = newest.index else { return Ok(Pages::Read(reachable)) };
    reachable.pages.insert(index.id);
    let Some(head) = pages::head(port, list, index).await? else {
        let kept = rules::kept(Rule::SweepMissingPage);
        return Ok(if kept { Pages::Missing(index.id) } else { Pages::Read(reachable) });
    };
    reachable.add(&head.open);
    reachable.pages.extend(head.ledger_pages.iter().map(|page| page.id));
    if !rules::kept(Rule::SweepReachesLeaves) {
        return Ok(Pages::Read(reachable));
    }
    for leaf in &head.leaves {
        reachable.pages.insert(leaf.id);
        match pages::leaf(port, list, leaf).await? {
            Some(page) => reachable.add(&page.entries),
            None if rules::kept(Rule::SweepMissingPage) => return Ok(Pages::Missing(leaf.id)),
            None => {}
        }
    }
    Ok(Pages::Read(reachable))
}

#[cfg(test)]
mod tests;
