//! Answers that do not come from s3s: errors from the layers around it, and bodies that faults have spoilt.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use s3s::Body;
use tokio::time::Sleep;

use crate::faults::Refusal;

/// An S3 error; `details` are further elements of it, such as `Region`.
pub(crate) fn error(status: StatusCode, code: &str, message: &str, details: &[(&str, &str)]) -> Response<Body> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    for (name, text) in [("Code", code), ("Message", message)].iter().chain(details) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        xml.push_str(&format!("<{name}>{text}</{name}>"));
    }
    xml.push_str("</Error>");
    let mut response = Response::new(Body::from(xml));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

pub(crate) fn refusal(refusal: Refusal) -> Response<Body> {
    let mut response = error(refusal.status, refusal.code, "A fault that was asked for.", &[]);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The same answer with one byte of its body inverted.
pub(crate) async fn corrupt(response: Response<Body>, offset: u64) -> Response<Body> {
    let (parts, mut body) = response.into_parts();
    // The body is one of our own, and in memory already.
    let mut bytes = match body.store_all_limited(usize::MAX).await {
        Ok(bytes) => bytes.to_vec(),
        Err(_) => return Response::from_parts(parts, body),
    };
    if let Some(index) = offset.checked_rem(bytes.len() as u64)
        && let Some(byte) = bytes.get_mut(index as usize)
    {
        *byte = !*byte;
    }
    Response::from_parts(parts, bytes.into())
}

/// The same answer, whose body breaks off after `length` bytes.
pub(crate) async fn truncate(response: Response<Body>, length: u64) -> Response<Body> {
    let (parts, mut body) = response.into_parts();
    let Ok(bytes) = body.store_all_limited(usize::MAX).await else { return Response::from_parts(parts, body) };
    let kept = bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    let broken = BrokenBody { promised: bytes.len() as u64, rest: Some(bytes.slice(..kept)), pause: None };
    Response::from_parts(parts, Body::http_body_unsync(broken))
}

/// Time for what was sent to leave, before the connection is closed behind it.
const FLUSH: Duration = Duration::from_millis(50);

/// Promises more than it brings, so that the connection is closed in the middle.
struct BrokenBody {
    promised: u64,
    rest: Option<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for BrokenBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
        ready!(pause.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
