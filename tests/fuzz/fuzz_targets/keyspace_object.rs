#![no_main]
//! See `klstore_fuzz::targets::keyspace_object`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::keyspace_object::run(data));
