//! What runs saw, in numbers.

use std::collections::BTreeMap;
use std::fmt;

/// What one run or many saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Calls of the API, by their names.
    pub calls: BTreeMap<&'static str, u64>,
    /// Calls that ended with an error that a caller may see in bad weather, by their names.
    pub failed: BTreeMap<&'static str, u64>,
    /// What became of requests, by name.
    pub fates: BTreeMap<&'static str, u64>,
    /// Requests that reached the store.
    pub requests: u64,
    /// Runs.
    pub seeds: u64,
    /// Runs that sent every request by HTTP, as S3 speaks it.
    pub wire_seeds: u64,
    /// Acknowledged appends.
    pub appends: u64,
    /// Acknowledged items that were in the list already.
    pub duplicates: u64,
    /// Acknowledged trims and deletions.
    pub trims: u64,
    /// Indexes that commits published.
    pub compactions: u64,
    /// Objects that collections and sweeps freed.
    pub freed: u64,
    /// Collections and sweeps that freed something.
    pub collections: u64,
    /// Commits of another session than the one before.
    pub handovers: u64,
    /// Requests that took effect after their sender had given them up, slept or was gone.
    pub late: u64,
    /// Late requests that met a list that another session had gone on with.
    pub late_after_takeover: u64,
    /// Late PUTs of commits under names that had been collected or covered since.
    pub late_after_collection: u64,
    /// Commits created under names of the past.
    pub ghosts: u64,
    /// Requests and processes that waited for the moment at which they do the most harm.
    pub ambushes: u64,
    /// Processes that ended in the middle.
    pub crashes: u64,
    /// Processes that stood still and went on.
    pub sleeps: u64,
    /// Processes that stood still for ever.
    pub sleeps_for_ever: u64,
    /// Wall clocks that were set.
    pub clock_jumps: u64,
    /// Pages compared with the history.
    pub pages: u64,
    /// Items in them, and of followers.
    pub items_read: u64,
    /// Continuations whose object was gone.
    pub misses: u64,
    /// Lists that began with full leaves and ledger pages.
    pub long_lists: u64,
}

impl Tally {
    /// Counts a call.
    pub fn call(&mut self, name: &'static str) {
        *self.calls.entry(name).or_default() += 1;
    }

    /// All calls.
    pub fn operations(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in
            [(&mut self.calls, &other.calls), (&mut self.failed, &other.failed), (&mut self.fates, &other.fates)]
        {
            for (name, count) in others {
                *mine.entry(name).or_default() += count;
            }
        }
        let sums = [
            (&mut self.requests, other.requests),
            (&mut self.seeds, other.seeds),
            (&mut self.wire_seeds, other.wire_seeds),
            (&mut self.appends, other.appends),
            (&mut self.duplicates, other.duplicates),
            (&mut self.trims, other.trims),
            (&mut self.compactions, other.compactions),
            (&mut self.freed, other.freed),
            (&mut self.collections, other.collections),
            (&mut self.handovers, other.handovers),
            (&mut self.late, other.late),
            (&mut self.late_after_takeover, other.late_after_takeover),
            (&mut self.late_after_collection, other.late_after_collection),
            (&mut self.ghosts, other.ghosts),
            (&mut self.ambushes, other.ambushes),
            (&mut self.crashes, other.crashes),
            (&mut self.sleeps, other.sleeps),
            (&mut self.sleeps_for_ever, other.sleeps_for_ever),
            (&mut self.clock_jumps, other.clock_jumps),
            (&mut self.pages, other.pages),
            (&mut self.items_read, other.items_read),
            (&mut self.misses, other.misses),
            (&mut self.long_lists, other.long_lists),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
    }

    /// What a run of any length must have seen often to be worth its name.
    pub fn rare(&self) -> [(&'static str, u64); 6] {
        [
            ("compactions", self.compactions),
            ("collections", self.collections),
            ("handovers", self.handovers),
            ("late effects", self.late),
            ("trims", self.trims),
            ("ghosts", self.ghosts),
        ]
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |of: &BTreeMap<&str, u64>| {
            let each: Vec<String> = of.iter().map(|(name, count)| format!("{count} {name}")).collect();
            each.join(", ")
        };
        writeln!(formatter, "calls: {}", list(&self.calls))?;
        writeln!(formatter, "failed in bad weather: {}", list(&self.failed))?;
        writeln!(formatter, "requests: {}; {}", self.requests, list(&self.fates))?;
        let rare: Vec<String> = self.rare().iter().map(|(name, count)| format!("{count} {name}")).collect();
        writeln!(
            formatter,
            "seen: {}; {} of the late ones after a take-over, {} after a collection; {} objects freed",
            rare.join(", "),
            self.late_after_takeover,
            self.late_after_collection,
            self.freed
        )?;
        writeln!(
            formatter,
            "processes: {} crashes, {} sleeps, {} for ever, {} ambushes, {} clocks set; {} runs over HTTP, {} on long \
             lists",
            self.crashes,
            self.sleeps,
            self.sleeps_for_ever,
            self.ambushes,
            self.clock_jumps,
            self.wire_seeds,
            self.long_lists
        )?;
        write!(
            formatter,
            "checked: {} appends ({} duplicates), {} pages, {} items read, {} continuations whose object was gone",
            self.appends, self.duplicates, self.pages, self.items_read, self.misses
        )
    }
}
