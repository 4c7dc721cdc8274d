//! Ctrl-C and SIGTERM.

use std::process;

use tokio::sync::oneshot;

use crate::failure::Failure;

/// Resolves at the first Ctrl-C or SIGTERM after the call, for a command that then ends what it has begun. A second
/// one ends the process at once, as it would have without this: with 128 and the signal's number.
///
/// # Errors
/// Where the system does not tell of signals.
pub fn requested() -> Result<impl Future<Output = ()>, Failure> {
    // Listened to from now on, not only once the future is polled.
    let mut signals = Signals::listen()?;
    let (first, requested) = oneshot::channel();
    tokio::spawn(async move {
        signals.next().await;
        // Nobody may wait for it any more: the command is at its end.
        let _ = first.send(());
        process::exit(signals.next().await);
    });
    Ok(async move {
        if requested.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::io("cannot listen for signals", error);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Waits for a signal, and gives the exit code that shells show for it.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        130
    }
}
