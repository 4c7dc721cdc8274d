//! Reads klstore lists from S3: native and WebAssembly.

mod cache;
mod client;
mod credentials;
mod endpoint;
mod environment;
mod error;
mod http_transport;
mod list_objects;
mod maybe_send;
mod retry;
mod service_error;
mod sign;
pub mod transport;
mod xml;

pub use credentials::{CredentialsSource, CredentialsUnavailable};
pub use environment::Environment;
#[cfg(not(target_arch = "wasm32"))]
pub use environment::NativeEnvironment;
#[cfg(target_arch = "wasm32")]
pub use environment::BrowserEnvironment;
pub use error::ReaderError;
pub use http_transport::HttpTransport;
pub use maybe_send::MaybeSend;
pub use retry::RetryPolicy;
pub use sign::Signing;
