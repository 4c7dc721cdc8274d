//! Processes killed with -9, again and again: `klstore append` against an S3 server of others, and `klstore s3` on a folder
//! under an append that goes on. What was acknowledged is there right after each kill, and at the end each line once, in
//! order. `script/kill-appends` kills more often than `script/test`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::ops::Range;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::others::{Kind, OtherServer};
use crate::support::{Ran, Served, command, spawn};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::time::Instant;

const KILLS: u64 = 20;
/// Then another list is begun: what a kill costs is not to grow with all that there were before.
const KILLS_OF_A_LIST: u64 = 50;
/// Lines of one run: up to four full batches, and the rest of one.
const MAX_LINES: u64 = 4_500;
/// Lines that are sent although the list has them already, as whoever restarts without asking does.
const MAX_REPEATED: u64 = 1_500;

#[test]
fn no_kill_loses_or_doubles_a_line() {
    let seed = number("KLSTORE_SEED").unwrap_or_else(rand::random);
    println!("to kill at the same moments again set KLSTORE_SEED={seed}");
    let Some(server) = OtherServer::start(Kind::Versitygw) else { return };
    server.klstore(&["keyspace", "create", "ks"]).succeeds();
    let mut killer = Killer {
        input: tempfile::NamedTempFile::new().unwrap(),
        server,
        random: StdRng::seed_from_u64(seed),
        key: String::new(),
        sent: 0,
        longest: Duration::from_millis(300),
    };
    let kills = number("KLSTORE_TEST_KILLS").unwrap_or(KILLS);
    let mut tally = Tally::default();
    let (began, mut lists, mut lines) = (Instant::now(), 0, 0);
    while tally.kills() < kills {
        (killer.key, killer.sent) = (format!("k{lists}"), 0);
        lines += killer.one_list(kills.min(tally.kills() + KILLS_OF_A_LIST), &mut tally);
        lists += 1;
        println!("{tally:?}, {lists} lists, {lines} lines, {:.0} s", began.elapsed().as_secs_f64());
    }
    // Twenty kills may by chance all come early or late; more may not.
    if kills >= 200 {
        assert!(tally.before_any > 0 && tally.in_the_middle > 0 && tally.after_all > 0, "{tally:?}");
    }
}

/// What the runs came to.
#[derive(Debug, Default)]
struct Tally {
    /// Ended before the kill: acknowledged.
    finished: u64,
    /// Killed, and none of its new lines are there.
    before_any: u64,
    /// Killed with some of them there.
    in_the_middle: u64,
    /// Killed with all of them there, of which it had told nobody.
    after_all: u64,
}

impl Tally {
    fn kills(&self) -> u64 {
        self.before_any + self.in_the_middle + self.after_all
    }
}

struct Killer {
    server: OtherServer,
    input: tempfile::NamedTempFile,
    random: StdRng,
    /// The list's.
    key: String,
    /// Its lines that were ever given to a run.
    sent: u64,
    /// How long a run took lately that was not killed.
    longest: Duration,
}

impl Killer {
    /// One list, until there were so many kills in all; its lines.
    fn one_list(&mut self, kills: u64, tally: &mut Tally) -> u64 {
        let mut end = 0;
        while tally.kills() < kills {
            end = self.round(end, tally);
        }
        assert!(end > 0);
        // One more, which nobody kills: whatever the last one left, the list goes on.
        self.write_input(end..end + 1);
        self.append().wait_with_output().map(Ran::from).unwrap().succeeds();
        has(&self.server.endpoint, &self.key, 0..end + 1);
        assert_eq!(next_nonce(&self.server.endpoint, &self.key), end + 1);
        self.server.klstore(&["verify", "ks", &self.key]).succeeds();
        end + 1
    }

    /// One run from where the list says to go on, killed at a random moment unless it ends before; where the list goes
    /// on afterwards.
    fn round(&mut self, end: u64, tally: &mut Tally) -> u64 {
        let repeated = self.random.random_range(0..=MAX_REPEATED.min(end));
        let lines = self.random.random_range(1..=MAX_LINES);
        self.write_input(end - repeated..end + lines);
        let patience = self.longest.mul_f64(self.random.random_range(0.0..1.3));
        let began = Instant::now();
        let mut child = self.append();
        while child.try_wait().unwrap().is_none() && began.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        // SIGKILL; of one that has ended it is refused.
        let _ = child.kill();
        let ran: Ran = child.wait_with_output().unwrap().into();
        let after = next_nonce(&self.server.endpoint, &self.key);
        // A run that was killed may have sent what takes effect only now.
        self.sent = self.sent.max(end + lines);
        assert!((end..=self.sent).contains(&after), "the list went from {end} to {after}, and {} were sent", self.sent);
        match ran.code {
            Some(0) => {
                let told = ran.json();
                let count = |name: &str| told[name].as_u64().unwrap();
                assert_eq!(count("appended") + count("duplicates"), repeated + lines);
                assert!(after >= end + lines, "{after} of {} acknowledged lines are there", end + lines);
                self.longest = (self.longest + began.elapsed()) / 2;
                tally.finished += 1;
            }
            Some(code) => panic!("it ended with {code}: {}", ran.err),
            None if after == end => tally.before_any += 1,
            None if after >= end + lines => tally.after_all += 1,
            None => tally.in_the_middle += 1,
        }
        // What is new, and what was acknowledged just before it.
        has(&self.server.endpoint, &self.key, end.saturating_sub(10)..after);
        after
    }

    fn append(&self) -> Child {
        let input = self.input.path().to_str().unwrap();
        let arguments = ["append", "ks", &self.key, "--format", "ndjson", "--input", input, "--json"];
        let mut command = self.server.command(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn write_input(&self, lines: Range<u64>) {
        fs::write(self.input.path(), lines_of(lines)).unwrap();
    }
}

const SERVER_KILLS: u64 = 8;
/// Lines that come in every [`BEAT`]: enough for several commits between two kills, compactions included.
const LINES_A_BEAT: u64 = 150;
const BEAT: Duration = Duration::from_millis(10);

/// One append goes on through all the kills; each time the server is started on the same folder and address again.
#[test]
fn no_kill_of_the_server_loses_or_doubles_a_line() {
    let seed = number("KLSTORE_SEED").unwrap_or_else(rand::random);
    println!("to kill at the same moments again set KLSTORE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut served = Served::start_at(folder.path(), &address);
    served.klstore(&["keyspace", "create", "ks"]).succeeds();

    let arguments = ["append", "ks", "k", "--format", "ndjson", "--json"];
    let mut append = spawn(command(&served.endpoint, &arguments));
    let mut stdin = append.stdin.take().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let feeding = thread::spawn(move || {
        let mut end = 0;
        while stopped.recv_timeout(BEAT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            stdin.write_all(lines_of(end..end + LINES_A_BEAT).as_bytes()).unwrap();
            end += LINES_A_BEAT;
        }
        end
    });
    let mut seen = 0;
    for kill in 0..SERVER_KILLS {
        thread::sleep(Duration::from_millis(random.random_range(50..700)));
        // What a reader has seen is acknowledged, too.
        seen = next_nonce(&served.endpoint, "k").max(seen);
        thread::sleep(Duration::from_millis(random.random_range(0..30)));
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        served = Served::start_at(folder.path(), &address);
        let there = next_nonce(&served.endpoint, "k");
        assert!(there >= seen, "kill {kill}: a reader saw {seen} lines, and {there} are there");
    }
    stop.send(()).unwrap();
    let lines = feeding.join().unwrap();
    let ran: Ran = append.wait_with_output().unwrap().into();
    assert_eq!(ran.succeeds().json()["appended"], lines);
    println!("{SERVER_KILLS} kills, {lines} lines, {seen} seen before the last kill");
    assert!(seen > 0);
    has(&served.endpoint, "k", 0..lines);
    assert_eq!(next_nonce(&served.endpoint, "k"), lines);
    served.klstore(&["verify", "ks", "k"]).succeeds();
}

fn next_nonce(endpoint: &str, key: &str) -> u64 {
    let ran: Ran = command(endpoint, &["stat", "ks", key, "--json"]).output().unwrap().into();
    // Nothing was appended yet.
    if ran.code == Some(3) {
        return 0;
    }
    let stat: Value = ran.succeeds().json();
    assert_eq!(stat["next_nonce"], stat["next_offset"].to_string(), "a line is missing or there twice");
    stat["next_offset"].as_u64().unwrap()
}

/// A reader that knows nothing finds each of these lines once, in order.
#[track_caller]
fn has(endpoint: &str, key: &str, lines: Range<u64>) {
    if lines.is_empty() {
        return;
    }
    let (start, limit) = (lines.start.to_string(), (lines.end - lines.start).to_string());
    let read = ["read", "ks", key, "--start-offset", &start, "--limit", &limit, "--output", "text"];
    let ran: Ran = command(endpoint, &read).output().unwrap().into();
    let text = ran.succeeds().text();
    let mut there = text.lines();
    for number in lines {
        assert_eq!(there.next(), Some(&*value(number)), "in the place of line {number}");
    }
    assert_eq!(there.next(), None);
}

fn lines_of(lines: Range<u64>) -> String {
    let mut text = String::new();
    for number in lines {
        writeln!(text, "{{\"value\":\"{}\",\"nonce\":{number}}}", value(number)).unwrap();
    }
    text
}

/// Of very different lengths, so that commits differ.
fn value(number: u64) -> String {
    format!("line {number} {}", "x".repeat((number.wrapping_mul(7_919) % 97) as usize))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not `{text}`")))
}
