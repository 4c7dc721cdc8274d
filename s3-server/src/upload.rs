//! A request's body on its way in: counted, bounded in size and in how long it may pause.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// Said of a body that paused for too long.
pub(crate) const STOPPED: &str = "the request's body stopped coming";
/// Said of a body that brings more than it may.
pub(crate) const TOO_LARGE: &str = "the request's body is too large";

/// The body, until it is dropped; what is unread then goes to its [`Leftover`].
pub(crate) struct Upload {
    incoming: Option<Incoming>,
    leftover: Option<oneshot::Sender<Incoming>>,
    received: Arc<AtomicU64>,
    /// Bytes that it may still bring.
    allowance: u64,
    pause: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// What a request leaves unread of its body.
pub(crate) struct Leftover {
    incoming: oneshot::Receiver<Incoming>,
    received: Arc<AtomicU64>,
    pause: Duration,
}

impl Upload {
    pub(crate) fn new(incoming: Incoming, limit: u64, pause: Duration) -> (Self, Leftover) {
        let received = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = oneshot::channel();
        let leftover = Leftover { incoming: receiver, received: received.clone(), pause };
        let deadline = Box::pin(tokio::time::sleep(pause));
        let (incoming, sender) = (Some(incoming), Some(sender));
        (Self { incoming, leftover: sender, received, allowance: limit, pause, deadline }, leftover)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
            ready!(this.deadline.as_mut().poll(cx));
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, STOPPED))));
        };
        let deadline = Instant::now() + this.pause;
        this.deadline.as_mut().reset(deadline);
        let Some(frame) = frame else {
            this.incoming = None;
            return Poll::Ready(None);
        };
        let frame = frame.map_err(io::Error::other)?;
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        this.received.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(match this.allowance.checked_sub(length) {
            Some(rest) => {
                this.allowance = rest;
                Ok(frame)
            }
            None => Err(io::Error::new(io::ErrorKind::FileTooLarge, TOO_LARGE)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(incoming), Some(leftover)) = (self.incoming.take(), self.leftover.take()) {
            // Fails where the connection is gone, and the rest of the body with it.
            let _ = leftover.send(incoming);
        }
    }
}

impl Leftover {
    /// Reads what is left, at most `limit` bytes: a client that is still sending would see its connection closed
    /// under it instead of the answer. Returns all bytes that the body had.
    pub(crate) async fn discard(mut self, limit: u64) -> u64 {
        if let Ok(mut incoming) = self.incoming.try_recv() {
            let mut rest = limit;
            let frames = async {
                while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    self.received.fetch_add(length, Ordering::Relaxed);
                    match rest.checked_sub(length) {
                        Some(left) => rest = left,
                        None => break,
                    }
                }
            };
            // Whether it came to its end or to its time: the answer goes out now.
            let _ = tokio::time::timeout(self.pause, frames).await;
        }
        self.received.load(Ordering::Relaxed)
    }
}
