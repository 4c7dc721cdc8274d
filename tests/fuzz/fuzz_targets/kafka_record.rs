#![no_main]
//! See `klstore_fuzz::targets::kafka_record`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| klstore_fuzz::targets::kafka_record::run(data));
