//! A writer may stop at any of its requests, and the next one too.

use klstore_simulator::crash_points::{Tried, try_every_point};

/// Points that a run of the tests tries at least.
const LEAST: usize = 2_000;

#[test]
fn a_writer_may_stop_at_every_request() {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get());
    let Tried { requests, points, in_recovery, violations } = try_every_point(threads).expect("no crash, no violation");
    println!(
        "crash points: {points} tried: {requests} requests x before, after and late x restart and take-over, \
         {in_recovery} of them with another crash during recovery; {} violations",
        violations.len()
    );
    assert!(violations.is_empty(), "{:#?}", &violations[..violations.len().min(5)]);
    assert!(points >= LEAST, "only {points} points");
}
