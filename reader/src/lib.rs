//! Reads klstore lists from S3: native and WebAssembly.
