//! Exchanges that do not depend on each other: several at a time, their outcomes in order.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

enum Exchange<F: Future> {
    UnderWay(Pin<Box<F>>),
    Done(F::Output),
}

/// Carries `exchanges` out, at most `limit` (at least 1) at a time, and hands each outcome to `take` in their order. With
/// the first error of `take` it ends, and drops what is under way.
pub(crate) async fn in_order<F: Future, E>(
    exchanges: impl IntoIterator<Item = F>,
    limit: usize,
    mut take: impl FnMut(F::Output) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = exchanges.into_iter();
    let mut begun: Vec<Exchange<F>> = Vec::new();
    poll_fn(|context| {
        loop {
            while begun.len() < limit.max(1) {
                let Some(next) = waiting.next() else { break };
                begun.push(Exchange::UnderWay(Box::pin(next)));
            }
            if begun.is_empty() {
                return Poll::Ready(Ok(()));
            }
            for exchange in &mut begun {
                if let Exchange::UnderWay(future) = exchange
                    && let Poll::Ready(outcome) = future.as_mut().poll(context)
                {
                    *exchange = Exchange::Done(outcome);
                }
            }
            if let Some(Exchange::UnderWay(_)) = begun.first() {
                return Poll::Pending;
            }
            while let Some(Exchange::Done(_)) = begun.first() {
                if let Exchange::Done(outcome) = begun.remove(0) {
                    take(outcome)?;
                }
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    use futures::FutureExt;
    use futures::channel::oneshot;

    /// Answers to exchanges in this order; what is taken, and the most that were under way.
    fn check(answers: &[usize], limit: usize) -> (Vec<usize>, usize) {
        let (begun, ended) = (Cell::new(0), Cell::new(0));
        let most = Cell::new(0);
        let taken = RefCell::new(Vec::new());
        let (senders, receivers): (Vec<_>, Vec<_>) = answers.iter().map(|_| oneshot::channel::<usize>()).unzip();
        let mut senders: Vec<_> = senders.into_iter().map(Some).collect();
        let exchanges = receivers.into_iter().map(|receiver| {
            let (begun, ended, most) = (&begun, &ended, &most);
            async move {
                begun.set(begun.get() + 1);
                most.set(most.get().max(begun.get() - ended.get()));
                let answer = receiver.await;
                ended.set(ended.get() + 1);
                answer
            }
        });
        let mut all = Box::pin(in_order(exchanges, limit, |answer| {
            taken.borrow_mut().push(answer.unwrap());
            Ok::<(), ()>(())
        }));
        for &number in answers {
            assert!((&mut all).now_or_never().is_none());
            senders[number].take().unwrap().send(number).unwrap();
        }
        assert_eq!((&mut all).now_or_never(), Some(Ok(())));
        drop(all);
        (taken.into_inner(), most.get())
    }

    #[test]
    fn outcomes_come_in_order_whatever_the_order_of_the_answers() {
        for answers in [&[0, 1, 2, 3, 4][..], &[4, 3, 2, 1, 0], &[1, 0, 4, 2, 3], &[]] {
            for limit in [1, 2, 6] {
                let (taken, most) = check(answers, limit);
                assert_eq!(taken, (0..answers.len()).collect::<Vec<_>>());
                assert!(most <= limit, "{most} at a time, {limit} allowed");
                assert_eq!(most, limit.min(answers.len()));
            }
        }
    }

    #[test]
    fn an_error_ends_it_and_drops_what_is_under_way() {
        let dropped = Cell::new(0);
        struct Count<'a>(&'a Cell<u32>);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let exchanges = (0..3).map(|number| {
            let count = Count(&dropped);
            async move {
                let _count = count;
                if number > 0 {
                    futures::future::pending::<()>().await;
                }
            }
        });
        assert_eq!(in_order(exchanges, 2, |()| Err("no")).now_or_never(), Some(Err("no")));
        assert_eq!(dropped.get(), 2, "and the third was never begun");
    }
}
