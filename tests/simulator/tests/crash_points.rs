//! A writer may stop at any of its requests, and the next one too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at whatever it does not expect"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use klstore_simulator::crash_points::{Heir, Manner, Point, Seen, play};

/// Points that a run of the tests tries at least.
const LEAST: usize = 2_000;
/// Every how many-th point its heir is stopped too, at each of its requests.
const AGAIN_STRIDE: usize = 12;

const MANNERS: [Manner; 5] = [Manner::Before, Manner::After, Manner::Late(1), Manner::Late(6), Manner::Late(40)];

#[test]
fn a_writer_may_stop_at_every_request() {
    let Seen { requests, .. } = play(None).expect("the scenario without a crash");
    let mut points = Vec::new();
    for request in 0..requests {
        for manner in MANNERS {
            for heir in [Heir::Restart, Heir::TakeOver] {
                points.push(Point { request, manner, heir, again: None });
            }
        }
    }
    let seen = try_all(&points);
    // The heir is stopped as well, at each of its own requests.
    let mut twice = Vec::new();
    for (point, seen) in points.iter().zip(&seen).step_by(AGAIN_STRIDE) {
        for request in 0..seen.recovery {
            let manner = MANNERS[(request as usize + twice.len()) % 3];
            twice.push(Point { again: Some((request, manner)), ..*point });
        }
    }
    try_all(&twice);
    let tried = points.len() + twice.len();
    println!(
        "crash points: {tried} tried: {requests} requests x before, after and late x restart and take-over, \
         {} of them with a crash during recovery",
        twice.len()
    );
    assert!(tried >= LEAST, "only {tried} points");
}

/// Tries all, on all cores.
fn try_all(points: &[Point]) -> Vec<Seen> {
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(vec![Seen { requests: 0, recovery: 0 }; points.len()]);
    let violations = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(point) = points.get(number) else { return };
                    match play(Some(*point)) {
                        Ok(one) => seen.lock().unwrap()[number] = one,
                        Err(violation) => violations.lock().unwrap().push(violation),
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().unwrap();
    assert!(violations.is_empty(), "{} points: {:#?}", violations.len(), &violations[..violations.len().min(5)]);
    seen.into_inner().unwrap()
}
