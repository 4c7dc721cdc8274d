//! The bytes that may be in memory at once, over all threads, and the calls that wait for some.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::key_buffer::ListKey;
use crate::error::WriterError;
use crate::sync::{Care, Mutex, MutexGuard, PoisonError, kept, oneshot};

/// First come, first served, so that a large append is not overtaken for ever; but for keys that fail. Appends to
/// those are let in as long as failing keys hold less than half, then wait aside, or are refused where somebody has to
/// put the cause right. What keys had before they failed may be more: the last eighth is open to others then alone.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    items: u64,
    peak_bytes: u64,
    waiting: VecDeque<Waiting>,
    /// Those for keys that fail.
    aside: VecDeque<Waiting>,
    failing: HashMap<Arc<ListKey>, Failing>,
    /// What they have in memory together.
    failing_bytes: u64,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    list: Arc<ListKey>,
    share: Share,
    answer: oneshot::Sender<Result<Grant, WriterError>>,
}

#[derive(Debug, Default)]
struct Failing {
    bytes: u64,
    to_be_put_right: Option<Arc<WriterError>>,
}

/// What one append takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) bytes: u64,
    pub(super) items: u64,
}

/// A share that has been taken. Dropped, it is given back, unless the append is in memory now.
#[derive(Debug)]
pub(super) struct Grant {
    budget: Arc<Budget>,
    list: Arc<ListKey>,
    share: Share,
}

/// A place in the queue: resolves to the share, or to an error once the budget is closed. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct PlaceInQueue {
    budget: Arc<Budget>,
    answer: oneshot::Receiver<Result<Grant, WriterError>>,
}

/// What is taken now, and the most bytes that ever were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    pub(super) items: u64,
    pub(super) peak_bytes: u64,
}

/// Whether a share is let in.
enum Admission {
    Now,
    Waits,
    WaitsAside,
    Refused(WriterError),
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    /// Takes a share at once, where nobody else waits and there is room; `None` where it has to wait.
    pub(super) fn try_take(self: &Arc<Self>, list: &Arc<ListKey>, share: Share) -> Option<Result<Grant, WriterError>> {
        let mut state = self.state();
        state.forget_gone();
        if !state.waiting.is_empty() || state.closed {
            return None;
        }
        match state.admission(list, share, self.limit) {
            Admission::Now => {
                state.enter(list, share);
                Some(Ok(Grant { budget: self.clone(), list: list.clone(), share }))
            }
            Admission::Refused(error) => Some(Err(error)),
            Admission::Waits | Admission::WaitsAside => None,
        }
    }

    /// A share as soon as there is room and everybody before has had theirs. A share larger than the whole budget is
    /// given when nothing else is taken.
    pub(super) fn queue(self: &Arc<Self>, list: &Arc<ListKey>, share: Share) -> PlaceInQueue {
        let (answer, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            if !state.closed {
                push(&mut state.waiting, Waiting { list: list.clone(), share, answer });
            }
        }
        if kept(Care::QueueLooksAgain) {
            self.serve();
        }
        PlaceInQueue { budget: self.clone(), answer: receiver }
    }

    /// Whether somebody waits for what others hold.
    pub(super) fn is_short(&self) -> bool {
        let mut state = self.state();
        state.forget_gone();
        !state.waiting.is_empty()
    }

    /// Gives back what has left the memory.
    pub(super) fn release(self: &Arc<Self>, list: &ListKey, share: Share) {
        {
            let mut state = self.state();
            state.bytes = state.bytes.saturating_sub(share.bytes);
            state.items = state.items.saturating_sub(share.items);
            let failing_bytes = state.failing.get(list).map(|failing| failing.bytes.saturating_sub(share.bytes));
            if let Some(bytes) = failing_bytes {
                state.set_failing_bytes(list, bytes);
                state.look_aside_again(self.limit);
            }
        }
        if kept(Care::ReleaseServes) {
            self.serve();
        }
    }

    /// A key fails, or is likely to, with so much in memory.
    pub(super) fn fails(self: &Arc<Self>, list: Arc<ListKey>, bytes: u64, to_be_put_right: Option<Arc<WriterError>>) {
        {
            let mut state = self.state();
            state.failing.entry(list.clone()).or_default().to_be_put_right = to_be_put_right;
            state.set_failing_bytes(&list, bytes);
            // Who waits aside for this key may have to be told.
            let (of_it, others) =
                std::mem::take(&mut state.aside).into_iter().partition(|waiting| waiting.list == list);
            state.aside = others;
            state.put_first(of_it);
        }
        self.serve();
    }

    /// It works again, or has nothing in memory.
    pub(super) fn works(self: &Arc<Self>, list: &ListKey) {
        {
            let mut state = self.state();
            state.set_failing_bytes(list, 0);
            state.failing.remove(list);
            let aside = std::mem::take(&mut state.aside);
            state.put_first(aside);
        }
        self.serve();
    }

    /// Nobody is let in any longer, and whoever waits hears of it.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        state.aside.clear();
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.state();
        Usage { bytes: state.bytes, items: state.items, peak_bytes: state.peak_bytes }
    }

    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            state.forget_gone();
            let Some(first) = state.waiting.front() else { return };
            let admission = state.admission(&first.list, first.share, self.limit);
            if matches!(admission, Admission::Waits) {
                return;
            }
            let Some(first) = state.waiting.pop_front() else { return };
            let answer = match admission {
                Admission::Now => {
                    state.enter(&first.list, first.share);
                    Ok(Grant { budget: self.clone(), list: first.list, share: first.share })
                }
                Admission::Refused(error) => Err(error),
                Admission::WaitsAside | Admission::Waits => {
                    push(&mut state.aside, first);
                    continue;
                }
            };
            drop(state);
            // Whoever does not wait any longer has it dropped, and so given back.
            drop(first.answer.send(answer));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admission(&self, list: &ListKey, share: Share, limit: u64) -> Admission {
        if let Some(failing) = self.failing.get(list)
            && self.failing_bytes.saturating_add(share.bytes) > limit / 2
        {
            return match &failing.to_be_put_right {
                Some(cause) => {
                    let (list, cause) = (list.to_string(), cause.clone());
                    Admission::Refused(WriterError::FailingKeysFull { list, cause })
                }
                None => Admission::WaitsAside,
            };
        }
        let limit = if self.failing_bytes > limit / 2 { limit } else { limit - limit / 8 };
        let fits = self.bytes == 0 || self.bytes.saturating_add(share.bytes) <= limit;
        if fits { Admission::Now } else { Admission::Waits }
    }

    fn enter(&mut self, list: &ListKey, share: Share) {
        self.bytes += share.bytes;
        self.items += share.items;
        self.peak_bytes = self.peak_bytes.max(self.bytes);
        if let Some(failing) = self.failing.get_mut(list) {
            failing.bytes += share.bytes;
            self.failing_bytes += share.bytes;
        }
    }

    fn set_failing_bytes(&mut self, list: &ListKey, bytes: u64) {
        if let Some(failing) = self.failing.get_mut(list) {
            self.failing_bytes = self.failing_bytes - failing.bytes + bytes;
            failing.bytes = bytes;
        }
    }

    /// Failing keys hold less: who waits aside may be let in.
    fn look_aside_again(&mut self, limit: u64) {
        if self.failing_bytes <= limit / 2 {
            let aside = std::mem::take(&mut self.aside);
            self.put_first(aside);
        }
    }

    fn put_first(&mut self, mut waiting: VecDeque<Waiting>) {
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
    }

    /// Those at the front that do not wait any longer.
    fn forget_gone(&mut self) {
        while self.waiting.pop_front_if(|waiting| waiting.answer.is_closed()).is_some() {}
    }
}

/// Those who gave up are forgotten before the queue takes more memory.
fn push(queue: &mut VecDeque<Waiting>, waiting: Waiting) {
    if queue.len() == queue.capacity() {
        queue.retain(|waiting| !waiting.answer.is_closed());
    }
    queue.push_back(waiting);
}

impl Grant {
    /// The append is in memory: from now on the lane gives back what leaves it.
    pub(super) fn keep(mut self) {
        self.share = Share::default();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.share.bytes > 0 {
            self.budget.release(&self.list, self.share);
        }
    }
}

impl Future for PlaceInQueue {
    type Output = Result<Result<Grant, WriterError>, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context)
    }
}

impl Drop for PlaceInQueue {
    /// For those behind there may be room already.
    fn drop(&mut self) {
        self.answer.close();
        if kept(Care::LeavingServes) {
            self.budget.serve();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use proptest::prelude::*;

    fn share(bytes: u64) -> Share {
        Share { bytes, items: 1 }
    }

    fn list(key: &str) -> Arc<ListKey> {
        Arc::new(ListKey { keyspace: "ks".into(), key: key.into() })
    }

    fn granted(waiter: &mut PlaceInQueue) -> Option<Grant> {
        waiter.answer.try_recv().ok().map(Result::unwrap)
    }

    #[test]
    fn first_come_first_served_and_a_share_beyond_the_limit_alone() {
        let (budget, key) = (Budget::new(100), list("key"));
        budget.try_take(&key, share(60)).unwrap().unwrap().keep();
        let mut large = budget.queue(&key, share(500));
        let mut small = budget.queue(&key, share(1));
        assert!(budget.try_take(&key, share(1)).is_none(), "others wait already");
        assert!(granted(&mut large).is_none() && granted(&mut small).is_none() && budget.is_short());
        budget.release(&key, share(60));
        let alone = granted(&mut large).unwrap();
        assert!(granted(&mut small).is_none());
        assert_eq!((budget.usage().bytes, budget.usage().peak_bytes), (500, 500));
        drop(alone);
        granted(&mut small).unwrap().keep();
        assert!(!budget.is_short());
        assert_eq!((budget.usage().bytes, budget.usage().items), (1, 1));
    }

    #[test]
    fn failing_keys_hold_half_and_others_go_on() {
        let budget = Budget::new(800);
        let (bad, good, other) = (list("bad"), list("good"), list("other"));
        let take = |list: &Arc<ListKey>, bytes| budget.try_take(list, share(bytes)).map(|taken| taken.map(Grant::keep));
        take(&bad, 300).unwrap().unwrap();
        budget.fails(bad.clone(), 300, None);
        take(&bad, 100).unwrap().unwrap();
        assert!(take(&bad, 1).is_none(), "half");
        let (mut waits, mut others) = (budget.queue(&bad, share(1)), budget.queue(&good, share(300)));
        assert!(granted(&mut waits).is_none() && !budget.is_short(), "it waits aside");
        granted(&mut others).unwrap().keep();
        assert!(take(&other, 1).is_none(), "the last eighth");

        let cause = Arc::new(WriterError::KeyspaceNotFound { keyspace: "ks".into() });
        budget.fails(bad.clone(), 400, Some(cause));
        assert!(
            matches!(waits.answer.try_recv(), Ok(Err(WriterError::FailingKeysFull { .. }))),
            "nobody waits for a person"
        );
        assert!(matches!(take(&bad, 1), Some(Err(WriterError::FailingKeysFull { .. }))));
        budget.release(&bad, share(100));
        budget.works(&bad);
        take(&bad, 100).unwrap().unwrap();
        assert_eq!(budget.usage().bytes, 700);
    }

    #[test]
    fn what_failing_keys_had_before_leaves_an_eighth_to_others() {
        let (budget, bad, good) = (Budget::new(800), list("bad"), list("good"));
        let take = |list: &Arc<ListKey>, bytes| budget.try_take(list, share(bytes)).map(|taken| taken.map(Grant::keep));
        take(&bad, 700).unwrap().unwrap();
        let mut waits = budget.queue(&good, share(100));
        assert!(granted(&mut waits).is_none());
        budget.fails(bad.clone(), 700, None);
        granted(&mut waits).expect("the last eighth is for keys that work").keep();
        let mut aside = budget.queue(&bad, share(1));
        assert!(granted(&mut aside).is_none());
        budget.works(&bad);
        budget.release(&bad, share(700));
        granted(&mut aside).expect("it works again").keep();
    }

    #[test]
    fn closing_answers_whoever_waits() {
        let (budget, key) = (Budget::new(10), list("key"));
        budget.try_take(&key, share(10)).unwrap().unwrap().keep();
        let waits = budget.queue(&key, share(1));
        budget.close();
        assert!(block_on(waits).is_err() && block_on(budget.queue(&key, share(1))).is_err());
        assert!(budget.try_take(&key, share(1)).is_none() && !budget.is_short());
    }

    #[test]
    fn whoever_gives_up_makes_way() {
        let (budget, key) = (Budget::new(100), list("key"));
        budget.try_take(&key, share(60)).unwrap().unwrap().keep();
        let (large, mut small) = (budget.queue(&key, share(50)), budget.queue(&key, share(20)));
        assert!(granted(&mut small).is_none(), "others came first");
        drop(large);
        granted(&mut small).expect("there is room, and nobody before it").keep();
        assert_eq!(budget.usage().bytes, 80);
    }

    proptest! {
        /// Whoever comes, goes or gives up: the limit holds but for a share that is alone, and none of it is lost.
        #[test]
        fn the_limit_holds_and_everybody_is_served(steps in prop::collection::vec((0_u8..4, 1_u64..60), 0..200)) {
            let (budget, key) = (Budget::new(50), list("key"));
            let (mut taken, mut waiting): (Vec<Grant>, Vec<PlaceInQueue>) = Default::default();
            for (step, number) in steps {
                let place = number as usize;
                match step {
                    0 => taken.extend(budget.try_take(&key, share(number)).map(Result::unwrap)),
                    1 => waiting.push(budget.queue(&key, share(number))),
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(place % waiting.len())),
                    _ if !taken.is_empty() => drop(taken.swap_remove(place % taken.len())),
                    _ => {}
                }
                waiting.retain_mut(|place| match place.answer.try_recv() {
                    Ok(grant) => {
                        taken.push(grant.unwrap());
                        false
                    }
                    Err(_) => true,
                });
                let usage = budget.usage();
                prop_assert_eq!(usage.bytes, taken.iter().map(|grant| grant.share.bytes).sum::<u64>());
                prop_assert!(usage.bytes <= 50 || taken.len() == 1);
                prop_assert!(waiting.is_empty() || !taken.is_empty(), "nothing is taken, and yet somebody waits");
            }
        }
    }
}
