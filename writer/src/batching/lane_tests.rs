//! Lanes without threads or stores: random events against what the calls mean.

#![expect(clippy::single_range_in_vec_init, reason = "a receipt has a list of ranges, often of one")]

use std::collections::{HashMap, HashSet};

use klstore_format::limits::MAX_COMMIT_PLAIN_BYTES;
use proptest::prelude::*;

use super::*;
use crate::batching::key_buffer::charge;
use crate::environment::SystemRandom;

const MAX_IN_FLIGHT: usize = 3;
const FLUSH_INTERVAL: Duration = Duration::from_millis(1_000);
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

fn options() -> LaneOptions {
    LaneOptions {
        thresholds: BatchThresholds { items: 6, value_bytes: 200 },
        flush_interval: FLUSH_INTERVAL,
        max_in_flight: MAX_IN_FLIGHT,
        retry_delays: RetryDelays { base: millis(100), max: millis(5_000) },
        flush_deadline: FLUSH_DEADLINE,
    }
}

fn lane() -> Lane<u64, u64, u64> {
    Lane::new(options(), Arc::new(SystemRandom))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn list(key: u8) -> ListKey {
    ListKey { keyspace: "ks".into(), key: format!("key{key}") }
}

fn elsewhere(key: u8) -> ListKey {
    ListKey { keyspace: "elsewhere".into(), key: format!("key{key}") }
}

/// All that is started now.
fn start(lane: &mut Lane<u64, u64, u64>, now: Duration) -> Vec<Attempt> {
    std::iter::from_fn(|| lane.next_attempt(now, false)).collect()
}

fn transient() -> WriterError {
    WriterError::Unavailable { target: "ks".into(), reason: "test".into(), may_have_appended: true }
}

fn permanent() -> WriterError {
    WriterError::KeyspaceNotFound { keyspace: "ks".into() }
}

fn appended(range: std::ops::Range<u64>) -> Appended {
    let mut appended = Appended::default();
    appended.add(range);
    appended
}

/// A list as the inner writer keeps it: the rule of nonces, and memory for what is in doubt.
#[derive(Default, Clone)]
struct List {
    values: Vec<bytes::Bytes>,
    next_nonce: u128,
    /// What an append in doubt did, by its idempotency key.
    in_doubt: HashMap<u128, Appended>,
}

impl List {
    fn append(&mut self, insertions: &[Insertion]) -> Appended {
        let mut appended = Appended::default();
        for (position, insertion) in (0..).zip(insertions) {
            if insertion.nonce.is_some_and(|nonce| nonce < self.next_nonce) {
                appended.add_duplicates(position..position + 1);
            } else {
                let offset = self.values.len() as u64;
                appended.add(offset..offset + 1);
                self.values.push(insertion.value.clone());
                self.next_nonce = insertion.nonce.map_or(self.next_nonce, |nonce| nonce + 1);
            }
        }
        appended
    }
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    /// Nothing was done.
    Transient,
    Permanent,
    /// It was done, but nobody heard of it.
    InDoubt,
    /// The first half was done.
    Partly,
}

#[derive(Debug, Clone)]
enum Event {
    Append { key: u8, nonces: Vec<Option<u128>> },
    Pass(u64),
    Finish { which: usize, end: End },
    FlushKey(u8),
    FlushAll,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let nonces = prop::collection::vec(prop::option::weighted(0.6, 0_u128..40), 1..5);
    let append = (0_u8..5, nonces).prop_map(|(key, nonces)| Event::Append { key, nonces });
    let end = prop_oneof![
        4 => Just(End::Done), 2 => Just(End::Transient), 1 => Just(End::Permanent),
        2 => Just(End::InDoubt), 1 => Just(End::Partly),
    ];
    let finish = (0..2 * MAX_IN_FLIGHT, end).prop_map(|(which, end)| Event::Finish { which, end });
    let event = prop_oneof![
        5 => append, 3 => prop_oneof![9 => 0_u64..700, 1 => 3_000_u64..12_000].prop_map(Event::Pass), 5 => finish,
        1 => (0_u8..5).prop_map(Event::FlushKey), 1 => Just(Event::FlushAll),
    ];
    prop::collection::vec(event, 0..120)
}

/// A lane, the lists that it appends to, and all that was asked of it.
struct World {
    lane: Lane<u64, u64, u64>,
    now: Duration,
    lists: HashMap<Arc<ListKey>, List>,
    under_way: Vec<Attempt>,
    starts: HashMap<u64, Duration>,
    /// More were under way than places: that may last until they end.
    hung: bool,
    suspects: HashSet<Arc<ListKey>>,
    /// Each key's insertions in the order of the calls.
    asked: HashMap<ListKey, List>,
    receipts: Vec<(ListKey, Vec<Insertion>)>,
    told: HashSet<u64>,
    /// Flushes under way: what must be durable when they end well.
    flushes: HashMap<u64, Vec<(ListKey, usize)>>,
    flushes_begun: u64,
    taken: u64,
    released: u64,
}

impl World {
    fn new() -> Self {
        Self {
            lane: lane(),
            now: Duration::ZERO,
            lists: HashMap::new(),
            under_way: Vec::new(),
            starts: HashMap::new(),
            hung: false,
            suspects: HashSet::new(),
            asked: HashMap::new(),
            receipts: Vec::new(),
            told: HashSet::new(),
            flushes: HashMap::new(),
            flushes_begun: 0,
            taken: 0,
            released: 0,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Append { key, nonces } => {
                let number = self.receipts.len();
                let insertions: Vec<Insertion> = (0..)
                    .zip(nonces)
                    .map(|(place, nonce)| Insertion { nonce, ..Insertion::new(format!("call {number}, item {place}")) })
                    .collect();
                self.taken += charge(&list(key), &insertions);
                self.asked.entry(list(key)).or_default().append(&insertions);
                self.receipts.push((list(key), insertions.clone()));
                self.lane.append(self.now, list(key), insertions, number as u64);
            }
            Event::Pass(time) => {
                self.now += millis(time);
                self.lane.tick(self.now);
            }
            Event::Finish { which, end } if which < self.under_way.len() => self.finish(which, end),
            Event::Finish { .. } => {}
            Event::FlushKey(key) => {
                let flush = self.expect_flush(vec![list(key)]);
                self.lane.flush_key(self.now, &list(key), flush);
            }
            Event::FlushAll => {
                let flush = self.expect_flush(self.asked.keys().cloned().collect());
                self.lane.flush_all(self.now, flush);
            }
        }
        self.start();
        self.listen();
    }

    fn expect_flush(&mut self, lists: Vec<ListKey>) -> u64 {
        let number = self.flushes_begun;
        self.flushes_begun += 1;
        let length = |list: &ListKey| self.asked.get(list).map_or(0, |asked| asked.values.len());
        self.flushes.insert(number, lists.into_iter().map(|list| (list.clone(), length(&list))).collect());
        number
    }

    fn start(&mut self) {
        while let Some(attempt) = self.lane.next_attempt(self.now, false) {
            assert!(self.under_way.iter().all(|other| other.list != attempt.list), "two appends to one key");
            assert!(!attempt.insertions.is_empty());
            self.starts.insert(attempt.number, self.now);
            self.under_way.push(attempt);
        }
        assert!(self.under_way.len() <= 2 * MAX_IN_FLIGHT);
        // More than that only beside appends that hang.
        let hang = self.starts.values().any(|started| self.now - *started >= places::SLOW_AFTER);
        assert!(self.under_way.len() <= MAX_IN_FLIGHT || hang || self.hung);
        self.hung = self.under_way.len() > MAX_IN_FLIGHT;
    }

    fn finish(&mut self, which: usize, end: End) {
        let Attempt { number, list, insertions, idempotency_key } = self.under_way.swap_remove(which);
        self.starts.remove(&number);
        let stored = self.lists.entry(list.clone()).or_default();
        let known = stored.in_doubt.remove(&idempotency_key);
        let outcome = match (end, known) {
            (End::Done, Some(known)) => Ok(known),
            (End::Done, None) => Ok(stored.append(&insertions)),
            (End::InDoubt, known) => {
                let known = known.unwrap_or_else(|| stored.append(&insertions));
                stored.in_doubt.insert(idempotency_key, known);
                Err(transient())
            }
            (End::Partly, None) => {
                let (insertions_done, cause) = (insertions.len() / 2, Box::new(transient()));
                let appended = Box::new(stored.append(&insertions[..insertions_done]));
                Err(WriterError::PartlyAppended { list: list.to_string(), insertions_done, appended, cause })
            }
            (end, known) => {
                stored.in_doubt.extend(known.map(|known| (idempotency_key, known)));
                Err(if matches!(end, End::Permanent) { permanent() } else { transient() })
            }
        };
        self.lane.finished(self.now, number, outcome);
    }

    fn listen(&mut self) {
        for outcome in self.lane.take_outcomes() {
            match outcome {
                Outcome::Receipt(number, outcome) => {
                    assert!(self.told.insert(number), "a receipt resolves once");
                    match outcome {
                        Ok(appended) => self.check_receipt(number, &appended),
                        Err(error) => assert!(!error.is_transient(), "{error}"),
                    }
                }
                Outcome::Flush(number, outcome) => {
                    let covered = self.flushes.remove(&number).expect("a flush ends once");
                    for (list, length) in covered.into_iter().filter(|_| outcome.is_ok()) {
                        let durable = self.lists.get(&list).map_or(0, |stored| stored.values.len());
                        assert!(durable >= length, "a flush of {list} ended before its items were durable");
                    }
                }
                Outcome::Released { bytes, .. } => self.released += bytes,
                Outcome::Discard(..) => {}
                Outcome::Suspect { list, .. } => drop(self.suspects.insert(list)),
                Outcome::Sound { list } => assert!(self.suspects.remove(&list)),
            }
        }
        assert!(self.released <= self.taken);
    }

    /// The receipt says where the items of this very call are.
    fn check_receipt(&self, number: u64, appended: &Appended) {
        let (list, insertions) = &self.receipts[number as usize];
        let stored = &self.lists[list].values;
        let offset = |insertion: &Insertion| stored.iter().position(|value| *value == insertion.value);
        let offsets: Vec<u64> = insertions.iter().filter_map(offset).map(|offset| offset as u64).collect();
        assert_eq!(appended.ranges.iter().cloned().flatten().collect::<Vec<u64>>(), offsets);
        assert_eq!(appended.first_offset, offsets.first().copied());
        assert_eq!(appended.appended_count, offsets.len() as u64);
        assert_eq!(appended.duplicate_count, (insertions.len() - offsets.len()) as u64);
    }

    /// From now on everything works: all comes to its end.
    fn calm(&mut self) {
        for _ in 0..1_000 {
            self.happen(Event::Finish { which: 0, end: End::Done });
            self.happen(Event::Pass(500));
        }
        assert!(self.lane.is_empty() && self.under_way.is_empty());
        assert!(self.flushes.is_empty(), "every flush has ended");
        assert!(self.suspects.is_empty(), "all that is suspect is told to work again");
        assert_eq!(self.told.len(), self.receipts.len(), "every receipt has resolved");
        assert_eq!(self.released, self.taken, "all memory is free again");
        let state = self.lane.state();
        assert_eq!((state.batches, state.failing_keys, state.in_flight, state.oldest), (0, 0, 0, None));
        for (list, asked) in &self.asked {
            assert_eq!(self.lists[list].values, asked.values, "{list}: each item once, in the order of the calls");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn nothing_is_lost_doubled_or_reordered(events in events()) {
        let mut world = World::new();
        events.into_iter().for_each(|event| world.happen(event));
        world.calm();
    }
}

fn one(value: &str) -> Vec<Insertion> {
    vec![Insertion::new(value.to_owned())]
}

#[test]
fn a_batch_is_sent_when_it_is_old_or_large_enough() {
    let mut lane = lane();
    lane.append(millis(0), list(0), one("a"), 0);
    lane.append(millis(900), list(0), one("b"), 1);
    lane.tick(millis(999));
    assert!(lane.next_attempt(millis(0), false).is_none());
    lane.tick(millis(1_000));
    assert_eq!(lane.next_attempt(millis(0), false).unwrap().insertions.len(), 2, "its oldest item counts");

    for number in 0..5 {
        lane.append(millis(1_000), list(1), one("c"), number);
    }
    assert!(lane.next_attempt(millis(0), false).is_none());
    lane.append(millis(1_000), list(1), one("d"), 5);
    assert_eq!(lane.next_attempt(millis(0), false).unwrap().insertions.len(), 6, "six items are enough");

    lane.append(millis(1_000), list(2), one(&"x".repeat(200)), 6);
    assert!(lane.next_attempt(millis(0), false).is_some(), "200 bytes are enough");
    assert_eq!(lane.state().in_flight, 3);
}

#[test]
fn where_memory_is_short_the_oldest_is_sent_first() {
    let mut lane = lane();
    lane.append(millis(1), list(1), one("younger"), 0);
    lane.append(millis(0), list(0), one("older"), 1);
    let sent = lane.next_attempt(millis(0), true).unwrap();
    assert_eq!(*sent.list, list(0));
    assert!(lane.next_attempt(millis(0), false).is_none());
}

#[test]
fn a_call_stays_whole_unless_no_commit_holds_it() {
    let third = || Insertion::new(vec![0_u8; MAX_COMMIT_PLAIN_BYTES / 3]);
    let mut lane = lane();
    lane.append(millis(0), list(0), one("small"), 0);
    lane.append(millis(0), list(0), vec![third(), third(), third(), third()], 1);
    lane.flush_all(millis(0), 0);
    let sizes: Vec<usize> = (0..3)
        .map(|turn| {
            let attempt = lane.next_attempt(millis(0), false).unwrap();
            let count = attempt.insertions.len() as u64;
            lane.finished(millis(0), attempt.number, Ok(appended(turn * 10..turn * 10 + count)));
            attempt.insertions.len()
        })
        .collect();
    assert_eq!(sizes, [1, 2, 2], "the large call does not share a commit that it would not fit into");
    let mut told = Vec::new();
    for outcome in lane.take_outcomes() {
        match outcome {
            Outcome::Receipt(number, outcome) => told.push((number, outcome.unwrap().ranges)),
            Outcome::Flush(_, outcome) => outcome.unwrap(),
            _ => {}
        }
    }
    assert_eq!(told, [(0, vec![0..1]), (1, vec![10..12, 20..22])]);
}

#[test]
fn a_failing_key_waits_longer_each_time_and_holds_up_nobody() {
    let mut lane = lane();
    let (mut now, mut waits) = (Duration::ZERO, Vec::new());
    lane.append(now, list(0), one(&"x".repeat(200)), 0);
    for _ in 0..10 {
        let attempt = lane.next_attempt(millis(0), false).expect("its wait is over");
        lane.finished(now, attempt.number, Err(transient()));
        let failed = now;
        // Another key is sent and acknowledged meanwhile.
        lane.append(now, list(1), one(&"y".repeat(200)), 1);
        let other = lane.next_attempt(millis(0), false).unwrap();
        assert_eq!(*other.list, list(1));
        lane.finished(now, other.number, Ok(appended(0..1)));
        while lane.suspect_ready.is_empty() {
            now += millis(1);
            lane.tick(now);
        }
        waits.push((now - failed).as_millis());
    }
    for (failures, wait) in waits.iter().enumerate() {
        let longest = (100 << failures).min(5_000);
        assert!((longest / 2..=longest).contains(wait), "{waits:?}");
    }
    assert_eq!(lane.state().failing_keys, 1);
}

#[test]
fn keys_that_fail_leave_half_of_the_places_to_others_and_have_their_turns() {
    let mut lane = lane();
    for key in 0..3 {
        lane.append(millis(0), list(key), one(&"x".repeat(200)), u64::from(key));
    }
    let failed: Vec<Attempt> = start(&mut lane, millis(0));
    failed.iter().for_each(|attempt| lane.finished(millis(0), attempt.number, Err(transient())));
    lane.tick(millis(1_000));
    for key in 3..9 {
        lane.append(millis(1_000), elsewhere(key), one(&"x".repeat(200)), u64::from(key));
    }
    let attempts: Vec<Attempt> = start(&mut lane, millis(1_000));
    let retries = attempts.iter().filter(|attempt| failed.iter().any(|failed| failed.list == attempt.list)).count();
    assert_eq!((attempts.len(), retries), (3, 1), "one of three places, although others wait");
}

#[test]
fn a_flush_ends_a_wait_and_tells_the_failure() {
    let mut lane = lane();
    lane.append(millis(0), list(0), one("x"), 0);
    lane.flush_key(millis(0), &list(0), 0);
    let attempt = lane.next_attempt(millis(0), false).unwrap();
    lane.finished(millis(0), attempt.number, Err(permanent()));
    let outcomes = lane.take_outcomes();
    let told = |outcomes: &[Outcome<u64, u64, u64>]| -> Vec<String> {
        let text = |outcome: &Outcome<u64, u64, u64>| match outcome {
            Outcome::Receipt(number, Err(WriterError::StillBuffered { list, .. })) => {
                Some(format!("receipt {number} of {list}"))
            }
            Outcome::Flush(number, Err(WriterError::StillBuffered { .. })) => Some(format!("flush {number} failed")),
            Outcome::Flush(number, Ok(())) => Some(format!("flush {number}")),
            _ => None,
        };
        outcomes.iter().filter_map(text).collect()
    };
    assert_eq!(told(&outcomes), ["receipt 0 of ks/key0", "flush 0 failed"]);
    assert!(lane.next_attempt(millis(0), false).is_none(), "it waits");
    lane.flush_key(millis(0), &list(0), 1);
    let again = lane.next_attempt(millis(0), false).expect("but not while somebody flushes");
    assert_eq!(again.idempotency_key, attempt.idempotency_key);
    lane.finished(millis(0), again.number, Ok(appended(0..1)));
    assert_eq!(told(&lane.take_outcomes()), ["flush 1"], "its receipt has been told before");
    lane.flush_key(millis(0), &list(0), 2);
    assert_eq!(told(&lane.take_outcomes()), ["flush 2"], "nothing to wait for");
}

fn large() -> Vec<Insertion> {
    one(&"x".repeat(200))
}

fn keyspaces(attempts: &[Attempt]) -> Vec<&str> {
    attempts.iter().map(|attempt| attempt.list.keyspace.as_str()).collect()
}

#[test]
fn appends_that_hang_leave_places_to_other_keyspaces_however_many_keys_they_have() {
    let mut lane = lane();
    for key in 0..20 {
        lane.append(millis(0), list(key), large(), u64::from(key));
    }
    let hung = start(&mut lane, millis(0));
    assert_eq!(keyspaces(&hung), ["ks"; MAX_IN_FLIGHT]);
    for key in 0..20 {
        lane.append(millis(100), elsewhere(key), large(), u64::from(key));
    }
    lane.tick(millis(2_900));
    assert!(start(&mut lane, millis(2_900)).is_empty(), "they may only be slow");

    let mut now = millis(3_000);
    let mut done = 0;
    while done < 20 {
        lane.tick(now);
        let others: Vec<Attempt> =
            start(&mut lane, now).into_iter().filter(|sent| sent.list.keyspace != "ks").collect();
        assert!(!others.is_empty() && lane.state().in_flight as usize <= 2 * MAX_IN_FLIGHT, "after {done}");
        done += others.len();
        others.iter().for_each(|other| lane.finished(now, other.number, Ok(appended(0..1))));
        now += millis(100);
    }
    assert!(now < millis(6_000), "{now:?}");
}

#[test]
fn a_keyspace_in_doubt_is_trusted_again_after_a_success() {
    let mut lane = lane();
    lane.append(millis(0), list(0), large(), 0);
    let failed = start(&mut lane, millis(0));
    lane.finished(millis(0), failed[0].number, Err(permanent()));
    for key in 1..9 {
        lane.append(millis(1), list(key), large(), u64::from(key));
    }
    let first = start(&mut lane, millis(1));
    assert_eq!(first.len(), 1, "half of the places until something is known of it");
    lane.finished(millis(2), first[0].number, Ok(appended(0..1)));
    assert_eq!(start(&mut lane, millis(2)).len(), MAX_IN_FLIGHT);
}

#[test]
fn one_key_of_a_keyspace_in_doubt_is_tried_all_the_same() {
    let mut lane = lane();
    lane.append(millis(0), list(0), large(), 0);
    // It hangs, and has all places for suspects.
    assert_eq!(start(&mut lane, millis(0)).len(), 1);
    lane.tick(millis(3_000));
    lane.append(millis(3_000), list(1), large(), 1);
    lane.append(millis(3_000), list(2), large(), 2);
    assert!(start(&mut lane, millis(3_000)).is_empty());
    lane.tick(millis(12_900));
    assert!(start(&mut lane, millis(12_900)).is_empty());
    lane.tick(millis(13_000));
    let tried = start(&mut lane, millis(13_000));
    assert_eq!(tried.len(), 1);
    lane.finished(millis(13_001), tried[0].number, Ok(appended(0..1)));
    assert_eq!(start(&mut lane, millis(13_001)).len(), 1);
}

#[test]
fn a_flush_ends_when_nothing_moves_and_says_how_much_is_left() {
    let mut lane = lane();
    for key in 0..5 {
        lane.append(millis(0), list(key), one("x"), u64::from(key));
        lane.append(millis(0), list(key), one("y"), u64::from(key));
    }
    lane.flush_all(millis(0), 0);
    let attempts = start(&mut lane, millis(0));
    lane.finished(millis(9_000), attempts[0].number, Ok(appended(0..2)));
    let flushed = |lane: &mut Lane<u64, u64, u64>| {
        lane.take_outcomes().into_iter().find_map(|outcome| match outcome {
            Outcome::Flush(_, outcome) => Some(outcome),
            _ => None,
        })
    };
    lane.tick(millis(18_999));
    assert!(flushed(&mut lane).is_none(), "something became durable");
    lane.tick(millis(19_000));
    match flushed(&mut lane) {
        Some(Err(WriterError::StillBuffered { item_count, key_count, cause, .. })) => {
            assert_eq!((item_count, key_count), (8, 4));
            assert!(cause.is_transient(), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    let mut now = millis(19_000);
    lane.finished(now, attempts[1].number, Err(permanent()));
    lane.flush_all(now, 1);
    let told = loop {
        now += millis(1_000);
        lane.tick(now);
        drop(start(&mut lane, now));
        if let Some(told) = flushed(&mut lane) {
            break told;
        }
    };
    let text = told.unwrap_err().to_string();
    assert!(text.starts_with("8 items for 4 keys, `ks/key") && text.contains("does not exist"), "{text}");
    assert_eq!(now, millis(29_000));
}

#[test]
fn what_is_discarded_is_given_back_and_the_rest_stays() {
    let mut lane = lane();
    for number in 0..3 {
        lane.append(millis(0), list(0), one(&format!("{number}")), number);
    }
    lane.flush_all(millis(0), 0);
    let attempt = lane.next_attempt(millis(0), false).unwrap();
    lane.discard(&list(0), 7);
    lane.append(millis(1), list(0), one("later"), 3);
    assert!(lane.take_outcomes().is_empty(), "not while it is under way");
    lane.finished(millis(2), attempt.number, Err(permanent()));
    let (mut given_back, mut receipts, mut flushes, mut items) = (Vec::new(), Vec::new(), 0, 0);
    for outcome in lane.take_outcomes() {
        match outcome {
            Outcome::Discard(7, insertions) => given_back.extend(insertions.into_iter().map(|item| item.value)),
            Outcome::Receipt(number, Err(_)) => receipts.push(number),
            Outcome::Flush(0, Err(_)) => flushes += 1,
            Outcome::Released { items: released, .. } => items += released,
            _ => {}
        }
    }
    assert_eq!(given_back, ["0", "1", "2"]);
    assert_eq!((receipts, flushes, items), (vec![0, 1, 2, 3], 1, 3));
    assert_eq!((lane.state().failing_keys, lane.state().oldest), (0, Some(millis(1))));
    lane.tick(millis(1_001));
    let sent: Vec<_> = start(&mut lane, millis(11_000)).into_iter().flat_map(|attempt| attempt.insertions).collect();
    assert_eq!(sent.iter().map(|item| &item.value[..]).collect::<Vec<_>>(), [b"later"]);
    lane.discard(&list(9), 8);
    assert!(matches!(&lane.take_outcomes()[..], [.., Outcome::Discard(8, nothing)] if nothing.is_empty()));
}

#[test]
fn a_list_with_too_many_sources_brings_no_doubt_on_its_keyspace() {
    let mut lane = lane();
    let now = Duration::ZERO;
    lane.append(now, list(0), large(), 0);
    let attempt = start(&mut lane, now).pop().unwrap();
    let error = WriterError::TooManySources { list: list(0).to_string(), sources: 1_025, limit: 1_024 };
    lane.finished(now, attempt.number, Err(error));
    let told = lane.take_outcomes();
    let failed = |outcome: &Outcome<u64, u64, u64>| matches!(outcome, Outcome::Receipt(0, Err(error)) if matches!(error.cause(), WriterError::TooManySources { .. }));
    assert!(told.iter().any(failed), "its caller hears of it");
    (1..=MAX_IN_FLIGHT as u8).for_each(|key| lane.append(now, list(key), large(), key.into()));
    assert_eq!(start(&mut lane, now).len(), MAX_IN_FLIGHT, "the others have all places");
    lane.discard(&list(0), 7);
    let given_back = |outcome: Outcome<u64, u64, u64>| match outcome {
        Outcome::Discard(7, insertions) => Some(insertions.len()),
        _ => None,
    };
    assert_eq!(lane.take_outcomes().into_iter().find_map(given_back), Some(large().len()));
}
