//! Carries a plan's requests out: signed, tried again within bounds, answered from the cache where it may be.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt;
use futures::future::{Either, select};
use klstore_format::ListStats;
use klstore_format::limits::{MAX_IN_FLIGHT, MAX_SEGMENT_BYTES};
use klstore_format::plan::{Answer, ByteRange, Cache, Listing, Object, Request};

use crate::cache::{ExtentCache, Lookup};
use crate::credentials::CredentialsSource;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::get_object::{Fetched, read_object};
use crate::list_objects::{self, MAX_KEYS, MAX_LISTING_BYTES};
use crate::retry::RetryPolicy;
use crate::service_error::{Asked, Verdict, is_error_document, judge};
use crate::sign::{Signed, Signing, sign_get};
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// Bytes of the largest object that is fetched whole.
const MAX_OBJECT_BYTES: u64 = MAX_SEGMENT_BYTES + (1 << 20);

/// One bucket, and all it takes to read from it.
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: Arc<dyn CredentialsSource>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) signing: Signing,
    pub(crate) retry: RetryPolicy,
    pub(crate) cache: ExtentCache,
}

/// Why one attempt gave no answer.
enum Failure {
    /// Worth another attempt.
    Passing(String),
    Final(ReaderError),
}

/// What one request is about, whatever the attempt.
struct Target<'a> {
    /// The object's name, or a LIST's prefix.
    object: &'a str,
    is_list: bool,
    url: String,
    range: Option<Range<u64>>,
    limit: u64,
    reload: bool,
}

impl Client {
    /// Carries out requests that do not depend on each other, six at a time, and answers in their order.
    pub(crate) async fn send(&self, requests: Vec<Request>, stats: &mut ListStats) -> Result<Vec<Answer>, ReaderError> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut outcomes = futures::stream::iter(requests).map(|request| self.execute(request)).buffered(MAX_IN_FLIGHT);
        while let Some((answer, took)) = outcomes.next().await {
            stats.list_operation_count += took.list_operation_count;
            stats.read_operation_count += took.read_operation_count;
            stats.read_size_total += took.read_size_total;
            stats.cache_hit_count += took.cache_hit_count;
            answers.push(answer?);
        }
        Ok(answers)
    }

    async fn execute(&self, request: Request) -> (Result<Answer, ReaderError>, ListStats) {
        let mut stats = ListStats::default();
        let answer = match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                self.list(&prefix, start_after.as_deref(), max_keys, delimiter, &mut stats).await.map(Answer::Listed)
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

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        max_keys: u32,
        delimiter: bool,
        stats: &mut ListStats,
    ) -> Result<Listing, ReaderError> {
        let max_keys = max_keys.clamp(1, MAX_KEYS);
        let target = Target {
            object: prefix,
            is_list: true,
            url: self.endpoint.list_url(&list_objects::query(prefix, start_after, max_keys, delimiter)),
            range: None,
            limit: MAX_LISTING_BYTES,
            reload: true,
        };
        let parse = |asked: &Asked<'_>, response: &HttpResponse| {
            let body = response.body.joined();
            if response.status != 200 || is_error_document(&body) {
                return Err(refusal(asked, response));
            }
            list_objects::parse(&body, max_keys).map_err(|problem| {
                let reason = format!(
                    "the answer of {} to a LIST is not S3's ({problem}): check endpoint and path_style",
                    self.endpoint
                );
                // A body that was cut on its way looks the same, and is worth another attempt.
                match problem {
                    "it ends too early" | "it is not well-formed XML" => Failure::Passing(reason),
                    _ => Failure::Final(ReaderError::Configuration { reason }),
                }
            })
        };
        self.exchange(&target, stats, parse).await
    }

    /// `None` where the object or the range of it does not exist.
    async fn get(
        &self,
        name: &str,
        range: Option<ByteRange>,
        cache: Cache,
        stats: &mut ListStats,
    ) -> Result<Option<Object>, ReaderError> {
        let Some(range) = range else {
            return Ok(self.fetch(name, None, cache == Cache::Reload, stats).await?.map(Fetched::whole));
        };
        let asked = range.start..range.end;
        if cache == Cache::Reload {
            self.cache.remove(name);
        }
        if !self.cache.is_on() {
            return Ok(self.fetch(name, Some(asked), cache == Cache::Reload, stats).await?.map(Fetched::whole));
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
        let fetched = self.fetch(name, Some(start..end), cache == Cache::Reload, stats).await?;
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
        Ok(self.fetch(name, Some(asked), true, stats).await?.map(Fetched::whole))
    }

    async fn fetch(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        reload: bool,
        stats: &mut ListStats,
    ) -> Result<Option<Fetched>, ReaderError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(ReaderError::Internal { reason: format!("no bytes of `{name}` were asked for") });
        }
        let length = range.as_ref().map_or(MAX_OBJECT_BYTES, |range| range.end - range.start);
        let target = Target {
            object: name,
            is_list: false,
            url: self.endpoint.object_url(name),
            range,
            limit: length.min(MAX_OBJECT_BYTES),
            reload,
        };
        let parse = |asked: &Asked<'_>, response: &HttpResponse| match response.status {
            200 | 206 => read_object(response, target.range.clone()).map_err(Failure::Passing),
            _ => match judge(asked, response) {
                Verdict::Missing => Ok(None),
                _ => Err(refusal(asked, response)),
            },
        };
        self.exchange(&target, stats, parse).await
    }

    /// Sends a request until `parse` takes an answer, or says that no other will come, or the bounds are reached.
    async fn exchange<T>(
        &self,
        target: &Target<'_>,
        stats: &mut ListStats,
        parse: impl Fn(&Asked<'_>, &HttpResponse) -> Result<T, Failure>,
    ) -> Result<T, ReaderError> {
        let mut deadline = self.environment.sleep(self.retry.deadline);
        let mut attempts = 0;
        let mut last_reason = "there was no time for an attempt".to_owned();
        loop {
            attempts += 1;
            let timer = self.environment.sleep(self.retry.attempt_timeout);
            let attempt = Box::pin(self.attempt(target, stats, &parse));
            let reason = match select(attempt, select(timer, &mut deadline)).await {
                Either::Left((Ok(answer), _)) => return Ok(answer),
                Either::Left((Err(Failure::Final(error)), _)) => return Err(error),
                Either::Left((Err(Failure::Passing(reason)), _)) => reason,
                Either::Right((Either::Left(_), _)) => {
                    format!("no whole answer within {} ms", self.retry.attempt_timeout.as_millis())
                }
                Either::Right((Either::Right(_), _)) => {
                    let reason = format!(
                        "no whole answer within {} ms in all; before, {last_reason}",
                        self.retry.deadline.as_millis()
                    );
                    return Err(self.unavailable(target, attempts, reason));
                }
            };
            tracing::debug!(object = target.object, attempts, reason, "attempt failed");
            if attempts >= self.retry.attempts.max(1) {
                return Err(self.unavailable(target, attempts, reason));
            }
            let pause = self.environment.sleep(self.retry.pause(attempts, self.environment.random()));
            if let Either::Right(_) = select(pause, &mut deadline).await {
                return Err(self.unavailable(target, attempts, reason));
            }
            last_reason = reason;
        }
    }

    async fn attempt<T>(
        &self,
        target: &Target<'_>,
        stats: &mut ListStats,
        parse: impl Fn(&Asked<'_>, &HttpResponse) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let now = self.environment.now();
        let Signed { url, headers } = self.sign(target.url.clone(), now).await.map_err(Failure::Final)?;
        if target.is_list {
            stats.list_operation_count += 1;
        } else {
            stats.read_operation_count += 1;
        }
        let request =
            HttpRequest { url, headers, range: target.range.clone(), limit: target.limit, reload: target.reload };
        let response = self.transport.execute(request).await.map_err(|error| match error {
            TransportError::Invalid { reason } => Failure::Final(ReaderError::Configuration { reason }),
            error => Failure::Passing(error.to_string()),
        })?;
        if !target.is_list && response.status < 300 {
            stats.read_size_total += response.received;
        }
        parse(&Asked { endpoint: &self.endpoint, object: target.object, is_list: target.is_list, at: now }, &response)
    }

    async fn sign(&self, url: String, now: SystemTime) -> Result<Signed, ReaderError> {
        match self.credentials.credentials().await {
            Ok(None) => Ok(Signed { url, headers: Vec::new() }),
            Ok(Some(credentials)) => sign_get(url, &credentials, &self.endpoint.region, self.signing, now),
            Err(unavailable) => Err(ReaderError::Credentials {
                store: self.endpoint.to_string(),
                reason: format!(
                    "{unavailable}; set access_key and secret_key, a profile, or AWS's environment variables, or \
                     anonymous for a public bucket"
                ),
            }),
        }
    }

    fn unavailable(&self, target: &Target<'_>, attempts: u32, reason: String) -> ReaderError {
        let (object, store) = (target.object.to_owned(), self.endpoint.to_string());
        ReaderError::Unavailable { object, store, attempts, reason }
    }
}

fn refusal(asked: &Asked<'_>, response: &HttpResponse) -> Failure {
    match judge(asked, response) {
        Verdict::Final(error) => Failure::Final(error),
        Verdict::Passing(reason) => Failure::Passing(reason),
        Verdict::Missing => Failure::Passing(format!("status {}", response.status)),
    }
}

fn writes(name: &str) -> ReaderError {
    ReaderError::Internal { reason: format!("a read plan asked to write `{name}`; nothing was sent") }
}
