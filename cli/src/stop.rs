//! Ctrl-C and SIGTERM.

use crate::failure::{Failure, Kind};

/// Resolves at the first Ctrl-C or SIGTERM after the call.
///
/// # Errors
/// Where the system does not tell of signals.
#[cfg(unix)]
pub fn requested() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    // Listened to from now on, not only once the future is polled.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at the first Ctrl-C after the call.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn requested() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(unix)]
fn no_signals(error: std::io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("cannot listen for signals: {error}"))
}
