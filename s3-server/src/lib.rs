//! An S3 server on one folder or in memory, for klstore's tests, demos and local use.
//!
//! It speaks the part of S3 that klstore uses, as AWS does: conditional PUTs of which exactly one wins, LISTs in the
//! order of the keys' bytes, ranges, SigV4 in header and query, CORS. Beside the HTTP there is direct access to the
//! [`Store`], counting ([`RunningServer::counts`]) and faults on demand ([`RunningServer::faults`]). It does not do
//! multipart uploads, versions or access lists.
//!
//! ```
//! use klstore_s3_server::{ByteRange, Credential, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bucket("photos").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
//! // ... point any S3 client at server.endpoint(), path style ...
//! assert!(server.store().keys("photos", "")?.is_empty());
//! assert_eq!(server.counts().requests(), 0);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! How the parts hang together: [`server`](Server) accepts connections and hands each request to `service`, which
//! checks the host, asks `faults`, counts, and passes on to s3s; s3s checks the signature, asks `access`, and calls
//! `operations`, which use the `store`.

mod access;
mod answer;
mod cors;
mod counts;
mod faults;
mod host;
mod operations;
mod request;
mod server;
mod service;
mod signature;
mod store;
mod upload;
mod upload_check;

pub use access::{AnonymousAccess, Credential, Permission, PolicyQuestion};
pub use cors::Cors;
pub use counts::{Counts, RequestRecord};
pub use faults::{Fault, Faults, Gate, Refusal};
pub use request::{Operation, RequestInfo};
pub use server::{Limits, RunningServer, Server, ServerBuilder, StartError};
pub use signature::WrongRegion;
pub use store::{
    BucketSummary, ByteRange, ETag, ListPage, ListRequest, ListStart, MAX_KEY_LENGTH, MAX_KEYS, Object, ObjectChecksum,
    ObjectMetadata, ObjectSummary, Precondition, Store, StoreError, StoreResult,
};
