//! Pages out of one list: from every kind of start, in both orders, each compared with what went in.

use klstore_format::{Insertion, Item, ItemFilter, ItemList, IterationOrder, S3StoreConfig};
use klstore_reader::{S3StoreReader, StoreReader};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::output::bytes_text;

/// Items of a page.
pub const PAGE_SIZE: u64 = 20;

/// One page to read.
pub struct PageCase {
    pub title: String,
    pub order: IterationOrder,
    pub filter: Option<ItemFilter>,
}

/// The first and the last page, and the pages around the middle by offset, timestamp and nonce, in both orders.
pub fn cases(list: &[&Insertion]) -> Vec<PageCase> {
    let middle = list.len() / 2;
    let (timestamp, nonce) = list.get(middle).map_or((None, None), |item| (item.timestamp, item.nonce));
    let when = timestamp.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let when = when.map(|time| time.strftime("%F %H:%M").to_string()).unwrap_or_default();
    let number = nonce.unwrap_or_default();
    let none = ItemFilter::default();
    let starts = [
        (None, None),
        (Some(format!("offset {middle}")), Some(ItemFilter { start_offset: Some(middle as u64), ..none })),
        (Some(format!("time {when}")), Some(ItemFilter { start_timestamp: timestamp, ..none })),
        (Some(format!("nonce {number}")), Some(ItemFilter { start_nonce: nonce, ..none })),
    ];
    let mut cases = Vec::new();
    for (title, filter) in starts {
        for (order, end) in [(IterationOrder::Forwards, "first page"), (IterationOrder::Backwards, "last page")] {
            cases.push(PageCase { title: title.clone().unwrap_or_else(|| end.to_owned()), order, filter });
        }
    }
    cases
}

impl PageCase {
    /// Reads the page with a reader that has seen nothing yet, and compares it.
    ///
    /// # Errors
    /// Where the page cannot be read or is not what was put in.
    pub async fn read(
        &self,
        config: &S3StoreConfig,
        keyspace: &str,
        key: &str,
        list: &[&Insertion],
    ) -> Result<ItemList, Failure> {
        let reader = S3StoreReader::new(config.clone()).await?;
        let page = reader.read_page(keyspace, key, self.order, Some(PAGE_SIZE), self.filter, None).await?;
        let expected = self.expected(list);
        let is_equal = expected.len() == page.items.len()
            && page.items.iter().zip(expected).all(|(item, (offset, insertion))| is_same(item, offset, insertion));
        match is_equal {
            true => Ok(page),
            false => Err(wrong(key, &format!("the page from {} is not what was appended", self.title))),
        }
    }

    /// The same page out of memory, by the plainest means.
    fn expected<'a>(&self, list: &[&'a Insertion]) -> Vec<(u64, &'a Insertion)> {
        let filter = self.filter.unwrap_or_default();
        let first_where =
            |condition: &dyn Fn(&Insertion) -> bool| list.iter().position(|item| condition(item)).unwrap_or(list.len());
        let numbered = list.iter().enumerate().map(|(offset, item)| (offset as u64, *item));
        let size = usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
        match self.order {
            IterationOrder::Forwards => {
                let by_offset = filter.start_offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
                let by_time = filter.start_timestamp.map_or(0, |t| first_where(&|item| item.timestamp >= Some(t)));
                let by_nonce = filter.start_nonce.map_or(0, |n| first_where(&|item| item.nonce >= Some(n)));
                numbered.skip(by_offset.max(by_time).max(by_nonce)).take(size).collect()
            }
            IterationOrder::Backwards => {
                let end = list.len();
                let by_offset =
                    filter.start_offset.map_or(end, |o| usize::try_from(o).unwrap_or(end).saturating_add(1));
                let by_time = filter.start_timestamp.map_or(end, |t| first_where(&|item| item.timestamp > Some(t)));
                let by_nonce = filter.start_nonce.map_or(end, |n| first_where(&|item| item.nonce > Some(n)));
                let end = by_offset.min(by_time).min(by_nonce).min(end);
                let mut items: Vec<_> = numbered.take(end).skip(end.saturating_sub(size)).collect();
                items.reverse();
                items
            }
        }
    }

    /// One line of the table below [`HEADING`].
    pub fn line(&self, page: &ItemList) -> String {
        let offsets = match (page.items.first(), page.items.last()) {
            (Some(first), Some(last)) => format!("{} to {}", first.offset, last.offset),
            _ => "none".to_owned(),
        };
        let stats = &page.stats;
        let (lists, gets, bytes) = (stats.list_operation_count, stats.read_operation_count, stats.read_size_total);
        let order = order_name(self.order);
        format!("  {:<21} {order:<10} {offsets:<12} {lists:>5} {gets:>4} {:>10}", self.title, bytes_text(bytes))
    }

    pub fn json(&self, page: &ItemList) -> Value {
        json!({
            "start": self.title,
            "order": order_name(self.order),
            "items": page.items.len(),
            "first_offset": page.items.first().map(|item| item.offset),
            "stats": page.stats,
        })
    }
}

/// The heading of the table of pages.
pub const HEADING: &str = "  start                 order      offsets       LIST  GET      bytes";

fn order_name(order: IterationOrder) -> &'static str {
    match order {
        IterationOrder::Forwards => "forwards",
        IterationOrder::Backwards => "backwards",
    }
}

/// Whether an item is what was appended, in its place.
pub fn is_same(item: &Item, offset: u64, insertion: &Insertion) -> bool {
    item.offset == offset
        && Some(item.timestamp) == insertion.timestamp
        && item.nonce == insertion.nonce
        && item.value == insertion.value
}

/// What the demo says if klstore does not do what it promises.
pub fn wrong(key: &str, what: &str) -> Failure {
    Failure::new(Kind::Failed, format!("aircraft {key}: {what}"))
        .advice("this is a fault of klstore: please report it with the output above")
}
