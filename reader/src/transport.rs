//! The one thing that the reader needs of a network: a bounded HTTP GET.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::maybe_send::{MaybeSend, MaybeSync};

/// Chunks below it are gathered up to it: each piece costs something wherever it is kept.
const SMALL_CHUNK_BYTES: usize = 64 << 10;

/// Bytes of an answer that is no success: enough for S3's error documents.
pub const MAX_ERROR_BODY_BYTES: u64 = 64 << 10;

/// Sends GET requests. Natively implemented by `HttpTransport`; implement it to put a proxy, a
/// presigner or a user's own `fetch` in its place.
///
/// An implementation must not follow redirects (an answer with credentials would go to another host), must not
/// retry (the reader does, within its bounds), and must bound what it keeps of a body as [`HttpRequest`] says.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Transport: MaybeSend + MaybeSync {
    /// Sends one request and reads its answer to the end, or as far as is asked for.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where no whole answer came. A status such as 404 or 503 is an answer, not an error.
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// A GET request.
#[derive(Clone)]
pub struct HttpRequest {
    /// The whole URL; its query may hold a signature, so never log it.
    pub url: String,
    /// Headers to send beside `Range`; they may hold a signature and a session token.
    pub headers: Vec<(&'static str, String)>,
    /// Bytes of the object to ask for, as `Range: bytes=start-(end-1)`; never empty. A server may ignore it and
    /// answer 200 with the whole object: then the response's body is to be these bytes of it, no others.
    pub range: Option<Range<u64>>,
    /// Most bytes of a body that may be kept; more is [`TransportError::TooLarge`].
    pub limit: u64,
    /// Fetch past every cache on the way (a browser's, say).
    pub reload: bool,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split_once('?').map_or(self.url.as_str(), |(path, _)| path);
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        formatter
            .debug_struct("HttpRequest")
            .field("url", &path)
            .field("headers", &headers)
            .field("range", &self.range)
            .field("limit", &self.limit)
            .field("reload", &self.reload)
            .finish()
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the headers that are text, as far as they are shown (a browser hides those that CORS does not
    /// expose). Names may be in any case.
    pub headers: Vec<(String, String)>,
    /// The body; where a range was asked for and the status is 200, the bytes of the range.
    pub body: Body,
    /// Body bytes that came over the network.
    pub received: u64,
}

impl HttpResponse {
    /// A header's value, where it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection: name resolution, refused, TLS, or (in a browser) CORS.
    #[error("no connection: {reason}")]
    Connect {
        /// What the network said.
        reason: String,
    },
    /// The server's certificate is not trusted: trying again will not help.
    #[error("its TLS certificate is not trusted: {reason}")]
    UntrustedCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// A browser kept the answer from the page: the bucket has no CORS rule for its origin. Trying again will not help.
    #[error("the store does not allow the origin {origin}")]
    CrossOrigin {
        /// The page's origin.
        origin: String,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection broke: {reason}")]
    Interrupted {
        /// What the network said.
        reason: String,
    },
    /// More came than was asked for.
    #[error("the answer is larger than the {limit} bytes that were asked for")]
    TooLarge {
        /// The limit that was set.
        limit: u64,
    },
    /// The request cannot be sent at all.
    #[error("the request cannot be sent: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

/// A body in the pieces that it came in, so that a large one need not be copied to be in one piece.
///
/// ```
/// use bytes::Bytes;
/// use klstore_reader::transport::Body;
/// let body: Body = ["dep", "arted"].map(Bytes::from).into_iter().collect();
/// assert_eq!((body.len(), body.joined()), (8, Bytes::from("departed")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(Vec<Bytes>);

impl Body {
    /// Its bytes, all pieces together.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// In one piece: copied unless it is one already.
    pub fn joined(&self) -> Bytes {
        join(&self.0)
    }

    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// The first `length` bytes in one piece, or all where there are fewer.
    pub(crate) fn first(&self, length: u64) -> Bytes {
        let mut room = usize::try_from(length).unwrap_or(usize::MAX);
        let mut first = self.0.clone();
        for piece in &mut first {
            piece.truncate(room);
            room -= piece.len();
        }
        first.retain(|piece| !piece.is_empty());
        join(&first)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }
}

impl FromIterator<Bytes> for Body {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(pieces.into_iter().collect())
    }
}

fn join(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [piece] => piece.clone(),
        pieces => pieces.concat().into(),
    }
}

/// Gathers a body chunk by chunk within the bounds that a request sets.
///
/// ```
/// use klstore_reader::transport::{BodyCollector, HttpRequest};
/// let request = HttpRequest {
///     url: "http://127.0.0.1/bucket/object".into(),
///     headers: Vec::new(),
///     range: Some(2..5),
///     limit: 3,
///     reload: false,
/// };
/// // A server that ignores the range and sends the whole object:
/// let mut body = BodyCollector::new(&request, 200);
/// assert!(!body.push(b"abc"[..].into())?);
/// assert!(body.push(b"defgh"[..].into())?, "all that was asked for is there");
/// assert_eq!(body.finish().0.joined(), "cde");
/// # Ok::<(), klstore_reader::transport::TransportError>(())
/// ```
#[derive(Debug)]
pub struct BodyCollector {
    pieces: Vec<Bytes>,
    /// Small chunks that are to become one piece.
    small: Vec<Bytes>,
    small_bytes: usize,
    kept: u64,
    received: u64,
    skip: u64,
    take: Option<u64>,
    limit: u64,
}

impl BodyCollector {
    /// For the answer to `request` that has this status.
    pub fn new(request: &HttpRequest, status: u16) -> Self {
        let (skip, take, limit) = match (&request.range, status) {
            (Some(range), 200) => (range.start, Some(range.end.saturating_sub(range.start)), request.limit),
            (_, 200..=299) => (0, None, request.limit),
            (_, _) => (0, Some(MAX_ERROR_BODY_BYTES), MAX_ERROR_BODY_BYTES),
        };
        Self { pieces: Vec::new(), small: Vec::new(), small_bytes: 0, kept: 0, received: 0, skip, take, limit }
    }

    /// Takes the next chunk; `true` where no more is needed.
    ///
    /// # Errors
    ///
    /// [`TransportError::TooLarge`] once more came than may be kept.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<bool, TransportError> {
        let length = chunk.len() as u64;
        self.received += length;
        let skipped = self.skip.min(length);
        self.skip -= skipped;
        // Both are at most the chunk's length.
        let mut chunk = chunk.split_off(skipped as usize);
        if let Some(take) = &mut self.take {
            chunk.truncate((*take).min(chunk.len() as u64) as usize);
            *take -= chunk.len() as u64;
        }
        self.kept += chunk.len() as u64;
        if self.kept > self.limit {
            return Err(TransportError::TooLarge { limit: self.limit });
        }
        if chunk.len() >= SMALL_CHUNK_BYTES {
            self.join_small();
            self.pieces.push(chunk);
        } else if !chunk.is_empty() {
            self.small_bytes += chunk.len();
            self.small.push(chunk);
            if self.small_bytes >= SMALL_CHUNK_BYTES {
                self.join_small();
            }
        }
        Ok(self.take == Some(0))
    }

    /// The body, and how many bytes came in all.
    pub fn finish(mut self) -> (Body, u64) {
        self.join_small();
        (Body(self.pieces), self.received)
    }

    fn join_small(&mut self) {
        if !self.small.is_empty() {
            // A copy: a small chunk keeps the whole buffer that it came in.
            self.pieces.push(self.small.concat().into());
            self.small.clear();
            self.small_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(range: Option<Range<u64>>, limit: u64) -> HttpRequest {
        HttpRequest {
            url: "https://host/bucket/name?X-Amz-Signature=SECRET".into(),
            headers: vec![("authorization", "SECRET".into())],
            range,
            limit,
            reload: false,
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_while_it_comes() -> Result<(), TransportError> {
        let mut body = BodyCollector::new(&request(Some(0..4), 4), 206);
        assert!(!body.push(b"abcd"[..].into())?);
        assert_eq!(body.push(b"e"[..].into()), Err(TransportError::TooLarge { limit: 4 }));
        Ok(())
    }

    #[test]
    fn an_error_document_is_cut() -> Result<(), TransportError> {
        let mut body = BodyCollector::new(&request(None, 1 << 20), 503);
        assert!(body.push(vec![b'x'; 1 << 17].into())?);
        let (body, received) = body.finish();
        assert_eq!((body.joined(), received), (vec![b'x'; 64 << 10].into(), 1 << 17));
        Ok(())
    }

    #[test]
    fn a_whole_object_in_small_chunks_gives_the_range() -> Result<(), TransportError> {
        let mut body = BodyCollector::new(&request(Some(3..6), 3), 200);
        let mut chunks = 0;
        for chunk in b"abcdefghij".chunks(2) {
            chunks += 1;
            if body.push(Bytes::copy_from_slice(chunk))? {
                break;
            }
        }
        assert_eq!((chunks, body.finish()), (3, (Bytes::from("def").into(), 6)));
        Ok(())
    }

    #[test]
    fn large_chunks_stay_as_they_are_and_small_ones_are_gathered() -> Result<(), TransportError> {
        let mut body = BodyCollector::new(&request(None, 1 << 20), 200);
        let (large, mut sent) = (Bytes::from(vec![b'l'; SMALL_CHUNK_BYTES]), Vec::new());
        for chunk in [&b"ab"[..], b"cd", &large[..], b"e", b"f", &large[1..], b"g"] {
            let chunk = if chunk.len() == large.len() { large.clone() } else { Bytes::copy_from_slice(chunk) };
            sent.extend_from_slice(&chunk);
            body.push(chunk)?;
        }
        let (body, received) = body.finish();
        let lengths: Vec<usize> = body.pieces().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [4, SMALL_CHUNK_BYTES, SMALL_CHUNK_BYTES + 1, 1]);
        assert_eq!(body.pieces()[1].as_ptr(), large.as_ptr(), "not copied");
        assert_eq!((body.joined(), received, body.len()), (sent.clone().into(), sent.len() as u64, received));
        for length in [0, 3, 4, 5, SMALL_CHUNK_BYTES + 4, SMALL_CHUNK_BYTES + 5, sent.len() + 9] {
            assert_eq!(body.first(length as u64), sent[..length.min(sent.len())]);
        }
        Ok(())
    }

    #[test]
    fn debug_shows_no_signature() {
        let shown = format!("{:?}", request(None, 1));
        assert!(!shown.contains("SECRET") && shown.contains("https://host/bucket/name"), "{shown}");
    }
}
