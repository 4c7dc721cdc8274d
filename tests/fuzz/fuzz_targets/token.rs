#![no_main]
//! See `klstore_fuzz::targets::token`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::token::run(data));
