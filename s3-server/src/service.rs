//! What is around s3s for every request: host, faults, counting, cross-origin headers, bounds of the body.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode, header, request::Parts};
use hyper::body::{Body as _, Incoming};
use s3s::Body;
use s3s::service::S3Service;
use tokio::task::JoinSet;

use crate::answer;
use crate::cors::Cors;
use crate::counts::{Meter, Outcome};
use crate::faults::{Fault, Faults, Gate, Refusal};
use crate::host::{HostMatch, HostNames};
use crate::operations::{Bent, too_large};
use crate::request::{Operation, RequestInfo};
use crate::signature::{self, WrongRegion};
use crate::upload::Upload;

/// Room for the framing of a chunked upload beside the object: a signature of some 90 bytes for each 8 KiB or more.
const FRAMING: u64 = 64 * 1024;

pub(crate) struct Service {
    pub(crate) s3: S3Service,
    pub(crate) hosts: HostNames,
    pub(crate) meter: Arc<Meter>,
    pub(crate) faults: Faults,
    pub(crate) cors: Cors,
    pub(crate) region: Option<(String, WrongRegion)>,
    pub(crate) max_object_size: u64,
    pub(crate) body_pause: Duration,
    pub(crate) next_id: AtomicU64,
    /// Requests that were answered before they were carried out.
    pub(crate) late: Mutex<JoinSet<()>>,
}

/// There is no answer: the connection is to be closed.
#[derive(Debug)]
pub(crate) struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault closed the connection")
    }
}

impl std::error::Error for NoAnswer {}

impl Service {
    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, NoAnswer> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (parts, incoming) = request.into_parts();
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = self.hosts.find(host);
        let bucket = match host {
            HostMatch::Bucket(bucket) => Some(bucket),
            _ => None,
        };
        let info = RequestInfo::new(id, &parts.method, &parts.uri, &parts.headers, bucket);
        self.meter.arrived(&info);
        let is_foreign = host == HostMatch::Foreign;

        let limit = self.max_object_size + self.max_object_size / 8 + FRAMING;
        let (upload, leftover) = Upload::new(incoming, limit, self.body_pause);
        let (response, hide_etag) = self.answer(&info, is_foreign, parts, upload).await;
        let bytes_in = leftover.discard(limit).await;

        let response = response.map(|response| self.dress(&info, response, hide_etag));
        let is_head = info.operation == Operation::HeadObject || info.operation == Operation::HeadBucket;
        let length = response.as_ref().and_then(|response| response.body().size_hint().exact());
        let outcome = Outcome {
            status: response.as_ref().map(Response::status),
            bytes_in,
            bytes_out: length.filter(|_| !is_head).unwrap_or(0),
        };
        self.meter.finished(&info, outcome);
        response.ok_or(NoAnswer)
    }

    /// The answer, `None` for none, and whether its ETag is to be hidden.
    async fn answer(
        &self,
        info: &RequestInfo,
        is_foreign: bool,
        parts: Parts,
        upload: Upload,
    ) -> (Option<Response<Body>>, bool) {
        if is_foreign {
            let message = "This host name is not served here; use the address of the server or a name it was told.";
            return (Some(answer::error(StatusCode::FORBIDDEN, "AccessDenied", message, &[])), false);
        }
        let mut fault = self.faults.decide(info);
        while let Fault::Delay(time, then) = fault {
            tokio::time::sleep(time).await;
            fault = *then;
        }
        let mut bent = Bent::default();
        let answer = match fault {
            Fault::None | Fault::Delay(..) => Some(self.operate(info, parts, upload, bent).await),
            Fault::Hang => std::future::pending().await,
            Fault::Drop => None,
            Fault::Refuse(refusal) => Some(answer::refusal(refusal)),
            Fault::ErrorBody(refusal) => Some(answer::refusal(Refusal { status: StatusCode::OK, ..refusal })),
            Fault::Hold(gate) => {
                gate.pass().await;
                let answer = self.operate(info, parts, upload, bent).await;
                gate.passed();
                Some(answer)
            }
            Fault::LoseAnswer => {
                self.operate(info, parts, upload, bent).await;
                None
            }
            Fault::FailAfter(refusal) => {
                self.operate(info, parts, upload, bent).await;
                Some(answer::refusal(refusal))
            }
            Fault::Late(refusal, gate) => {
                self.operate_late(parts, upload, gate).await;
                Some(answer::refusal(refusal))
            }
            Fault::Truncate(length) => {
                Some(answer::truncate(self.operate(info, parts, upload, bent).await, length).await)
            }
            Fault::Corrupt(offset) => {
                Some(answer::corrupt(self.operate(info, parts, upload, bent).await, offset).await)
            }
            Fault::HideETag => return (Some(self.operate(info, parts, upload, bent).await), true),
            Fault::IgnorePreconditions => {
                bent.ignore_preconditions = true;
                Some(self.operate(info, parts, upload, bent).await)
            }
            Fault::ShortList(limit) => {
                bent.list_limit = Some(limit);
                Some(self.operate(info, parts, upload, bent).await)
            }
            Fault::ReverseList => {
                bent.list_reversed = true;
                Some(self.operate(info, parts, upload, bent).await)
            }
            Fault::KeepKeys(ending) => {
                bent.keep_keys = Some(ending);
                Some(self.operate(info, parts, upload, bent).await)
            }
        };
        (answer, false)
    }

    async fn operate(&self, info: &RequestInfo, parts: Parts, upload: Upload, bent: Bent) -> Response<Body> {
        if info.operation == Operation::Options {
            return self.cors.preflight(&info.headers);
        }
        if let Some(refusal) = signature::check(info, self.region.as_ref()) {
            return refusal;
        }
        if declared_size(info).is_some_and(|size| size > self.max_object_size) {
            let error = too_large(self.max_object_size);
            let message = error.message().unwrap_or_default();
            return answer::error(StatusCode::BAD_REQUEST, error.code().as_str(), message, &[]);
        }
        self.call(parts, Body::http_body_unsync(upload), bent).await
    }

    /// Takes the whole request now and carries it out when the gate opens.
    async fn operate_late(&self, parts: Parts, upload: Upload, gate: Gate) {
        let mut body = Body::http_body_unsync(upload);
        if body.store_all_limited(usize::MAX).await.is_err() {
            return;
        }
        let s3 = self.s3.clone();
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        while late.try_join_next().is_some() {}
        late.spawn(async move {
            gate.pass().await;
            // Nobody waits for the answer.
            let _ = s3.call(Request::from_parts(parts, body)).await;
            gate.passed();
        });
    }

    async fn call(&self, parts: Parts, body: Body, bent: Bent) -> Response<Body> {
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(bent);
        match self.s3.call(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(?error, "no answer could be written");
                let message = "We encountered an internal error. Please try again.";
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message, &[])
            }
        }
    }

    /// The headers that every answer has, whoever made it.
    fn dress(&self, info: &RequestInfo, mut response: Response<Body>, hide_etag: bool) -> Response<Body> {
        if response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        let headers = response.headers_mut();
        if let Ok(id) = format!("{:016X}", info.id).parse() {
            headers.insert("x-amz-request-id", id);
        }
        if let (Operation::HeadBucket, Some((region, _))) = (info.operation, &self.region)
            && let Ok(region) = region.parse()
        {
            headers.insert("x-amz-bucket-region", region);
        }
        if hide_etag {
            headers.remove(header::ETAG);
        }
        self.cors.expose(&info.headers, headers, hide_etag);
        response
    }
}

/// Bytes of the object that a PUT announces.
fn declared_size(info: &RequestInfo) -> Option<u64> {
    if info.operation != Operation::PutObject {
        return None;
    }
    let number = |name: &str| info.headers.get(name)?.to_str().ok()?.parse().ok();
    number("x-amz-decoded-content-length").or_else(|| number("content-length"))
}
