//! What one operation asks of its host, and the answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use klstore_format::SortedMap;
use klstore_format::plan::{Listed, Listing};
use klstore_reader::CredentialsUnavailable;
use klstore_reader::source::{GetObject, ListObjects, SourceError, SourceObject};
use klstore_reader::transport::{BodyCollector, HttpRequest, HttpResponse, TransportError};

/// Something that the host is to do; it answers by `id`.
#[derive(Debug)]
pub struct Errand {
    /// Its number.
    pub id: u32,
    /// What it is.
    pub what: What,
}

/// What an errand asks for.
#[derive(Debug)]
pub enum What {
    /// An HTTP request.
    Fetch(HttpRequest),
    /// A listing of the host's own.
    List(ListObjects),
    /// An object of the host's own.
    Get(GetObject),
    /// Keys to sign with.
    Credentials,
    /// A pause.
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
    answers: SortedMap<u32, Answer>,
}

/// Errands under way, with what has come of their answers.
enum Pending {
    Fetch { request: HttpRequest, answer: Option<FetchAnswer> },
    List(Listing),
    Get(GetAnswer),
    Credentials,
    Sleep,
}

/// What an errand came to.
enum Answer {
    Fetched(Result<HttpResponse, TransportError>),
    Listed(Result<Listing, SourceError>),
    Got(Result<Option<SourceObject>, SourceError>),
    Credentials(Result<Option<Credentials>, CredentialsUnavailable>),
    Slept,
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
        let what = What::Fetch(request.clone());
        self.send(what, Pending::Fetch { request, answer: None }, |answer| match answer {
            Answer::Fetched(fetched) => Some(fetched),
            _ => None,
        })
    }

    pub(crate) fn list(&self, request: ListObjects) -> Ticket<Result<Listing, SourceError>> {
        self.send(What::List(request), Pending::List(Listing::default()), |answer| match answer {
            Answer::Listed(listed) => Some(listed),
            _ => None,
        })
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
        self.send(What::Get(request), Pending::Get(answer), |answer| match answer {
            Answer::Got(got) => Some(got),
            _ => None,
        })
    }

    pub(crate) fn credentials(&self) -> Ticket<Result<Option<Credentials>, CredentialsUnavailable>> {
        self.send(What::Credentials, Pending::Credentials, |answer| match answer {
            Answer::Credentials(credentials) => Some(credentials),
            _ => None,
        })
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Ticket<()> {
        self.send(What::Sleep(duration), Pending::Sleep, |answer| matches!(answer, Answer::Slept).then_some(()))
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
        if let Some(Pending::Get(answer)) = self.lock().pending.get_mut(&id) {
            (answer.etag, answer.size) = (found_etag, found_size);
        }
    }

    /// A part of a body; `true` where no more is wanted, because all is there or the errand has failed.
    pub(crate) fn chunk(&self, id: u32, chunk: Bytes) -> bool {
        let mut state = self.lock();
        let body = match state.pending.get_mut(&id) {
            Some(Pending::Fetch { answer: Some(FetchAnswer { body, .. }), .. }) => body,
            Some(Pending::Get(answer)) => &mut answer.body,
            _ => return true,
        };
        match body.push(chunk) {
            Ok(all) => all,
            Err(error) => {
                state.fail(id, error);
                true
            }
        }
    }

    /// An object of a listing.
    pub(crate) fn listed(&self, id: u32, object: Listed) {
        if let Some(Pending::List(listing)) = self.lock().pending.get_mut(&id) {
            listing.objects.push(object);
        }
    }

    /// A common prefix of a listing.
    pub(crate) fn listed_prefix(&self, id: u32, prefix: String) {
        if let Some(Pending::List(listing)) = self.lock().pending.get_mut(&id) {
            listing.common_prefixes.push(prefix);
        }
    }

    /// The answer is complete: a body has ended, a pause is over, a listing is whole (`flag`: more names follow), or a
    /// get's object does not exist (`flag`).
    pub(crate) fn complete(&self, id: u32, flag: bool) {
        self.lock().end(id, |pending| match pending {
            Pending::Fetch { answer, .. } => {
                let whole = answer.map(|FetchAnswer { status, headers, body }| {
                    let (body, received) = body.finish();
                    HttpResponse { status, headers, body, received }
                });
                let nothing = || TransportError::Interrupted { reason: "there was no answer".to_owned() };
                Answer::Fetched(whole.ok_or_else(nothing))
            }
            Pending::List(listing) => Answer::Listed(Ok(Listing { truncated: flag, ..listing })),
            Pending::Get(GetAnswer { etag, size, body }) => {
                let (body, received) = body.finish();
                let object = SourceObject { body, etag, size, received };
                Answer::Got(Ok((!flag).then_some(object)))
            }
            Pending::Sleep => Answer::Slept,
            Pending::Credentials => Answer::Credentials(Ok(None)),
        });
    }

    pub(crate) fn give_credentials(&self, id: u32, credentials: Credentials) {
        let mut state = self.lock();
        // To another errand it would be no answer, and nothing else would come.
        if let Some(Pending::Credentials) = state.pending.get_mut(&id) {
            state.end(id, |_| Answer::Credentials(Ok(Some(credentials))));
        }
    }

    /// There will be no answer.
    pub(crate) fn fail(&self, id: u32, error: TransportError) {
        self.lock().fail(id, error);
    }

    fn send<T>(&self, what: What, pending: Pending, read: fn(Answer) -> Option<T>) -> Ticket<T> {
        let mut state = self.lock();
        state.last_id = state.last_id.wrapping_add(1);
        let id = state.last_id;
        state.errands.push(Errand { id, what });
        state.pending.insert(id, pending);
        Ticket { id, read, mailbox: self.clone() }
    }

    fn forget(&self, id: u32) {
        let mut state = self.lock();
        state.answers.remove(&id);
        if state.pending.remove(&id).is_some() {
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

impl State {
    /// The errand is over, and whoever waits for it is told when the task is polled next.
    fn end(&mut self, id: u32, answer: impl FnOnce(Pending) -> Answer) {
        if let Some(pending) = self.pending.remove(&id) {
            self.answers.insert(id, answer(pending));
        }
    }

    fn fail(&mut self, id: u32, error: TransportError) {
        self.end(id, |pending| match pending {
            Pending::Fetch { .. } => Answer::Fetched(Err(error)),
            Pending::List(_) => Answer::Listed(Err(SourceError::Passing(bare(error)))),
            Pending::Get(_) => Answer::Got(Err(SourceError::Passing(bare(error)))),
            Pending::Credentials => Answer::Credentials(Err(CredentialsUnavailable { reason: bare(error) })),
            Pending::Sleep => Answer::Slept,
        });
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
    read: fn(Answer) -> Option<T>,
    mailbox: Mailbox,
}

impl<T> Future for Ticket<T> {
    type Output = T;

    // Whoever answers polls the whole task: nobody has to be woken.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let answer = self.mailbox.lock().answers.remove(&self.id);
        answer.and_then(self.read).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.mailbox.forget(self.id);
    }
}
