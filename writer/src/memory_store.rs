//! An object store in memory with S3's semantics: conditional PUTs of which one wins, LISTs in order, and on demand
//! what networks do: answers lost, requests stalled, refused, or carried out late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::{Answer, Listed, Listing, Object, Plan, PutKind, Request, Step};
use klstore_format::{Item, ItemFilter, IterationOrder};

use crate::store::{ObjectStore, StoreError};

/// What happens to a request instead of its being served.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It is carried out, but nobody hears of it.
    LoseAnswer,
    /// Nothing happens, and nobody hears of it.
    LoseRequest,
    /// No answer ever; it is kept for [`MemoryStore::land_stalled`].
    Stall,
    /// It is refused for good.
    Refuse(StoreError),
    /// A conditional PUT is carried out as a plain one.
    IgnoreCondition,
}

type Condition = Box<dyn Fn(&Request) -> bool + Send>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Bytes, u64)>,
    etags: u64,
    requests: Vec<Request>,
    faults: Vec<(Condition, usize, Fault)>,
    stalled: Vec<Request>,
}

#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<State>);

impl MemoryStore {
    /// The next `times` requests for which `condition` holds meet with `fault`.
    pub(crate) fn fail(&self, times: usize, fault: Fault, condition: impl Fn(&Request) -> bool + Send + 'static) {
        self.state().faults.push((Box::new(condition), times, fault));
    }

    pub(crate) fn heal(&self) {
        self.state().faults.clear();
    }

    /// Carries out, late, what was stalled.
    pub(crate) fn land_stalled(&self) -> usize {
        let mut state = self.state();
        let stalled = std::mem::take(&mut state.stalled);
        for request in &stalled {
            state.serve(request);
        }
        stalled.len()
    }

    /// The requests since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    /// Names under a prefix, with sizes.
    pub(crate) fn names(&self, prefix: &str) -> Vec<(String, usize)> {
        let state = self.state();
        let objects = state.objects.iter().filter(|(name, _)| name.starts_with(prefix));
        objects.map(|(name, (body, _))| (name.clone(), body.len())).collect()
    }

    /// Runs a plan without faults and without counting.
    pub(crate) fn run<T>(&self, mut plan: Plan<T>) -> T {
        let mut answers = Vec::new();
        loop {
            match plan.step(answers) {
                Step::Done(output) => return output,
                Step::Send(requests) => {
                    let mut state = self.state();
                    answers = requests.iter().map(|request| state.serve(request)).collect();
                }
            }
        }
    }

    /// All items of a list of keyspace `ks`.
    pub(crate) fn items(&self, key: &str) -> Vec<Item> {
        let request = PageRequest {
            list: ListName::new(&Prefix::default(), "ks", key).unwrap(),
            order: IterationOrder::Forwards,
            max_size: 1_000_000,
            filter: ItemFilter::default(),
            continuation: None,
        };
        let page = self.run(read_page(request)).unwrap();
        assert_eq!(page.continuation, None, "the test's lists fit into one page");
        page.items
    }

    /// Their values, as text.
    pub(crate) fn values(&self, key: &str) -> Vec<String> {
        self.items(key).iter().map(|item| String::from_utf8(item.value.to_vec()).unwrap()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fault(&mut self, request: &Request) -> Option<Fault> {
        let found = self.faults.iter_mut().find(|(condition, times, _)| *times > 0 && condition(request))?;
        found.1 -= 1;
        Some(found.2.clone())
    }

    fn serve(&mut self, request: &Request) -> Answer {
        match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                Answer::Listed(self.list(prefix, start_after.as_deref(), *max_keys as usize, *delimiter))
            }
            Request::Get { name, range, .. } => {
                let Some((body, etag)) = self.objects.get(name) else { return Answer::Missing };
                let size = body.len() as u64;
                let (start, end) = range.map_or((0, size), |range| (range.start, range.end.min(size)));
                if start >= size && range.is_some() {
                    return Answer::Missing;
                }
                let body = body.slice(start as usize..end as usize);
                Answer::Got(Object { body, etag: Some(etag.to_string()), size: Some(size) })
            }
            Request::Put { name, kind: PutKind::Create, .. } if self.objects.contains_key(name) => Answer::Exists,
            Request::Put { name, body, .. } => {
                self.etags += 1;
                self.objects.insert(name.clone(), (body.clone(), self.etags));
                Answer::Done { etag: Some(self.etags.to_string()) }
            }
            Request::Delete { names } => {
                names.iter().for_each(|name| drop(self.objects.remove(name)));
                Answer::Done { etag: None }
            }
        }
    }

    fn list(&self, prefix: &str, start_after: Option<&str>, max: usize, delimiter: bool) -> Listing {
        let mut listing = Listing::default();
        let mut common = BTreeSet::new();
        for (name, (body, etag)) in self.objects.range(prefix.to_owned()..) {
            let Some(rest) = name.strip_prefix(prefix) else { break };
            if start_after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            if listing.objects.len() + common.len() == max {
                listing.truncated = true;
                break;
            }
            match rest.split_once('/') {
                Some((folder, _)) if delimiter => drop(common.insert(format!("{prefix}{folder}/"))),
                _ => {
                    listing.objects.push(Listed { name: name.clone(), etag: etag.to_string(), size: body.len() as u64 })
                }
            }
        }
        listing.common_prefixes = common.into_iter().collect();
        listing
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn execute(&self, request: Request) -> Result<Answer, StoreError> {
        // Others get a turn at each request, as over a network.
        tokio::task::yield_now().await;
        let stalled = {
            let mut state = self.state();
            state.requests.push(request.clone());
            match state.fault(&request) {
                None => return Ok(state.serve(&request)),
                Some(Fault::Refuse(error)) => return Err(error),
                Some(Fault::LoseRequest) => return Err(silence(&request)),
                Some(Fault::LoseAnswer) => {
                    state.serve(&request);
                    return Err(silence(&request));
                }
                Some(Fault::IgnoreCondition) => {
                    let Request::Put { name, body, .. } = request else { return Ok(state.serve(&request)) };
                    return Ok(state.serve(&Request::Put { name, body, kind: PutKind::Stub }));
                }
                Some(Fault::Stall) => state.stalled.push(request),
            }
            std::future::pending()
        };
        stalled.await
    }
}

fn silence(request: &Request) -> StoreError {
    let object = match request {
        Request::List { prefix, .. } => prefix.clone(),
        Request::Get { name, .. } | Request::Put { name, .. } => name.clone(),
        Request::Delete { names } => names.join(","),
    };
    StoreError::Unavailable { action: "the request", object, reason: "the test lost it".into() }
}
