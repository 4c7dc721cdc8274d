//! An object store in memory that runs plans in tests, one request after the other, and counts them.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::{Answer, Listed, Listing, Object, Plan, PutKind, Request, Step};

/// An object store in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestStore {
    /// The objects by name.
    pub(crate) objects: BTreeMap<String, Bytes>,
    /// Requests since the last [`TestStore::forget`], in order.
    pub(crate) requests: Vec<Request>,
    /// Bytes of objects answered since then.
    pub(crate) bytes: u64,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) lists: usize,
    pub(crate) gets: usize,
    pub(crate) puts: usize,
    pub(crate) deletes: usize,
}

impl TestStore {
    /// Runs a plan to its end.
    pub(crate) fn run<T>(&mut self, plan: Plan<T>) -> T {
        self.run_with(plan, |store, request| store.answer(request))
    }

    /// Runs a plan to its end; `answer` may let other things happen before and instead of an answer.
    pub(crate) fn run_with<T>(
        &mut self,
        mut plan: Plan<T>,
        mut answer: impl FnMut(&mut Self, &Request) -> Answer,
    ) -> T {
        let mut answers = Vec::new();
        for _ in 0..100_000 {
            match plan.step(std::mem::take(&mut answers)) {
                Step::Send(requests) => {
                    answers = requests.iter().map(|request| answer(self, request)).collect();
                }
                Step::Done(output) => return output,
            }
        }
        panic!(
            "the plan does not end; its last requests: {:?}",
            self.requests.iter().rev().take(4).collect::<Vec<_>>()
        );
    }

    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        self.requests.push(request.clone());
        match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                Answer::Listed(self.list(prefix, start_after.as_deref(), *max_keys, *delimiter))
            }
            Request::Get { name, range, .. } => {
                let Some(bytes) = self.objects.get(name) else { return Answer::Missing };
                let size = bytes.len() as u64;
                let (start, end) = range.map_or((0, size), |range| (range.start, range.end.min(size)));
                if range.is_some() && start >= end {
                    return Answer::Missing;
                }
                let body = bytes.slice(start as usize..end as usize);
                self.bytes += body.len() as u64;
                Answer::Got(Object { body, etag: Some(etag(bytes)), size: Some(size) })
            }
            Request::Put { name, body, kind } => {
                if *kind == PutKind::Create && self.objects.contains_key(name) {
                    return Answer::Exists;
                }
                self.objects.insert(name.clone(), body.clone());
                Answer::Done { etag: Some(etag(body)) }
            }
            Request::Delete { names } => {
                names.iter().for_each(|name| drop(self.objects.remove(name)));
                Answer::Done { etag: None }
            }
        }
    }

    fn list(&self, prefix: &str, start_after: Option<&str>, max_keys: u32, delimiter: bool) -> Listing {
        let mut listing = Listing::default();
        let names = self.objects.iter().filter(|(name, _)| name.starts_with(prefix));
        for (name, bytes) in names.filter(|(name, _)| start_after.is_none_or(|after| name.as_str() > after)) {
            let folder = name.get(prefix.len()..).and_then(|rest| rest.find('/')).filter(|_| delimiter);
            let common = folder.and_then(|at| name.get(..=prefix.len() + at)).map(str::to_owned);
            if common.is_some() && listing.common_prefixes.last() == common.as_ref() {
                continue;
            }
            if listing.objects.len() + listing.common_prefixes.len() == max_keys as usize {
                listing.truncated = true;
                break;
            }
            match common {
                Some(common) => listing.common_prefixes.push(common),
                None => {
                    listing.objects.push(Listed { name: name.clone(), etag: etag(bytes), size: bytes.len() as u64 });
                }
            }
        }
        listing
    }

    /// Forgets what was counted.
    pub(crate) fn forget(&mut self) {
        self.requests.clear();
        self.bytes = 0;
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for request in &self.requests {
            match request {
                Request::List { .. } => counts.lists += 1,
                Request::Get { .. } => counts.gets += 1,
                Request::Put { .. } => counts.puts += 1,
                Request::Delete { .. } => counts.deletes += 1,
            }
        }
        counts
    }
}

fn etag(bytes: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
