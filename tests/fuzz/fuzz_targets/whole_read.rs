#![no_main]
//! See `klstore_fuzz::targets::whole_read`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::whole_read::run(data));
