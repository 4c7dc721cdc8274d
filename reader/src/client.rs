//! Carries a plan's requests out: tried again within bounds, answered from the cache where it may be.

use std::ops::Range;
use std::sync::Arc;

use futures::future::{Either, select};
use klstore_format::ListStats;
use klstore_format::limits::{MAX_IN_FLIGHT, MAX_SEGMENT_BYTES};
use klstore_format::plan::{Answer, ByteRange, Cache, Listing, Object, Request};
use klstore_format::rules::{self, Rule};

use crate::cache::{ExtentCache, Lookup};
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::in_order::in_order;
use crate::list_objects::{self, MAX_KEYS, bare_etag};
use crate::maybe_send::BoxedFuture;
use crate::retry::RetryPolicy;
use crate::source::{GetObject, ListObjects, ObjectSource, SourceError, SourceObject};

/// Bytes of the largest object that is fetched whole.
const MAX_OBJECT_BYTES: u64 = MAX_SEGMENT_BYTES + (1 << 20);

/// One store, and all it takes to read from it.
pub(crate) struct Client {
    pub(crate) source: Arc<dyn ObjectSource>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) retry: RetryPolicy,
    pub(crate) cache: ExtentCache,
}

impl Client {
    /// Carries out requests that do not depend on each other, six at a time, and answers in their order.
    ///
    /// Boxed: each kind of plan would otherwise have a copy of it.
    pub(crate) fn send<'a>(
        &'a self,
        requests: Vec<Request>,
        stats: &'a mut ListStats,
    ) -> BoxedFuture<'a, Result<Vec<Answer>, ReaderError>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(requests.len());
            let exchanges = requests.into_iter().map(|request| self.execute(request));
            in_order(exchanges, MAX_IN_FLIGHT, |(answer, took)| {
                stats.list_operation_count += took.list_operation_count;
                stats.read_operation_count += took.read_operation_count;
                stats.read_size_total += took.read_size_total;
                stats.cache_hit_count += took.cache_hit_count;
                answers.push(answer?);
                Ok::<(), ReaderError>(())
            })
            .await?;
            Ok(answers)
        })
    }

    async fn execute(&self, request: Request) -> (Result<Answer, ReaderError>, ListStats) {
        let mut stats = ListStats::default();
        let answer = match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                let max_keys = max_keys.clamp(1, MAX_KEYS);
                let request = ListObjects { prefix, start_after, max_keys, delimiter };
                self.list(request, &mut stats).await.map(Answer::Listed)
            }
            Request::Get { name, range, cache } => self
                .get(&name, range, cache, &mut stats)
                .await
                .map(|object| object.map_or(Answer::Missing, Answer::Got)),
            Request::Put { name, .. } => Err(writes(&name)),
            Request::Delete { names } => Err(writes(names.first().map_or("", String::as_str))),
        };
        (answer, stats)
    }

    async fn list(&self, request: ListObjects, stats: &mut ListStats) -> Result<Listing, ReaderError> {
        let attempt = || {
            stats.list_operation_count += 1;
            self.source.list(&request)
        };
        let mut listing = self.exchange(&request.prefix, attempt).await?;
        for listed in &mut listing.objects {
            listed.etag = bare_etag(&listed.etag).to_owned();
        }
        list_objects::checked(listing, request.max_keys).map_err(|problem| {
            let reason = format!("the answer of {} to a LIST makes no sense: {problem}", self.source.describe());
            ReaderError::Configuration { reason }
        })
    }

    /// `None` where the object or the range of it does not exist.
    async fn get(
        &self,
        name: &str,
        range: Option<ByteRange>,
        cache: Cache,
        stats: &mut ListStats,
    ) -> Result<Option<Object>, ReaderError> {
        // A commit's name can be freed and created again: caches on the way know nothing of that.
        let reload = cache != Cache::Immutable;
        let Some(range) = range else {
            return Ok(self.fetch(name, None, reload, stats).await?.map(SourceObject::whole));
        };
        let asked = range.start..range.end;
        if cache == Cache::Reload {
            self.cache.remove(name);
        }
        if !self.cache.is_on() {
            return Ok(self.fetch(name, Some(asked), reload, stats).await?.map(SourceObject::whole));
        }
        let missing = match self.cache.look_up(name, asked.clone()) {
            Lookup::Hit(object) => {
                stats.cache_hit_count += 1;
                return Ok(Some(object));
            }
            Lookup::Missing(missing) => missing,
        };
        let (mut start, mut end) = (missing.start, missing.end);
        // What a scan will ask for next lies behind the range or, backwards, before it.
        if cache != Cache::Reload {
            start = if start == asked.start { range.read_ahead.min(start) } else { start };
            end = if end == asked.end { range.read_ahead.max(end) } else { end };
        }
        let fetched = self.fetch(name, Some(start..end), reload, stats).await?;
        if let Some(fetched) = &fetched {
            self.cache.insert(name, start, fetched);
        }
        if missing == asked && (start == asked.start || fetched.is_none()) {
            return Ok(fetched.map(|fetched| fetched.first(asked.end - asked.start)));
        }
        if let (Some(_), Lookup::Hit(object)) = (fetched, self.cache.look_up(name, asked.clone())) {
            return Ok(Some(object));
        }
        // The object changed under its cached part, or ended in it: only one answer for the whole range is certain.
        self.cache.remove(name);
        Ok(self.fetch(name, Some(asked), true, stats).await?.map(SourceObject::whole))
    }

    async fn fetch(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        reload: bool,
        stats: &mut ListStats,
    ) -> Result<Option<SourceObject>, ReaderError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(ReaderError::Internal { reason: format!("no bytes of `{name}` were asked for") });
        }
        let limit = range.as_ref().map_or(MAX_OBJECT_BYTES, |range| range.end - range.start).min(MAX_OBJECT_BYTES);
        let request = GetObject { name: name.to_owned(), range, limit, reload };
        let attempt = || {
            stats.read_operation_count += 1;
            self.source.get(&request)
        };
        let object = self.exchange(name, attempt).await?;
        stats.read_size_total += object.as_ref().map_or(0, |object| object.received);
        match object {
            Some(object) if object.body.len() > limit => {
                let reason = format!("more than the {limit} bytes that were asked for came of `{name}`");
                Err(ReaderError::Configuration { reason })
            }
            object => Ok(object),
        }
    }

    /// Makes attempts until one has an answer, or says that no other will come, or the bounds are reached.
    async fn exchange<T, F>(&self, object: &str, mut attempt: impl FnMut() -> F) -> Result<T, ReaderError>
    where
        F: Future<Output = Result<T, SourceError>> + Unpin,
    {
        let mut deadline = self.environment.sleep(self.retry.deadline);
        let mut attempts = 0;
        let mut last_reason = "there was no time for an attempt".to_owned();
        loop {
            attempts += 1;
            let timer = self.environment.sleep(self.retry.attempt_timeout);
            let reason = match select(attempt(), select(timer, &mut deadline)).await {
                Either::Left((Ok(answer), _)) => return Ok(answer),
                Either::Left((Err(SourceError::Final(error)), _)) => return Err(error),
                Either::Left((Err(SourceError::Passing(reason)), _)) => reason,
                Either::Right((Either::Left(_), _)) => {
                    format!("no whole answer within {} ms", self.retry.attempt_timeout.as_millis())
                }
                Either::Right((Either::Right(_), _)) => {
                    let reason = format!(
                        "no whole answer within {} ms in all; before, {last_reason}",
                        self.retry.deadline.as_millis()
                    );
                    return Err(self.unavailable(object, attempts, reason));
                }
            };
            tracing::debug!(object, attempts, reason, "attempt failed");
            if attempts >= self.retry.attempts.max(1) || !rules::kept(Rule::ReaderRetries) {
                return Err(self.unavailable(object, attempts, reason));
            }
            let pause = self.environment.sleep(self.retry.pause(attempts, self.environment.random()));
            if let Either::Right(_) = select(pause, &mut deadline).await {
                return Err(self.unavailable(object, attempts, reason));
            }
            last_reason = reason;
        }
    }

    fn unavailable(&self, object: &str, attempts: u32, reason: String) -> ReaderError {
        let (object, store) = (object.to_owned(), self.source.describe());
        ReaderError::Unavailable { object, store, attempts, reason }
    }
}

fn writes(name: &str) -> ReaderError {
    ReaderError::Internal { reason: format!("a read plan asked to write `{name}`; nothing was sent") }
}
