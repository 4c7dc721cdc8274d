//! The simulated world of one run: its clock, its store, its processes, and the queue of all that is going to happen.
//!
//! Everything that runs is a task of one single-threaded runtime. When no task can go on, [`Sim::turn`] lets the next
//! event happen: time jumps there, and whoever waited for it goes on. So a run depends on nothing but its seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use klstore_format::plan::Request;
use rand::RngExt;

use crate::ambush::Ambushes;
use crate::history::Witness;
use crate::network::{Echo, Reply};
use crate::process::Process;
use crate::seeded::Random;
use crate::tally::Tally;
use crate::trace::Trace;
use crate::weather::Weather;

/// Events of one run after which it counts as stuck.
const MAX_EVENTS: u64 = 400_000;

/// A run's state, shared by all that takes part in it.
pub struct Sim(Mutex<State>);

/// What is behind the lock.
pub struct State {
    /// Microseconds since the run began.
    pub now: u64,
    /// Where every choice comes from.
    pub random: Random,
    /// The store, and what truly happened to the list.
    pub witness: Witness,
    /// What goes wrong, how often.
    pub weather: Weather,
    /// What was seen.
    pub tally: Tally,
    /// What happened, in order.
    pub trace: Trace,
    /// What must not happen and did.
    pub violation: Option<String>,
    pub(crate) processes: Vec<ProcessState>,
    pub(crate) ambushes: Ambushes,
    queue: BinaryHeap<Reverse<Event>>,
    pub(crate) numbered: u64,
    pub(crate) waits: BTreeMap<u64, Wait>,
    /// Requests that take effect when so many others have been sent.
    held: Vec<(u64, Request)>,
    alarm: Option<Waker>,
    events: u64,
}

/// A computer program that may crash, sleep and be started again.
#[derive(Default)]
pub(crate) struct ProcessState {
    /// Counts its starts: what an earlier one waits for never comes.
    pub(crate) incarnation: u64,
    asleep_until: u64,
    /// What it is to hear when it wakes up.
    postponed: Vec<(u64, Option<Box<Reply>>)>,
    /// The number of the last commit that it sent.
    pub(crate) last_commit: Option<u64>,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) skew: i64,
    /// Answers that reached it damaged in a way that nothing on the way could notice.
    pub(crate) harmed: u64,
    pub(crate) mourner: Option<Waker>,
    /// Requests sent, over all starts since the strike was set.
    requests: u64,
    strike: Option<Strike>,
    /// Struck, it sleeps so long instead of ending.
    sleeps_instead: Option<u64>,
    done: bool,
}

/// A process stops at its request of this number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strike {
    pub(crate) request: u64,
    pub(crate) manner: Manner,
}

/// How a process stops at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Before it is sent.
    Before,
    /// After its effect, and before its answer.
    After,
    /// With its effect still to come, so many of the next process's requests later.
    Late(u64),
}

/// What a strike leaves of a request.
pub(crate) enum Struck {
    No,
    /// It is under way already, or never sent.
    Gone,
    SendsAfter(u64),
}

struct Event {
    at: u64,
    /// Of events at one moment chance decides which is first.
    tie: u32,
    number: u64,
    what: What,
}

pub(crate) enum What {
    Wake {
        wait: u64,
        reply: Option<Box<Reply>>,
    },
    Effect(Effect),
    Crash {
        process: usize,
        incarnation: u64,
    },
    /// A process that was asleep hears what it missed.
    Awake {
        process: usize,
    },
    /// What lies in ambush under this number waits no longer.
    Patience(u64),
}

/// A request on its way to the store.
#[derive(Clone)]
pub(crate) struct Effect {
    pub(crate) request: Arc<Request>,
    /// How many handovers there had been when it was sent.
    pub(crate) handovers: u64,
    pub(crate) echo: Option<Echo>,
    /// Who hears of it.
    pub(crate) wait: u64,
}

pub(crate) struct Wait {
    pub(crate) process: usize,
    pub(crate) incarnation: u64,
    /// Whether an answer says how long it should be.
    pub(crate) tells_length: bool,
    pub(crate) arrived: Option<Option<Reply>>,
    pub(crate) waker: Option<Waker>,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie, self.number).cmp(&(other.at, other.tie, other.number))
    }
}

impl Sim {
    /// A world in which nothing has happened yet.
    pub fn new(random: Random, witness: Witness, weather: Weather, trace: Trace) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            now: 0,
            random,
            witness,
            weather,
            tally: Tally::default(),
            trace,
            violation: None,
            processes: Vec::new(),
            ambushes: Ambushes::default(),
            queue: BinaryHeap::new(),
            numbered: 0,
            waits: BTreeMap::new(),
            held: Vec::new(),
            alarm: None,
            events: 0,
        })))
    }

    /// The state. Never held across an `await`.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called when no task can go on: lets events happen until one can.
    pub fn turn(&self) {
        let mut state = self.lock();
        loop {
            if state.violation.is_some() {
                state.sound_alarm();
                return;
            }
            state.events += 1;
            let Some(Reverse(event)) = state.queue.pop() else {
                state.violate("nothing can happen any more, and somebody still waits".to_owned());
                continue;
            };
            if state.events > MAX_EVENTS {
                state.violate(format!("no end after {MAX_EVENTS} events"));
                continue;
            }
            state.now = state.now.max(event.at);
            if state.happen(event.what) {
                return;
            }
        }
    }

    /// Waits until something has happened that must not.
    pub async fn violated(&self) {
        future::poll_fn(|context| {
            let mut state = self.lock();
            if state.violation.is_some() {
                return Poll::Ready(());
            }
            state.alarm = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Notes what must not happen.
    pub fn violate(&self, message: String) {
        self.lock().violate(message);
    }

    /// Starts a process, or starts it again.
    pub fn start(self: &Arc<Self>, index: usize) -> Process {
        let mut state = self.lock();
        while state.processes.len() <= index {
            state.processes.push(ProcessState::default());
        }
        let process = &mut state.processes[index];
        process.incarnation += 1;
        process.asleep_until = 0;
        process.mourner = None;
        process.postponed.clear();
        process.last_commit = None;
        let incarnation = process.incarnation;
        drop(state);
        Process::of(self, index, incarnation)
    }
}

impl State {
    /// Notes what must not happen; the first one counts.
    pub fn violate(&mut self, message: String) {
        if self.violation.is_none() {
            self.trace.note(self.now, || format!("VIOLATION {message}"));
            self.violation = Some(message);
        }
        self.sound_alarm();
    }

    fn sound_alarm(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            alarm.wake();
        }
    }

    /// A number that is drawn once.
    pub fn draw(&mut self) -> u128 {
        self.numbered += 1;
        u128::from(self.numbered) << 20
    }

    /// Whether somebody still waits for this.
    pub(crate) fn waits_for(&self, wait: u64) -> bool {
        self.waits.contains_key(&wait)
    }

    /// The answer to what this waits for says how long it is, or not.
    pub(crate) fn tells_length(&mut self, wait: u64, tells_length: bool) {
        if let Some(wait) = self.waits.get_mut(&wait) {
            wait.tells_length = tells_length;
        }
    }

    pub(crate) fn schedule(&mut self, at: u64, what: What) {
        self.numbered += 1;
        let event = Event { at, tie: self.random.random(), number: self.numbered, what };
        self.queue.push(Reverse(event));
    }

    /// The request takes effect after `delay` microseconds; `echo` says what its sender hears of it.
    pub(crate) fn take_effect(&mut self, delay: u64, request: Arc<Request>, echo: Option<Echo>, wait: u64) {
        let handovers = self.witness.handovers;
        self.schedule(self.now + delay, What::Effect(Effect { request, handovers, echo, wait }));
    }

    /// The reply reaches whoever waits for it after `delay` microseconds.
    pub(crate) fn reply(&mut self, delay: u64, wait: u64, reply: Reply) {
        self.schedule(self.now + delay, What::Wake { wait, reply: Some(Box::new(reply)) });
    }

    /// The process ends after `delay` microseconds, if it has not ended before.
    pub(crate) fn crash_after(&mut self, delay: u64, process: &Process) {
        let (process, incarnation) = (process.index, process.incarnation());
        self.schedule(self.now + delay, What::Crash { process, incarnation });
    }

    /// The process stops here and goes on after `delay` microseconds as if nothing were.
    pub(crate) fn put_to_sleep(&mut self, delay: u64, process: &Process) {
        self.sleeps_until(process.index, self.now + delay);
    }

    /// The same for whoever has this number.
    pub(crate) fn sleeps_until(&mut self, process: usize, until: u64) {
        let asleep_until = &mut self.processes[process].asleep_until;
        *asleep_until = until.max(*asleep_until);
        self.schedule(until, What::Awake { process });
    }

    /// A process that sleeps wakes up by then.
    pub(crate) fn wakes_at(&mut self, process: usize, at: u64) {
        let asleep_until = &mut self.processes[process].asleep_until;
        *asleep_until = at.min(*asleep_until);
        self.schedule(at, What::Awake { process });
    }

    /// The process is to stop there.
    pub(crate) fn strike(&mut self, process: usize, strike: Strike) {
        let process = &mut self.processes[process];
        (process.requests, process.strike) = (0, Some(strike));
    }

    /// Struck, the process is to sleep and go on.
    pub(crate) fn strike_asleep(&mut self, process: usize, micros: u64) {
        self.processes[process].sleeps_instead = Some(micros);
    }

    pub(crate) fn is_struck_asleep(&self) -> bool {
        self.processes.iter().any(|process| process.sleeps_instead.is_some())
    }

    pub(crate) fn is_asleep(&self, process: usize) -> bool {
        self.processes[process].asleep_until > self.now
    }

    /// The process has done what it was to do.
    pub(crate) fn done(&mut self, process: usize) {
        self.processes[process].done = true;
    }

    pub(crate) fn is_done(&self, process: usize) -> bool {
        self.processes[process].done
    }

    /// Requests that the process has sent.
    pub(crate) fn requests_of(&self, process: usize) -> u64 {
        self.processes.get(process).map_or(0, |process| process.requests)
    }

    /// Counts a request of a process, and strikes it where it is due.
    pub(crate) fn struck(&mut self, process: &Process, request: &Request) -> Struck {
        for (left, _) in &mut self.held {
            *left = left.saturating_sub(1);
        }
        while let Some(place) = self.held.iter().position(|(left, _)| *left == 0) {
            let (_, request) = self.held.remove(place);
            self.take_effect(0, Arc::new(request), None, 0);
        }
        let known = &mut self.processes[process.index];
        let number = known.requests;
        known.requests += 1;
        let Some(strike) = known.strike.take_if(|strike| strike.request == number) else { return Struck::No };
        let sleeps = known.sleeps_instead;
        match strike.manner {
            Manner::Before => {}
            Manner::After => self.take_effect(0, Arc::new(request.clone()), None, 0),
            Manner::Late(after) => self.held.push((after + 1, request.clone())),
        }
        let Some(micros) = sleeps else {
            self.kill(process.index, process.incarnation());
            return Struck::Gone;
        };
        self.put_to_sleep(micros, process);
        // It wakes up and sends, or wakes up to no answer.
        if strike.manner == Manner::Before { Struck::SendsAfter(micros) } else { Struck::Gone }
    }

    /// What is held back takes effect now.
    pub(crate) fn release_held(&mut self) {
        for (_, request) in std::mem::take(&mut self.held) {
            self.take_effect(0, Arc::new(request), None, 0);
        }
    }

    /// Everybody who sleeps wakes up.
    pub(crate) fn wake_all(&mut self) {
        for process in 0..self.processes.len() {
            self.wakes_at(process, self.now);
        }
    }

    /// The process is gone, with all that it waits for.
    pub(crate) fn kill(&mut self, index: usize, incarnation: u64) {
        let process = &mut self.processes[index];
        if process.incarnation != incarnation {
            return;
        }
        process.incarnation += 1;
        if let Some(mourner) = process.mourner.take() {
            mourner.wake();
        }
        self.trace.note(self.now, || format!("process {index} is gone"));
        self.waits.retain(|_, wait| wait.process != index || wait.incarnation != incarnation);
    }

    /// `true` where somebody goes on.
    fn happen(&mut self, what: What) -> bool {
        match what {
            What::Wake { wait, reply } => self.deliver(wait, reply),
            What::Effect(effect) => {
                self.arrive(effect);
                false
            }
            What::Awake { process } => {
                self.awakes(process);
                false
            }
            What::Patience(number) => {
                self.lose_patience(number);
                false
            }
            What::Crash { process, incarnation } => {
                let there = self.processes[process].incarnation == incarnation;
                if there {
                    self.tally.crashes += 1;
                    self.kill(process, incarnation);
                    // Perhaps nobody waits for its end just now; without this the thread would park for ever.
                    self.sound_alarm();
                }
                there
            }
        }
    }

    /// What came while it was asleep is heard now, in any order.
    fn awakes(&mut self, process: usize) {
        if self.processes[process].asleep_until > self.now {
            return;
        }
        for (wait, reply) in std::mem::take(&mut self.processes[process].postponed) {
            let after = self.random.random_range(0..1_000);
            self.schedule(self.now + after, What::Wake { wait, reply });
        }
    }

    fn deliver(&mut self, number: u64, reply: Option<Box<Reply>>) -> bool {
        let Some(wait) = self.waits.get(&number) else { return false };
        if wait.arrived.is_some() {
            return false;
        }
        let (process, tells_length) = (wait.process, wait.tells_length);
        if self.processes[process].asleep_until > self.now {
            self.processes[process].postponed.push((number, reply));
            return false;
        }
        if let Some(reply) = &reply {
            self.trace.note(self.now, || format!("process {process} hears {reply}"));
            self.processes[process].harmed += u64::from(reply.harms(tells_length));
        }
        let Some(wait) = self.waits.get_mut(&number) else { return false };
        wait.arrived = Some(reply.map(|reply| *reply));
        match wait.waker.take() {
            Some(waker) => {
                waker.wake();
                true
            }
            None => false,
        }
    }
}
