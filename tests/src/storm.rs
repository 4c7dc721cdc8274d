//! Random faults of the server: refusals, lost answers, short answers, and effects that come late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klstore_s3_server::{Fault, Faults, Gate, Operation, Refusal};
use rand::RngExt;

use crate::seeded::{Random, percent};

/// Requests that are held back at once.
const MAX_LATE: usize = 20;

/// Switches random faults on.
pub struct Storm {
    faults: Faults,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    gates: Vec<Gate>,
    struck: u64,
    late: u64,
}

impl Storm {
    /// A storm over a server, calm at first.
    pub fn new(faults: &Faults, random: Random) -> Self {
        let state = State { random, gates: Vec::new(), struck: 0, late: 0 };
        Self { faults: faults.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// So many requests in a hundred are struck from now on.
    pub fn rage(&self, chance: u32) {
        let state = self.state.clone();
        self.faults.set(move |request| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if percent(&mut state.random, 1) {
                state.open_one();
            }
            if percent(&mut state.random, chance) { state.strike(request.operation) } else { Fault::None }
        });
    }

    /// No more faults; what was late takes effect.
    pub fn calm(&self) {
        self.faults.clear();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for gate in std::mem::take(&mut state.gates) {
            gate.open();
        }
    }

    /// Requests struck so far, and how many of them were to take effect late.
    pub fn struck(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.struck, state.late)
    }
}

impl State {
    fn open_one(&mut self) {
        if !self.gates.is_empty() {
            let place = self.random.random_range(0..self.gates.len());
            self.gates.swap_remove(place).open();
        }
    }

    fn strike(&mut self, operation: Operation) -> Fault {
        self.struck += 1;
        let changes = matches!(operation, Operation::PutObject | Operation::DeleteObject | Operation::DeleteObjects);
        match self.random.random_range(0..100) {
            0..20 => Fault::SLOW_DOWN,
            20..35 => Fault::Refuse(Refusal::INTERNAL_ERROR),
            35..55 => Fault::LoseAnswer,
            55..70 => Fault::FailAfter(Refusal::INTERNAL_ERROR),
            70..78 => Fault::Drop,
            78..85 => Fault::Delay(Duration::from_millis(self.random.random_range(1..30)), Box::default()),
            _ if changes && self.gates.len() < MAX_LATE => {
                let gate = Gate::new();
                self.gates.push(gate.clone());
                self.late += 1;
                Fault::Late(Refusal::INTERNAL_ERROR, gate)
            }
            _ if operation == Operation::GetObject => Fault::Truncate(self.random.random_range(0..2_000)),
            _ => Fault::SLOW_DOWN,
        }
    }
}
