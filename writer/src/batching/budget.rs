//! The bytes that may be in memory at once, over all threads, and the calls that wait for some.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// First come, first served, so that a large append is not overtaken for ever.
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
    waiting: VecDeque<(Share, oneshot::Sender<Grant>)>,
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
    share: Share,
}

/// What is taken now, and the most bytes that ever were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    pub(super) items: u64,
    pub(super) peak_bytes: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    /// Takes a share at once, where nobody else waits and there is room.
    pub(super) fn try_take(self: &Arc<Self>, share: Share) -> Option<Grant> {
        let mut state = self.state();
        let free = state.waiting.is_empty() && state.has_room(share, self.limit);
        free.then(|| self.grant(&mut state, share))
    }

    /// A share as soon as there is room and everybody before has had theirs. A share larger than the whole budget is
    /// given when nothing else is taken. Dropping the receiver gives the place in the queue up.
    pub(super) fn queue(self: &Arc<Self>, share: Share) -> oneshot::Receiver<Grant> {
        let (sender, receiver) = oneshot::channel();
        self.state().waiting.push_back((share, sender));
        self.serve();
        receiver
    }

    /// Whether somebody waits.
    pub(super) fn is_short(&self) -> bool {
        let mut state = self.state();
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        !state.waiting.is_empty()
    }

    /// Gives back what has left the memory.
    pub(super) fn release(self: &Arc<Self>, share: Share) {
        {
            let mut state = self.state();
            state.bytes = state.bytes.saturating_sub(share.bytes);
            state.items = state.items.saturating_sub(share.items);
        }
        self.serve();
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.state();
        Usage { bytes: state.bytes, items: state.items, peak_bytes: state.peak_bytes }
    }

    fn grant(self: &Arc<Self>, state: &mut State, share: Share) -> Grant {
        state.bytes += share.bytes;
        state.items += share.items;
        state.peak_bytes = state.peak_bytes.max(state.bytes);
        Grant { budget: self.clone(), share }
    }

    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            while state.waiting.pop_front_if(|(_, sender)| sender.is_closed()).is_some() {}
            let fits = state.waiting.front().is_some_and(|(share, _)| state.has_room(*share, self.limit));
            let Some((share, sender)) = state.waiting.pop_front_if(|_| fits) else { return };
            let grant = self.grant(&mut state, share);
            drop(state);
            // Whoever does not wait any longer has it dropped, and so given back.
            drop(sender.send(grant));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, share: Share, limit: u64) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(share.bytes) <= limit
    }
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
            self.budget.release(self.share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(bytes: u64) -> Share {
        Share { bytes, items: 1 }
    }

    #[test]
    fn first_come_first_served_and_a_share_beyond_the_limit_alone() {
        let budget = Budget::new(100);
        budget.try_take(share(60)).unwrap().keep();
        let mut large = budget.queue(share(500));
        let mut small = budget.queue(share(1));
        assert!(budget.try_take(share(1)).is_none(), "others wait already");
        assert!(large.try_recv().is_err() && small.try_recv().is_err() && budget.is_short());
        budget.release(share(60));
        let granted = large.try_recv().unwrap();
        assert!(small.try_recv().is_err());
        assert_eq!((budget.usage().bytes, budget.usage().peak_bytes), (500, 500));
        drop(granted);
        small.try_recv().unwrap().keep();
        assert!(!budget.is_short());
        assert_eq!((budget.usage().bytes, budget.usage().items), (1, 1));
    }

    proptest! {
        /// Whoever comes, goes or gives up: the limit holds but for a share that is alone, and none of it is lost.
        #[test]
        fn the_limit_holds_and_everybody_is_served(steps in prop::collection::vec((0_u8..4, 1_u64..60), 0..200)) {
            let budget = Budget::new(50);
            let (mut taken, mut waiting): (Vec<Grant>, Vec<oneshot::Receiver<Grant>>) = Default::default();
            for (step, number) in steps {
                let place = number as usize;
                match step {
                    0 => taken.extend(budget.try_take(share(number))),
                    1 => waiting.push(budget.queue(share(number))),
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(place % waiting.len())),
                    _ if !taken.is_empty() => drop(taken.swap_remove(place % taken.len())),
                    _ => {}
                }
                waiting.retain_mut(|receiver| match receiver.try_recv() {
                    Ok(grant) => {
                        taken.push(grant);
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
