//! Delays that do the most harm: requests wait on their way, and processes asleep, until the name that they are for is
//! freed or taken again. S3 promises none of them away; left to chance they would hardly ever meet.

use std::sync::Arc;

use klstore_format::plan::{Answer, PutKind, Request};
use klstore_format::wire::commit::CommitHeader;
use rand::RngExt;

use crate::network::{Echo, EchoKind, Harm};
use crate::process::Process;
use crate::universe::{Effect, State, What};
use crate::weather::thousandth;
use crate::world::list;

/// Of a thousand chances to wait so many are taken.
const WAITS: u32 = 500;
/// Of a thousand stubs under a name for which a creation waits so many are not written: their sender ends.
const ENDS: u32 = 400;
/// Of a thousand GETs of pages so many bring another page of the same list.
const OTHER_PAGES: u32 = 40;

/// What waits for something to happen to a name.
#[derive(Default)]
pub(crate) struct Ambushes(Vec<Ambush>);

struct Ambush {
    number: u64,
    name: String,
    until: Until,
    /// A request on its way; none where a process only sleeps.
    held: Option<Effect>,
    /// Who sleeps meanwhile, and in which of its lives.
    sleeper: Option<(usize, u64)>,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The object is deleted.
    Freed,
    /// The commit is deleted or becomes a stub.
    Collected,
    /// A commit is created under the name.
    Taken,
}

/// What becomes of a request instead of what the weather would do to it.
pub(crate) enum Fate {
    /// It waits.
    Held,
    /// Its answer is harmed.
    Harmed(Harm),
    /// Its sender ends, and it is never sent.
    Ends,
}

impl Ambushes {
    /// Whether a creation under this name waits for it to be free.
    fn await_freedom_of(&self, name: &str) -> bool {
        self.0.iter().any(|ambush| ambush.until == Until::Freed && ambush.held.is_some() && ambush.name == name)
    }
}

impl State {
    /// A request is about to be sent: whether an ambush is laid for it.
    pub(crate) fn ambush(&mut self, process: &Process, request: &Request, wait: u64) -> Option<Fate> {
        if self.weather.ambush == 0 {
            return None;
        }
        match request {
            Request::Get { name, .. } => {
                let covered = self.witness.covered();
                if let Some(seq) = list().parse_commit(name) {
                    if !self.ambushes.await_freedom_of(name) || !thousandth(&mut self.random, WAITS) {
                        return None;
                    }
                    // A reader is to find the commit that waits; a sweeper is to take the name for free.
                    if seq < covered && self.random.random() {
                        return Some(Fate::Harmed(Harm::Swapped(self.random.random())));
                    }
                    return Some(self.holds(process, request, wait, Until::Taken));
                }
                list().parse_index_page(name)?;
                // Whoever asks the ledger for the fate of its last commit is to find that another one has replaced it.
                let in_doubt = self.processes[process.index].last_commit.is_some_and(|seq| seq < covered);
                if in_doubt && thousandth(&mut self.random, WAITS) {
                    return Some(self.holds(process, request, wait, Until::Freed));
                }
                let swaps = thousandth(&mut self.random, OTHER_PAGES);
                swaps.then(|| Fate::Harmed(Harm::Swapped(self.random.random::<u64>() | 1)))
            }
            Request::Put { name, kind: PutKind::Stub, .. } => {
                let ends = self.ambushes.await_freedom_of(name) && thousandth(&mut self.random, ENDS);
                ends.then_some(Fate::Ends)
            }
            Request::Put { name, kind: PutKind::Create, .. } => {
                self.processes[process.index].last_commit = list().parse_commit(name);
                None
            }
            _ => None,
        }
    }

    /// The sender stands still, its request under way, until something happens to the name.
    fn holds(&mut self, process: &Process, request: &Request, wait: u64, until: Until) -> Fate {
        let Request::Get { name, .. } = request else { return Fate::Held };
        let (handovers, delay) = (self.witness.handovers, self.random.random_range(200..2_000));
        let echo = Some(Echo { delay, kind: EchoKind::Answer(Harm::None) });
        let held = Effect { request: Arc::new(request.clone()), handovers, echo, wait };
        self.lie(name.clone(), until, Some(held), Some((process.index, process.incarnation())));
        Fate::Held
    }

    fn lie(&mut self, name: String, until: Until, held: Option<Effect>, sleeper: Option<(usize, u64)>) {
        self.tally.ambushes += 1;
        self.numbered += 1;
        let number = self.numbered;
        self.trace.note(self.now, || format!("in ambush until {until:?}: {name}, asleep: {sleeper:?}"));
        if let Some((process, _)) = sleeper {
            let patience = self.long_pause();
            self.sleeps_until(process, self.now + patience);
            self.schedule(self.now + patience, What::Patience(number));
        }
        self.ambushes.0.push(Ambush { number, name, until, held, sleeper });
    }

    /// A creation that finds its name taken: it may not have come yet, or another copy of it comes later. `true` where
    /// its sender hears nothing now.
    pub(crate) fn finds_taken(&mut self, effect: &Effect) -> bool {
        let Request::Put { name, body, kind: PutKind::Create } = &*effect.request else { return false };
        let Some(wait) = self.waits.get(&effect.wait) else { return false };
        let sender = (wait.process, wait.incarnation);
        // A stub's name is never free again, and what is there already may come again without harm.
        let foreign = self.witness.world.object(name).is_some_and(|there| !there.is_empty() && there != body);
        if effect.echo.is_none() || !foreign || !thousandth(&mut self.random, self.weather.ambush) {
            return false;
        }
        let sleeps = self.random.random();
        let held = if sleeps { effect.clone() } else { Effect { echo: None, wait: 0, ..effect.clone() } };
        self.lie(name.clone(), Until::Freed, Some(held), sleeps.then_some(sender));
        sleeps
    }

    /// A request has taken effect: whoever waited for that goes on.
    pub(crate) fn springs(&mut self, effect: &Effect, answer: &Answer) {
        if self.weather.ambush == 0 {
            return;
        }
        match (&*effect.request, answer) {
            (Request::Delete { names }, _) => {
                self.spring(|ambush| ambush.until != Until::Taken && names.contains(&ambush.name));
            }
            (Request::Put { name, kind: PutKind::Stub, .. }, _) => {
                self.spring(|ambush| ambush.until == Until::Collected && ambush.name == *name);
            }
            (Request::Put { name, body, kind: PutKind::Create }, Answer::Done { .. }) => {
                self.spring(|ambush| ambush.until == Until::Taken && ambush.name == *name);
                // The writer that takes a list over hears of it when others have gone on for long.
                let handover = CommitHeader::decode(body, &list().hash()).is_ok_and(|header| header.commit.handover);
                let Some(wait) = self.waits.get(&effect.wait) else { return };
                let sender = (wait.process, wait.incarnation);
                if handover && thousandth(&mut self.random, self.weather.ambush) {
                    self.lie(name.clone(), Until::Collected, None, Some(sender));
                }
            }
            _ => {}
        }
    }

    /// Nothing waits any more.
    pub(crate) fn spring_all(&mut self) {
        self.spring(|_| true);
    }

    /// What waits under this number goes on although nothing has happened.
    pub(crate) fn lose_patience(&mut self, number: u64) {
        self.spring(|ambush| ambush.number == number);
    }

    fn spring(&mut self, which: impl Fn(&Ambush) -> bool) {
        for Ambush { name, held, sleeper, .. } in
            self.ambushes.0.extract_if(.., |ambush| which(ambush)).collect::<Vec<_>>()
        {
            self.trace.note(self.now, || format!("out of ambush: {name}"));
            let mut at = self.now + self.random.random_range(200..2_000);
            if let Some(effect) = held {
                let delay = effect.echo.map_or(0, |echo| echo.delay);
                self.schedule(at, What::Effect(effect));
                // The sleeper hears the answer before all that it has missed.
                at += delay;
            }
            if let Some((process, incarnation)) = sleeper
                && self.processes[process].incarnation == incarnation
            {
                self.wakes_at(process, at);
            }
        }
    }
}
