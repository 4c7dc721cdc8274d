//! Readers of the explored list: each page is the list as it was at one moment of the read.

use klstore_format::plan::read::{Page, PageRequest, read_page};
use klstore_format::{Item, ItemFilter, IterationOrder};
use rand::RngExt;

use super::Explorer;
use super::task::{From, Outcome, Purpose, Reading, Task};
use crate::seeded::percent;
use crate::vec_model::{self, compare};
use crate::workload;
use crate::world::list;

/// Continuations that are kept, however old.
const MAX_CURSORS: usize = 8;

/// A continuation and where it goes on.
pub(super) struct Cursor {
    order: IterationOrder,
    at: u64,
    text: String,
}

impl Explorer {
    pub(super) fn begin_read(&mut self) -> Result<(), String> {
        let max_size = workload::page_size(&mut self.random);
        if !self.cursors.is_empty() && percent(&mut self.random, 60) {
            let place = self.random.random_range(0..self.cursors.len());
            let Cursor { order, at, text } = &self.cursors[place];
            let (order, at, text) = (*order, *at, text.clone());
            return self.start_read(order, max_size, From::At(at), Some(text));
        }
        let order = workload::order(&mut self.random);
        let filter = workload::filter(&mut self.random, &self.witness.items);
        self.start_read(order, max_size, From::Filter(filter), None)
    }

    fn start_read(
        &mut self,
        order: IterationOrder,
        max_size: u64,
        from: From,
        continuation: Option<String>,
    ) -> Result<(), String> {
        let filter = if let From::Filter(filter) = &from { *filter } else { ItemFilter::default() };
        let request = PageRequest { list: list(), order, max_size, filter, continuation };
        let purpose = Purpose::Read(Reading { order, max_size, from, began_with: self.witness.items.len() });
        match Task::start(purpose, read_page(request), Outcome::Page) {
            Ok(task) => self.tasks.push(task),
            Err((purpose, outcome)) => self.ended(purpose, outcome)?,
        }
        Ok(())
    }

    /// Property 2: the page is that of the list at one moment between the read's begin and its end.
    pub(super) fn check_page(&mut self, purpose: Purpose, page: Page) -> Result<(), String> {
        let Purpose::Read(reading) = purpose else { return Err("a page that nobody asked for".to_owned()) };
        self.tally.pages += 1;
        self.tally.misses += page.continuation_misses;
        let Reading { order, max_size, from, began_with } = &reading;
        let mut difference = String::new();
        for length in (*began_with..=self.witness.items.len()).rev() {
            let items: &[Item] = &self.witness.items[..length];
            let at = match from {
                From::Filter(filter) => vec_model::start(items, *order, filter),
                From::At(at) => *at,
            };
            let expected = vec_model::page(items, *order, at, *max_size);
            match compare(&expected, &page.items, page.continuation.is_some()) {
                Ok(()) => {
                    let next = expected.next;
                    self.keep_cursor(*order, next, page.continuation);
                    return Ok(());
                }
                Err(error) => difference = error,
            }
        }
        let start = match from {
            From::Filter(filter) => format!("{filter:?}"),
            From::At(at) => format!("the continuation at {at}"),
        };
        Err(format!("a page {order:?} from {start}, {max_size} items at most: {difference} in a list of {began_with}"))
    }

    fn keep_cursor(&mut self, order: IterationOrder, next: Option<u64>, continuation: Option<String>) {
        let (Some(at), Some(text)) = (next, continuation) else { return };
        if self.cursors.len() == MAX_CURSORS {
            let place = self.random.random_range(0..MAX_CURSORS);
            self.cursors.swap_remove(place);
        }
        self.cursors.push(Cursor { order, at, text });
    }

    /// Nothing moves any more: the whole list, in both orders.
    pub(super) fn read_alone(&mut self) -> Result<(), String> {
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            let max_size = self.random.random_range(1..20);
            self.cursors.clear();
            self.start_read(order, max_size, From::Filter(ItemFilter::default()), None)?;
            self.finish_tasks()?;
            while let Some(Cursor { order, at, text }) = self.cursors.pop() {
                self.start_read(order, max_size, From::At(at), Some(text))?;
                self.finish_tasks()?;
            }
        }
        Ok(())
    }
}
