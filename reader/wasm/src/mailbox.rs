//! What one operation asks of its host, and the answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use futures::channel::oneshot;
use klstore_format::SortedMap;
use klstore_format::plan::{Listed, Listing};
use klstore_reader::CredentialsUnavailable;
use klstore_reader::source::{GetObject, ListObjects, SourceError, SourceObject};
use klstore_reader::transport::{BodyCollector, HttpRequest, HttpResponse, TransportError};

/// Something that the host is to do; it answers by `id`.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) id: u32,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Fetch(HttpRequest),
    List(ListObjects),
    Get(GetObject),
    Credentials,
    Sleep(Duration),
    /// The answer to this errand is not wanted any more.
    Cancel,
}

/// One operation's errands. Cheap to clone: clones are the same mailbox.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last_id: u32,
    errands: Vec<Errand>,
    pending: SortedMap<u32, Pending>,
}

type Answered<T, E> = oneshot::Sender<Result<T, E>>;

/// Errands under way, with what has come of their answers.
enum Pending {
    Fetch { request: HttpRequest, answer: Option<FetchAnswer>, done: Answered<HttpResponse, TransportError> },
    List { listing: Listing, done: Answered<Listing, SourceError> },
    Get { answer: GetAnswer, done: Answered<Option<SourceObject>, SourceError> },
    Credentials { done: Answered<Option<Credentials>, CredentialsUnavailable> },
    Sleep { done: oneshot::Sender<()> },
}

struct FetchAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: BodyCollector,
}

struct GetAnswer {
    etag: Option<String>,
    size: Option<u64>,
    body: BodyCollector,
}

impl Mailbox {
    pub(crate) fn fetch(&self, request: HttpRequest) -> Ticket<Result<HttpResponse, TransportError>> {
        self.send(What::Fetch(request.clone()), |done| Pending::Fetch { request, answer: None, done })
    }

    pub(crate) fn list(&self, request: ListObjects) -> Ticket<Result<Listing, SourceError>> {
        self.send(What::List(request), |done| Pending::List { listing: Listing::default(), done })
    }

    pub(crate) fn get(&self, request: GetObject) -> Ticket<Result<Option<SourceObject>, SourceError>> {
        // Bounds what is kept of the body, as for a range that is answered with just that range.
        let bounds = HttpRequest {
            url: String::new(),
            headers: Vec::new(),
            range: request.range.clone(),
            limit: request.limit,
            reload: request.reload,
        };
        let answer = GetAnswer { etag: None, size: None, body: BodyCollector::new(&bounds, 206) };
        self.send(What::Get(request), |done| Pending::Get { answer, done })
    }

    pub(crate) fn credentials(&self) -> Ticket<Result<Option<Credentials>, CredentialsUnavailable>> {
        self.send(What::Credentials, |done| Pending::Credentials { done })
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Ticket<()> {
        self.send(What::Sleep(duration), |done| Pending::Sleep { done })
    }

    /// The errands since the last call.
    pub(crate) fn errands(&self) -> Vec<Errand> {
        std::mem::take(&mut self.lock().errands)
    }

    /// A fetch has an answer; its body follows.
    pub(crate) fn respond(&self, id: u32, status: u16, headers: Vec<(String, String)>) {
        if let Some(Pending::Fetch { request, answer, .. }) = self.lock().pending.get_mut(&id) {
            let body = BodyCollector::new(request, status);
            *answer = Some(FetchAnswer { status, headers, body });
        }
    }

    /// A get has found its object; its body follows.
    pub(crate) fn found(&self, id: u32, found_etag: Option<String>, found_size: Option<u64>) {
        if let Some(Pending::Get { answer, .. }) = self.lock().pending.get_mut(&id) {
            (answer.etag, answer.size) = (found_etag, found_size);
        }
    }

    /// A part of a body; `true` where no more is wanted, because all is there or the errand has failed.
    pub(crate) fn chunk(&self, id: u32, chunk: Bytes) -> bool {
        let mut state = self.lock();
        let body = match state.pending.get_mut(&id) {
            Some(Pending::Fetch { answer: Some(FetchAnswer { body, .. }), .. }) => body,
            Some(Pending::Get { answer, .. }) => &mut answer.body,
            _ => return true,
        };
        match body.push(chunk) {
            Ok(all) => all,
            Err(error) => {
                match state.pending.remove(&id) {
                    Some(Pending::Fetch { done, .. }) => drop(done.send(Err(error))),
                    Some(Pending::Get { done, .. }) => drop(done.send(Err(SourceError::Passing(error.to_string())))),
                    _ => {}
                }
                true
            }
        }
    }

    /// An object of a listing.
    pub(crate) fn listed(&self, id: u32, object: Listed) {
        if let Some(Pending::List { listing, .. }) = self.lock().pending.get_mut(&id) {
            listing.objects.push(object);
        }
    }

    /// A common prefix of a listing.
    pub(crate) fn listed_prefix(&self, id: u32, prefix: String) {
        if let Some(Pending::List { listing, .. }) = self.lock().pending.get_mut(&id) {
            listing.common_prefixes.push(prefix);
        }
    }

    /// The answer is complete: a body has ended, a pause is over, a listing is whole (`flag`: more names follow), or a
    /// get's object does not exist (`flag`).
    pub(crate) fn complete(&self, id: u32, flag: bool) {
        // Out of the lock before anyone is woken.
        let pending = self.lock().pending.remove(&id);
        match pending {
            Some(Pending::Fetch { answer, done, .. }) => {
                let whole = answer.map(|FetchAnswer { status, headers, body }| {
                    let (body, received) = body.finish();
                    HttpResponse { status, headers, body, received }
                });
                let nothing = || TransportError::Interrupted { reason: "there was no answer".to_owned() };
                drop(done.send(whole.ok_or_else(nothing)));
            }
            Some(Pending::List { listing, done }) => drop(done.send(Ok(Listing { truncated: flag, ..listing }))),
            Some(Pending::Get { answer: GetAnswer { etag, size, body }, done }) => {
                let (body, received) = body.finish();
                let object = SourceObject { body, etag, size, received };
                drop(done.send(Ok((!flag).then_some(object))));
            }
            Some(Pending::Sleep { done }) => drop(done.send(())),
            Some(Pending::Credentials { done }) => drop(done.send(Ok(None))),
            None => {}
        }
    }

    pub(crate) fn give_credentials(&self, id: u32, credentials: Credentials) {
        let pending = self.lock().pending.remove(&id);
        if let Some(Pending::Credentials { done }) = pending {
            drop(done.send(Ok(Some(credentials))));
        }
    }

    /// There will be no answer.
    pub(crate) fn fail(&self, id: u32, error: TransportError) {
        let pending = self.lock().pending.remove(&id);
        match (pending, error) {
            (Some(Pending::Fetch { done, .. }), error) => drop(done.send(Err(error))),
            (Some(Pending::List { done, .. }), error) => drop(done.send(Err(SourceError::Passing(bare(error))))),
            (Some(Pending::Get { done, .. }), error) => drop(done.send(Err(SourceError::Passing(bare(error))))),
            (Some(Pending::Credentials { done }), error) => {
                drop(done.send(Err(CredentialsUnavailable { reason: bare(error) })));
            }
            (Some(Pending::Sleep { done }), _) => drop(done.send(())),
            (None, _) => {}
        }
    }

    fn send<T>(&self, what: What, pending: impl FnOnce(oneshot::Sender<T>) -> Pending) -> Ticket<T> {
        let (done, answer) = oneshot::channel();
        let mut state = self.lock();
        state.last_id = state.last_id.wrapping_add(1);
        let id = state.last_id;
        state.errands.push(Errand { id, what });
        state.pending.insert(id, pending(done));
        Ticket { id, answer, mailbox: self.clone() }
    }

    fn forget(&self, id: u32) {
        let mut state = self.lock();
        let forgotten = state.pending.remove(&id);
        if forgotten.is_some() {
            // What the host has not seen yet need not be cancelled.
            let before = state.errands.len();
            state.errands.retain(|errand| errand.id != id);
            if state.errands.len() == before {
                state.errands.push(Errand { id, what: What::Cancel });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a source or a provider said, without words about connections.
fn bare(error: TransportError) -> String {
    match error {
        TransportError::Connect { reason } | TransportError::Interrupted { reason } => reason,
        other => other.to_string(),
    }
}

/// Waits for the answer to an errand. Dropped before, it cancels the errand.
pub(crate) struct Ticket<T> {
    id: u32,
    answer: oneshot::Receiver<T>,
    mailbox: Mailbox,
}

impl<T> Future for Ticket<T> {
    /// `None` where the mailbox was given up.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.mailbox.forget(self.id);
    }
}
