/// Something that is done only for what other threads may do meanwhile. `tests/interleavings` leaves them out, one at a
/// time, to prove that it notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Memory that is given back goes to whoever waits.
    ReleaseServes,
    /// Who begins to wait looks again whether there is room: it may have come since the last look.
    QueueLooksAgain,
    /// Whoever gives up waiting makes way for those behind.
    LeavingServes,
    /// Lanes are told that callers wait for memory.
    LanesHear,
    /// Whoever is told what came of a call finds it in the statistics.
    CountedBeforeTold,
    /// A close comes before an append is looked at or after it is handed over, never in between.
    OpenUntilSent,
    /// One duty cycle at a time.
    OneDutyCycle,
    /// A key in use stays in the cache.
    UsedKeysStay,
}
