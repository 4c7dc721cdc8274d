//! What klstore reads from outside, as fuzz targets: bytes go in, and a target panics where klstore does not do what it
//! should with them.
//!
//! `script/fuzz` runs them under libFuzzer (docs/RELIABILITY.md, 'Fuzzing'). `tests/replay.rs` plays the corpora of the
//! repository through the very same functions, compiled as any other test and with a cap on memory.
//!
//! A checksum would stop nearly all that a fuzzer tries: [`seal`] mends checksums after the mutation, as a stranger
//! would who means harm. What only an accident does, with no checksum mended, has to be noticed: see [`list::Lists`] and
//! `tests/every_bit.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what is unexpected here fails a test")]

pub mod corpus;
pub mod list;
pub mod oracle;
pub mod seal;
pub mod seeds;
pub mod store;
pub mod targets;

/// Bytes that everything in memory may take while a target runs: those of the largest objects and pages several times,
/// and far below what a length that is believed would take.
pub const MEMORY_CAP: usize = 512 << 20;

/// Beyond the cap an allocation fails, and that ends the process.
#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, MEMORY_CAP);

/// What is fuzzed: bytes in, a panic where something is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As `script/fuzz` and the folder of its corpus call it.
    pub name: &'static str,
    /// Its body.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($(#[$gate:meta])* $name:ident),* $(,)?) => {
        /// All of them.
        pub const TARGETS: &[Target] =
            &[$($(#[$gate])* Target { name: stringify!($name), run: targets::$name::run }),*];
    };
}

targets!(
    block,
    commit_header,
    #[cfg(feature = "bridge")]
    configuration,
    index_page,
    #[cfg(feature = "bridge")]
    kafka_record,
    keyspace_object,
    #[cfg(feature = "reader")]
    list_answer,
    name,
    token,
    #[cfg(feature = "reader")]
    wasm_operation,
    whole_read,
);
