//! Readers of the explored list: each page is the list as it was at one moment of the read.

use klstore_format::plan::follow::{FollowStart, Follower};
use klstore_format::plan::read::{Page, PageRequest, read_page};
use klstore_format::{FormatError, Item, ItemFilter, IterationOrder};
use rand::RngExt;

use super::Explorer;
use super::task::{From, Outcome, Purpose, Reading, or_error};
use crate::seeded::percent;
use crate::vec_model::{self, compare, compare_continued};
use crate::workload;
use crate::world::list;

/// Continuations that are kept, however old.
const MAX_CURSORS: usize = 8;
/// Polls after which a follower has all that there is, when nothing moves any more.
const MAX_POLLS: usize = 40;

/// A continuation and where it goes on.
pub(super) struct Cursor {
    order: IterationOrder,
    at: u64,
    /// Its snapshot begins there or later.
    oldest_begin: u64,
    text: String,
}

impl Explorer {
    pub(super) fn begin_read(&mut self) -> Result<(), String> {
        let max_size = workload::page_size(&mut self.random);
        if !self.cursors.is_empty() && percent(&mut self.random, 60) {
            let place = self.random.random_range(0..self.cursors.len());
            let Cursor { order, at, oldest_begin, text } = &self.cursors[place];
            let (order, at, oldest_begin, text) = (*order, *at, *oldest_begin, text.clone());
            return self.start_read(order, max_size, From::At(at), oldest_begin, Some(text));
        }
        let order = workload::order(&mut self.random);
        let filter = workload::filter(&mut self.random, &self.witness.items);
        self.start_read(order, max_size, From::Filter(filter), self.witness.begin(), None)
    }

    fn start_read(
        &mut self,
        order: IterationOrder,
        max_size: u64,
        from: From,
        oldest_begin: u64,
        continuation: Option<String>,
    ) -> Result<(), String> {
        let filter = if let From::Filter(filter) = &from { *filter } else { ItemFilter::default() };
        let request = PageRequest { list: list(), order, max_size, filter, continuation };
        let began_at = self.witness.moments.len() - 1;
        let purpose = Purpose::Read(Reading { order, max_size, from, began_at, oldest_begin });
        self.start(purpose, read_page(request), or_error(Outcome::Page))
    }

    /// Property 2: the page is that of the list at one moment between the read's begin and its end.
    pub(super) fn check_page(&mut self, purpose: Purpose, page: Page) -> Result<(), String> {
        let Purpose::Read(reading) = purpose else { return Err("a page that nobody asked for".to_owned()) };
        self.tally.pages += 1;
        self.tally.misses += page.continuation_misses;
        let Reading { order, max_size, from, began_at, oldest_begin } = &reading;
        let mut difference = String::new();
        self.tally.missed += page.trimmed_items;
        for &(length, begin) in self.witness.moments[*began_at..].iter().rev() {
            let items: &[Item] = &self.witness.items[..length];
            let next = match from {
                From::Filter(filter) => {
                    let at = vec_model::start(items, *order, filter);
                    let expected = vec_model::live_page(items, begin, *order, at, *max_size);
                    compare(&expected, &page.items, page.continuation.is_some()).map(|()| expected.next)
                }
                From::At(at) => compare_continued(items, (*oldest_begin, begin), (*order, *at, *max_size), &page),
            };
            match next {
                Ok(next) => {
                    self.keep_cursor(*order, next, *oldest_begin, page.continuation);
                    return Ok(());
                }
                Err(error) => difference = error,
            }
        }
        let start = match from {
            From::Filter(filter) => format!("{filter:?}"),
            From::At(at) => format!("the continuation at {at}"),
        };
        Err(format!("a page {order:?} from {start}, {max_size} items at most: {difference} since moment {began_at}"))
    }

    fn keep_cursor(
        &mut self,
        order: IterationOrder,
        next: Option<u64>,
        oldest_begin: u64,
        continuation: Option<String>,
    ) {
        let (Some(at), Some(text)) = (next, continuation) else { return };
        if self.cursors.len() == MAX_CURSORS {
            let place = self.random.random_range(0..MAX_CURSORS);
            self.cursors.swap_remove(place);
        }
        self.cursors.push(Cursor { order, at, oldest_begin, text });
    }

    /// Nothing moves any more: the whole list, in both orders.
    pub(super) fn read_alone(&mut self) -> Result<(), String> {
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            let max_size = self.random.random_range(1..20);
            self.cursors.clear();
            let begin = self.witness.begin();
            self.start_read(order, max_size, From::Filter(ItemFilter::default()), begin, None)?;
            self.finish_tasks()?;
            while let Some(Cursor { order, at, oldest_begin, text }) = self.cursors.pop() {
                self.start_read(order, max_size, From::At(at), oldest_begin, Some(text))?;
                self.finish_tasks()?;
            }
        }
        Ok(())
    }

    /// Polls once.
    pub(super) fn begin_poll(&mut self) -> Result<(), String> {
        let follower = self.follower.take();
        // It is away with a poll; where that was given up, following begins again from what was seen last.
        let follower = match follower {
            Some(follower) => follower,
            None if self.tasks.iter().any(|task| matches!(task.purpose, Purpose::Follow)) => return Ok(()),
            None => Box::new(Follower::new(list(), FollowStart::Offset(self.followed as u64))),
        };
        let into = |(follower, items)| Outcome::Followed(Box::new(follower), items);
        self.start(Purpose::Follow, follower.poll(), into)
    }

    /// Rule 13: a follower sees the list, item by item.
    pub(super) fn check_followed(
        &mut self,
        follower: Box<Follower>,
        items: Result<Vec<Item>, FormatError>,
    ) -> Result<(), String> {
        self.follower = Some(follower);
        self.tally.polls += 1;
        let items = match items {
            Ok(items) => items,
            Err(FormatError::Contended { .. }) => Vec::new(),
            Err(error) => return Err(format!("a follower: {error}")),
        };
        let followed = self.followed;
        for item in &items {
            // It passes over what was trimmed, to where the list began at some moment.
            let begins_there = || self.witness.moments.iter().any(|&(_, begin)| begin == item.offset);
            let follows = item.offset == self.followed as u64 || (item.offset > self.followed as u64 && begins_there());
            if !follows || self.witness.items.get(item.offset as usize) != Some(item) {
                return Err(format!("a follower saw {items:?} from {followed} on, which is not the list"));
            }
            self.followed = item.offset as usize + 1;
        }
        Ok(())
    }

    /// When nothing moves any more a follower arrives at the end.
    pub(super) fn follow_alone(&mut self) -> Result<(), String> {
        for _ in 0..MAX_POLLS {
            self.begin_poll()?;
            self.finish_tasks()?;
            // Nothing is to be seen of what was trimmed before.
            if self.followed.max(self.witness.begin() as usize) == self.witness.items.len() {
                return Ok(());
            }
        }
        let (followed, end) = (self.followed, self.witness.items.len());
        Err(format!("a follower stays at {followed} although the list ends at {end}"))
    }
}
