//! Tokio's, with a point before each use at which another task may go on.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use shuttle::future::JoinHandle;
use tokio::sync::{AcquireError, OwnedMutexGuard, OwnedSemaphorePermit, TryLockError};

/// Others may come first. Not `yield_now`, by which a task would stand back for all others.
pub fn others_may_come() {
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

/// The one runtime there is.
#[derive(Clone)]
pub struct Handle;

impl Handle {
    pub fn try_current() -> Result<Self, Infallible> {
        Ok(Self)
    }

    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        shuttle::future::spawn(task)
    }
}

pub struct AsyncMutex<T>(Arc<tokio::sync::Mutex<T>>);

impl<T> AsyncMutex<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(value)))
    }

    pub async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        others_may_come();
        self.0.clone().lock_owned().await
    }

    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        others_may_come();
        self.0.clone().try_lock_owned()
    }

    pub fn try_lock(&self) -> Result<tokio::sync::MutexGuard<'_, T>, TryLockError> {
        others_may_come();
        self.0.try_lock()
    }
}

pub struct Semaphore(Arc<tokio::sync::Semaphore>);

impl Semaphore {
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(permits)))
    }

    pub async fn acquire(&self) -> Result<tokio::sync::SemaphorePermit<'_>, AcquireError> {
        others_may_come();
        self.0.acquire().await
    }

    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        others_may_come();
        self.0.clone().acquire_owned().await
    }

    pub fn close(&self) {
        others_may_come();
        self.0.close();
    }
}

pub struct OnceCell<T>(tokio::sync::OnceCell<T>);

impl<T> OnceCell<T> {
    pub fn new() -> Self {
        Self(tokio::sync::OnceCell::new())
    }

    pub async fn get_or_try_init<E, F>(&self, value: impl FnOnce() -> F) -> Result<&T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        others_may_come();
        self.0.get_or_try_init(value).await
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

pub mod oneshot {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::others_may_come;
    use tokio::sync::oneshot;

    pub use tokio::sync::oneshot::error;

    #[derive(Debug)]
    pub struct Sender<T>(oneshot::Sender<T>);

    #[derive(Debug)]
    pub struct Receiver<T>(oneshot::Receiver<T>);

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Sender(sender), Receiver(receiver))
    }

    impl<T> Sender<T> {
        pub fn send(self, value: T) -> Result<(), T> {
            others_may_come();
            self.0.send(value)
        }

        pub fn is_closed(&self) -> bool {
            self.0.is_closed()
        }
    }

    impl<T> Receiver<T> {
        pub fn close(&mut self) {
            others_may_come();
            self.0.close();
        }

        pub fn try_recv(&mut self) -> Result<T, oneshot::error::TryRecvError> {
            others_may_come();
            self.0.try_recv()
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, oneshot::error::RecvError>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            Pin::new(&mut self.0).poll(context)
        }
    }
}
