#![no_main]
//! See `klstore_fuzz::targets::index_page`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::index_page::run(data));
