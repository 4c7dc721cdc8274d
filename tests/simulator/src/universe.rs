//! The simulated world of one run: its clock, its store, its processes, and the queue of all that is going to happen.
//!
//! Everything that runs is a task of one single-threaded runtime. When no task can go on, [`Sim::turn`] lets the next
//! event happen: time jumps there, and whoever waited for it goes on. So a run depends on nothing but its seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use klstore_format::plan::Request;
use rand::RngExt;

use crate::history::Witness;
use crate::network::{Echo, Reply};
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
    queue: BinaryHeap<Reverse<Event>>,
    numbered: u64,
    waits: BTreeMap<u64, Wait>,
    /// Requests that take effect when so many others have been sent.
    held: Vec<(u64, Request)>,
    alarm: Option<Waker>,
    events: u64,
}

/// A computer program that may crash, sleep and be started again.
#[derive(Default)]
pub(crate) struct ProcessState {
    /// Counts its starts: what an earlier one waits for never comes.
    incarnation: u64,
    asleep_until: u64,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) skew: i64,
    /// Answers that reached it damaged in a way that nothing on the way could notice.
    pub(crate) harmed: u64,
    mourner: Option<Waker>,
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

enum What {
    Wake { wait: u64, reply: Option<Reply> },
    Effect { request: Arc<Request>, handovers: u64, echo: Option<Echo>, wait: u64 },
    Crash { process: usize, incarnation: u64 },
}

struct Wait {
    process: usize,
    incarnation: u64,
    arrived: Option<Option<Reply>>,
    waker: Option<Waker>,
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
        let incarnation = process.incarnation;
        drop(state);
        Process { sim: self.clone(), index, incarnation }
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

    fn schedule(&mut self, at: u64, what: What) {
        self.numbered += 1;
        let event = Event { at, tie: self.random.random(), number: self.numbered, what };
        self.queue.push(Reverse(event));
    }

    /// The request takes effect after `delay` microseconds; `echo` says what its sender hears of it.
    pub(crate) fn take_effect(&mut self, delay: u64, request: Arc<Request>, echo: Option<Echo>, wait: u64) {
        let handovers = self.witness.handovers;
        self.schedule(self.now + delay, What::Effect { request, handovers, echo, wait });
    }

    /// The reply reaches whoever waits for it after `delay` microseconds.
    pub(crate) fn reply(&mut self, delay: u64, wait: u64, reply: Reply) {
        self.schedule(self.now + delay, What::Wake { wait, reply: Some(reply) });
    }

    /// The process ends after `delay` microseconds, if it has not ended before.
    pub(crate) fn crash_after(&mut self, delay: u64, process: &Process) {
        let (process, incarnation) = (process.index, process.incarnation);
        self.schedule(self.now + delay, What::Crash { process, incarnation });
    }

    /// The process stops here and goes on after `delay` microseconds as if nothing were.
    pub(crate) fn put_to_sleep(&mut self, delay: u64, process: &Process) {
        let until = self.now + delay;
        let process = &mut self.processes[process.index];
        process.asleep_until = process.asleep_until.max(until);
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
            self.kill(process.index, process.incarnation);
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
        let now = self.now;
        for process in &mut self.processes {
            process.asleep_until = process.asleep_until.min(now);
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
            What::Effect { request, handovers, echo, wait } => {
                self.arrive(&request, handovers, echo, wait);
                false
            }
            What::Crash { process, incarnation } => {
                let there = self.processes[process].incarnation == incarnation;
                if there {
                    self.tally.crashes += 1;
                    self.kill(process, incarnation);
                }
                there
            }
        }
    }

    fn deliver(&mut self, number: u64, reply: Option<Reply>) -> bool {
        let Some(wait) = self.waits.get(&number) else { return false };
        if wait.arrived.is_some() {
            return false;
        }
        let process = wait.process;
        let asleep_until = self.processes[process].asleep_until;
        if asleep_until > self.now {
            let after = self.random.random_range(0..1_000);
            self.schedule(asleep_until + after, What::Wake { wait: number, reply });
            return false;
        }
        if let Some(reply) = &reply {
            self.trace.note(self.now, || format!("process {process} hears {reply}"));
            self.processes[process].harmed += u64::from(reply.harms());
        }
        let Some(wait) = self.waits.get_mut(&number) else { return false };
        wait.arrived = Some(reply);
        match wait.waker.take() {
            Some(waker) => {
                waker.wake();
                true
            }
            None => false,
        }
    }
}

/// One start of a process: what it does ends when it ends.
#[derive(Clone)]
pub struct Process {
    /// Where it runs.
    pub sim: Arc<Sim>,
    /// Its number.
    pub index: usize,
    incarnation: u64,
}

impl Process {
    /// Whether it is still there.
    pub(crate) fn lives(&self, state: &State) -> bool {
        state.processes[self.index].incarnation == self.incarnation
    }

    /// Its number among all starts, to kill it by.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Waits until it is gone.
    pub async fn death(&self) {
        future::poll_fn(|context| {
            let mut state = self.sim.lock();
            if !self.lives(&state) {
                return Poll::Ready(());
            }
            state.processes[self.index].mourner = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits so many microseconds.
    pub async fn sleep_micros(&self, micros: u64) {
        let waiting = {
            let mut state = self.sim.lock();
            let waiting = self.wait(&mut state);
            let at = state.now.saturating_add(micros);
            state.schedule(at, What::Wake { wait: waiting.number, reply: None });
            waiting
        };
        waiting.await;
    }

    /// The same by the clock of the programs under test.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.sleep_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).await;
    }

    /// Something to wait for; of a process that is gone, for ever.
    pub(crate) fn wait(&self, state: &mut State) -> Waiting {
        state.numbered += 1;
        let number = state.numbered;
        if self.lives(state) {
            let wait = Wait { process: self.index, incarnation: self.incarnation, arrived: None, waker: None };
            state.waits.insert(number, wait);
        }
        Waiting { sim: self.sim.clone(), number }
    }
}

/// Ends when its event reaches the process.
pub(crate) struct Waiting {
    sim: Arc<Sim>,
    pub(crate) number: u64,
}

impl Future for Waiting {
    type Output = Option<Reply>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.sim.lock();
        let Some(wait) = state.waits.get_mut(&self.number) else { return Poll::Pending };
        match wait.arrived.take() {
            Some(reply) => {
                state.waits.remove(&self.number);
                Poll::Ready(reply)
            }
            None => {
                wait.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.sim.lock().waits.remove(&self.number);
    }
}
