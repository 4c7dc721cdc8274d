#![no_main]
//! See `klstore_fuzz::targets::wasm_operation`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::wasm_operation::run(data));
