#![no_main]
//! See `klstore_fuzz::targets::name`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::name::run(data));
