//! What a call may promise and how it may fail, against what truly happened.

use std::time::Duration;

use klstore_format::Insertion;
use klstore_reader::ReaderError;
use klstore_writer::{Appended, TrimTo, WriterError};

use crate::network::SECOND;
use crate::process::Process;
use crate::run::Run;

/// A call of the API that has begun.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The moment of the list's history in which it began.
    pub(crate) moment: usize,
    process: usize,
    began_at: u64,
    harmed: u64,
}

/// What a trim is to reach.
pub(crate) struct PromisedTrim {
    pub(crate) to: Option<TrimTo>,
    /// The list is to begin there or further on.
    pub(crate) begin: u64,
}

impl Run {
    /// Counts a call that is about to be made. With the last one the weather clears up.
    pub(crate) fn begin(&self, name: &'static str, process: &Process) -> Call {
        self.count(name);
        let state = self.sim.lock();
        Call {
            name,
            moment: state.witness.moments.len() - 1,
            process: process.index,
            began_at: state.now,
            harmed: state.processes[process.index].harmed,
        }
    }

    /// Notes that a call ended with an error that is none of ours.
    pub(crate) fn note_failed(&self, how: &'static str) {
        let mut state = self.sim.lock();
        *state.tally.failed.entry(how).or_default() += 1;
    }

    /// Property 1: what is acknowledged is in the chain, at these offsets; where `present`, its duplicates are there too.
    pub(crate) fn judge_appended(
        &self,
        call: &Call,
        insertions: &[Insertion],
        appended: &Appended,
        present: bool,
    ) -> Result<(), String> {
        let mut state = self.sim.lock();
        state.tally.appends += 1;
        state.tally.duplicates += appended.duplicate_count;
        let now = state.now;
        state.trace.note(now, || format!("process {} appended {:?}", call.process, appended.ranges));
        let witness = &state.witness;
        let mut rest = insertions.iter();
        let mut there = 0;
        for range in &appended.ranges {
            let Some(items) = witness.items.get(range.start as usize..range.end as usize) else {
                let end = witness.items.len();
                return Err(format!("acknowledged at {range:?}, but the list ends at {end}"));
            };
            // Those that are no duplicates, in their order.
            if !items.iter().all(|item| rest.any(|insertion| insertion.value == item.value)) {
                return Err(format!("acknowledged {insertions:?} as {appended:?}, where the list has {items:?}"));
            }
            there += items.len() as u64;
        }
        if there != appended.appended_count || there + appended.duplicate_count != insertions.len() as u64 {
            return Err(format!("acknowledged {} insertions as {appended:?}", insertions.len()));
        }
        let has_no_number = |insertion: &&Insertion| insertion.nonce.is_none() && insertion.source_offset.is_none();
        if appended.duplicate_count > 0
            && call.name != "append records"
            && insertions.iter().any(|each| has_no_number(&each))
        {
            return Err(format!("dropped an item without number: {insertions:?}"));
        }
        match insertions.iter().find(|insertion| present && !witness.holds(&insertion.value)) {
            Some(missing) => Err(format!("{missing:?} is acknowledged and not in the list")),
            None => Ok(()),
        }
    }

    /// Rule 6.
    pub(crate) fn judge_trimmed(&self, promised: &PromisedTrim, start: u64) -> Result<(), String> {
        let mut state = self.sim.lock();
        state.tally.trims += 1;
        let begins = state.witness.begin();
        if start < promised.begin || begins < start {
            let PromisedTrim { to, begin } = promised;
            return Err(format!(
                "a trim to {to:?}, so {begin}, is acknowledged as {start}; the list begins at {begins}"
            ));
        }
        Ok(())
    }

    /// A list begins at `wish` or further on, and not before what the trim says.
    pub(crate) fn judge_start(&self, wish: u64, start: u64) -> Result<(), String> {
        self.judge_trimmed(&PromisedTrim { to: None, begin: wish }, start)
    }

    /// An error that a writer's caller may see is one of the weather.
    pub(crate) fn judge_writer_error(
        &self,
        call: &Call,
        error: &WriterError,
        deadline: Duration,
    ) -> Result<(), String> {
        let how = match error.cause() {
            WriterError::Unavailable { .. } | WriterError::MayHaveTrimmed { .. } => {
                self.has_lasted(call, deadline, &error)?;
                "unavailable"
            }
            WriterError::Contended { .. } => "contended",
            WriterError::Corrupt(_) | WriterError::Format(_) => {
                self.was_harmed(call, &error)?;
                "damaged on its way"
            }
            _ => return Err(format!("{}: {error}", call.name)),
        };
        self.note_failed(how);
        Ok(())
    }

    /// An error that a reader's caller may see is one of the weather.
    pub(crate) fn judge_reader_error(
        &self,
        call: &Call,
        error: &ReaderError,
        policy: &klstore_reader::RetryPolicy,
    ) -> Result<(), String> {
        let how = match error {
            ReaderError::Unavailable { attempts, .. } => {
                if *attempts < policy.attempts {
                    self.has_lasted(call, policy.deadline, error)?;
                }
                "unavailable"
            }
            ReaderError::Contended { .. } => "contended",
            ReaderError::Corrupt(_)
            | ReaderError::UnsupportedVersion { .. }
            | ReaderError::UnsupportedLayout { .. } => {
                self.was_harmed(call, error)?;
                "damaged on its way"
            }
            _ => return Err(format!("{}: {error}", call.name)),
        };
        self.note_failed(how);
        Ok(())
    }

    /// A sweep leaves only what was damaged on its way.
    pub(crate) fn judge_unreadable(&self, call: &Call, objects: &[String]) -> Result<(), String> {
        self.was_harmed(call, &format!("{objects:?} cannot be read"))
    }

    /// A verification finds only what was damaged on its way.
    pub(crate) fn judge_damage(&self, call: &Call, message: &str) -> Result<(), String> {
        self.was_harmed(call, &message)
    }

    /// Faults that are shorter than a caller's patience are not the caller's business.
    fn has_lasted(&self, call: &Call, limit: Duration, error: &dyn std::fmt::Display) -> Result<(), String> {
        let lasted = self.sim.lock().now - call.began_at;
        if u128::from(lasted) < limit.as_micros() {
            return Err(format!(
                "{} gave up after {} of {limit:?}: {error}",
                call.name,
                Duration::from_micros(lasted).as_secs_f32()
            ));
        }
        Ok(())
    }

    /// Bytes that nobody sent are an error, and nothing else is.
    fn was_harmed(&self, call: &Call, error: &dyn std::fmt::Display) -> Result<(), String> {
        let harmed = self.sim.lock().processes[call.process].harmed;
        if harmed == call.harmed {
            return Err(format!("{}, though nothing was damaged on its way: {error}", call.name));
        }
        Ok(())
    }

    /// A pause before the next call: mostly short.
    pub(crate) fn think(&self) -> u64 {
        use rand::RngExt;
        let mut state = self.sim.lock();
        match state.random.random_range(0..30) {
            0 => state.random.random_range(SECOND..20 * SECOND),
            1..10 => state.random.random_range(50_000..SECOND),
            _ => state.random.random_range(0..100_000),
        }
    }
}
