//! Random insertions, starts and settings, for every test that compares with a model.

use bytes::Bytes;
use klstore_format::plan::{Retention, SessionOptions};
use klstore_format::wire::block::BlockOptions;
use klstore_format::wire::compression::Codec;
use klstore_format::{Insertion, Item, ItemFilter, IterationOrder};
use rand::RngExt;

use crate::seeded::{Random, percent, pick};
use crate::vec_model::VecModel;

/// What a list is filled with and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Few items, segments of three.
    Small,
    /// Every commit is complete: the index fills up to several leaves.
    Complete,
    /// The thresholds of users.
    Default,
    /// Every session has other thresholds and carries.
    Mixed,
    /// Values of up to 8 MiB among small ones.
    Large,
}

/// How a session of this profile writes.
pub fn options(random: &mut Random, profile: Profile) -> SessionOptions {
    let default = SessionOptions::default();
    let (items, objects) = match profile {
        Profile::Small => (3, 4),
        Profile::Complete => (1, 100),
        Profile::Default | Profile::Large => (default.compact_items_threshold, default.compact_objects_threshold),
        Profile::Mixed => (*pick(random, &[1, 2, 3, 10, 40]), *pick(random, &[2, 5, 30])),
    };
    SessionOptions {
        block: BlockOptions {
            codec: *pick(random, &[Codec::None, Codec::Lz4, Codec::Zstd]),
            plain_bytes: *pick(random, &[64, 1_000, 32 << 10]),
        },
        carry_bytes: *pick(random, &[0, 100, 2_000, 32 << 10]),
        recent_bytes: *pick(random, &[0, 500, 256 << 10]),
        compact_items_threshold: items,
        compact_objects_threshold: objects,
        ..default
    }
}

/// What a list's writers let stand: of most lists everything.
pub fn retention(random: &mut Random, profile: Profile) -> Retention {
    let limited = matches!(profile, Profile::Small | Profile::Mixed) && percent(random, 25);
    let which = if limited { random.random_range(1..8) } else { 0 };
    Retention {
        max_items: (which & 1 != 0).then(|| random.random_range(1..60)),
        max_bytes: (which & 2 != 0).then(|| random.random_range(1..4_000)),
        max_age_millis: (which & 4 != 0).then(|| random.random_range(1..20_000)),
    }
}

/// A batch for this list: with and without nonces, with duplicates, timestamps in no order.
pub fn batch(random: &mut Random, model: &VecModel, profile: Profile, now: i64) -> Vec<Insertion> {
    let count = match random.random_range(0..100) {
        0 => 0,
        1..70 => random.random_range(1..4),
        70..97 => random.random_range(4..12),
        _ => random.random_range(12..60),
    };
    let mut nonce = model.next_nonce().saturating_sub(random.random_range(0..4)) + random.random_range(0..4);
    let numbered = random.random_range(0..=100);
    let insertions = (0..count).map(|_| {
        let mut insertion = Insertion::new(value(random, profile));
        if percent(random, numbered) {
            insertion = insertion.with_nonce(nonce);
            // Mostly rising; sometimes the same one twice, or one back.
            nonce = (nonce + *pick(random, &[1, 1, 1, 1, 2, 7, 0])).saturating_sub(u128::from(percent(random, 3)));
        }
        match random.random_range(0..10) {
            0 => insertion,
            1..7 => insertion.with_timestamp(now + model.items.len() as i64 * 100 + random.random_range(-500..500)),
            7..9 => insertion.with_timestamp(now + random.random_range(-100_000..100_000)),
            _ => insertion.with_timestamp(*pick(random, &[i64::MIN, -1, 0, 1, now])),
        }
    });
    insertions.collect()
}

fn value(random: &mut Random, profile: Profile) -> Bytes {
    let length = match (profile, random.random_range(0..1_000)) {
        (_, 0..100) => 0,
        (Profile::Large, 100..120) => random.random_range(1 << 20..(8 << 20) + 1),
        (Profile::Large, 120..140) => 8 << 20,
        (Profile::Large, 140..200) => random.random_range(10_000..200_000),
        (_, 100..110) => random.random_range(1_000..40_000),
        _ => random.random_range(1..60),
    };
    let first = random.random_range(0..=u64::MAX);
    if percent(random, 50) {
        let mut text = format!("{first:020}").repeat(length / 20 + 1);
        text.truncate(length);
        return text.into();
    }
    // Cheap numbers that do not compress.
    let mut state = first | 1;
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(byte).collect()
}

/// A start: none, one field or several, mostly near something that the list holds.
pub fn filter(random: &mut Random, items: &[Item]) -> ItemFilter {
    let mut filter = ItemFilter::default();
    let which = *pick(random, &[0, 0, 1, 1, 2, 2, 4, 4, 3, 5, 6, 7]);
    let near = (!items.is_empty()).then(|| &items[random.random_range(0..items.len())]);
    if which & 1 != 0 {
        let beyond = items.len() as u64 + 3;
        filter.start_offset = Some(if percent(random, 2) { u64::MAX } else { random.random_range(0..=beyond) });
    }
    if which & 2 != 0 {
        let anything = *pick(random, &[i64::MIN, i64::MAX, 0, -1]);
        let near = near.map_or(0, |item| item.timestamp).saturating_add(random.random_range(-2..=2));
        filter.start_timestamp = Some(if percent(random, 5) { anything } else { near });
    }
    if which & 4 != 0 {
        let anything = *pick(random, &[0, u128::MAX, u128::MAX - 1, 1]);
        let near =
            near.and_then(|item| item.nonce).unwrap_or(5).saturating_add(random.random_range(0..4)).saturating_sub(2);
        filter.start_nonce = Some(if percent(random, 5) { anything } else { near });
    }
    filter
}

/// Either order.
pub fn order(random: &mut Random) -> IterationOrder {
    *pick(random, &[IterationOrder::Forwards, IterationOrder::Backwards])
}

/// Mostly a few items, sometimes all there are.
pub fn page_size(random: &mut Random) -> u64 {
    match random.random_range(0..10) {
        0..6 => random.random_range(1..8),
        6..9 => random.random_range(8..60),
        _ => *pick(random, &[100, 1_000, 1_000_000, u64::MAX]),
    }
}
