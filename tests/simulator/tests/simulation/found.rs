//! What runs have found, each as a test of its own.

use klstore_format::plan::read::read_page;
use klstore_format::plan::{Answer, Cache, Request, SessionOptions, Step};
use klstore_simulator::run::run;
use klstore_simulator::world::{World, request};

/// A reader kept damaged bytes of the newest commit in its cache: until the next append the list was corrupt to it.
#[test]
fn a_newest_commit_that_was_damaged_on_its_way_is_read_again_past_the_cache() {
    // In the header, and in the last block.
    check_damage_at(|_| 20);
    check_damage_at(|length| length - 10);
}

fn check_damage_at(place: fn(usize) -> usize) {
    let mut world = World::with_keyspace();
    let session = world.open(1, SessionOptions::default());
    world.append_each(session, &["a", "b"]);
    let mut plan = read_page(request(9, None));
    let (mut answers, mut caches) = (Vec::new(), Vec::new());
    let page = loop {
        let requests = match plan.step(std::mem::take(&mut answers)) {
            Step::Done(page) => break page.expect("a page"),
            Step::Send(requests) => requests,
        };
        for request in &requests {
            let mut answer = world.apply(request);
            if let (Request::Get { cache, .. }, Answer::Got(object)) = (request, &mut answer) {
                if *cache != Cache::Reload {
                    let mut bytes = object.body.to_vec();
                    let at = place(bytes.len());
                    bytes[at] ^= 1;
                    object.body = bytes.into();
                }
                caches.push(*cache);
            }
            answers.push(answer);
        }
    };
    assert_eq!(page.items.len(), 2);
    assert_eq!(caches, [Cache::Etag, Cache::Reload]);
}

/// The simulation itself stood still for ever where a process crashed while its owner waited for something else.
#[test]
fn a_run_goes_on_after_a_crash_that_nobody_waits_for() {
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(run(31_602, false).violation));
    assert_eq!(ended.recv_timeout(std::time::Duration::from_secs(60)), Ok(None));
}

/// The AWS SDK took the first half of a LIST's answer for all of it, and a sweep said that an object with half a name is corrupt.
#[test]
fn a_listing_that_is_cut_on_its_way_to_the_sdk_is_asked_for_again() {
    assert_eq!(run(57_922, false).violation, None);
}
