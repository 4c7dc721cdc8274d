#![no_main]
//! See `klstore_fuzz::targets::commit_header`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::commit_header::run(data));
