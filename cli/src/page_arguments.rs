//! What `page` and `read` have in common: which list, in which order, from where.

use clap::{Args, ValueEnum};
use klstore_format::{ItemFilter, IterationOrder};

use crate::input::parse_timestamp;

#[derive(Debug, Clone, Args)]
pub struct PageArguments {
    /// Keyspace
    pub keyspace: String,
    /// Key of the list
    pub key: String,
    /// Order of the items
    #[arg(long, value_enum, default_value_t = Order::Forwards)]
    pub order: Order,
    /// Items of a page at most; 1,000 if not given
    #[arg(long, value_name = "N")]
    pub max_size: Option<u64>,
    #[command(flatten)]
    pub start: StartArguments,
}

/// A position, not a condition on what follows; of several the strictest counts.
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Where to start (the strictest counts; without any at the first item, backwards at the last)"
)]
pub struct StartArguments {
    /// At this offset
    #[arg(long, value_name = "N")]
    pub start_offset: Option<u64>,
    /// At the first item of this time or later; backwards, before the first item after it
    #[arg(
        long, value_name = "MS|RFC 3339", allow_negative_numbers = true,
        value_parser = |text: &str| parse_timestamp(text).map_err(|problem| problem.to_string())
    )]
    pub start_timestamp: Option<i64>,
    /// The same by nonce; items without a nonce never match
    #[arg(long, value_name = "N")]
    pub start_nonce: Option<u128>,
    /// Where the page ended that returned this `continuation`; any other start is ignored
    #[arg(long, value_name = "TOKEN")]
    pub continuation: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// From the first item to the last
    Forwards,
    /// From the last item to the first
    Backwards,
}

impl From<Order> for IterationOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Forwards => Self::Forwards,
            Order::Backwards => Self::Backwards,
        }
    }
}

impl StartArguments {
    /// The start as the reader takes it; `None` where none is given.
    pub fn filter(&self) -> Option<ItemFilter> {
        let filter = ItemFilter {
            start_offset: self.start_offset,
            start_timestamp: self.start_timestamp,
            start_nonce: self.start_nonce,
        };
        (filter != ItemFilter::default()).then_some(filter)
    }
}
