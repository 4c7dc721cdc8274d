#![no_main]
//! See `klstore_fuzz::targets::block`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::block::run(data));
