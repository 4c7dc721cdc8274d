//! Every bit of every object of two small lists, flipped one at a time; and every shorter beginning of each: whatever is
//! asked of the list, the answer is an error, or what it was before. A verification names the object.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is part of tests")]

use bytes::Bytes;
use klstore_format::FormatError;
use klstore_format::names::ListName;
use klstore_format::plan::VerifyReport;
use klstore_fuzz::list::{Call, LISTS, Seen, Start, ask};
use klstore_fuzz::store::Objects;

/// A writer takes as long as all reads together: it comes after one damage of so many, in turn at every bit of a byte.
const WRITES: usize = 7;

#[test]
fn of_the_golden_list() {
    every_bit_of(&LISTS.golden, "N14228");
}

#[test]
fn of_a_list_that_was_compacted_taken_over_and_trimmed() {
    every_bit_of(&LISTS.trimmed, "trimmed");
}

/// `key` as it is in the names of the list's objects.
fn every_bit_of(list: &ListName, key: &str) {
    let mut objects = LISTS.objects.clone();
    let calls = calls();
    let undamaged: Vec<Seen> =
        calls.iter().map(|call| answer(&mut objects, list, call).expect("a sound list")).collect();
    let sound = verified(&mut objects, list);
    assert!(sound.is_sound(), "{sound:?}");
    let orphans: Vec<String> = sound.orphans.iter().map(|orphan| orphan.object.clone()).collect();

    let names = LISTS.objects.keys().filter(|name| name.contains(key) || name.ends_with("/keyspace.json"));
    let (mut flips, mut refused, mut unharmed) = (0, 0, 0);
    for name in names {
        let whole = &LISTS.objects[name];
        let mut damages: Vec<(String, Bytes)> =
            (0..8 * whole.len()).map(|bit| (format!("bit {bit}"), flipped(whole, bit))).collect();
        damages.extend((0..whole.len()).map(|length| (format!("cut to {length}"), whole.slice(..length))));
        for (how, damaged) in damages {
            objects.insert(name.clone(), damaged);
            flips += 1;
            for (call, undamaged) in calls.iter().zip(&undamaged) {
                if matches!(call, Call::Write { .. }) && flips % WRITES != 0 {
                    continue;
                }
                match answer(&mut objects, list, call) {
                    Ok(seen) => {
                        assert_eq!(&seen, undamaged, "{name}, {how}: {call:?} takes it");
                        unharmed += 1;
                    }
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        refused += 1;
                    }
                }
            }
            // Nothing refers to an orphan, and a verification is of the list alone.
            if !orphans.contains(name) && !name.ends_with("/keyspace.json") {
                let report = verified(&mut objects, list);
                let found = report.damages.iter().any(|damage| &damage.object == name);
                assert!(found, "{name}, {how}: a verification finds {report:?}");
            }
        }
        objects.insert(name.clone(), whole.clone());
    }
    println!("  {flips} damages: {refused} answers are errors, {unharmed} as without the damage");
    assert!(refused > flips, "most damages are in the way of something");
}

/// What is written is forgotten again: each call finds the same list.
fn answer(objects: &mut Objects, list: &ListName, call: &Call) -> Result<Seen, FormatError> {
    match call {
        Call::Write { .. } => ask(&mut objects.clone(), list, call),
        call => ask(objects, list, call),
    }
}

fn flipped(whole: &Bytes, bit: usize) -> Bytes {
    let mut damaged = whole.to_vec();
    damaged[bit / 8] ^= 1 << (bit % 8);
    damaged.into()
}

fn calls() -> Vec<Call> {
    let pages = |backwards, start| Call::Pages { backwards, max_size: 9, start };
    let nothing = Start::default();
    vec![
        pages(false, nothing),
        pages(true, nothing),
        pages(false, Start { offset: Some(14), ..nothing }),
        pages(true, Start { timestamp: Some(1_357_200_000_000), ..nothing }),
        pages(false, Start { nonce: Some(8), ..nothing }),
        Call::Key,
        Call::Keyspace,
        Call::Keys { max: 9 },
        Call::Timeline { from: None, to: None },
        Call::Timeline { from: Some(1_357_034_400_002), to: Some(1_357_200_000_000) },
        Call::Follow { offset: Some(6) },
        Call::Write { count: 1 },
    ]
}

fn verified(objects: &mut Objects, list: &ListName) -> VerifyReport {
    match ask(objects, list, &Call::Verify) {
        Ok(Seen::Verified(report)) => *report,
        other => panic!("{other:?}"),
    }
}
