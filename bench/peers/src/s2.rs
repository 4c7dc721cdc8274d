//! s2-lite's side: its server over the same S3 server, and a client by its own SDK.

pub mod client;
mod server;

pub use server::Lite;
