//! Reading a list back, at random or from end to end, and comparing it with its model; whoever asks gets the pages.

use klstore_format::plan::read::Page;
use klstore_format::{Item, ItemFilter, IterationOrder};
use rand::RngExt;

use crate::seeded::Random;
use crate::vec_model::{self, VecModel, compare, compare_continued};
use crate::workload;

/// Continuations that are kept of each list, however old they grow.
const MAX_CURSORS: usize = 8;

/// What a list should be, and continuations of pages that were read of it.
#[derive(Debug, Default)]
pub struct Expected {
    /// The list.
    pub model: VecModel,
    cursors: Vec<Cursor>,
}

#[derive(Debug)]
struct Cursor {
    order: IterationOrder,
    at: u64,
    /// Its snapshot begins there or later.
    oldest_begin: u64,
    text: String,
}

/// A page to be read.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In which order.
    pub order: IterationOrder,
    /// Where it starts, unless there is a continuation.
    pub filter: ItemFilter,
    /// The continuation that it is read with.
    pub continuation: Option<String>,
    /// Items at most.
    pub max_size: u64,
    /// Where it must begin (as [`vec_model::start`] says it).
    at: u64,
    /// The snapshot that it is read in begins there or later.
    oldest_begin: u64,
}

impl Expected {
    /// A page from a random start.
    pub fn draw_start(&self, random: &mut Random) -> Wanted {
        let order = workload::order(random);
        let filter = workload::filter(random, &self.model.items);
        let at = vec_model::start(&self.model.items, order, &filter);
        let (max_size, oldest_begin) = (workload::page_size(random), self.model.begin);
        Wanted { order, filter, continuation: None, max_size, at, oldest_begin }
    }

    /// The page after one that was read some time; from a start where there was none.
    pub fn draw_next(&self, random: &mut Random) -> Wanted {
        if self.cursors.is_empty() {
            return self.draw_start(random);
        }
        let Cursor { order, at, oldest_begin, text } = &self.cursors[random.random_range(0..self.cursors.len())];
        // A filter beside a continuation is ignored.
        let filter = workload::filter(random, &self.model.items);
        let max_size = workload::page_size(random);
        let continuation = Some(text.clone());
        Wanted { order: *order, filter, continuation, max_size, at: *at, oldest_begin: *oldest_begin }
    }

    /// Compares the page that was read, and keeps its continuation.
    ///
    /// # Errors
    /// The difference, in words.
    pub fn compare(&mut self, random: &mut Random, wanted: &Wanted, page: Page) -> Result<(), String> {
        let Wanted { order, at, max_size, oldest_begin, .. } = *wanted;
        let VecModel { items, begin, .. } = &self.model;
        let next = if wanted.continuation.is_some() {
            compare_continued(items, (oldest_begin, *begin), (order, at, max_size), &page)
        } else {
            let expected = vec_model::live_page(items, *begin, order, at, max_size);
            compare(&expected, &page.items, page.continuation.is_some()).map(|()| expected.next)
        };
        let next = next.map_err(|error| format!("{wanted:?}: {error}"))?;
        if let (Some(at), Some(text)) = (next, page.continuation) {
            let cursor = Cursor { order, at, oldest_begin, text };
            let place = random.random_range(0..=MAX_CURSORS);
            if place < self.cursors.len() {
                self.cursors[place] = cursor;
            } else if self.cursors.len() < MAX_CURSORS {
                self.cursors.push(cursor);
            }
        }
        Ok(())
    }

    /// Compares the whole list, read page after page in this order. `read` is given each page's continuation and gives
    /// the next page's items and continuation.
    ///
    /// # Errors
    /// Those of `read`, and that the list is another one.
    pub async fn compare_whole(
        &self,
        order: IterationOrder,
        mut read: impl AsyncFnMut(Option<String>) -> Result<(Vec<Item>, Option<String>), String>,
    ) -> Result<(), String> {
        let (mut items, mut continuation) = (Vec::new(), None);
        loop {
            let page = read(continuation).await?;
            items.extend(page.0);
            continuation = page.1;
            if continuation.is_none() {
                break;
            }
        }
        if order == IterationOrder::Backwards {
            items.reverse();
        }
        let VecModel { items: all, begin, .. } = &self.model;
        if items == all[*begin as usize..] {
            Ok(())
        } else {
            Err(format!("read {order:?} it is not what was appended"))
        }
    }
}
