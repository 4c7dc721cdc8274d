//! The lanes' queues, as far as the writer uses crossbeam's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::time;

pub use std::sync::mpsc::{RecvTimeoutError, SendError};

pub struct Sender<T>(Arc<Channel<T>>);
pub struct Receiver<T>(Arc<Channel<T>>);

struct Channel<T> {
    queue: Mutex<Queue<T>>,
    came: Condvar,
}

struct Queue<T> {
    messages: VecDeque<T>,
    has_receiver: bool,
}

pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Mutex::new(Queue { messages: VecDeque::new(), has_receiver: true });
    let channel = Arc::new(Channel { queue, came: Condvar::new() });
    (Sender(channel.clone()), Receiver(channel))
}

impl<T> Channel<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut queue = self.0.queue();
        if !queue.has_receiver {
            return Err(SendError(message));
        }
        queue.messages.push_back(message);
        self.0.came.notify_one();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Receiver<T> {
    /// Where time stands still, it waits until somebody sends; else the wait is over once others had a turn.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let mut queue = self.0.queue();
        loop {
            if let Some(message) = queue.messages.pop_front() {
                return Ok(message);
            }
            if time::passes() {
                drop(queue);
                shuttle::thread::yield_now();
                time::pass(timeout);
                return Err(RecvTimeoutError::Timeout);
            }
            queue = self.0.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.0.queue().messages.pop_front())
    }
}

impl<T> Drop for Receiver<T> {
    /// As crossbeam's: what is in the queue is dropped, whoever still has a sender.
    fn drop(&mut self) {
        let left = {
            let mut queue = self.0.queue();
            queue.has_receiver = false;
            std::mem::take(&mut queue.messages)
        };
        drop(left);
    }
}
