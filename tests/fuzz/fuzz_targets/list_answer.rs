#![no_main]
//! See `klstore_fuzz::targets::list_answer`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::list_answer::run(data));
