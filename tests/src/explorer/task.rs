//! A plan in progress, whatever it returns, with its requests answered one by one.

use klstore_format::FormatError;
use klstore_format::plan::follow::Follower;
use klstore_format::plan::read::Page;
use klstore_format::plan::{Answer, AppendOutcome, Compaction, Plan, PutKind, Request, Session, Step, TrimOutcome};
use klstore_format::{Insertion, Item, ItemFilter, IterationOrder};
use rand::RngExt;

use crate::seeded::Random;

/// What came of a plan.
pub(super) enum Outcome {
    Opened(Box<Session>),
    Appended(Box<Session>, AppendOutcome),
    Published(Box<Session>),
    Trimmed(Box<Session>, TrimOutcome),
    Compacted(Box<Compaction>),
    /// A collection or a sweep.
    Swept,
    Page(Page),
    Followed(Box<Follower>, Result<Vec<Item>, FormatError>),
    /// The list never held still: the plan gave up, and the session with it.
    Contended,
    Failed(String),
}

/// Why a plan runs.
pub(super) enum Purpose {
    Open {
        writer: usize,
    },
    Append {
        writer: usize,
        insertions: Vec<Insertion>,
    },
    Publish {
        writer: usize,
    },
    /// The list is to begin there or further on.
    Trim {
        writer: usize,
        begin: u64,
    },
    Compact {
        writer: usize,
        generation: u64,
    },
    Collect,
    Sweep,
    Read(Reading),
    Follow,
}

/// A page being read.
pub(super) struct Reading {
    pub(super) order: IterationOrder,
    pub(super) max_size: u64,
    pub(super) from: From,
    /// The moment of the list's history in which the read began.
    pub(super) began_at: usize,
    /// The snapshot that it reads on in begins there or later.
    pub(super) oldest_begin: u64,
}

/// Where a page starts.
pub(super) enum From {
    Filter(ItemFilter),
    /// A continuation; forwards the next offset, backwards one more.
    At(u64),
}

impl Purpose {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "opening a session",
            Self::Append { .. } => "an append",
            Self::Publish { .. } => "a publication",
            Self::Trim { .. } => "a trim",
            Self::Compact { .. } => "a compaction",
            Self::Collect => "a collection",
            Self::Sweep => "a sweep",
            Self::Read(_) => "a read",
            Self::Follow => "following",
        }
    }
}

/// A plan in progress.
pub(super) struct Task {
    pub(super) purpose: Purpose,
    pub(super) requests: Vec<Request>,
    pub(super) asleep_until: u64,
    answers: Vec<Option<Answer>>,
    step: Box<dyn FnMut(Vec<Answer>) -> Step<Outcome>>,
}

impl Task {
    /// Starts a plan; its outcome too where it needs no request.
    pub(super) fn start<T: 'static>(
        purpose: Purpose,
        mut plan: Plan<T>,
        into: impl Fn(T) -> Outcome + 'static,
    ) -> (Self, Option<Outcome>) {
        let step = move |answers| match plan.step(answers) {
            Step::Send(requests) => Step::Send(requests),
            Step::Done(output) => Step::Done(into(output)),
        };
        let mut task =
            Self { purpose, requests: Vec::new(), asleep_until: 0, answers: Vec::new(), step: Box::new(step) };
        let outcome = task.go_on(Vec::new());
        (task, outcome)
    }

    fn go_on(&mut self, answers: Vec<Answer>) -> Option<Outcome> {
        match (self.step)(answers) {
            Step::Send(requests) => {
                self.answers = vec![None; requests.len()];
                self.requests = requests;
                None
            }
            Step::Done(outcome) => Some(outcome),
        }
    }

    /// One of the requests without an answer.
    pub(super) fn draw_waiting(&self, random: &mut Random) -> usize {
        let waiting: Vec<usize> = (0..self.answers.len()).filter(|&place| self.answers[place].is_none()).collect();
        waiting[random.random_range(0..waiting.len())]
    }

    /// The requests without an answer.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().zip(&self.answers).filter(|(_, answer)| answer.is_none()).map(|(request, _)| request)
    }

    /// Gives an answer; the plan goes on when it has all of them.
    pub(super) fn answer(&mut self, place: usize, answer: Answer) -> Option<Outcome> {
        self.answers[place] = Some(answer);
        if self.answers.iter().any(Option::is_none) {
            return None;
        }
        let answers = std::mem::take(&mut self.answers).into_iter().flatten().collect();
        self.go_on(answers)
    }
}

/// What came of a plan that may fail.
pub(super) fn or_error<T>(into: impl Fn(T) -> Outcome) -> impl Fn(Result<T, FormatError>) -> Outcome {
    move |result| match result {
        Ok(output) => into(output),
        Err(FormatError::Contended { .. }) => Outcome::Contended,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Whether the request changes the store.
pub(super) fn changes(request: &Request) -> bool {
    matches!(request, Request::Put { .. } | Request::Delete { .. })
}

/// Whether the request is the PUT of a commit.
pub(super) fn creates(request: &Request) -> bool {
    matches!(request, Request::Put { kind: PutKind::Create, .. })
}
