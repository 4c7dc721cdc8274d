//! What blocks cost: `cargo bench -p klstore-format --bench block`.
//!
//! First ratios, each the median of interleaved pairs: encoding and decoding against copying the values once and taking
//! their crc32c, which nothing that stores and checks them can do without. Then, for each codec and block size, stored
//! bytes and speeds. Last the same by divan, in absolute figures.

#![allow(clippy::unwrap_used)] // what is decoded here was encoded here

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klstore_format::Item;
use klstore_format::wire::block::{BlockEntry, BlockOptions, decode_blocks, encode_blocks};
use klstore_format::wire::compression::Codec;
use klstore_format::wire::identity::BlockOwner;
use klstore_format::wire::run::Run;

const OWNER: BlockOwner = BlockOwner(*b"measured");
const CODECS: [Codec; 3] = [Codec::None, Codec::Lz4, Codec::Zstd];
const KIBIBYTES: [usize; 3] = [16, 32, 64];
const PAIRS: usize = 101;

fn main() {
    ratios_to_copying();
    sizes_and_speeds();
    divan::main();
}

/// Rows as they come from a device every second or so: about 100 bytes of text each, 1 MiB together: a run is short
/// enough that most are not interrupted by whatever else the machine does.
fn items() -> Vec<Item> {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut timestamp = 1_357_000_000_000;
    (0..10_500u64)
        .map(|offset| {
            timestamp += 900 + (next() % 200) as i64;
            let (speed, heading) = (next() % 900, next() % 360);
            let (latitude, longitude) = (next() % 90_000, next() % 180_000);
            let value = format!(
                r#"{{"speed":{speed},"heading":{heading},"lat":{latitude},"lon":{longitude},"state":"en route","sender":7,"code":"EWR-{heading}"}}"#
            );
            Item { offset, timestamp, nonce: Some(u128::from(offset)), value: value.into() }
        })
        .collect()
}

fn start() -> Run {
    Run::empty(0, i64::MIN, 0)
}

fn encode(items: &[Item], options: &BlockOptions, out: &mut Vec<u8>) -> Vec<BlockEntry> {
    out.clear();
    encode_blocks(OWNER, &start(), items, options, 0, out)
}

fn decode(bytes: &Bytes, entries: &[BlockEntry], items: &mut Vec<Item>) {
    items.clear();
    decode_blocks(bytes, 0, entries, OWNER, items).unwrap();
}

fn ratios_to_copying() {
    let items = items();
    let values: Vec<u8> = items.iter().flat_map(|item| item.value.to_vec()).collect();
    let options = BlockOptions { codec: Codec::None, ..BlockOptions::default() };
    let mut stored = Vec::new();
    let entries = encode(&items, &options, &mut stored);
    let bytes = Bytes::from(stored.clone());
    let mut copy = Vec::with_capacity(values.len());
    let mut copying = || {
        copy.clear();
        copy.extend_from_slice(black_box(&values));
        black_box(crc32c::crc32c(&copy));
    };
    println!("items of {} value bytes on average, uncompressed", values.len() / items.len());
    let encoding = pairs(|| drop(black_box(encode(&items, &options, &mut stored))), &mut copying);
    print_pairs("encode", &encoding, values.len());
    let mut read = Vec::with_capacity(items.len());
    let decoding = pairs(|| decode(black_box(&bytes), &entries, &mut read), &mut copying);
    print_pairs("decode", &decoding, values.len());
}

fn pairs(mut one: impl FnMut(), mut other: impl FnMut()) -> Vec<(Duration, Duration)> {
    one();
    other();
    (0..PAIRS).map(|_| (time(&mut one), time(&mut other))).collect()
}

#[allow(clippy::disallowed_methods)] // measuring is what this program is for
fn time(body: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    body();
    start.elapsed()
}

fn print_pairs(what: &str, pairs: &[(Duration, Duration)], bytes: usize) {
    let ratios = sorted(pairs.iter().map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()));
    let speeds = sorted(pairs.iter().map(|(one, _)| gigabytes(bytes, *one)));
    println!(
        "  {what}: {:.2} x the time of memcpy + crc32c ({:.2} to {:.2}), {:.2} GB/s ({:.2} to {:.2}); median of {} pairs (10 % to 90 %)",
        quantile(&ratios, 50),
        quantile(&ratios, 10),
        quantile(&ratios, 90),
        quantile(&speeds, 50),
        quantile(&speeds, 10),
        quantile(&speeds, 90),
        pairs.len(),
    );
}

fn sizes_and_speeds() {
    let items = items();
    let value_bytes: usize = items.iter().map(|item| item.value.len()).sum();
    println!("codec, plain block size: stored / value bytes, encode GB/s, decode GB/s, decode of one block");
    let mut stored = Vec::new();
    let mut read = Vec::new();
    for codec in CODECS {
        for kibibytes in KIBIBYTES {
            let options = BlockOptions { codec, plain_bytes: kibibytes << 10 };
            let mut entries = encode(&items, &options, &mut stored);
            let mut encoding = || entries = encode(black_box(&items), &options, &mut stored);
            let encode_times = sorted((0..PAIRS).map(|_| gigabytes(value_bytes, time(&mut encoding))));
            let bytes = Bytes::from(stored.clone());
            let mut decoding = || decode(black_box(&bytes), &entries, &mut read);
            let decode_times = sorted((0..PAIRS).map(|_| time(&mut decoding).as_secs_f64()));
            let seconds = quantile(&decode_times, 50);
            println!(
                "  {codec:?} {kibibytes} KiB: {:.3}, {:.2}, {:.2}, {:.0} us",
                bytes.len() as f64 / value_bytes as f64,
                quantile(&encode_times, 50),
                value_bytes as f64 / seconds / 1e9,
                seconds / entries.len() as f64 * 1e6,
            );
        }
    }
}

fn gigabytes(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[divan::bench(args = CODECS)]
fn encode_1_mib(bencher: divan::Bencher<'_, '_>, codec: &Codec) {
    let items = items();
    let options = BlockOptions { codec: *codec, ..BlockOptions::default() };
    let mut out = Vec::new();
    let bytes: usize = items.iter().map(|item| item.value.len()).sum();
    bencher
        .counter(divan::counter::BytesCount::new(bytes))
        .bench_local(|| encode(black_box(&items), &options, &mut out));
}

#[divan::bench(args = CODECS)]
fn decode_1_mib(bencher: divan::Bencher<'_, '_>, codec: &Codec) {
    let items = items();
    let options = BlockOptions { codec: *codec, ..BlockOptions::default() };
    let mut out = Vec::new();
    let entries = encode(&items, &options, &mut out);
    let (stored, mut read) = (Bytes::from(out), Vec::new());
    let bytes: usize = items.iter().map(|item| item.value.len()).sum();
    bencher
        .counter(divan::counter::BytesCount::new(bytes))
        .bench_local(|| decode(black_box(&stored), &entries, &mut read));
}
