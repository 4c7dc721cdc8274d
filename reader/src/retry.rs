//! How often, how long and how patiently a request is tried.

use std::time::Duration;

/// Bounds on the attempts of one request. Tried again are time-outs, broken connections, short answers, 5xx and 429.
///
/// ```
/// use std::time::Duration;
/// use klstore_reader::RetryPolicy;
/// // For a slow link: more time for each attempt and in all.
/// let policy = RetryPolicy {
///     attempt_timeout: Duration::from_secs(60),
///     deadline: Duration::from_secs(180),
///     ..RetryPolicy::default()
/// };
/// assert_eq!(policy.attempts, 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; 0 counts as 1.
    pub attempts: u32,
    /// The pause after the first attempt lasts up to so long, and twice as long after each further one.
    pub base_delay: Duration,
    /// No pause is longer.
    pub max_delay: Duration,
    /// An attempt, its whole body included, may take so long.
    pub attempt_timeout: Duration,
    /// All attempts and pauses of one request together may take so long.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    /// 5 attempts, pauses from 100 ms to 3 s, 15 s for an attempt and 30 s in all.
    fn default() -> Self {
        Self {
            attempts: 5,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// The pause after this many failed attempts: anything up to the bound, so that many clients do not come back
    /// together.
    pub(crate) fn pause(&self, failed: u32, random: u64) -> Duration {
        let factor = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = self.base_delay.saturating_mul(factor).min(self.max_delay);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if nanos == 0 { 0 } else { random % nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let policy = RetryPolicy::default();
        for (failed, bound) in [(1, 100), (2, 200), (3, 400), (6, 3_000), (40, 3_000), (u32::MAX, 3_000)] {
            let bound = Duration::from_millis(bound);
            let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
            assert_eq!(policy.pause(failed, nanos - 1), bound - Duration::from_nanos(1));
            assert_eq!(policy.pause(failed, nanos), Duration::ZERO);
        }
        assert_eq!(RetryPolicy { base_delay: Duration::ZERO, ..policy }.pause(3, 9), Duration::ZERO);
    }
}
