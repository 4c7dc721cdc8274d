//! A writer's work, one plan after the other, with somebody looking on before every round of requests.

use std::sync::Arc;

use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::{
    Answer, AppendOutcome, Compaction, Plan, Request, Session, SessionOptions, Step, TrimOutcome, TrimTo, collect,
    sweep_commits, sweep_objects,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::{FormatError, Insertion, ItemFilter, IterationOrder};

use crate::history::Witness;
use crate::world::{NOW, list};

/// Rounds of requests after which a plan counts as stuck.
const MAX_ROUNDS: usize = 5_000;

/// Called before each round of requests: what stands in the store now, and what is about to be sent.
pub type Onlooker<'a> = Box<dyn FnMut(&mut Witness, &[Request]) -> Result<(), String> + 'a>;

/// Where a writer works.
pub struct Stage<'a> {
    /// The store and its history.
    pub witness: Witness,
    /// Numbers that are used once, counted up from one that no other stage uses.
    ids: u128,
    onlooker: Onlooker<'a>,
}

impl<'a> Stage<'a> {
    /// A stage whose ids begin at `ids`.
    pub fn new(witness: Witness, ids: u128, onlooker: Onlooker<'a>) -> Self {
        Self { witness, ids, onlooker }
    }

    /// A stage that nobody looks at.
    pub fn unwatched(witness: Witness, ids: u128) -> Stage<'static> {
        Stage::new(witness, ids, Box::new(|_, _| Ok(())))
    }

    fn draw(&mut self) -> u128 {
        self.ids += 1;
        self.ids << 16
    }

    fn turn<T>(&mut self, mut plan: Plan<T>) -> Result<T, String> {
        let mut answers: Vec<Answer> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            match plan.step(std::mem::take(&mut answers)) {
                Step::Done(output) => return Ok(output),
                Step::Send(requests) => {
                    (self.onlooker)(&mut self.witness, &requests)?;
                    for request in &requests {
                        answers.push(self.witness.apply(request)?);
                    }
                }
            }
        }
        Err("a plan does not end".to_owned())
    }

    fn run<T>(&mut self, plan: Plan<Result<T, FormatError>>) -> Result<T, String> {
        self.turn(plan)?.map_err(|error| error.to_string())
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Here and below: what the protocol forbids, in words.
    pub fn open(&mut self, options: SessionOptions) -> Result<Session, String> {
        let id = SessionId(self.draw());
        self.run(Session::open(list(), id, Arc::new(options)))
    }

    /// Appends so many values that nobody else appends.
    ///
    /// # Errors
    /// An acknowledgement that is not true, too.
    pub fn append(&mut self, session: Session, count: usize) -> Result<Session, String> {
        let values = (0..count).map(|_| Insertion::new(format!("{:x}", self.draw())));
        let values = values.collect();
        self.append_these(session, values)
    }

    /// Appends these.
    ///
    /// # Errors
    /// An acknowledgement that is not true, too.
    pub fn append_these(&mut self, mut session: Session, insertions: Vec<Insertion>) -> Result<Session, String> {
        loop {
            let (back, outcome) = self.run(session.append(insertions.clone(), NOW))?;
            session = back;
            let AppendOutcome::Appended(appended) = outcome else {
                session = self.compact(session)?;
                continue;
            };
            let offsets = appended.offsets.start as usize..appended.offsets.end as usize;
            let there = self.witness.items.get(offsets).unwrap_or_default();
            let mut rest = insertions.iter();
            let all_there = there.iter().all(|item| rest.any(|insertion| insertion.value == item.value));
            if !all_there || there.len() as u64 + appended.duplicate_count() != insertions.len() as u64 {
                return Err(format!("{insertions:?} is acknowledged as {appended:?} and is not there"));
            }
            // A duplicate is in the list, for all numbered insertions here come from one source.
            for insertion in &insertions {
                if !self.witness.items.iter().rev().any(|item| item.value == insertion.value) {
                    return Err(format!("{insertion:?} is acknowledged and not in the list"));
                }
            }
            return Ok(session);
        }
    }

    /// Trims.
    ///
    /// # Errors
    /// An acknowledgement that is not true, too.
    pub fn trim(&mut self, mut session: Session, to: TrimTo) -> Result<Session, String> {
        loop {
            let ended_at = self.witness.items.len() as u64;
            let (back, outcome) = self.run(session.trim(to))?;
            session = back;
            let TrimOutcome::Trimmed(trimmed) = outcome else {
                session = self.compact(session)?;
                continue;
            };
            let wish = match to {
                TrimTo::Offset(offset) => offset.min(ended_at),
                TrimTo::Timestamp(_) => 0,
            };
            let begin = self.witness.begin();
            if trimmed.start < wish || begin < trimmed.start {
                return Err(format!("{to:?} is acknowledged as {trimmed:?}, and the list begins at {begin}"));
            }
            return Ok(session);
        }
    }

    /// Prepares an index.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn compact(&mut self, mut session: Session) -> Result<Session, String> {
        let id = self.draw();
        if let Compaction::Prepared(prepared) = self.run(session.compact(id))? {
            // Refused where another writer came in between; then nothing is published.
            session.accept(prepared);
        }
        Ok(session)
    }

    /// Publishes what is prepared by a metadata-only commit.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn publish(&mut self, session: Session) -> Result<Session, String> {
        self.run(session.publish()).map(|(session, _)| session)
    }

    /// Collects what a publication replaced.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn collect(&mut self, mut session: Session) -> Result<Session, String> {
        if let Some(garbage) = session.take_garbage() {
            self.turn(collect(garbage))?;
        }
        Ok(session)
    }

    /// Sweeps commits, segments and index pages.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn sweep(&mut self) -> Result<(), String> {
        self.run(sweep_commits(list()))?;
        self.run(sweep_objects(list())).map(drop)
    }

    /// Reads the list from this offset to its end, or backwards from its end to there: it is what the history says.
    ///
    /// # Errors
    /// The difference.
    pub fn check_list(&mut self, order: IterationOrder, first: usize) -> Result<(), String> {
        let first = first.max(self.witness.begin() as usize);
        let mut items = Vec::new();
        let mut continuation = None;
        let mut filter = ItemFilter::default();
        if order == IterationOrder::Forwards {
            filter.start_offset = Some(first as u64);
        }
        loop {
            let page = self.run(read_page(PageRequest { list: list(), order, max_size: 37, filter, continuation }))?;
            items.extend(page.items);
            continuation = page.continuation;
            let enough = order == IterationOrder::Backwards && items.len() + first >= self.witness.items.len();
            if continuation.is_none() || enough {
                break;
            }
        }
        if order == IterationOrder::Backwards {
            items.truncate(self.witness.items.len().saturating_sub(first));
            items.reverse();
        }
        let expected = &self.witness.items[first..];
        if items != expected {
            let (read, there) = (items.len(), expected.len());
            return Err(format!("read {read} items {order:?} from {first}, where the list has {there}, or others"));
        }
        Ok(())
    }
}
