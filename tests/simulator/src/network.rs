//! The network between processes and the store: what becomes of a request, and of its answer.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::{Answer, ByteRange, Object, PutKind, Request};
use klstore_format::wire::block::{BlockOptions, decode_blocks};
use klstore_format::wire::commit::{CommitHeader, encode_commit};
use rand::RngExt;

use crate::ambush;
use crate::process::{Process, Waiting};
use crate::universe::{Effect, State, Struck};
use crate::weather::{Fate, thousandth};
use crate::world::{World, list};

/// A second of simulated time, which is in microseconds.
pub const SECOND: u64 = 1_000_000;

/// What reaches the sender of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// What the store says, perhaps harmed on its way.
    Answer(Answer, Harm),
    /// An error with this status and code, by the store or by something in front of it.
    Refused(u16, &'static str),
    /// Status 200, and an error with this code in the body.
    ErrorInSuccess(&'static str),
    /// No answer: the connection broke.
    Broken,
}

/// What happened to a body on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// Only so many thousandths of it came; whether a header tells how much there should be.
    Cut {
        /// How much came.
        thousandths: u32,
        /// Whether the loss shows.
        shows: bool,
    },
    /// One bit of it, counted round and round, is another.
    Flipped(u64),
    /// The bytes are those of another object, which this number chooses.
    Swapped(u64),
    /// A LIST with fewer names than there are, perhaps none, that says that more follow.
    Short(u32),
}

/// What a sender is to hear of a request once it has taken effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo {
    pub(crate) delay: u64,
    pub(crate) kind: EchoKind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum EchoKind {
    Answer(Harm),
    Refused(u16, &'static str),
    ErrorInSuccess(&'static str),
    Broken,
}

impl Reply {
    /// Whether it holds bytes that nobody sent and nothing but the format's checksums can find.
    pub(crate) fn harms(&self, tells_length: bool) -> bool {
        match self {
            Self::Answer(Answer::Got(_), Harm::Cut { shows, .. }) => !shows && !tells_length,
            Self::Answer(Answer::Got(_), Harm::Flipped(_) | Harm::Swapped(_)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer, Harm::None) => formatter.write_str(&brief(answer)),
            Self::Answer(answer, harm) => write!(formatter, "{}, {harm:?}", brief(answer)),
            Self::Refused(status, code) => write!(formatter, "{status} {code}"),
            Self::ErrorInSuccess(code) => write!(formatter, "200 with {code}"),
            Self::Broken => formatter.write_str("that the connection broke"),
        }
    }
}

impl Process {
    /// Sends a request. The future ends when a reply comes; without one it never does.
    pub async fn exchange(&self, request: Request) -> Reply {
        self.hear(request, false).await
    }

    /// The same by HTTP: the answer to a GET of a part says how long it is, even where its length is not announced.
    pub async fn exchange_by_http(&self, request: Request) -> Reply {
        let tells_length = matches!(request, Request::Get { range: Some(_), .. });
        self.hear(request, tells_length).await
    }

    async fn hear(&self, request: Request, tells_length: bool) -> Reply {
        let waiting = {
            let mut state = self.sim.lock();
            let waiting = state.send(self, request);
            state.tells_length(waiting.number, tells_length);
            waiting
        };
        waiting.await.unwrap_or(Reply::Broken)
    }
}

impl State {
    /// A request leaves a process: its fate is drawn.
    fn send(&mut self, process: &Process, request: Request) -> Waiting {
        let waiting = process.wait(self);
        if !process.lives(self) {
            return waiting;
        }
        let index = process.index;
        self.trace.note(self.now, || format!("process {index} sends {}", show(&request)));
        match self.struck(process, &request) {
            Struck::No => {}
            Struck::Gone => return waiting,
            Struck::SendsAfter(micros) => {
                self.meet_fate(request, waiting.number, micros);
                return waiting;
            }
        }
        if thousandth(&mut self.random, self.weather.crash) {
            // Half of the processes that end at a request end before it is sent.
            if self.random.random() {
                self.tally.crashes += 1;
                self.kill(index, process.incarnation());
                return waiting;
            }
            let after = self.random.random_range(0..200_000);
            self.crash_after(after, process);
        }
        match self.ambush(process, &request, waiting.number) {
            Some(ambush::Fate::Held) => {
                self.tally.requests += 1;
                return waiting;
            }
            Some(ambush::Fate::Harmed(harm)) => {
                self.tally.requests += 1;
                let echo = Echo { delay: self.hop(), kind: EchoKind::Answer(harm) };
                let up = self.hop();
                self.take_effect(up, Arc::new(request), Some(echo), waiting.number);
                return waiting;
            }
            Some(ambush::Fate::Ends) => {
                self.tally.crashes += 1;
                self.kill(index, process.incarnation());
                return waiting;
            }
            None => {}
        }
        let wakes_after = self.falls_asleep(process, &request);
        self.meet_fate(request, waiting.number, wakes_after);
        waiting
    }

    /// A process may stop before or after it sends; microseconds until its request leaves.
    fn falls_asleep(&mut self, process: &Process, request: &Request) -> u64 {
        // A writer that sleeps before its PUT and wakes up in another world is what the protocol is about.
        let creates = matches!(request, Request::Put { kind: PutKind::Create, .. });
        if !thousandth(&mut self.random, self.weather.sleep * if creates { 3 } else { 1 }) {
            return 0;
        }
        if self.random.random_range(0..20) == 0 {
            // It stands still for ever; what it has sent is under way.
            self.tally.sleeps_for_ever += 1;
            self.crash_after(1, process);
            return 0;
        }
        self.tally.sleeps += 1;
        let pause = self.long_pause();
        self.put_to_sleep(pause, process);
        if self.random.random() { pause } else { 0 }
    }

    /// From a twentieth of a second to minutes, each order of magnitude as likely as the others.
    pub(crate) fn long_pause(&mut self) -> u64 {
        let exponent = self.random.random_range(0.0..3.3_f64);
        (50_000.0 * 10.0_f64.powf(exponent)) as u64
    }

    fn meet_fate(&mut self, request: Request, wait: u64, leaves_after: u64) {
        let fate = self.weather.fate(&mut self.random, &request);
        let (up, down) = (leaves_after + self.hop(), self.hop());
        let request = Arc::new(request);
        let answer = |kind| Some(Echo { delay: down, kind });
        self.tally.requests += 1;
        *self.tally.fates.entry(fate.name()).or_default() += 1;
        match fate {
            Fate::Served => self.take_effect(up, request, answer(EchoKind::Answer(Harm::None)), wait),
            Fate::RefusedBefore(status, code) => self.reply(up + down, wait, Reply::Refused(status, code)),
            Fate::RefusedAfter(status, code) => {
                self.take_effect(up, request, answer(EchoKind::Refused(status, code)), wait);
            }
            Fate::BrokenBefore => self.reply(up + down, wait, Reply::Broken),
            Fate::BrokenAfter => self.take_effect(up, request, answer(EchoKind::Broken), wait),
            Fate::Lost => {}
            Fate::LostAnswer => self.take_effect(up, request, None, wait),
            Fate::Late => {
                let late = up + self.long_pause();
                // The sender hears at once that the connection broke, or nothing.
                if self.random.random() {
                    self.reply(up + down, wait, Reply::Broken);
                }
                self.take_effect(late, request, None, wait);
            }
            Fate::Twice => {
                let (first, again) = (up, up + self.long_pause());
                self.take_effect(first, request.clone(), answer(EchoKind::Answer(Harm::None)), wait);
                self.take_effect(again, request, None, wait);
            }
            // Something on the way sends again what it got no answer to: a creation is refused for its own sake.
            Fate::RepeatedOnTheWay => {
                let again = up + self.hop();
                self.take_effect(up, request.clone(), None, wait);
                self.take_effect(again, request, answer(EchoKind::Answer(Harm::None)), wait);
            }
            Fate::ErrorInSuccess { code, takes_effect } => match takes_effect {
                true => self.take_effect(up, request, answer(EchoKind::ErrorInSuccess(code)), wait),
                false => self.reply(up + down, wait, Reply::ErrorInSuccess(code)),
            },
            Fate::HalfDone => {
                let part = self.half_of(&request);
                self.take_effect(up, Arc::new(part), answer(EchoKind::Refused(500, "InternalError")), wait);
            }
            Fate::Harmed(harm) => self.take_effect(up, request, answer(EchoKind::Answer(harm)), wait),
        }
    }

    /// Mostly some milliseconds.
    fn hop(&mut self) -> u64 {
        match self.random.random_range(0..20) {
            // Slower than a time-out would be a fault.
            0..4 if !self.weather.slow => self.random.random_range(200..20_000),
            0 => self.random.random_range(100_000..1_500_000),
            1..4 => self.random.random_range(20_000..200_000),
            _ => self.random.random_range(200..20_000),
        }
    }

    /// A deletion of many names is carried out for some.
    fn half_of(&mut self, request: &Request) -> Request {
        match request {
            Request::Delete { names } => {
                let random = &mut self.random;
                let names = names.iter().filter(|_| random.random()).cloned().collect();
                Request::Delete { names }
            }
            other => other.clone(),
        }
    }

    /// A request reaches the store.
    pub(crate) fn arrive(&mut self, effect: Effect) {
        let Effect { request, handovers, echo, wait } = &effect;
        let changes = matches!(**request, Request::Put { .. } | Request::Delete { .. });
        if changes && !self.waits_for(*wait) {
            self.count_late(request, *handovers);
        }
        let answer = match self.witness.apply(request) {
            Ok(answer) => answer,
            Err(message) => {
                self.trace.note(self.now, || format!("takes effect: {}", show(request)));
                self.violate(message);
                return;
            }
        };
        if changes {
            self.trace.note(self.now, || format!("takes effect: {} -> {}", show(request), brief(&answer)));
            self.springs(&effect, &answer);
        }
        if answer == Answer::Exists && self.finds_taken(&effect) {
            return;
        }
        let Some(Echo { delay, kind }) = *echo else { return };
        let answer = match (&**request, kind, answer) {
            (Request::Get { name, range, .. }, EchoKind::Answer(Harm::Swapped(choice)), Answer::Got(object)) => {
                let body = another_body(&self.witness.world, name, choice).unwrap_or_default();
                Answer::Got(part_of(&body, *range, object.etag))
            }
            (_, _, answer) => answer,
        };
        let reply = match kind {
            EchoKind::Answer(harm) => Reply::Answer(answer, harm),
            EchoKind::Refused(status, code) => Reply::Refused(status, code),
            EchoKind::ErrorInSuccess(code) => Reply::ErrorInSuccess(code),
            EchoKind::Broken => Reply::Broken,
        };
        self.reply(delay, *wait, reply);
    }

    fn count_late(&mut self, request: &Request, handovers: u64) {
        self.tally.late += 1;
        if self.witness.handovers > handovers {
            self.tally.late_after_takeover += 1;
        }
        if let Request::Put { name, kind: PutKind::Create, .. } = request
            && list().parse_commit(name).is_some_and(|seq| seq < self.witness.covered())
        {
            self.tally.late_after_collection += 1;
        }
    }
}

/// A body as it arrives.
pub(crate) fn harmed(body: &Bytes, harm: Harm) -> Bytes {
    match harm {
        Harm::None | Harm::Short(_) | Harm::Swapped(_) => body.clone(),
        Harm::Cut { thousandths, .. } => body.slice(..body.len() * thousandths as usize / 1_000),
        Harm::Flipped(_) if body.is_empty() => body.clone(),
        Harm::Flipped(bit) => {
            let mut bytes = body.to_vec();
            let at = (bit / 8) as usize % bytes.len();
            bytes[at] ^= 1 << (bit % 8);
            bytes.into()
        }
    }
}

/// The bytes of another object of the same folder, or of a commit as another list would have it.
fn another_body(world: &World, name: &str, choice: u64) -> Option<Bytes> {
    if choice.is_multiple_of(2)
        && let Some(foreign) = world.object(name).and_then(of_another_list)
    {
        return Some(foreign);
    }
    let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
    let names = world.names(folder);
    let chosen = names.get((choice / 2) as usize % names.len().max(1))?;
    world.object(chosen).cloned()
}

/// The same commit, but of another list and with other values.
fn of_another_list(body: &Bytes) -> Option<Bytes> {
    let mut header = CommitHeader::decode(body, &list().hash()).ok()?;
    let mut items = Vec::new();
    decode_blocks(body, 0, &header.own_blocks, header.owner(), &mut items).ok()?;
    for item in &mut items {
        item.value = vec![b'f'; item.value.len()].into();
    }
    header.list = ListName::new(&Prefix::new("").ok()?, "keyspace", "another").ok()?.hash();
    Some(encode_commit(header, &items, &[], &BlockOptions::default()).ok()?.body)
}

/// What a ranged GET brings of these bytes.
fn part_of(body: &Bytes, range: Option<ByteRange>, etag: Option<String>) -> Object {
    let size = body.len() as u64;
    let (start, end) = range.map_or((0, size), |range| (range.start.min(size), range.end.min(size)));
    Object { body: body.slice(start as usize..end as usize), etag, size: Some(size) }
}

/// A request in a few words.
fn show(request: &Request) -> String {
    let short = |name: &str| name.strip_prefix("keyspace/lists/key/").unwrap_or(name).to_owned();
    match request {
        Request::List { prefix, start_after, max_keys, .. } => {
            let after = start_after.as_deref().map(short).unwrap_or_default();
            format!("LIST {max_keys} of {} after `{after}`", short(prefix))
        }
        Request::Get { name, range, .. } => {
            let range = range.map_or(String::new(), |range| format!(" {}..{}", range.start, range.end));
            format!("GET {}{range}", short(name))
        }
        Request::Put { name, body, kind } => {
            let mut hasher = DefaultHasher::new();
            body.hash(&mut hasher);
            format!("PUT {kind:?} {} of {} bytes {:x}", short(name), body.len(), hasher.finish())
        }
        Request::Delete { names } => {
            let names: Vec<String> = names.iter().map(|name| short(name)).collect();
            format!("DELETE {}", names.join(" "))
        }
    }
}

/// An answer in a few words.
fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Listed(listing) => {
            let names: Vec<&str> =
                listing.objects.iter().map(|object| &object.name[object.name.len().saturating_sub(8)..]).collect();
            format!("names {}", names.join(" "))
        }
        Answer::Got(object) => {
            format!("{} bytes, ETag {}", object.body.len(), object.etag.as_deref().unwrap_or("none"))
        }
        other => format!("{other:?}"),
    }
}
