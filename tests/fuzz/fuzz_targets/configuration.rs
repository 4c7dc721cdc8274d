#![no_main]
//! See `klstore_fuzz::targets::configuration`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::configuration::run(data));
