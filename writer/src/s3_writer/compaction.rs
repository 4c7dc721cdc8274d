//! Compaction: started beside the appends, waited for where an append needs room, published and collected.

use futures::future::{self, Either};
use klstore_format::CorruptObject;
use klstore_format::names::ListName;
use klstore_format::plan::{Compaction, Session};

use super::{MAX_ROUNDS, S3StoreWriter};
use crate::background::{run_collection, run_compaction};
use crate::error::WriterError;
use crate::sessions::Lease;
use crate::writer::DutyReport;

/// When a compaction is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// While there are appends: once it is worth its requests.
    AfterAppend,
    /// Also where it would free what was trimmed.
    AfterTrim,
}

impl S3StoreWriter {
    /// Compacts the list now: merges its small commits, publishes the index and collects what it replaces.
    /// `false`: there was nothing to compact.
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::Contended`] where other writers kept coming in between.
    pub async fn compact(&self, keyspace: &str, key: &str) -> Result<bool, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        let mut missing = None;
        for _ in 0..MAX_ROUNDS {
            let session = self.session(&mut lease).await?;
            let prepared = session.has_prepared();
            lease.state.session = Some(session);
            if !prepared && !self.prepare(&mut lease, &mut missing).await? {
                return Ok(false);
            }
            if self.publish(&mut lease).await? {
                return Ok(true);
            }
        }
        Err(WriterError::Contended { list: lease.list().to_string() })
    }

    /// Collects what the last commit replaced, and compacts where that is due. Waits for neither.
    pub(super) fn start_background_work(&self, lease: &mut Lease, due: Due) {
        let list = lease.list().clone();
        let state = &mut *lease.state;
        let Some(session) = &mut state.session else { return };
        if let Some(garbage) = session.take_garbage() {
            self.shared.background.collect(list.to_string(), garbage);
        }
        let paused = self.shared.driver.clock.elapsed() < state.compact_not_before;
        state.trim_waits |= due == Due::AfterTrim && state.compaction.is_some();
        let trimmed = due == Due::AfterTrim || state.trim_waits;
        let due = session.compaction_due() || (trimmed && session.trim_left_space());
        if state.compaction.is_none() && !paused && !session.has_prepared() && due {
            state.trim_waits = false;
            let plan = session.compact(self.shared.driver.random.next());
            state.compaction = Some(self.shared.background.compact(list.to_string(), plan));
        }
    }

    /// Waits for the compaction under way, if there is one, and hands what it prepared to the session.
    pub(super) async fn accept_compaction(&self, lease: &mut Lease) {
        let Some(compaction) = &mut lease.state.compaction else { return };
        let outcome = compaction.outcome().await;
        lease.state.compaction = None;
        match outcome {
            Ok(Compaction::Prepared(prepared)) => {
                if let Some(session) = &mut lease.state.session
                    && !session.accept(prepared)
                {
                    tracing::debug!(list = %lease.list(), "threw a prepared index away: the list has moved on");
                }
            }
            Ok(Compaction::NothingToDo) => {}
            Ok(Compaction::GaveUp { .. }) | Err(_) => self.pause_compaction(lease),
        }
    }

    fn pause_compaction(&self, lease: &mut Lease) {
        let now = self.shared.driver.clock.elapsed();
        lease.state.compact_not_before = now.saturating_add(self.shared.pauses.retry_compaction);
    }

    /// Prepares an index now, by the compaction under way or by one of its own. `false`: there is nothing to cover.
    ///
    /// Where the list has moved on, the session is dropped, so that the next one loads anew. `missing` is the object
    /// that showed it in the round before: if the newest commit that was loaded since still refers to it, it is lost.
    pub(super) async fn prepare(&self, lease: &mut Lease, missing: &mut Option<String>) -> Result<bool, WriterError> {
        let limit = self.shared.driver.policy.deadline;
        if lease.state.compaction.is_some() {
            let deadline = self.shared.driver.clock.sleep(limit);
            let list = lease.list().to_string();
            let accepted = std::pin::pin!(self.accept_compaction(lease));
            if let Either::Right(_) = future::select(accepted, deadline).await {
                return Err(WriterError::Unavailable {
                    target: list,
                    reason: "its compaction, which must come first, takes too long".into(),
                    may_have_appended: false,
                });
            }
        }
        let list = lease.list().to_string();
        let Some(session) = &mut lease.state.session else { return Ok(true) };
        if session.has_prepared() {
            return Ok(true);
        }
        let plan = session.compact(self.shared.driver.random.next());
        match run_compaction(&self.shared.driver, &list, plan, limit).await? {
            Compaction::Prepared(prepared) => {
                session.accept(prepared);
                Ok(true)
            }
            Compaction::GaveUp { object } => {
                lease.state.session = None;
                if missing.as_ref() == Some(&object) {
                    let reason = "it is missing, empty or another object, though the newest commit refers to it";
                    return Err(CorruptObject { object, reason }.into());
                }
                *missing = Some(object);
                Ok(true)
            }
            Compaction::NothingToDo => Ok(false),
        }
    }

    /// Publishes the session's prepared index and collects what it replaces; `false` where none is prepared (any
    /// more).
    pub(super) async fn publish(&self, lease: &mut Lease) -> Result<bool, WriterError> {
        let prepared = |session: &mut Session| session.has_prepared();
        let Some(session) = lease.state.session.take_if(prepared) else { return Ok(false) };
        let list = lease.list().clone();
        let (mut session, published) = self.run(&list, session.publish()).await?;
        let garbage = session.take_garbage();
        lease.state.session = Some(session);
        if let Some(garbage) = garbage {
            run_collection(&self.shared.driver, &list.to_string(), garbage).await;
        }
        Ok(published)
    }

    /// What a duty cycle does for one list.
    pub(super) async fn duty(&self, list: ListName) -> Result<DutyReport, WriterError> {
        let mut report = DutyReport::default();
        let (shared, pauses) = (&self.shared, &self.shared.pauses);
        let Some(mut lease) = shared.sessions.try_lease(&list) else { return Ok(report) };
        let now = shared.driver.clock.elapsed();
        let idle = now.saturating_sub(lease.state.last_append);
        let retained = now.saturating_sub(lease.state.last_retention);
        if !shared.options.retention.is_unlimited()
            && lease.state.session.is_some()
            && idle.min(retained) >= pauses.compact_idle
        {
            report.trimmed_count += self.retain(&mut lease).await?.trimmed_count;
        }
        let state = &mut *lease.state;
        let Some(session) = &state.session else { return Ok(report) };
        if state.compaction.is_none()
            && !session.has_prepared()
            && now >= state.compact_not_before
            && (idle >= pauses.compact_idle && session.idle_compaction_due()
                || (idle >= pauses.compact_idle || state.trim_waits) && session.trim_left_space())
        {
            state.trim_waits = false;
            let compaction = shared.background.compact(list.to_string(), session.compact(shared.driver.random.next()));
            let finished = compaction.finished();
            state.compaction = Some(compaction);
            // An append may come while it runs: the key is free meanwhile.
            drop(lease);
            finished.await;
            report.compacted_count += 1;
            match shared.sessions.try_lease(&list) {
                Some(again) => lease = again,
                None => return Ok(report),
            }
        }
        if lease.state.compaction.as_ref().is_some_and(|compaction| compaction.is_finished()) {
            self.accept_compaction(&mut lease).await;
        }
        let idle = shared.driver.clock.elapsed().saturating_sub(lease.state.last_append);
        if idle >= pauses.publish && self.publish(&mut lease).await? {
            report.published_count += 1;
        }
        Ok(report)
    }
}
