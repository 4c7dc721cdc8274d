//! A writer of one list in a [`TestStore`]: its session goes from one plan to the next.

use std::sync::Arc;

use bytes::Bytes;

use super::{Session, SessionOptions};
use crate::error::FormatError;
use crate::item::Insertion;
use crate::plan::read::test_list::{header, list_name};
use crate::plan::test_store::TestStore;
use crate::plan::{AppendOutcome, Appended, Compaction, Garbage, Plan, Prepared, TrimOutcome, TrimTo, verify};
use crate::wire::commit::{CommitHeader, Totals};
use crate::wire::head::HeadPage;
use crate::wire::identity::{CommitIdentity, SessionId};
use crate::wire::run::Run;

/// The time of every append.
pub(in crate::plan) const NOW: i64 = 1_357_000_000_000;

pub(in crate::plan) struct Writer {
    pub(in crate::plan) store: TestStore,
    /// `None` while a plan has it, and after an error.
    pub(in crate::plan) session: Option<Session>,
    options: Arc<SessionOptions>,
    ids: u128,
}

/// So many insertions of so many bytes each, which compress well.
pub(in crate::plan) fn values(count: usize, bytes: usize) -> Vec<Insertion> {
    vec![Insertion::new(Bytes::from(vec![b'v'; bytes])); count]
}

/// The header of a commit whose table is empty, in a list that begins with it.
pub(in crate::plan) fn first_in_table(commit: CommitIdentity, run: Run) -> CommitHeader {
    let mut totals = Totals::EMPTY;
    totals.add(&run);
    CommitHeader {
        commit,
        run,
        carry_first: run.first,
        start: run.first,
        totals,
        before: Run::empty(run.first, run.running_max_timestamp, run.next_nonce),
        ..header(commit.seq, 0, Run::empty(0, 0, 0), &[])
    }
}

impl Writer {
    pub(in crate::plan) fn new(options: SessionOptions) -> Self {
        Self::of(TestStore::default(), options)
    }

    /// A writer of the list that is in the store already.
    pub(in crate::plan) fn of(store: TestStore, options: SessionOptions) -> Self {
        let mut writer = Self { store, session: None, options: Arc::new(options), ids: 1 << 100 };
        writer.reopen();
        writer
    }

    /// Goes on with a fresh session; returns the one so far.
    pub(in crate::plan) fn reopen(&mut self) -> Option<Session> {
        let open = Session::open(list_name(), SessionId(self.draw()), self.options.clone());
        let fresh = self.store.run(open).unwrap();
        self.session.replace(fresh)
    }

    pub(in crate::plan) fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    /// The newest commit that the session knows.
    pub(in crate::plan) fn newest(&self) -> &CommitHeader {
        self.session().newest().unwrap()
    }

    /// Runs a plan that takes the session and gives it back.
    pub(in crate::plan) fn run<T>(
        &mut self,
        plan: impl FnOnce(Session) -> Plan<Result<(Session, T), FormatError>>,
    ) -> Result<T, FormatError> {
        let session = self.session.take().unwrap();
        let (session, outcome) = self.store.run(plan(session))?;
        self.session = Some(session);
        Ok(outcome)
    }

    pub(in crate::plan) fn append(&mut self, insertions: Vec<Insertion>) -> Appended {
        match self.run(|session| session.append(insertions, NOW)) {
            Ok(AppendOutcome::Appended(appended)) => appended,
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::plan) fn trim(&mut self, start: u64) {
        match self.run(|session| session.trim(TrimTo::Offset(start))) {
            Ok(TrimOutcome::Trimmed(trimmed)) => assert_eq!(trimmed.start, start),
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::plan) fn compact(&mut self) -> Compaction {
        let id = self.draw();
        self.store.run(self.session().compact(id)).unwrap()
    }

    pub(in crate::plan) fn prepare(&mut self) -> Prepared {
        match self.compact() {
            Compaction::Prepared(prepared) => prepared,
            other => panic!("{other:?}"),
        }
    }

    /// Compacts and publishes with a commit of its own: the new index, and what it leaves over.
    pub(in crate::plan) fn publish(&mut self) -> (Arc<HeadPage>, Garbage) {
        let prepared = self.prepare();
        let head_page = prepared.head_page.clone();
        let session = self.session.as_mut().unwrap();
        assert!(session.accept(prepared));
        assert!(self.run(Session::publish).unwrap());
        (head_page, self.session.as_mut().unwrap().take_garbage().unwrap())
    }

    /// Reads all of the list, which must be sound and end where the session knows it to.
    pub(in crate::plan) fn check_list(&mut self) {
        let mut store = self.store.clone();
        let report = store.run(verify(list_name(), Arc::default())).unwrap();
        assert_eq!(report.damages, []);
        assert_eq!((report.first_offset, report.next_offset), (self.newest().start, self.newest().next_offset()));
        assert_eq!(report.items, report.next_offset - report.first_offset);
    }

    /// A number that was not used yet, far from the next one: a compaction counts on from it.
    fn draw(&mut self) -> u128 {
        self.ids += 1 << 32;
        self.ids
    }
}
