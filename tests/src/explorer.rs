//! Writers, compactions, collections, sweeps and readers of one list, interleaved at random request by request.
//!
//! The plans are the real ones. A scheduler drawn from a seed decides whose request is served next, whose answer is
//! lost, which request takes effect late, who sleeps and who crashes. The [`Witness`] in front of the store sees every
//! state change; acknowledgements and pages are compared with what it saw.

mod readers;
mod task;
mod writers;

use klstore_format::plan::follow::Follower;
use klstore_format::plan::{Answer, Request};
use rand::RngExt;

use crate::history::Witness;
use crate::seeded::{self, Random, percent};
use crate::world::World;

use readers::Cursor;
use task::{Outcome, Purpose, Task};
use writers::Writer;

/// Turns of one episode before it is brought to its end.
const EPISODE_TURNS: u64 = 1_500;
/// Steps within which everything must end once faults have stopped.
const MAX_LAST_STEPS: u64 = 50_000;
/// Tasks at once.
const MAX_TASKS: usize = 9;
/// Requests that are under way although their sender has given them up.
const MAX_LATE: usize = 12;

/// What an exploration saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Requests served, lost or late.
    pub steps: u64,
    /// Lists explored.
    pub episodes: u64,
    /// Acknowledged appends.
    pub appends: u64,
    /// Published indexes.
    pub publications: u64,
    /// Tasks given up with requests under way.
    pub crashes: u64,
    /// Answers that were lost.
    pub lost_answers: u64,
    /// Requests that took effect after their sender had given them up.
    pub late: u64,
    /// Commits created under names of the past.
    pub ghosts: u64,
    /// Objects freed by collections and sweeps.
    pub freed: u64,
    /// Pages compared with the history.
    pub pages: u64,
    /// Polls of followers.
    pub polls: u64,
    /// Continuations whose object was gone.
    pub misses: u64,
    /// Acknowledged trims and deletions.
    pub trims: u64,
    /// Items that appends trimmed by their writer's retention.
    pub retained: u64,
    /// Items that continuations missed because they had been trimmed.
    pub missed: u64,
    /// Plans that gave up because the list never held still.
    pub contended: u64,
}

/// A violation of what must hold, with how to see it again.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Steps until then, all episodes together.
    pub steps: u64,
    /// What happened.
    pub message: String,
}

/// Explores lists, one after the other, for at least so many steps.
///
/// # Errors
/// The first violation.
pub fn explore(seed: u64, steps: u64) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    while tally.steps < steps {
        let episode = tally.episodes;
        tally.episodes += 1;
        let mut explorer = Explorer::new(seeded::random(seed, episode), tally);
        let ended = explorer.run();
        tally = explorer.tally;
        tally.ghosts += explorer.witness.ghosts;
        tally.freed += explorer.witness.freed;
        if let Err(message) = ended {
            let message = format!("{message} (KLSTORE_SEED={seed}, episode {episode})");
            return Err(Violation { steps: tally.steps, message });
        }
    }
    Ok(tally)
}

/// How likely things go wrong in an episode, in per cent.
struct Weather {
    lost: u32,
    late: u32,
    crash: u32,
    sleep: u32,
    /// Publications whose collection never begins: a sweep finds what they replaced.
    uncollected: u32,
}

struct Explorer {
    random: Random,
    witness: Witness,
    weather: Weather,
    writers: Vec<Writer>,
    cursors: Vec<Cursor>,
    /// Away while it polls.
    follower: Option<Box<Follower>>,
    /// Items that it has seen.
    followed: usize,
    tasks: Vec<Task>,
    late: Vec<Request>,
    /// Drawn once each: session ids, object ids, values.
    drawn: u128,
    now: u64,
    tally: Tally,
}

impl Explorer {
    fn new(mut random: Random, tally: Tally) -> Self {
        let weather = Weather {
            lost: random.random_range(0..8),
            late: random.random_range(0..10),
            crash: random.random_range(0..4),
            sleep: random.random_range(0..6),
            uncollected: *seeded::pick(&mut random, &[0, 10, 100]),
        };
        let writers = (0..random.random_range(1..4)).map(|_| Writer::new(&mut random)).collect();
        Self {
            random,
            witness: Witness::new(World::with_keyspace()),
            weather,
            writers,
            cursors: Vec::new(),
            follower: None,
            followed: 0,
            tasks: Vec::new(),
            late: Vec::new(),
            drawn: 1,
            now: 0,
            tally,
        }
    }

    fn draw(&mut self) -> u128 {
        self.drawn += 1;
        self.drawn << 16
    }

    fn run(&mut self) -> Result<(), String> {
        for now in 0..EPISODE_TURNS {
            self.now = now;
            match self.random.random_range(0..100) {
                0..12 if self.tasks.len() < MAX_TASKS => self.begin()?,
                12..14 => self.arrive_late()?,
                14 if percent(&mut self.random, self.weather.crash * 5) => self.crash(),
                _ => self.serve()?,
            }
        }
        self.come_to_rest()
    }

    /// Begins something: an append more often than anything else.
    fn begin(&mut self) -> Result<(), String> {
        match self.random.random_range(0..100) {
            0..70 => self.begin_writing(),
            70..78 => self.begin_sweep(),
            78..92 => self.begin_read(),
            _ => self.begin_poll(),
        }
    }

    /// Serves one request of one task, or loses it.
    fn serve(&mut self) -> Result<(), String> {
        let now = self.now;
        let awake: Vec<usize> = (0..self.tasks.len()).filter(|&index| self.tasks[index].asleep_until <= now).collect();
        if awake.is_empty() {
            return self.begin();
        }
        let index = awake[self.random.random_range(0..awake.len())];
        // A writer that sleeps before its PUT and wakes up in another world is what the protocol is about.
        let creates = self.tasks[index].waiting().any(task::creates);
        if percent(&mut self.random, self.weather.sleep * if creates { 3 } else { 1 }) {
            self.tasks[index].asleep_until = now + self.random.random_range(10..600);
            return Ok(());
        }
        self.tally.steps += 1;
        let place = self.tasks[index].draw_waiting(&mut self.random);
        let request = self.tasks[index].requests[place].clone();
        let answer = if !task::changes(&request) || !percent(&mut self.random, self.weather.lost + self.weather.late) {
            self.witness.apply(&request)?
        } else {
            self.tally.lost_answers += 1;
            let all = (self.weather.lost + self.weather.late).max(1);
            match self.random.random_range(0..all) {
                fate if fate < self.weather.late => self.send_late(request),
                fate if fate % 2 == 0 => drop(self.witness.apply(&request)?),
                _ => {}
            }
            Answer::Unknown
        };
        self.answer(index, place, answer)
    }

    fn answer(&mut self, index: usize, place: usize, answer: Answer) -> Result<(), String> {
        let Some(outcome) = self.tasks[index].answer(place, answer) else { return Ok(()) };
        let task = self.tasks.swap_remove(index);
        self.ended(task.purpose, outcome)
    }

    fn send_late(&mut self, request: Request) {
        if self.late.len() < MAX_LATE {
            self.late.push(request);
        }
    }

    fn arrive_late(&mut self) -> Result<(), String> {
        if self.late.is_empty() {
            return Ok(());
        }
        let index = self.random.random_range(0..self.late.len());
        let request = self.late.swap_remove(index);
        self.tally.steps += 1;
        self.tally.late += 1;
        // Its sender has given up long ago: nobody hears the answer.
        self.witness.apply(&request).map(drop)
    }

    /// A task is given up: each of its requests has taken effect, will do so late, or never does.
    fn crash(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.tasks.len());
        let task = self.tasks.swap_remove(index);
        self.tally.crashes += 1;
        for request in task.waiting().filter(|request| task::changes(request)) {
            if percent(&mut self.random, 60) {
                self.late.push(request.clone());
            }
        }
        self.gave_up(&task.purpose);
    }

    fn ended(&mut self, purpose: Purpose, outcome: Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Contended => {
                self.tally.contended += 1;
                self.gave_up(&purpose);
                Ok(())
            }
            Outcome::Failed(error) => Err(format!("{}: {error}", purpose.name())),
            Outcome::Page(page) => self.check_page(purpose, page),
            Outcome::Followed(follower, items) => self.check_followed(follower, items),
            other => self.wrote(purpose, other),
        }
    }

    /// Faults stop: all that has begun ends, all that was late arrives; then a fresh writer goes on, and what was freed
    /// and kept is exactly what should be.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.weather = Weather { lost: 0, late: 0, crash: 0, sleep: 0, uncollected: 0 };
        self.finish_tasks()?;
        while !self.late.is_empty() {
            self.arrive_late()?;
        }
        let random = &mut self.random;
        self.writers = vec![Writer::new(random)];
        for _ in 0..3 {
            self.append_alone()?;
        }
        self.publish_alone()?;
        self.sweep_alone()?;
        self.read_alone()?;
        self.follow_alone()?;
        match self.witness.leftovers().as_slice() {
            [] => Ok(()),
            leftovers => Err(format!("after a sweep there still are {leftovers:?}")),
        }
    }

    fn finish_tasks(&mut self) -> Result<(), String> {
        for _ in 0..MAX_LAST_STEPS {
            if self.tasks.is_empty() {
                return Ok(());
            }
            self.tally.steps += 1;
            let index = self.random.random_range(0..self.tasks.len());
            let place = self.tasks[index].draw_waiting(&mut self.random);
            let request = self.tasks[index].requests[place].clone();
            let answer = self.witness.apply(&request)?;
            self.answer(index, place, answer)?;
        }
        Err(format!("{} does not end although no fault occurs", self.tasks[0].purpose.name()))
    }
}
