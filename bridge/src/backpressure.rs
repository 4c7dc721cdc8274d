//! When to stop fetching, by the bytes in memory.

/// Pauses at the budget, and resumes at half of it: what is paused and resumed often is fetched often.
#[derive(Debug, Clone)]
pub struct Backpressure {
    budget: u64,
    used: u64,
    paused: bool,
}

/// What to do with all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Pause them.
    Pause,
    /// Let them go on.
    Resume,
}

impl Backpressure {
    /// With a budget in bytes.
    pub fn new(budget: u64) -> Self {
        Self { budget, used: 0, paused: false }
    }

    /// Bytes came in.
    pub fn add(&mut self, bytes: u64) {
        self.used += bytes;
    }

    /// Bytes are free again.
    pub fn free(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Bytes in memory.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Whether partitions are to be paused; a new one too.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// What has to change now.
    pub fn change(&mut self) -> Option<Change> {
        if !self.paused && self.used >= self.budget {
            self.paused = true;
            return Some(Change::Pause);
        }
        if self.paused && self.used <= self.budget / 2 {
            self.paused = false;
            return Some(Change::Resume);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_at_the_budget_and_resumes_at_half_of_it() {
        let mut backpressure = Backpressure::new(100);
        backpressure.add(99);
        assert_eq!(backpressure.change(), None);
        backpressure.add(30);
        assert_eq!((backpressure.change(), backpressure.change()), (Some(Change::Pause), None));
        backpressure.free(78);
        assert_eq!((backpressure.change(), backpressure.is_paused()), (None, true));
        backpressure.free(1);
        assert_eq!((backpressure.change(), backpressure.change()), (Some(Change::Resume), None));
        assert_eq!(backpressure.used(), 50);
    }
}
