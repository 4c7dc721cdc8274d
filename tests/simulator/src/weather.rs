//! How likely things go wrong in a run, and what becomes of each request.

use klstore_format::plan::{PutKind, Request};
use rand::RngExt;

use crate::network::Harm;
use crate::seeded::{Random, pick};

/// Chances in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// A request fails in one of the ways below.
    faults: u32,
    /// How often each way is chosen, against the others.
    ways: Ways,
    /// Some requests and answers take long.
    pub(crate) slow: bool,
    /// A process ends at a request.
    pub(crate) crash: u32,
    /// A process stands still at a request.
    pub(crate) sleep: u32,
    /// A wall clock is set between two calls.
    pub(crate) clock_jump: u32,
    /// A writer drops a call's future in the middle.
    pub(crate) give_up: u32,
    /// Something waits for the moment at which it does the most harm, where it can.
    pub(crate) ambush: u32,
}

/// How often each fault is chosen against the others.
#[derive(Debug, Clone, Copy, Default)]
struct Ways {
    refused: u32,
    broken: u32,
    lost: u32,
    late: u32,
    twice: u32,
    error_in_success: u32,
    cut: u32,
    flipped: u32,
    short: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Served,
    RefusedBefore(u16, &'static str),
    RefusedAfter(u16, &'static str),
    BrokenBefore,
    BrokenAfter,
    Lost,
    LostAnswer,
    Late,
    Twice,
    RepeatedOnTheWay,
    ErrorInSuccess { code: &'static str, takes_effect: bool },
    HalfDone,
    Harmed(Harm),
}

impl Fate {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::RefusedBefore(409, _) => "409",
            Self::RefusedBefore(429, _) => "429",
            Self::RefusedBefore(503, _) => "503",
            Self::RefusedBefore(..) => "500 without effect",
            Self::RefusedAfter(..) => "500 after the effect",
            Self::BrokenBefore => "broken before the effect",
            Self::BrokenAfter => "broken after the effect",
            Self::Lost => "lost",
            Self::LostAnswer => "answers lost",
            Self::Late => "sent late",
            Self::Twice => "delivered twice",
            Self::RepeatedOnTheWay => "repeated on the way",
            Self::ErrorInSuccess { .. } => "200 with an error",
            Self::HalfDone => "half done",
            Self::Harmed(Harm::Cut { .. }) => "cut",
            Self::Harmed(Harm::Flipped(_)) => "flipped",
            Self::Harmed(Harm::Swapped(_)) => "swapped",
            Self::Harmed(_) => "short lists",
        }
    }
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        faults: 0,
        ways: Ways {
            refused: 0,
            broken: 0,
            lost: 0,
            late: 0,
            twice: 0,
            error_in_success: 0,
            cut: 0,
            flipped: 0,
            short: 0,
        },
        slow: false,
        crash: 0,
        sleep: 0,
        clock_jump: 0,
        give_up: 0,
        ambush: 0,
    };

    /// The weather of a run.
    pub fn draw(random: &mut Random) -> Self {
        // In most runs some things never go wrong, so that others come to the fore.
        let mut way = |most: u32| if random.random_range(0..3) == 0 { 0 } else { random.random_range(0..=most) };
        let ways = Ways {
            refused: way(6),
            broken: way(6),
            lost: way(2),
            late: way(10),
            twice: way(6),
            error_in_success: way(3),
            cut: way(4),
            flipped: way(2),
            short: way(4),
        };
        Self {
            faults: *pick(random, &[0, 10, 30, 60, 120, 250]),
            ways,
            slow: true,
            crash: *pick(random, &[0, 0, 2, 6, 20]),
            sleep: *pick(random, &[0, 3, 10, 30]),
            clock_jump: *pick(random, &[0, 5, 50]),
            give_up: *pick(random, &[0, 10, 60]),
            ambush: *pick(random, &[0, 0, 300]),
        }
    }

    /// What becomes of this request.
    pub(crate) fn fate(&self, random: &mut Random, request: &Request) -> Fate {
        if !thousandth(random, self.faults) {
            return Fate::Served;
        }
        let ways = &self.ways;
        let weights = [
            ways.refused,
            ways.broken,
            ways.lost,
            ways.late,
            ways.twice,
            ways.error_in_success,
            ways.cut,
            ways.flipped,
            ways.short,
        ];
        let all: u32 = weights.iter().sum();
        if all == 0 {
            return Fate::Served;
        }
        let mut chosen = random.random_range(0..all);
        let way = weights.iter().position(|weight| match chosen.checked_sub(*weight) {
            Some(rest) => {
                chosen = rest;
                false
            }
            None => true,
        });
        let way = way.unwrap_or_default();
        let coin: bool = random.random();
        let reads = matches!(request, Request::List { .. } | Request::Get { .. });
        match (way, request) {
            (0, Request::Put { kind: PutKind::Create, .. }) if coin => {
                Fate::RefusedBefore(409, "ConditionalRequestConflict")
            }
            (0, Request::Delete { names }) if coin && names.len() > 1 => Fate::HalfDone,
            (0, _) if random.random_range(0..4) == 0 => Fate::RefusedAfter(500, "InternalError"),
            (0, _) => {
                let (status, code) =
                    *pick(random, &[(500, "InternalError"), (503, "SlowDown"), (503, ""), (429, "TooManyRequests")]);
                Fate::RefusedBefore(status, code)
            }
            (1, _) if coin && !reads => Fate::BrokenAfter,
            (1, _) => Fate::BrokenBefore,
            (2, _) if coin && !reads => Fate::LostAnswer,
            (2, _) => Fate::Lost,
            (3, _) if !reads => Fate::Late,
            (4, _) if !reads && coin => Fate::RepeatedOnTheWay,
            (4, _) if !reads => Fate::Twice,
            (5, _) if !matches!(request, Request::Get { .. }) => Fate::ErrorInSuccess {
                code: pick::<&str>(random, &["InternalError", "SlowDown"]),
                takes_effect: coin && !reads,
            },
            (6, _) if reads => Fate::Harmed(Harm::Cut {
                thousandths: random.random_range(0..1_000),
                shows: random.random_range(0..4) > 0,
            }),
            (7, Request::Get { .. }) if coin => Fate::Harmed(Harm::Swapped(random.random())),
            (7, Request::Get { .. }) => Fate::Harmed(Harm::Flipped(random.random())),
            (8, Request::List { .. }) => Fate::Harmed(Harm::Short(random.random_range(0..1_000))),
            _ => Fate::Served,
        }
    }
}

/// Whether something happens that happens so many times in a thousand.
pub(crate) fn thousandth(random: &mut Random, chance: u32) -> bool {
    chance > 0 && random.random_range(0..1_000) < chance
}
