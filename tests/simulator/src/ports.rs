//! The edges of writer and reader, simulated: the writer's store, clock and random numbers, the reader's environment.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::future::{Either, select};
use klstore_format::plan::{Answer, Object, Request};
use klstore_reader::Environment;
use klstore_writer::{Clock, ObjectStore, RandomSource, StoreError};
use rand::RngExt;

use crate::network::{Harm, Reply, harmed};
use crate::process::Process;
use crate::world::NOW;

/// The store as a writer sees it past HTTP: as `S3ObjectStore` would tell of what was heard.
pub struct DirectStore {
    /// Who writes.
    pub process: Process,
    /// After so long without an answer there is none.
    pub timeout: Duration,
}

#[async_trait]
impl ObjectStore for DirectStore {
    async fn execute(&self, request: Request) -> Result<Answer, StoreError> {
        let object = match &request {
            Request::List { prefix, .. } => prefix.clone(),
            Request::Get { name, .. } | Request::Put { name, .. } => name.clone(),
            Request::Delete { names } => names.first().cloned().unwrap_or_default(),
        };
        let unavailable = |reason: String| StoreError::Unavailable { action: "the request", object, reason };
        let exchange = std::pin::pin!(self.process.exchange(request));
        let timeout = std::pin::pin!(self.process.sleep(self.timeout));
        let Either::Left((reply, _)) = select(exchange, timeout).await else {
            return Err(unavailable(format!("no answer within {} ms", self.timeout.as_millis())));
        };
        match reply {
            Reply::Answer(answer, harm) => received(answer, harm).map_err(unavailable),
            Reply::Refused(status, code) => Err(unavailable(format!("{status} {code}"))),
            Reply::ErrorInSuccess(code) => Err(unavailable(format!("200 with {code}"))),
            Reply::Broken => Err(unavailable("the connection broke".to_owned())),
        }
    }
}

/// What is left of an answer, or what shows that something is missing.
fn received(answer: Answer, harm: Harm) -> Result<Answer, String> {
    match (answer, harm) {
        (_, Harm::Cut { shows: true, .. }) => Err("fewer bytes came than were announced".to_owned()),
        (Answer::Listed(_), Harm::Cut { .. }) => Err("its XML ends too early".to_owned()),
        (Answer::Listed(mut listing), Harm::Short(thousandths)) => {
            // One name at least: the store's own code asks again where there is none.
            let keep = (listing.objects.len() * thousandths as usize / 1_000).max(1);
            if keep < listing.objects.len() {
                listing.objects.truncate(keep);
                listing.truncated = true;
            }
            Ok(Answer::Listed(listing))
        }
        (Answer::Got(object), harm) => {
            let body = harmed(&object.body, harm);
            let size = object.size.filter(|_| !matches!(harm, Harm::Cut { .. }));
            Ok(Answer::Got(Object { body, etag: object.etag, size }))
        }
        (answer, _) => Ok(answer),
    }
}

#[async_trait]
impl Clock for Process {
    fn now(&self) -> i64 {
        let state = self.sim.lock();
        NOW + (state.now / 1_000) as i64 + state.processes[self.index].skew
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.sim.lock().now)
    }

    async fn sleep(&self, duration: Duration) {
        Process::sleep(self, duration).await;
    }
}

impl RandomSource for Process {
    fn next(&self) -> u128 {
        let mut state = self.sim.lock();
        // Ids are random and never drawn twice.
        let random: u64 = state.random.random();
        state.draw() << 64 | u128::from(random)
    }
}

#[async_trait]
impl Environment for Process {
    fn now(&self) -> SystemTime {
        let millis = u64::try_from(Clock::now(self)).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    async fn sleep(&self, duration: Duration) {
        Process::sleep(self, duration).await;
    }

    fn random(&self) -> u64 {
        self.sim.lock().random.random()
    }
}
