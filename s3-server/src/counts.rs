//! What was asked of the server, in numbers and, where switched on, request by request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};

use crate::request::{Operation, RequestInfo};

/// Requests and bytes since the start or the last [`reset`](crate::RunningServer::reset_counts). Every request is in
/// exactly one of the request fields from when its head has arrived, whatever it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// LISTs of objects.
    pub list: u64,
    /// GETs of objects.
    pub get: u64,
    /// HEADs of objects.
    pub head: u64,
    /// PUTs of objects, the refused ones among them.
    pub put: u64,
    /// Copies of objects.
    pub copy: u64,
    /// Deletions: requests, of one object or of many.
    pub delete: u64,
    /// Browsers' preflights.
    pub options: u64,
    /// Requests that concern buckets, and all others.
    pub other: u64,
    /// Of the PUTs, those refused with 412 since their precondition did not hold.
    pub put_refused: u64,
    /// Objects named in deletions that were carried out.
    pub deleted_names: u64,
    /// Answers with a status of 400 and above, 412 and 404 among them.
    pub errors: u64,
    /// Bytes of request bodies as they came in, with the framing of chunked uploads.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Of them, bytes of objects' bodies.
    pub object_bytes_out: u64,
    /// Bytes of objects' bodies that were stored.
    pub object_bytes_in: u64,
}

impl Counts {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.list + self.get + self.head + self.put + self.copy + self.delete + self.options + self.other
    }
}

/// One request in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The request's number.
    pub id: u64,
    /// The HTTP method.
    pub method: Method,
    /// What was asked for.
    pub operation: Operation,
    /// The bucket.
    pub bucket: Option<String>,
    /// The object's key.
    pub key: Option<String>,
    /// The query as sent.
    pub query: Option<String>,
    /// The `Range` header as sent.
    pub range: Option<String>,
    /// What was answered; `None` where the connection was closed instead, or nothing has been answered yet.
    pub status: Option<StatusCode>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// What a request turned out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Counts and log of one server.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    state: Mutex<MeterState>,
    log_capacity: usize,
}

#[derive(Debug, Default)]
struct MeterState {
    counts: Counts,
    log: VecDeque<RequestRecord>,
}

impl Meter {
    pub(crate) fn new(log_capacity: usize) -> Self {
        Self { state: Mutex::default(), log_capacity }
    }

    pub(crate) fn arrived(&self, request: &RequestInfo) {
        let mut state = self.lock();
        let counts = &mut state.counts;
        *match request.operation {
            Operation::ListObjects => &mut counts.list,
            Operation::GetObject => &mut counts.get,
            Operation::HeadObject => &mut counts.head,
            Operation::PutObject => &mut counts.put,
            Operation::CopyObject => &mut counts.copy,
            Operation::DeleteObject | Operation::DeleteObjects => &mut counts.delete,
            Operation::Options => &mut counts.options,
            _ => &mut counts.other,
        } += 1;
        if self.log_capacity == 0 {
            return;
        }
        if state.log.len() == self.log_capacity {
            state.log.pop_front();
        }
        state.log.push_back(RequestRecord {
            id: request.id,
            method: request.method.clone(),
            operation: request.operation,
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            query: request.query.clone(),
            range: request.range.clone(),
            status: None,
            bytes_in: 0,
            bytes_out: 0,
        });
    }

    pub(crate) fn finished(&self, request: &RequestInfo, outcome: Outcome) {
        let mut state = self.lock();
        let counts = &mut state.counts;
        counts.bytes_in += outcome.bytes_in;
        counts.bytes_out += outcome.bytes_out;
        if let Some(status) = outcome.status {
            counts.errors += u64::from(status.as_u16() >= 400);
            counts.put_refused +=
                u64::from(request.operation == Operation::PutObject && status == StatusCode::PRECONDITION_FAILED);
            if request.operation == Operation::GetObject && status.is_success() {
                counts.object_bytes_out += outcome.bytes_out;
            }
        }
        // Later requests may have been logged meanwhile, but not many: look from the end.
        if let Some(record) = state.log.iter_mut().rev().find(|record| record.id == request.id) {
            record.status = outcome.status;
            record.bytes_in = outcome.bytes_in;
            record.bytes_out = outcome.bytes_out;
        }
    }

    pub(crate) fn stored(&self, bytes: u64) {
        self.lock().counts.object_bytes_in += bytes;
    }

    pub(crate) fn deleted(&self, names: u64) {
        self.lock().counts.deleted_names += names;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(crate) fn reset(&self) -> Counts {
        std::mem::take(&mut self.lock().counts)
    }

    pub(crate) fn take_log(&self) -> Vec<RequestRecord> {
        self.lock().log.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, MeterState> {
        // Numbers are right one by one, also after a panic between two of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
