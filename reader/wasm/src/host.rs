//! The host as the reader sees it: network, keys, clock, timer and chance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use klstore_format::plan::Listing;
use klstore_reader::source::{GetObject, ListObjects, ObjectSource, SourceError, SourceObject};
use klstore_reader::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use klstore_reader::{CredentialsSource, CredentialsUnavailable, Environment};

use crate::mailbox::Mailbox;

/// The multiplier and increment of Knuth's MMIX generator.
const STEP: (u64, u64) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);

/// What all operations of a store share. Errands go to the mailbox of the operation that is polled just now.
#[derive(Clone)]
pub(crate) struct Host(Arc<Mutex<State>>);

struct State {
    mailbox: Mailbox,
    now: SystemTime,
    random: u64,
}

impl Host {
    pub(crate) fn new(now: SystemTime, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State { mailbox: Mailbox::default(), now, random: seed })))
    }

    /// From now on errands are those of `mailbox`.
    pub(crate) fn enter(&self, mailbox: &Mailbox, now: SystemTime) {
        let mut state = self.lock();
        state.mailbox = mailbox.clone();
        state.now = now;
    }

    fn mailbox(&self) -> Mailbox {
        self.lock().mailbox.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Environment for Host {
    fn now(&self) -> SystemTime {
        self.lock().now
    }

    async fn sleep(&self, duration: Duration) {
        self.mailbox().sleep(duration).await;
    }

    /// Good enough to spread retries.
    fn random(&self) -> u64 {
        let mut state = self.lock();
        state.random = state.random.wrapping_mul(STEP.0).wrapping_add(STEP.1);
        state.random >> 16
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Transport for Host {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.mailbox().fetch(request).await
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl CredentialsSource for Host {
    async fn credentials(&self) -> Result<Option<Credentials>, CredentialsUnavailable> {
        self.mailbox().credentials().await
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl ObjectSource for Host {
    async fn list(&self, request: &ListObjects) -> Result<Listing, SourceError> {
        self.mailbox().list(request.clone()).await
    }

    async fn get(&self, request: &GetObject) -> Result<Option<SourceObject>, SourceError> {
        self.mailbox().get(request.clone()).await
    }

    fn describe(&self) -> String {
        "the source".to_owned()
    }
}
