//! Writers of the explored list: what they begin, and what their acknowledgements promise.

use std::sync::Arc;

use klstore_format::plan::{
    AppendOutcome, Appended, Compaction, Plan, Session, SessionOptions, TrimOutcome, TrimTo, collect, sweep_commits,
    sweep_objects,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::{Insertion, Source};
use rand::RngExt;

use super::Explorer;
use super::task::{Outcome, Purpose, Task, or_error};
use crate::seeded::{Random, percent, pick};
use crate::workload::{self, Profile};
use crate::world::{NOW, list};

/// One writer instance.
pub(super) struct Writer {
    options: Arc<SessionOptions>,
    /// Taken out while a plan has it; gone when that is given up.
    session: Option<Box<Session>>,
    busy: bool,
    compacting: bool,
    /// Counts the sessions: a compaction of an earlier one is not accepted.
    generation: u64,
    numbers: Numbers,
    /// Given up with its outcome unknown: appended again where it has nonces.
    again: Option<Vec<Insertion>>,
}

/// What says of a writer's items whether they are in the list already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    None,
    Nonces,
    /// Offsets of this partition, which several writers may read.
    Source {
        partition: u32,
    },
}

impl Writer {
    pub(super) fn new(random: &mut Random) -> Self {
        let profile = *pick(random, &[Profile::Small, Profile::Small, Profile::Complete, Profile::Mixed]);
        let retention = workload::retention(random, profile);
        Self {
            options: Arc::new(SessionOptions { retention, ..workload::options(random, profile) }),
            session: None,
            busy: false,
            compacting: false,
            generation: 0,
            numbers: match random.random_range(0..5) {
                0 | 1 => Numbers::None,
                2 | 3 => Numbers::Nonces,
                _ => Numbers::Source { partition: random.random_range(0..2) },
            },
            again: None,
        }
    }
}

impl Explorer {
    pub(super) fn begin_writing(&mut self) -> Result<(), String> {
        let writer = self.random.random_range(0..self.writers.len());
        if self.writers[writer].busy {
            return Ok(());
        }
        match self.random.random_range(0..100) {
            0..35 => self.begin_compaction(writer),
            35..43 => self.begin_publication(writer),
            43..47 => self.begin_trim(writer),
            _ => self.begin_append(writer),
        }
    }

    pub(super) fn start<T: 'static>(
        &mut self,
        purpose: Purpose,
        plan: Plan<T>,
        into: impl Fn(T) -> Outcome + 'static,
    ) -> Result<(), String> {
        let (task, outcome) = Task::start(purpose, plan, into);
        match outcome {
            Some(outcome) => self.ended(task.purpose, outcome),
            None => {
                self.tasks.push(task);
                Ok(())
            }
        }
    }

    fn begin_open(&mut self, writer: usize) -> Result<(), String> {
        let id = SessionId(self.draw());
        self.writers[writer].busy = true;
        let plan = Session::open(list(), id, self.writers[writer].options.clone());
        self.start(Purpose::Open { writer }, plan, or_error(|session| Outcome::Opened(Box::new(session))))
    }

    fn begin_append(&mut self, writer: usize) -> Result<(), String> {
        let Some(session) = self.writers[writer].session.take() else { return self.begin_open(writer) };
        self.writers[writer].busy = true;
        let insertions = self.writers[writer].again.take().unwrap_or_else(|| self.new_insertions(writer));
        let plan = session.append(insertions.clone(), NOW);
        let purpose = Purpose::Append { writer, insertions };
        self.start(purpose, plan, or_error(|(session, outcome)| Outcome::Appended(Box::new(session), outcome)))
    }

    fn new_insertions(&mut self, writer: usize) -> Vec<Insertion> {
        let insertions = (0..self.random.random_range(1..4)).map(|_| {
            let id = self.draw();
            let insertion = Insertion::new(format!("{id:x}")).with_timestamp(NOW + self.random.random_range(-50..50));
            // Ids rise, so they are nonces and offsets too.
            match self.writers[writer].numbers {
                Numbers::None => insertion,
                Numbers::Nonces => insertion.with_nonce(id),
                Numbers::Source { partition } => {
                    let source = Source::new("topic", partition).expect("a short name");
                    insertion.with_source_offset(source, u64::try_from(id).expect("ids are counted"))
                }
            }
        });
        insertions.collect()
    }

    fn begin_publication(&mut self, writer: usize) -> Result<(), String> {
        let Some(session) = self.writers[writer].session.take_if(|session| session.has_prepared()) else {
            return Ok(());
        };
        self.writers[writer].busy = true;
        let into = or_error(|(session, _)| Outcome::Published(Box::new(session)));
        self.start(Purpose::Publish { writer }, session.publish(), into)
    }

    fn begin_trim(&mut self, writer: usize) -> Result<(), String> {
        let Some(session) = self.writers[writer].session.take() else { return self.begin_open(writer) };
        self.writers[writer].busy = true;
        let (begun, end) = (self.witness.begin(), self.witness.items.len() as u64);
        let offset = begun.saturating_sub(2) + self.random.random_range(0..=(end - begun) / 2 + 3);
        let (to, begin) = match self.witness.items.get(offset as usize) {
            _ if percent(&mut self.random, 10) => (TrimTo::Offset(u64::MAX), end),
            Some(item) if percent(&mut self.random, 30) => {
                let first = self.witness.items.iter().position(|other| other.timestamp >= item.timestamp);
                (TrimTo::Timestamp(item.timestamp), first.map_or(end, |first| first as u64))
            }
            _ => (TrimTo::Offset(offset), offset.min(end)),
        };
        let into = or_error(|(session, outcome)| Outcome::Trimmed(Box::new(session), outcome));
        self.start(Purpose::Trim { writer, begin }, session.trim(to), into)
    }

    fn begin_compaction(&mut self, writer: usize) -> Result<(), String> {
        let id = self.draw();
        let Writer { session: Some(session), compacting: false, generation, .. } = &self.writers[writer] else {
            return Ok(());
        };
        let (plan, generation) = (session.compact(id), *generation);
        self.writers[writer].compacting = true;
        let into = or_error(|compaction| Outcome::Compacted(Box::new(compaction)));
        self.start(Purpose::Compact { writer, generation }, plan, into)
    }

    pub(super) fn begin_sweep(&mut self) -> Result<(), String> {
        let plan = if percent(&mut self.random, 50) { sweep_commits(list()) } else { sweep_objects(list()) };
        self.start(Purpose::Sweep, plan, or_error(|_| Outcome::Swept))
    }

    /// Collects what a publication replaced, unless the writer forgets it.
    fn begin_collection(&mut self, writer: usize) -> Result<(), String> {
        let Some(session) = &mut self.writers[writer].session else { return Ok(()) };
        let Some(garbage) = session.take_garbage() else { return Ok(()) };
        self.tally.publications += 1;
        if percent(&mut self.random, self.weather.uncollected) {
            return Ok(());
        }
        self.start(Purpose::Collect, collect(garbage), |()| Outcome::Swept)
    }

    pub(super) fn wrote(&mut self, purpose: Purpose, outcome: Outcome) -> Result<(), String> {
        match (purpose, outcome) {
            (Purpose::Open { writer }, Outcome::Opened(session)) => {
                self.give_back(writer, session);
                Ok(())
            }
            (Purpose::Append { writer, insertions }, Outcome::Appended(session, outcome)) => {
                self.give_back(writer, session);
                match outcome {
                    AppendOutcome::Appended(appended) => self.check_acknowledged(&insertions, &appended)?,
                    AppendOutcome::EndsElsewhere { .. } => return Err("refused where no end was expected".into()),
                    AppendOutcome::AwaitsCompaction { .. } => self.writers[writer].again = Some(insertions),
                }
                self.begin_collection(writer)
            }
            (Purpose::Publish { writer }, Outcome::Published(session)) => {
                self.give_back(writer, session);
                self.begin_collection(writer)
            }
            (Purpose::Trim { writer, begin }, Outcome::Trimmed(session, outcome)) => {
                self.give_back(writer, session);
                if let TrimOutcome::Trimmed(trimmed) = outcome {
                    self.tally.trims += 1;
                    let begins = self.witness.begin();
                    if trimmed.start < begin || begins < trimmed.start {
                        return Err(format!("a trim to {begin} is acknowledged as {trimmed:?}; it begins at {begins}"));
                    }
                }
                self.begin_collection(writer)
            }
            (Purpose::Compact { writer, generation }, Outcome::Compacted(compaction)) => {
                let writer = &mut self.writers[writer];
                if writer.generation == generation {
                    writer.compacting = false;
                }
                // A session that is on its way with an append cannot take it, and a later one refuses it.
                if let (Compaction::Prepared(prepared), Some(session)) = (*compaction, &mut writer.session) {
                    session.accept(prepared);
                }
                Ok(())
            }
            (_, Outcome::Swept) => Ok(()),
            (purpose, _) => Err(format!("{} ended as something else", purpose.name())),
        }
    }

    fn give_back(&mut self, writer: usize, session: Box<Session>) {
        self.writers[writer].session = Some(session);
        self.writers[writer].busy = false;
    }

    /// A plan is given up. With it goes the session that it had.
    pub(super) fn gave_up(&mut self, purpose: &Purpose) {
        let Some(writer) = (match purpose {
            Purpose::Open { writer }
            | Purpose::Publish { writer }
            | Purpose::Trim { writer, .. }
            | Purpose::Append { writer, .. } => self.writers.get_mut(*writer),
            Purpose::Compact { writer, generation } => {
                let writer = self.writers.get_mut(*writer);
                if let Some(writer) = writer
                    && writer.generation == *generation
                {
                    writer.compacting = false;
                }
                return;
            }
            Purpose::Collect | Purpose::Sweep | Purpose::Read(_) | Purpose::Follow => return,
        }) else {
            return;
        };
        if let Purpose::Append { insertions, .. } = purpose
            && writer.numbers != Numbers::None
        {
            writer.again = Some(insertions.clone());
        }
        writer.session = None;
        writer.busy = false;
        writer.compacting = false;
        writer.generation += 1;
    }

    /// Property 1: what is acknowledged is in the chain, at these offsets.
    fn check_acknowledged(&mut self, insertions: &[Insertion], appended: &Appended) -> Result<(), String> {
        self.tally.appends += 1;
        self.tally.retained += appended.trimmed;
        let offsets = appended.offsets.start as usize..appended.offsets.end as usize;
        let Some(items) = self.witness.items.get(offsets.clone()) else {
            let end = self.witness.items.len();
            return Err(format!("acknowledged at {offsets:?}, but the list ends at {end}"));
        };
        // Those that are no duplicates, in their order.
        let mut rest = insertions.iter();
        let all_there = items.iter().all(|item| rest.any(|insertion| insertion.value == item.value));
        if !all_there || appended.duplicate_count() + items.len() as u64 != insertions.len() as u64 {
            return Err(format!("acknowledged {insertions:?} as {appended:?}, where the list has {items:?}"));
        }
        let has_no_number = |insertion: &Insertion| insertion.nonce.is_none() && insertion.source_offset.is_none();
        if !appended.duplicates.is_empty() && insertions.iter().any(has_no_number) {
            return Err(format!("dropped an item without number: {insertions:?}"));
        }
        Ok(())
    }

    pub(super) fn append_alone(&mut self) -> Result<(), String> {
        let before = self.witness.items.len();
        for _ in 0..4 {
            self.begin_append(0)?;
            self.finish_tasks()?;
            if self.witness.items.len() > before {
                return Ok(());
            }
            if self.writers[0].again.is_some() {
                self.publish_alone()?;
            }
        }
        Err("a writer alone cannot append".to_owned())
    }

    pub(super) fn publish_alone(&mut self) -> Result<(), String> {
        self.begin_compaction(0)?;
        self.finish_tasks()?;
        self.begin_publication(0)?;
        self.finish_tasks()
    }

    pub(super) fn sweep_alone(&mut self) -> Result<(), String> {
        for plan in [sweep_commits(list()), sweep_objects(list())] {
            self.start(Purpose::Sweep, plan, or_error(|_| Outcome::Swept))?;
            self.finish_tasks()?;
        }
        Ok(())
    }
}
