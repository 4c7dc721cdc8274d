//! Credentials that are asked for at every request but fetched only when they run out.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use tokio::sync::Mutex;

/// So long before they expire, credentials are fetched anew: room for a slow source and for clocks that differ.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(300);
/// Credentials that name no expiry (a profile's keys, say) are read again after so long, as they may be rotated.
const LIFE_WITHOUT_EXPIRY: Duration = Duration::from_secs(900);
/// After a failed refresh the old credentials serve on for so long, while they last, before the source is asked again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Keeps what `source` gave until shortly before it expires. Callers that come meanwhile wait for the one fetch.
#[derive(Debug)]
pub(crate) struct RefreshingProvider<P> {
    source: P,
    clock: fn() -> SystemTime,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    refresh_at: SystemTime,
}

impl<P: ProvideCredentials> RefreshingProvider<P> {
    pub(crate) fn new(source: P) -> Self {
        Self::with_clock(source, system_time)
    }

    fn with_clock(source: P, clock: fn() -> SystemTime) -> Self {
        Self { source, clock, held: Mutex::new(None) }
    }

    async fn current(&self) -> Result {
        let mut held = self.held.lock().await;
        let now = (self.clock)();
        if let Some(held) = held.as_ref().filter(|held| now < held.refresh_at) {
            return Ok(held.credentials.clone());
        }
        match self.source.provide_credentials().await {
            Ok(credentials) => {
                let refresh_at = refresh_time(&credentials, now);
                *held = Some(Held { credentials: credentials.clone(), refresh_at });
                Ok(credentials)
            }
            // A source that fails for a moment does no harm while the old credentials last.
            Err(error) => match held.as_mut().filter(|held| lasts(&held.credentials, now)) {
                Some(held) => {
                    held.refresh_at = now + PAUSE_AFTER_FAILURE;
                    Ok(held.credentials.clone())
                }
                None => Err(error),
            },
        }
    }
}

impl<P: ProvideCredentials> ProvideCredentials for RefreshingProvider<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// When to fetch again. Short-lived credentials are used for half of what is left of them.
fn refresh_time(credentials: &Credentials, now: SystemTime) -> SystemTime {
    let Some(expiry) = credentials.expiry() else {
        return now + LIFE_WITHOUT_EXPIRY;
    };
    let left = expiry.duration_since(now).unwrap_or_default();
    now + left.saturating_sub(REFRESH_BEFORE_EXPIRY).max(left / 2)
}

fn lasts(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_none_or(|expiry| now < expiry)
}

#[allow(clippy::disallowed_methods, reason = "an edge: expiry is told in wall-clock time")]
fn system_time() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::error::CredentialsError;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Hands out numbered keys that last an hour by the test's clock; fails while told to.
    #[derive(Debug, Default)]
    struct Source {
        fetched: AtomicU64,
        failing: std::sync::atomic::AtomicBool,
    }

    impl ProvideCredentials for &'static Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async move {
                if self.failing.load(Ordering::SeqCst) {
                    return Err(CredentialsError::not_loaded("the source is away"));
                }
                let number = self.fetched.fetch_add(1, Ordering::SeqCst);
                let expiry = now() + Duration::from_secs(3_600);
                Ok(Credentials::new(format!("AKID{number}"), "SECRET", None, Some(expiry), "test"))
            })
        }
    }

    thread_local!(static SECONDS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS.get())
    }

    fn provider() -> (&'static Source, RefreshingProvider<&'static Source>) {
        let source: &'static Source = Box::leak(Box::default());
        (source, RefreshingProvider::with_clock(source, now))
    }

    #[tokio::test]
    async fn fetched_once_until_shortly_before_expiry() -> std::result::Result<(), CredentialsError> {
        let (_, provider) = provider();
        for (second, key) in [(0, "AKID0"), (3_299, "AKID0"), (3_300, "AKID1"), (6_500, "AKID1")] {
            SECONDS.set(second);
            assert_eq!(provider.provide_credentials().await?.access_key_id(), key, "at second {second}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_failing_refresh_is_bridged_while_the_old_ones_last() -> std::result::Result<(), CredentialsError> {
        let (source, provider) = provider();
        SECONDS.set(0);
        provider.provide_credentials().await?;
        source.failing.store(true, Ordering::SeqCst);
        SECONDS.set(3_500);
        assert_eq!(provider.provide_credentials().await?.access_key_id(), "AKID0");
        SECONDS.set(3_600);
        assert!(provider.provide_credentials().await.is_err(), "expired credentials must not be used");
        source.failing.store(false, Ordering::SeqCst);
        assert_eq!(provider.provide_credentials().await?.access_key_id(), "AKID1");
        Ok(())
    }
}
