//! Reads klstore lists from S3: native and WebAssembly.
//!
//! [`S3StoreReader`] is the reader; what it can do is the trait [`StoreReader`], with streams over whole lists in
//! [`StoreReaderExt`], and the same for callers without an async runtime in [`blocking`]. What to read next is
//! decided by the plans of `klstore-format`; this crate carries their requests out: it signs them, tries them again
//! within bounds, and keeps what never changes in memory.
//!
//! The network is behind [`transport::Transport`], time and chance are behind [`Environment`], keys are behind
//! [`CredentialsSource`], and all of S3 is behind [`source::ObjectSource`]: each can be replaced in the
//! [builder](S3StoreReader::builder). Nothing here needs threads or a file system, so the crate also runs in a browser,
//! where transport and environment have no default: the npm package brings its own.

#[cfg(not(target_arch = "wasm32"))]
pub mod blocking;
mod builder;
mod cache;
mod client;
mod credentials;
mod date;
mod endpoint;
mod environment;
mod error;
mod follow;
mod get_object;
#[cfg(not(target_arch = "wasm32"))]
mod http_transport;
mod in_order;
mod list_objects;
mod maybe_send;
mod retry;
mod s3_source;
mod s3_store_reader;
mod service_error;
mod sign;
pub mod source;
mod store_reader;
mod streams;
pub mod transport;
mod upkeep;
mod xml;

pub use builder::{DEFAULT_CACHE_BYTES, S3StoreReaderBuilder};
pub use credentials::{CredentialsSource, CredentialsUnavailable};
pub use environment::Environment;
#[cfg(not(target_arch = "wasm32"))]
pub use environment::NativeEnvironment;
pub use error::ReaderError;
pub use follow::{Polling, Tail};
#[cfg(not(target_arch = "wasm32"))]
pub use http_transport::HttpTransport;
pub use klstore_format::plan::follow::FollowStart;
pub use klstore_format::plan::keys::{KeyList, KeyspaceList, UnreadableKeyspace};
pub use klstore_format::plan::timeline::{Timeline, TimelineSpan, TimelineWindow};
pub use klstore_format::plan::{Damage, DamageKind, Orphan, SweepReport, VerifyProgress, VerifyReport};
pub use klstore_format::{
    Item, ItemFilter, ItemList, IterationOrder, KeyMetadata, KeyspaceMetadata, ListStats, S3StoreConfig,
};
pub use maybe_send::{MaybeSend, MaybeSync};
pub use retry::RetryPolicy;
pub use s3_store_reader::S3StoreReader;
pub use sign::Signing;
pub use store_reader::StoreReader;
pub use streams::StoreReaderExt;
