//! How far a partition is done: the offset that may be committed.

use std::collections::VecDeque;
use std::time::Duration;

/// Of one partition: which records are under way, and before which offset everything is settled (durable,
/// deduplicated, dead-lettered or skipped by policy).
///
/// ```
/// use std::time::Duration;
/// use klstore_bridge::frontier::Frontier;
/// let mut frontier = Frontier::new(100, None);
/// // Two lists' worth of records 100 to 104, then one of 105 to 109 (gaps are normal).
/// let first = frontier.take(100, 104, 2, Duration::ZERO);
/// let second = frontier.take(105, 109, 1, Duration::ZERO);
/// frontier.settle(second);
/// frontier.settle(first);
/// assert_eq!(frontier.settled(), 100);
/// frontier.settle(first);
/// assert_eq!((frontier.settled(), frontier.to_commit()), (110, Some(110)));
/// ```
#[derive(Debug, Clone)]
pub struct Frontier {
    /// Behind the last record that was taken.
    next: i64,
    committed: Option<i64>,
    /// Chunks under way, oldest first; a settled one stays until all before it are settled.
    open: VecDeque<Chunk>,
    /// The ticket of the oldest of them.
    oldest: u64,
}

/// Names a chunk of records of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug, Clone, Copy)]
struct Chunk {
    first: i64,
    parts: usize,
    since: Duration,
}

impl Frontier {
    /// For a partition that is read from `start` on; `committed` is what the group has committed, if anything.
    pub fn new(start: i64, committed: Option<i64>) -> Self {
        Self { next: start, committed, open: VecDeque::new(), oldest: 0 }
    }

    /// Whether a record is new here: the client may deliver one again after a pause or a seek.
    pub fn is_new(&self, offset: i64) -> bool {
        offset >= self.next
    }

    /// Behind the last record that was taken.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Takes the records from `first` to `last`, which `parts` calls of [`settle`](Self::settle) will settle; with 0
    /// they are settled already. `now` is when.
    pub fn take(&mut self, first: i64, last: i64, parts: usize, now: Duration) -> Ticket {
        debug_assert!(self.is_new(first) && first <= last, "{first} to {last} are not new to {self:?}");
        let ticket = Ticket(self.oldest + self.open.len() as u64);
        self.open.push_back(Chunk { first, parts, since: now });
        self.next = last.saturating_add(1);
        self.close();
        ticket
    }

    /// There are no records below `offset` beyond what was taken: aborted ones and markers take offsets too.
    pub fn skip_to(&mut self, offset: i64) {
        self.next = self.next.max(offset);
    }

    /// One part of a chunk is settled.
    pub fn settle(&mut self, ticket: Ticket) {
        let index = ticket.0.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        if let Some(chunk) = index.and_then(|index| self.open.get_mut(index)) {
            chunk.parts = chunk.parts.saturating_sub(1);
            self.close();
        }
    }

    fn close(&mut self) {
        while self.open.front().is_some_and(|chunk| chunk.parts == 0) {
            self.open.pop_front();
            self.oldest += 1;
        }
    }

    /// All records below this offset are settled.
    pub fn settled(&self) -> i64 {
        self.open.front().map_or(self.next, |chunk| chunk.first)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// When the oldest record under way was taken.
    pub fn oldest_since(&self) -> Option<Duration> {
        self.open.front().map(|chunk| chunk.since)
    }

    /// What should be committed; `None` where that has been done.
    pub fn to_commit(&self) -> Option<i64> {
        let settled = self.settled();
        (self.committed != Some(settled)).then_some(settled)
    }

    /// The group has committed `offset`.
    pub fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// Has what is settled committed again, with what is kept beside it.
    pub fn commit_again(&mut self) {
        self.committed = None;
    }

    /// Forgets what is under way: it will be read again, from what is settled on.
    pub fn rewind(&mut self) -> i64 {
        self.next = self.settled();
        self.oldest += self.open.len() as u64;
        self.open.clear();
        self.next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        /// A chunk of so many parts, with the gaps before each of its records.
        Take(usize, Vec<i64>),
        /// Settles one of the open parts, whichever.
        Settle(usize),
        Commit,
        Rewind,
        SkipTo(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4_usize, prop::collection::vec(0..3_i64, 1..6)).prop_map(|(parts, gaps)| Step::Take(parts, gaps)),
            8 => any::<usize>().prop_map(Step::Settle),
            2 => Just(Step::Commit),
            1 => Just(Step::Rewind),
            1 => (-3..5_i64).prop_map(Step::SkipTo),
        ]
    }

    proptest! {
        /// Against a model that knows each record that is not settled.
        #[test]
        fn what_is_committed_is_never_beyond_a_record_that_is_not_settled(
            start in 0..1_000_i64,
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut frontier = Frontier::new(start, None);
            let mut next = start;
            let mut parts: Vec<(Ticket, Vec<i64>)> = Vec::new();
            let mut committed = None;
            for step in steps {
                let before = frontier.settled();
                match step {
                    Step::Take(count, gaps) => {
                        let offsets: Vec<i64> = gaps.iter().map(|gap| {
                            let offset = next + gap;
                            next = offset + 1;
                            offset
                        }).collect();
                        let ticket = frontier.take(offsets[0], next - 1, count, Duration::ZERO);
                        // Each part has some of the records; whole chunks are settled with their last part.
                        parts.extend((0..count).map(|_| (ticket, offsets.clone())));
                    }
                    Step::Settle(which) if !parts.is_empty() => {
                        let (ticket, _) = parts.swap_remove(which % parts.len());
                        frontier.settle(ticket);
                    }
                    Step::Settle(_) => {}
                    Step::Commit => {
                        if let Some(offset) = frontier.to_commit() {
                            prop_assert!(committed.is_none_or(|committed| committed < offset));
                            frontier.committed(offset);
                            committed = Some(offset);
                        }
                    }
                    Step::SkipTo(ahead) => {
                        frontier.skip_to(next + ahead);
                        next += ahead.max(0);
                    }
                    Step::Rewind => {
                        next = frontier.rewind();
                        for (ticket, _) in parts.drain(..) {
                            // A late answer to what was forgotten.
                            frontier.settle(ticket);
                        }
                    }
                }
                let open: BTreeSet<i64> = parts.iter().flat_map(|(_, offsets)| offsets.iter().copied()).collect();
                prop_assert_eq!(frontier.settled(), open.first().copied().unwrap_or(next));
                prop_assert!(frontier.settled() >= before);
                prop_assert_eq!(frontier.is_idle(), open.is_empty());
                prop_assert!(committed.is_none_or(|committed| committed <= frontier.settled()));
            }
        }
    }
}
